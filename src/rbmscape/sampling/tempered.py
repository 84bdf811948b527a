r"""What replica exchange leaves, and whether to believe that it is in equilibrium.

Columns are many and short, so that the rules are those of Vehtari et al. (Bayesian Analysis 16, 667, 2021) for four
chains, each of which is here a group of columns (Margossian et al., Bayesian Analysis, 2024):

1. nested R-hat below 1.01, the groups made by where the columns started: what is left of the start moves the mean of a
   group by at most 0.14 of the spread of a quantity;
2. bulk effective sample size of at least 400, one hundred a group;
3. no drift of the means over the recorded rounds, no pair of rungs without exchanges, and at least one replica a column
   that was drawn afresh at the bottom and reached the top.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.sampling.diagnostics import effective_sample_size, nested_r_hat, r_hat

__all__ = ["MAX_R_HAT", "MIN_ESS", "Tempered", "mixing_doubts", "trace_diagnostics"]

FloatArray = NDArray[np.float64]
MAX_R_HAT = 1.01
MIN_ESS = 400.0
N_GROUPS = 4
MAX_DRIFT = 4.0
MIN_ACCEPTANCE = 0.05
MIN_PASSAGES = 1.0


@dataclass(frozen=True, slots=True)
class Tempered:
    """Samples of every rung and what is known about them.

    Attributes
    ----------
    v : (n_chains, N) uint8, last states on the top rung; one independent column each
    states : (n_rungs, n_chains, N) uint8, last states on all rungs
    acceptance : (n_rungs - 1,) mean acceptance of the exchanges between rungs r and r + 1
    passages : (n_chains,) how often a fresh draw of the lowest rung has climbed to the top of this column
    renewed : fraction of the columns whose top state descends from such a draw made during the run
    trace : (n_chains, n_draws, 1 + k) after burn-in: free energy and k leading modes of the top state, round by round
    ess, r_hat : the worst over these quantities of their bulk effective sample size (all columns) and of the nested
        R-hat of four groups of columns, made by where they started
    drift : largest change of their means over the columns between the first and the last third of the trace, in
        standard errors; the columns are independent, so that it is normal in equilibrium
    forward, backward : for each pair of rungs, (n_chains, n_kept) values of F_r - F_{r+1} at states of the lower and
        of the upper rung
    n_rounds : rounds made
    """

    v: Tensor
    states: Tensor
    acceptance: FloatArray
    passages: NDArray[np.int64]
    renewed: float
    trace: FloatArray
    ess: float
    r_hat: float
    drift: float
    forward: tuple[FloatArray, ...]
    backward: tuple[FloatArray, ...]
    n_rounds: int

    @property
    def objections(self) -> tuple[str, ...]:
        """Why the samples may not be equilibrated; empty if nothing speaks against them."""
        found = mixing_doubts("the top rung", self.ess, self.r_hat, self.drift)
        if self.acceptance.size and self.acceptance.min() < MIN_ACCEPTANCE:
            worst = int(self.acceptance.argmin())
            found.append(
                f"exchanges between rungs {worst} and {worst + 1} are accepted with probability "
                f"{self.acceptance[worst]:.3f}, below {MIN_ACCEPTANCE}"
            )
        if self.passages.mean() < MIN_PASSAGES:
            found.append(
                f"fresh states reached the top {self.passages.mean():.2f} times a chain, fewer than {MIN_PASSAGES:g}"
            )
        return tuple(found)

    @property
    def converged(self) -> bool:
        """Whether nothing speaks against equilibrium."""
        return not self.objections

    @property
    def verdict(self) -> str:
        """One sentence."""
        facts = (
            f"{len(self.acceptance) + 1} rungs, {self.n_rounds} rounds, R-hat {self.r_hat:.3f}, {self.ess:.0f} "
            f"independent draws, {self.passages.mean():.1f} fresh states a chain"
        )
        return f"nothing speaks against equilibrium ({facts})" if self.converged else "; ".join(self.objections)


def mixing_doubts(rung: str, ess: float, r_hat: float, drift: float) -> list[str]:
    """What `trace_diagnostics` of the states on a rung say against equilibrium, with the rung's name in each clause."""
    if np.isnan(r_hat):
        return [f"the states on {rung} never changed"]
    found = []
    if r_hat > MAX_R_HAT:
        found.append(f"R-hat of {rung} is {r_hat:.3f}, above {MAX_R_HAT}")
    if not ess >= MIN_ESS:
        found.append(f"{rung} holds {ess:.0f} independent draws, fewer than {MIN_ESS:g}")
    if drift > MAX_DRIFT:
        found.append(f"{rung} still drifts, by {drift:.1f} standard errors during the recorded rounds")
    return found


def trace_diagnostics(trace: FloatArray, start: FloatArray) -> tuple[float, float, float]:
    """Smallest ESS, largest R-hat and largest drift of the quantities in a trace.

    Parameters
    ----------
    trace : (n_chains, n_draws, k)
    start : (n_chains, k) values before the first round
    """
    n_groups = min(N_GROUPS, len(trace) // 2)
    ess = effective_sample_size(trace, "bulk")
    rhat = nested_r_hat(trace, start, n_groups) if n_groups > 1 else r_hat(trace)
    known, moved = ess[~np.isnan(ess)], rhat[~np.isnan(rhat)]
    smallest, largest = (float(f(x)) if x.size else float("nan") for f, x in ((np.min, known), (np.max, moved)))
    return smallest, largest, _drift(trace)


def _drift(trace: FloatArray) -> float:
    """Largest change between the thirds of a trace (n_chains, n_draws, k), in standard errors over the chains."""
    third = trace.shape[1] // 3
    change = trace[:, -third:].mean(1) - trace[:, :third].mean(1)
    if len(change) < 2:
        return 0.0
    error = change.std(0, ddof=1) / np.sqrt(len(change))
    return float(np.max(np.abs(change.mean(0)) / np.where(error > 0.0, error, np.inf)))
