r"""The Numba passes around products of binary states with 16-bit weights: drawing the units, packing the states.

A half-step is one pass.  Each thread takes blocks of units and for each block all chains: it multiplies, draws the
units and stores their bits as the next product's indices, with some kilobytes of products between that never leave the
first cache.

Layers are padded to whole blocks and chains to whole registers.  What padded units and chains do is without effect:
the weights of padded units are 0, and nobody reads padded chains.

Names in capitals, `begin`, `end`, `multiply` and `draw_block` stand for the
`rbmscape.kernels.integers.product.PassConstants` that a pass is compiled with.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numba
import numpy as np
from numba import int32, uint8, uint32, uint64

from rbmscape.kernels.integers.avx512_product import TABLES
from rbmscape.kernels.integers.product import CHAINS, Products, signed_sums
from rbmscape.kernels.llvm.units import LANES
from rbmscape.kernels.numba.compile import Kernel, compile_both

__all__ = ["Passes", "largest_sums", "passes"]

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
_SPAN_CHAINS = 1024  # chains whose indices stay in the second cache while the units pass


def _largest_sums(weights, factor, columns, rows):  # type: ignore[no-untyped-def]
    """Sums of the integers rint(factor w), positive and negative ones apart.

    columns (threads, 2, M): sums over each thread's rows; rows (threads,): the largest sum of one of its rows.
    """
    n_threads = columns.shape[0]
    n_rows, n_columns = weights.shape
    for t in numba.prange(n_threads):
        positive, negative = columns[t, 0], columns[t, 1]
        positive[:] = 0
        negative[:] = 0
        largest = int32(0)
        row = np.empty(n_columns, np.int32)
        for i in range(t * n_rows // n_threads, (t + 1) * n_rows // n_threads):
            for j in range(n_columns):
                row[j] = int32(np.rint(weights[i, j] * factor))
            largest = max(largest, signed_sums(row, positive, negative))
        rows[t] = largest


def _draw_units(idx, weights, slope, fields, out, chains, scratch, counter, first_chain):  # type: ignore[no-untyped-def]
    """One half-step: all units of `out` given the states in `idx`; one thread for each row of `scratch`.

    idx, out : indices of the two layers; weights : of the products; slope, fields : t = -x / ln 2 is the product times
    the one plus the other, which is padded to blocks; chains : padded number
    """
    n_threads = scratch.shape[0]
    n_blocks = fields.size // BLOCK
    n_tasks = n_blocks * ((chains + _SPAN_CHAINS - 1) // _SPAN_CHAINS)
    for t in numba.prange(n_threads):
        begin()
        pre = scratch[t, :WORDS].view(SUMS)
        words = scratch[t, WORDS:]
        for task in range(t * n_tasks // n_threads, (t + 1) * n_tasks // n_threads):
            block, span = task % n_blocks, task // n_blocks
            for start in range(span * _SPAN_CHAINS, min((span + 1) * _SPAN_CHAINS, chains), TILE):
                size = min(TILE, chains - start)
                multiply(idx, start, size, weights, block, pre)
                for lane in range(0, size, LANES):
                    number = uint64(first_chain + start + lane)
                    draw_block(pre, lane, slope, fields, block, out, start + lane, words, counter, number)
        end()


def _pack(states, idx, n_threads):  # type: ignore[no-untyped-def]
    """Indices of the states (n_chains, n_units) uint8; padded units become 0, padded chains stay as they are."""
    n_chains, n_units = states.shape
    n_pieces = (n_chains + CHAINS - 1) // CHAINS
    for t in numba.prange(n_threads):
        for piece in range(t * n_pieces // n_threads, (t + 1) * n_pieces // n_threads):
            first, last = piece * CHAINS, min((piece + 1) * CHAINS, n_chains)
            whole = 0
            if SPACING == 8 and n_units % 4 == 0:
                whole = n_units // 4
                words = states.view(np.uint32)
                for g in range(whole):
                    for c in range(first, last):
                        idx[c // SPAN, g, c % SPAN] = words[c, g]
            for g in range(whole, idx.shape[1]):
                low, high = min(g * GROUP, n_units), min((g + 1) * GROUP, n_units)
                for c in range(first, last):
                    index = uint32(0)
                    for u in range(low, high):
                        index |= uint32(uint32(states[c, u]) << uint32(SPACING * (u - low)))
                    idx[c // SPAN, g, c % SPAN] = index


def _unpack(idx, states, n_threads):  # type: ignore[no-untyped-def]
    """The reverse of `_pack`."""
    n_chains, n_units = states.shape
    n_pieces = (n_chains + CHAINS - 1) // CHAINS
    for t in numba.prange(n_threads):
        for piece in range(t * n_pieces // n_threads, (t + 1) * n_pieces // n_threads):
            first, last = piece * CHAINS, min((piece + 1) * CHAINS, n_chains)
            whole = 0
            if SPACING == 8 and n_units % 4 == 0:
                whole = n_units // 4
                words = states.view(np.uint32)
                for g in range(whole):
                    for c in range(first, last):
                        words[c, g] = idx[c // SPAN, g, c % SPAN]
            for g in range(whole, idx.shape[1]):
                low, high = min(g * GROUP, n_units), min((g + 1) * GROUP, n_units)
                for c in range(first, last):
                    index = uint32(idx[c // SPAN, g, c % SPAN])
                    for u in range(low, high):
                        states[c, u] = uint8((index >> uint32(SPACING * (u - low))) & uint32(1))


largest_sums = compile_both(_largest_sums)


@dataclass(frozen=True)
class Passes:
    """The passes for one way to multiply, serial and parallel."""

    draw_units: dict[bool, Kernel]
    pack: dict[bool, Kernel]
    unpack: dict[bool, Kernel]


@functools.cache
def passes(products: Products) -> Passes:
    """Compiled when they are first called."""
    constants = products.constants.named()
    return Passes(*(compile_both(source, constants, products.name) for source in (_draw_units, _pack, _unpack)))
