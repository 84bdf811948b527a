r"""The turn by 45° between (x_i, y_i) and the principal axes (u_i, w_i) of a saddle (arXiv:2503.21536, equation 18).

    u = √½ (y + x),   w = √½ (y - x);      x = √½ (u - w),   y = √½ (u + w)

for positions relative to the saddle, for displacements and for gradients; E_i falls along u and rises along w.  This is
the one place of the factor and of the sign.
"""

from __future__ import annotations

import math
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["AXES", "rotate", "rotate_back"]

Number = TypeVar("Number", float, NDArray[np.floating[Any]], Tensor)
_ROOT_HALF: Final = math.sqrt(0.5)

AXES: Final = {"u": (_ROOT_HALF, _ROOT_HALF), "w": (-_ROOT_HALF, _ROOT_HALF)}
"""Components of the unit vectors of u and w along x and y."""


def rotate(x: Number, y: Number) -> tuple[Number, Number]:
    """(u, w) of (x, y), numbers or arrays of one shape; exact to rounding."""
    return (y + x) * _ROOT_HALF, (y - x) * _ROOT_HALF


def rotate_back(u: Number, w: Number) -> tuple[Number, Number]:
    """(x, y) of (u, w): the inverse of `rotate`."""
    return (u - w) * _ROOT_HALF, (u + w) * _ROOT_HALF
