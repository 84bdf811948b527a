"""Models whose units are not plain bits, folded into one of bits: spins, centred units, standardised units.

All of them have ``E(x, y) = -a·x - b·y - ((x - λ_v)/σ_v)ᵀ W ((y - λ_h)/σ_h)`` where x and y are bits or spins ±1.  With
x = αv + β the energy is, up to a constant, that of bits with ``W'_ij = p_i W_ij r_j``, where p and r are the slopes and
q and s the offsets of what enters the product, ``(x - λ_v)/σ_v = pv + q`` and ``(y - λ_h)/σ_h = rh + s``, and with the
biases ``a' = αa + p∘(Ws)`` and ``b' = αb + r∘(Wᵀq)``.  The map is exact; the constant leaves probabilities as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rbmscape.checks import check_choice
from rbmscape.errors import InputError
from rbmscape.model.rbm import RBM

__all__ = ["STATES", "Units", "folded"]

Floats = NDArray[np.float64]

STATES: Final = ("bits", "spins")
"""What the units of a model may be: 0 and 1, or -1 and 1."""

_LINE: Final = {"bits": (1.0, 0.0), "spins": (2.0, -1.0)}
"""Slope and offset of the units' values as a function of bits."""


@dataclass(frozen=True, eq=False)
class Units:
    """One layer of a foreign model.

    Parameters
    ----------
    states : "bits" for units 0 and 1, "spins" for units -1 and 1
    offset : (units,) or a number, λ, subtracted from the units where they enter the product
    scale : (units,) or a number, σ, which divides them there
    """

    states: str = "bits"
    offset: Floats = field(default_factory=lambda: np.array(0.0))
    scale: Floats = field(default_factory=lambda: np.array(1.0))

    @property
    def slope(self) -> float:
        """α of x = αv + β, by which a bias is multiplied."""
        return _LINE[check_choice("states", self.states, STATES)][0]

    def entering(self, n_units: int) -> tuple[Floats, Floats]:
        """(units,) slopes and (units,) offsets of what enters the product with the weights."""
        slope, offset = _LINE[check_choice("states", self.states, STATES)]
        if not (np.isfinite(self.scale).all() and np.isfinite(self.offset).all() and np.all(self.scale)):
            raise InputError("offsets and scales of units must be finite, and scales not 0; write the model again")
        p = np.broadcast_to(slope / self.scale, n_units)
        q = np.broadcast_to((offset - self.offset) / self.scale, n_units)
        return p, q


def folded(
    weights: Floats,
    visible_bias: Floats,
    hidden_bias: Floats,
    visible: Units | None = None,
    hidden: Units | None = None,
) -> RBM:
    """The model of bits with the same probabilities; exact but for rounding to the precision of the weights.

    Parameters
    ----------
    weights : (N, M), as the foreign model has them
    visible_bias, hidden_bias : (N,) and (M,), which multiply the plain units
    visible, hidden : what the units are; bits by default

    Raises
    ------
    ShapeError, InputError : the parameters are no model, see `rbmscape.RBM`
    """
    if visible is None and hidden is None:
        return RBM(weights, visible_bias, hidden_bias)
    plain = RBM(weights, visible_bias, hidden_bias)
    w, a, b = (np.asarray(part, dtype=np.float64) for part in (plain.weights, plain.visible_bias, plain.hidden_bias))
    visible, hidden = visible or Units(), hidden or Units()
    p, q = visible.entering(plain.n_visible)
    r, s = hidden.entering(plain.n_hidden)
    moved = RBM(p[:, None] * w * r, visible.slope * a + p * (w @ s), hidden.slope * b + r * (w.T @ q))
    return moved.to(dtype=plain.dtype)
