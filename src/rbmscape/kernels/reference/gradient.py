"""Gradient of the mean log-likelihood (arXiv:2503.21536, equations 6 and 9) from the samples of both phases.

All samples of one update stand in one matrix: visible (S, N) and hidden means (S, M), with a weight a sample: 1/B for
the B data rows, -1/C for the C rows of the negative phase.  Every term of equation 6 is one weighted sum over rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor

from rbmscape.kernels.interface import BaseEngine, Parameters

__all__ = ["Gradient", "Phases", "TorchPhases", "accumulate"]


@dataclass(frozen=True, slots=True)
class Gradient:
    """Buffers for ∂/∂W (N, M), ∂/∂a (N,), ∂/∂b (M,) of the mean log-likelihood; the caller's, filled in place."""

    weights: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """All three, in the order of the model's parameters."""
        return self.weights, self.visible_bias, self.hidden_bias

    @classmethod
    def empty(cls, n_visible: int, n_hidden: int, dtype: torch.dtype, device: torch.device | str = "cpu") -> Self:
        """Buffers of one shape, filled with zeros."""
        shapes = (n_visible, n_hidden), (n_visible,), (n_hidden,)
        return cls(*(torch.zeros(shape, dtype=dtype, device=device) for shape in shapes))


def accumulate(visible: Tensor, hidden: Tensor, row_weights: Tensor, scratch: Tensor, out: Gradient) -> None:
    """Equation 6: Σ_s w_s v_s h_sᵀ, Σ_s w_s v_s and Σ_s w_s h_s, written into ``out``.

    Parameters
    ----------
    visible : (S, N) samples of both phases
    hidden : (S, M) their hidden means σ(Wᵀv + b)
    row_weights : (S,) positive rows sum to 1, negative ones to -1
    scratch : (S, M) buffer for the weighted hidden means
    out : filled with the gradient
    """
    torch.mul(hidden, row_weights[:, None], out=scratch)
    torch.mm(visible.T, scratch, out=out.weights)
    torch.mv(visible.T, row_weights, out=out.visible_bias)
    torch.sum(scratch, 0, out=out.hidden_bias)


class Phases(Protocol):
    """Gradient of a fixed number of data rows and of chains, with the buffers that it takes."""

    def gradient(self, params: Parameters, data: Tensor, model: Tensor, out: Gradient) -> Tensor:
        """Equation 6 into `out`.

        Parameters
        ----------
        params : of the engine that made this object
        data, model : (B, N), (C, N) states of both phases, entries 0 and 1 of any dtype
        out : filled with the gradient, in the dtype of the biases

        Returns
        -------
        (M,) mean over the data rows of the hidden means
        """


class TorchPhases:
    """Plain torch: two matrix products in the dtype of the biases."""

    def __init__(self, engine: BaseEngine, n_data: int, n_chains: int, n_visible: int, n_hidden: int) -> None:
        self._engine, self._n_data = engine, n_data
        samples, dtype, device = n_data + n_chains, engine.exact_dtype, engine.device
        self._visible = torch.zeros(samples, n_visible, dtype=dtype, device=device)
        self._hidden = torch.zeros(samples, n_hidden, dtype=dtype, device=device)
        self._scratch = torch.zeros_like(self._hidden)
        self._row_weights = torch.full((samples,), -1.0 / n_chains, dtype=dtype, device=device)
        self._row_weights[:n_data] = 1.0 / n_data

    def gradient(self, params: Parameters, data: Tensor, model: Tensor, out: Gradient) -> Tensor:
        """See `Phases.gradient`."""
        self._visible[: self._n_data].copy_(data)
        self._visible[self._n_data :].copy_(model)
        self._engine.hidden_probability(params, self._visible, self._hidden)
        accumulate(self._visible, self._hidden, self._row_weights, self._scratch, out)
        return self._hidden[: self._n_data].mean(0)
