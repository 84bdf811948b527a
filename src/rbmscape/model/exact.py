"""Exact enumeration of small models: the oracle for everything that is estimated elsewhere.

One layer is summed in closed form, the other state by state, in float64 and in chunks:
``Z = Σ_h exp(beta b·h) Π_i (1 + exp(beta (a + Wh)_i))`` and the same with the layers exchanged.
Shapes: visible (N,), hidden (M,), weights and correlations (N, M).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from rbmscape.brief import OneLine
from rbmscape.errors import InputError
from rbmscape.model.arrays import Arrays
from rbmscape.model.rbm import RBM

__all__ = [
    "MAX_ENUMERATED_UNITS",
    "Moments",
    "binary_states",
    "exact_gradient",
    "exact_log_likelihood",
    "exact_log_partition",
    "exact_moments",
    "exact_samples",
    "visible_log_probabilities",
]

MAX_ENUMERATED_UNITS: Final = 25
_CHUNK_BITS: Final = 14


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Moments(OneLine):
    """Exact expectation values of a model: ⟨v⟩ (N,), ⟨h⟩ (M,), ⟨v hᵀ⟩ (N, M), all float64."""

    visible: Tensor
    hidden: Tensor
    correlation: Tensor


def binary_states(n_units: int, first: int = 0, count: int | None = None) -> Tensor:
    """States number first, first+1, … as a (count, n_units) float64 tensor; bit k of the number is unit k."""
    total = 1 << n_units
    count = total - first if count is None else min(count, total - first)
    numbers = torch.arange(first, first + count, dtype=torch.int64)
    return (numbers[:, None] >> torch.arange(n_units)).bitwise_and_(1).to(torch.float64)


def _check_enumerable(units: int) -> None:
    if units > MAX_ENUMERATED_UNITS:
        raise InputError(
            f"exact enumeration sums over 2^{units} states, more than 2^{MAX_ENUMERATED_UNITS}; "
            f"use method='ais' or 'bar' for a model of this size"
        )


def _oriented(rbm: RBM) -> tuple[RBM, bool]:
    """The model in float64 on the CPU with the smaller layer as the hidden one, and whether layers were exchanged."""
    double = rbm.to(device="cpu", dtype=torch.float64)
    swapped = rbm.n_visible < rbm.n_hidden
    return (double.transposed() if swapped else double), swapped


def _chunks(rbm: RBM, beta: float) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Chunks of the smaller layer: states h (c, M), fields beta(Wh + a) (c, N), and log weights (c,)."""
    _check_enumerable(rbm.n_hidden)
    step = 1 << min(rbm.n_hidden, _CHUNK_BITS)
    for first in range(0, 1 << rbm.n_hidden, step):
        states = binary_states(rbm.n_hidden, first, step)
        fields = beta * rbm.visible_field(states)
        yield states, fields, beta * (states @ rbm.hidden_bias) + torch.nn.functional.softplus(fields).sum(-1)


def exact_log_partition(rbm: RBM, beta: float = 1.0) -> float:
    """ln Z = ln Σ_{v,h} exp(-beta E(v, h)), by summing over the smaller layer.

    Raises
    ------
    InputError : the smaller layer has more than 25 units
    """
    oriented, _ = _oriented(rbm)
    parts = [torch.logsumexp(log_weights, 0) for _, _, log_weights in _chunks(oriented, beta)]
    return float(torch.logsumexp(torch.stack(parts), 0))


def exact_log_likelihood(rbm: RBM, data: Arrays, beta: float = 1.0) -> Tensor:
    """ln p(v) = -beta F(v) - ln Z of each sample, (...,) float64.

    Raises
    ------
    InputError : the smaller layer has more than 25 units
    ShapeError : the last axis is not n_visible
    """
    double = rbm.to(device="cpu", dtype=torch.float64)
    return -beta * double.free_energy(data, beta) - exact_log_partition(rbm, beta)


def exact_moments(rbm: RBM, beta: float = 1.0) -> Moments:
    """⟨v⟩, ⟨h⟩ and ⟨v hᵀ⟩ under p(v, h).

    Raises
    ------
    InputError : the smaller layer has more than 25 units
    """
    oriented, swapped = _oriented(rbm)
    log_z = exact_log_partition(rbm, beta)
    outer = torch.zeros(oriented.n_visible, dtype=torch.float64)
    inner = torch.zeros(oriented.n_hidden, dtype=torch.float64)
    correlation = torch.zeros(oriented.n_visible, oriented.n_hidden, dtype=torch.float64)
    for states, fields, log_weights in _chunks(oriented, beta):
        weights = torch.exp(log_weights - log_z)
        activities = torch.sigmoid(fields) * weights[:, None]
        outer += activities.sum(0)
        inner += weights @ states
        correlation += activities.T @ states
    return Moments(inner, outer, correlation.T) if swapped else Moments(outer, inner, correlation)


def exact_gradient(rbm: RBM, data: Arrays) -> Moments:
    """Gradient of the mean log-likelihood (equation 6): data average minus model average.

    Returns
    -------
    Moments whose fields are ∂/∂a (N,), ∂/∂b (M,) and ∂/∂W (N, M) of the mean of ln p(v) over the samples

    Raises
    ------
    InputError : the smaller layer has more than 25 units
    """
    double = rbm.to(device="cpu", dtype=torch.float64)
    rows = double.as_visible(data).reshape(-1, rbm.n_visible)
    hidden = double.hidden_probability(rows)
    model = exact_moments(rbm)
    return Moments(
        rows.mean(0) - model.visible,
        hidden.mean(0) - model.hidden,
        rows.T @ hidden / rows.shape[0] - model.correlation,
    )


def visible_log_probabilities(rbm: RBM, beta: float = 1.0) -> Tensor:
    """ln p(v) of all 2^N visible states in the order of `binary_states`, (2^N,) float64.

    Raises
    ------
    InputError : more than 25 visible units
    """
    _check_enumerable(rbm.n_visible)
    return exact_log_likelihood(rbm, binary_states(rbm.n_visible), beta)


def exact_samples(rbm: RBM, n_samples: int, seed: int = 0, beta: float = 1.0) -> tuple[Tensor, Tensor]:
    """Independent samples of p(v, h): the smaller layer from its exact marginal, the other given it.

    Returns
    -------
    v (n_samples, N) and h (n_samples, M), uint8

    Raises
    ------
    InputError : the smaller layer has more than 25 units, or no sample is asked for
    """
    from rbmscape.rng import Stream

    if n_samples < 1:
        raise InputError(f"n_samples must be at least 1, found {n_samples}")
    oriented, swapped = _oriented(rbm)
    generator = Stream(seed, "model/exact").numpy(0)
    log_weights = torch.cat([chunk[2] for chunk in _chunks(oriented, beta)])
    cumulative = torch.cumsum(torch.softmax(log_weights, 0), 0)
    picks = torch.searchsorted(cumulative, torch.from_numpy(generator.random(n_samples)) * cumulative[-1])
    inner = (picks[:, None] >> torch.arange(oriented.n_hidden)).bitwise_and(1)
    probability = oriented.visible_probability(inner, beta)
    uniform = torch.from_numpy(generator.random(tuple(probability.shape)))
    outer = (uniform < probability).to(torch.uint8)
    inner = inner.to(torch.uint8)
    return (inner, outer) if swapped else (outer, inner)
