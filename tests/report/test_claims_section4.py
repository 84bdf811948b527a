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


def relaxation(predicted=(-3.0, -2.0, 1.0), gaussian=None, confined=(5.0, 4.0, 8.0), gibbs=None, worst=(1.5, 90.0)):
    """One checkpoint, three modes; the first two unstable."""
    predicted = np.asarray(predicted)
    gaussian = predicted if gaussian is None else np.asarray(gaussian)
    expected = np.array([1.0, 2.0, 3.0])
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


def images(off=0.0, energy=0.0, small=0.0):
    """Stages of the confined diffusion: at D = 1 and at a smaller D."""
    stages = ["start", "D = 1", "D = 0.1", "Gibbs"]
    mean = np.zeros((4, 10))
    mean[1] += off
    column = (("stage", "mode"), np.full((4, 10), 0.1))
    return {
        "diffused_images": xr.Dataset(
            {
                "mean": (("stage", "mode"), mean),
                "mean_stderr": column,
                "sd": (("stage", "mode"), np.ones((4, 10))),
                "sd_stderr": column,
                "free_energy": ("stage", [900.0, energy, small, 0.0]),
                "free_energy_sd": ("stage", np.full(4, 20.0)),
            },
            coords={"stage": stages},
            attrs={"n_chains": 100},
        )
    }


def potentials(harmonic=(0.9, 0.8), full=(0.1, 0.2), curvature=(-3.0, -1.0)):
    return {
        "mode_potentials": xr.Dataset(
            {
                "curvature": (("model", "mode"), [list(curvature)]),
                "distance_harmonic": (("model", "mode"), [list(harmonic)]),
                "distance_relaxed": (("model", "mode"), [list(full)]),
            }
        )
    }


def gaussianity(untrained=0, trained=150):
    """Numbers of 200 p-values that are tiny."""
    pvalues = np.full((2, 2, 100), 0.5)
    for model, count in enumerate((untrained, trained)):
        pvalues[model].ravel()[:count] = 1e-6
    dims = ("model", "layer", "mode")
    return {
        "gaussianity": xr.Dataset(
            {
                "pvalue": (dims, pvalues),
                "exact_kurtosis": (dims, np.full((2, 2, 100), 2.99)),
                "distance": (dims, np.full((2, 2, 100), 0.02)),
            },
            coords={"model": ["untrained", "trained"], "layer": ["x", "y"]},
        )
    }


CASES = [
    ("random-projections-gaussian", gaussianity(untrained=4), HOLDS),
    ("random-projections-gaussian", gaussianity(untrained=40), PART),
    ("random-projections-gaussian", gaussianity(untrained=160), FAILS),
    ("trained-projections-not-gaussian", gaussianity(trained=150), HOLDS),
    ("trained-projections-not-gaussian", gaussianity(trained=40), PART),
    ("trained-projections-not-gaussian", gaussianity(trained=4), FAILS),
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
    ("higher-orders-needed", potentials(full=(0.95, 0.9)), FAILS),
    ("higher-orders-needed", potentials(curvature=(1.0, 2.0)), UNTESTED),
    ("levels-are-gibbs-rates", relaxation(gibbs=(1.05, 1.9, 3.1)), HOLDS),
    ("levels-are-gibbs-rates", relaxation(gibbs=(2.0, 4.0, 6.0)), PART),
    ("levels-are-gibbs-rates", relaxation(gibbs=(9.0, 6.0, 0.2)), FAILS),
    ("levels-are-gibbs-rates", relaxation(gibbs=(1.0, 2.0, np.nan)), UNTESTED),
    ("diffusion-generates", images(), HOLDS),
    ("diffusion-generates", images(off=2.0, energy=100.0, small=10.0), PART),
    ("diffusion-generates", images(off=2.0, energy=100.0, small=90.0), FAILS),
]


@pytest.mark.parametrize(("key", "datasets", "verdict"), CASES)
def test_rule(key, datasets, verdict, find):
    assert find(key, datasets).verdict is verdict


def test_a_missing_variable_is_named(find):
    data = relaxation()["relaxation"].drop_vars("gibbs")
    finding = find("levels-are-gibbs-rates", {"relaxation": data})
    assert finding.verdict is UNTESTED
    assert "no 'gibbs'" in finding.measured
