r"""Log-likelihoods of models without hidden structure or with very little, to see what a trained model is worth.

Independent units, ``p(v) = Π_i p_i^{v_i} (1 - p_i)^{1 - v_i}``, know the means of the data; a mixture of a few such
products, ``p(v) = Σ_k π_k Π_i p_{ki}^{v_i} (1 - p_{ki})^{1 - v_i}``, knows its clusters.  Both are normalised, so
that their log-likelihood has no error but that of the finite test set.  A restricted Boltzmann machine that falls
behind them was not trained well, whatever its metrics say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor

from rbmscape.brief import OneLine
from rbmscape.checks import check_count
from rbmscape.data.kinds import MISSING, has_missing
from rbmscape.rng import Stream
from rbmscape.stats import Estimate

if TYPE_CHECKING:
    from rbmscape.data.dataset import Dataset

__all__ = ["Baselines", "baselines"]

MAX_ROWS: Final = 20_000
MAX_ROUNDS: Final = 100
LEVELLED: Final = 1e-3
"""Gain of a round, in nats a row, below which the fit has ended."""


@dataclass(frozen=True, slots=True, repr=False)
class Baselines(OneLine):
    """Mean log-likelihood of the scored rows in nats, with the error of their finite number.

    Attributes
    ----------
    independent : of independent units with the means of the training data
    mixture : of a mixture of products fitted to the training data
    n_products : products in the mixture
    """

    independent: Estimate
    mixture: Estimate
    n_products: int

    def _headline(self) -> str:
        return f"independent units {self.independent}, {self.n_products} products {self.mixture}"


def baselines(dataset: Dataset, data: Tensor | Any | None = None, n_products: int = 20, *, seed: int = 0) -> Baselines:
    """Fit both to the training data and score rows with them; a second or two for MNIST.

    Means are smoothed by one pseudo-count of each kind, those of the products towards the mean of the data.  The
    mixture is fitted by expectation maximisation on at most 20 000 rows.  Of rows with missing entries what is known is
    fitted and scored, as `rbmscape.log_probability` scores it.

    Parameters
    ----------
    dataset : its training rows are fitted
    data : (n, N) zeros and ones to score; by default the test rows, or the training rows where there are none
    n_products : products of the mixture; fewer where there are fewer rows
    seed : of the rows that the products start from

    Raises
    ------
    InputError : n_products is no whole number above 0
    """
    dataset = dataset.repeated()
    count = min(check_count("n_products", n_products), len(dataset.train))
    scored = data if data is not None else dataset.test if len(dataset.test) else dataset.train
    mean = _smoothed_mean(dataset)
    train, known = _bits(dataset.train[:MAX_ROWS])
    means, shares = _fit(train, mean, count, Stream(seed, "baselines"), known)
    single, mixed = [], []
    for start in range(0, len(scored), MAX_ROWS):
        rows, known = _bits(scored[start : start + MAX_ROWS])
        single.append(_log_products(rows, mean[None], known)[:, 0])
        mixed.append(_log_joint(rows, means, shares, known).logsumexp(1))
    return Baselines(_mean(torch.cat(single)), _mean(torch.cat(mixed)), count)


def _bits(rows: Any) -> tuple[Tensor, Tensor | None]:
    """(n, N) bits with 0 where an entry is missing, and 1 where it is known; None where all are."""
    values = torch.as_tensor(rows)
    if not has_missing(values):
        return values.to(torch.float32), None
    known = values != MISSING
    return (values * known).to(torch.float32), known.to(torch.float32)


def _smoothed_mean(dataset: Dataset) -> Tensor:
    """(N,) share of ones among what is known of each unit and one pseudo-count of each kind."""
    rows = dataset.train
    ones, seen = rows.sum(0, dtype=np.int64), np.full(dataset.n_visible, len(rows))
    if has_missing(rows):
        gaps = np.asarray(rows == MISSING).sum(0, dtype=np.int64)
        ones, seen = ones - MISSING * gaps, seen - gaps
    return ((torch.from_numpy(ones).double() + 1.0) / (torch.from_numpy(seen) + 2.0)).float()


def _fit(train: Tensor, mean: Tensor, count: int, stream: Stream, known: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """(K, N) means of the products and (K,) shares after expectation maximisation from rows of the data."""
    picks = torch.from_numpy(stream.numpy().permutation(len(train))[:count])
    first = train[picks] if known is None else train[picks] + (1.0 - known[picks]) * mean
    means, shares = 0.5 * (first + mean), torch.full((count,), 1.0 / count)
    before = -math.inf
    for _ in range(MAX_ROUNDS):
        joint = _log_joint(train, means, shares, known)
        now = float(joint.logsumexp(1).mean(dtype=torch.float64))
        if now < before + LEVELLED:
            break
        before = now
        parts = joint.softmax(1)
        weights = parts.sum(0)
        seen = weights[:, None] if known is None else parts.T @ known
        means = (parts.T @ train + 2.0 * mean) / (seen + 2.0)
        shares = (weights + 1.0) / (len(train) + count)
    return means, shares


def _log_joint(rows: Tensor, means: Tensor, shares: Tensor, known: Tensor | None = None) -> Tensor:
    """(n, K) ln of the share of each product times its probability of each row."""
    return _log_products(rows, means, known) + shares.log()


def _log_products(rows: Tensor, means: Tensor, known: Tensor | None = None) -> Tensor:
    """(n, K) ln Π_i p_i^{v_i} (1 - p_i)^{1 - v_i} over the known units of each row."""
    zeros = torch.log1p(-means)
    return rows @ torch.logit(means).T + (zeros.sum(1) if known is None else known @ zeros.T)


def _mean(values: Tensor) -> Estimate:
    double = values.to(torch.float64)
    stderr = float(double.std()) / math.sqrt(len(double)) if len(double) > 1 else 0.0
    return Estimate(float(double.mean()), stderr)
