"""Estimates that carry their error, and the few statistical helpers that every part of the package shares."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rbmscape.arguments import checked
from rbmscape.brief import OneLine

__all__ = [
    "Estimate",
    "bootstrap_stderr",
    "jensen_shannon",
    "kish_ess",
    "log_mean_exp",
    "mean_estimate",
    "z_scores",
]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, repr=False)
class Estimate(OneLine):
    """A number with its standard error.

    Attributes
    ----------
    value : the estimate, in the unit of the estimated quantity
    stderr : its standard error, same unit; 0 for an exact value, NaN where it is not known
    ess : effective number of independent samples behind it; NaN where that has no meaning
    """

    value: float
    stderr: float = 0.0
    ess: float = math.nan

    def _headline(self) -> str:
        return str(self) if math.isnan(self.ess) else f"{self}, ess {self.ess:.4g}"

    def __str__(self) -> str:
        if self.stderr == 0.0:
            return f"{self.value:.6g}"
        if math.isnan(self.stderr):
            return f"about {self.value:.4g} (error unknown)"
        if not (math.isfinite(self.stderr) and math.isfinite(self.value)):
            return f"{self.value:.4g} ± {self.stderr:.2g}"
        digits = max(0, 1 - math.floor(math.log10(self.stderr)) - (1 if self._leading_digit() > 2 else 0))
        return f"{self.value:.{digits}f} ± {self.stderr:.{digits}f}"

    def _leading_digit(self) -> int:
        return int(self.stderr / 10.0 ** math.floor(math.log10(self.stderr)))

    def __float__(self) -> float:
        return float(self.value)

    @checked
    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Central normal interval of the given coverage."""
        from scipy.special import ndtri

        half = float(ndtri(0.5 + level / 2.0)) * self.stderr
        return self.value - half, self.value + half

    @checked
    def z_score(self, exact: float) -> float:
        """(value - exact) / stderr; 0 for an exact hit, ±inf for a miss without an error bar."""
        difference = self.value - exact
        if self.stderr == 0.0:
            return 0.0 if difference == 0.0 else math.copysign(math.inf, difference)
        return difference / self.stderr


def log_mean_exp(values: ArrayLike, axis: int = -1) -> FloatArray:
    """ln of the mean of exp(values) along one axis, without overflow."""
    array = np.asarray(values, dtype=np.float64)
    top = np.max(array, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        result = np.log(np.mean(np.exp(array - top), axis=axis, keepdims=True)) + top
    return np.asarray(np.squeeze(result, axis=axis))


def kish_ess(log_weights: ArrayLike) -> float:
    """Kish's (Σw)² / Σw² of importance weights that are given as logarithms."""
    log_w = np.asarray(log_weights, dtype=np.float64)
    weights = np.exp(log_w - np.max(log_w))
    return float(weights.sum() ** 2 / np.square(weights).sum())


def bootstrap_stderr(
    values: ArrayLike,
    statistic: Callable[[FloatArray], FloatArray],
    generator: np.random.Generator,
    n_resamples: int = 400,
) -> float:
    """Standard deviation of a statistic over bootstrap resamples of a one-dimensional sample.

    Parameters
    ----------
    values : (n,) independent values
    statistic : maps (n_resamples, n) to (n_resamples,)
    generator : source of the resampling indices
    """
    array = np.asarray(values, dtype=np.float64)
    picks = generator.integers(0, array.size, size=(n_resamples, array.size))
    return float(np.std(statistic(array[picks]), ddof=1))


def mean_estimate(values: ArrayLike) -> Estimate:
    """Mean of independent values with its standard error."""
    array = np.asarray(values, dtype=np.float64).ravel()
    stderr = float(array.std(ddof=1) / math.sqrt(array.size)) if array.size > 1 else math.nan
    return Estimate(float(array.mean()), stderr, float(array.size))


def z_scores(estimates: ArrayLike, exact: ArrayLike, stderr: ArrayLike) -> FloatArray:
    """(estimates - exact) / stderr, elementwise; where stderr is 0 and the values agree, 0."""
    difference = np.asarray(estimates, dtype=np.float64) - np.asarray(exact, dtype=np.float64)
    error = np.broadcast_to(np.asarray(stderr, dtype=np.float64), difference.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = difference / error
    return np.asarray(np.where((error == 0) & (difference == 0), 0.0, z))


def jensen_shannon(p_counts: ArrayLike, q_counts: ArrayLike) -> float:
    """Jensen-Shannon divergence of two histograms over the same bins, in nats (at most ln 2)."""
    p = np.asarray(p_counts, dtype=np.float64)
    q = np.asarray(q_counts, dtype=np.float64)
    p, q = p / p.sum(), q / q.sum()
    middle = 0.5 * (p + q)
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.where(p > 0, p * np.log(p / middle), 0.0)
        right = np.where(q > 0, q * np.log(q / middle), 0.0)
    return float(0.5 * (left.sum() + right.sum()))
