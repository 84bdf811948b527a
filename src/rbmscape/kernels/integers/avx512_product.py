"""Products with 16-bit weights by table lookup (`rbmscape.kernels.llvm.avx512_lookup`): layouts, rounding, drawing."""

from __future__ import annotations

from typing import Any, Final

import numba
import numpy as np
from numba import int32, njit, uint16, uint32, uint64
from numpy.typing import NDArray

from rbmscape.kernels.integers.product import Products, signed_sums
from rbmscape.kernels.llvm.avx512_lookup import SHORT, short_products
from rbmscape.kernels.llvm.units import LANES, draw_four
from rbmscape.kernels.numba.compile import compile_both

__all__ = ["TABLES"]

GROUP, TILE = SHORT.group, SHORT.tile
BLOCK: Final = 12
"""Units that a thread draws at a time: three counters of four words, two groups of six bits."""
_EDGE: Final = 16
_MASK = np.uint32((1 << GROUP) - 1)


@njit(nogil=True, error_model="numpy")
def _nothing():  # type: ignore[no-untyped-def]
    """Tables need no preparation."""


@njit(nogil=True, error_model="numpy")
def _multiply(idx, start, size, weights, block, out):  # type: ignore[no-untyped-def]
    short_products(idx[start // TILE], start % TILE, size, weights, block * BLOCK, BLOCK, out, 0, TILE)


_draw_four = draw_four[1]


@njit(inline="always")
def _draw(pre, lane, slope, fields, block, out, chain, words, counter, number):  # type: ignore[no-untyped-def]
    for q in range(3):
        unit, place = BLOCK * block + 4 * q, 4 * q * TILE + lane
        _draw_four(pre, place, TILE, slope, fields, unit, counter, uint64(3 * block + q), number, words, q * LANES)
    span, first = chain // TILE, chain % TILE
    lower, upper = out[span, 2 * block, first : first + LANES], out[span, 2 * block + 1, first : first + LANES]
    for c in range(LANES):
        bits = words[c] | (words[LANES + c] << uint32(4)) | (words[2 * LANES + c] << uint32(8))
        lower[c] = uint16(bits & _MASK)
        upper[c] = uint16(bits >> uint32(GROUP))


def _round_weights(weights, inverse, to_hidden, to_visible, columns, rows):  # type: ignore[no-untyped-def]
    """Both layouts of q = rint(w / s), and the sums of q as in `rbmscape.kernels.integers.passes.largest_sums`."""
    n_threads = columns.shape[0]
    n_rows, n_columns = weights.shape
    for t in numba.prange(n_threads):
        positive, negative = columns[t, 0], columns[t, 1]
        positive[:] = 0
        negative[:] = 0
        largest = int32(0)
        integers = np.empty(n_columns, np.int32)
        first, last = t * n_rows // n_threads, (t + 1) * n_rows // n_threads
        for low in range(first, last, _EDGE):
            high = min(low + _EDGE, last)
            for i in range(low, high):
                row = to_visible[i]
                for j in range(n_columns):
                    integers[j] = int32(np.rint(float(weights[i, j]) * inverse))
                    row[j] = int32((integers[j] & int32(0xFFFF)) * int32(0x10001))
                largest = max(largest, signed_sums(integers, positive, negative))
            for j in range(n_columns):
                column = to_hidden[j]
                for i in range(low, high):
                    column[i] = to_visible[i, j]
        rows[t] = largest


def _allocate(n_visible: int, n_hidden: int) -> tuple[NDArray[Any], NDArray[Any]]:
    visible, hidden = (-(-n // BLOCK) * BLOCK for n in (n_visible, n_hidden))
    return np.zeros((hidden, visible), np.int32), np.zeros((visible, hidden), np.int32)


def _integers(weights: NDArray[Any]) -> NDArray[np.int16]:
    return weights.astype(np.int16)


TABLES = Products(
    name="tables",
    group=GROUP,
    spacing=1,
    block=BLOCK,
    depth=BLOCK,
    span=TILE,
    tile=TILE,
    index=np.uint16,
    sums=np.int16,
    begin=_nothing,
    end=_nothing,
    multiply=_multiply,
    draw=_draw,
    allocate=_allocate,
    round_weights=compile_both(_round_weights),
    integers=_integers,
)
