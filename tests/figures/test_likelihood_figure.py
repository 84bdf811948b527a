"""The likelihood curve says what the single estimates say."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from rbmscape.figures.likelihood import alt_text, compute, draw
from rbmscape.figures.style import save


@pytest.fixture
def estimates():
    updates = [10, 20, 40]
    values = np.array([[[-9.0, -6.0, -4.0], [-7.0, -5.0, np.nan]], [[-8.0, np.nan, -2.0], [np.nan] * 3]])
    epoch = np.where(np.isnan(values), np.nan, np.array(updates) / 10.0)
    axes = ("hidden", "replica", "update")
    return xr.Dataset(
        {"log_likelihood": (axes, values), "stderr": (axes, np.full(values.shape, 0.25)), "epoch": (axes, epoch)},
        coords={"hidden": [3, 7], "replica": [0, 1], "update": updates},
        attrs={"seed": 4},
    )


def test_means_and_bars(estimates):
    result = compute(estimates)
    np.testing.assert_allclose(result["mean"], [[-8.0, -5.5, -4.0], [-8.0, np.nan, -2.0]])
    deviation = np.array([np.std([-9.0, -7.0], ddof=1), np.std([-6.0, -5.0], ddof=1)])
    np.testing.assert_allclose(result["bar"].sel(hidden=3), [*deviation, 0.25])
    np.testing.assert_allclose(result["bar"].sel(hidden=7)[[0, 2]], 0.25)
    assert result["bar"].attrs["units"] == "nat"
    assert result.attrs["seed"] == 4


def test_the_curve_is_drawn_at_its_numbers(estimates):
    result = compute(estimates)
    panel = draw(result).axes[0]
    drawn = {container.get_label(): container.lines[0] for container in panel.containers}
    np.testing.assert_allclose(drawn["M = 3"].get_xydata(), [[1, -8.0], [2, -5.5], [4, -4.0]])
    np.testing.assert_allclose(drawn["M = 7"].get_xydata(), [[1, -8.0], [4, -2.0]])
    assert "nats" in panel.get_ylabel()
    assert panel.get_xlabel() == "epochs"


def test_words_and_files(estimates, tmp_path):
    result = compute(estimates)
    assert "with 7 hidden units it goes from -8.0 nats at epoch 1 to -2.0 at epoch 4" in alt_text(result)
    saved = save(draw(result), result, tmp_path, "likelihood")
    with xr.open_dataset(saved.data, engine="h5netcdf") as again:
        assert alt_text(again) == alt_text(result)


def test_bounds_are_a_band_and_doubtful_points_hollow(estimates, tmp_path):
    values = estimates.log_likelihood
    brackets = estimates.assign(
        lower=values - 0.5, upper=values + 0.25, lower_stderr=0 * values + 0.1, upper_stderr=0 * values + 0.05
    )
    brackets["converged"] = 0 * values + 1.0
    brackets["converged"][0, 1, 1] = 0.0
    result = compute(brackets)
    np.testing.assert_allclose(result.low.sel(hidden=3), [-9.6, -6.6, -4.6])
    np.testing.assert_allclose(result.high.sel(hidden=3), [-6.7, -4.7, -3.7])
    np.testing.assert_allclose(result.sure.sel(hidden=3), [1, 0, 1])
    panel = draw(result).axes[0]
    assert len(panel.collections) >= 2
    hollow = [line for line in panel.lines if line.get_markerfacecolor() == "white" and len(line.get_xdata())]
    np.testing.assert_allclose([line.get_xydata() for line in hollow], [[[2.0, -5.5]]])
    assert "(between -4.6 and -3.7, converged)" in alt_text(result)
    save(draw(result), result, tmp_path, "likelihood")
