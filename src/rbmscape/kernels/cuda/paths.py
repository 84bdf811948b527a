# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-calls=False
r"""Annealing paths of many models at once (`rbmscape.kernels.interface`): any number of steps in one launch.

Work is shared as in `rbmscape.kernels.cuda.sweeps`, and the states are those of a processor with the same integers, bit
for bit.  The log weights are not: of each tile of units the factors ``1 + 2**-|t|`` are multiplied in float32, their
logarithms added over tiles in float64, in a fixed order.

Layouts beside those of the sweeps, models first: bases (R, row) float32 a0, b0, and biases alike; temperatures (R,
steps + 1) float64; shares (R, steps, tiles, chains) float64: of each step's log weight but for what the visible biases
add to it, and of ``(a - a0)·v`` after the step.
"""

from __future__ import annotations

import triton
import triton.language as tl

from rbmscape.kernels import rounding
from rbmscape.kernels.cuda.sweeps import after_all, products_of, random_states
from rbmscape.kernels.cuda.units import fused, power_of_two

__all__ = ["anneal", "weigh"]

_LN_2 = tl.constexpr(0.6931471805599453)
_MINUS_LOG2_E = tl.constexpr(rounding.MINUS_LOG2_E)
_NEVER = tl.constexpr(64.0)


@triton.jit
def _times(one, other):
    return one * other


@triton.jit
def _exponents(product, base, bias, units, n_units, scale, t, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr):
    """t = -x / ln 2 of a tile at one temperature; units beyond the last are never active."""
    inside = units < n_units
    slope = (tl.full((), _MINUS_LOG2_E, tl.float64) * (scale * t)).to(tl.float32)
    field = base * (1.0 - t).to(tl.float32) + bias * t.to(tl.float32)
    field = field * tl.full((BLOCK_N,), _MINUS_LOG2_E, tl.float32)
    found = fused(
        tl.full((BLOCK_M, BLOCK_N), slope, tl.float32), product, tl.broadcast_to(field[None, :], (BLOCK_M, BLOCK_N))
    )
    return tl.where(inside[None, :], found, _NEVER)


@triton.jit
def _factors(t):
    return tl.reduce(power_of_two(-tl.abs(t)) + 1.0, 1, _times)


@triton.jit
def _log_weights(start, end, BOTH: tl.constexpr):
    """Σ softplus(x) over a tile's units at the end, minus that at the start where BOTH; (chains,) float64."""
    ln_2 = tl.full((), _LN_2, tl.float64)
    linear = -tl.minimum(end, 0.0)
    if BOTH:
        linear = linear + tl.minimum(start, 0.0)
        ratio = _factors(end).to(tl.float64) / _factors(start).to(tl.float64)
    else:
        ratio = _factors(end).to(tl.float64)
    return tl.sum(linear, 1).to(tl.float64) * ln_2 + tl.log(ratio)


@triton.jit
def _hidden_tile(
    v, planes, spill, spilled, base, bias, h, shares, tile, rows, numbers, chains, n_chains, depth, row, n_units, width,
    scale, start, end, draw, DRAW: tl.constexpr, BOTH: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """Weigh a tile of hidden units, and draw it at the end temperature; pointers at the block's first chain but for
    `shares`, which points at the model's.
    """
    first = tile * BLOCK_N
    units = first + tl.arange(0, BLOCK_N)
    product = products_of(v, planes, spill, spilled, first, depth, row, width, BLOCK_M, BLOCK_N, BLOCK_K)
    product = product.to(tl.float32)
    inside = units < n_units
    base, bias = tl.load(base + units, mask=inside, other=0.0), tl.load(bias + units, mask=inside, other=0.0)
    after = _exponents(product, base, bias, units, n_units, scale, end, BLOCK_M, BLOCK_N)
    before = after
    if BOTH:
        before = _exponents(product, base, bias, units, n_units, scale, start, BLOCK_M, BLOCK_N)
    tl.store(shares + n_chains.to(tl.int64) * tile + rows, _log_weights(before, after, BOTH))
    if DRAW:
        states = random_states(after, first, chains, numbers, draw, BLOCK_N)
        tl.store(h + tl.arange(0, BLOCK_M)[:, None] * width + units[None, :], states)


@triton.jit
def _visible_tile(
    h, planes, spill, spilled, base, bias, v, drives, tile, rows, numbers, chains, n_chains, depth, row, n_units,
    width, scale, end, draw, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """Draw a tile of visible units at the end temperature; `drives` take its share of (a - a0)·v."""
    first = tile * BLOCK_N
    units = first + tl.arange(0, BLOCK_N)
    product = products_of(h, planes, spill, spilled, first, depth, row, width, BLOCK_M, BLOCK_N, BLOCK_K)
    inside = units < n_units
    base, bias = tl.load(base + units, mask=inside, other=0.0), tl.load(bias + units, mask=inside, other=0.0)
    t = _exponents(product.to(tl.float32), base, bias, units, n_units, scale, end, BLOCK_M, BLOCK_N)
    states = random_states(t, first, chains, numbers, draw, BLOCK_N)
    tl.store(v + tl.arange(0, BLOCK_M)[:, None] * width + units[None, :], states)
    drive = tl.sum(tl.where(states > 0, tl.broadcast_to((bias - base)[None, :], (BLOCK_M, BLOCK_N)), 0.0), 1)
    tl.store(drives + n_chains.to(tl.int64) * tile + rows, drive.to(tl.float64))


@triton.jit
def _visible_share(v, bias, share, n_units, row, BLOCK_M: tl.constexpr, BLOCK_K: tl.constexpr):
    """a·v of a block of chains, whose first row v points at."""
    units = tl.arange(0, BLOCK_K)
    total = tl.zeros((BLOCK_M,), tl.float64)
    for first in range(0, n_units, BLOCK_K):
        states = tl.load(v + tl.arange(0, BLOCK_M)[:, None] * row + first + units[None, :])
        active = tl.load(bias + first + units).to(tl.float64)
        total += tl.sum(tl.where(states > 0, tl.broadcast_to(active[None, :], (BLOCK_M, BLOCK_K)), 0.0), 1)
    tl.store(share, total)


@triton.jit
def weigh(
    v, to_hidden, hidden_spill, spilled, visible_bias, base, bias, shares, scales, temperatures, looks, n_chains,
    n_visible, visible_row, n_hidden, hidden_row, BOTH: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """Weigh the chains of some models by others: grid (tiles, blocks, looks).

    looks : (looks, 2) int32, whose chains and whose model; shares : (looks, tiles + 1, chains), Σ_j softplus at the
    second temperature of the model, minus that at the first where BOTH, else with a·v behind those of the tiles
    """
    tile, block, look = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    at, replica = tl.load(looks + 2 * look), tl.load(looks + 2 * look + 1)
    start, end = tl.load(temperatures + 2 * replica), tl.load(temperatures + 2 * replica + 1)
    rows = block * BLOCK_M + tl.arange(0, BLOCK_M)
    tiles = tl.num_programs(0).to(tl.int64)
    v += (at.to(tl.int64) * n_chains + block * BLOCK_M) * visible_row
    shares += look * (tiles + 1) * n_chains
    _hidden_tile(
        v, to_hidden + replica.to(tl.int64) * 2 * hidden_row * visible_row, hidden_spill + replica * hidden_row,
        tl.load(spilled + 2 * replica), base + replica * hidden_row, bias + replica * hidden_row, v, shares, tile,
        rows, temperatures, rows, n_chains, n_visible, visible_row, n_hidden, hidden_row,
        tl.load(scales + 2 * replica + 1), start, end, 0, False, BOTH, BLOCK_M, BLOCK_N, BLOCK_K,
    )  # fmt: skip
    if not BOTH:  # noqa: SIM102 - a constant and a number of the device
        if tile == 0:
            bias = visible_bias + replica * visible_row
            _visible_share(v, bias, shares + tiles * n_chains + rows, n_visible, visible_row, BLOCK_M, BLOCK_K)


@triton.jit(do_not_specialize=["n_steps", "members", "blocks"])
def anneal(
    v, h, to_hidden, to_visible, visible_spill, hidden_spill, spilled, visible_base, visible_bias, hidden_base,
    hidden_bias, shares, drives, scales, temperatures, numbers, counters, n_steps, members, blocks, n_chains,
    n_visible, visible_row, n_hidden, hidden_row,
    SHARED: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_V: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """n_steps steps: weigh between two temperatures, then a Gibbs step at the second; grid as of `sweeps`."""
    group, member = tl.program_id(0) // members, tl.program_id(0) % members
    replica, block = group // blocks, group % blocks
    many, scale = tl.load(spilled + 2 * replica), tl.load(scales + 2 * replica + 1)
    numbers += replica * 5
    first_draw = tl.load(numbers + 3)
    rows = block * BLOCK_M + tl.arange(0, BLOCK_M)
    chains = (tl.load(numbers + 4) + rows).to(tl.uint32)
    first = replica.to(tl.int64) * n_chains + block * BLOCK_M
    v += first * visible_row
    h += first * hidden_row
    plane = visible_row.to(tl.int64) * hidden_row * 2
    hidden_tiles, visible_tiles = tl.cdiv(n_hidden, BLOCK_N), tl.cdiv(n_visible, BLOCK_V)
    shares += replica.to(tl.int64) * n_steps * hidden_tiles * n_chains
    drives += replica.to(tl.int64) * n_steps * visible_tiles * n_chains
    temperatures += replica * (n_steps + 1)
    for step in range(n_steps):
        start, end = tl.load(temperatures + step), tl.load(temperatures + step + 1)
        for tile in range(member, hidden_tiles, members):
            _hidden_tile(
                v, to_hidden + replica * plane, hidden_spill + replica * hidden_row, many,
                hidden_base + replica * hidden_row, hidden_bias + replica * hidden_row, h, shares, tile, rows,
                numbers, chains, n_chains, n_visible, visible_row, n_hidden, hidden_row, scale, start, end,
                first_draw + 2 * step, True, True, BLOCK_M, BLOCK_N, BLOCK_K,
            )  # fmt: skip
        after_all(counters + group, members * (2 * step + 1), SHARED)
        for tile in range(member, visible_tiles, members):
            _visible_tile(
                h, to_visible + replica * plane, visible_spill + replica * visible_row, many,
                visible_base + replica * visible_row, visible_bias + replica * visible_row, v, drives, tile, rows,
                numbers, chains, n_chains, n_hidden, hidden_row, n_visible, visible_row, scale, end,
                first_draw + 2 * step + 1, BLOCK_M, BLOCK_V, BLOCK_K,
            )  # fmt: skip
        shares += hidden_tiles.to(tl.int64) * n_chains
        drives += visible_tiles.to(tl.int64) * n_chains
        after_all(counters + group, members * (2 * step + 2), SHARED)
