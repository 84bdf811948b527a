"""Rules of section 5.3 about one run on synthetic data, on both sides of their thresholds."""

import numpy as np
import pytest
import xarray as xr

from rbmscape.report.findings import Verdict

HOLDS, PART, FAILS, UNTESTED = Verdict.HOLDS, Verdict.PART, Verdict.FAILS, Verdict.UNTESTED


def wells(
    held=(1, 2), averaged=(1, 2), printed=(1, 2), turn=50.0, minima=(-5.0, 6.0), reach=(-20.0, 20.0), barrier=2.0,
    error=0.1, data=5.5, samples=5.8, cause=(2.0, 1.0, 1.0), equilibrated=1.0,
):  # fmt: skip
    """Three checkpoints, the second one at ``turn``, from which on the last numbers of wells hold.

    100 updates are an epoch.  Numbers of wells that states can reach for s² = 0, ¼ and 1; ``cause`` are those with both
    causes, growth alone and shift alone.
    """
    z = np.linspace(-2, 2, 21)
    curve = barrier * (z**2 - 1) ** 2 if barrier else z**2
    counts = np.array([[one[0], one[1], one[1]] for one in (held, averaged, printed)], dtype=float)
    return {
        "landau_wells": xr.Dataset(
            {
                "wells": (("fluctuation", "update", "mode"), counts[..., None]),
                "reach": (("update", "mode", "end"), np.tile(reach, (3, 1, 1)).astype(float)),
                "mu": (("update", "mode"), [[0.1], [0.5], [2.0]]),
                "singular_value": (("update", "mode"), [[0.5], [4.0], [20.0]]),
                "minimum": (
                    ("fluctuation", "update", "well"),
                    np.array([[[0, np.nan], minima, minima]] * 3, dtype=float),
                ),
                "cause_wells": (("fluctuation", "cause"), np.tile(cause, (3, 1))),
                "data_mean": ("shown", [data]),
                "data_sd": ("shown", [1.0]),
                "samples_mean": ("shown", [samples]),
                "samples_sd": ("shown", [1.0]),
                "mean_force": (("shown", "bin"), curve[None]),
                "mean_force_stderr": (("shown", "bin"), np.full((1, 21), error)),
                "samples_equilibrated": ("update", [0.0, 0.0, equilibrated]),
            },
            coords={
                "fluctuation": [0.0, 0.25, 1.0],
                "update": [0.0, turn, 400.0],
                "cause": ["both", "growth alone", "shift alone"],
            },
        )
    }


def transitions(measured=(60.0, 70.0), equilibrated=(1.0, 1.0, 0.0)):
    mean = float(np.nanmean(measured)) if np.isfinite(measured).any() else np.nan
    return {
        "transitions": xr.Dataset(
            {
                "measured": (("replica", "mode"), np.asarray(measured)[:, None]),
                "measured_mean": ("mode", [mean]),
                "measured_mean_stderr": ("mode", [3.0]),
                "predicted_mean": ("mode", [55.0]),
                "predicted_mean_stderr": ("mode", [2.0]),
                "samples_equilibrated": (("replica", "update"), np.tile(equilibrated, (len(measured), 1))),
            },
            coords={"update": [0, 100, 500]},
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


CASES = [
    ("double-well-early", wells(), HOLDS),
    # with one of the two variances only: the verdict must not hinge on which of them is meant
    ("double-well-early", wells(averaged=(1, 1)), PART),
    ("double-well-early", wells(printed=(1, 1)), PART),
    ("double-well-early", wells(turn=250.0), PART),
    ("double-well-early", wells((1, 1), (1, 1), (1, 1)), FAILS),
    ("double-well-early", wells((2, 2), (2, 2), (2, 2)), FAILS),
    # minima of the truncated quartic at -42 and 44 lie where no state is
    ("double-well-early", wells((1, 0), (1, 0), (1, 0), minima=(-42.0, 44.0)), FAILS),
    ("double-well-measured", wells(), HOLDS),
    ("double-well-measured", wells(barrier=0.0), FAILS),
    ("double-well-measured", wells(error=1.0), UNTESTED),
    ("double-well-measured", wells(equilibrated=0.0), UNTESTED),
    ("ferromagnetic-transition", transitions(), HOLDS),
    ("ferromagnetic-transition", transitions((60.0, np.nan), (1.0, 1.0, 1.0)), PART),
    ("ferromagnetic-transition", transitions((60.0, 300.0), (1.0, 1.0, 1.0)), PART),
    ("ferromagnetic-transition", transitions((np.nan, np.nan)), FAILS),
    ("ferromagnetic-transition", transitions((60.0, 300.0)), UNTESTED),
    ("double-well-asymmetric", wells(), HOLDS),
    ("double-well-asymmetric", wells(minima=(-5.0, 5.01)), FAILS),
    ("double-well-asymmetric", wells((1, 1), (1, 1), (1, 1)), UNTESTED),
    ("double-well-asymmetric", wells((1, 0), (1, 0), (1, 0), minima=(-42.0, 44.0)), UNTESTED),
    ("landau-minimum-at-data", wells(), HOLDS),
    ("landau-minimum-at-data", wells(samples=1.0), PART),
    ("landau-minimum-at-data", wells(data=1.0, samples=1.0), FAILS),
    ("landau-minimum-at-data", wells(minima=(-42.0, 44.0), data=43.5, samples=43.5), FAILS),
    ("landau-minimum-at-data", wells(equilibrated=0.0), UNTESTED),
    ("symmetry-breaking-cause", wells(), HOLDS),
    ("symmetry-breaking-cause", wells(cause=(2.0, 2.0, 1.0)), PART),
    ("symmetry-breaking-cause", wells(cause=(2.0, 1.0, 2.0)), FAILS),
    ("symmetry-breaking-cause", wells(cause=(1.0, 1.0, 1.0)), UNTESTED),
    ("w-flattens", course(value_end=0.1), HOLDS),
    ("w-flattens", course(), PART),
    ("w-flattens", course(drift_w=3.0), FAILS),
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
