"""The verdict on samples: what it demands, and what it says."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rbmscape.sampling.verdict import (
    MAX_DRIFT,
    MAX_R_HAT,
    MIN_ESS,
    EquilibriumVerdict,
    mixing_doubts,
    trace_diagnostics,
)

GOOD = (MIN_ESS, MAX_R_HAT, MAX_DRIFT)


@pytest.mark.parametrize(
    ("measured", "words", "named"),
    [
        ((MIN_ESS - 1, *GOOD[1:]), "399 independent draws, fewer than 400", "rung 2 holds 399 independent draws"),
        ((math.nan, *GOOD[1:]), "nan independent draws", "rung 2 holds nan independent draws"),
        ((GOOD[0], 1.02, GOOD[2]), "R-hat is 1.020, above 1.01", "R-hat of rung 2 is 1.020"),
        ((*GOOD[:2], 4.5), "drift of 4.5 standard errors", "rung 2 still drifts by 4.5 standard errors"),
        ((GOOD[0], math.nan, GOOD[2]), "the states never changed", "the states on rung 2 never changed"),
    ],
)
def test_each_demand_has_its_words_and_the_limits_themselves_pass(measured, words, named):
    assert mixing_doubts(*GOOD) == []
    (found,) = mixing_doubts(*measured)
    assert found.startswith(words)
    (found,) = mixing_doubts(*measured, "rung 2")
    assert found.startswith(named)


def test_one_sentence():
    fine = EquilibriumVerdict((), 500.0, 1.001, 0.3, "8 rungs")
    assert fine.converged
    assert str(fine) == "nothing speaks against equilibrium (8 rungs)"
    assert fine.facts == {
        "samples_r_hat": 1.001, "samples_ess": 500.0, "samples_equilibrated": 1, "samples_objections": "",
    }  # fmt: skip
    bad = EquilibriumVerdict(("R-hat is 1.200, above 1.01", "drift of 5.0 standard errors"))
    assert str(bad) == "not shown to be in equilibrium: R-hat is 1.200, above 1.01; drift of 5.0 standard errors"
    assert repr(bad) == f"EquilibriumVerdict({bad})"
    assert not EquilibriumVerdict.unjudged("nobody looked").converged


def test_independent_draws_pass_and_stuck_chains_do_not():
    """The control: chains that stay where they started are seen by R-hat, ones that all move together by the drift."""
    generator = np.random.default_rng(3)
    free = generator.standard_normal((100, 16, 2))
    start = generator.standard_normal((100, 2))
    assert mixing_doubts(*trace_diagnostics(free, start)) == []
    stuck = 0.1 * free + start[:, None]
    assert "R-hat" in mixing_doubts(*trace_diagnostics(stuck, start))[0]
    moving = free + np.linspace(0, 1, 16)[:, None]
    assert any("drift" in words for words in mixing_doubts(*trace_diagnostics(moving, start)))
