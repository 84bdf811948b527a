# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-calls=False
r"""Both phases of the gradient (equation 6 of arXiv:2503.21536) on the tensor cores: kernels.

The integers are those of `rbmscape.kernels.integers.avx512_gradient`, and so is the gradient, bit for bit: weights of
the first product in units 2**-15 times the sampler's, weighted hidden means in units of 2**-30.  Integers of 32 bits
are sums of signed bytes, ``Σ_k 256**k digit_k``; products with each digit are put together at the end, where wrapping
is harmless since the final sums fit.

Layouts, models first; samples are the data in places 0 … B-1 and the chains from `second` on, padded: train (n, row)
bytes, common to all models; data (R, second, row) bytes; columns (R, row, places) bytes, states by visible unit; fine
(R, 4, hidden row, visible row) and means (R, digits, hidden row, places) signed bytes; counts (R, 2, row) int32 of
active units and sums (R, 2, hidden row) int64 of the means, both of all samples or the chains and of the data.
"""

from __future__ import annotations

import triton
import triton.language as tl

from rbmscape.kernels import rounding
from rbmscape.kernels.cuda.units import fused, nearest, power_of_two

__all__ = ["correlations", "fine_planes", "gather", "hidden_means"]

_FINER = tl.constexpr(32768.0)
_UNIT = tl.constexpr(2.0**-30)
_MINUS_LOG2_E = tl.constexpr(rounding.MINUS_LOG2_E)


@triton.jit
def gather(
    train, order, clock, v, data, columns, counts, n_data, n_chains, chains, second, places, n_train, row,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Rows of the data and of the chains, by sample and by unit, and how many are active: grid (tiles of samples, tiles
    of units, R).

    order (R, n) int32; clock (2,) int64: update, and place of the minibatch's first row in the order
    """
    replica, tile = tl.program_id(2), tl.program_id(0)
    places_here = tile * BLOCK + tl.arange(0, BLOCK)
    units = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    is_data = tile * BLOCK < second
    if is_data:
        wanted = places_here < n_data
        first = tl.load(clock + 1)
        picked = tl.load(order + replica.to(tl.int64) * n_train + first + places_here, mask=wanted, other=0)
        source = train + picked.to(tl.int64)[:, None] * row + units[None, :]
    else:
        wanted = places_here - second < n_chains
        source = v + (replica.to(tl.int64) * chains + places_here - second)[:, None] * row + units[None, :]
    states = tl.load(source, mask=wanted[:, None] & (units < row)[None, :], other=0)
    if is_data:
        kept = data + (replica.to(tl.int64) * second + places_here)[:, None] * row + units[None, :]
        tl.store(kept, states)
    across = columns + (replica.to(tl.int64) * row + units)[None, :] * places + places_here[:, None]
    tl.store(across, states)
    active = tl.sum(states.to(tl.int32), 0)
    tl.atomic_add(counts + (replica * 2 + tl.where(is_data, 1, 0)) * row + units, active)


@triton.jit
def _store_digits(target, plane, rest, inside, DIGITS: tl.constexpr):
    """Signed digits of integers, the lowest first, planes apart."""
    for _ in tl.static_range(DIGITS - 1):
        digit = ((rest + 128) & 255) - 128
        tl.store(target, digit.to(tl.int8), mask=inside)
        rest = (rest - digit) >> 8
        target += plane
    tl.store(target, rest.to(tl.int8), mask=inside)


@triton.jit
def fine_planes(weights, scales, fine, n_rows, n_columns, visible_row, hidden_row, stride, BLOCK: tl.constexpr):
    """Digits of rint(2**15 w / s): grid (tiles of rows, tiles of columns, R)."""
    replica = tl.program_id(2)
    rows = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    columns = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = (rows < n_rows)[:, None] & (columns < n_columns)[None, :]
    at = replica.to(tl.int64) * stride + rows[:, None] * n_columns + columns[None, :]
    factor, scale = tl.load(scales + replica * 2), tl.load(scales + replica * 2 + 1)
    inverse = tl.full((), 1.0, tl.float64) / (scale / tl.full((), _FINER, tl.float64))
    found = tl.load(weights + at, mask=inside, other=0.0).to(tl.float64)
    rest = nearest(tl.where(factor > 0.0, found * inverse, 0.0)).to(tl.int32)
    plane = visible_row.to(tl.int64) * hidden_row
    target = fine + replica * 4 * plane + columns[None, :] * visible_row + rows[:, None]
    _store_digits(target, plane, rest, inside, 4)


@triton.jit
def _four_products(
    source, planes, plane, depth, row, DIGITS: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):  # fmt: skip
    """Sums of 32-bit integers in three or four digits over the states that are 1; see `pair_of_products`."""
    given = tl.arange(0, BLOCK_K)
    states = source + tl.arange(0, BLOCK_M)[:, None] * row + given[None, :]
    weights = planes + tl.arange(0, BLOCK_N)[None, :] * row + given[:, None]
    sum0 = tl.zeros((BLOCK_M, BLOCK_N), tl.int32)
    sum1 = tl.zeros((BLOCK_M, BLOCK_N), tl.int32)
    sum2 = tl.zeros((BLOCK_M, BLOCK_N), tl.int32)
    sum3 = tl.zeros((BLOCK_M, BLOCK_N), tl.int32)
    for _ in range(0, depth, BLOCK_K):
        bits = tl.load(states)
        sum0 = tl.dot(bits, tl.load(weights), sum0, out_dtype=tl.int32)
        sum1 = tl.dot(bits, tl.load(weights + plane), sum1, out_dtype=tl.int32)
        sum2 = tl.dot(bits, tl.load(weights + 2 * plane), sum2, out_dtype=tl.int32)
        if DIGITS == 4:
            sum3 = tl.dot(bits, tl.load(weights + 3 * plane), sum3, out_dtype=tl.int32)
        states += BLOCK_K
        weights += BLOCK_K
    return sum0 + (sum1 << 8) + (sum2 << 16) + (sum3 << 24)


@triton.jit
def hidden_means(
    data, v, fine, scales, bias, means, sums, data_weight, chain_weight, n_data, n_chains, chains, second, places,
    n_visible, visible_row, n_hidden, hidden_row, stride,
    DIGITS: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """Digits of rint(weight / (1 + 2**t)) and their sums: grid (tiles of units, tiles of samples, R).

    bias (R, M); data_weight, chain_weight : 2**30 / B and -2**30 / C in float32
    """
    replica, tile = tl.program_id(2), tl.program_id(1)
    places_here = tile * BLOCK_M + tl.arange(0, BLOCK_M)
    units = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    plane = visible_row.to(tl.int64) * hidden_row
    is_data = tile * BLOCK_M < second
    if is_data:
        source = data + (replica.to(tl.int64) * second + tile * BLOCK_M) * visible_row
        weight = tl.where(places_here < n_data, data_weight, 0.0)
    else:
        source = v + (replica.to(tl.int64) * chains + tile * BLOCK_M - second) * visible_row
        weight = tl.where(places_here - second < n_chains, chain_weight, 0.0)
    planes = fine + replica * 4 * plane + tl.program_id(0) * BLOCK_N * visible_row
    product = _four_products(source, planes, plane, n_visible, visible_row, 4, BLOCK_M, BLOCK_N, BLOCK_K)
    unit = tl.load(scales + replica * 2 + 1) / tl.full((), _FINER, tl.float64)
    slope = (tl.full((), _MINUS_LOG2_E, tl.float64) * unit).to(tl.float32)
    inside = units < n_hidden
    field = tl.load(bias + replica.to(tl.int64) * stride + units, mask=inside, other=0.0)
    field = tl.broadcast_to((field * tl.full((), _MINUS_LOG2_E, tl.float32))[None, :], (BLOCK_M, BLOCK_N))
    t = fused(tl.full((BLOCK_M, BLOCK_N), slope, tl.float32), product.to(tl.float32), field)
    weights = tl.where(inside[None, :], tl.broadcast_to(weight[:, None], (BLOCK_M, BLOCK_N)), 0.0)
    rest = nearest(tl.div_rn(weights, power_of_two(t) + 1.0).to(tl.float64)).to(tl.int32)
    total = tl.sum(rest.to(tl.int64), 0)
    sums += replica * 2 * hidden_row
    tl.atomic_add(sums + units, total)
    if is_data:
        tl.atomic_add(sums + hidden_row + units, total)
    plane = hidden_row.to(tl.int64) * places
    target = means + replica * DIGITS * plane + units[None, :] * places + places_here[:, None]
    _store_digits(target, plane, rest, inside[None, :] & (places_here >= 0)[:, None], DIGITS)


@triton.jit
def correlations(
    columns, means, out, places, n_visible, visible_row, n_hidden, hidden_row, stride,
    DIGITS: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """out (R, N, M) = 2**-30 Σ_s v_si means_sj: grid (tiles of hidden, tiles of visible units, R)."""
    replica = tl.program_id(2)
    rows = tl.program_id(1) * BLOCK_M + tl.arange(0, BLOCK_M)
    units = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    plane = hidden_row.to(tl.int64) * places
    source = columns + (replica.to(tl.int64) * visible_row + tl.program_id(1) * BLOCK_M) * places
    planes = means + replica * DIGITS * plane + tl.program_id(0) * BLOCK_N * places
    product = _four_products(source, planes, plane, places, places, DIGITS, BLOCK_M, BLOCK_N, BLOCK_K)
    inside = (rows < n_visible)[:, None] & (units < n_hidden)[None, :]
    target = out + replica.to(tl.int64) * stride + rows[:, None] * n_hidden + units[None, :]
    tl.store(target, product.to(tl.float32) * _UNIT, mask=inside)
