r"""Whether samples are in equilibrium: what is demanded, what was measured, and one sentence on it.

Chains are many and short, so that the rules are those of Vehtari et al. (Bayesian Analysis 16, 667, 2021) for four
chains, each of which is here a group of chains (Margossian et al., Bayesian Analysis, 2024):

1. nested R-hat below 1.01, the groups made by where the chains started: what is left of the start moves the mean of a
   group by at most 0.14 of the spread of a quantity;
2. bulk effective sample size of at least 400, one hundred a group;
3. no drift of the means over the recorded rounds.

What tempers its chains demands more of the exchanges, see `rbmscape.sampling.tempered`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rbmscape.brief import OneLine
from rbmscape.sampling.diagnostics import effective_sample_size, nested_r_hat, r_hat

__all__ = [
    "MAX_DRIFT",
    "MAX_R_HAT",
    "MIN_ESS",
    "N_GROUPS",
    "EquilibriumVerdict",
    "drift",
    "mixing_doubts",
    "trace_diagnostics",
]

FloatArray = NDArray[np.float64]
MAX_R_HAT = 1.01
MIN_ESS = 400.0
N_GROUPS = 4
MAX_DRIFT = 4.0


@dataclass(frozen=True, slots=True, repr=False)
class EquilibriumVerdict(OneLine):
    """What is known about the equilibrium of samples; as text one sentence.

    Attributes
    ----------
    objections : what speaks against it, a clause each
    ess, r_hat, drift : see `trace_diagnostics`; NaN where nothing was measured
    grounds : what was done and seen, in a few words
    """

    objections: tuple[str, ...]
    ess: float = math.nan
    r_hat: float = math.nan
    drift: float = math.nan
    grounds: str = ""

    @classmethod
    def unjudged(cls, why: str) -> EquilibriumVerdict:
        """Of samples that nobody looked at, which counts as an objection."""
        return cls((f"not judged: {why}",))

    @property
    def converged(self) -> bool:
        """Whether nothing speaks against equilibrium."""
        return not self.objections

    @property
    def facts(self) -> dict[str, str | float]:
        """Attributes for a file: ``samples_r_hat``, ``samples_ess``, ``samples_equilibrated`` and the objections."""
        return {
            "samples_r_hat": self.r_hat,
            "samples_ess": self.ess,
            "samples_equilibrated": int(self.converged),
            "samples_objections": "; ".join(self.objections),
        }

    def __str__(self) -> str:
        if self.converged:
            return f"nothing speaks against equilibrium{f' ({self.grounds})' if self.grounds else ''}"
        return f"not shown to be in equilibrium: {'; '.join(self.objections)}"

    def _headline(self) -> str:
        return str(self)


def mixing_doubts(ess: float, r_hat: float, drift: float, where: str = "") -> list[str]:
    """What `trace_diagnostics` say against equilibrium, each clause with the name of the rung where one is given."""
    if math.isnan(r_hat):
        return [f"the states{f' on {where}' if where else ''} never changed"]
    found = []
    if r_hat > MAX_R_HAT:
        found.append(f"R-hat{f' of {where}' if where else ''} is {r_hat:.3f}, above {MAX_R_HAT}")
    if not ess >= MIN_ESS:
        found.append(f"{f'{where} holds ' if where else ''}{ess:.0f} independent draws, fewer than {MIN_ESS:g}")
    if drift > MAX_DRIFT:
        found.append(f"{f'{where} still drifts by' if where else 'drift of'} {drift:.1f} standard errors")
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
    return smallest, largest, drift(trace)


def drift(trace: FloatArray) -> float:
    """Largest change between the thirds of a trace (n_chains, n_draws, k), in standard errors over the chains."""
    third = trace.shape[1] // 3
    change = trace[:, -third:].mean(1) - trace[:, :third].mean(1)
    if len(change) < 2:
        return 0.0
    error = change.std(0, ddof=1) / np.sqrt(len(change))
    return float(np.max(np.abs(change.mean(0)) / np.where(error > 0.0, error, np.inf)))
