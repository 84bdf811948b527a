"""Buffers of R models and of their chains on a device, and what is launched on them.

Rows are padded to `ROW` bytes, chains to `CHAINS`; padded weights stay 0 and padded units are never active, so that
nobody needs to mask.  Everything here is queued: no function waits for the device.
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import torch
from torch import Tensor

from rbmscape.kernels.rounding import LARGEST, MINUS_LOG2_E, SUM_BITS
from rbmscape.rng import Stream

__all__ = ["CHAINS", "EXACT", "ROW", "Models", "Shape", "States", "chain_step", "numbers_of", "padded", "tile_on"]

EXACT: Final = {"enable_fp_fusion": False}
"""Of every launch: a product that is fused with the sum behind it is not rounded, and rounds the other way at a tie."""
ROW: Final = 128
CHAINS: Final = 128
NEVER: Final = 64.0
"""Field of t with which no unit is ever active."""
_ROUNDED: Final = (
    *("to_hidden", "to_visible", "visible_fields", "hidden_fields", "visible_spill", "hidden_spill"),
    *("scales", "flags", "slopes"),
)
_TILE: Final = 32
_BLOCK: Final = 1024
_MOST_INTERPRETED: Final = 32768
_SAFE_UNITS: Final = 4000
"""Units whose rounding errors, half a unit each, are less than the distance of two scales."""


def padded(count: int, step: int) -> int:
    """The next multiple."""
    return -(-count // step) * step


def chain_step(device: torch.device, n_chains: int) -> int:
    """What chains are padded to: under the interpreter a power of two, so that one tile holds many of them."""
    if device.type == "cuda":
        return CHAINS
    return min(_MOST_INTERPRETED, max(CHAINS, 1 << max(0, n_chains - 1).bit_length()))


@dataclass(frozen=True, slots=True)
class Shape:
    """How many models, their layers, and the lengths of the padded rows."""

    models: int
    visible: int
    hidden: int

    @property
    def visible_row(self) -> int:
        """Bytes of a row of visible units."""
        return padded(self.visible, ROW)

    @property
    def hidden_row(self) -> int:
        """Bytes of a row of hidden units."""
        return padded(self.hidden, ROW)


@functools.cache
def _constants(n_units: int, device: torch.device) -> Tensor:
    room = max(1.0, LARGEST - min(n_units / 2.0, 2.0 * math.sqrt(n_units)))
    return torch.tensor([math.sqrt(n_units), room], dtype=torch.float64, device=device)


def tile_on(device: torch.device, tile: int) -> int:
    """Side of a tile; the interpreter, to which all are the same work, has the largest that rows are padded for."""
    return tile if device.type == "cuda" else min(ROW, CHAINS)


class Models:
    """The rounded weights of R models of equal shape, in both layouts, with their fields and scales.

    Parameters
    ----------
    shape : number and size
    device : a CUDA device, or a processor under Triton's interpreter

    Attributes
    ----------
    to_hidden, to_visible : (R, 2, hidden row, visible row), (R, 2, visible row, hidden row) int8 planes
    visible_fields, hidden_fields : (R, row) float32, of t = -x / ln 2
    visible_spill, hidden_spill : (R, row) int32
    scales : (R, 2) float64; flags : (R, 2) int32; slopes : (R,) float32
    """

    def __init__(self, shape: Shape, device: torch.device | str) -> None:
        self.shape, self.device = shape, torch.device(device)
        r, visible, hidden = shape.models, shape.visible_row, shape.hidden_row
        self.to_hidden = torch.zeros(r, 2, hidden, visible, dtype=torch.int8, device=device)
        self.to_visible = torch.zeros(r, 2, visible, hidden, dtype=torch.int8, device=device)
        self.visible_fields = torch.full((r, visible), NEVER, dtype=torch.float32, device=device)
        self.hidden_fields = torch.full((r, hidden), NEVER, dtype=torch.float32, device=device)
        self.visible_spill = torch.full((r, visible), -1, dtype=torch.int32, device=device)
        self.hidden_spill = torch.full((r, hidden), -1, dtype=torch.int32, device=device)
        self.scales = torch.ones(r, 2, dtype=torch.float64, device=device)
        self.flags = torch.zeros(r, 2, dtype=torch.int32, device=device)
        self.slopes = torch.zeros(r, dtype=torch.float32, device=device)
        self.bits = torch.zeros(r, dtype=torch.int32, device=device)
        self.sums = torch.zeros(r, 2, shape.visible + shape.hidden, dtype=torch.int32, device=device)

    @classmethod
    def joined(cls, parts: Sequence[Models]) -> Models:
        """Rounded models of equal shape as one batch, a copy of all of them."""
        shape = replace(parts[0].shape, models=sum(part.shape.models for part in parts))
        whole = cls(shape, parts[0].device)
        for name in _ROUNDED:
            torch.cat([getattr(part, name) for part in parts], out=getattr(whole, name))
        return whole

    @property
    def scale(self) -> Tensor:
        """(R,) float64 value of one unit."""
        return self.scales[:, 1]

    def round(self, weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor) -> None:
        """Take new parameters: (R, N, M), (R, N), (R, M) float32, each model's contiguous."""
        from rbmscape.kernels.cuda import rounding

        shape = self.shape
        size = shape.visible * shape.hidden
        grid = -(-size // _BLOCK), shape.models
        rounding.largest[grid](weights, self.bits, size, weights.stride(0), BLOCK=_BLOCK, **EXACT)
        self.round_known(weights, visible_bias, hidden_bias)

    def round_known(self, weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor) -> None:
        """The same where `bits` hold those of the largest weights already."""
        from rbmscape.kernels.cuda import rounding

        shape = self.shape
        r, n, m = shape.models, shape.visible, shape.hidden
        sides, stride = (n, m, shape.visible_row, shape.hidden_row), weights.stride(0)
        tile = tile_on(self.device, _TILE)
        tiles = -(-n // tile), -(-m // tile), r
        room_bits = SUM_BITS - math.ceil(math.log2(max(n, m) + 1))
        spills = self.visible_spill, self.hidden_spill
        rounding.coarse_sums[tiles](weights, self.bits, self.sums, n, m, stride, room_bits, BLOCK=tile, **EXACT)
        constants = _constants(max(n, m), self.device)
        rounding.first_scale[r,](
            self.sums, self.bits, constants, self.scales, self.flags, *spills, *sides, room_bits, BLOCK=_BLOCK,
            **EXACT,
        )  # fmt: skip
        for _ in range(2 + max(n, m) // _SAFE_UNITS):
            layouts = self.to_hidden, self.to_visible, *spills
            rounding.fine_integers[tiles](
                weights, self.scales, self.flags, self.sums, *layouts, *sides, stride, BLOCK=tile, **EXACT
            )
            rounding.check[r,](
                visible_bias, hidden_bias, self.sums, self.scales, self.flags, self.slopes, self.visible_fields,
                self.hidden_fields, *spills, *sides, visible_bias.stride(0), hidden_bias.stride(0), BLOCK=_BLOCK,
                **EXACT,
            )  # fmt: skip

    def at(self, beta: float) -> Self:
        """The same models at an inverse temperature; their planes are shared."""
        if beta == 1.0:
            return self
        heated = copy.copy(self)
        heated.slopes = (MINUS_LOG2_E * (beta * self.scale)).to(torch.float32)
        for name, n_units in (("visible_fields", self.shape.visible), ("hidden_fields", self.shape.hidden)):
            fields = getattr(self, name).clone()
            fields[:, :n_units] *= torch.tensor(beta, dtype=torch.float32, device=self.device)
            setattr(heated, name, fields)
        return heated

    def integers(self) -> Tensor:
        """(R, N, M) float64 rounded weights as integers."""
        shape = self.shape
        high, low = self.to_hidden.to(torch.float64).unbind(1)
        integers = (256.0 * high + low)[:, : shape.hidden, : shape.visible].mT.contiguous()
        given = self.hidden_spill[:, : shape.hidden].long()
        replica, unit = torch.nonzero(given >= 0, as_tuple=True)
        integers[replica, given[replica, unit], unit] += 256.0
        return integers


class States:
    """Chains of R models: states as bytes, padded, and the numbers that their draws go by.

    Parameters
    ----------
    shape, n_chains, device : number and size, chains of each model, and where
    step : chains are padded to a multiple of this, and tiles may have as many

    Attributes
    ----------
    v, h : (R, chains, row) int8
    numbers : (R, 5) int64: low and high word of the key, stream, draw, first chain
    counters : of the programs that meet after a half-step
    """

    def __init__(self, shape: Shape, n_chains: int, device: torch.device | str, step: int = CHAINS) -> None:
        self.shape, self.n_chains, self.step = shape, n_chains, step
        self.chains = padded(max(1, n_chains), step)
        self.v = torch.zeros(shape.models, self.chains, shape.visible_row, dtype=torch.int8, device=device)
        self.h = torch.zeros(shape.models, self.chains, shape.hidden_row, dtype=torch.int8, device=device)
        self.numbers = torch.zeros(shape.models, 5, dtype=torch.int64, device=device)
        self.counters = torch.zeros(shape.models * self.chains // 16, dtype=torch.int32, device=device)

    def with_own_numbers(self) -> Self:
        """The same states, drawn with other numbers."""
        other = copy.copy(self)
        other.numbers = torch.zeros_like(self.numbers)
        return other

    @property
    def visible(self) -> Tensor:
        """(R, n_chains, N) uint8 view of the states."""
        return self.v.view(torch.uint8)[:, : self.n_chains, : self.shape.visible]

    @property
    def hidden(self) -> Tensor:
        """(R, n_chains, M) uint8 view of the states."""
        return self.h.view(torch.uint8)[:, : self.n_chains, : self.shape.hidden]


def numbers_of(stream: Stream, draw: int, first_chain: int = 0) -> list[int]:
    """A row of `States.numbers`."""
    low, high = stream.key
    return [low, high, stream.id, draw, first_chain]
