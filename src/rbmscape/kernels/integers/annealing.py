r"""The annealing step of `rbmscape.kernels.floats.annealing` with the sampler's integers: the fastest on processors.

The weights are the 16-bit integers of `rbmscape.kernels.rounding`, of which every sum is exact, so that the path
passes exactly through the RBM of the rounded weights, as with ``bytes``; the last weight between that RBM and the true
one varies by some tenths of a nat instead of thousandths, still far less than the weights of the path.

A step is a pass over the hidden units, which weighs and draws them, a pass that sums each chain's weight over the units
in a fixed order, and the same two for the visible units, whose sum is ``(a - a0)·v``.  Names in capitals and some
others stand for those of the products, as in `rbmscape.kernels.integers.passes`.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import torch
from numba import njit
from numpy import float32, uint32, uint64
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.kernels.floats.annealing import BaseAnnealer, PathParameters, PathWorkspace
from rbmscape.kernels.floats.passes import Kernel, compile_pass
from rbmscape.kernels.integers.avx512_product import TABLES
from rbmscape.kernels.integers.engine import FixedEngine, FixedParameters, counter, half_step
from rbmscape.kernels.integers.passes import passes
from rbmscape.kernels.integers.product import CHAINS, Products, aligned_zeros
from rbmscape.kernels.llvm.units import LANES, powers, weigher
from rbmscape.kernels.numba.threads import MAX_THREADS, thread_count
from rbmscape.rng import Stream

__all__ = ["FixedAnnealer", "FixedPath", "FixedPathWorkspace"]

GROUP, SPACING, BLOCK, SPAN, TILE, SUMS, WORDS, begin, end, multiply, draw_block = TABLES.names.values()
_RUN = 120  # units whose factors, each in [1, 2], multiply within float32
_LN_2 = math.log(2.0)
_NO_DRAW = (np.uint64(0),) * 4


_weigh_end, _weigh_both = weigher(both=False), weigher(both=True)


@njit(inline="always")
def _drive_lanes(idx, span, place, block, difference, gain, groups, group, spacing):  # type: ignore[no-untyped-def]
    """(a - a0)·v of the units of a block for one register of chains."""
    gain[:] = float32(0.0)
    for g in range(groups * block, groups * (block + 1)):
        bits = idx[span, g, place : place + LANES]
        for k in range(group):
            factor = difference[g * group + k]
            for c in range(LANES):
                gain[c] += factor * float32((uint32(bits[c]) >> uint32(spacing * k)) & uint32(1))


def _hidden(idx, weights, slopes, fields, sample, out, chains, parts, scratch, counter, first_chain):  # type: ignore[no-untyped-def]
    """parts (3, blocks, chains): of each block of units what `rbmscape.kernels.llvm.units.weigher` makes of it.

    slopes, fields : of t = -x / ln 2 at the start and at the end temperature; without a start, whose slope is then
        positive, the factors of that temperature stay as they are
    """
    n_threads, n_blocks = scratch.shape[0], fields.shape[1] // BLOCK
    starts, ends = fields[0], fields[1]
    linear, above, below = parts[0], parts[1], parts[2]
    for t in numba.prange(n_threads):
        begin()
        pre = scratch[t, :WORDS].view(SUMS)
        words = scratch[t, WORDS:]
        for block in range(t * n_blocks // n_threads, (t + 1) * n_blocks // n_threads):
            unit = block * BLOCK
            for start in range(0, chains, TILE):
                size = min(TILE, chains - start)
                multiply(idx, start, size, weights, block, pre)
                for lane in range(0, size, LANES):
                    chain = start + lane
                    if sample:
                        number = uint64(first_chain + chain)
                        draw_block(pre, lane, slopes[1], ends, block, out, chain, words, counter, number)
                    at = block * chains + chain
                    if slopes[0] <= float32(0.0):
                        _weigh_both(pre, lane, TILE, BLOCK, slopes, starts, ends, unit, linear, above, below, at)
                    else:
                        _weigh_end(pre, lane, TILE, BLOCK, slopes, starts, ends, unit, linear, above, below, at)
        end()


def _visible(idx, weights, slope, fields, difference, out, chains, parts, scratch, counter, first_chain):  # type: ignore[no-untyped-def]
    """parts[0] (blocks, chains): (a - a0)·v of each block of units."""
    n_threads, n_blocks = scratch.shape[0], difference.size // BLOCK
    gain = parts[0]
    for t in numba.prange(n_threads):
        begin()
        pre = scratch[t, :WORDS].view(SUMS)
        words = scratch[t, WORDS:]
        for block in range(t * n_blocks // n_threads, (t + 1) * n_blocks // n_threads):
            for start in range(0, chains, TILE):
                size = min(TILE, chains - start)
                multiply(idx, start, size, weights, block, pre)
                for lane in range(0, size, LANES):
                    chain = start + lane
                    number = uint64(first_chain + chain)
                    draw_block(pre, lane, slope, fields, block, out, chain, words, counter, number)
                    total = gain[block, chain : chain + LANES]
                    _drive_lanes(
                        out, chain // SPAN, chain % SPAN, block, difference, total, BLOCK // GROUP, GROUP, SPACING
                    )
        end()


def _drive(idx, field, chains, parts):  # type: ignore[no-untyped-def]
    """parts[0] (blocks, chains): field·v of each block of units."""
    for chain in range(0, chains, LANES):
        for block in range(field.size // BLOCK):
            total = parts[0, block, chain : chain + LANES]
            _drive_lanes(idx, chain // SPAN, chain % SPAN, block, field, total, BLOCK // GROUP, GROUP, SPACING)


def _add_weights(parts, n_blocks, log_weights, n_threads):  # type: ignore[no-untyped-def]
    """log_weights += ln 2 Σ linear + ln Π above - ln Π below, block after block; overwrites `parts`."""
    n_pieces, run = (log_weights.size + CHAINS - 1) // CHAINS, _RUN // BLOCK
    for t in numba.prange(n_threads):
        for piece in range(t * n_pieces // n_threads, (t + 1) * n_pieces // n_threads):
            first, last = piece * CHAINS, min((piece + 1) * CHAINS, log_weights.size)
            for start in range(0, n_blocks, run):
                linear, above, below = parts[0, start], parts[1, start], parts[2, start]
                for block in range(start + 1, min(start + run, n_blocks)):
                    for c in range(first, last):
                        linear[c] += parts[0, block, c]
                        above[c] *= parts[1, block, c]
                        below[c] *= parts[2, block, c]
                for c in range(first, last):
                    log_weights[c] += _LN_2 * float(linear[c]) + math.log(float(above[c]) / float(below[c]))


def _add_drive(parts, n_blocks, drive, n_threads):  # type: ignore[no-untyped-def]
    """drive = Σ parts[0], block after block; overwrites `parts`."""
    n_pieces, run = (drive.size + CHAINS - 1) // CHAINS, _RUN // BLOCK
    for t in numba.prange(n_threads):
        for piece in range(t * n_pieces // n_threads, (t + 1) * n_pieces // n_threads):
            first, last = piece * CHAINS, min((piece + 1) * CHAINS, drive.size)
            drive[first:last] = 0.0
            for start in range(0, n_blocks, run):
                gain = parts[0, start]
                for block in range(start + 1, min(start + run, n_blocks)):
                    for c in range(first, last):
                        gain[c] += parts[0, block, c]
                for c in range(first, last):
                    drive[c] += float(gain[c])


@dataclass(frozen=True)
class _Passes:
    """The passes for one way to multiply, serial and parallel."""

    hidden: dict[bool, Kernel]
    visible: dict[bool, Kernel]
    drive: dict[bool, Kernel]
    add_weights: dict[bool, Kernel]
    add_drive: dict[bool, Kernel]


@functools.cache
def _passes(products: Products) -> _Passes:
    """Compiled when they are first called."""

    def both(source: Any) -> dict[bool, Kernel]:
        return {parallel: compile_pass(parallel, products)(source) for parallel in (False, True)}

    return _Passes(both(_hidden), both(_visible), both(_drive), both(_add_weights), both(_add_drive))


@dataclass(frozen=True)
class FixedPath:
    """Both ends of a path; see `rbmscape.kernels.floats.annealing.PathParameters`.

    Attributes
    ----------
    tables : rounded weights and biases of the model, as the sampler wants them
    base_visible, base_hidden : a0 (N,), b0 (M,)
    padded_base : both, padded to whole blocks
    """

    tables: FixedParameters
    base_visible: Tensor
    base_hidden: Tensor
    padded_base: tuple[NDArray[np.float32], NDArray[np.float32]]

    @property
    def visible_bias(self) -> Tensor:
        """(N,) a."""
        return self.tables.visible_bias

    @property
    def hidden_bias(self) -> Tensor:
        """(M,) b."""
        return self.tables.hidden_bias

    @property
    def weights(self) -> Tensor:
        """(N, M) float64 weights that the products represent exactly."""
        n_visible, n_hidden = self.tables.exact_weights.shape
        integers = self.tables.products.integers(self.tables.to_visible)[:n_visible, :n_hidden]
        return torch.from_numpy(self.tables.scale * integers.astype(np.float64))


class FixedPathWorkspace:
    """States as indices, unpacked when they are asked for, and the buffers of a step."""

    def __init__(self, products: Products, n_chains: int, n_visible: int, n_hidden: int) -> None:
        self.shape = n_chains, n_visible, n_hidden
        self.products, self.padded_chains = products, products.padded_chains(n_chains)
        self.visible, self.hidden = (products.indices(n_chains, n) for n in (n_visible, n_hidden))
        blocks = -(-max(n_visible, n_hidden) // products.block)
        self.parts = np.ones((3, blocks, self.padded_chains), np.float32)
        self.drive = torch.zeros(n_chains, dtype=torch.float64)
        self.scratch = aligned_zeros((MAX_THREADS, products.scratch), np.uint32)

    @property
    def v(self) -> Tensor:
        """(n_chains, N) uint8."""
        return self._unpacked(self.visible, self.shape[1])

    @property
    def h(self) -> Tensor:
        """(n_chains, M) uint8."""
        return self._unpacked(self.hidden, self.shape[2])

    def _unpacked(self, indices: NDArray[Any], n_units: int) -> Tensor:
        states = np.empty((self.shape[0], n_units), np.uint8)
        passes(self.products).unpack[False](indices, states, 1)
        return torch.from_numpy(states)


def _field(base: NDArray[np.float32], bias: NDArray[np.float32], t: float) -> NDArray[np.float32]:
    """(1 - t) base + t bias."""
    return (np.float32(1.0 - t) * base + np.float32(t) * bias).astype(np.float32, copy=False)


class FixedAnnealer(BaseAnnealer):
    """Processor with AVX-512, exact sums of 16-bit weights."""

    def __init__(self, products: Products | None = None) -> None:
        self._engine = FixedEngine(products)

    @property
    def name(self) -> str:
        """``tiles`` or ``tables``."""
        return self._engine.products.name

    def prepare(
        self, weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor, base_visible: Tensor, base_hidden: Tensor
    ) -> FixedPath:
        """See `rbmscape.kernels.floats.annealing.Annealer.prepare`; `weights` of the result are the rounded ones."""
        tables = self._engine.prepare(weights, visible_bias, hidden_bias)
        bases = [base.detach().to("cpu", torch.float32).contiguous() for base in (base_visible, base_hidden)]
        first, second = (tables.products.padded_bias(base) for base in bases)
        return FixedPath(tables, bases[0], bases[1], (first, second))

    def workspace(self, n_chains: int, n_visible: int, n_hidden: int) -> FixedPathWorkspace:
        """See `rbmscape.kernels.floats.annealing.Annealer.workspace`."""
        return FixedPathWorkspace(self._engine.products, n_chains, n_visible, n_hidden)

    def load(self, params: PathParameters, ws: PathWorkspace, v: Tensor) -> None:
        """See `rbmscape.kernels.floats.annealing.Annealer.load`."""
        assert isinstance(params, FixedPath)
        assert isinstance(ws, FixedPathWorkspace)
        passes(ws.products).pack[False](v.to(torch.uint8).contiguous().numpy(), ws.visible, 1)
        ws.drive.copy_(v.to(torch.float32) @ (params.visible_bias - params.base_visible))

    def weigh(self, params: PathParameters, ws: PathWorkspace, log_weights: Tensor, start: float, end: float) -> None:
        """See `rbmscape.kernels.floats.annealing.Annealer.weigh`."""
        self._weigh(params, ws, log_weights, start, end, None, 0)

    def step(
        self,
        params: PathParameters,
        ws: PathWorkspace,
        log_weights: Tensor,
        start: float,
        end: float,
        stream: Stream,
        draw: int,
        first_chain: int = 0,
    ) -> None:
        """See `rbmscape.kernels.floats.annealing.Annealer.step`."""
        self._weigh(params, ws, log_weights, start, end, counter(stream, draw), first_chain)
        assert isinstance(params, FixedPath)
        assert isinstance(ws, FixedPathWorkspace)
        tables = params.tables
        threads = _threads(tables, 0)
        _passes(ws.products).visible[threads > 1](
            ws.hidden,
            tables.to_visible,
            *powers(tables.scale * end, _field(params.padded_base[0], tables.biases[0], end)),
            tables.biases[0] - params.padded_base[0],
            ws.visible,
            ws.padded_chains,
            ws.parts,
            ws.scratch[:threads],
            counter(stream, draw + 1),
            first_chain,
        )
        self._add_drive(tables, ws)

    def move(self, params: PathParameters, ws: PathWorkspace, stream: Stream, draw: int) -> None:
        """See `rbmscape.kernels.floats.annealing.Annealer.move`: the sampler's own passes, which weigh nothing."""
        assert isinstance(params, FixedPath)
        assert isinstance(ws, FixedPathWorkspace)
        tables = params.tables
        to_hidden = ws.visible, tables.to_hidden, tables.exponents[1], ws.hidden
        to_visible = ws.hidden, tables.to_visible, tables.exponents[0], ws.visible
        for k, layers in enumerate((to_hidden, to_visible)):
            half_step(tables, layers, ws.shape[0], ws.scratch, counter(stream, draw + k))

    def log_density(self, params: PathParameters, ws: PathWorkspace) -> Tensor:
        """See `Annealer.log_density`: one product, weighed at one temperature only."""
        assert isinstance(params, FixedPath)
        assert isinstance(ws, FixedPathWorkspace)
        tables = params.tables
        _passes(ws.products).drive[False](ws.visible, tables.biases[0], ws.padded_chains, ws.parts)
        self._add_drive(tables, ws)
        ws.parts[2] = 1.0
        padding = tables.biases[1].size - tables.hidden_bias.shape[0]  # units with x = 0, a factor of 2 each
        result: Tensor = ws.drive - padding * math.log(2.0)
        fields = np.stack((tables.biases[1], tables.biases[1]))
        self._pass_hidden(tables, ws, (None, 1.0), fields, None, 0)
        self._add_weights(tables, ws, result)
        return result

    def exchange(self, one: PathWorkspace, other: PathWorkspace, swap: Tensor) -> None:
        """See `rbmscape.kernels.floats.annealing.Annealer.exchange`: of indices, a column a chain."""
        assert isinstance(one, FixedPathWorkspace)
        assert isinstance(other, FixedPathWorkspace)
        spans, _, span = one.visible.shape
        marks = np.zeros(spans * span, np.bool_)
        marks[: len(swap)] = swap.numpy()
        columns = marks.reshape(spans, 1, span)
        first, second = (
            np.where(columns, *pair) for pair in ((other.visible, one.visible), (one.visible, other.visible))
        )
        one.visible[:], other.visible[:] = first, second

    def _weigh(
        self,
        params: PathParameters,
        ws: PathWorkspace,
        log_weights: Tensor,
        start: float,
        end: float,
        numbers: tuple[np.uint64, ...] | None,
        first_chain: int,
    ) -> None:
        assert isinstance(params, FixedPath)
        assert isinstance(ws, FixedPathWorkspace)
        tables = params.tables
        fields = np.stack([_field(params.padded_base[1], tables.biases[1], t) for t in (start, end)])
        self._pass_hidden(tables, ws, (start, end), fields, numbers, first_chain)
        log_weights.add_(ws.drive, alpha=end - start)
        self._add_weights(tables, ws, log_weights)

    @staticmethod
    def _pass_hidden(
        tables: FixedParameters,
        ws: FixedPathWorkspace,
        temperatures: tuple[float | None, float],
        fields: NDArray[np.float32],
        numbers: tuple[np.uint64, ...] | None,
        first_chain: int,
    ) -> None:
        """Weigh the hidden units, and draw them where there are numbers to draw with."""
        threads = _threads(tables, 1)
        start, end = temperatures
        slope, exponents = powers(tables.scale * end, fields)
        start_slope = np.float32(1.0) if start is None else powers(tables.scale * start, fields)[0]
        _passes(ws.products).hidden[threads > 1](
            ws.visible,
            tables.to_hidden,
            (start_slope, slope),
            exponents,
            numbers is not None,
            ws.hidden,
            ws.padded_chains,
            ws.parts,
            ws.scratch[:threads],
            _NO_DRAW if numbers is None else numbers,
            first_chain,
        )

    @staticmethod
    def _add_weights(tables: FixedParameters, ws: FixedPathWorkspace, log_weights: Tensor) -> None:
        threads = _threads(tables, 1)
        n_blocks = tables.biases[1].size // ws.products.block
        _passes(ws.products).add_weights[threads > 1](ws.parts, n_blocks, log_weights.numpy(), threads)

    @staticmethod
    def _add_drive(tables: FixedParameters, ws: FixedPathWorkspace) -> None:
        threads = _threads(tables, 0)
        n_blocks = tables.biases[0].size // ws.products.block
        _passes(ws.products).add_drive[threads > 1](ws.parts, n_blocks, ws.drive.numpy(), threads)


def _threads(tables: FixedParameters, layer: int) -> int:
    """Threads for a pass over a layer, visible (0) or hidden (1)."""
    return thread_count(tables.biases[layer].size // tables.products.block)
