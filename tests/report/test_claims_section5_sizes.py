"""Rules of section 5.3 about sizes of the hidden layer on synthetic data, on both sides of their thresholds."""

import numpy as np
import pytest
import xarray as xr
from tests.report.test_claims_section2 import estimates

from rbmscape.report.evidence import LIKELIHOOD
from rbmscape.report.findings import Verdict

HOLDS, PART, FAILS, UNTESTED = Verdict.HOLDS, Verdict.PART, Verdict.FAILS, Verdict.UNTESTED


def centres(mu, data=4.0, wells=(1.0, 1.0, 1.0), scatter=0.05, w=None, gain=0.0, likelihood=True):
    """Three replicas of each size in ``mu`` (size to μ along u of mode 1), trained by the paper's recipe.

    ``w`` are places of μ along w, by default those along u; ``gain`` is what the last quarter of training still brings.
    """
    hidden = np.repeat(list(mu), 3)
    spread = np.tile(scatter * np.array([-1, 0, 1]), len(mu))
    along_u, along_w = (np.repeat(list((places or mu).values()), 3) + spread for places in (mu, w))
    count = hidden.size

    def everywhere(column):
        return (("run", "stage", "mode"), np.repeat(np.asarray(column)[:, None, None], 3, axis=1))

    found = {
        "centres": xr.Dataset(
            {
                "random_u": everywhere(along_u),
                "random_w": everywhere(along_w),
                "data_u": everywhere(np.full(count, data)),
                "data_w": everywhere(np.full(count, data)),
                "double_well": (("run", "stage", "fluctuation"), np.tile(wells, (count, 3, 1))),
                "epoch": ("run", np.full(count, 40.0)),
            },
            coords={
                "recipe": ("run", ["paper"] * count),
                "hidden": ("run", hidden),
                "stage": ["weights", "initial", "trained"],
                "fluctuation": [0.0, 0.25, 1.0],
            },
        )
    }
    curves = {"paper": {m: [-150.0, -110.0, -100.0, -100.0 + gain] for m in mu}}
    return found | (estimates(curves, hidden=tuple(mu)) if likelihood else {})


NEARER, FARTHER = {500: -2.0, 784: -1.0, 1200: 0.5}, {500: 0.5, 784: -1.0, 1200: -2.0}
SAME = {500: 1.0, 784: 1.0, 1200: 1.0}

CASES = [
    ("mu-opposite", centres({500: -2.0, 784: 2.0}), HOLDS),
    ("mu-opposite", centres({500: -0.02, 784: 2.0}), PART),
    ("mu-opposite", centres({500: 2.0, 784: -2.0}), FAILS),
    ("double-well-all-sizes", centres(NEARER), HOLDS),
    ("double-well-all-sizes", centres(NEARER, wells=(1.0, 0.0, 1.0)), PART),
    ("double-well-all-sizes", centres(NEARER, wells=(1.0, 0.0, 0.0)), PART),
    ("double-well-all-sizes", centres(NEARER, wells=(0.0, 0.0, 0.0)), FAILS),
    ("double-well-all-sizes", centres({500: 1.0}), UNTESTED),
    ("mu-approaches-minimum", centres(NEARER), HOLDS),
    # nearer along u, farther along w
    ("mu-approaches-minimum", centres(NEARER, w=FARTHER), PART),
    ("mu-approaches-minimum", centres(NEARER, w=SAME), PART),
    ("mu-approaches-minimum", centres(FARTHER), FAILS),
    ("mu-approaches-minimum", centres(FARTHER, w=SAME), FAILS),
    ("mu-approaches-minimum", centres(SAME), UNTESTED),
    ("mu-approaches-minimum", centres({500: 1.0, 784: 2.0}), UNTESTED),
    # sizes that learn at different speeds are compared when all have learned
    ("mu-approaches-minimum", centres(NEARER, gain=5.0), UNTESTED),
    ("mu-approaches-minimum", centres(NEARER, likelihood=False), UNTESTED),
    ("mu-on-saddle-square", centres({500: -2.0, 784: 0.1, 1200: 1.0}), HOLDS),
    ("mu-on-saddle-square", centres({500: -2.0, 784: 0.4, 1200: 0.2}), PART),
    ("mu-on-saddle-square", centres({500: -0.2, 784: 2.0, 1200: 0.1}), FAILS),
    ("mu-on-saddle-square", centres({500: -2.0, 1200: 1.0}), UNTESTED),
]


@pytest.mark.parametrize(("key", "datasets", "verdict"), CASES)
def test_rule(key, datasets, verdict, find):
    assert find(key, datasets).verdict is verdict


def test_what_keeps_the_trend_from_being_judged_is_said(find):
    finding = find("mu-approaches-minimum", centres(NEARER, gain=5.0))
    assert "has not levelled off: in its last quarter the likelihood still gains 5.00 ± 0.08 nats" in finding.measured
    assert LIKELIHOOD in centres(NEARER)
