r"""The Numba passes around `rbmscape.kernels.lookup`: rounding the weights, drawing the units, packing the states.

A half-step is one pass.  Each thread takes blocks of twelve units, which are three counters of four random words and
two groups of six bits, and for each block all chains: it looks the products up, draws the units and stores their bits
as the next product's indices, with 6 KiB of products between that never leave the first cache.

Layers are padded to whole blocks and chains to whole registers.  What padded units and chains do is without effect:
the weights of padded units are 0, and nobody reads padded chains.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import njit
from numpy import float32, int32, uint8, uint16, uint32, uint64

from rbmscape.kernels.fused import active, compile_pass, philox
from rbmscape.kernels.lookup import SHORT, short_products

__all__ = [
    "BLOCK",
    "GROUP",
    "LANES",
    "SCRATCH",
    "TILE",
    "draw_units",
    "fill_lanes",
    "largest_sums",
    "pack",
    "round_weights",
    "unpack",
]

GROUP, LANES, TILE = SHORT.group, SHORT.lanes, SHORT.tile
BLOCK = 12
"""Units that a thread draws at a time."""
SCRATCH = BLOCK * TILE // 2 + BLOCK * LANES
"""32-bit words of scratch for a thread: products of a block, and random words for one register of chains."""
_SPAN = 1024  # chains whose indices stay in the second cache while the units pass
_EDGE = 16
_COUNTERS = BLOCK // 4
_GROUPS = BLOCK // GROUP
_CHAINS = np.uint64(0xFFFFFFFF)


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
        for i in range(t * n_rows // n_threads, (t + 1) * n_rows // n_threads):
            above, below = int32(0), int32(0)
            for j in range(n_columns):
                q = int32(np.rint(weights[i, j] * factor))
                p, n = max(q, int32(0)), max(int32(-q), int32(0))
                positive[j] += p
                negative[j] += n
                above += p
                below += n
            largest = max(largest, above, below)
        rows[t] = largest


def _round_weights(weights, inverse, to_hidden, to_visible, columns, rows):  # type: ignore[no-untyped-def]
    """Both layouts of q = rint(w / s), and the sums of q as in `_largest_sums`."""
    n_threads = columns.shape[0]
    n_rows, n_columns = weights.shape
    for t in numba.prange(n_threads):
        positive, negative = columns[t, 0], columns[t, 1]
        positive[:] = 0
        negative[:] = 0
        largest = int32(0)
        first, last = t * n_rows // n_threads, (t + 1) * n_rows // n_threads
        for low in range(first, last, _EDGE):
            high = min(low + _EDGE, last)
            for i in range(low, high):
                above, below = int32(0), int32(0)
                row = to_visible[i]
                for j in range(n_columns):
                    q = int32(np.rint(float(weights[i, j]) * inverse))
                    row[j] = int32((q & int32(0xFFFF)) * int32(0x10001))
                    p, n = max(q, int32(0)), max(int32(-q), int32(0))
                    positive[j] += p
                    negative[j] += n
                    above += p
                    below += n
                largest = max(largest, above, below)
            for j in range(n_columns):
                column = to_hidden[j]
                for i in range(low, high):
                    column[i] = to_visible[i, j]
        rows[t] = largest


@njit(inline="always")
def fill_lanes(words, block, chain, counter, first_chain):  # type: ignore[no-untyped-def]
    """Random words (BLOCK, LANES) of the units of one block for one register of chains."""
    k0, k1, draw, stream = counter
    for q in range(_COUNTERS):
        four = uint64(_COUNTERS * block + q)
        w0, w1, w2, w3 = words[4 * q], words[4 * q + 1], words[4 * q + 2], words[4 * q + 3]
        for c in range(LANES):
            b0, b1, b2, b3 = philox(four, uint64(first_chain + chain + c) & _CHAINS, draw, stream, k0, k1)
            w0[c] = uint32(b0)
            w1[c] = uint32(b1)
            w2[c] = uint32(b2)
            w3[c] = uint32(b3)


@njit(inline="always")
def _draw_lanes(pre, lane, block, scale, beta, bias, out, chain, words, counter, first_chain):  # type: ignore[no-untyped-def]
    """The units of one block for one register of chains; their bits go to out[2 block : 2 block + 2, chain : ...]."""
    fill_lanes(words, block, chain, counter, first_chain)
    for g in range(_GROUPS):
        bits = out[_GROUPS * block + g, chain : chain + LANES]
        unit = block * BLOCK + g * GROUP
        for c in range(LANES):
            index = uint32(0)
            for k in range(GROUP):
                x = beta * (scale * float32(pre[g * GROUP + k, lane + c]) + bias[unit + k])
                index |= uint32(uint32(active(x, words[g * GROUP + k, c])) << uint32(k))
            bits[c] = uint16(index)


def _draw_units(idx, weights, scale, beta, bias, out, scratch, counter, first_chain):  # type: ignore[no-untyped-def]
    """One half-step: all units of `out` given the states in `idx`; one thread for each row of `scratch`.

    idx, out : (groups, chains) uint16 of the two layers; weights : (units of out, units of idx) int32 pairs;
    bias : (units of out,) float32; all padded
    """
    n_threads = scratch.shape[0]
    chains = out.shape[1]
    n_blocks = weights.shape[0] // BLOCK
    n_tasks = n_blocks * ((chains + _SPAN - 1) // _SPAN)
    half = BLOCK * TILE // 2
    for t in numba.prange(n_threads):
        pre = scratch[t, :half].view(np.int16).reshape((BLOCK, TILE))
        words = scratch[t, half:].reshape((BLOCK, LANES))
        for task in range(t * n_tasks // n_threads, (t + 1) * n_tasks // n_threads):
            block, span = task % n_blocks, task // n_blocks
            for start in range(span * _SPAN, min((span + 1) * _SPAN, chains), TILE):
                size = min(TILE, chains - start)
                short_products(idx, start, size, weights, block * BLOCK, BLOCK, pre, 0, TILE)
                for lane in range(0, size, LANES):
                    _draw_lanes(pre, lane, block, scale, beta, bias, out, start + lane, words, counter, first_chain)


def _pack(states, idx, n_threads):  # type: ignore[no-untyped-def]
    """Indices of the states (n_chains, n_units) uint8; padded units become 0, padded chains stay as they are."""
    n_chains, n_units = states.shape
    n_registers = (n_chains + LANES - 1) // LANES
    for t in numba.prange(n_threads):
        for register in range(t * n_registers // n_threads, (t + 1) * n_registers // n_threads):
            first, last = register * LANES, min((register + 1) * LANES, n_chains)
            for g in range(idx.shape[0]):
                low, high = min(g * GROUP, n_units), min((g + 1) * GROUP, n_units)
                for c in range(first, last):
                    index = uint32(0)
                    for u in range(low, high):
                        index |= uint32(uint32(states[c, u]) << uint32(u - low))
                    idx[g, c] = uint16(index)


def _unpack(idx, states, n_threads):  # type: ignore[no-untyped-def]
    """The reverse of `_pack`."""
    n_chains, n_units = states.shape
    n_registers = (n_chains + LANES - 1) // LANES
    for t in numba.prange(n_threads):
        for register in range(t * n_registers // n_threads, (t + 1) * n_registers // n_threads):
            first, last = register * LANES, min((register + 1) * LANES, n_chains)
            for g in range(idx.shape[0]):
                low, high = min(g * GROUP, n_units), min((g + 1) * GROUP, n_units)
                for c in range(first, last):
                    index = uint32(idx[g, c])
                    for u in range(low, high):
                        states[c, u] = uint8((index >> uint32(u - low)) & uint32(1))


largest_sums = {parallel: compile_pass(parallel)(_largest_sums) for parallel in (False, True)}
round_weights = {parallel: compile_pass(parallel)(_round_weights) for parallel in (False, True)}
draw_units = {parallel: compile_pass(parallel)(_draw_units) for parallel in (False, True)}
pack = {parallel: compile_pass(parallel)(_pack) for parallel in (False, True)}
unpack = {parallel: compile_pass(parallel)(_unpack) for parallel in (False, True)}
