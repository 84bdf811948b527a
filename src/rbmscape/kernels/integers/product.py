"""What a way to multiply binary states with 16-bit weights consists of, for the passes around it.

Two ways exist, tables looked up in registers (`rbmscape.kernels.llvm.avx512_lookup`) and tiles of bytes in a matrix
unit (`rbmscape.kernels.integers.amx_product`).  Both give the same integers, so that every pass draws the same states
with either.

Indices, the states of a layer, are (spans, groups, chains of a span): entry (s, g, c) holds the states of the units
``group g + k`` of chain ``span s + c``, unit k at bit ``spacing k``.  Chains are padded to whole `CHAINS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numba import int32, njit
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.kernels.llvm.units import LANES

__all__ = ["CHAINS", "PassConstants", "Products", "aligned_zeros", "signed_sums"]

LINE: Final = 64
"""Bytes of a cache line."""
CHAINS: Final = 32
"""Chains are padded to multiples of this."""


def aligned_zeros(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Zeros that begin with a cache line; tiles that straddle two lines are loaded three times as slowly."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    raw = np.zeros(size + LINE, np.uint8)
    start = -raw.ctypes.data % LINE
    aligned: NDArray[Any] = raw[start : start + size].view(dtype).reshape(shape)
    return aligned


@njit(inline="always")
def signed_sums(row, positive, negative):  # type: ignore[no-untyped-def]
    """Add the positive and the negative integers of a row to those of its columns; returns the row's larger sum."""
    above, below = int32(0), int32(0)
    for j in range(row.size):
        p, n = max(row[j], int32(0)), max(int32(-row[j]), int32(0))
        positive[j] += p
        negative[j] += n
        above += p
        below += n
    return max(above, below)


@dataclass(frozen=True, slots=True)
class PassConstants:
    """The names of a pass's module that `compile_both` replaces by those of one way to multiply.

    Attributes
    ----------
    GROUP, SPACING, BLOCK, SPAN, TILE : as `Products` has them
    SUMS : dtype of the products
    WORDS : 32-bit words of the products of a block
    begin, end, multiply, draw_block : functions that a pass calls
    """

    GROUP: int
    SPACING: int
    BLOCK: int
    SPAN: int
    TILE: int
    SUMS: Any
    WORDS: int
    begin: Callable[..., Any]
    end: Callable[..., Any]
    multiply: Callable[..., Any]
    draw_block: Callable[..., Any]

    def named(self) -> dict[str, Any]:
        """Each under its name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, eq=False)
class Products:
    """One way to multiply.

    Attributes
    ----------
    name : what the cache of compiled passes and the annealer call it
    group, spacing : units in an index, and the distance of their bits
    block : units that a thread draws at a time, a multiple of four and of `group`
    depth : units of the given layer are padded to a multiple of this
    span : chains whose indices lie together
    tile : chains of one call of `multiply`
    index : dtype of the indices
    sums : dtype of the products
    begin, end : called by each thread of a pass before the first and after the last product
    multiply : (indices, first chain, chains, weights, block of units, out (block, tile)); fills out with the products
    draw : (products, first of 16 lanes, slope, fields, block, out, first chain, words (block,), counter, number of the
        chain); draws a block of units of sixteen chains
    allocate : (n_visible, n_hidden) to both layouts of the weights, filled with zeros
    round_weights : serial and parallel pass that fills them, (weights, 1/s, to hidden, to visible, columns, rows);
        the last two as in `rbmscape.kernels.integers.passes.largest_sums`
    integers : layout of the weights to the integers (units, depth)
    """

    name: str
    group: int
    spacing: int
    block: int
    depth: int
    span: int
    tile: int
    index: Any
    sums: Any
    begin: Callable[..., Any]
    end: Callable[..., Any]
    multiply: Callable[..., Any]
    draw: Callable[..., Any]
    allocate: Callable[[int, int], tuple[NDArray[Any], NDArray[Any]]]
    round_weights: dict[bool, Callable[..., Any]]
    integers: Callable[[NDArray[Any]], NDArray[np.int16]]

    @property
    def constants(self) -> PassConstants:
        """What a pass is compiled with."""
        return PassConstants(
            GROUP=self.group,
            SPACING=self.spacing,
            BLOCK=self.block,
            SPAN=self.span,
            TILE=self.tile,
            SUMS=self.sums,
            WORDS=self.block * self.tile * np.dtype(self.sums).itemsize // 4,
            begin=self.begin,
            end=self.end,
            multiply=self.multiply,
            draw_block=self.draw,
        )

    @property
    def scratch(self) -> int:
        """32-bit words of scratch for a thread: products of a block, and a word for each unit and lane."""
        return self.constants.WORDS + self.block * LANES

    def padded_chains(self, n_chains: int) -> int:
        """Chains in whole registers."""
        return max(1, -(-n_chains // CHAINS)) * CHAINS

    def indices(self, n_chains: int, n_units: int) -> NDArray[Any]:
        """States of a layer, all 0."""
        groups = -(-n_units // self.depth) * self.depth // self.group
        chains = self.padded_chains(n_chains)
        return aligned_zeros((-(-chains // self.span), groups, self.span), self.index)

    def padded_bias(self, bias: Tensor) -> NDArray[np.float32]:
        """A bias with zeros behind it up to a whole block."""
        padded = np.zeros(-(-bias.shape[0] // self.block) * self.block, dtype=np.float32)
        padded[: bias.shape[0]] = bias.numpy()
        return padded
