"""Rules of section 5.3 on synthetic data, on both sides of their thresholds."""

import numpy as np
import pytest
import xarray as xr

from rbmscape.report.findings import Verdict

HOLDS, PART, FAILS, UNTESTED = Verdict.HOLDS, Verdict.PART, Verdict.FAILS, Verdict.UNTESTED


def wells(held=(False, True), averaged=(False, True), critical=50.0, minima=(-5.0, 6.0), barrier=2.0, error=0.1):
    """Two checkpoints; rows of ``double_well`` for s² = 0 and ¼.  100 updates are an epoch."""
    z = np.linspace(-2, 2, 21)
    curve = barrier * (z**2 - 1) ** 2 if barrier else z**2
    return {
        "landau_wells": xr.Dataset(
            {
                "double_well": (("fluctuation", "update", "mode"), np.array([held, averaged])[..., None]),
                "critical_update": (("fluctuation", "mode"), [[critical], [critical]]),
                "critical_stderr": (("fluctuation", "mode"), [[5.0], [5.0]]),
                "minimum": (("fluctuation", "update", "well"), np.array([[[0, np.nan], minima]] * 2, dtype=float)),
                "mean_force": (("shown", "bin"), curve[None]),
                "mean_force_stderr": (("shown", "bin"), np.full((1, 21), error)),
            },
            coords={"fluctuation": [0.0, 0.25]},
        )
    }


def transitions(measured=(60.0, 70.0)):
    mean = float(np.nanmean(measured)) if np.isfinite(measured).any() else np.nan
    return {
        "transitions": xr.Dataset(
            {
                "measured": (("replica", "mode"), np.asarray(measured)[:, None]),
                "measured_mean": ("mode", [mean]),
                "measured_mean_stderr": ("mode", [3.0]),
                "predicted_mean": ("mode", [55.0]),
                "predicted_mean_stderr": ("mode", [2.0]),
            }
        )
    }


def centres(mu, data=4.0, wells=(1.0, 1.0), scatter=0.05):
    """Three replicas of each size in ``mu`` (size to μ along u of mode 1), trained by the paper's recipe."""
    hidden = np.repeat(list(mu), 3)
    values = np.concatenate([value + scatter * np.array([-1, 0, 1]) for value in mu.values()])
    count = hidden.size
    stages = ["weights", "initial", "trained"]

    def everywhere(column):
        return (("run", "stage", "mode"), np.repeat(np.asarray(column)[:, None, None], 3, axis=1))

    return {
        "centres": xr.Dataset(
            {
                "random_u": everywhere(values),
                "data_u": everywhere(np.full(count, data)),
                "double_well": (("run", "stage", "fluctuation"), np.tile(wells, (count, 3, 1))),
            },
            coords={
                "recipe": ("run", ["paper"] * count),
                "hidden": ("run", hidden),
                "stage": stages,
                "fluctuation": [0.0, 0.25],
            },
        )
    }


def course(drift_w=0.1, value_end=20.0):
    """Mean w moves by ``drift_w`` standard deviations in the second half."""
    epoch = np.array([0.0, 1.0, 5.0, 8.0, 10.0])
    w = np.array([5.0, 1.0, 0.0, 0.0, drift_w])
    columns = {"data_w_mean": w, "data_u_mean": 3 * epoch, "singular_value": np.linspace(0.5, value_end, 5)}
    columns |= {"data_w_sd": np.ones(5), "data_u_sd": np.ones(5), "epoch": epoch}
    return {
        "symmetry_breaking": xr.Dataset(
            {name: (("hidden", "checkpoint"), values[None]) for name, values in columns.items()},
            coords={"hidden": [500]},
        )
    }


NEARER, FARTHER = {500: -2.0, 784: -1.0, 1200: 0.5}, {500: 0.5, 784: -1.0, 1200: -2.0}

CASES = [
    ("double-well-early", wells(), HOLDS),
    ("double-well-early", wells(averaged=(False, False)), PART),
    ("double-well-early", wells(critical=250.0), PART),
    ("double-well-early", wells(held=(False, False), averaged=(False, False)), FAILS),
    ("double-well-early", wells(held=(True, True), averaged=(True, True)), FAILS),
    ("double-well-measured", wells(), HOLDS),
    ("double-well-measured", wells(barrier=0.0), FAILS),
    ("double-well-measured", wells(error=1.0), UNTESTED),
    ("ferromagnetic-transition", transitions(), HOLDS),
    ("ferromagnetic-transition", transitions((60.0, np.nan)), PART),
    ("ferromagnetic-transition", transitions((60.0, 300.0)), PART),
    ("ferromagnetic-transition", transitions((np.nan, np.nan)), FAILS),
    ("mu-opposite", centres({500: -2.0, 784: 2.0}), HOLDS),
    ("mu-opposite", centres({500: -0.02, 784: 2.0}), PART),
    ("mu-opposite", centres({500: 2.0, 784: -2.0}), FAILS),
    ("double-well-asymmetric", wells(), HOLDS),
    ("double-well-asymmetric", wells(minima=(-5.0, 5.01)), FAILS),
    ("double-well-asymmetric", wells(held=(False, False), averaged=(False, False)), UNTESTED),
    ("w-flattens", course(value_end=0.1), HOLDS),
    ("w-flattens", course(), PART),
    ("w-flattens", course(drift_w=3.0), FAILS),
    ("double-well-all-sizes", centres(NEARER), HOLDS),
    ("double-well-all-sizes", centres(NEARER, wells=(1.0, 0.0)), PART),
    ("double-well-all-sizes", centres(NEARER, wells=(0.0, 0.0)), FAILS),
    ("double-well-all-sizes", centres({500: 1.0}), UNTESTED),
    ("mu-approaches-minimum", centres(NEARER), HOLDS),
    ("mu-approaches-minimum", centres(FARTHER), FAILS),
    ("mu-approaches-minimum", centres({500: 1.0, 784: 1.0, 1200: 1.0}), UNTESTED),
    ("mu-approaches-minimum", centres({500: 1.0, 784: 2.0}), UNTESTED),
    ("mu-on-saddle-square", centres({500: -2.0, 784: 0.1, 1200: 1.0}), HOLDS),
    ("mu-on-saddle-square", centres({500: -2.0, 784: 0.4, 1200: 0.2}), PART),
    ("mu-on-saddle-square", centres({500: -0.2, 784: 2.0, 1200: 0.1}), FAILS),
    ("mu-on-saddle-square", centres({500: -2.0, 1200: 1.0}), UNTESTED),
]


@pytest.mark.parametrize(("key", "datasets", "verdict"), CASES)
def test_rule(key, datasets, verdict, find):
    assert find(key, datasets).verdict is verdict


def test_noise_alone_shows_no_barrier(find):
    """A parabola with the noise that its errors state, 200 times: no barrier is seen (expected 0.2 at most)."""
    generator = np.random.default_rng(2)
    data = wells(barrier=0.0, error=0.3)["landau_wells"]
    for _ in range(200):
        one = data.assign(mean_force=data.mean_force + 0.3 * generator.normal(size=data.mean_force.shape))
        assert find("double-well-measured", {"landau_wells": one}).verdict is not HOLDS
