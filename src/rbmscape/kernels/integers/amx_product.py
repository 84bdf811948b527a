r"""Products of binary states with 16-bit weights in a matrix unit that multiplies bytes (Intel's AMX).

An integer is two bytes, ``q = 256 high + low`` with a signed upper one, and a state is a byte, 0 or 1; the sums of both
bytes are put together at the end (`rbmscape.kernels.llvm.amx`).  Nothing is rounded, hence the sums are
those of `rbmscape.kernels.llvm.avx512_lookup`, bit for bit, and so is everything drawn from them.

Layouts, each tile a contiguous kilobyte that begins with a cache line:

- weights (blocks of sixteen units, blocks of 64 of the given layer, 2 bytes, 16, 64) uint8, padded with zeros;
- indices (spans of sixteen chains, groups of four units, 16) uint32, a byte a state;
- products (16 units, 256 chains) int32.

Tiles that straddle cache lines are loaded three times as slowly.  Products of many chains in a row are worth it too:
changing between the matrix unit and vector code costs some hundred cycles.
"""

from __future__ import annotations

from typing import Any, Final

import numba
import numpy as np
from numba import int32, njit, uint8, uint64
from numpy.typing import NDArray

from rbmscape.kernels.integers.product import Products, aligned_zeros, signed_sums
from rbmscape.kernels.llvm.amx import DEPTH, KILOBYTE, UNITS, begin, end, multiplier, store_block
from rbmscape.kernels.llvm.units import LANES, draw_four
from rbmscape.kernels.numba.compile import compile_both

__all__ = ["SPAN", "TILE", "TILES", "byte_products", "store_columns"]

SPAN: Final = LANES
TILE: Final = 256

_multiply_pair = multiplier(2, 2)


@njit(nogil=True, error_model="numpy")
def byte_products(idx, start, size, weights, block, out):  # type: ignore[no-untyped-def]
    """See `rbmscape.kernels.integers.product.Products.multiply`."""
    steps, length = weights.shape[1], idx.shape[1] * SPAN * 4
    first = block * steps * 2 * KILOBYTE
    for chain in range(0, size, 2 * SPAN):
        _multiply_pair(weights, first, idx, (start + chain) // SPAN * length, length, steps, out, chain, TILE)


_draw_four = draw_four[8]


@njit(inline="always")
def _draw(pre, lane, slope, fields, block, out, chain, words, counter, number):  # type: ignore[no-untyped-def]  # noqa: ARG001
    at = ((chain // SPAN) * out.shape[1] + 4 * block) * SPAN
    for q in range(4):
        unit = UNITS * block + 4 * q
        place = 4 * q * TILE + lane
        _draw_four(pre, place, TILE, slope, fields, unit, counter, uint64(4 * block + q), number, out, at + SPAN * q)


@njit(inline="always")
def store_columns(integers, first, out):  # type: ignore[no-untyped-def]
    """Bytes of sixteen rows of integers as a layout in which they are the units from `first` on of the given layer.

    integers : (16, columns padded to 16) int32, zeros where there are no units
    """
    columns, steps = integers.shape[1], out.shape[1]
    for j in range(0, columns, UNITS):
        tile = (j // UNITS * steps + first // DEPTH) * 2
        store_block(integers, columns, j, out, tile * KILOBYTE + first % DEPTH)


def _round_weights(weights, inverse, to_hidden, to_visible, columns, rows):  # type: ignore[no-untyped-def]
    """Both layouts of q = rint(w / s), and the sums of q as in `rbmscape.kernels.integers.passes.largest_sums`."""
    n_threads = columns.shape[0]
    n_rows, n_columns = weights.shape
    n_strips = (n_rows + UNITS - 1) // UNITS
    for t in numba.prange(n_threads):
        positive, negative = columns[t, 0], columns[t, 1]
        positive[:] = 0
        negative[:] = 0
        largest = int32(0)
        integers = np.zeros((UNITS, to_hidden.shape[0] * UNITS), np.int32)
        for strip in range(t * n_strips // n_threads, (t + 1) * n_strips // n_threads):
            first = strip * UNITS
            count = min(UNITS, n_rows - first)
            for u in range(count):
                row = integers[u]
                for j in range(n_columns):
                    row[j] = int32(np.rint(float(weights[first + u, j]) * inverse))
                largest = max(largest, signed_sums(row[:n_columns], positive, negative))
                for k in range(to_visible.shape[1]):
                    high, low = to_visible[strip, k, 0, u], to_visible[strip, k, 1, u]
                    start = DEPTH * k
                    for j in range(min(DEPTH, n_columns - start)):
                        high[j] = uint8(row[start + j] >> int32(8))
                        low[j] = uint8(row[start + j])
            integers[count:] = 0
            store_columns(integers, first, to_hidden)
        rows[t] = largest


def _allocate(n_visible: int, n_hidden: int) -> tuple[NDArray[Any], NDArray[Any]]:
    def layout(units: int, depth: int) -> NDArray[Any]:
        return aligned_zeros((-(-units // UNITS), -(-depth // DEPTH), 2, UNITS, DEPTH), np.uint8)

    return layout(n_hidden, n_visible), layout(n_visible, n_hidden)


def _integers(weights: NDArray[Any]) -> NDArray[np.int16]:
    high, low = (weights[:, :, byte].astype(np.int16) for byte in range(2))
    blocks, steps = weights.shape[:2]
    tiles: NDArray[np.int16] = high * np.int16(256) + low
    return tiles.transpose(0, 2, 1, 3).reshape(blocks * UNITS, steps * DEPTH)


TILES = Products(
    name="tiles",
    group=4,
    spacing=8,
    block=UNITS,
    depth=DEPTH,
    span=SPAN,
    tile=TILE,
    index=np.uint32,
    sums=np.int32,
    begin=begin,
    end=end,
    multiply=byte_products,
    draw=_draw,
    allocate=_allocate,
    round_weights=compile_both(_round_weights),
    integers=_integers,
)
