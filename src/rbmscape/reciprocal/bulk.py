r"""Does a spectrum follow the random-matrix law, and which modes have left it? (arXiv:2503.21536, section 3, figure 3).

Singular values repel each other, so a genuine spectrum lies far closer to equation 20 than independent draws would.
The ordinary Kolmogorov-Smirnov p-value is therefore conservative; the calibrated one compares with spectra of fresh
Gaussian matrices of the same size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rbmscape.brief import OneLine
from rbmscape.errors import InputError, ShapeError
from rbmscape.reciprocal.marchenko_pastur import MarchenkoPastur

__all__ = ["SpectrumTest", "bulk_std", "bulk_threshold", "departure_updates", "outliers", "spectrum_test"]

FloatArray = NDArray[np.float64]
TRACY_WIDOM_GAMMA = (46.446, 0.186054, 9.84801)  # shape, scale, shift of Chiani (2014), table I, beta = 1


@dataclass(frozen=True, repr=False)
class SpectrumTest(OneLine):
    """How well singular values follow a Marchenko-Pastur law.

    Attributes
    ----------
    statistic : Kolmogorov-Smirnov distance, the largest difference of the two cumulative distributions
    p_value : probability of a distance at least as large for a fresh Gaussian matrix of this size (simulated)
    p_value_independent : the same if the values were independent; conservative
    """

    statistic: float
    p_value: float
    p_value_independent: float


def _checked(singular_values: ArrayLike, law: MarchenkoPastur) -> FloatArray:
    values = np.asarray(singular_values, dtype=np.float64)
    if values.shape != (law.n_paired,):
        raise ShapeError(
            f"a {law.n_visible} x {law.n_hidden} matrix has {law.n_paired} singular values, found shape {values.shape}"
        )
    if not bool(np.isfinite(values).all()):
        raise InputError("singular values must be finite numbers; check the weights for NaN")
    return values


def _distance(values: FloatArray, law: MarchenkoPastur) -> float:
    levels = law.cdf(np.sort(values))
    steps = np.arange(values.size + 1) / values.size
    return float(max(np.max(steps[1:] - levels), np.max(levels - steps[:-1])))


def spectrum_test(
    singular_values: ArrayLike, law: MarchenkoPastur, n_simulations: int = 199, seed: int = 0
) -> SpectrumTest:
    """Kolmogorov-Smirnov test of all singular values of a matrix against the law of random ones.

    Parameters
    ----------
    singular_values : (L,)
    law : the law, with the standard deviation to test against
    n_simulations : spectra drawn to calibrate the p-value, whose smallest value is 1/(n_simulations + 1)
    seed : of those spectra

    Raises
    ------
    ShapeError : not L values
    InputError : a value is not finite
    """
    from scipy.stats import kstwo

    from rbmscape.rng import Stream

    values = _checked(singular_values, law)
    statistic = _distance(values, law)
    generator = Stream(seed, "reciprocal/spectrum-test").numpy(0)
    simulated = np.array([_distance(law.spectrum(generator), law) for _ in range(n_simulations)])
    return SpectrumTest(
        statistic=statistic,
        p_value=(1.0 + float(np.count_nonzero(simulated >= statistic))) / (n_simulations + 1.0),
        p_value_independent=float(kstwo.sf(statistic, values.size)),
    )


def bulk_std(singular_values: ArrayLike, n_visible: int, n_hidden: int) -> float:
    """Standard deviation of the random part of trained weights: the σ whose median singular value is the found one.

    Robust against up to half of the modes having left the bulk.

    Raises
    ------
    InputError : more than half of the singular values are zero
    ShapeError : not min(N, M) values
    """
    unit = MarchenkoPastur(n_visible, n_hidden, 1.0)
    std = float(np.median(_checked(singular_values, unit)) / unit.ppf(0.5))
    if std <= 0.0:
        raise InputError("half or more of the singular values are zero, so that there is no bulk; pass std instead")
    return std


def bulk_threshold(law: MarchenkoPastur, false_alarm: float = 0.01) -> float:
    """Singular value that the largest one of a random matrix exceeds with the given probability.

    Tracy-Widom law (order 1) about the edge with Johnstone's (2001) centre and scale, in Chiani's (2014) gamma
    approximation; estimated, good to a few per cent of the distance from the edge down to about ten units a layer.

    Raises
    ------
    InputError : the probability is not between 0 and 1
    """
    from scipy.stats import gamma

    if not 0.0 < false_alarm < 1.0:
        raise InputError(f"false_alarm must lie between 0 and 1, found {false_alarm}")
    shape, scale, shift = TRACY_WIDOM_GAMMA
    quantile = float(gamma.isf(false_alarm, shape, scale=scale)) - shift
    long, short = max(law.n_visible, law.n_hidden), law.n_paired
    root_long = math.sqrt(max(long - 1, 1))
    centre = (root_long + math.sqrt(short)) ** 2
    width = (root_long + math.sqrt(short)) * (1.0 / root_long + 1.0 / math.sqrt(short)) ** (1.0 / 3.0)
    return law.std * math.sqrt(max(centre + width * quantile, 0.0))


def outliers(singular_values: ArrayLike, law: MarchenkoPastur, false_alarm: float = 0.01) -> NDArray[np.bool_]:
    """(...,) bool: which singular values lie above :func:`bulk_threshold`; any shape.

    For a random matrix the probability of any outlier is ``false_alarm``.
    """
    return np.asarray(np.asarray(singular_values, dtype=np.float64) > bulk_threshold(law, false_alarm))


def departure_updates(updates: ArrayLike, outside: ArrayLike) -> FloatArray:
    """(K,) update at which each mode leaves the bulk for good; NaN for a mode that is inside at the last checkpoint.

    Parameters
    ----------
    updates : (T,) updates of the checkpoints, rising
    outside : (T, K) bool, mode above the bulk's threshold

    Raises
    ------
    ShapeError : the two lengths T differ
    """
    times, above = np.asarray(updates, dtype=np.float64), np.asarray(outside, dtype=bool)
    if above.ndim != 2 or times.shape != above.shape[:1]:
        raise ShapeError(f"outside must have one row an update, found {above.shape} for {times.shape[0]} updates")
    last_inside = np.where(above, -1, np.arange(times.size)[:, None]).max(axis=0)
    first = np.minimum(last_inside + 1, times.size - 1)
    return np.where(last_inside == times.size - 1, math.nan, times[first])
