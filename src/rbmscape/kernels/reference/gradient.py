"""Gradient of the mean log-likelihood (arXiv:2503.21536, equations 6 and 9) from the samples of both phases.

All samples of one update stand in one matrix: visible (S, N) and hidden means (S, M), with a weight a sample: 1/B for
the B data rows, -1/C for the C rows of the negative phase.  Every term of equation 6 is one weighted sum over rows.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rbmscape.kernels.interface import BoundSampler, Gradient

__all__ = ["TorchGradient", "accumulate"]


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


class TorchGradient:
    """Plain torch: two matrix products in the dtype of the biases; see `rbmscape.kernels.interface.BoundGradient`."""

    def __init__(self, sampler: BoundSampler, n_data: int, dtype: torch.dtype) -> None:
        self._sampler, self._n_data = sampler, n_data
        (n_chains, n_visible), n_hidden = sampler.v.shape, sampler.h.shape[1]
        samples, device = n_data + n_chains, sampler.v.device
        self._visible = torch.zeros(samples, n_visible, dtype=dtype, device=device)
        self._hidden = torch.zeros(samples, n_hidden, dtype=dtype, device=device)
        self._scratch = torch.zeros_like(self._hidden)
        self._row_weights = torch.full((samples,), -1.0 / n_chains, dtype=dtype, device=device)
        self._row_weights[:n_data] = 1.0 / n_data

    def compute(self, data: Tensor, out: Gradient) -> Tensor:
        """See `BoundGradient.compute`."""
        self._visible[: self._n_data].copy_(data)
        self._visible[self._n_data :].copy_(self._sampler.v)
        self._sampler.hidden_probability(self._visible, self._hidden)
        accumulate(self._visible, self._hidden, self._row_weights, self._scratch, out)
        return self._hidden[: self._n_data].mean(0)
