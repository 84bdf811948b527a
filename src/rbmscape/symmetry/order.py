r"""Order parameter of a mode from equilibrium samples (arXiv:2503.21536, section 5.3 and conclusions).

For the coordinate φ = z - c of one mode, z = u_i or w_i: mean, width, susceptibility ``χ = β ⟨(φ - ⟨φ⟩)²⟩`` and
Binder cumulant ``1 - ⟨φ⁴⟩ / (3⟨φ²⟩²)``, which is 0 for a Gaussian and 2/3 for two equal narrow wells.  At the critical
point of a mean-field ferromagnet, and an RBM mode that couples all units is one, ``P(φ) ∝ exp(-φ⁴)`` and the cumulant
is ``1 - Γ(5/4)Γ(1/4) / (3Γ(3/4)²) = 0.2705`` (Brézin and Zinn-Justin, Nucl. Phys. B 257, 867 (1985)).
The potential of mean force is ``-(1/β) ln P(z)``.  Draws are (n_chains, n_draws); errors come from the spread of
chains, which must be independent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rbmscape.brief import OneLine
from rbmscape.errors import InputError, ShapeError
from rbmscape.rng import Stream
from rbmscape.sampling.diagnostics import effective_sample_size
from rbmscape.stats import Estimate

__all__ = ["CRITICAL_BINDER", "MeanForce", "OrderParameter", "order_parameter", "potential_of_mean_force"]

FloatArray = NDArray[np.float64]
CRITICAL_BINDER: Final = 1.0 - math.gamma(1.25) * math.gamma(0.25) / (3.0 * math.gamma(0.75) ** 2)
_FEWEST_DRAWS_FOR_ESS = 4


@dataclass(frozen=True, slots=True, repr=False)
class OrderParameter(OneLine):
    """Moments of one coordinate over equilibrium samples.

    Attributes
    ----------
    mean : ⟨z⟩
    magnitude : ⟨|z - c|⟩, the order parameter of a symmetric model
    width : standard deviation of z; ½ for random states
    susceptibility : β Var z, which is β/(4 - βλ) in the Gaussian theory about random states: it diverges at βλ = 4
    binder : 1 - ⟨(z-c)⁴⟩ / 3⟨(z-c)²⟩²; negative where one of two wells holds few samples
    """

    mean: Estimate
    magnitude: Estimate
    width: Estimate
    susceptibility: Estimate
    binder: Estimate


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MeanForce(OneLine):
    """Potential of mean force over a grid.

    Attributes
    ----------
    centres : (n_bins,) z
    value : (n_bins,) -(1/β) ln of the estimated density, k_B T at beta = 1; NaN where no sample fell
    stderr : (n_bins,) standard error; NaN where no sample, or only one chain's samples, fell
    counts : (n_bins,) samples
    """

    centres: FloatArray
    value: FloatArray
    stderr: FloatArray
    counts: NDArray[np.int64]

    def _headline(self) -> str:
        low, high = self.centres[0], self.centres[-1]
        return f"{self.centres.size} bins from {low:.4g} to {high:.4g}, {self.counts.sum()} samples"


def _as_chains(draws: ArrayLike) -> FloatArray:
    array = np.asarray(draws, dtype=np.float64)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or array.shape[0] < 2 or array.shape[1] < 1:
        raise ShapeError(
            f"draws must be (n_chains, n_draws) of one coordinate, two chains or more, found {array.shape}"
        )
    if not np.isfinite(array).all():
        raise InputError("the draws hold values that are not finite; a flat mode has no u and w, choose another mode")
    return array


def order_parameter(
    draws: ArrayLike, beta: float = 1.0, centre: float | None = None, seed: int = 0, n_resamples: int = 400
) -> OrderParameter:
    """Mean, width, susceptibility and Binder cumulant of one coordinate.

    Parameters
    ----------
    draws : (n_chains, n_draws), or (n_chains,) one draw a chain; chains are independent, draws within one need not be
    beta : inverse temperature
    centre : c, the symmetry point; None takes the mean of all draws
    seed, n_resamples : bootstrap over chains

    Returns
    -------
    OrderParameter, with bootstrap errors over chains; ``ess`` is that of the mean (number of chains for single draws)

    Raises
    ------
    ShapeError : fewer than two chains
    InputError : draws that are not finite
    """
    chains = _as_chains(draws)
    middle = float(chains.mean()) if centre is None else float(centre)
    shifted = chains - middle
    powers = np.stack([(shifted**p).mean(1) for p in range(1, 5)] + [np.abs(shifted).mean(1)])
    count = chains.shape[0]
    picks = Stream(seed, "symmetry/order").numpy(0).multinomial(count, np.full(count, 1.0 / count), size=n_resamples)
    values = _statistics(powers.mean(1)[:, None], middle, beta, centre is None)[:, 0]
    errors = [_spread(row) for row in _statistics(powers @ picks.T / count, middle, beta, centre is None)]
    ess = float(count)
    if chains.shape[1] >= _FEWEST_DRAWS_FOR_ESS:
        ess = float(effective_sample_size(chains))
    return OrderParameter(*(Estimate(float(v), float(e), ess) for v, e in zip(values, errors, strict=True)))


def _statistics(moments: FloatArray, middle: float, beta: float, about_mean: bool) -> FloatArray:
    """Mean, magnitude, width, susceptibility and Binder cumulant, (5, n), from raw moments about ``middle``, (5, n)."""
    first, second, third, fourth, magnitude = moments
    variance = np.maximum(second - first**2, 0.0)
    if about_mean:
        even2 = variance
        even4 = fourth - 4 * first * third + 6 * first**2 * second - 3 * first**4
    else:
        even2, even4 = second, fourth
    binder = 1.0 - np.divide(even4, 3.0 * even2**2, out=np.full_like(even4, math.nan), where=even2 > 0)
    return np.stack([middle + first, magnitude, np.sqrt(variance), beta * variance, binder])


def _spread(resampled: FloatArray) -> float:
    """Standard deviation of the defined values: a resample of few chains may have no variance and no cumulant."""
    defined = resampled[np.isfinite(resampled)]
    return float(defined.std(ddof=1)) if defined.size > 1 else math.nan


def potential_of_mean_force(
    draws: ArrayLike, n_bins: int = 40, beta: float = 1.0, limits: tuple[float, float] | None = None
) -> MeanForce:
    """-(1/β) ln P(z) from equilibrium samples, with errors from the spread of independent chains.

    Parameters
    ----------
    draws : (n_chains, n_draws), or (n_chains,)
    n_bins : equal bins over ``limits``, by default the range of the draws
    beta : inverse temperature, > 0

    Raises
    ------
    ShapeError : fewer than two chains
    InputError : draws that are not finite, fewer than one bin, empty limits
    """
    chains = _as_chains(draws)
    low, high = limits if limits is not None else (float(chains.min()), float(chains.max()))
    if n_bins < 1 or not high > low:
        raise InputError(
            f"the potential needs at least one bin and a range of some width, found {n_bins} in {low, high}"
        )
    edges = np.linspace(low, high, n_bins + 1)
    per_chain = np.stack([np.histogram(chain, edges)[0] for chain in chains])
    counts = per_chain.sum(0)
    share = per_chain / chains.shape[1]
    mean = share.mean(0)
    error = share.std(0, ddof=1) / math.sqrt(chains.shape[0])
    seen = counts > 0
    value, stderr = np.full(n_bins, math.nan), np.full(n_bins, math.nan)
    value[seen] = -np.log(mean[seen] / np.diff(edges)[seen]) / beta
    several = (per_chain > 0).sum(0) > 1
    stderr[several] = error[several] / (mean[several] * beta)
    return MeanForce(0.5 * (edges[1:] + edges[:-1]), value, stderr, counts)
