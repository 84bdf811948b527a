"""The shared look: pictures and data are written together, nothing global changes, colours stay apart."""

from __future__ import annotations

import itertools

import matplotlib
import numpy as np
import pytest
import xarray as xr

from rbmscape.errors import DiskError, InputError
from rbmscape.figures.datasets import provenance_attrs
from rbmscape.figures.style import (
    CLASS_COLOURS,
    OKABE_ITO,
    PAGE_WIDTH,
    log_axis,
    new_figure,
    panel_letters,
    print_style,
    save,
)


def dataset() -> xr.Dataset:
    return xr.Dataset(
        {"height": ("x", np.linspace(0.0, 1.0, 7), {"units": "nat"}), "flag": ("x", np.arange(7) > 3)},
        attrs=provenance_attrs(seed=5, source="test", flag=True, missing=None),
    )


def test_save_writes_picture_and_the_same_numbers(tmp_path):
    figure, axes = new_figure(1, 2)
    axes[0, 0].plot([0, 1], [0, 1])
    panel_letters(axes)
    saved = save(figure, dataset(), tmp_path / "new", "demo")
    assert saved.png.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert saved.pdf.read_bytes()[:5] == b"%PDF-"
    with xr.open_dataset(saved.data, engine="h5netcdf") as read:
        xr.testing.assert_identical(read.load(), dataset().assign_attrs(read.attrs))
        assert read.attrs["seed"] == 5
        assert read.attrs["flag"] == 1
        assert "missing" not in read.attrs
        assert read["height"].attrs["units"] == "nat"
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["demo.nc", "demo.pdf", "demo.png"]


def test_a_failed_save_leaves_the_old_file_and_no_rubbish(tmp_path):
    figure, _ = new_figure()
    saved = save(figure, dataset(), tmp_path, "demo")
    before = saved.data.read_bytes()
    unwritable = dataset().assign(bad=("x", np.array([object()] * 7, dtype=object)))
    with pytest.raises((TypeError, ValueError)):
        save(figure, unwritable, tmp_path, "demo")
    assert saved.data.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("name", ["", "a/b", "../a"])
def test_names_that_are_paths_are_refused(tmp_path, name):
    figure, _ = new_figure()
    with pytest.raises(InputError, match="plain file name"):
        save(figure, dataset(), tmp_path, name)


def test_a_folder_that_is_a_file_is_a_disk_error(tmp_path):
    (tmp_path / "file").write_text("x")
    figure, _ = new_figure()
    with pytest.raises(DiskError, match="could not be made"):
        save(figure, dataset(), tmp_path / "file", "demo")


def test_the_callers_settings_stay_as_they_are():
    before = dict(matplotlib.rcParams)
    figure, axes = new_figure(2, 3)
    panel_letters(axes)
    assert dict(matplotlib.rcParams) == before
    assert axes.shape == (2, 3)
    assert figure.get_size_inches()[0] <= PAGE_WIDTH
    with print_style():
        assert matplotlib.rcParams["font.size"] == 8.0


def relative_luminance(hex_colour: str) -> float:
    channels = np.array([int(hex_colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def simulate_deuteranopia(hex_colour: str) -> np.ndarray:
    """Linear RGB after the loss of medium cones (Machado, Oliveira and Fernandes 2009, severity 1)."""
    channels = np.array([int(hex_colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    matrix = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])
    return matrix @ linear


def test_palette_stays_apart_without_green_cones():
    smallest = min(
        np.linalg.norm(simulate_deuteranopia(a) - simulate_deuteranopia(b))
        for a, b in itertools.combinations(OKABE_ITO, 2)
    )
    assert smallest > 0.15
    confusable = np.linalg.norm(simulate_deuteranopia("#2ca02c") - simulate_deuteranopia("#d62728"))
    assert confusable < 0.15, "the measure must see that the usual green and red are confused"
    assert len(set(CLASS_COLOURS)) == 10
    assert relative_luminance(OKABE_ITO[0]) < 0.3, "the first colour must be readable as a thin line on white"


def test_numbers_of_a_logarithmic_axis_are_plain():
    figure, axes = new_figure()
    panel = axes[0, 0]
    panel.plot([1, 2], [90, 5000])
    log_axis(panel)
    figure.canvas.draw()
    assert {"100", "1000"} <= {label.get_text() for label in panel.get_yticklabels()}
