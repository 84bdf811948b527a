r"""Models between two models: every parameter on the straight line from one to the other.

``E_t(v, h) = (1-t) E_0(v, h) + t E_1(v, h)``, a geometric path between the Boltzmann weights (E: equation 3 of
arXiv:2503.21536), is again the energy of an RBM, with the parameters ``(1-t) θ_0 + t θ_1``.
"""

from __future__ import annotations

from rbmscape.model.rbm import PARAMETER_NAMES, RBM

__all__ = ["interpolated"]


def interpolated(lower: RBM, upper: RBM, t: float) -> RBM:
    """The model at t in [0, 1] between two of one shape, in the dtype of the upper; at 0 and 1 they themselves."""
    if t == 0.0:
        return lower
    if t == 1.0:
        return upper
    ends = ((getattr(lower, name).to(upper.dtype), getattr(upper, name)) for name in PARAMETER_NAMES)
    return RBM(*((1.0 - t) * one + t * other for one, other in ends))
