r"""Landau free energy of one mode (arXiv:2503.21536, section 5.3, equations 52 to 55).

The constraint potential is expanded to fourth order about a reference point μ and averaged over the other coordinates,
``z_j = μ_j + ε_j`` with ``⟨ε_j⟩ = 0``, ``⟨ε_j ε_k⟩ = s² δ_jk``:

    f_i(z) = a0_i b0_i/λ_i + (Λ_i/2) z² + Γ (z-μ) + Θ (z-μ)² + Ψ (z-μ)³ + Φ (z-μ)⁴,   Λ = -λ for u, +λ for w,
    Γ = k_i/β + (s²/2β) Σ_{j≠i} k_ijj,   Θ = k_ii/2β + (s²/4β) Σ_{j≠i} k_iijj,   Ψ = k_iii/6β,   Φ = k_iiii/24β.

The gradient k_i vanishes for the paper's reference, all activities 1/2.  The paper writes s² = 1; its equation 46
gives ¼.  With s² = 0 the other coordinates are held at the reference, and the symmetric case turns into a double well
at βλ = k_ii, 4 for the uniform reference.  Averaging the *potential* over Gaussian fluctuations is no marginal: s² = ¼
adds (32 - k_iiii)/16β to Θ = 2/β and puts the transition near βλ = 8, while the exact marginal keeps 4.

Bits reach a bounded range of z only, `reachable_range`, at most (√N + √M)/√2 wide and centred at the uniform μ.  Minima
of f beyond it are artefacts of the truncated expansion: no set of bit states lies there.
Energies are in units of k_B T at beta = 1; z is dimensionless, 0 at the saddle.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rbmscape.arguments import checked
from rbmscape.arrays import real_array
from rbmscape.brief import OneLine
from rbmscape.checks import check_choice, check_mode
from rbmscape.diffusion.constraint import ConstraintDerivatives
from rbmscape.diffusion.reference import Reference, ReferenceKind, reference_point
from rbmscape.errors import InputError
from rbmscape.model.arrays import Arrays
from rbmscape.model.rbm import RBM
from rbmscape.reciprocal.modes import Modes, modes_of

__all__ = ["DEFAULT_FLUCTUATION", "Barrier", "Branch", "Landau", "landau", "landau_modes", "reachable_range"]

Branch = Literal["u", "w"]
FloatArray = NDArray[np.float64]
DEFAULT_FLUCTUATION = 0.25


@dataclass(frozen=True, slots=True, repr=False)
class Barrier(OneLine):
    """The maximum between two wells.

    Attributes
    ----------
    position : z of the maximum
    from_left, from_right : its height above the left and the right minimum, in k_B T at beta = 1
    """

    position: float
    from_left: float
    from_right: float


@dataclass(frozen=True, repr=False)
class Landau(OneLine):
    """Coefficients of equation 55 for one mode; exact to rounding for the reference they are expanded about.

    Attributes
    ----------
    mode : index of the mode, from 0
    branch : "u" (the energy falls) or "w" (it rises)
    beta : inverse temperature
    fluctuation : variance s² of the other coordinates
    reference : what μ is: "uniform", "data", "mean_field" or "given"
    stiffness : Λ, minus or plus the singular value
    saddle_energy : a0_i b0_i / λ_i
    mu : z of the reference point
    gamma, theta, psi, phi : Γ, Θ, Ψ, Φ
    """

    mode: int
    branch: Branch
    beta: float
    fluctuation: float
    reference: str
    stiffness: float
    saddle_energy: float
    mu: float
    gamma: float
    theta: float
    psi: float
    phi: float

    def _headline(self) -> str:
        wells = f"double well, barrier {self.barrier.from_left:.3g}" if self.barrier else "single well"
        lowest = ", ".join(f"{z:.4g}" for z in self.minima())
        return (
            f"mode {self.mode} along {self.branch} about {self.reference}, {wells}, minima {lowest}, beta {self.beta:g}"
        )

    def value(self, z: ArrayLike) -> FloatArray:
        """f(z), (...,), in k_B T at beta = 1."""
        points = real_array(z, "z")
        shift = points - self.mu
        constraint = shift * (self.gamma + shift * (self.theta + shift * (self.psi + shift * self.phi)))
        return np.asarray(self.saddle_energy + 0.5 * self.stiffness * points**2 + constraint)

    def gradient(self, z: ArrayLike) -> FloatArray:
        """df/dz, (...,)."""
        points = real_array(z, "z")
        shift = points - self.mu
        constraint = self.gamma + shift * (2 * self.theta + shift * (3 * self.psi + shift * 4 * self.phi))
        return np.asarray(self.stiffness * points + constraint)

    @property
    def curvature(self) -> float:
        """d²f/dz² at the reference point, Λ + 2Θ: negative where the symmetric part of f is a double well."""
        return self.stiffness + 2 * self.theta

    @cached_property
    def _stationary(self) -> FloatArray:
        """Stationary points, rising: one, or minimum, maximum, minimum (the discriminant of the cubic decides)."""
        scale = 4 * self.phi
        quadratic = 3 * self.psi / scale
        linear = self.curvature / scale
        constant = (self.gamma + self.stiffness * self.mu) / scale
        p = linear - quadratic**2 / 3
        q = 2 * quadratic**3 / 27 - quadratic * linear / 3 + constant
        if 4 * p**3 + 27 * q**2 < 0:
            radius = 2 * math.sqrt(-p / 3)
            angle = math.acos(max(-1.0, min(1.0, 3 * q / (p * radius)))) / 3
            roots = np.sort(radius * np.cos(angle - 2 * math.pi * np.arange(3) / 3))
        else:
            offset = math.sqrt(q**2 / 4 + p**3 / 27) + abs(q) / 2
            root = math.copysign(np.cbrt(offset), -q)
            roots = np.asarray([root - p / (3 * root) if root else 0.0])
        return np.asarray(roots - quadratic / 3 + self.mu)

    def minima(self) -> FloatArray:
        """Positions of the minima, rising, (1,) or (2,)."""
        return self._stationary[::2]

    @checked
    def minima_within(self, low: float, high: float) -> FloatArray:
        """Positions of the minima between two ends, rising, (0,), (1,) or (2,)."""
        found = self.minima()
        return np.asarray(found[(found > low) & (found < high)])

    @property
    def is_double_well(self) -> bool:
        """Whether f has two minima, wherever they lie."""
        return self._stationary.size == 3

    @cached_property
    def barrier(self) -> Barrier | None:
        """The maximum between the two minima; None for a single well."""
        if not self.is_double_well:
            return None
        left, top, right = self.value(self._stationary)
        return Barrier(float(self._stationary[1]), float(top - left), float(top - right))

    @property
    def asymmetry(self) -> float:
        """f at the right minus f at the left minimum, the explicit part of the symmetry breaking; NaN for one well."""
        if self.barrier is None:
            return math.nan
        return self.barrier.from_left - self.barrier.from_right


@checked
def landau(
    rbm: RBM,
    mode: int,
    branch: Branch = "u",
    reference: ReferenceKind | Reference | tuple[Arrays, Arrays] = "uniform",
    beta: float = 1.0,
    fluctuation: float = DEFAULT_FLUCTUATION,
    *,
    data: Arrays | None = None,
    modes: Modes | None = None,
) -> Landau:
    """Landau free energy f_i(z) of one mode (equation 55).

    Parameters
    ----------
    mode : index of the mode, from 0 to min(N, M) - 1
    branch : "u" or "w"
    reference : where to expand: "uniform" (all activities 1/2, the paper), "data" (mean activities of ``data``),
        "mean_field" (a solution of equation 26), or a pair (m, n) of activities
    beta : inverse temperature, > 0
    fluctuation : variance s² of the coordinates averaged over, >= 0; ¼ by equation 46, 0 holds them
    data : (K, N) visible states, for the references that need them
    modes : decomposition of the model in the gauge to use, where it is known already

    Returns
    -------
    Landau

    Raises
    ------
    InputError : mode or branch does not exist, the mode is flat, beta or fluctuation is out of range
    DataError, NotConvergedError, ShapeError : from the reference, see `rbmscape.diffusion.reference.reference_point`
    """
    return landau_modes(rbm, [mode], branch, reference, beta, fluctuation, data=data, modes=modes)[0]


def landau_modes(
    rbm: RBM,
    mode_indices: Sequence[int],
    branch: Branch = "u",
    reference: ReferenceKind | Reference | tuple[Arrays, Arrays] = "uniform",
    beta: float = 1.0,
    fluctuation: float = DEFAULT_FLUCTUATION,
    *,
    data: Arrays | None = None,
    modes: Modes | None = None,
) -> list[Landau]:
    """`landau` of several modes, which share the decomposition and the reference point.

    Raises
    ------
    InputError : a mode or the branch does not exist, a mode is flat, beta or fluctuation is out of range
    """
    check_choice("branch", branch, ("u", "w"))
    if not (math.isfinite(fluctuation) and fluctuation >= 0.0):
        raise InputError(f"fluctuation must be a finite variance >= 0, found {fluctuation}")
    decomposed = modes_of(rbm, modes)
    for mode in mode_indices:
        _check_mode(decomposed, mode)
    point = reference_point(rbm, reference, data, beta)
    derivatives = ConstraintDerivatives(decomposed, point.m, point.n)
    centre = decomposed.project(point.m, point.n)
    positions = (centre.u if branch == "u" else centre.w).cpu().numpy()
    first, second, third, fourth = derivatives.gradient(branch), *(derivatives.diagonal(p, branch) for p in (2, 3, 4))
    third_trace, fourth_trace = derivatives.third_trace(branch), derivatives.fourth_trace(branch)
    stiffness = decomposed.singular_values.cpu().numpy() * (-1.0 if branch == "u" else 1.0)
    energies = decomposed.saddle_energy.cpu().numpy()
    return [
        Landau(
            mode=int(i),
            branch=branch,
            beta=float(beta),
            fluctuation=float(fluctuation),
            reference=point.kind,
            stiffness=float(stiffness[i]),
            saddle_energy=float(energies[i]),
            mu=float(positions[i]),
            gamma=float(first[i] + fluctuation / 2 * third_trace[i]) / beta,
            theta=float(second[i] / 2 + fluctuation / 4 * fourth_trace[i]) / beta,
            psi=float(third[i]) / (6 * beta),
            phi=float(fourth[i]) / (24 * beta),
        )
        for i in mode_indices
    ]


def reachable_range(modes: Modes, mode: int, branch: Branch = "u") -> tuple[float, float]:
    """Lowest and highest z_i that bit states have, from the saddle; exact.

    Those of x_i are the sums of the negative and of the positive entries of U_i, those of y_i the same of V_i.

    Parameters
    ----------
    mode : index of the mode, from 0
    branch : "u" or "w"

    Raises
    ------
    InputError : the mode does not exist or is flat
    """
    _check_mode(modes, mode)
    ends = []
    for vectors, saddle in ((modes.left, modes.saddle_x), (modes.right, modes.saddle_y)):
        entries, offset = vectors[:, mode], float(saddle[mode])
        ends.append((float(entries.clamp(max=0.0).sum()) - offset, float(entries.clamp(min=0.0).sum()) - offset))
    (low_x, high_x), (low_y, high_y) = ends
    if branch == "w":
        low_x, high_x = -high_x, -low_x
    return (low_x + low_y) / math.sqrt(2.0), (high_x + high_y) / math.sqrt(2.0)


def _check_mode(modes: Modes, mode: int) -> None:
    if bool(modes.flat[check_mode(mode, modes.n_paired)]):
        raise InputError(f"mode {mode} has singular value 0 and no saddle: u and w are undefined; choose another mode")
