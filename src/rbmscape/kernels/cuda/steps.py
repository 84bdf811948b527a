# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-calls=False
r"""What follows the gradient in a parameter update, for R models at once: kernels.

Penalties, centring (Montavon and Müller 2012), clipping, the optimiser's step (equation 13 of arXiv:2503.21536), the
running average, and the look for divergence; nothing waits for the host.  All sums run in one order, whatever R is.

A model's parameters lie in one row of `stride` float32: W (N·M), a (N), b (M); so do gradient, average and the
optimiser's slots.  Shares of sums: rows (R, tiles of M, N), columns (R, tiles of N, M), squares (R, shares) float64.
"""

from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["apply", "biases", "center", "tick"]

_UNIT = tl.constexpr(2.0**-30)
_LIMIT_BITS = tl.constexpr(0x461C4000)
"""Of 1e4, the largest parameter that is allowed."""


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
        of_rows = tl.sum(ascent * mean[None, :], 1)
        of_columns = tl.sum(ascent * mu[:, None], 0)
        row_place = shares_of_rows + (replica * tl.num_programs(1) + across) * n_rows + rows
        column_place = shares_of_columns + (replica * tl.num_programs(0) + down) * n_columns + columns
        tl.store(row_place, of_rows, mask=in_rows)
        tl.store(column_place, of_columns, mask=in_columns)
    ascent = tl.where(inside, ascent, 0.0)
    tl.store(gradient + at, ascent, mask=inside)
    square = tl.sum(tl.sum(ascent * ascent, 1).to(tl.float64), 0)
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
            for share in range(column_shares):
                place = shares_of_columns + (replica * column_shares + share) * n_columns + units
                ascent -= tl.load(place, mask=inside, other=0.0)
        tl.store(target + n_rows + units, ascent, mask=inside)
    else:
        inside = units < n_rows
        ascent = _visible_difference(counts + replica * 2 * visible_row, units, inside, visible_row, n_data, n_chains)
        if CENTERED:
            for share in range(row_shares):
                place = shares_of_rows + (replica * row_shares + share) * n_rows + units
                ascent -= tl.load(place, mask=inside, other=0.0)
        tl.store(target + units, ascent, mask=inside)
    ascent = tl.where(inside, ascent, 0.0)
    tl.store(squares, tl.sum(ascent.to(tl.float64) * ascent.to(tl.float64), 0))


@triton.jit
def _shortening(squares, n_shares, longest, BLOCK: tl.constexpr):
    """What clipping multiplies the gradient by; no number limits it where `longest` is 0."""
    total = tl.zeros((BLOCK,), tl.float64)
    for start in range(0, n_shares, BLOCK):
        at = start + tl.arange(0, BLOCK)
        total += tl.load(squares + at, mask=at < n_shares, other=0.0)
    length = tl.sqrt(tl.sum(total, 0)).to(tl.float32)
    clipped = (longest > 0.0) & (length > longest)
    return tl.where(clipped, tl.div_rn(longest + tl.zeros((1,), tl.float32), length + tl.zeros((1,), tl.float32)), 1.0)


@triton.jit
def apply(
    parameters, gradient, average, first_slot, second_slot, squares, schedule, clock, bits, first_bad, n_weights, n_all,
    stride, n_shares, n_updates, longest, beta1, beta2, epsilon,
    ADAM: tl.constexpr, MOMENTUM: tl.constexpr, AVERAGED: tl.constexpr, BLOCK: tl.constexpr,
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
        factor = -_shortening(squares + replica * n_shares, n_shares, longest, 1024)
        descent = tl.load(gradient + place, mask=inside, other=0.0) * factor
        if ADAM:
            first = tl.load(first_slot + place, mask=inside, other=0.0)
            second = tl.load(second_slot + place, mask=inside, other=0.0)
            first = first + (descent - first) * (1.0 - beta1)
            second = second * beta2 + descent * descent * (1.0 - beta2)
            tl.store(first_slot + place, first, mask=inside)
            tl.store(second_slot + place, second, mask=inside)
            correction = tl.load(schedule + 1) + tl.zeros((BLOCK,), tl.float32)
            root = tl.div_rn(tl.sqrt_rn(second), correction) + epsilon
            value = value - tl.div_rn(first, root) * step
        elif MOMENTUM:
            first = tl.load(first_slot + place, mask=inside, other=0.0) * beta1 + descent
            tl.store(first_slot + place, first, mask=inside)
            value = value - first * step
        else:
            value = value - descent * step
        tl.store(parameters + place, value, mask=inside)
        if AVERAGED:
            weight = tl.load(schedule + 2)
            mean = tl.load(average + place, mask=inside, other=0.0)
            near, far = mean + (value - mean) * weight, value - (value - mean) * (1.0 - weight)
            tl.store(average + place, tl.where(weight < 0.5, near, far), mask=inside)
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
