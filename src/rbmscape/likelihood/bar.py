r"""Bennett's acceptance ratio: the best estimate of ln Z from log weights of both directions.

With x an annealed log weight in the convention of `rbmscape.likelihood.annealing` and n_F, n_R the numbers of chains,
``p(backward | x) = σ(x - ln Z - ln(n_F / n_R))`` by Crooks' relation; ln Z solves

``Σ_forward p(backward | x) = Σ_backward p(forward | x)``

(Bennett, Journal of Computational Physics 22, 245, 1976; Shirts, Bair, Hooker and Pande, Physical Review Letters 91,
140601, 2003, show that it is the maximum-likelihood estimate).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rbmscape.brief import OneLine
from rbmscape.errors import InputError

__all__ = ["LogRatio", "bennett", "overlap", "solve"]

FloatArray = NDArray[np.float64]
_RESAMPLES = 200
_NEWTON_STEPS = 12


@dataclass(frozen=True, slots=True, repr=False)
class LogRatio(OneLine):
    """Result of `bennett`.

    Attributes
    ----------
    value, stderr : the logarithm of the ratio and its standard error (bootstrap over the samples of both sides)
    overlap : in [0, 1]; 1 if both directions have the same distribution, near 0 if they hardly meet; below 0.03
        neither value nor error should be believed (Klimovich, Shirts and Mobley, Journal of Computer-Aided Molecular
        Design 29, 397, 2015)
    """

    value: float
    stderr: float
    overlap: float


def bennett(forward: ArrayLike, backward: ArrayLike, generator: np.random.Generator) -> LogRatio:
    """Combine forward and backward log weights, each of which estimates ln Z on its own.

    Parameters
    ----------
    forward, backward : (n_F,), (n_R,) log weights; independent draws within each
    generator : for the bootstrap

    Raises
    ------
    InputError : one of the two is empty
    """
    ahead, back = (np.asarray(values, dtype=np.float64).ravel() for values in (forward, backward))
    if ahead.size == 0 or back.size == 0:
        raise InputError(
            f"BAR needs log weights of both directions, found {ahead.size} forward and {back.size} backward"
        )
    value = solve(ahead, back)
    resampled = _resampled(ahead, back, value, generator)
    return LogRatio(value, float(np.std(resampled, ddof=1)), overlap(ahead, back, value))


def solve(ahead: FloatArray, back: FloatArray) -> float:
    """The root of this module's equation for forward and backward log weights."""
    from scipy.optimize import brentq
    from scipy.special import expit

    offset = math.log(ahead.size / back.size)

    def imbalance(log_z: float) -> float:
        return float(expit(ahead - log_z - offset).sum() - expit(log_z + offset - back).sum())

    low = min(ahead.min(), back.min()) - abs(offset) - 1.0
    high = max(ahead.max(), back.max()) + abs(offset) + 1.0
    while imbalance(low) < 0.0:
        low -= high - low
    while imbalance(high) > 0.0:
        high += high - low
    return float(brentq(imbalance, low, high, xtol=1e-10))


def _resampled(ahead: FloatArray, back: FloatArray, value: float, generator: np.random.Generator) -> FloatArray:
    """Solutions for bootstrap resamples of both sides, all at once by Newton steps of at most one nat from `value`."""
    from scipy.special import expit

    offset = math.log(ahead.size / back.size)
    forward, backward = (generator.choice(values, (_RESAMPLES, values.size)) - offset for values in (ahead, back))
    log_z = np.full((_RESAMPLES, 1), value)
    for _ in range(_NEWTON_STEPS):
        f, b = expit(forward - log_z), expit(log_z - backward)
        imbalance = f.sum(1, keepdims=True) - b.sum(1, keepdims=True)
        slope = (f * (1.0 - f)).sum(1, keepdims=True) + (b * (1.0 - b)).sum(1, keepdims=True)
        log_z += np.clip(imbalance / np.maximum(slope, np.finfo(np.float64).tiny), -1.0, 1.0)
    return log_z[:, 0]


def overlap(ahead: FloatArray, back: FloatArray, log_z: float) -> float:
    """Mean of p(forward|x) p(backward|x) over all samples, in units of its largest possible value."""
    from scipy.special import expit

    together = np.concatenate([ahead, back])
    backward = expit(together - log_z - math.log(ahead.size / back.size))
    largest = ahead.size * back.size / together.size**2
    return float(np.mean(backward * (1.0 - backward)) / largest)
