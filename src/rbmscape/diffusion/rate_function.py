r"""Exact one-dimensional constraint potential of a mode: the rate function of a weighted sum of independent bits.

A reciprocal coordinate is z = Σ_k c_k b_k - z_0 over bits b_k that are 1 with probability p_k.  With the cumulant
function κ(t) = Σ_k ln(1 - p_k + p_k e^{t c_k}) its large-deviation (Cramer) potential is

    I(z) = sup_t [ t (z + z_0) - κ(t) ],    I'(z) = t*,   I''(z) = 1/κ''(t*),

which for p = 1/2 is the constraint potential V_const of arXiv:2503.21536 (eq. 31) minimised over all other coordinates
(contraction principle), and for p from a mean-field solution describes the mode within that state.
Shapes: bits (K,), points (...); NumPy float64; nats.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rbmscape.brief import OneLine
from rbmscape.errors import InputError, ShapeError

__all__ = ["RateFunction"]

FloatArray = NDArray[np.float64]
_MAX_ITERATIONS = 200
_LARGEST_TILT = 1e12


@dataclass(frozen=True, eq=False, repr=False)
class RateFunction(OneLine):
    """I(z) of z = Σ_k c_k b_k - z_0 for independent bits with means p_k.

    Attributes
    ----------
    weights : (K,) c, not all zero
    means : (K,) p, strictly between 0 and 1
    offset : z_0

    Raises
    ------
    ShapeError : weights and means differ in length
    InputError : a mean is not strictly between 0 and 1, or no weight differs from zero
    """

    weights: FloatArray
    means: FloatArray
    offset: float = 0.0

    def _headline(self) -> str:
        return f"{self.weights.size} bits, mean {self.mean:.4g}, variance {self.variance:.4g}"

    def __post_init__(self) -> None:
        if self.weights.ndim != 1 or self.weights.shape != self.means.shape:
            raise ShapeError(
                f"a rate function needs one mean a weight, got shapes {self.weights.shape} and {self.means.shape}; "
                f"pass two vectors of equal length"
            )
        if not np.all((self.means > 0) & (self.means < 1)):
            raise InputError("the bits' means must be strictly between 0 and 1, got one outside; clip or smooth them")
        if not np.any(self.weights):
            raise InputError("all weights of the sum are 0, so that it does not fluctuate; choose another coordinate")

    @property
    def domain(self) -> tuple[float, float]:
        """Smallest and largest z that binary states reach."""
        low = float(np.minimum(self.weights, 0).sum()) - self.offset
        return low, float(np.maximum(self.weights, 0).sum()) - self.offset

    @property
    def mean(self) -> float:
        """⟨z⟩ = κ'(0) - z_0, where I is 0."""
        return float(self.weights @ self.means) - self.offset

    @property
    def variance(self) -> float:
        """κ''(0) = Σ c² p (1 - p)."""
        return float(self.weights**2 @ (self.means * (1 - self.means)))

    def cumulants(self, tilt: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
        """κ(t), κ'(t), κ''(t) at tilts (...,)."""
        field = self._field(tilt)
        kappa = np.log1p(-self.means) + np.logaddexp(0.0, field)
        return kappa.sum(-1), *self._slopes(field)

    def _field(self, tilt: ArrayLike) -> FloatArray:
        """Logits of the tilted bits: (..., K)."""
        logit = np.log(self.means) - np.log1p(-self.means)
        return np.asarray(logit + np.asarray(tilt, dtype=np.float64)[..., None] * self.weights)

    def _slopes(self, field: FloatArray) -> tuple[FloatArray, FloatArray]:
        """κ' and κ'' where the bits have these logits."""
        with np.errstate(over="ignore"):
            active = 1.0 / (1.0 + np.exp(-field))
        return active @ self.weights, (active * (1.0 - active)) @ self.weights**2

    def tilt(self, z: ArrayLike) -> FloatArray:
        """t* with κ'(t*) = z + z_0: (...,); ±inf at the ends of the domain, NaN outside it."""
        points = np.asarray(z, dtype=np.float64)
        target = np.atleast_1d(points).astype(np.float64) + self.offset
        low, high = (end + self.offset for end in self.domain)
        result = np.full(target.shape, np.nan)
        result[target == low], result[target == high] = -np.inf, np.inf
        inside = (target > low) & (target < high)
        result[inside] = self._solve(target[inside])
        return result.reshape(points.shape)

    def _solve(self, target: FloatArray) -> FloatArray:
        """Newton's iteration, safeguarded by a bracket: κ' rises from one end of the domain to the other."""
        lower, upper = (self._beyond(target, side) for side in (-1.0, 1.0))
        t = np.clip((target - self.mean - self.offset) / self.variance, lower, upper)
        left = np.arange(target.size)  # points near the ends of the domain take many steps, the others a few
        for _ in range(_MAX_ITERATIONS):
            slope, curvature = self._slopes(self._field(t[left]))
            excess = slope - target[left]
            lower[left] = np.where(excess < 0, t[left], lower[left])
            upper[left] = np.where(excess > 0, t[left], upper[left])
            with np.errstate(divide="ignore", invalid="ignore"):
                step = t[left] - excess / curvature
            trusted = (step > lower[left]) & (step < upper[left])
            new = np.where(trusted, step, 0.5 * (lower[left] + upper[left]))
            new = np.where(excess == 0, t[left], new)
            moved = np.abs(new - t[left]) > 1e-14 * (1.0 + np.abs(t[left]))
            t[left], left = new, left[moved]
            if left.size == 0:
                break
        return t

    def _beyond(self, target: FloatArray, side: float) -> FloatArray:
        """Tilts beyond the wanted ones, upwards for side = 1 and downwards for -1."""
        found = np.full(target.shape, side / np.abs(self.weights).max())
        left = np.arange(target.size)
        while left.size:
            slope, _ = self._slopes(self._field(found[left]))
            left = left[(side * slope < side * target[left]) & (np.abs(found[left]) < _LARGEST_TILT)]
            found[left] *= 4.0
        return found

    def value(self, z: ArrayLike) -> FloatArray:
        """I(z): (...,); the finite -ln P of a single state at the ends of the domain, +inf outside."""
        points = np.asarray(z, dtype=np.float64)
        t = np.atleast_1d(self.tilt(points))
        target = np.atleast_1d(points) + self.offset
        result = np.full(t.shape, np.inf)
        finite = np.isfinite(t)
        result[finite] = t[finite] * target[finite] - self.cumulants(t[finite])[0]
        on, off = -np.log(self.means), -np.log1p(-self.means)
        result[t == np.inf] = np.where(self.weights > 0, on, np.where(self.weights < 0, off, 0.0)).sum()
        result[t == -np.inf] = np.where(self.weights > 0, off, np.where(self.weights < 0, on, 0.0)).sum()
        return result.reshape(points.shape)

    def gradient(self, z: ArrayLike) -> FloatArray:
        """I'(z) = t*: (...,); NaN outside the domain."""
        return self.tilt(z)

    def curvature(self, z: ArrayLike) -> FloatArray:
        """I''(z) = 1/κ''(t*): (...,); NaN outside the domain."""
        t = self.tilt(z)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(1.0 / self.cumulants(t)[2])

    def density(self, z: ArrayLike) -> FloatArray:
        """Saddle-point density of z, sqrt(I''/2π) exp(-I) (Daniels 1954): (...,); 0 outside the domain.

        An approximation: relative error O(1/K), not normalised exactly.
        """
        points = np.asarray(z, dtype=np.float64)
        low, high = self.domain
        inside = (points > low) & (points < high)
        safe = np.where(inside, points, self.mean)
        return np.asarray(
            np.where(inside, np.sqrt(self.curvature(safe) / (2 * np.pi)) * np.exp(-self.value(safe)), 0.0)
        )
