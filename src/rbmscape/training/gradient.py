"""The centred form of the gradient of the mean log-likelihood; `rbmscape.kernels` has the gradient itself."""

from __future__ import annotations

from torch import Tensor

from rbmscape.kernels.interface import Gradient

__all__ = ["center"]


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
