r"""Steps of annealing on processors: two matrix products by torch, everything else in fused Numba passes.

``fp32`` multiplies floats.  ``bytes`` rounds the weights to 15-bit integers of one common scale, each held as two
bytes, ``W ≈ scale (254 high + low)``, and lets the processor's 8-bit units (VNNI, AMX) add them up in 32-bit integers:
as fast as bf16, and free of rounding, so that the path passes *exactly* through the RBM of the rounded weights.  The
caller corrects for the rest with one last weight between that RBM and the true one, which keeps the estimator unbiased;
bf16 products, whose sums are rounded as well, would leave no distribution invariant.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.kernels.floats.annealing_passes import BASE, hidden_pass, scratch, visible_pass
from rbmscape.kernels.interface import ModelLike, Parameters
from rbmscape.kernels.reference.base import BasePath, cast, flat_base
from rbmscape.rng import Stream

__all__ = ["ByteAnnealer", "BytePath", "FloatAnnealer", "FloatPath", "has_byte_products"]

_BASE = int(BASE)
_LARGEST = 127 * _BASE + 126


def has_byte_products() -> bool:
    """Whether this processor has dot products of 8-bit integers."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(feature, False) for feature in ("avx512_vnni", "avx_vnni", "amx_int8"))


class FloatAnnealer:
    """Processor, float32 products; see `rbmscape.kernels.interface.Annealer`."""

    name = "fp32"

    def bind(self, model: ModelLike, n_chains: int = 0, base: tuple[Tensor, Tensor] | None = None) -> FloatPath:
        """See `Annealer.bind`."""
        parameters = cast(model, torch.float32, "cpu")
        factors = _Factors(parameters.weights, parameters.weights.T)
        return FloatPath.of(parameters, base, factors, n_chains)


class ByteAnnealer:
    """Processor, products of 15-bit integers as pairs of bytes; see `rbmscape.kernels.interface.Annealer`."""

    name = "bytes"

    def bind(self, model: ModelLike, n_chains: int = 0, base: tuple[Tensor, Tensor] | None = None) -> BytePath:
        """See `Annealer.bind`; the path's `weights` are the rounded ones."""
        matrix = model.weights.detach().to("cpu", torch.float64)
        scale = float(matrix.abs().max()) / _LARGEST or 1.0
        scale = float(np.float32(scale))
        integers = torch.round(matrix / scale).clamp_(-_LARGEST, _LARGEST)
        high = torch.round(integers / _BASE)
        low = integers - _BASE * high
        to_hidden, to_visible = torch.cat((high, low), 1), torch.cat((high.T, low.T), 1)
        factors = _Factors(to_hidden.to(torch.int8), to_visible.to(torch.int8), scale)
        return BytePath.of(cast(model, torch.float32, "cpu"), base, factors, n_chains)


@dataclass(frozen=True, slots=True, eq=False)
class _Factors:
    """Right factors of the two products, and the value of one unit of the products."""

    to_hidden: Tensor
    to_visible: Tensor
    scale: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class _Buffers:
    """States v and h, products, ``(a - a0)·v`` of each chain, random words."""

    v: Tensor
    h: Tensor
    pre_visible: Tensor
    pre_hidden: Tensor
    drive: Tensor
    words: NDArray[np.uint32]


class _FusedPath(BasePath):
    """What both formats share: the fused passes around two matrix products."""

    state_dtype: ClassVar[torch.dtype]
    product_dtype: ClassVar[torch.dtype]
    width: ClassVar[int]

    def __init__(
        self, parameters: Parameters, base: tuple[Tensor, Tensor], factors: _Factors, buffers: _Buffers
    ) -> None:
        self._parameters, self._factors, self._buffers = parameters, factors, buffers
        self.base_visible, self.base_hidden = base

    @classmethod
    def of(cls, parameters: Parameters, base: tuple[Tensor, Tensor] | None, factors: _Factors, n_chains: int) -> Self:
        """With new buffers."""
        ends = flat_base(parameters, base, torch.float32, "cpu")
        return cls(parameters, ends, factors, cls._empty(n_chains, *parameters.weights.shape))

    @classmethod
    def _empty(cls, n_chains: int, n_visible: int, n_hidden: int) -> _Buffers:
        v, h = (torch.zeros(n_chains, n, dtype=cls.state_dtype) for n in (n_visible, n_hidden))
        pre_v, pre_h = (torch.zeros(n_chains, cls.width * n, dtype=cls.product_dtype) for n in (n_visible, n_hidden))
        return _Buffers(v, h, pre_v, pre_h, torch.zeros(n_chains, dtype=torch.float64), scratch())

    @abstractmethod
    def _multiply(self, states: Tensor, factor: Tensor, out: Tensor) -> None:
        """out = states · factor in the path's format."""

    @property
    def visible_bias(self) -> Tensor:
        """See `BoundPath.visible_bias`."""
        return self._parameters.visible_bias

    @property
    def hidden_bias(self) -> Tensor:
        """See `BoundPath.hidden_bias`."""
        return self._parameters.hidden_bias

    @property
    def v(self) -> Tensor:
        """See `BoundPath.v`."""
        return self._buffers.v

    @property
    def h(self) -> Tensor:
        """See `BoundPath.h`."""
        return self._buffers.h

    def with_chains(self, n_chains: int) -> Self:
        """See `BoundPath.with_chains`."""
        fresh, mine = self._empty(n_chains, self.v.shape[1], self.h.shape[1]), self._buffers
        if len(mine.v) == n_chains:  # a product is used up within the call that makes it
            fresh = replace(fresh, pre_visible=mine.pre_visible, pre_hidden=mine.pre_hidden)
        return self._with(fresh)

    def on(self, other: Self) -> Self:
        """See `BoundPath.on`."""
        return self._with(other._buffers)

    def _with(self, buffers: _Buffers) -> Self:
        return type(self)(self._parameters, (self.base_visible, self.base_hidden), self._factors, buffers)

    def load(self, v: Tensor) -> None:
        """See `BoundPath.load`."""
        self.v.copy_(v)
        self._buffers.drive.copy_(self.v.to(torch.float32) @ (self.visible_bias - self.base_visible))

    def weigh(self, log_weights: Tensor, start: float, end: float) -> None:
        """See `BoundPath.weigh`."""
        self._hidden(log_weights, start, end, None)

    def step(
        self, log_weights: Tensor, start: float, end: float, stream: Stream, draw: int, first_chain: int = 0
    ) -> None:
        """See `BoundPath.step`."""
        buffers = self._buffers
        self._hidden(log_weights, start, end, (stream, draw, first_chain))
        self._multiply(buffers.h, self._factors.to_visible, buffers.pre_visible)
        visible_pass(
            buffers.pre_visible.numpy(),
            self.base_visible.numpy(),
            self.visible_bias.numpy(),
            (self._factors.scale, end),
            (buffers.v.numpy(), buffers.drive.numpy(), buffers.words),
            (stream, draw + 1, first_chain),
        )

    def _hidden(self, log_weights: Tensor, start: float, end: float, draw: tuple[Stream, int, int] | None) -> None:
        buffers = self._buffers
        self._multiply(buffers.v, self._factors.to_hidden, buffers.pre_hidden)
        log_weights.add_(buffers.drive, alpha=end - start)
        hidden_pass(
            buffers.pre_hidden.numpy(),
            self.base_hidden.numpy(),
            self.hidden_bias.numpy(),
            (self._factors.scale, start, end),
            (buffers.h.numpy(), log_weights.numpy(), buffers.words),
            draw,
        )


class FloatPath(_FusedPath):
    """See `rbmscape.kernels.interface.BoundPath`."""

    state_dtype = torch.float32
    product_dtype = torch.float32
    width = 1

    @property
    def weights(self) -> Tensor:
        """See `BoundPath.weights`."""
        return self._factors.to_hidden.to(torch.float64)

    def _multiply(self, states: Tensor, factor: Tensor, out: Tensor) -> None:
        torch.mm(states, factor, out=out)


class BytePath(_FusedPath):
    """See `rbmscape.kernels.interface.BoundPath`; its sums of the rounded weights are exact."""

    state_dtype = torch.int8
    product_dtype = torch.int32
    width = 2

    @property
    def scale(self) -> float:
        """Value of one unit of the integers."""
        return self._factors.scale

    @property
    def weights(self) -> Tensor:
        """See `BoundPath.weights`."""
        high, low = self._factors.to_hidden.to(torch.float64).chunk(2, dim=1)
        return self._factors.scale * (_BASE * high + low)

    def _multiply(self, states: Tensor, factor: Tensor, out: Tensor) -> None:
        torch._int_mm(states, factor, out=out)
