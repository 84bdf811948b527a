r"""The passes of an annealing step with 16-bit integers.

A step is a pass over the hidden units, which weighs and draws them, a pass that sums each chain's weight over the units
in a fixed order, and the same two for the visible units, whose sum is ``(a - a0)·v``.  Names in capitals, `begin`,
`end`, `multiply` and `draw_block` stand for the `rbmscape.kernels.integers.product.PassConstants` that a pass is
compiled with.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numba
from numba import njit
from numpy import float32, uint32, uint64

from rbmscape.kernels.integers.avx512_product import TABLES
from rbmscape.kernels.integers.product import CHAINS, Products
from rbmscape.kernels.llvm.units import LANES, weigher
from rbmscape.kernels.numba.compile import Kernel, compile_both

__all__ = ["AnnealingPasses", "annealing_passes"]

_TABLES = TABLES.constants
GROUP = _TABLES.GROUP
SPACING = _TABLES.SPACING
BLOCK = _TABLES.BLOCK
SPAN = _TABLES.SPAN
TILE = _TABLES.TILE
SUMS = _TABLES.SUMS
WORDS = _TABLES.WORDS
begin = _TABLES.begin
end = _TABLES.end
multiply = _TABLES.multiply
draw_block = _TABLES.draw_block
_RUN = 120  # units whose factors, each in [1, 2], multiply within float32
_LN_2 = math.log(2.0)

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
class AnnealingPasses:
    """The passes for one way to multiply, serial and parallel."""

    hidden: dict[bool, Kernel]
    visible: dict[bool, Kernel]
    drive: dict[bool, Kernel]
    add_weights: dict[bool, Kernel]
    add_drive: dict[bool, Kernel]


@functools.cache
def annealing_passes(products: Products) -> AnnealingPasses:
    """Compiled when they are first called."""
    constants, sources = products.constants.named(), (_hidden, _visible, _drive, _add_weights, _add_drive)
    return AnnealingPasses(*(compile_both(source, constants, products.name) for source in sources))
