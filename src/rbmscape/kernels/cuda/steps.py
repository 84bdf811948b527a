# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-calls=False
r"""What follows the gradient in a parameter update, for R models at once: kernels.

Penalties, centring (Montavon and Müller 2012), clipping, the optimiser's step (equation 13 of arXiv:2503.21536), the
running average, and the look for divergence; nothing waits for the host.  The arithmetic, sums included, is that of
`rbmscape.kernels.reference.descent`, bit for bit.

A model's parameters lie in one row of `stride` float32: W (N·M), a (N), b (M); so do gradient, average and the
optimiser's slots.  Shares of sums: rows (R, tiles of M, N), columns (R, tiles of N, M) int64 in units of 2**-38;
squares (R, shares) float64, a power of two of them, of which those behind the last one stay 0.
"""

from __future__ import annotations

import triton
import triton.language as tl

from rbmscape.kernels.cuda.units import nearest
from rbmscape.kernels.reference import descent

__all__ = ["apply", "biases", "center", "tick"]

_UNIT = tl.constexpr(2.0**-30)
_SUM_UNIT, _SQUARE_UNIT = tl.constexpr(descent.SUM_UNIT), tl.constexpr(descent.SQUARE_UNIT)
_SUM, _SQUARE = tl.constexpr(1.0 / descent.SUM_UNIT), tl.constexpr(1.0 / descent.SQUARE_UNIT)
_LARGEST_SQUARE = tl.constexpr(descent.LARGEST_SQUARE)
_SGD, _, _NESTEROV, _ADAM, _RMSPROP = (tl.constexpr(kind) for kind in range(len(descent.CARRIED)))
_MOST_LEVELS = tl.constexpr(20)
_LIMIT_BITS = tl.constexpr(0x461C4000)
"""Of 1e4, the largest parameter that is allowed."""


@triton.jit
def _units(x):
    """Integers of float64 in units of 2**-38."""
    return nearest(x * tl.full((), _SUM_UNIT, tl.float64)).to(tl.int64)


@triton.jit
def _square_units(x):
    """Integers of the squares in units of 2**-40; below 2**51, since a square counts as 1024 at most."""
    square = tl.minimum(x * x, tl.full((), _LARGEST_SQUARE, tl.float64))
    return nearest(square * tl.full((), _SQUARE_UNIT, tl.float64)).to(tl.int64)


@triton.jit
def _total(shares, n_shares, n_units, units):
    """float32 sums of the shares (n_shares, n_units) int64."""
    found = tl.zeros(units.shape, tl.int64)
    for share in range(n_shares):
        found += tl.load(shares + share * n_units + units, mask=units < n_units, other=0)
    return (found.to(tl.float64) * tl.full((), _SUM, tl.float64)).to(tl.float32)


@triton.jit
def _by_halves(terms, SIZE: tl.constexpr):
    """See `rbmscape.kernels.reference.descent.by_halves`; SIZE is a power of two."""
    for level in tl.static_range(_MOST_LEVELS):
        if (SIZE >> level) > 1:
            terms = tl.sum(tl.reshape(terms, (2, SIZE >> (level + 1))), 0)
    return tl.sum(terms, 0)


@triton.jit
def _hidden_sum(sums, units, inside):
    found = tl.load(sums + units, mask=inside, other=0).to(tl.float64)
    return (found * tl.full((), _UNIT, tl.float64)).to(tl.float32)


@triton.jit
def _visible_difference(counts, units, inside, row, n_data, n_chains):
    """Share of the data rows that are active minus that of the chains."""
    chains = tl.load(counts + units, mask=inside, other=0).to(tl.float32)
    data = tl.load(counts + row + units, mask=inside, other=0).to(tl.float32)
    return tl.div_rn(data, tl.zeros_like(data) + n_data) - tl.div_rn(chains, tl.zeros_like(chains) + n_chains)


@triton.jit
def center(
    parameters, gradient, counts, sums, offset, shares_of_rows, shares_of_columns, squares, n_rows, n_columns,
    visible_row, hidden_row, stride, n_shares, n_data, n_chains, l1, l2, CENTERED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The weights' gradient with its penalties and in its centred form: grid (tiles of N, tiles of M, R).

    offset (N,) float32: mean of the data
    """
    replica, down, across = tl.program_id(2), tl.program_id(0), tl.program_id(1)
    rows, columns = down * BLOCK + tl.arange(0, BLOCK), across * BLOCK + tl.arange(0, BLOCK)
    in_rows, in_columns = rows < n_rows, columns < n_columns
    inside = in_rows[:, None] & in_columns[None, :]
    at = replica.to(tl.int64) * stride + rows[:, None] * n_columns + columns[None, :]
    ascent = tl.load(gradient + at, mask=inside, other=0.0)
    weight = tl.load(parameters + at, mask=inside, other=0.0)
    sign = (weight > 0.0).to(tl.float32) - (weight < 0.0).to(tl.float32)
    ascent = ascent - sign * l1
    ascent = ascent - weight * l2
    if CENTERED:
        counts += replica * 2 * visible_row
        sums += replica * 2 * hidden_row
        visible = _visible_difference(counts, rows, in_rows, visible_row, n_data, n_chains)
        hidden = _hidden_sum(sums, columns, in_columns)
        mu = tl.load(offset + rows, mask=in_rows, other=0.0)
        mean = _hidden_sum(sums + hidden_row, columns, in_columns)
        ascent = ascent - mu[:, None] * hidden[None, :]
        ascent = ascent - visible[:, None] * mean[None, :]
        wide = ascent.to(tl.float64)
        of_rows = tl.sum(_units(wide * mean.to(tl.float64)[None, :]), 1)
        of_columns = tl.sum(_units(wide * mu.to(tl.float64)[:, None]), 0)
        row_place = shares_of_rows + (replica * tl.num_programs(1) + across) * n_rows + rows
        column_place = shares_of_columns + (replica * tl.num_programs(0) + down) * n_columns + columns
        tl.store(row_place, of_rows, mask=in_rows)
        tl.store(column_place, of_columns, mask=in_columns)
    ascent = tl.where(inside, ascent, 0.0)
    tl.store(gradient + at, ascent, mask=inside)
    square = tl.sum(tl.sum(_square_units(ascent.to(tl.float64)), 1), 0)
    square = square.to(tl.float64) * tl.full((), _SQUARE, tl.float64)
    tl.store(squares + replica * n_shares + down * tl.num_programs(1) + across, square)


@triton.jit
def biases(
    gradient, counts, sums, shares_of_rows, shares_of_columns, squares, n_rows, n_columns, visible_row, hidden_row,
    stride, n_shares, row_shares, column_shares, n_data, n_chains, CENTERED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The biases' gradients: grid (blocks of units, 2, R), visible ones first."""
    replica, block = tl.program_id(2), tl.program_id(0)
    is_hidden = tl.program_id(1) == 1
    units = block * BLOCK + tl.arange(0, BLOCK)
    target = gradient + replica.to(tl.int64) * stride + n_rows.to(tl.int64) * n_columns
    squares += replica * n_shares + column_shares * row_shares + 2 * block + tl.program_id(1)
    if is_hidden:
        inside = units < n_columns
        ascent = _hidden_sum(sums + replica * 2 * hidden_row, units, inside)
        if CENTERED:
            ascent -= _total(shares_of_columns + replica * column_shares * n_columns, column_shares, n_columns, units)
        tl.store(target + n_rows + units, ascent, mask=inside)
    else:
        inside = units < n_rows
        ascent = _visible_difference(counts + replica * 2 * visible_row, units, inside, visible_row, n_data, n_chains)
        if CENTERED:
            ascent -= _total(shares_of_rows + replica * row_shares * n_rows, row_shares, n_rows, units)
        tl.store(target + units, ascent, mask=inside)
    ascent = tl.where(inside, ascent, 0.0)
    tl.store(squares, _by_halves(ascent.to(tl.float64) * ascent.to(tl.float64), BLOCK))


@triton.jit
def _shortening(squares, longest, SHARES: tl.constexpr):
    """What clipping multiplies the gradient by."""
    length = tl.sqrt(_by_halves(tl.load(squares + tl.arange(0, SHARES)), SHARES)).to(tl.float32)
    found = tl.div_rn(longest + tl.zeros((1,), tl.float32), length + tl.zeros((1,), tl.float32))
    return tl.where(length > longest, found, 1.0)


@triton.jit
def _mean_square(second, descent, beta2, rest2):
    return second * beta2 + descent * descent * rest2


@triton.jit
def _averaged(mean, value, weight):
    near, far = mean + (value - mean) * weight, value - (value - mean) * (1.0 - weight)
    return tl.where(weight < 0.5, near, far)


@triton.jit
def _past(first, descent, momentum, NESTEROV: tl.constexpr):
    if NESTEROV:
        return descent + first * momentum
    return first


@triton.jit
def _direction(
    descent, first_slot, second_slot, inside, correction, momentum, rest1, beta2, rest2, epsilon, KIND: tl.constexpr
):
    """What the optimiser makes of a descent, before the step size; its slots move on."""
    first = tl.load(first_slot, mask=inside, other=0.0)
    if KIND == _ADAM:
        second = tl.load(second_slot, mask=inside, other=0.0)
        first = first + (descent - first) * rest1
        second = _mean_square(second, descent, beta2, rest2)
        tl.store(second_slot, second, mask=inside)
        descent = tl.div_rn(first, tl.div_rn(tl.sqrt_rn(second), correction + tl.zeros_like(second)) + epsilon)
    elif KIND == _RMSPROP:
        first = _mean_square(first, descent, beta2, rest2)
        descent = tl.div_rn(descent, tl.sqrt_rn(first) + epsilon)
    else:
        first = first * momentum + descent
        descent = _past(first, descent, momentum, KIND == _NESTEROV)
    tl.store(first_slot, first, mask=inside)
    return descent


@triton.jit
def apply(
    parameters, gradient, average, first_slot, second_slot, squares, schedule, clock, bits, first_bad, n_weights, n_all,
    stride, n_updates, longest, momentum, rest1, beta2, rest2, epsilon, KIND: tl.constexpr, CLIPPED: tl.constexpr,
    AVERAGED: tl.constexpr, SHARES: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The optimiser's step of every parameter: grid (blocks, R).

    schedule (R, updates, 3) float32: step, square root of Adam's second correction, weight of the average;
    first_bad (R,) int32: number of the update after which a parameter was not finite or beyond 1e4, else the largest
    integer; a model that has diverged stays as it was then
    """
    replica = tl.program_id(1)
    update = tl.load(clock)
    if tl.load(first_bad + replica) > update:
        at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        inside = at < n_all
        place = replica.to(tl.int64) * stride + at
        schedule += (replica * n_updates + update) * 3
        step = tl.load(schedule)
        value = tl.load(parameters + place, mask=inside, other=0.0)
        descent = -tl.load(gradient + place, mask=inside, other=0.0)
        if CLIPPED:
            descent = descent * _shortening(squares + replica * SHARES, longest, SHARES)
        if KIND != _SGD:
            descent = _direction(
                descent, first_slot + place, second_slot + place, inside, tl.load(schedule + 1), momentum, rest1, beta2,
                rest2, epsilon, KIND,
            )  # fmt: skip
        value = value - descent * step
        tl.store(parameters + place, value, mask=inside)
        if AVERAGED:
            weight = tl.load(schedule + 2)
            mean = tl.load(average + place, mask=inside, other=0.0)
            tl.store(average + place, _averaged(mean, value, weight), mask=inside)
        size = tl.where(inside, value.to(tl.int32, bitcast=True) & 0x7FFFFFFF, 0)
        largest = tl.max(size, 0)
        if largest > _LIMIT_BITS:
            tl.atomic_min(first_bad + replica, (update + 1).to(tl.int32))
        tl.atomic_max(bits + replica, tl.max(tl.where(at < n_weights, size, 0), 0))


@triton.jit
def tick(clock, numbers, batch_size, draws, n_models):
    """The next update: one program."""
    tl.store(clock, tl.load(clock) + 1)
    tl.store(clock + 1, tl.load(clock + 1) + batch_size)
    for replica in range(n_models):
        place = numbers + replica * 5 + 3
        tl.store(place, tl.load(place) + draws)
