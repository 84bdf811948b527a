"""A model's parameters as integers in both layouts of the products, and the half-step that uses them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from rbmscape.kernels.integers.passes import largest_sums, passes
from rbmscape.kernels.integers.product import Products
from rbmscape.kernels.interface import ModelLike, Parameters
from rbmscape.kernels.llvm.units import powers
from rbmscape.kernels.numba.philox import Counter
from rbmscape.kernels.numba.threads import MAX_THREADS, thread_count
from rbmscape.kernels.reference.base import cast
from rbmscape.kernels.rounding import LARGEST, coarse_factor, next_scale, scale_for

__all__ = ["IntegerParameters", "Layers", "half_step"]

_BEYOND = 2.0**127

FloatPair = tuple[NDArray[np.float32], NDArray[np.float32]]
Layers = tuple[NDArray[Any], NDArray[Any], NDArray[np.float32], NDArray[Any]]


@dataclass(slots=True, eq=False)
class IntegerParameters:
    """Rounded weights, and what goes with them; renewed in place.

    Attributes
    ----------
    products : the way to multiply
    exact : the model's own parameters in float32
    to_hidden, to_visible : weights of the two half-steps in the layouts of `products`, padded
    sums : scratch of the rounding, (threads, 2, M)
    scale : value of one unit
    biases : visible and hidden biases, padded
    exponents : the same as `rbmscape.kernels.llvm.units.powers` makes them
    """

    products: Products
    exact: Parameters
    to_hidden: NDArray[Any]
    to_visible: NDArray[Any]
    sums: NDArray[np.int32]
    scale: float
    biases: FloatPair
    exponents: FloatPair

    @classmethod
    def of(cls, products: Products, model: ModelLike) -> Self:
        """A model's parameters in new layouts."""
        exact = cast(model, torch.float32, "cpu")
        n_visible, n_hidden = exact.weights.shape
        sums = np.zeros((MAX_THREADS, 2, n_hidden), np.int32)
        none = np.zeros(0, np.float32), np.zeros(0, np.float32)
        found = cls(products, exact, *products.allocate(n_visible, n_hidden), sums, 1.0, none, none)
        found._round()
        return found

    def renew(self, model: ModelLike) -> None:
        """Take the parameters of a model of the same shape."""
        self.exact = cast(model, torch.float32, "cpu")
        self._round()

    def forget_weights(self) -> None:
        """Hold the model's own weights no longer, and of them know the shape only: a ladder has many rungs."""
        weights = self.exact.weights
        self.exact = replace(self.exact, weights=weights.new_zeros(()).expand(weights.shape))

    @property
    def shape(self) -> tuple[int, int]:
        """(N, M)."""
        n_visible, n_hidden = self.exact.weights.shape
        return n_visible, n_hidden

    def _round(self) -> None:
        """Fill both layouts, and what depends on the scale."""
        visible, hidden = (self.products.padded_bias(b) for b in (self.exact.visible_bias, self.exact.hidden_bias))
        self.scale = self._round_weights(self.exact.weights.numpy())
        self.biases = visible, hidden
        self.exponents = powers(self.scale, visible)[1], powers(self.scale, hidden)[1]

    def _round_weights(self, weights: NDArray[np.float32]) -> float:
        """Fill both layouts and return the scale, that of `rbmscape.kernels.rounding.round_to_fixed`."""
        threads = thread_count(min(self.sums.shape[0], weights.shape[0]), weights.size)
        columns, rows, parallel = self.sums[:threads], np.zeros(threads, np.int32), threads > 1
        n_units = max(weights.shape)
        factor = coarse_factor(float(max(weights.max(), -weights.min())), n_units)
        if factor == 0.0:
            self.to_hidden[:], self.to_visible[:] = 0, 0
            return 1.0
        usual = factor < _BEYOND  # else of weights so small that only float64 holds it, and a pass compiled for that
        largest_sums[parallel](weights, np.float32(factor) if usual else np.float64(factor), columns, rows)
        scale = scale_for(_largest(columns, rows), factor, n_units)
        round_weights = self.products.round_weights[parallel]
        while True:
            round_weights(weights, 1.0 / scale, self.to_hidden, self.to_visible, columns, rows)
            if _largest(columns, rows) <= LARGEST:
                return scale
            scale = next_scale(scale)


def _largest(columns: NDArray[np.int32], rows: NDArray[np.int32]) -> int:
    return max(int(columns.sum(0).max()), int(rows.max()))


def half_step_work(params: IntegerParameters, n_chains: int) -> float:
    """Nanoseconds of one core for `thread_count`: the product, and the drawing of the units."""
    n_visible, n_hidden = params.shape
    return n_chains * (0.01 * n_visible * n_hidden + max(n_visible, n_hidden))


def half_step(
    params: IntegerParameters,
    layers: Layers,
    n_chains: int,
    scratch: NDArray[np.uint32],
    numbers: Counter,
    beta: float = 1.0,
    first_chain: int = 0,
) -> None:
    """Draw one layer given the other: indices of the given one, weights and exponents of the drawn one, its indices."""
    source, weights, exponents, target = layers
    products = params.products
    threads = thread_count(exponents.size // products.block, half_step_work(params, n_chains))
    passes(products).draw_units[threads > 1](
        source,
        weights,
        powers(beta * params.scale, exponents[:0])[0],
        exponents if beta == 1.0 else np.float32(beta) * exponents,
        target,
        products.padded_chains(n_chains),
        scratch[:threads],
        numbers,
        first_chain,
    )
