"""Reciprocal coordinates of states (arXiv:2503.21536, section 3, equations 17 to 19).

Shapes: batch axes lead; x is (..., N), y (..., M), u and w (..., L) with L = min(N, M), z (..., N + M).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from rbmscape.brief import OneLine

__all__ = ["Coordinates"]


@dataclass(frozen=True, eq=False, repr=False)
class Coordinates(OneLine):
    """States seen in reciprocal space, float64 on the device of their modes; dimensionless.

    Attributes
    ----------
    x : (..., N) visible coordinates ``Uᵀv`` (equation 17)
    y : (..., M) hidden coordinates ``Vᵀh`` (equation 17)
    u : (..., L) distance from the saddle along the axis on which E_i falls, ``((x-x0) + (y-y0))/√2`` (equation 18);
        NaN for flat modes
    w : (..., L) distance from the saddle along the axis on which E_i rises, ``(-(x-x0) + (y-y0))/√2``; NaN for flat
        modes
    """

    x: Tensor
    y: Tensor
    u: Tensor
    w: Tensor

    def _headline(self) -> str:
        batch = " x ".join(map(str, self.x.shape[:-1])) or "one"
        return f"{batch} states, {self.x.shape[-1]} x, {self.y.shape[-1]} y, {self.n_paired} u and w"

    @property
    def n_paired(self) -> int:
        """Number L = min(N, M) of modes that have both an x and a y."""
        return int(self.u.shape[-1])

    @cached_property
    def unpaired(self) -> Tensor:
        """(..., |N - M|) the x (N > M) or y (M > N) that have no partner."""
        longer = self.x if self.x.shape[-1] > self.y.shape[-1] else self.y
        return longer[..., self.n_paired :]

    @cached_property
    def z(self) -> Tensor:
        """(..., N + M) all coordinates, ``[u_1..u_L, w_1..w_L, unpaired]``: an isometry of (v, h) up to translation."""
        return torch.cat([self.u, self.w, self.unpaired], dim=-1)
