"""Budgets of tempering: multiply-adds bound the rounds, and leave time for a passage where there is any."""

from __future__ import annotations

import pytest
import torch

from rbmscape import RBM
from rbmscape.errors import InputError
from rbmscape.sampling.budget import (
    FEWEST_ROUNDS,
    MAX_ROUNDS,
    OVERHEAD,
    affordable_chains_and_rounds,
    affordable_rounds,
    round_cost,
)


def test_rounds_follow_from_the_budget_within_their_limits():
    rbm = RBM(torch.zeros(30, 20), torch.zeros(30), torch.zeros(20))
    one = 7 * round_cost(11, 30, 20)
    assert one == 7 * 11 * (600 + OVERHEAD)
    for rounds in (40.0, 40.9):
        assert affordable_rounds(rounds * one, 11, 7, rbm) == 40
    assert affordable_rounds(one, 11, 7, rbm) == FEWEST_ROUNDS
    assert affordable_rounds(1e6 * one, 11, 7, rbm) == MAX_ROUNDS == affordable_rounds(None, 11, 7, rbm)
    assert affordable_rounds(None, 11, 7, rbm, 4096) == 4096
    for wrong in (0.0, -1.0, float("nan"), "much"):
        with pytest.raises(InputError, match="budget must be"):
            affordable_rounds(wrong, 11, 7, rbm)


@pytest.mark.parametrize(("hidden", "rungs"), [(20, 10), (500, 50), (3000, 60), (3000, 130), (3000, 400), (9000, 400)])
def test_the_budget_bounds_the_work_but_for_one_passage_within_four_of_it(hidden, rungs):
    rbm = RBM(torch.zeros(784, hidden), torch.zeros(784), torch.zeros(hidden))
    n_chains, rounds = affordable_chains_and_rounds(1e12, rungs, 100, rbm)
    assert rounds & (rounds - 1) == 0
    assert 32 <= n_chains <= 100
    one = n_chains * rungs * (784 * hidden + OVERHEAD)
    assert one * rounds <= 1e12 or (n_chains == 32 and (one * rounds <= 4e12 or rounds == 64))
    assert rounds >= min(1024, 2 * (rungs + 1)) or 2.0 * one * rounds > 4e12, (
        "no passage, although there is time for it"
    )
