"""How many independent draws are in Markov chains: effective sample size and R-hat, by arviz-stats.

Vehtari, Gelman, Simpson, Carpenter and Bürkner, "Rank-normalization, folding, and localization: an improved R-hat for
assessing convergence of MCMC", Bayesian Analysis 16, 667 (2021).  For many short chains: Margossian, Hoffman, Sountsov,
Riou-Durand, Vehtari and Gelman, "Nested R-hat: assessing the convergence of Markov chain Monte Carlo when running many
short chains", Bayesian Analysis (2024).  For tails: Moins, Arbel, Dutfoy and Girard, "On the use of a local R-hat to
improve MCMC convergence diagnostic", Bayesian Analysis (2023).

Shapes: draws are (n_chains, n_draws, ...); results have the trailing shape.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from rbmscape.errors import ShapeError
from rbmscape.stats import Estimate

__all__ = ["chain_mean", "effective_sample_size", "local_r_hat", "nested_r_hat", "r_hat"]

FloatArray = NDArray[np.float64]
_FEWEST_DRAWS = 4
_TAILS = (0.005, 0.02, 0.1, 0.5)


def _as_draws(draws: ArrayLike | Tensor) -> FloatArray:
    """(n_chains, n_draws, ...) in float64."""
    values: Any = draws.detach().cpu().numpy() if isinstance(draws, Tensor) else draws
    array = np.asarray(values, dtype=np.float64)
    if array.ndim < 2 or array.shape[1] < _FEWEST_DRAWS:
        raise ShapeError(
            f"draws must be (n_chains, n_draws, ...) with at least {_FEWEST_DRAWS} draws a chain, found {array.shape}; "
            "record more draws"
        )
    return array


def _array_stats() -> Any:
    """The array interface of arviz-stats, imported late because it brings xarray."""
    from arviz_stats import base

    return base.array_stats  # type: ignore[attr-defined]


def _constant(array: FloatArray) -> NDArray[np.bool_]:
    flat = array.reshape(array.shape[0] * array.shape[1], *array.shape[2:])
    return np.asarray(flat.min(axis=0) == flat.max(axis=0))


def effective_sample_size(draws: ArrayLike | Tensor, method: str = "mean") -> FloatArray:
    """Effective sample size of each quantity over all chains together.

    Parameters
    ----------
    draws : (n_chains, n_draws, ...)
    method : ``mean`` (for error bars of means), ``bulk``, ``tail`` and the others of arviz-stats

    Returns
    -------
    (...,) float64, estimated; NaN where a quantity never changed, since nothing is known about its mixing

    Raises
    ------
    ShapeError : fewer than two axes or fewer than four draws a chain
    """
    array = _as_draws(draws)
    moving = np.where(_constant(array), np.nan, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ess = _array_stats().ess(array, chain_axis=0, draw_axis=1, method=method)
    return np.asarray(ess * moving, dtype=np.float64)


def r_hat(draws: ArrayLike | Tensor, method: str = "rank") -> FloatArray:
    """Rank-normalised split R-hat of each quantity; above about 1.01 the chains do not agree yet.

    Parameters
    ----------
    draws : (n_chains, n_draws, ...)

    Returns
    -------
    (...,) float64, estimated; NaN where a quantity never changed

    Raises
    ------
    ShapeError : fewer than two axes or fewer than four draws a chain
    """
    array = _as_draws(draws)
    moving = np.where(_constant(array), np.nan, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = _array_stats().rhat(array, chain_axis=0, draw_axis=1, method=method)
    return np.asarray(value * moving, dtype=np.float64)


def nested_r_hat(draws: ArrayLike | Tensor, start: ArrayLike | Tensor, n_groups: int = 4) -> FloatArray:
    r"""Nested R-hat of each quantity: whether chains still remember where they started.

    Chains are put into groups of equal size by the order of their starting values.  With B the variance of the groups'
    means and W the mean over the groups of the variance between their chains plus that within them, the result is
    ``sqrt(1 + B / W)``.  Ordinary R-hat compares single chains, and for many short ones stays above 1.01 until *each*
    holds a hundred independent draws; here a whole group of m chains has to, since ``B / W ≈ 1 / (m n)`` with n
    independent draws a chain.

    Parameters
    ----------
    draws : (n_chains, n_draws, ...); normal scores of their ranks are compared
    start : (n_chains, ...) values before the first step
    n_groups : at least two, of at least two chains each

    Returns
    -------
    (...,) float64, estimated; NaN where a quantity never changed

    Raises
    ------
    ShapeError : too few draws or chains
    """
    array = _as_draws(draws)
    if not 2 <= n_groups <= array.shape[0] // 2:
        raise ShapeError(
            f"nested R-hat needs two or more groups of two or more chains, found {n_groups} groups of {array.shape[0]}"
        )
    first: Any = start.detach().cpu().numpy() if isinstance(start, Tensor) else start
    values = array.reshape(*array.shape[:2], -1)
    starts = np.asarray(first, dtype=np.float64).reshape(array.shape[0], -1)
    result = [_nested(values[..., k], starts[:, k], n_groups) for k in range(values.shape[-1])]
    moving = np.where(_constant(array), np.nan, 1.0)
    return np.asarray(np.reshape(result, array.shape[2:]) * moving, dtype=np.float64)


def _nested(draws: FloatArray, start: FloatArray, n_groups: int) -> float:
    """Nested R-hat of one quantity (n_chains, n_draws)."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    scores = ndtri((rankdata(draws).reshape(draws.shape) - 0.375) / (draws.size + 0.25))
    size = len(draws) // n_groups
    order = np.argsort(start, kind="stable")[: n_groups * size].reshape(n_groups, size)
    groups = scores[order]
    within = groups.mean(2).var(1, ddof=1) + groups.var(2, ddof=1).mean(1)
    between = groups.mean((1, 2)).var(ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.sqrt(1.0 + between / within.mean()))


def local_r_hat(draws: ArrayLike | Tensor, start: ArrayLike | Tensor, n_groups: int = 4) -> FloatArray:
    """Largest nested R-hat of being in a tail of a quantity, over tails that hold from 0.5 % to half of the draws.

    A mode of small weight hardly moves the mean of ranks, and a few chains that stay in one hide in `nested_r_hat`;
    whether a state is beyond a quantile shows them.

    Parameters
    ----------
    draws : (n_chains, n_draws, ...)
    start : (n_chains, ...) values before the first step, by whose order the chains are put into groups
    n_groups : at least two, of at least two chains each

    Returns
    -------
    (...,) float64, estimated; 1 where a quantity never changed

    Raises
    ------
    ShapeError : too few draws
    """
    array = _as_draws(draws)
    first: Any = start.detach().cpu().numpy() if isinstance(start, Tensor) else start
    n_chains, n_draws = array.shape[:2]
    values, starts = array.reshape(n_chains, n_draws, -1), np.asarray(first, dtype=np.float64).reshape(n_chains, -1)
    size = n_chains // n_groups
    largest = np.ones(values.shape[-1])
    for k in range(values.shape[-1]):
        groups = values[np.argsort(starts[:, k], kind="stable")[: n_groups * size], :, k]
        low, high = np.quantile(groups, _TAILS), np.quantile(groups, 1.0 - np.asarray(_TAILS))
        inside = np.concatenate([(groups[..., None] <= low).mean(1), (groups[..., None] >= high).mean(1)], 1)
        means = inside.reshape(n_groups, size, -1)
        within = means.var(1, ddof=1) + (means * (1.0 - means)).mean(1) * n_draws / (n_draws - 1)
        between, typical = means.mean(1).var(0, ddof=1), within.mean(0)
        ratio = np.divide(between, typical, out=np.zeros_like(between), where=typical > 0.0)
        ratio[(typical == 0.0) & (between > 0.0)] = np.inf
        largest[k] = np.sqrt(1.0 + ratio.max())
    return np.asarray(largest.reshape(array.shape[2:]))


def chain_mean(draws: ArrayLike | Tensor) -> Estimate:
    """Mean of one scalar quantity with a standard error that accounts for autocorrelation.

    Parameters
    ----------
    draws : (n_chains, n_draws)

    Raises
    ------
    ShapeError : not two axes, or fewer than four draws a chain
    """
    array = _as_draws(draws)
    if array.ndim != 2:
        raise ShapeError(f"draws must be (n_chains, n_draws), found {array.shape}; pass one quantity at a time")
    ess = float(effective_sample_size(array))
    stderr = float(array.std(ddof=1) / np.sqrt(ess)) if np.isfinite(ess) else float("nan")
    return Estimate(float(array.mean()), stderr, ess)
