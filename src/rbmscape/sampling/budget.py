r"""What replica exchange may cost, in one unit for all that samples: multiply-adds of one layer's field.

How many rungs a ladder has is known only when it stands, and a round on it costs their number times the chains times
N M.  A limit in rounds would therefore promise no time, and one in seconds would make results depend on the machine and
on what else runs there.  Multiply-adds can be named beforehand, cost the same everywhere, and are what a plan's time is
estimated from: 1e12 of them take about a minute for M = 500 on two processor cores, two for M = 3000.

Rounds are an outcome (``n_rounds`` of every result), and a guard beside the budget: `MAX_ROUNDS`.
"""

from __future__ import annotations

from rbmscape.checks import check_positive
from rbmscape.model.rbm import RBM

__all__ = [
    "FEWEST_ROUNDS",
    "MAX_ROUNDS",
    "OVERHEAD",
    "affordable_chains_and_rounds",
    "affordable_rounds",
    "chains_in_memory",
    "round_cost",
]

FEWEST_ROUNDS = 16
"""Fewer leave nothing that R-hat and effective sizes could be computed from."""
MAX_ROUNDS = 1024
"""A guard beside the budget, so that chains that cannot get anywhere end."""
OVERHEAD = 1.5e5
"""Multiply-adds in the time of all else that a Gibbs step and an exchange of one replica take."""
FEWEST_CHAINS = 32
_PASSAGE_FROM = 64
_OVERRUN = 4
_BYTES_OF_STATES = 500_000_000


def round_cost(n_rungs: int, n_visible: int, n_hidden: int) -> float:
    """Multiply-adds of one round of one chain."""
    return n_rungs * (n_visible * n_hidden + OVERHEAD)


def affordable_rounds(budget: float | None, n_rungs: int, n_chains: int, rbm: RBM, most: int = MAX_ROUNDS) -> int:
    """Rounds at most, for a given number of chains.

    Parameters
    ----------
    budget : multiply-adds; None sets no limit but `most`

    Raises
    ------
    InputError : a budget that is not above 0
    """
    if budget is None:
        return most
    rounds = check_positive("budget", budget) / (n_chains * round_cost(n_rungs, rbm.n_visible, rbm.n_hidden))
    return int(min(most, max(FEWEST_ROUNDS, rounds)))


def chains_in_memory(n_rungs: int, n_visible: int) -> int:
    """Chains whose states on all rungs, four bytes a unit, take half a gigabyte; at least 32."""
    return max(FEWEST_CHAINS, _BYTES_OF_STATES // (4 * n_rungs * n_visible))


def affordable_chains_and_rounds(budget: float, n_rungs: int, n_chains: int, rbm: RBM) -> tuple[int, int]:
    """Chains, and a power of 2 of rounds at most, where chains may be given up for rounds.

    Rounds are at least as many as one passage up the ladder needs, 2(R + 1) at acceptance ½, also where that is more
    than the budget, but not where it is more than four times as much.

    Parameters
    ----------
    budget : multiply-adds
    n_chains : as many as are wanted; at least 32 of them (or all) are kept
    """
    chain_rounds = budget / round_cost(n_rungs, rbm.n_visible, rbm.n_hidden)
    needed = min(MAX_ROUNDS, max(_PASSAGE_FROM, 1 << (2 * n_rungs + 1).bit_length()))
    kept = min(n_chains, max(FEWEST_CHAINS, int(chain_rounds / needed)))
    rounds, longest = (_power_below(times * chain_rounds / kept) for times in (1, _OVERRUN))
    return kept, min(MAX_ROUNDS, max(rounds, min(needed, max(_PASSAGE_FROM, longest))))


def _power_below(number: float) -> int:
    """The largest power of 2 that is not larger, at least 1."""
    return 1 << (max(1, int(number)).bit_length() - 1)
