r"""Law of the singular values of random weights (arXiv:2503.21536, section 3, equation 20).

For an (N, M) matrix of independent entries of variance σ², with ``q = min(N, M) σ²`` and
``λ± = σ(√max(N, M) ± √min(N, M))``, the L = min(N, M) singular values have the density
``ϱ(λ) = sqrt((λ+² - λ²)(λ² - λ-²)) / (π q λ)`` as N and M grow at fixed N/M, normalised to one over the L values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rbmscape.arguments import checked
from rbmscape.arrays import real_array
from rbmscape.brief import OneLine
from rbmscape.checks import check_count, is_number, shown
from rbmscape.errors import InputError
from rbmscape.memory import check_memory

__all__ = ["MarchenkoPastur"]

FloatArray = NDArray[np.float64]
BISECTIONS = 60
_FAR = 1e150  # whose square is finite


@dataclass(frozen=True, repr=False)
class MarchenkoPastur(OneLine):
    """Marchenko-Pastur law for singular values; everything in the unit of the weights.

    Parameters
    ----------
    n_visible, n_hidden : shape (N, M) of the weights
    std : standard deviation σ of one weight, > 0

    Raises
    ------
    InputError : a layer size below 1, or a standard deviation that is not finite and positive
    """

    n_visible: int
    n_hidden: int
    std: float

    def __post_init__(self) -> None:
        check_count("n_visible", self.n_visible)
        check_count("n_hidden", self.n_hidden)
        if not (is_number(self.std) and math.isfinite(self.std) and self.std > 0.0):
            raise InputError(
                f"std must be a finite number > 0, found {shown(self.std)}; zero weights have no spectrum to compare"
            )

    @property
    def n_paired(self) -> int:
        """Number L = min(N, M) of singular values."""
        return min(self.n_visible, self.n_hidden)

    @cached_property
    def edges(self) -> tuple[float, float]:
        """(λ-, λ+), the ends of the support."""
        long, short = max(self.n_visible, self.n_hidden), self.n_paired
        return self.std * (math.sqrt(long) - math.sqrt(short)), self.std * (math.sqrt(long) + math.sqrt(short))

    @property
    def peak(self) -> float:
        """λ of the largest density, ``sqrt(λ+ λ-) = σ sqrt(|N - M|)``."""
        return self.std * math.sqrt(abs(self.n_visible - self.n_hidden))

    def pdf(self, singular_values: ArrayLike) -> FloatArray:
        """Density ϱ(λ) of equation 20, same shape as the input; 0 outside the edges, finite at λ = 0 for N = M."""
        values = real_array(singular_values, "singular_values")
        low, high = (edge**2 for edge in self.edges)
        squares = np.square(np.clip(values, -_FAR, _FAR))
        inside = (values >= 0) & (squares <= high) & (squares >= low)
        spread = np.where(inside, (high - squares) * (squares - low), 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            # for N = M the factor λ of the square root cancels the one below
            over = np.sqrt(spread / squares) if low > 0.0 else np.sqrt(np.where(inside, high - squares, 0.0))
        return np.where(inside, over, 0.0) / (math.pi * self.n_paired * self.std**2)

    def cdf(self, singular_values: ArrayLike) -> FloatArray:
        """Fraction of singular values <= λ, closed form, same shape as the input."""
        values = np.minimum(real_array(singular_values, "singular_values"), _FAR)
        low, high = (edge**2 for edge in self.edges)
        squares = np.clip(np.square(np.maximum(values, 0.0)), low, high)
        return np.asarray(
            self._cdf_at_angle(np.arccos(np.clip((2.0 * squares - high - low) / (high - low), -1.0, 1.0)))
        )

    def _cdf_at_angle(self, angle: FloatArray) -> FloatArray:
        """CDF at ``λ² = σ²(L + K + 2 sqrt(LK) cos θ)``, L and K the shorter and longer side; θ falls from π to 0.

        With ``g = sqrt(L/K)`` the density of θ is ``(2/π) sin²θ / (1 + g² + 2 g cos θ)``, whose integral is elementary.
        """
        ratio = math.sqrt(self.n_paired / max(self.n_visible, self.n_hidden))
        square = ratio * ratio
        # ∫ sin²θ/(1+g²+2g cosθ) dθ, continuous on [0, π], zero at 0
        half = np.arctan2((1.0 - ratio) * np.sin(angle / 2.0), (1.0 + ratio) * np.cos(angle / 2.0))
        integral = ((1.0 + square) * angle - 2.0 * ratio * np.sin(angle) - 2.0 * (1.0 - square) * half) / (4.0 * square)
        return np.asarray(np.clip(1.0 - (2.0 / math.pi) * integral, 0.0, 1.0))

    def ppf(self, fractions: ArrayLike) -> FloatArray:
        """Quantile λ below which a fraction of the singular values lies, same shape as the input, to rounding.

        Raises
        ------
        InputError : a fraction outside [0, 1]
        """
        wanted = real_array(fractions, "fractions")
        if not bool(np.all((wanted >= 0.0) & (wanted <= 1.0))):
            raise InputError("fractions must lie between 0 and 1")
        low_angle, high_angle = np.zeros_like(wanted), np.full_like(wanted, math.pi)
        for _ in range(BISECTIONS):
            middle = 0.5 * (low_angle + high_angle)
            too_large = self._cdf_at_angle(middle) > wanted
            low_angle, high_angle = np.where(too_large, middle, low_angle), np.where(too_large, high_angle, middle)
        long, short = max(self.n_visible, self.n_hidden), self.n_paired
        squares = long + short + 2.0 * math.sqrt(long * short) * np.cos(0.5 * (low_angle + high_angle))
        return np.asarray(self.std * np.sqrt(np.maximum(squares, 0.0)))

    @checked
    def rvs(self, size: int, seed: int = 0) -> FloatArray:
        """(size,) independent draws from the law (a real spectrum is far more evenly spaced: :meth:`spectrum`)."""
        from rbmscape.rng import Stream

        check_memory(100 * check_count("size", size, 0), f"{size} draws", "take fewer at a time")
        return self.ppf(Stream(seed, "reciprocal/marchenko-pastur").numpy(0).random(size))

    @checked
    def spectrum(self, generator: np.random.Generator) -> FloatArray:
        """(L,) falling singular values of one fresh N(0, σ²) matrix, without making the matrix.

        Exact in distribution at any size: a Gaussian matrix is orthogonally equivalent to a bidiagonal one whose
        entries are independent χ variables (Silverstein 1985; Dumitriu & Edelman 2002); O(L²) instead of O(L² K).
        """
        from scipy.linalg import eigh_tridiagonal

        long, short = max(self.n_visible, self.n_hidden), self.n_paired
        diagonal = np.sqrt(generator.chisquare(long - np.arange(short)))
        below = np.sqrt(generator.chisquare(short - 1 - np.arange(short - 1))) if short > 1 else np.empty(0)
        squares = np.square(diagonal)
        squares[1:] += np.square(below)
        eigenvalues = eigh_tridiagonal(squares, diagonal[:-1] * below, eigvals_only=True)
        return np.asarray(self.std * np.sqrt(np.maximum(eigenvalues[::-1], 0.0)))
