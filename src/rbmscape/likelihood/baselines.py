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
    mixture is fitted by expectation maximisation on at most 20 000 rows.

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
    dataset = dataset.complete("a baseline")
    count = min(check_count("n_products", n_products), len(dataset.train))
    scored = data if data is not None else dataset.test if len(dataset.test) else dataset.train
    train = torch.from_numpy(dataset.train[:MAX_ROWS]).to(torch.float32)
    mean = (torch.from_numpy(dataset.train.sum(0, dtype=np.int64)).double() + 1.0) / (len(dataset.train) + 2.0)
    means, shares = _fit(train, mean.float(), count, Stream(seed, "baselines"))
    single, mixed = [], []
    for start in range(0, len(scored), MAX_ROWS):
        rows = torch.as_tensor(scored[start : start + MAX_ROWS]).to(torch.float32)
        single.append(_log_products(rows, mean.float()[None])[:, 0])
        mixed.append(_log_joint(rows, means, shares).logsumexp(1))
    return Baselines(_mean(torch.cat(single)), _mean(torch.cat(mixed)), count)


def _fit(train: Tensor, mean: Tensor, count: int, stream: Stream) -> tuple[Tensor, Tensor]:
    """(K, N) means of the products and (K,) shares after expectation maximisation from rows of the data."""
    picks = torch.from_numpy(stream.numpy().permutation(len(train))[:count])
    means, shares = 0.5 * (train[picks] + mean), torch.full((count,), 1.0 / count)
    before = -math.inf
    for _ in range(MAX_ROUNDS):
        joint = _log_joint(train, means, shares)
        now = float(joint.logsumexp(1).mean(dtype=torch.float64))
        if now < before + LEVELLED:
            break
        before = now
        parts = joint.softmax(1)
        weights = parts.sum(0)
        means = (parts.T @ train + 2.0 * mean) / (weights[:, None] + 2.0)
        shares = (weights + 1.0) / (len(train) + count)
    return means, shares


def _log_joint(rows: Tensor, means: Tensor, shares: Tensor) -> Tensor:
    """(n, K) ln of the share of each product times its probability of each row."""
    return _log_products(rows, means) + shares.log()


def _log_products(rows: Tensor, means: Tensor) -> Tensor:
    """(n, K) ln Π_i p_i^{v_i} (1 - p_i)^{1 - v_i}."""
    return rows @ torch.logit(means).T + torch.log1p(-means).sum(1)


def _mean(values: Tensor) -> Estimate:
    double = values.to(torch.float64)
    stderr = float(double.std()) / math.sqrt(len(double)) if len(double) > 1 else 0.0
    return Estimate(float(double.mean()), stderr)
