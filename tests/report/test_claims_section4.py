"""Rules of section 4 on synthetic data, on both sides of their thresholds."""

import numpy as np
import pytest
import xarray as xr

from rbmscape.report.findings import Verdict

HOLDS, PART, FAILS, UNTESTED = Verdict.HOLDS, Verdict.PART, Verdict.FAILS, Verdict.UNTESTED


def bosons(first=0, last=5):
    return {
        "bosons": xr.Dataset(
            {
                "n_unstable_uniform": ("update", [first, last]),
                "n_unstable_data": ("update", [0, 3]),
                "bare": (("update", "rank"), [[0.1, 0.1], [2.0, 1.0]]),
            }
        )
    }


def relaxation(
    predicted=(-3.0, -2.0, 1.0),
    gaussian=None,
    confined=(5.0, 4.0, 8.0),
    gibbs=None,
    worst=(1.5, 90.0),
    rates=(1.0, 2.0, 3.0),
):
    """One checkpoint, three modes; the first two unstable."""
    predicted = np.asarray(predicted)
    gaussian = predicted if gaussian is None else np.asarray(gaussian)
    expected = np.array(rates)
    gibbs = expected if gibbs is None else np.asarray(gibbs)
    columns = {
        "predicted_u": predicted,
        "predicted_w": 8 - predicted,
        "gaussian_u": gaussian,
        "gaussian_u_stderr": np.full(3, 0.05),
        "gaussian_w": 8 - predicted,
        "confined_u": confined,
        "confined_u_stderr": np.full(3, 0.5),
        "gibbs": gibbs,
        "gibbs_stderr": np.full(3, 0.1),
        "predicted_gibbs": expected,
    }
    return {
        "relaxation": xr.Dataset(
            {name: (("checkpoint", "mode"), np.asarray(values)[None]) for name, values in columns.items()},
            attrs={"n_rates": 6, "worst_z": worst[0], "worst_z_printed": worst[1]},
        )
    }


def images(off=0.0, energy=0.0, small=(0.0, 0.0), passing=0.0, equilibrated=1):
    """Stages of the confined diffusion: at D = 1, and a quench at a smaller D, seen on its way and at its end.

    ``off`` moves the means at D = 1; ``small`` are the means' shift and the energy at the end of the quench.
    """
    stages = ["start", "D = 1", "D = 0.1, t = 1", "D = 0.1, t = 8", "Gibbs"]
    mean = np.zeros((5, 10))
    mean[1] += off
    mean[2] += 2.0
    mean[3] += small[0]
    column = (("stage", "mode"), np.full((5, 10), 0.1))
    return {
        "diffused_images": xr.Dataset(
            {
                "mean": (("stage", "mode"), mean),
                "mean_stderr": column,
                "sd": (("stage", "mode"), np.ones((5, 10))),
                "sd_stderr": column,
                "free_energy": ("stage", [900.0, energy, passing, small[1], 0.0]),
                "free_energy_sd": ("stage", np.full(5, 20.0)),
                "n_states": ("stage", np.full(5, 100.0)),
                "end": ("stage", [0.0, 1.0, 0.0, 1.0, 0.0]),
            },
            coords={"stage": stages},
            attrs={"n_chains": 100, "samples_equilibrated": equilibrated},
        )
    }


def potentials(gaussian=(0.5, 0.6), full=(0.1, 0.2), curvature=(-3.0, -1.0), noise=0.02, equilibrated=1):
    """An early and the last model; only the last one counts."""
    variables = {
        "curvature": curvature,
        "distance_harmonic": (1.0, 1.0),
        "distance_gaussian": gaussian,
        "distance_relaxed": full,
        "distance_noise": (noise, noise),
    }
    return {
        "mode_potentials": xr.Dataset(
            {name: (("model", "mode"), [[-1.0, -1.0], list(values)]) for name, values in variables.items()},
            attrs={"samples_equilibrated": equilibrated},
        )
    }


def gaussianity(untrained=0, kurtosis=3.2, distance=0.3, level=0.1, equilibrated=1):
    """``untrained`` of 200 p-values are tiny; exact kurtosis of random states and distance of the model's own "
    "states."""
    pvalues = np.full((2, 2, 100), 0.5)
    pvalues[0].ravel()[:untrained] = 1e-6
    dims = ("model", "layer", "mode")
    exact = np.full((2, 2, 100), 2.99)
    exact[1] = kurtosis
    return {
        "gaussianity": xr.Dataset(
            {
                "pvalue": (dims, pvalues),
                "exact_kurtosis": (dims, exact),
                "distance": (dims, np.full((2, 2, 100), 0.02)),
                "state_distance": (("layer", "mode"), np.full((2, 100), distance)),
            },
            coords={"model": ["untrained", "trained"], "layer": ["x", "y"]},
            attrs={"state_level": level, "samples_equilibrated": equilibrated},
        )
    }


def some(share, of=0.3, rest=0.01):
    """(2, 100) values, a share of them large."""
    values = np.full(200, rest)
    values[: int(share * 200)] = of
    return values.reshape(2, 100)


CASES = [
    ("random-projections-gaussian", gaussianity(untrained=4), HOLDS),
    ("random-projections-gaussian", gaussianity(untrained=40), PART),
    ("random-projections-gaussian", gaussianity(untrained=160), FAILS),
    ("trained-projections-not-gaussian", gaussianity(), HOLDS),
    ("trained-projections-not-gaussian", gaussianity(kurtosis=2.99), PART),
    ("trained-projections-not-gaussian", gaussianity(distance=0.05), PART),
    ("trained-projections-not-gaussian", gaussianity(kurtosis=2.99, distance=some(0.2)), PART),
    ("trained-projections-not-gaussian", gaussianity(kurtosis=2.99, distance=some(0.05)), FAILS),
    ("trained-projections-not-gaussian", gaussianity(kurtosis=2.99, distance=0.05, level=0.3), UNTESTED),
    ("trained-projections-not-gaussian", gaussianity(equilibrated=0), UNTESTED),
    ("modes-beyond-threshold", bosons(), HOLDS),
    ("modes-beyond-threshold", bosons(first=1), PART),
    ("modes-beyond-threshold", bosons(last=0), FAILS),
    ("rates-are-levels", relaxation(worst=(90.0, 1.0)), HOLDS),
    ("rates-are-levels", relaxation(), PART),
    ("rates-are-levels", relaxation(worst=(90.0, 80.0)), FAILS),
    ("gaussian-diffusion-diverges", relaxation(), HOLDS),
    ("gaussian-diffusion-diverges", relaxation(gaussian=(-3.0, -1.0, 1.0)), PART),
    ("gaussian-diffusion-diverges", relaxation(gaussian=(3.0, 2.0, 1.0)), FAILS),
    ("gaussian-diffusion-diverges", relaxation(predicted=(3.0, 2.0, 1.0)), UNTESTED),
    ("constraint-confines", relaxation(), HOLDS),
    ("constraint-confines", relaxation(confined=(5.0, 0.2, 8.0)), PART),
    ("constraint-confines", relaxation(confined=(-5.0, -4.0, 8.0)), FAILS),
    ("constraint-confines", relaxation(confined=(np.nan, np.nan, 8.0)), UNTESTED),
    ("higher-orders-needed", potentials(), HOLDS),
    ("higher-orders-needed", potentials(full=(0.1, 0.9)), PART),
    # the printed second order has no minimum and cannot win; the best one can
    ("higher-orders-needed", potentials(gaussian=(0.05, 0.1)), FAILS),
    ("higher-orders-needed", potentials(gaussian=(0.03, 0.03), full=(0.01, 0.01)), FAILS),
    ("higher-orders-needed", potentials(curvature=(1.0, 2.0)), UNTESTED),
    ("higher-orders-needed", potentials(equilibrated=0), UNTESTED),
    ("levels-are-gibbs-rates", relaxation(gibbs=(1.05, 1.9, 3.1)), HOLDS),
    ("levels-are-gibbs-rates", relaxation(gibbs=(2.0, 4.0, 6.0)), PART),
    ("levels-are-gibbs-rates", relaxation(gibbs=(9.0, 6.0, 0.2)), FAILS),
    ("levels-are-gibbs-rates", relaxation(gibbs=(1.0, 2.0, np.nan)), UNTESTED),
    # d = 0.95 in a finite layer relaxes as if d were 0.915, an effect of order 1/N that is none of the levels'
    ("levels-are-gibbs-rates", relaxation(rates=(0.1, 2.0, 3.0), gibbs=(0.18, 2.0, 3.0)), UNTESTED),
    ("diffusion-generates", images(), HOLDS),
    ("diffusion-generates", images(off=2.0, energy=100.0, small=(0.0, 10.0)), PART),
    ("diffusion-generates", images(off=2.0, energy=100.0, small=(0.0, 90.0)), FAILS),
    # an energy that passes the samples' on its way down, or that alone agrees
    ("diffusion-generates", images(off=2.0, energy=100.0, small=(2.0, -90.0), passing=0.0), FAILS),
    ("diffusion-generates", images(off=2.0, energy=100.0, small=(2.0, 0.0)), FAILS),
    ("diffusion-generates", images(equilibrated=0), UNTESTED),
]


@pytest.mark.parametrize(("key", "datasets", "verdict"), CASES)
def test_rule(key, datasets, verdict, find):
    assert find(key, datasets).verdict is verdict


def test_a_missing_variable_is_named(find):
    data = relaxation()["relaxation"].drop_vars("gibbs")
    finding = find("levels-are-gibbs-rates", {"relaxation": data})
    assert finding.verdict is UNTESTED
    assert "no 'gibbs'" in finding.measured
