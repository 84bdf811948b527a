"""Whether every rung of a ladder is in equilibrium, not only the top one.

A mode may have its weight at the top from a few replicas that came up a while ago, although a rung below holds it so
rarely that no more will come: means and R-hat of the top rung look settled then, at a wrong value.  So all rungs are
judged, by the projections of their states on the leading modes of the top model and by the differences of free energy
from their neighbours.  The demands are those of `rbmscape.sampling.verdict`, and one more:

4. R-hat of being in a tail (`rbmscape.sampling.diagnostics.local_r_hat`) below 1.02: chains that stay in a mode of
   small weight hardly move the means that the other demands compare.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from rbmscape.sampling.diagnostics import local_r_hat, nested_r_hat
from rbmscape.sampling.verdict import N_GROUPS, drift, mixing_doubts

__all__ = ["MAX_LOCAL_R_HAT", "about_differences", "about_rungs", "summary", "tail_doubts"]

FloatArray = NDArray[np.float64]
MAX_LOCAL_R_HAT = 1.02
JUDGED_DRAWS = 64
_FEWEST = 4


def tail_doubts(trace: FloatArray, start: FloatArray, where: str) -> list[str]:
    """What demand 4 says against a trace (n_chains, n_draws, k) with its start (n_chains, k)."""
    groups = min(N_GROUPS, len(trace) // 2)
    if groups < 2:
        return []
    found = float(local_r_hat(trace, start, groups).max())
    if found <= MAX_LOCAL_R_HAT:
        return []
    return [
        f"R-hat of the tails of {where} is {found:.3f}, above {MAX_LOCAL_R_HAT}: chains stay where others never are"
    ]


def about_rungs(
    projections: FloatArray, start: FloatArray, forward: Sequence[FloatArray], backward: Sequence[FloatArray]
) -> tuple[tuple[str, ...], ...]:
    """For each rung, what speaks against its equilibrium.

    Parameters
    ----------
    projections : (n_rungs, n_chains, n_draws, k) on the leading modes
    start : (n_rungs, n_chains, k) before the first round
    forward, backward : see `rbmscape.sampling.tempered.Tempered`
    """
    found: list[list[str]] = [[] for _ in projections]
    differences = chain(enumerate(forward), enumerate(backward, start=1))
    traces = [
        *((rung, values, start[rung]) for rung, values in enumerate(projections)),
        *((rung, values[:, 1:, None], values[:, :1]) for rung, values in differences),  # grouped by the first
    ]
    for rung, trace, first in traces:
        found[rung] += _about(_thinned(trace), first, f"rung {rung}")
    return tuple(tuple(dict.fromkeys(words)) for words in found)


def about_differences(forward: Sequence[FloatArray], backward: Sequence[FloatArray]) -> tuple[tuple[str, ...], ...]:
    """For each rung, what differences of free energy alone say against its equilibrium; groups by the first of them.

    It is for chains whose states were not kept on every rung.  Arguments as in `about_rungs`.
    """
    found: list[list[str]] = [[] for _ in range(len(forward) + 1)]
    for rung, values in chain(enumerate(forward), enumerate(backward, start=1)):
        found[rung] += _about(_thinned(values[:, 1:, None]), values[:, :1], f"rung {rung}")
    return tuple(tuple(dict.fromkeys(words)) for words in found)


def _thinned(trace: FloatArray) -> FloatArray:
    """At most about 64 to 128 draws, evenly spaced."""
    return trace[:, :: max(1, trace.shape[1] // JUDGED_DRAWS)]


def _about(trace: FloatArray, start: FloatArray, where: str) -> list[str]:
    """What speaks against a trace (n_chains, n_draws, k); the number of independent draws as the chains' means tell it.

    Chains are independent of each other, so that the variance of their means against that of all draws needs no
    correlations in time, and chains that stay where they are count once.
    """
    if trace.shape[1] < _FEWEST:
        return [f"{where} was looked at {trace.shape[1]} times only"]
    groups = min(N_GROUPS, len(trace) // 2)
    moving = trace.var((0, 1)) > 0.0
    if groups < 2 or not moving.any():  # two equal models differ by nothing
        return []
    trace, start = trace[..., moving], start[:, moving]
    means = np.maximum(trace.mean(1).var(0, ddof=1), np.finfo(np.float64).tiny)
    ess = len(trace) * trace.var((0, 1), ddof=1) / means
    r_hat = nested_r_hat(trace, start, groups)
    return [
        *mixing_doubts(float(ess.min()), _largest(r_hat), drift(trace), where),
        *tail_doubts(trace, start, where),
    ]


def _largest(r_hat: FloatArray) -> float:
    """Of what changed along its chains; NaN where nothing did."""
    known = r_hat[~np.isnan(r_hat)]
    return float(known.max()) if known.size else math.nan


def summary(about: Sequence[Sequence[str]]) -> list[str]:
    """What speaks against some of the rungs, in one clause."""
    bad = [words for words in about if words]
    if not bad:
        return []
    return [f"{len(bad)} of the {len(about)} rungs are not in equilibrium, for example: {bad[0][0]}"]
