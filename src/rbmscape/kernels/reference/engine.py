"""The truth: a Gibbs half-step in plain torch, on any device, in float32, bfloat16 or float64.

Equations 10 and 11 of arXiv:2503.21536 as they stand; faster engines are tested against it.  It allocates.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rbmscape.kernels.interface import Annealer, ModelLike
from rbmscape.kernels.reference.base import BaseSampler, cast
from rbmscape.kernels.rounding import round_to_fixed
from rbmscape.rng import Stream

__all__ = ["ReferenceEngine", "ReferenceSampler"]

_STATES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fixed": torch.float32, "fp64": torch.float64}


class ReferenceEngine:
    """Plain torch engine.

    With bf16 the weights and the result of the matrix product are rounded to bfloat16, as matrix units do; with fixed
    the weights are 16-bit integers of one scale (`rbmscape.kernels.rounding`), whose sums float32 holds exactly;
    biases and probabilities stay float32.
    """

    name = "reference"

    def __init__(self, precision: str = "fp32", device: torch.device | str = "cpu") -> None:
        self.precision = precision
        self.state_dtype = _STATES[precision]
        self.device = torch.device(device)

    def bind(self, model: ModelLike, n_chains: int) -> ReferenceSampler:
        """See `rbmscape.kernels.interface.Engine.bind`."""
        return ReferenceSampler(self.precision, self.device, model, n_chains)

    def annealer(self) -> Annealer:
        """Plain torch, in float64 on a processor and float32 on a GPU."""
        from rbmscape.kernels.reference.annealing import ReferenceAnnealer

        return ReferenceAnnealer(torch.float64 if self.device.type == "cpu" else torch.float32, self.device)


class ReferenceSampler(BaseSampler):
    """See `rbmscape.kernels.interface.BoundSampler`.

    Attributes
    ----------
    weights : (N, M) as the products take them, in the dtype of the states
    """

    def __init__(self, precision: str, device: torch.device, model: ModelLike, n_chains: int) -> None:
        self._precision, self._device = precision, device
        self._exact_dtype = torch.float64 if precision == "fp64" else torch.float32
        dtype = _STATES[precision]
        n_visible, n_hidden = model.weights.shape
        self.v = torch.zeros(n_chains, n_visible, dtype=dtype, device=device)
        self.h = torch.zeros(n_chains, n_hidden, dtype=dtype, device=device)
        self.update(model)

    def update(self, model: ModelLike) -> None:
        """See `BoundSampler.update`."""
        self.exact = cast(model, self._exact_dtype, self._device)
        weights = self.exact.weights
        if self._precision == "fixed":
            integers, scale = round_to_fixed(weights)
            weights = scale * integers
        self.weights = weights.to(self.v.dtype)

    def sample_hidden(self, stream: Stream, draw: int, beta: float = 1.0, first_chain: int = 0) -> None:
        """See `BoundSampler.sample_hidden`."""
        pre_activation = (self.v @ self.weights).to(self._exact_dtype)
        self._threshold(pre_activation, self.exact.hidden_bias, self.h, stream, draw, beta, first_chain)

    def sample_visible(self, stream: Stream, draw: int, beta: float = 1.0, first_chain: int = 0) -> None:
        """See `BoundSampler.sample_visible`."""
        pre_activation = (self.h @ self.weights.T).to(self._exact_dtype)
        self._threshold(pre_activation, self.exact.visible_bias, self.v, stream, draw, beta, first_chain)

    def _threshold(
        self, pre: Tensor, bias: Tensor, out: Tensor, stream: Stream, draw: int, beta: float, first_chain: int
    ) -> None:
        uniform = stream.uniform(draw, out.shape[0], out.shape[1], first_chain, self._device)
        out.copy_(uniform < torch.sigmoid(beta * (pre + bias)))
