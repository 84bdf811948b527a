"""The truth: steps of annealing in plain torch, on any device, in float64 or float32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from rbmscape.kernels.interface import ModelLike, Parameters
from rbmscape.kernels.reference.base import BasePath, cast, flat_base
from rbmscape.rng import Stream

__all__ = ["ReferenceAnnealer", "ReferencePath"]


class ReferenceAnnealer:
    """Plain torch; see `rbmscape.kernels.interface.Annealer`."""

    name = "reference"

    def __init__(self, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu") -> None:
        self.dtype = dtype
        self.device = torch.device(device)

    def bind(self, model: ModelLike, n_chains: int = 0, base: tuple[Tensor, Tensor] | None = None) -> ReferencePath:
        """See `Annealer.bind`."""
        shape = model.weights.shape
        parameters, ends = cast(model, self.dtype, self.device), flat_base(model, base, self.dtype, self.device)
        return ReferencePath(parameters, ends, _Buffers.empty(n_chains, shape[0], shape[1], self.dtype, self.device))


@dataclass(frozen=True, slots=True, eq=False)
class _Buffers:
    """States v (n_chains, N) and h (n_chains, M), products vW, and ``(a - a0)·v`` of each chain."""

    v: Tensor
    h: Tensor
    pre_hidden: Tensor
    drive: Tensor

    @classmethod
    def empty(cls, n_chains: int, n_visible: int, n_hidden: int, dtype: torch.dtype, device: torch.device) -> Self:
        v, h = (torch.zeros(n_chains, n, dtype=dtype, device=device) for n in (n_visible, n_hidden))
        return cls(v, h, torch.zeros_like(h), torch.zeros(n_chains, dtype=torch.float64, device=device))


class ReferencePath(BasePath):
    """See `rbmscape.kernels.interface.BoundPath`."""

    def __init__(self, parameters: Parameters, base: tuple[Tensor, Tensor], buffers: _Buffers) -> None:
        self._parameters, self._buffers = parameters, buffers
        self.base_visible, self.base_hidden = base

    @property
    def weights(self) -> Tensor:
        """See `BoundPath.weights`."""
        return self._parameters.weights.to(torch.float64)

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
        v, h = self.v, self.h
        return self._with(_Buffers.empty(n_chains, v.shape[1], h.shape[1], v.dtype, v.device))

    def on(self, other: Self) -> Self:
        """See `BoundPath.on`."""
        return self._with(other._buffers)

    def _with(self, buffers: _Buffers) -> Self:
        return type(self)(self._parameters, (self.base_visible, self.base_hidden), buffers)

    def load(self, v: Tensor) -> None:
        """See `BoundPath.load`."""
        self.v.copy_(v)
        self._buffers.drive.copy_(self.v @ (self.visible_bias - self.base_visible))

    def _fields(self, t: float) -> Tensor:
        return (1.0 - t) * self.base_hidden + t * (self.hidden_bias + self._buffers.pre_hidden)

    def weigh(self, log_weights: Tensor, start: float, end: float) -> None:
        """See `BoundPath.weigh`."""
        torch.mm(self.v, self._parameters.weights, out=self._buffers.pre_hidden)
        softplus = torch.nn.functional.softplus
        change = softplus(self._fields(end)) - softplus(self._fields(start))
        log_weights += (end - start) * self._buffers.drive + change.sum(-1)

    def step(
        self, log_weights: Tensor, start: float, end: float, stream: Stream, draw: int, first_chain: int = 0
    ) -> None:
        """See `BoundPath.step`."""
        self.weigh(log_weights, start, end)
        (n_chains, n_visible), n_hidden, device = self.v.shape, self.h.shape[1], self.v.device
        hidden = torch.sigmoid(self._fields(end))
        self.h.copy_(stream.uniform(draw, n_chains, n_hidden, first_chain, device) < hidden)
        field = self.visible_bias + self.h @ self._parameters.weights.T
        visible = torch.sigmoid((1.0 - end) * self.base_visible + end * field)
        self.load(stream.uniform(draw + 1, n_chains, n_visible, first_chain, device) < visible)
