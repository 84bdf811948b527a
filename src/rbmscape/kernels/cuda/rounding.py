# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-calls=False
r"""`rbmscape.kernels.rounding` on the device, without a look at any number from the host: kernels.

Five kernels for R models at once: the largest weight, the sums of coarse integers, the first scale, then once or more
the integers with their sums and the check that these fit.  Sums are of integers, so that the order in which atomic
additions arrive is without effect; the scale is computed in float64, in the operations of `scale_for`.

Layouts: weights (R, N, M) float32, models `stride` apart; sums (R, 2, N + M) int32, of positive and of negative
integers, rows first; scales (R, 2) float64: factor of the coarse integers, scale; planes and spill as in
`rbmscape.kernels.cuda.sweeps`.
"""

from __future__ import annotations

import triton
import triton.language as tl

from rbmscape.kernels import rounding
from rbmscape.kernels.cuda.units import nearest

__all__ = ["check", "coarse_sums", "fine_integers", "first_scale", "largest"]

_LARGEST = tl.constexpr(rounding.LARGEST)
_SPILLS = tl.constexpr(32640)
_MINUS_LOG2_E = tl.constexpr(rounding.MINUS_LOG2_E)
_INFINITE = tl.constexpr(0x7F800000)


@triton.jit
def largest(weights, bits, size, stride, BLOCK: tl.constexpr):
    """bits (R,) int32, zero before: those of the largest |w|; anything not finite has larger ones."""
    replica = tl.program_id(1)
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    found = tl.load(weights + replica.to(tl.int64) * stride + at, mask=at < size, other=0.0)
    tl.atomic_max(bits + replica, tl.max(found.to(tl.int32, bitcast=True) & 0x7FFFFFFF))


@triton.jit
def _exponent(x):
    """e of ``x = f 2**e`` with f in [1/2, 1), for positive normal float64."""
    return ((x.to(tl.int64, bitcast=True) >> 52) & 0x7FF).to(tl.int32) - 1022


@triton.jit
def _two_to(exponent):
    return ((exponent.to(tl.int64) + 1023) << 52).to(tl.float64, bitcast=True)


@triton.jit
def _factor(bits, room_bits):
    """`coarse_factor` of the number with these bits."""
    exact = bits.to(tl.float32, bitcast=True).to(tl.float64)
    usable = (bits > 0) & (bits < _INFINITE)
    exponent = _exponent(tl.where(usable, exact, tl.full((), 1.0, tl.float64)))
    return tl.where(usable, _two_to(room_bits - exponent), tl.full((), 0.0, tl.float64))


@triton.jit
def _add_sums(sums, integers, rows, columns, n_rows, n_columns):
    total = n_rows + n_columns
    for sign in tl.static_range(2):
        part = tl.maximum(integers if sign == 0 else -integers, 0)
        tl.atomic_add(sums + sign * total + rows, tl.sum(part, 1), mask=rows < n_rows)
        tl.atomic_add(sums + sign * total + n_rows + columns, tl.sum(part, 0), mask=columns < n_columns)


@triton.jit
def _tile(weights, rows, columns, n_rows, n_columns):
    inside = (rows < n_rows)[:, None] & (columns < n_columns)[None, :]
    return tl.load(weights + rows[:, None] * n_columns + columns[None, :], mask=inside, other=0.0).to(tl.float64)


@triton.jit
def coarse_sums(weights, bits, sums, n_rows, n_columns, stride, room_bits, BLOCK: tl.constexpr):
    """sums += those of rint(factor w): grid (tiles of rows, tiles of columns, R)."""
    replica = tl.program_id(2)
    rows = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    columns = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    factor = _factor(tl.load(bits + replica), room_bits)
    found = _tile(weights + replica.to(tl.int64) * stride, rows, columns, n_rows, n_columns)
    integers = nearest(tl.where(factor > 0.0, found * factor, 0.0)).to(tl.int32)
    _add_sums(sums + replica * 2 * (n_rows + n_columns), integers, rows, columns, n_rows, n_columns)


@triton.jit
def _take_largest(sums, total, BLOCK: tl.constexpr):
    """Largest of 2 · total sums, which become 0."""
    best = tl.zeros((BLOCK,), tl.int32)
    for start in range(0, 2 * total, BLOCK):
        at = start + tl.arange(0, BLOCK)
        best = tl.maximum(best, tl.load(sums + at, mask=at < 2 * total, other=0))
        tl.store(sums + at, tl.zeros((BLOCK,), tl.int32), mask=at < 2 * total)
    return tl.max(best)


@triton.jit
def _forget(spill, width, BLOCK: tl.constexpr):
    for start in range(0, width, BLOCK):
        at = start + tl.arange(0, BLOCK)
        tl.store(spill + at, tl.full((BLOCK,), -1, tl.int32), mask=at < width)


@triton.jit
def first_scale(
    sums, bits, constants, scales, flags, visible_spill, hidden_spill, n_rows, n_columns, visible_row, hidden_row,
    room_bits, BLOCK: tl.constexpr,
):  # fmt: skip
    """`scale_for`, and everything else as before the first integers: grid (R,).

    constants (2,) float64: sqrt(n), and the room that the rounding errors leave; flags (R, 2) int32: done, spilled
    """
    replica = tl.program_id(0)
    total = n_rows + n_columns
    coarse = _take_largest(sums + replica * 2 * total, total, BLOCK)
    factor = _factor(tl.load(bits + replica), room_bits)
    usable = (coarse > 0) & (factor > 0.0)
    divisor = tl.where(usable, factor, tl.full((), 1.0, tl.float64))
    x = (coarse.to(tl.float64) + tl.load(constants)) / divisor / tl.load(constants + 1)
    exponent = _exponent(x)
    scale = tl.ceil(x * _two_to(4 - exponent)) * _two_to(exponent - 4)
    tl.store(scales + replica * 2, factor)
    tl.store(scales + replica * 2 + 1, tl.where(usable, scale, tl.full((), 1.0, tl.float64)))
    tl.store(flags + replica * 2, 0)
    tl.store(flags + replica * 2 + 1, 0)
    tl.store(bits + replica, 0)
    _forget(visible_spill + replica * visible_row, visible_row, BLOCK)
    _forget(hidden_spill + replica * hidden_row, hidden_row, BLOCK)


@triton.jit
def fine_integers(
    weights, scales, flags, sums, to_hidden, to_visible, visible_spill, hidden_spill, n_rows, n_columns, visible_row,
    hidden_row, stride, BLOCK: tl.constexpr,
):  # fmt: skip
    """Both layouts of q = rint(w / s) and its sums, unless it is done: grid (tiles of rows, tiles of columns, R)."""
    replica = tl.program_id(2)
    if tl.load(flags + replica * 2) == 0:
        rows = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        columns = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
        inside = (rows < n_rows)[:, None] & (columns < n_columns)[None, :]
        factor, scale = tl.load(scales + replica * 2), tl.load(scales + replica * 2 + 1)
        inverse = tl.full((), 1.0, tl.float64) / scale
        found = _tile(weights + replica.to(tl.int64) * stride, rows, columns, n_rows, n_columns)
        integers = nearest(tl.where(factor > 0.0, found * inverse, 0.0)).to(tl.int32)
        _add_sums(sums + replica * 2 * (n_rows + n_columns), integers, rows, columns, n_rows, n_columns)
        spills = integers >= _SPILLS
        n_spills = tl.sum(tl.sum(spills.to(tl.int32), 1), 0)
        if n_spills > 0:
            tl.atomic_add(flags + replica * 2 + 1, n_spills)
            zeros = tl.zeros((BLOCK, BLOCK), tl.int32)
            tl.store(hidden_spill + replica * hidden_row + columns[None, :] + zeros, rows[:, None] + zeros, mask=spills)
            tl.store(
                visible_spill + replica * visible_row + rows[:, None] + zeros, columns[None, :] + zeros, mask=spills
            )
        kept = tl.where(spills, integers - 256, integers)
        high = (kept + 128) >> 8
        low = kept - high * 256
        plane = visible_row.to(tl.int64) * hidden_row
        first = to_hidden + replica * 2 * plane + columns[None, :] * visible_row + rows[:, None]
        second = to_visible + replica * 2 * plane + rows[:, None] * hidden_row + columns[None, :]
        tl.store(first, high.to(tl.int8), mask=inside)
        tl.store(first + plane, low.to(tl.int8), mask=inside)
        tl.store(second, high.to(tl.int8), mask=inside)
        tl.store(second + plane, low.to(tl.int8), mask=inside)


@triton.jit
def _fields(bias, fields, width, BLOCK: tl.constexpr):
    for start in range(0, width, BLOCK):
        at = start + tl.arange(0, BLOCK)
        found = tl.load(bias + at, mask=at < width, other=0.0)
        tl.store(fields + at, found * tl.full((BLOCK,), _MINUS_LOG2_E, tl.float32), mask=at < width)


@triton.jit
def check(
    visible_bias, hidden_bias, sums, scales, flags, slopes, visible_fields, hidden_fields, visible_spill, hidden_spill,
    n_rows, n_columns, visible_row, hidden_row, visible_stride, hidden_stride, BLOCK: tl.constexpr,
):  # fmt: skip
    """Done if all sums fit, else the next scale: grid (R,).

    slopes (R,), fields (R, row) float32: of t, one unit of a product and each unit's bias
    """
    replica = tl.program_id(0)
    if tl.load(flags + replica * 2) == 0:
        total = n_rows + n_columns
        scale = tl.load(scales + replica * 2 + 1)
        if _take_largest(sums + replica * 2 * total, total, BLOCK) <= _LARGEST:
            tl.store(flags + replica * 2, 1)
            visible_bias += replica.to(tl.int64) * visible_stride
            hidden_bias += replica.to(tl.int64) * hidden_stride
            _fields(visible_bias, visible_fields + replica * visible_row, n_rows, BLOCK)
            _fields(hidden_bias, hidden_fields + replica * hidden_row, n_columns, BLOCK)
            tl.store(slopes + replica, (tl.full((), _MINUS_LOG2_E, tl.float64) * scale).to(tl.float32))
        else:
            exponent = _exponent(scale)
            tl.store(scales + replica * 2 + 1, scale + _two_to(exponent - 4))
            tl.store(flags + replica * 2 + 1, 0)
            _forget(visible_spill + replica * visible_row, visible_row, BLOCK)
            _forget(hidden_spill + replica * hidden_row, hidden_row, BLOCK)
