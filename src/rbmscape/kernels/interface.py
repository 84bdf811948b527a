"""What a sampling engine is: arrays in, arrays out, one signature for all of them.

A Gibbs half-step (equations 10 and 11 of arXiv:2503.21536) is one matrix product and one elementwise pass:
``h ~ Bernoulli(σ(β (v W + b)))``, ``v ~ Bernoulli(σ(β (h Wᵀ + a)))``.  Units are active where a uniform number of
`rbmscape.rng.Stream` lies below that probability, so that every engine draws the same states from the same
counters, up to the rounding of the probability.

Shapes: v is (n_chains, n_visible), h is (n_chains, n_hidden), W is (n_visible, n_hidden).  Kernels trust their
arguments; they are validated once at the public edge.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from torch import Tensor

from rbmscape.rng import Stream

if TYPE_CHECKING:
    from rbmscape.kernels.reference.gradient import Phases

__all__ = ["BaseEngine", "Engine", "Parameters", "Workspace"]


@dataclass(frozen=True, slots=True)
class Parameters:
    """A model's parameters as an engine wants them; made by `Engine.prepare`, to be renewed after every change.

    Attributes
    ----------
    weights : (n_visible, n_hidden) in the engine's state dtype
    visible_bias, hidden_bias : (n_visible,), (n_hidden,) float32 (float64 in the fp64 engine), never rounded to bf16
    exact_weights : (n_visible, n_hidden) in the dtype of the biases; may be the caller's own tensor
    """

    weights: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor
    exact_weights: Tensor


@dataclass(frozen=True, slots=True)
class Workspace:
    """Buffers for a fixed number of chains, owned by the caller and written in place.

    Attributes
    ----------
    v : (n_chains, n_visible) state dtype, entries 0 or 1: the chains' state
    h : (n_chains, n_hidden) state dtype, entries 0 or 1
    """

    v: Tensor
    h: Tensor


@runtime_checkable
class Engine(Protocol):
    """Interface of all engines."""

    @property
    def name(self) -> str:
        """``reference`` or ``cpu``."""

    @property
    def precision(self) -> str:
        """``fp32``, ``bf16`` or ``fp64``: the number format of the matrix products."""

    @property
    def state_dtype(self) -> torch.dtype:
        """dtype in which states are stored, that of the matrix products' inputs."""

    @property
    def device(self) -> torch.device:
        """Where the tensors live."""

    def prepare(
        self, weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor, out: Parameters | None = None
    ) -> Parameters:
        """Cast a model's parameters; reuses the buffers of `out`, which must come from the same engine and shape."""

    def workspace(self, n_chains: int, n_visible: int, n_hidden: int) -> Workspace:
        """Allocate the buffers for n_chains chains, states all zero."""

    def sample_hidden(
        self, params: Parameters, ws: Workspace, stream: Stream, draw: int, beta: float = 1.0, first_chain: int = 0
    ) -> None:
        """ws.h ~ p(h | ws.v) at inverse temperature beta, with the numbers of one draw of the stream (equation 10)."""

    def sample_visible(
        self, params: Parameters, ws: Workspace, stream: Stream, draw: int, beta: float = 1.0, first_chain: int = 0
    ) -> None:
        """ws.v ~ p(v | ws.h) at inverse temperature beta (equation 11)."""

    def sweep(
        self,
        params: Parameters,
        ws: Workspace,
        stream: Stream,
        first_step: int,
        n_steps: int,
        beta: float = 1.0,
        first_chain: int = 0,
    ) -> None:
        """n_steps full Gibbs steps; step s uses draw 2s for h and 2s + 1 for v.

        The chains' state is v.  Afterwards ws.h is the h that generated ws.v, not a draw from p(h | ws.v).
        """

    def hidden_probability(self, params: Parameters, v: Tensor, out: Tensor, beta: float = 1.0) -> Tensor:
        """σ(β (v W + b)) with unrounded weights into `out`; v, out in the dtype of the biases."""

    def phases(self, n_data: int, n_chains: int, n_visible: int, n_hidden: int) -> Phases:
        """What computes the gradient of n_data samples and n_chains chains, with its buffers."""


class BaseEngine(ABC):
    """What all engines share: the order of the half-steps, and the exact hidden probability."""

    name: str
    precision: str
    state_dtype: torch.dtype
    device: torch.device

    @property
    def exact_dtype(self) -> torch.dtype:
        """dtype of biases and probabilities: float64 in the fp64 engine, else float32."""
        return torch.float64 if self.precision == "fp64" else torch.float32

    def prepare(
        self, weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor, out: Parameters | None = None
    ) -> Parameters:
        """See `Engine.prepare`; tensors that need no cast are used as they are, without a copy."""
        exact = weights.detach().to(self.device, self.exact_dtype).contiguous()
        if exact.dtype == self.state_dtype:
            rounded = exact
        elif out is not None:
            rounded = out.weights.copy_(exact)
        else:
            rounded = exact.to(self.state_dtype)
        return Parameters(
            rounded,
            visible_bias.detach().to(self.device, self.exact_dtype).contiguous(),
            hidden_bias.detach().to(self.device, self.exact_dtype).contiguous(),
            exact,
        )

    @abstractmethod
    def sample_hidden(
        self, params: Parameters, ws: Workspace, stream: Stream, draw: int, beta: float = 1.0, first_chain: int = 0
    ) -> None:
        """See `Engine.sample_hidden`."""

    @abstractmethod
    def sample_visible(
        self, params: Parameters, ws: Workspace, stream: Stream, draw: int, beta: float = 1.0, first_chain: int = 0
    ) -> None:
        """See `Engine.sample_visible`."""

    def sweep(
        self,
        params: Parameters,
        ws: Workspace,
        stream: Stream,
        first_step: int,
        n_steps: int,
        beta: float = 1.0,
        first_chain: int = 0,
    ) -> None:
        """See `Engine.sweep`."""
        for step in range(first_step, first_step + n_steps):
            self.sample_hidden(params, ws, stream, 2 * step, beta, first_chain)
            self.sample_visible(params, ws, stream, 2 * step + 1, beta, first_chain)

    def hidden_probability(self, params: Parameters, v: Tensor, out: Tensor, beta: float = 1.0) -> Tensor:
        """See `Engine.hidden_probability`."""
        torch.addmm(params.hidden_bias, v, params.exact_weights, beta=beta, alpha=beta, out=out)
        return out.sigmoid_()

    def phases(self, n_data: int, n_chains: int, n_visible: int, n_hidden: int) -> Phases:
        """See `Engine.phases`."""
        from rbmscape.kernels.reference.gradient import TorchPhases

        return TorchPhases(self, n_data, n_chains, n_visible, n_hidden)
