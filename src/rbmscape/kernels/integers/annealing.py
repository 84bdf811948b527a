r"""Steps of annealing with the sampler's integers: the fastest on processors.

The weights are the 16-bit integers of `rbmscape.kernels.rounding`, of which every sum is exact, so that the path
passes exactly through the RBM of the rounded weights, as with ``bytes`` (`rbmscape.kernels.floats.annealing`); the last
weight between that RBM and the true one varies by some tenths of a nat instead of thousandths, still far less than the
weights of the path.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.kernels.integers.annealing_passes import annealing_passes
from rbmscape.kernels.integers.parameters import IntegerParameters, half_step, half_step_work
from rbmscape.kernels.integers.passes import passes
from rbmscape.kernels.integers.product import Products, aligned_zeros
from rbmscape.kernels.interface import ModelLike
from rbmscape.kernels.llvm.units import powers
from rbmscape.kernels.numba.philox import NO_DRAW, Counter, counter
from rbmscape.kernels.numba.threads import MAX_THREADS, start_threads, thread_count
from rbmscape.kernels.reference.base import BasePath, flat_base
from rbmscape.rng import Stream

__all__ = ["IntegerAnnealer", "IntegerPath"]

FloatPair = tuple[NDArray[np.float32], NDArray[np.float32]]


class IntegerAnnealer:
    """Processor with AVX-512, exact sums of 16-bit weights; see `rbmscape.kernels.interface.Annealer`."""

    def __init__(self, products: Products) -> None:
        self._products = products
        start_threads()

    @property
    def name(self) -> str:
        """``tiles`` or ``tables``."""
        return self._products.name

    def bind(self, model: ModelLike, n_chains: int = 0, base: tuple[Tensor, Tensor] | None = None) -> IntegerPath:
        """See `Annealer.bind`; the path's `weights` are the rounded ones."""
        params = IntegerParameters.of(self._products, model)
        params.forget_weights()
        ends = flat_base(params.exact, base, torch.float32, "cpu")
        return IntegerPath(params, ends, _Buffers(self._products, n_chains, *params.shape))


class _Buffers:
    """States as indices, and what a step takes.

    Attributes
    ----------
    shape : (n_chains, N, M)
    visible, hidden : states of both layers as indices
    parts : (3, blocks, padded chains) what each block of units adds to a chain's weight
    drive : (n_chains,) float64 ``(a - a0)·v``
    scratch : of each thread
    """

    def __init__(self, products: Products, n_chains: int, n_visible: int, n_hidden: int) -> None:
        self.shape = n_chains, n_visible, n_hidden
        self.padded_chains = products.padded_chains(n_chains)
        self.visible, self.hidden = (products.indices(n_chains, n) for n in (n_visible, n_hidden))
        blocks = -(-max(n_visible, n_hidden) // products.block)
        self.parts = np.ones((3, blocks, self.padded_chains), np.float32)
        self.drive = torch.zeros(n_chains, dtype=torch.float64)
        self.scratch = aligned_zeros((MAX_THREADS, products.scratch), np.uint32)


def _field(base: NDArray[np.float32], bias: NDArray[np.float32], t: float) -> NDArray[np.float32]:
    """(1 - t) base + t bias."""
    return (np.float32(1.0 - t) * base + np.float32(t) * bias).astype(np.float32, copy=False)


class IntegerPath(BasePath):
    """See `rbmscape.kernels.interface.BoundPath`; states are unpacked when they are asked for.

    Attributes
    ----------
    params : rounded weights and biases of the model, as the sampler has them
    """

    def __init__(self, params: IntegerParameters, base: tuple[Tensor, Tensor], buffers: _Buffers) -> None:
        self.params, self._buffers = params, buffers
        self.base_visible, self.base_hidden = base
        self._padded_visible, self._padded_hidden = (params.products.padded_bias(end) for end in base)
        self._steps, self._passes = annealing_passes(params.products), passes(params.products)

    @property
    def weights(self) -> Tensor:
        """See `BoundPath.weights`."""
        n_visible, n_hidden = self.params.shape
        integers = self.params.products.integers(self.params.to_visible)[:n_visible, :n_hidden]
        return torch.from_numpy(self.params.scale * integers.astype(np.float64))

    @property
    def visible_bias(self) -> Tensor:
        """See `BoundPath.visible_bias`."""
        return self.params.exact.visible_bias

    @property
    def hidden_bias(self) -> Tensor:
        """See `BoundPath.hidden_bias`."""
        return self.params.exact.hidden_bias

    @property
    def v(self) -> Tensor:
        """(n_chains, N) uint8, a copy."""
        return self._unpacked(self._buffers.visible, self._buffers.shape[1])

    @property
    def h(self) -> Tensor:
        """(n_chains, M) uint8, a copy."""
        return self._unpacked(self._buffers.hidden, self._buffers.shape[2])

    def _unpacked(self, indices: NDArray[Any], n_units: int) -> Tensor:
        states = np.empty((self._buffers.shape[0], n_units), np.uint8)
        self._passes.unpack[False](indices, states, 1)
        return torch.from_numpy(states)

    def with_chains(self, n_chains: int) -> IntegerPath:
        """See `BoundPath.with_chains`."""
        return self._with(_Buffers(self.params.products, n_chains, *self.params.shape))

    def on(self, other: IntegerPath) -> IntegerPath:
        """See `BoundPath.on`."""
        return self._with(other._buffers)

    def _with(self, buffers: _Buffers) -> IntegerPath:
        return IntegerPath(self.params, (self.base_visible, self.base_hidden), buffers)

    def load(self, v: Tensor) -> None:
        """See `BoundPath.load`."""
        self._passes.pack[False](v.to(torch.uint8).contiguous().numpy(), self._buffers.visible, 1)
        self._buffers.drive.copy_(v.to(torch.float32) @ (self.visible_bias - self.base_visible))

    def weigh(self, log_weights: Tensor, start: float, end: float) -> None:
        """See `BoundPath.weigh`."""
        self._weigh(log_weights, start, end, None, 0)

    def step(
        self, log_weights: Tensor, start: float, end: float, stream: Stream, draw: int, first_chain: int = 0
    ) -> None:
        """See `BoundPath.step`."""
        params, buffers = self.params, self._buffers
        self._weigh(log_weights, start, end, counter(stream, draw), first_chain)
        threads = self._threads(0)
        self._steps.visible[threads > 1](
            buffers.hidden,
            params.to_visible,
            *powers(params.scale * end, _field(self._padded_visible, params.biases[0], end)),
            params.biases[0] - self._padded_visible,
            buffers.visible,
            buffers.padded_chains,
            buffers.parts,
            buffers.scratch[:threads],
            counter(stream, draw + 1),
            first_chain,
        )
        self._add_drive()

    def move(self, stream: Stream, draw: int, n_steps: int = 1) -> None:
        """See `BoundPath.move`: the sampler's own passes, which weigh nothing."""
        params, buffers = self.params, self._buffers
        to_hidden = buffers.visible, params.to_hidden, params.exponents[1], buffers.hidden
        to_visible = buffers.hidden, params.to_visible, params.exponents[0], buffers.visible
        for number in range(draw, draw + 2 * n_steps, 2):
            for k, layers in enumerate((to_hidden, to_visible)):
                half_step(params, layers, buffers.shape[0], buffers.scratch, counter(stream, number + k))

    def log_density(self) -> Tensor:
        """See `BoundPath.log_density`: one product, weighed at one temperature only."""
        params, buffers = self.params, self._buffers
        self._steps.drive[False](buffers.visible, params.biases[0], buffers.padded_chains, buffers.parts)
        self._add_drive()
        buffers.parts[2] = 1.0
        padding = params.biases[1].size - params.shape[1]  # units with x = 0, a factor of 2 each
        result: Tensor = buffers.drive - padding * math.log(2.0)
        self._pass_hidden((None, 1.0), np.stack((params.biases[1], params.biases[1])), None, 0)
        self._add_weights(result)
        return result

    def exchange(self, other: IntegerPath, swap: Tensor) -> None:
        """See `BoundPath.exchange`: of indices, a column a chain."""
        one, two = self._buffers.visible, other._buffers.visible
        spans, _, span = one.shape
        marks = np.zeros(spans * span, np.bool_)
        marks[: len(swap)] = swap.numpy()
        columns = marks.reshape(spans, 1, span)
        first, second = (np.where(columns, *pair) for pair in ((two, one), (one, two)))
        one[:], two[:] = first, second

    def _weigh(self, log_weights: Tensor, start: float, end: float, numbers: Counter | None, first_chain: int) -> None:
        fields = np.stack([_field(self._padded_hidden, self.params.biases[1], t) for t in (start, end)])
        self._pass_hidden((start, end), fields, numbers, first_chain)
        log_weights.add_(self._buffers.drive, alpha=end - start)
        self._add_weights(log_weights)

    def _pass_hidden(
        self,
        temperatures: tuple[float | None, float],
        fields: NDArray[np.float32],
        numbers: Counter | None,
        first_chain: int,
    ) -> None:
        """Weigh the hidden units, and draw them where there are numbers to draw with."""
        params, buffers, threads = self.params, self._buffers, self._threads(1)
        start, end = temperatures
        slope, exponents = powers(params.scale * end, fields)
        start_slope = np.float32(1.0) if start is None else powers(params.scale * start, fields)[0]
        self._steps.hidden[threads > 1](
            buffers.visible,
            params.to_hidden,
            (start_slope, slope),
            exponents,
            numbers is not None,
            buffers.hidden,
            buffers.padded_chains,
            buffers.parts,
            buffers.scratch[:threads],
            NO_DRAW if numbers is None else numbers,
            first_chain,
        )

    def _add_weights(self, log_weights: Tensor) -> None:
        threads = self._threads(1)
        self._steps.add_weights[threads > 1](self._buffers.parts, self._blocks(1), log_weights.numpy(), threads)

    def _add_drive(self) -> None:
        threads = self._threads(0)
        self._steps.add_drive[threads > 1](self._buffers.parts, self._blocks(0), self._buffers.drive.numpy(), threads)

    def _blocks(self, layer: int) -> int:
        """Blocks of units of a layer, visible (0) or hidden (1)."""
        return self.params.biases[layer].size // self.params.products.block

    def _threads(self, layer: int) -> int:
        """Threads for a pass over a layer."""
        return thread_count(self._blocks(layer), half_step_work(self.params, self._buffers.shape[0]))
