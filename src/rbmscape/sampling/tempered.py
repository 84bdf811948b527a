r"""What replica exchange leaves, and whether to believe that it is in equilibrium.

A chain is here a column of replicas, one on each rung; chains do not interact.  Beside the demands on every set of
chains (`rbmscape.sampling.verdict`), no pair of rungs may be without exchanges, and at least one replica a chain must
have been drawn afresh at the bottom and have reached the top.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.brief import OneLine
from rbmscape.sampling.rungs import summary
from rbmscape.sampling.verdict import EquilibriumVerdict, mixing_doubts

__all__ = ["MIN_ACCEPTANCE", "MIN_PASSAGES", "Tempered"]

FloatArray = NDArray[np.float64]
MIN_ACCEPTANCE = 0.05
MIN_PASSAGES = 1.0


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Tempered(OneLine):
    """States on every rung, the exchanges between them, and what is known about them.

    Attributes
    ----------
    v : (n_chains, N) uint8, last states on the top rung; one independent chain each
    states : (n_rungs, n_chains, N) uint8, last states on all rungs
    acceptance : (n_rungs - 1,) mean acceptance of the exchanges between rungs r and r + 1
    passages : (n_chains,) how often a fresh draw of the lowest rung has climbed to the top in this chain
    renewed : fraction of the chains whose top state descends from such a draw made during the run
    trace : (n_chains, n_draws, 1 + k) after burn-in: free energy and k leading modes of the top state, round by round
    ess, r_hat : the worst over these quantities of their bulk effective sample size (all chains) and of the nested
        R-hat of four groups of chains, made by where they started
    drift : largest change of their means over the chains between the first and the last third of the trace, in
        standard errors; the chains are independent, so that it is normal in equilibrium
    forward, backward : for each pair of rungs, (n_chains, n_kept) values of F_r - F_{r+1} at states of the lower and
        of the upper rung
    n_rounds : rounds made
    rung_doubts : for each rung, what its projections on the leading modes and its energy differences say against its
        equilibrium, see `rbmscape.sampling.rungs`
    tails : what the tails of the trace of the top rung say against it
    doubts : what else speaks against equilibrium
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
    rung_doubts: tuple[tuple[str, ...], ...] = ()
    tails: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def about_top(self) -> tuple[str, ...]:
        """What speaks against the equilibrium of the top rung, the other ones left aside."""
        found = [*mixing_doubts(self.ess, self.r_hat, self.drift, "the top rung"), *self.tails]
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
        return (*found, *self.doubts)

    @property
    def verdict(self) -> EquilibriumVerdict:
        """What speaks against the equilibrium of any rung, and on what grounds."""
        found = (*self.about_top, *summary(self.rung_doubts))
        grounds = (
            f"{len(self.acceptance) + 1} rungs, {self.n_rounds} rounds, R-hat {self.r_hat:.3f}, {self.ess:.0f} "
            f"independent draws, {self.passages.mean():.1f} fresh states a chain"
        )
        return EquilibriumVerdict(found, self.ess, self.r_hat, self.drift, grounds)

    @property
    def objections(self) -> tuple[str, ...]:
        """Why the samples may not be equilibrated; empty if nothing speaks against them."""
        return self.verdict.objections

    @property
    def converged(self) -> bool:
        """Whether nothing speaks against equilibrium."""
        return self.verdict.converged

    def _headline(self) -> str:
        return f"{len(self.v)} chains, {self.verdict}"
