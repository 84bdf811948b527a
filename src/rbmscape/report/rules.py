"""Thresholds and small tests that several rules share.

Unless a rule says otherwise, the probability that it calls a difference where there is none is `FALSE_ALARM` for the
whole claim, shared out equally (Bonferroni) among the comparisons that the claim needs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from rbmscape.report.findings import MissingEvidenceError
from rbmscape.stats import Estimate

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "FALSE_ALARM",
    "FEW_FALSE_ALARM",
    "in_words",
    "last_known",
    "mean_over",
    "normal_threshold",
    "rank_correlation",
    "separation",
    "slope",
    "t_threshold",
]

FALSE_ALARM = 0.001
FEW_FALSE_ALARM = 0.01
"""Used instead where a handful of replicas allow no sharper test."""


def normal_threshold(comparisons: int = 1, false_alarm: float = FALSE_ALARM, sides: int = 2) -> float:
    """Standard errors that one of so many Gaussian comparisons exceeds with probability ``false_alarm`` at most."""
    return float(special.ndtri(1.0 - false_alarm / (sides * max(1, comparisons))))


def t_threshold(dof: float, comparisons: int = 1, false_alarm: float = FEW_FALSE_ALARM, sides: int = 2) -> float:
    """The same for errors that were estimated from few values."""
    return float(special.stdtrit(max(1.0, dof), 1.0 - false_alarm / (sides * max(1, comparisons))))


def mean_over(values: ArrayLike, stderr: ArrayLike) -> Estimate:
    """Mean of replicas; its error is the larger of what their spread and what their own errors imply.

    Where an estimate has no error, as one that is not converged, neither has the mean.
    """
    array, errors = np.asarray(values, dtype=float), np.asarray(stderr, dtype=float)
    own = math.sqrt(float(np.sum(errors**2))) / array.size
    spread = float(array.std(ddof=1)) / math.sqrt(array.size) if array.size > 1 else 0.0
    return Estimate(float(array.mean()), max(own, spread), float(array.size))


def separation(one: Estimate, other: Estimate) -> tuple[Estimate, float]:
    """other - one with its error, and the threshold in standard errors beyond which it counts.

    The numbers of replicas are in ``ess``; single estimates are compared with the normal law.

    Raises
    ------
    MissingEvidenceError : one of the two has no error, since it or a part of it is not converged
    """
    if not (math.isfinite(one.stderr) and math.isfinite(other.stderr)):
        raise MissingEvidenceError("estimates that are not converged have no error, so nothing is tested with them")
    difference = Estimate(other.value - one.value, math.hypot(one.stderr, other.stderr))
    dof = one.ess + other.ess - 2.0
    limit = t_threshold(dof) if dof >= 1.0 else normal_threshold(1, FEW_FALSE_ALARM)
    return difference, limit


def rank_correlation(first: ArrayLike, second: ArrayLike) -> tuple[float, float]:
    """Spearman's ρ and its two-sided p-value."""
    found = stats.spearmanr(np.asarray(first), np.asarray(second))
    return float(found.statistic), float(found.pvalue)


def slope(x: ArrayLike, y: ArrayLike) -> tuple[Estimate, float]:
    """Slope of the least-squares line with its error from the residuals, and its two-sided p-value."""
    found = stats.linregress(np.asarray(x, dtype=float), np.asarray(y, dtype=float))
    return Estimate(float(found.slope), float(found.stderr)), float(found.pvalue)


def last_known(curve: xr.DataArray, dimension: str) -> int | None:
    """Position of the last finite value along the only dimension, or None."""
    known: NDArray[np.int64] = np.flatnonzero(np.isfinite(curve.transpose(dimension).values))
    return int(known[-1]) if known.size else None


def in_words(parts: Sequence[str]) -> str:
    """Joined by commas and a last "and"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""
