r"""A model of bits as one of spins: couplings and fields of s = 2v - 1 and t = 2h - 1.

``E(v, h) = -a·v - b·h - vᵀ W h`` (equation 3 of arXiv:2503.21536) with v = (1 + s)/2 and h = (1 + t)/2 is
``E(s, t) = -A·s - B·t - sᵀ J t + c`` with

    J = W/4,   A = a/2 + W 1/4,   B = b/2 + Wᵀ 1/4,   c = -(Σ a + Σ b)/2 - (Σ W)/4.

The map is exact and one to one; `rbmscape.effective_couplings` gives couplings of the visible units alone, in either
convention.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rbmscape.arguments import checked
from rbmscape.arrays import real_array
from rbmscape.brief import OneLine
from rbmscape.checks import check_batches, check_width
from rbmscape.model.arrays import Arrays
from rbmscape.model.rbm import RBM
from rbmscape.model.trained import one_model

__all__ = ["SpinParameters", "spin_parameters"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SpinParameters(OneLine):
    """The parameters of a model in spins, float64, in units of k_B T at beta = 1.

    Attributes
    ----------
    couplings : (N, M) J
    visible_fields : (N,) A
    hidden_fields : (M,) B
    constant : c
    """

    couplings: Tensor
    visible_fields: Tensor
    hidden_fields: Tensor
    constant: float

    def energy(self, v: Arrays, h: Arrays) -> Tensor:
        """E(s, t) of spins -1 and 1, equal to that of the bits; (...,) for v (..., N) and h (..., M)."""
        s, t = (torch.from_numpy(real_array(x, name)) for x, name in ((v, "v"), (h, "h")))
        check_width("v", s, self.couplings.shape[0])
        check_width("h", t, self.couplings.shape[1])
        check_batches(s, t)
        bilinear = ((s @ self.couplings) * t).sum(-1)
        return self.constant - s @ self.visible_fields - t @ self.hidden_fields - bilinear

    def _headline(self) -> str:
        n_visible, n_hidden = self.couplings.shape
        return f"{n_visible} x {n_hidden} spins, largest coupling {float(self.couplings.abs().max()):.3g}"


@checked
def spin_parameters(rbm: RBM) -> SpinParameters:
    """Couplings and fields of a model in spins -1 and 1, exact.

    Parameters
    ----------
    rbm : the model of bits

    Raises
    ------
    InputError : no model
    """
    double = one_model(rbm, "spin_parameters").to(device="cpu", dtype=torch.float64)
    quarter = double.weights / 4
    visible, hidden = double.visible_bias / 2, double.hidden_bias / 2
    constant = -float(visible.sum() + hidden.sum() + quarter.sum())
    return SpinParameters(quarter, visible + quarter.sum(1), hidden + quarter.sum(0), constant)
