"""The rule on Gibbs steps against training on synthetic rates, on both sides of its threshold."""

import numpy as np
import pytest
import xarray as xr

from rbmscape.report.findings import Verdict

HOLDS, PART, FAILS, UNTESTED = Verdict.HOLDS, Verdict.PART, Verdict.FAILS, Verdict.UNTESTED


def rates(slowest, error=0.02):
    """Rates a step of a fast mode and of the slowest one at some checkpoints; NaN where it is too slow to be timed."""
    slow = np.asarray(slowest, dtype=float)
    value = np.stack([slow + 1.0, slow], axis=1)
    return {
        "relaxation": xr.Dataset(
            {
                "gibbs": (("checkpoint", "mode"), value),
                "gibbs_stderr": (("checkpoint", "mode"), np.where(np.isfinite(value), error, np.nan)),
                "update": ("checkpoint", 10 * np.arange(slow.size)),
            }
        )
    }


CASES = [
    ("gibbs-steps-grow", rates([2.0, 1.0, 0.5]), HOLDS),
    ("gibbs-steps-grow", rates([2.0, 1.0, np.nan]), HOLDS),
    ("gibbs-steps-grow", rates([2.0, 0.5, 1.0]), PART),
    ("gibbs-steps-grow", rates([1.0, 1.0, 1.0]), FAILS),
    ("gibbs-steps-grow", rates([2.0, 1.0, 0.5], error=2.0), FAILS),
]


@pytest.mark.parametrize(("key", "datasets", "verdict"), CASES)
def test_rule(key, datasets, verdict, find):
    assert find(key, datasets).verdict is verdict


def test_checkpoints_that_are_too_slow_to_be_timed_are_counted(find):
    assert "At 1 later checkpoint(s)" in find("gibbs-steps-grow", rates([2.0, 1.0, np.nan])).measured
    assert find("gibbs-steps-grow", rates([2.0, np.nan, np.nan])).verdict is UNTESTED
