# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-calls=False
r"""Gibbs half-steps and whole sweeps of many chains and many models: one program for each tile, or one kernel for all.

A half-step draws one layer given the other: two products of bytes on the tensor cores (the weights' planes,
``q = 256 high + low``), the field, the random numbers, the comparison, and the states stored as the next product's
input.  `half_step` is one launch; `sweeps` makes any number of steps in one.  There a group of `members` programs owns
`BLOCK_M` chains and meets at a counter after every half-step; groups do not wait for each other.  With one member
there is nothing to wait for, else all programs must run at once (a cooperative launch).

Layouts, padded to whole tiles (`rbmscape.kernels.cuda.models`), models first: states (R, chains, units) bytes; planes
(R, 2, drawn units, given units) signed bytes; fields (R, units) of ``t = -x / ln 2``; numbers (R, 5) int64: both key
words, stream, draw, first chain.

A weight of 32640 or more does not fit into signed bytes: its planes hold 256 less, and `spill` (R, units) says which
given unit it belongs to, or -1.  Rows and columns have at most one, since their sums stay below 32768.
"""

from __future__ import annotations

import triton
import triton.language as tl

from rbmscape.kernels.cuda.units import active, fused, random_words

__all__ = ["after_all", "half_step", "pair_of_products", "products_of", "random_states", "sweeps"]

_PATIENCE = tl.constexpr(1 << 23)


@triton.jit
def pair_of_products(
    source, planes, plane, depth, row, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr
):
    """(BLOCK_M, BLOCK_N) int32 sums of 256 high + low over the units that are 1.

    source, planes : first row of the states and of the upper bytes, each `row` long, of which `depth` are used; plane :
    distance of the lower bytes
    """
    given = tl.arange(0, BLOCK_K)
    states = source + tl.arange(0, BLOCK_M)[:, None] * row + given[None, :]
    weights = planes + tl.arange(0, BLOCK_N)[None, :] * row + given[:, None]
    high = tl.zeros((BLOCK_M, BLOCK_N), tl.int32)
    low = tl.zeros((BLOCK_M, BLOCK_N), tl.int32)
    for _ in range(0, depth, BLOCK_K):
        bits = tl.load(states)
        high = tl.dot(bits, tl.load(weights), high, out_dtype=tl.int32)
        low = tl.dot(bits, tl.load(weights + plane), low, out_dtype=tl.int32)
        states += BLOCK_K
        weights += BLOCK_K
    return high * 256 + low


@triton.jit
def products_of(
    source, planes, spill, spilled, first, depth, row, width,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """Products of the units first, first + 1, … for a block of chains, what spills included; pointers at the block's
    and the model's first element.
    """
    planes += row.to(tl.int64) * first
    product = pair_of_products(source, planes, width.to(tl.int64) * row, depth, row, BLOCK_M, BLOCK_N, BLOCK_K)
    if spilled != 0:
        rows = tl.arange(0, BLOCK_M)
        at = tl.load(spill + first + tl.arange(0, BLOCK_N))
        place = source + rows[:, None] * row + at[None, :]
        found = tl.load(place, mask=(at >= 0)[None, :] & (rows >= 0)[:, None], other=0)
        product += found.to(tl.int32) * 256
    return product


@triton.jit
def random_states(t, first, chains, numbers, draw, BLOCK_N: tl.constexpr):
    """Bytes drawn with probability 1 / (1 + 2**t); numbers : the model's row; chains : their numbers."""
    key0 = tl.load(numbers).to(tl.uint32)
    key1 = tl.load(numbers + 1).to(tl.uint32)
    stream = tl.load(numbers + 2).to(tl.uint32)
    fours = (first // 4 + tl.arange(0, BLOCK_N // 4)).to(tl.uint32)
    words = random_words(fours, chains, draw.to(tl.uint32), stream, key0, key1)
    return active(t, words).to(tl.int8)


@triton.jit
def _draw_tile(
    source, planes, fields, spill, target, first, depth, row, width, slope, spilled, draw, chains, numbers,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    rows, units = tl.arange(0, BLOCK_M), first + tl.arange(0, BLOCK_N)
    product = products_of(source, planes, spill, spilled, first, depth, row, width, BLOCK_M, BLOCK_N, BLOCK_K)
    field = tl.broadcast_to(tl.load(fields + units)[None, :], (BLOCK_M, BLOCK_N))
    t = fused(tl.full((BLOCK_M, BLOCK_N), slope, tl.float32), product.to(tl.float32), field)
    states = random_states(t, first, chains, numbers, draw, BLOCK_N)
    tl.store(target + rows[:, None] * width + units[None, :], states)


@triton.jit
def _draw_layer(
    source, planes, fields, spill, target, replica, block, member, n_chains, depth, row, n_units, width, slope,
    spilled, draw, numbers, members, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """All tiles of one layer that belong to a member, for one block of chains of one model."""
    first = replica.to(tl.int64) * n_chains + block * BLOCK_M
    numbers += replica * 5
    chains = (tl.load(numbers + 4) + block * BLOCK_M + tl.arange(0, BLOCK_M)).to(tl.uint32)
    for tile in range(member, tl.cdiv(n_units, BLOCK_N), members):
        _draw_tile(
            source + first * row, planes + replica.to(tl.int64) * 2 * width * row, fields + replica * width,
            spill + replica * width, target + first * width, tile * BLOCK_N, depth, row, width, slope, spilled, draw,
            chains, numbers, BLOCK_M, BLOCK_N, BLOCK_K,
        )  # fmt: skip


@triton.jit
def half_step(
    source, planes, fields, spill, target, slopes, spilled, numbers, n_chains, depth, row, n_units, width, offset,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """One layer: grid (tiles, blocks of chains, models); the draw is that of `numbers` plus `offset`."""
    tile, block, replica = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    slope, many = tl.load(slopes + replica), tl.load(spilled + 2 * replica)
    draw = tl.load(numbers + replica * 5 + 3) + offset
    _draw_layer(
        source, planes, fields, spill, target, replica, block, tile, n_chains, depth, row, n_units, width, slope,
        many, draw, numbers, 1 << 20, BLOCK_M, BLOCK_N, BLOCK_K,
    )  # fmt: skip


@triton.jit
def _meet(counter, target):
    """Wait until as many have come as shall; what all have stored is then visible to all.

    Nobody waits for more than some seconds: a wrong result is found by a test, a device that hangs by nobody.
    """
    tl.debug_barrier()
    tl.atomic_add(counter, 1, sem="release", scope="gpu")
    tries = 0
    while (tl.atomic_add(counter, 0, sem="acquire", scope="gpu") < target) & (tries < _PATIENCE):
        tries += 1
    tl.debug_barrier()


@triton.jit
def after_all(counter, target, SHARED: tl.constexpr):
    """Go on when all members have come, where there are several, else when all threads have."""
    if SHARED:
        _meet(counter, target)
    else:
        tl.debug_barrier()


@triton.jit(do_not_specialize=["n_steps", "offset", "members", "blocks"])
def sweeps(
    v, h, to_hidden, to_visible, visible_fields, hidden_fields, visible_spill, hidden_spill, slopes, spilled, numbers,
    counters, n_steps, offset, members, blocks, n_chains, n_visible, visible_row, n_hidden, hidden_row,
    SHARED: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_V: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """n_steps full steps: grid (members · blocks of chains · models,); step s has the draws 2 s and 2 s + 1 beyond
    that of `numbers` plus `offset`.

    SHARED : whether there is more than one member; BLOCK_N, BLOCK_V : units of a tile of the hidden and of the visible
    layer
    """
    group, member = tl.program_id(0) // members, tl.program_id(0) % members
    replica, block = group // blocks, group % blocks
    slope, many = tl.load(slopes + replica), tl.load(spilled + 2 * replica)
    first = tl.load(numbers + replica * 5 + 3) + offset
    for step in range(n_steps):
        _draw_layer(
            v, to_hidden, hidden_fields, hidden_spill, h, replica, block, member, n_chains, n_visible, visible_row,
            n_hidden, hidden_row, slope, many, first + 2 * step, numbers, members, BLOCK_M, BLOCK_N, BLOCK_K,
        )  # fmt: skip
        after_all(counters + group, members * (2 * step + 1), SHARED)
        _draw_layer(
            h, to_visible, visible_fields, visible_spill, v, replica, block, member, n_chains, n_hidden, hidden_row,
            n_visible, visible_row, slope, many, first + 2 * step + 1, numbers, members, BLOCK_M, BLOCK_V, BLOCK_K,
        )  # fmt: skip
        after_all(counters + group, members * (2 * step + 2), SHARED)
