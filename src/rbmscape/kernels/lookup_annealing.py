r"""The annealing step of `rbmscape.kernels.annealing` by table lookup: two to three times as fast as byte products.

The weights are the sampler's 16-bit integers (`rbmscape.kernels.fixed_point`), of which every sum is exact, so that the
path passes exactly through the RBM of the rounded weights, as with ``fixed``; the last weight between that RBM and the
true one varies by some tenths of a nat instead of thousandths, still far less than the weights of the path.

A step is a pass over the hidden units, which weighs and draws them, a pass that sums each chain's weight over the units
in a fixed order, and the same two for the visible units, whose sum is ``(a - a0)·v``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
import torch
from numba import njit
from numpy import float32, uint16, uint32
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.kernels.annealing import BaseAnnealer, PathParameters, PathWorkspace
from rbmscape.kernels.annealing_pass import decay
from rbmscape.kernels.fixed import (
    FixedEngine,
    FixedParameters,
    counter,
    half_step,
    padded_bias,
    padded_chains,
    padded_units,
)
from rbmscape.kernels.fixed_pass import BLOCK, GROUP, LANES, SCRATCH, TILE, fill_lanes, pack, unpack
from rbmscape.kernels.fused import active, compile_pass
from rbmscape.kernels.lookup import short_products
from rbmscape.kernels.threads import MAX_THREADS, thread_count
from rbmscape.rng import Stream

__all__ = ["LookupAnnealer", "LookupPath", "LookupWorkspace"]

_GROUPS = BLOCK // GROUP
_RUN = 20  # groups whose 120 factors, each in [1, 2], multiply within float32
_NO_DRAW = (np.uint64(0),) * 4


@njit(inline="always")
def _draw_lanes(pre, lane, unit, slope, field, words, out, group, chain):  # type: ignore[no-untyped-def]
    """Draw six units with x = field + slope · product for one register of chains.

    Loops over chains with six units unrolled and few arrays are what LLVM turns into vector code; in one loop with the
    weights it gives up.
    """
    first = (group % _GROUPS) * GROUP
    bits = out[group, chain : chain + LANES]
    for c in range(LANES):
        index = uint32(0)
        for k in range(GROUP):
            x = field[unit + k] + slope * float32(pre[first + k, lane + c])
            index |= uint32(uint32(active(x, words[first + k, c])) << uint32(k))
        bits[c] = uint16(index)


@njit(inline="always")
def _weigh_lanes(pre, lane, unit, slope, field, gain, product, subtract, chain, group):  # type: ignore[no-untyped-def]
    """Part of six hidden units in ln f: Σ max(x, 0), added or subtracted, and Π (1 + exp(-|x|))."""
    first = (group % _GROUPS) * GROUP
    linear, factors = gain[group, chain : chain + LANES], product[group, chain : chain + LANES]
    for c in range(LANES):
        total, factor = float32(0.0), float32(1.0)
        for k in range(GROUP):
            x = field[unit + k] + slope * float32(pre[first + k, lane + c])
            total += max(x, float32(0.0))
            factor *= float32(1.0) + decay(x)
        linear[c] = linear[c] - total if subtract else total
        factors[c] = factor


@njit(inline="always")
def _drive_lanes(bits, unit, difference, gain):  # type: ignore[no-untyped-def]
    """(a - a0)·v of six units for one register of chains."""
    for c in range(LANES):
        total = float32(0.0)
        for k in range(GROUP):
            total += difference[unit + k] * float32((uint32(bits[c]) >> uint32(k)) & uint32(1))
        gain[c] = total


def _hidden(idx, weights, slopes, fields, sample, out, parts, scratch, counter, first_chain):  # type: ignore[no-untyped-def]
    """parts (3, groups, chains): gain, and products of 1 + exp(-|x|) at both temperatures, of each six units.

    slopes, fields : of x at the start and at the end temperature; without a start, whose slope is then negative, the
        products of that temperature stay as they are
    """
    n_threads, chains, n_blocks = scratch.shape[0], out.shape[1], weights.shape[0] // BLOCK
    half = BLOCK * TILE // 2
    slope0, slope1 = slopes
    field0, field1 = fields[0], fields[1]
    gain, above, below = parts[0], parts[1], parts[2]
    for t in numba.prange(n_threads):
        pre = scratch[t, :half].view(np.int16).reshape((BLOCK, TILE))
        words = scratch[t, half:].reshape((BLOCK, LANES))
        for block in range(t * n_blocks // n_threads, (t + 1) * n_blocks // n_threads):
            for start in range(0, chains, TILE):
                size = min(TILE, chains - start)
                short_products(idx, start, size, weights, block * BLOCK, BLOCK, pre, 0, TILE)
                for lane in range(0, size, LANES):
                    chain = start + lane
                    if sample:
                        fill_lanes(words, block, chain, counter, first_chain)
                    for g in range(_GROUPS):
                        group = _GROUPS * block + g
                        unit = group * GROUP
                        if sample:
                            _draw_lanes(pre, lane, unit, slope1, field1, words, out, group, chain)
                        _weigh_lanes(pre, lane, unit, slope1, field1, gain, above, False, chain, group)
                        if slope0 >= float32(0.0):
                            _weigh_lanes(pre, lane, unit, slope0, field0, gain, below, True, chain, group)


def _visible(idx, weights, slope, field, difference, out, parts, scratch, counter, first_chain):  # type: ignore[no-untyped-def]
    """parts[0] (groups, chains): (a - a0)·v of each six units."""
    n_threads, chains, n_blocks = scratch.shape[0], out.shape[1], weights.shape[0] // BLOCK
    half = BLOCK * TILE // 2
    gain = parts[0]
    for t in numba.prange(n_threads):
        pre = scratch[t, :half].view(np.int16).reshape((BLOCK, TILE))
        words = scratch[t, half:].reshape((BLOCK, LANES))
        for block in range(t * n_blocks // n_threads, (t + 1) * n_blocks // n_threads):
            for start in range(0, chains, TILE):
                size = min(TILE, chains - start)
                short_products(idx, start, size, weights, block * BLOCK, BLOCK, pre, 0, TILE)
                for lane in range(0, size, LANES):
                    chain = start + lane
                    fill_lanes(words, block, chain, counter, first_chain)
                    for g in range(_GROUPS):
                        group = _GROUPS * block + g
                        _draw_lanes(pre, lane, group * GROUP, slope, field, words, out, group, chain)
                        bits = out[group, chain : chain + LANES]
                        _drive_lanes(bits, group * GROUP, difference, gain[group, chain : chain + LANES])


def _drive(idx, field, parts):  # type: ignore[no-untyped-def]
    """parts[0] (groups, chains): field·v of each six units."""
    gain = parts[0]
    for group in range(idx.shape[0]):
        for chain in range(0, idx.shape[1], LANES):
            bits = idx[group, chain : chain + LANES]
            _drive_lanes(bits, group * GROUP, field, gain[group, chain : chain + LANES])


def _add_weights(parts, n_groups, log_weights, n_threads):  # type: ignore[no-untyped-def]
    """log_weights += Σ gain + ln Π above - ln Π below, group after group; overwrites `parts`."""
    n_registers = (log_weights.size + LANES - 1) // LANES
    for t in numba.prange(n_threads):
        for register in range(t * n_registers // n_threads, (t + 1) * n_registers // n_threads):
            first, last = register * LANES, min((register + 1) * LANES, log_weights.size)
            for start in range(0, n_groups, _RUN):
                gain, above, below = parts[0, start], parts[1, start], parts[2, start]
                for g in range(start + 1, min(start + _RUN, n_groups)):
                    for c in range(first, last):
                        gain[c] += parts[0, g, c]
                        above[c] *= parts[1, g, c]
                        below[c] *= parts[2, g, c]
                for c in range(first, last):
                    log_weights[c] += float(gain[c]) + math.log(float(above[c]) / float(below[c]))


def _add_drive(parts, n_groups, drive, n_threads):  # type: ignore[no-untyped-def]
    """drive = Σ parts[0], group after group; overwrites `parts`."""
    n_registers = (drive.size + LANES - 1) // LANES
    for t in numba.prange(n_threads):
        for register in range(t * n_registers // n_threads, (t + 1) * n_registers // n_threads):
            first, last = register * LANES, min((register + 1) * LANES, drive.size)
            drive[first:last] = 0.0
            for start in range(0, n_groups, _RUN):
                gain = parts[0, start]
                for g in range(start + 1, min(start + _RUN, n_groups)):
                    for c in range(first, last):
                        gain[c] += parts[0, g, c]
                for c in range(first, last):
                    drive[c] += float(gain[c])


_HIDDEN = {parallel: compile_pass(parallel)(_hidden) for parallel in (False, True)}
_VISIBLE = {parallel: compile_pass(parallel)(_visible) for parallel in (False, True)}
_DRIVE = compile_pass(False)(_drive)
_ADD_WEIGHTS = {parallel: compile_pass(parallel)(_add_weights) for parallel in (False, True)}
_ADD_DRIVE = {parallel: compile_pass(parallel)(_add_drive) for parallel in (False, True)}


@dataclass(frozen=True)
class LookupPath:
    """Both ends of a path; see `rbmscape.kernels.annealing.PathParameters`.

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
        integers = self.tables.to_visible[:n_visible, :n_hidden].astype(np.int16).astype(np.float64)
        return torch.from_numpy(self.tables.scale * integers)


class LookupWorkspace:
    """States as indices, unpacked when they are asked for, and the buffers of a step."""

    def __init__(self, n_chains: int, n_visible: int, n_hidden: int) -> None:
        self.shape = n_chains, n_visible, n_hidden
        chains = padded_chains(n_chains)
        groups = [padded_units(n) // GROUP for n in (n_visible, n_hidden)]
        self.visible, self.hidden = (np.zeros((n, chains), np.uint16) for n in groups)
        self.parts = np.ones((3, max(groups), chains), np.float32)
        self.drive = torch.zeros(n_chains, dtype=torch.float64)
        self.scratch = np.zeros((MAX_THREADS, SCRATCH), np.uint32)

    @property
    def v(self) -> Tensor:
        """(n_chains, N) uint8."""
        return self._unpacked(self.visible, self.shape[1])

    @property
    def h(self) -> Tensor:
        """(n_chains, M) uint8."""
        return self._unpacked(self.hidden, self.shape[2])

    def _unpacked(self, indices: NDArray[np.uint16], n_units: int) -> Tensor:
        states = np.empty((self.shape[0], n_units), np.uint8)
        unpack[False](indices, states, 1)
        return torch.from_numpy(states)


def _field(base: NDArray[np.float32], bias: NDArray[np.float32], t: float) -> NDArray[np.float32]:
    """(1 - t) base + t bias."""
    return (np.float32(1.0 - t) * base + np.float32(t) * bias).astype(np.float32, copy=False)


class LookupAnnealer(BaseAnnealer):
    """Processor with AVX-512, table lookup."""

    name = "lookup"

    def prepare(
        self, weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor, base_visible: Tensor, base_hidden: Tensor
    ) -> LookupPath:
        """See `rbmscape.kernels.annealing.Annealer.prepare`; `weights` of the result are the rounded ones."""
        tables = FixedEngine().prepare(weights, visible_bias, hidden_bias)
        bases = [base.detach().to("cpu", torch.float32).contiguous() for base in (base_visible, base_hidden)]
        return LookupPath(tables, bases[0], bases[1], (padded_bias(bases[0]), padded_bias(bases[1])))

    def workspace(self, n_chains: int, n_visible: int, n_hidden: int) -> LookupWorkspace:
        """See `rbmscape.kernels.annealing.Annealer.workspace`."""
        return LookupWorkspace(n_chains, n_visible, n_hidden)

    def load(self, params: PathParameters, ws: PathWorkspace, v: Tensor) -> None:
        """See `rbmscape.kernels.annealing.Annealer.load`."""
        assert isinstance(params, LookupPath)
        assert isinstance(ws, LookupWorkspace)
        pack[False](v.to(torch.uint8).contiguous().numpy(), ws.visible, 1)
        ws.drive.copy_(v.to(torch.float32) @ (params.visible_bias - params.base_visible))

    def weigh(self, params: PathParameters, ws: PathWorkspace, log_weights: Tensor, start: float, end: float) -> None:
        """See `rbmscape.kernels.annealing.Annealer.weigh`."""
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
        """See `rbmscape.kernels.annealing.Annealer.step`."""
        self._weigh(params, ws, log_weights, start, end, counter(stream, draw), first_chain)
        assert isinstance(params, LookupPath)
        assert isinstance(ws, LookupWorkspace)
        tables = params.tables
        n_groups = ws.visible.shape[0]
        threads = thread_count(tables.to_visible.shape[0] // BLOCK)
        _VISIBLE[threads > 1](
            ws.hidden,
            tables.to_visible,
            np.float32(tables.scale * end),
            _field(params.padded_base[0], tables.biases[0], end),
            tables.biases[0] - params.padded_base[0],
            ws.visible,
            ws.parts,
            ws.scratch[:threads],
            counter(stream, draw + 1),
            first_chain,
        )
        _ADD_DRIVE[threads > 1](ws.parts, n_groups, ws.drive.numpy(), threads)

    def move(self, params: PathParameters, ws: PathWorkspace, stream: Stream, draw: int) -> None:
        """See `rbmscape.kernels.annealing.Annealer.move`: the sampler's own passes, which weigh nothing."""
        assert isinstance(params, LookupPath)
        assert isinstance(ws, LookupWorkspace)
        tables = params.tables
        to_hidden = ws.visible, tables.to_hidden, tables.biases[1], ws.hidden
        to_visible = ws.hidden, tables.to_visible, tables.biases[0], ws.visible
        for k, layers in enumerate((to_hidden, to_visible)):
            half_step(layers, tables.scale, ws.scratch, stream, draw + k)

    def log_density(self, params: PathParameters, ws: PathWorkspace) -> Tensor:
        """See `rbmscape.kernels.annealing.Annealer.log_density`: one product, weighed at one temperature only."""
        assert isinstance(params, LookupPath)
        assert isinstance(ws, LookupWorkspace)
        tables = params.tables
        _DRIVE(ws.visible, tables.biases[0], ws.parts)
        threads = thread_count(tables.to_hidden.shape[0] // BLOCK)
        _ADD_DRIVE[threads > 1](ws.parts, ws.visible.shape[0], ws.drive.numpy(), threads)
        ws.parts[2] = 1.0
        padding = tables.to_hidden.shape[0] - tables.hidden_bias.shape[0]  # units with x = 0, a factor of 2 each
        result: Tensor = ws.drive - padding * math.log(2.0)
        fields = np.stack((tables.biases[1], tables.biases[1]))
        self._pass_hidden(tables, ws, (-1.0, tables.scale), fields, None, 0)
        _ADD_WEIGHTS[threads > 1](ws.parts, ws.hidden.shape[0], result.numpy(), threads)
        return result

    def exchange(self, one: PathWorkspace, other: PathWorkspace, swap: Tensor) -> None:
        """See `rbmscape.kernels.annealing.Annealer.exchange`: of indices, a column a chain."""
        assert isinstance(one, LookupWorkspace)
        assert isinstance(other, LookupWorkspace)
        marks = np.zeros(one.visible.shape[1], np.bool_)
        marks[: len(swap)] = swap.numpy()
        first, second = np.where(marks, other.visible, one.visible), np.where(marks, one.visible, other.visible)
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
        assert isinstance(params, LookupPath)
        assert isinstance(ws, LookupWorkspace)
        tables = params.tables
        slopes = tables.scale * start, tables.scale * end
        fields = np.stack([_field(params.padded_base[1], tables.biases[1], t) for t in (start, end)])
        threads = self._pass_hidden(tables, ws, slopes, fields, numbers, first_chain)
        log_weights.add_(ws.drive, alpha=end - start)
        _ADD_WEIGHTS[threads > 1](ws.parts, ws.hidden.shape[0], log_weights.numpy(), threads)

    @staticmethod
    def _pass_hidden(
        tables: FixedParameters,
        ws: LookupWorkspace,
        slopes: tuple[float, float],
        fields: NDArray[np.float32],
        numbers: tuple[np.uint64, ...] | None,
        first_chain: int,
    ) -> int:
        """Weigh the hidden units, and draw them where there are numbers to draw with; returns how many threads did."""
        threads = thread_count(tables.to_hidden.shape[0] // BLOCK)
        _HIDDEN[threads > 1](
            ws.visible,
            tables.to_hidden,
            (np.float32(slopes[0]), np.float32(slopes[1])),
            fields,
            numbers is not None,
            ws.hidden,
            ws.parts,
            ws.scratch[:threads],
            _NO_DRAW if numbers is None else numbers,
            first_chain,
        )
        return threads
