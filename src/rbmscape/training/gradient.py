"""Gradient of the mean log-likelihood (arXiv:2503.21536, equations 6 and 9) and its centred form.

All samples of one update stand in one matrix: visible (S, N) and hidden means (S, M), with a weight a sample: 1/B for
the B data rows, -1/C for the C rows of the negative phase.  Every term of equation 6 is one weighted sum over rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from rbmscape.model.rbm import RBM

__all__ = ["Gradient", "accumulate", "center"]


@dataclass(frozen=True, slots=True)
class Gradient:
    """Buffers for ∂/∂W (N, M), ∂/∂a (N,), ∂/∂b (M,) of the mean log-likelihood; the caller's, filled in place."""

    weights: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor

    @classmethod
    def zeros_like(cls, rbm: RBM) -> Self:
        """Buffers of a model's shapes, dtype and device."""
        parameters = (rbm.weights, rbm.visible_bias, rbm.hidden_bias)
        return cls(*(torch.zeros_like(parameter) for parameter in parameters))


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


def center(gradient: Gradient, visible_offset: Tensor, hidden_offset: Tensor) -> None:
    """Turn the plain gradient into the centred one, in place.

    With offsets μ and λ the energy is that of v - μ and h - λ (Montavon and Müller 2012; Melchior, Fischer and Wiskott
    2016): ``∂W_c = ∂W - μ ∂bᵀ - ∂a λᵀ``, ``∂a_c = ∂a - ∂W_c λ``, ``∂b_c = ∂b - ∂W_cᵀ μ``.

    Parameters
    ----------
    gradient : of equation 6; overwritten
    visible_offset : (N,) μ, data means of the visible units
    hidden_offset : (M,) λ, data means of the hidden units
    """
    gradient.weights.addr_(visible_offset, gradient.hidden_bias, alpha=-1.0)
    gradient.weights.addr_(gradient.visible_bias, hidden_offset, alpha=-1.0)
    gradient.visible_bias.addmv_(gradient.weights, hidden_offset, alpha=-1.0)
    gradient.hidden_bias.addmv_(gradient.weights.T, visible_offset, alpha=-1.0)
