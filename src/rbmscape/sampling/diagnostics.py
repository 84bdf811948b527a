"""How many independent draws are in Markov chains: effective sample size and R-hat, by arviz-stats.

Vehtari, Gelman, Simpson, Carpenter and Bürkner, "Rank-normalization, folding, and localization: an improved R-hat for
assessing convergence of MCMC", Bayesian Analysis 16, 667 (2021).

Shapes: draws are (n_chains, n_draws, ...); results have the trailing shape.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from rbmscape.errors import ShapeError
from rbmscape.stats import Estimate

__all__ = ["chain_mean", "effective_sample_size", "r_hat"]

FloatArray = NDArray[np.float64]
_FEWEST_DRAWS = 4


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
