"""The truth: a Gibbs half-step in plain torch, on any device, in float32, bfloat16 or float64.

Equations 10 and 11 of arXiv:2503.21536 as they stand; faster engines are tested against it.  It allocates.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from rbmscape.kernels.interface import BaseEngine, Parameters, Workspace
from rbmscape.kernels.rounding import round_to_fixed
from rbmscape.rng import Stream

__all__ = ["PRECISIONS", "ReferenceEngine"]

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fixed": torch.float32, "fp64": torch.float64}


class ReferenceEngine(BaseEngine):
    """Plain torch engine.

    With bf16 the weights and the result of the matrix product are rounded to bfloat16, as matrix units do; with fixed
    the weights are 16-bit integers of one scale (`rbmscape.kernels.rounding`), whose sums float32 holds exactly;
    biases and probabilities stay float32.
    """

    name = "reference"

    def __init__(self, precision: str = "fp32", device: torch.device | str = "cpu") -> None:
        self.precision = precision
        self.state_dtype = PRECISIONS[precision]
        self.device = torch.device(device)

    def prepare(
        self, weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor, out: Parameters | None = None
    ) -> Parameters:
        """See `Engine.prepare`."""
        params = super().prepare(weights, visible_bias, hidden_bias, out)
        if self.precision != "fixed":
            return params
        integers, scale = round_to_fixed(params.exact_weights)
        return replace(params, weights=(scale * integers).to(self.state_dtype))

    def workspace(self, n_chains: int, n_visible: int, n_hidden: int) -> Workspace:
        """See `Engine.workspace`."""
        return Workspace(
            torch.zeros(n_chains, n_visible, dtype=self.state_dtype, device=self.device),
            torch.zeros(n_chains, n_hidden, dtype=self.state_dtype, device=self.device),
        )

    def sample_hidden(
        self, params: Parameters, ws: Workspace, stream: Stream, draw: int, beta: float = 1.0, first_chain: int = 0
    ) -> None:
        """See `Engine.sample_hidden`."""
        pre_activation = (ws.v @ params.weights).to(self.exact_dtype)
        self._threshold(pre_activation, params.hidden_bias, ws.h, stream, draw, beta, first_chain)

    def sample_visible(
        self, params: Parameters, ws: Workspace, stream: Stream, draw: int, beta: float = 1.0, first_chain: int = 0
    ) -> None:
        """See `Engine.sample_visible`."""
        pre_activation = (ws.h @ params.weights.T).to(self.exact_dtype)
        self._threshold(pre_activation, params.visible_bias, ws.v, stream, draw, beta, first_chain)

    def _threshold(
        self, pre: Tensor, bias: Tensor, out: Tensor, stream: Stream, draw: int, beta: float, first_chain: int
    ) -> None:
        uniform = stream.uniform(draw, out.shape[0], out.shape[1], first_chain, self.device)
        out.copy_(uniform < torch.sigmoid(beta * (pre + bias)))
