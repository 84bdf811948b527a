"""Philox4x32 words inside compiled passes: the counters of `rbmscape.rng`, block by block.

A pass fills a block of scratch with random words and then consumes it, two loops that LLVM turns into vector code (one
loop with the four words of a counter inside would not vectorise).
"""

from __future__ import annotations

import numba
import numpy as np
from numpy import uint32, uint64

from rbmscape.rng import MULTIPLIERS, ROUNDS, WEYL, Stream

__all__ = ["BLOCK", "NO_DRAW", "Counter", "counter", "fill_words", "philox"]

BLOCK = 256
"""Units whose random words stand in the scratch at a time."""
Counter = tuple[np.uint64, np.uint64, np.uint64, np.uint64]
NO_DRAW: Counter = (np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0))
_ROUNDS = ROUNDS
_MULTIPLIER_0, _MULTIPLIER_1 = (np.uint64(factor) for factor in MULTIPLIERS)
_WEYL_0, _WEYL_1 = (np.uint64(step) for step in WEYL)
_MASK, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


def counter(stream: Stream, draw: int) -> Counter:
    """The two key words, draw and stream as the passes want them."""
    low, high = stream.key
    return np.uint64(low), np.uint64(high), np.uint64(draw), np.uint64(stream.id)


@numba.njit(inline="always")
def philox(c0, c1, c2, c3, k0, k1):  # type: ignore[no-untyped-def]
    """Four words in uint64 registers; the upper halves are cleared where a later step would read them."""
    for _ in range(_ROUNDS):
        p0 = _MULTIPLIER_0 * c0
        p1 = _MULTIPLIER_1 * c2
        c0 = (p1 >> _HALF) ^ c1 ^ k0
        c1 = p1 & _MASK
        c2 = (p0 >> _HALF) ^ c3 ^ k1
        c3 = p0 & _MASK
        k0 = (k0 + _WEYL_0) & _MASK
        k1 = (k1 + _WEYL_1) & _MASK
    return c0, c1, c2, c3


@numba.njit(inline="always")
def fill_words(words, n_groups, first_group, chain, k0, k1, draw, stream):  # type: ignore[no-untyped-def]
    """Random words of the units 4 first_group .. 4 (first_group + n_groups) - 1 of one chain."""
    for g in range(n_groups):
        w0, w1, w2, w3 = philox(uint64(first_group + g), chain, draw, stream, k0, k1)
        words[4 * g] = uint32(w0)
        words[4 * g + 1] = uint32(w1)
        words[4 * g + 2] = uint32(w2)
        words[4 * g + 3] = uint32(w3)
