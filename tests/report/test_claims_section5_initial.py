"""Rules on the first transition by size and by initial weights on synthetic data, on both sides of their thresholds."""

import numpy as np
import pytest
import xarray as xr

from rbmscape.report.findings import Verdict

HOLDS, PART, FAILS, UNTESTED = Verdict.HOLDS, Verdict.PART, Verdict.FAILS, Verdict.UNTESTED


def runs(paper, wide=None, error=2.0, scatter=1.0):
    """Size to critical update of the recipe nearest to the paper's and of one with wider weights, three replicas "
    "each."""
    rows = [
        (recipe, m, replica, update + scatter * (replica - 1), std)
        for recipe, by_size, std in (("paper", paper, 0.01), ("wide", wide or {}, 0.1))
        for m, update in by_size.items()
        for replica in range(3)
    ]
    recipe, hidden, replica, critical, std = (np.array(column) for column in zip(*rows, strict=True))
    return {
        "transitions": xr.Dataset(
            {
                "critical": ("run", critical),
                "critical_stderr": ("run", np.where(np.isfinite(critical), error, np.nan)),
                "weight_std": ("run", std),
            },
            coords={"run_recipe": ("run", recipe), "run_hidden": ("run", hidden), "run_replica": ("run", replica)},
        )
    }


EARLIER, SAME = {500: 80.0, 784: 60.0, 1200: 40.0}, {500: 60.0, 784: 60.0, 1200: 60.0}
LATER = {500: 40.0, 784: 60.0, 1200: 80.0}
LATE, NEVER = {500: 60.0, 784: 300.0}, {500: np.nan, 784: np.nan}

CASES = [
    ("transition-all-sizes", runs(EARLIER), HOLDS),
    ("transition-all-sizes", runs(LATE), PART),
    ("transition-all-sizes", runs({500: 60.0, 784: np.nan}), PART),
    ("transition-all-sizes", runs(NEVER), FAILS),
    ("transition-all-sizes", runs({500: 60.0}), UNTESTED),
    ("initial-size-matters", runs(EARLIER), HOLDS),
    ("initial-size-matters", runs(LATER), FAILS),
    ("initial-size-matters", runs(SAME), UNTESTED),
    ("initial-size-matters", runs(LATE), UNTESTED),
    # checkpoints that are farther apart than the trend reaches resolve nothing
    ("initial-size-matters", runs(EARLIER, error=60.0), UNTESTED),
    ("initial-width-matters", runs(SAME, EARLIER | {500: 40.0, 784: 40.0}), HOLDS),
    ("initial-width-matters", runs(SAME, {500: 20.0, 784: 60.0}), PART),
    ("initial-width-matters", runs(SAME, {500: 90.0, 784: 90.0}), FAILS),
    ("initial-width-matters", runs(SAME, SAME), UNTESTED),
    ("initial-width-matters", runs(SAME), UNTESTED),
]


@pytest.mark.parametrize(("key", "datasets", "verdict"), CASES)
def test_rule(key, datasets, verdict, find):
    assert find(key, datasets).verdict is verdict
