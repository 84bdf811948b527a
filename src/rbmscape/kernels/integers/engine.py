r"""The fastest engine for processors with AVX-512: binary states, 16-bit weights, exact sums.

`rbmscape.kernels.rounding` has what rounding the weights does, `rbmscape.kernels.integers.amx_product` and
`rbmscape.kernels.integers.avx512_product` how the sums are made.  States live as indices while a sweep runs;
`Workspace.v` and `Workspace.h` are bytes, read before and written after it.  Since sums are exact, the draws do not
depend on how they are made, nor on how chains are split over calls, threads or machines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.kernels.integers.avx512_product import TABLES
from rbmscape.kernels.integers.passes import largest_sums, passes
from rbmscape.kernels.integers.product import CHAINS, Products, aligned_zeros
from rbmscape.kernels.interface import BaseEngine, Parameters, Workspace
from rbmscape.kernels.llvm.units import powers
from rbmscape.kernels.numba.threads import MAX_THREADS, start_threads, thread_count
from rbmscape.kernels.rounding import LARGEST, coarse_factor, next_scale, scale_for
from rbmscape.rng import Stream

if TYPE_CHECKING:
    from rbmscape.kernels.reference.gradient import Phases

__all__ = ["FixedEngine", "FixedParameters", "FixedWorkspace", "best_products", "counter", "half_step"]


def best_products() -> Products:
    """Tiles where the processor has a matrix unit for bytes, else tables."""
    from rbmscape.kernels.integers.amx_product import TILES
    from rbmscape.kernels.llvm.amx import has_tiles

    return TILES if has_tiles() else TABLES


@dataclass(frozen=True, slots=True)
class FixedParameters(Parameters):
    """`Parameters` with the rounded weights in both layouts of `products`.

    Attributes
    ----------
    to_hidden, to_visible : weights of the two half-steps, padded
    biases : visible and hidden biases, padded
    exponents : the same as `rbmscape.kernels.llvm.units.powers` makes them
    sums : scratch of the rounding, (threads, 2, M)
    scale : value of one unit
    products : the way to multiply
    """

    to_hidden: NDArray[Any]
    to_visible: NDArray[Any]
    biases: tuple[NDArray[np.float32], NDArray[np.float32]]
    exponents: tuple[NDArray[np.float32], NDArray[np.float32]]
    sums: NDArray[np.int32]
    scale: float
    products: Products


@dataclass(frozen=True, slots=True)
class FixedWorkspace(Workspace):
    """`Workspace` with the states as indices and scratch for each thread."""

    visible: NDArray[Any]
    hidden: NDArray[Any]
    scratch: NDArray[np.uint32]
    products: Products


class FixedEngine(BaseEngine):
    """Engine for processors with exact integer sums, precision ``fixed``."""

    name = "cpu"
    precision = "fixed"
    state_dtype = torch.uint8
    device = torch.device("cpu")

    def __init__(self, products: Products | None = None) -> None:
        self.products = best_products() if products is None else products
        start_threads()

    def workspace(self, n_chains: int, n_visible: int, n_hidden: int) -> FixedWorkspace:
        """See `Engine.workspace`."""
        v, h = (torch.zeros(n_chains, n, dtype=torch.uint8) for n in (n_visible, n_hidden))
        visible, hidden = (self.products.indices(n_chains, n) for n in (n_visible, n_hidden))
        scratch = aligned_zeros((MAX_THREADS, self.products.scratch), np.uint32)
        return FixedWorkspace(v, h, visible, hidden, scratch, self.products)

    def prepare(
        self, weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor, out: Parameters | None = None
    ) -> FixedParameters:
        """See `Engine.prepare`; `weights` of the result are the caller's, both layouts hold the rounded ones."""
        exact, a, b = (x.detach().to("cpu", torch.float32).contiguous() for x in (weights, visible_bias, hidden_bias))
        n_visible, n_hidden = exact.shape
        if isinstance(out, FixedParameters):
            to_hidden, to_visible, sums = out.to_hidden, out.to_visible, out.sums
        else:
            to_hidden, to_visible = self.products.allocate(n_visible, n_hidden)
            sums = np.zeros((MAX_THREADS, 2, n_hidden), np.int32)
        scale = self._round(exact.numpy(), to_hidden, to_visible, sums)
        biases = self.products.padded_bias(a), self.products.padded_bias(b)
        exponents = powers(scale, biases[0])[1], powers(scale, biases[1])[1]
        layouts = to_hidden, to_visible
        return FixedParameters(exact, a, b, exact, *layouts, biases, exponents, sums, scale, self.products)

    def _round(
        self,
        weights: NDArray[np.float32],
        to_hidden: NDArray[Any],
        to_visible: NDArray[Any],
        sums: NDArray[np.int32],
    ) -> float:
        """Fill both layouts and return the scale, that of `rbmscape.kernels.rounding.round_to_fixed`."""
        threads = thread_count(min(sums.shape[0], weights.shape[0]))
        columns, rows, parallel = sums[:threads], np.zeros(threads, np.int32), threads > 1
        n_units = max(weights.shape)
        factor = coarse_factor(float(max(weights.max(), -weights.min())), n_units)
        if factor == 0.0:
            to_hidden[:], to_visible[:] = 0, 0
            return 1.0
        largest_sums[parallel](weights, np.float32(factor), columns, rows)
        scale = scale_for(_largest(columns, rows), factor, n_units)
        while True:
            self.products.round_weights[parallel](weights, 1.0 / scale, to_hidden, to_visible, columns, rows)
            if _largest(columns, rows) <= LARGEST:
                return scale
            scale = next_scale(scale)

    def sample_hidden(
        self, params: Parameters, ws: Workspace, stream: Stream, draw: int, beta: float = 1.0, first_chain: int = 0
    ) -> None:
        """See `Engine.sample_hidden`."""
        assert isinstance(params, FixedParameters)
        assert isinstance(ws, FixedWorkspace)
        self._pack(ws.v, ws.visible)
        _draw_hidden(params, ws, stream, draw, beta, first_chain)
        self._unpack(ws.hidden, ws.h)

    def sample_visible(
        self, params: Parameters, ws: Workspace, stream: Stream, draw: int, beta: float = 1.0, first_chain: int = 0
    ) -> None:
        """See `Engine.sample_visible`."""
        assert isinstance(params, FixedParameters)
        assert isinstance(ws, FixedWorkspace)
        self._pack(ws.h, ws.hidden)
        _draw_visible(params, ws, stream, draw, beta, first_chain)
        self._unpack(ws.visible, ws.v)

    def sweep(
        self,
        params: Parameters,
        ws: Workspace,
        stream: Stream,
        first_step: int,
        n_steps: int,
        beta: float = 1.0,
        first_chain: int = 0,
    ) -> None:
        """See `Engine.sweep`."""
        assert isinstance(params, FixedParameters)
        assert isinstance(ws, FixedWorkspace)
        if n_steps < 1:
            return
        self._pack(ws.v, ws.visible)
        for step in range(first_step, first_step + n_steps):
            _draw_hidden(params, ws, stream, 2 * step, beta, first_chain)
            _draw_visible(params, ws, stream, 2 * step + 1, beta, first_chain)
        self._unpack(ws.hidden, ws.h)
        self._unpack(ws.visible, ws.v)

    def phases(self, n_data: int, n_chains: int, n_visible: int, n_hidden: int) -> Phases:
        """See `Engine.phases`."""
        shape = n_data, n_chains, n_visible, n_hidden
        if self.products is not TABLES:
            from rbmscape.kernels.integers.amx_gradient import FEWEST, TilePhases

            if min(n_data, n_chains) >= FEWEST:
                return TilePhases(*shape)
        from rbmscape.kernels.integers.avx512_gradient import TablePhases

        return TablePhases(*shape)

    def _pack(self, states: Tensor, indices: NDArray[Any]) -> None:
        threads = thread_count(states.shape[0] // CHAINS)
        passes(self.products).pack[threads > 1](states.numpy(), indices, threads)

    def _unpack(self, indices: NDArray[Any], states: Tensor) -> None:
        threads = thread_count(states.shape[0] // CHAINS)
        passes(self.products).unpack[threads > 1](indices, states.numpy(), threads)


def _largest(columns: NDArray[np.int32], rows: NDArray[np.int32]) -> int:
    return max(int(columns.sum(0).max()), int(rows.max()))


def _draw_hidden(
    params: FixedParameters, ws: FixedWorkspace, stream: Stream, draw: int, beta: float, first_chain: int
) -> None:
    layers = ws.visible, params.to_hidden, params.exponents[1], ws.hidden
    half_step(params, layers, ws.v.shape[0], ws.scratch, counter(stream, draw), beta, first_chain)


def _draw_visible(
    params: FixedParameters, ws: FixedWorkspace, stream: Stream, draw: int, beta: float, first_chain: int
) -> None:
    layers = ws.hidden, params.to_visible, params.exponents[0], ws.visible
    half_step(params, layers, ws.v.shape[0], ws.scratch, counter(stream, draw), beta, first_chain)


def counter(stream: Stream, draw: int) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """Key, draw and stream as the passes want them."""
    low, high = stream.key
    return np.uint64(low), np.uint64(high), np.uint64(draw), np.uint64(stream.id)


def half_step(
    params: FixedParameters,
    layers: tuple[NDArray[Any], NDArray[Any], NDArray[np.float32], NDArray[Any]],
    n_chains: int,
    scratch: NDArray[np.uint32],
    numbers: tuple[np.uint64, ...],
    beta: float = 1.0,
    first_chain: int = 0,
) -> None:
    """Draw one layer given the other: indices of the given one, weights and exponents of the drawn one, its indices."""
    source, weights, exponents, target = layers
    products = params.products
    threads = thread_count(exponents.size // products.block)
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
