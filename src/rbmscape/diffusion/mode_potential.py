r"""One mode at a time: one-dimensional effective potentials of a coordinate u_i, w_i or an unpaired x_i or y_i.

With Λ = -λ_i for u, +λ_i for w (eq. 19 of arXiv:2503.21536), all in units of k_B T at beta = 1, up to a constant:

``slice``     U_eff(z) along the coordinate with all others held at the reference:
              Λ z²/2 + Σ_k s(t_k + e_k (z - z_ref)) / β, t = (m0, n0).
``marginal``  the others integrated out over independent bits with the reference's means:
              Λ z²/2 + I(z)/β for the uniform reference; about any other point the linear part of the energy is in the
              bits' means already and Λ (z - z_ref)²/2 + I(z)/β remains, I the rate function of those bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from rbmscape.brief import OneLine
from rbmscape.checks import check_choice, check_mode, check_positive
from rbmscape.diffusion.constraint import mode_columns
from rbmscape.diffusion.rate_function import RateFunction
from rbmscape.diffusion.reference import Reference
from rbmscape.errors import InputError
from rbmscape.reciprocal.modes import Modes
from rbmscape.reciprocal.rotation import rotate

__all__ = ["BRANCHES", "Branch", "ModePotential", "mode_potential"]

Branch = Literal["u", "w", "unpaired"]
BRANCHES: tuple[Branch, ...] = ("u", "w", "unpaired")
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class ModePotential(OneLine):
    """U(z) of one coordinate; callable.

    Attributes
    ----------
    mode, branch, kind : which coordinate, counted from 0, and which of the two potentials
    beta : inverse temperature
    stiffness : Λ; 0 for unpaired coordinates
    slope : linear term, the bias of an unpaired coordinate with the sign it has in the energy
    centre : point about which the quadratic term is written
    reference : z of the reference point
    rate : rate function over the bits (``marginal``); carries weights and means of the bits for ``slice`` as well
    """

    mode: int
    branch: Branch
    kind: Literal["slice", "marginal"]
    beta: float
    stiffness: float
    slope: float
    centre: float
    reference: float
    rate: RateFunction

    def _headline(self) -> str:
        return (
            f"{self.kind}, mode {self.mode} along {self.branch}, stiffness {self.stiffness:.4g}, "
            f"reference at {self.reference:.4g}, beta {self.beta:g}"
        )

    @property
    def domain(self) -> tuple[float, float]:
        """Ends of the interval in which the potential is finite."""
        if self.kind == "marginal":
            return self.rate.domain
        weights, means = self.rate.weights, self.rate.means
        used = weights != 0
        up = np.where(weights > 0, 1 - means, -means)[used] / weights[used]
        down = np.where(weights > 0, -means, 1 - means)[used] / weights[used]
        return self.reference + float(down.max()), self.reference + float(up.min())

    def __call__(self, z: ArrayLike) -> FloatArray:
        """U(z): (...,) in units of k_B T at beta = 1; +inf outside the domain."""
        points = np.asarray(z, dtype=np.float64)
        energy = 0.5 * self.stiffness * (points - self.centre) ** 2 + self.slope * points
        return np.asarray(energy + self.constraint(points) / self.beta)

    def constraint(self, z: ArrayLike) -> FloatArray:
        """The constraint part in nats: (...,); +inf outside the domain."""
        if self.kind == "marginal":
            return self.rate.value(z)
        from scipy.special import entr

        points = np.asarray(z, dtype=np.float64)
        bits = self._bits(points)
        return np.asarray((math.log(2) - entr(bits) - entr(1 - bits)).sum(-1))

    def _bits(self, points: FloatArray) -> FloatArray:
        bits = self.rate.means + (points[..., None] - self.reference) * self.rate.weights
        return np.asarray(
            np.where((bits < 0) & (bits > -1e-12), 0.0, np.where((bits > 1) & (bits < 1 + 1e-12), 1.0, bits))
        )

    def gradient(self, z: ArrayLike) -> FloatArray:
        """dU/dz: (...,); NaN outside the domain."""
        points = np.asarray(z, dtype=np.float64)
        energy = self.stiffness * (points - self.centre) + self.slope
        if self.kind == "marginal":
            return np.asarray(energy + self.rate.gradient(points) / self.beta)
        bits = self._bits(points)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(energy + (np.log(bits) - np.log1p(-bits)) @ self.rate.weights / self.beta)

    def curvature(self, z: ArrayLike) -> FloatArray:
        """d²U/dz²: (...,); NaN outside the domain."""
        points = np.asarray(z, dtype=np.float64)
        if self.kind == "marginal":
            return np.asarray(self.stiffness + self.rate.curvature(points) / self.beta)
        bits = self._bits(points)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.stiffness + (1 / (bits * (1 - bits))) @ self.rate.weights**2 / self.beta)

    def grid(self, n_points: int = 401, margin: float = 1e-6) -> FloatArray:
        """(n_points,) evenly spaced points that fill the domain but for a relative margin at each end."""
        low, high = self.domain
        width = high - low
        return np.linspace(low + margin * width, high - margin * width, n_points)


def mode_potential(
    modes: Modes,
    mode: int,
    reference: Reference,
    branch: Branch = "u",
    kind: Literal["slice", "marginal"] = "marginal",
    beta: float = 1.0,
) -> ModePotential:
    """One-dimensional effective potential of a coordinate.

    Parameters
    ----------
    modes : of the model
    mode : index from 0, among L = min(N, M) for u and w, among |N - M| for unpaired coordinates
    reference : from `reference_point`
    branch : "u", "w" or "unpaired"
    kind : "slice" (others held) or "marginal" (others integrated out)
    beta : inverse temperature, > 0

    Raises
    ------
    InputError : no such mode, a flat mode (u and w have no origin), an unknown branch or kind
    """
    beta = check_positive("beta", beta)
    check_choice("branch", branch, BRANCHES)
    check_choice("kind", kind, ("slice", "marginal"))
    columns = mode_columns(modes, branch)
    index = check_mode(mode, next(block.shape[1] for block in columns if block is not None))
    if branch != "unpaired" and bool(modes.flat[index]):
        raise InputError(
            f"mode {index} has singular value 0 and no saddle, so that u and w are undefined; choose another"
        )
    blocks = [
        torch.zeros_like(layer) if block is None else block[:, index].double()
        for block, layer in zip(columns, (reference.m, reference.n), strict=True)
    ]
    weights = torch.cat(blocks).cpu().numpy()
    means = torch.cat([reference.m, reference.n]).cpu().numpy()
    stiffness, slope, offset = _energy_part(modes, index, branch)
    z_reference = float(weights @ means) - offset
    absorbed = kind == "marginal" and reference.kind != "uniform"
    return ModePotential(
        mode=index,
        branch=branch,
        kind=kind,
        beta=beta,
        stiffness=stiffness,
        slope=0.0 if absorbed else slope,
        centre=z_reference if absorbed else 0.0,
        reference=z_reference,
        rate=RateFunction(weights, means, offset),
    )


def _energy_part(modes: Modes, mode: int, branch: Branch) -> tuple[float, float, float]:
    """Λ, the linear term, and z_0 with z = e·bits - z_0."""
    if branch == "unpaired":
        longer = modes.visible_bias if modes.n_visible > modes.n_hidden else modes.hidden_bias
        return 0.0, -float(longer[modes.n_paired + mode]), 0.0
    x0, y0, singular_value = (float(v[mode]) for v in (modes.saddle_x, modes.saddle_y, modes.singular_values))
    u0, w0 = rotate(x0, y0)
    return (-singular_value, 0.0, u0) if branch == "u" else (singular_value, 0.0, w0)
