r"""Coupled bosons: normal modes of the quadratic effective potential (arXiv:2503.21536, eqs. 39-48), in closed form.

Expanding V_const to second order around (m0, n0) gives U_eff a Hessian A/β.  In bit coordinates

    A = [[diag 1/(m(1-m)), -βW], [-βWᵀ, diag 1/(n(1-n))]],

in z coordinates A = K - βJ with K = (k_ij) and J = diag(λ, -λ, 0).  The Schrödinger potential (44) is exactly
V_Q = ½ ζᵀ (A/2)² ζ - ¼ Tr A, so that the boson frequencies are ω = eig(A)/2, the levels 𝓔 = Σ ω_i n_i (48), and an
eigenstate relaxes at the rate Γ = 2 D 𝓔 with D = 1/β.  (The paper prints 𝓔/2D; an Ornstein-Uhlenbeck mode shows the
factor.)  Where ω < 0 the Gaussian diffusion spreads at the rate 2D|ω|, its stationary state is lost, and the
operator's spectrum is |ω|(n + 1).  Spectra are NumPy float64; rates are per unit of diffusion time (friction 1).
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.arguments import checked
from rbmscape.brief import OneLine
from rbmscape.checks import check_count, check_positive, is_whole, shown
from rbmscape.diffusion.constraint import ConstraintDerivatives
from rbmscape.diffusion.mean_field import MeanField, MeanFieldSolution
from rbmscape.diffusion.reference import Reference, ReferenceKind, reference_point
from rbmscape.errors import InputError
from rbmscape.model.arrays import Arrays
from rbmscape.model.rbm import RBM
from rbmscape.reciprocal.modes import Modes, modes_of

__all__ = [
    "Bosons",
    "Level",
    "boson_spectrum",
    "curvature_matrix",
    "dressed_singular_values",
    "schrodinger_matrix",
]

MOST_UNITS = 16_000
"""Visible and hidden units of which a dense curvature matrix is made."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, repr=False)
class Level(OneLine):
    """One level of the boson Hamiltonian.

    Attributes
    ----------
    energy : 𝓔, dimensionless (ħ = m = 1)
    relaxation_rate : Γ = 2 D 𝓔
    occupations : {boson: number of quanta}, bosons without quanta left out
    """

    energy: float
    relaxation_rate: float
    occupations: Mapping[int, int]

    def _headline(self) -> str:
        quanta = ", ".join(f"{count} of boson {boson}" for boson, count in self.occupations.items()) or "no quanta"
        return f"energy {self.energy:.4g}, rate {self.relaxation_rate:.4g}, {quanta}"


@dataclass(frozen=True, eq=False, repr=False)
class Bosons(OneLine):
    """Normal modes of the quadratic effective potential, by rising frequency (most unstable first).

    Attributes
    ----------
    frequencies : (K,) ω, K = N + M
    beta : inverse temperature
    reference : point of the expansion
    coupled : whether off-diagonal k_ij were kept; False is eq. (40)
    branch : (K,) "u", "w" or "unpaired": kind of the z coordinate with the largest weight in each boson
    index : (K,) its mode, counted from 0
    weight : (K,) its squared amplitude, 1 where the coordinate is the boson
    dressed_singular_values : (L,) of diag(m(1-m))^½ W diag(n(1-n))^½, falling; a mode is unstable where β times it
        exceeds 1
    vectors : (K, N + M) unit vectors of the bosons over the bits (m, n), float64
    """

    frequencies: FloatArray
    beta: float
    reference: Reference
    coupled: bool
    branch: NDArray[np.str_]
    index: NDArray[np.int64]
    weight: FloatArray
    dressed_singular_values: FloatArray
    vectors: Tensor

    def _headline(self) -> str:
        verdict = "all stable" if self.n_unstable == 0 else f"{self.n_unstable} unstable"
        coupling = "coupled" if self.coupled else "uncoupled"
        softest = f"softest ω {self.frequencies[0]:.4g}"
        return f"{self.frequencies.size} {coupling} about {self.reference.kind}, {verdict}, {softest}"

    @property
    def relaxation_rates(self) -> FloatArray:
        """(K,) Γ = 2 D ω of one quantum, D = 1/β; negative: the rate at which the Gaussian diffusion spreads."""
        return 2.0 * self.frequencies / self.beta

    @property
    def stable(self) -> NDArray[np.bool_]:
        """(K,) whether the mode relaxes, ω > 0."""
        return np.asarray(self.frequencies > 0.0)

    @property
    def n_unstable(self) -> int:
        """Number of bosons with ω <= 0; with all couplings it is the number of β·dressed singular values >= 1."""
        return int((~self.stable).sum())

    @property
    def modes(self) -> Tensor:
        """Same as vectors."""
        return self.vectors

    @property
    def ground_energy(self) -> float:
        """Lowest level: 0 if every mode is stable, else Σ |ω| over the unstable ones."""
        return float(-self.frequencies[~self.stable].sum())

    @checked
    def energy(self, occupations: Mapping[int, int]) -> float:
        """𝓔(n) = Σ ω_i n_i (48), with |ω_i|(n_i + 1) for unstable bosons.

        Parameters
        ----------
        occupations : {boson: quanta >= 0}

        Raises
        ------
        InputError : no such boson, or a negative number of quanta
        """
        total = self.ground_energy
        for boson, quanta in occupations.items():
            whole = is_whole(boson) and is_whole(quanta)
            if not whole or not 0 <= boson < self.frequencies.size or quanta < 0:
                raise InputError(
                    f"occupations map bosons 0 to {self.frequencies.size - 1} to numbers >= 0, got "
                    f"{shown(boson)}: {shown(quanta)}; "
                    f"correct this entry"
                )
            total += abs(float(self.frequencies[boson])) * quanta
        return total

    @checked
    def levels(self, n_levels: int = 10) -> tuple[Level, ...]:
        """The lowest levels, states of equal energy one by one."""
        check_count("n_levels", n_levels)
        order = np.argsort(np.abs(self.frequencies))
        steps = np.abs(self.frequencies)[order]
        heap: list[tuple[float, tuple[int, ...]]] = [(self.ground_energy, ())]
        found: list[Level] = []
        while heap and len(found) < n_levels:
            energy, quanta = heapq.heappop(heap)
            bosons, counts = np.unique(order[list(quanta)] if quanta else np.empty(0, int), return_counts=True)
            occupations = dict(zip(bosons.tolist(), counts.tolist(), strict=True))
            found.append(Level(energy, 2.0 * energy / self.beta, occupations))
            last = quanta[-1] if quanta else 0
            heapq.heappush(heap, (energy + float(steps[last]), (*quanta, last)))
            if quanta and last + 1 < steps.size:
                heapq.heappush(heap, (energy + float(steps[last + 1] - steps[last]), (*quanta[:-1], last + 1)))
        return tuple(found)


def dressed_singular_values(rbm: RBM, reference: Reference) -> FloatArray:
    """Singular values of diag(m(1-m))^½ W diag(n(1-n))^½: (L,), falling; λ/4 at the uniform reference.

    The paramagnetic state is unstable where the first one exceeds 1/β; the number above 1/β is the number of unstable
    bosons, since A is congruent to [[1, -βX], [-βXᵀ, 1]] with X the dressed weights.
    """
    dressed = dressed_weights(rbm, reference.visible_variance, reference.hidden_variance)
    return np.asarray(torch.linalg.svdvals(dressed).cpu().numpy())


def dressed_weights(rbm: RBM, visible_variance: Tensor, hidden_variance: Tensor) -> Tensor:
    """diag(m(1-m))^½ W diag(n(1-n))^½ from the variances of the bits, (N, M) float64."""
    return visible_variance.sqrt()[:, None] * rbm.weights.double() * hidden_variance.sqrt()


def curvature_matrix(rbm: RBM, reference: Reference, beta: float = 1.0) -> Tensor:
    """A = β ∂²U_eff over the bits (m, n): (N + M, N + M), symmetric, float64.

    Raises
    ------
    InputError : the matrix alone would take more than 2 GB
    """
    split, units = rbm.n_visible, rbm.n_visible + rbm.n_hidden
    if units > MOST_UNITS:
        raise InputError(
            f"the curvature of {units} units is a matrix of {8e-9 * units**2:.1f} GB, beyond "
            f"{8e-9 * MOST_UNITS**2:.0f} GB; use a smaller model, or dressed singular values (slow_modes)"
        )
    matrix = torch.diag(torch.cat([1.0 / reference.visible_variance, 1.0 / reference.hidden_variance]))
    coupling = -beta * rbm.weights.double()
    matrix[:split, split:], matrix[split:, :split] = coupling, coupling.mT
    return matrix


def schrodinger_matrix(curvature: Tensor) -> Tensor:
    """The matrix of the Schrödinger potential ½ ζᵀ M ζ: (A/2)², the symmetric part of eq. (44) as printed."""
    half = curvature / 2
    return half @ half


@checked
def boson_spectrum(
    rbm: RBM,
    beta: float = 1.0,
    reference: ReferenceKind | Reference | MeanField | MeanFieldSolution | tuple[Arrays, Arrays] = "uniform",
    *,
    data: Arrays | None = None,
    coupled: bool = True,
    modes: Modes | None = None,
) -> Bosons:
    """Frequencies, relaxation rates and eigenmodes of the bosons of a model.

    Parameters
    ----------
    rbm : the model
    beta : inverse temperature, > 0
    reference : "uniform" (activities 1/2, the paper's), "data" (their means), "mean_field", or a point
    data : (K, N) visible states for the references that need them
    coupled : keep the off-diagonal k_ij (44); False takes ω = (k_ii ∓ βλ)/2 of eq. (40) alone
    modes : modes to use instead of ``Modes.of(rbm)``

    Returns
    -------
    Bosons; exact for the quadratic potential

    Raises
    ------
    InputError : beta is not above 0, or the reference is unknown or not inside the cube
    DataError, NotConvergedError : the reference cannot be made
    """
    beta = check_positive("beta", beta)
    point = reference_point(rbm, reference, data, beta)
    modes = modes_of(rbm, modes)
    basis = _z_basis(modes)
    branch, index = _z_labels(modes)
    dressed = dressed_singular_values(rbm, point)
    if coupled and point.kind != "uniform":
        eigenvalues, vectors = torch.linalg.eigh(curvature_matrix(rbm, point, beta))
        weights = (basis.mT @ vectors).square()
        strongest = weights.argmax(0)
        label = strongest.cpu().numpy()
        frequencies = eigenvalues.cpu().numpy() / 2
        weight = weights.amax(0).cpu().numpy()
    else:
        curvature = _diagonal_curvature(modes, point, beta)
        label = np.argsort(curvature, kind="stable")
        frequencies, weight = curvature[label] / 2, np.ones(label.size)
        vectors = basis[:, torch.from_numpy(label).to(basis.device)]
    return Bosons(
        frequencies=frequencies,
        beta=beta,
        reference=point,
        coupled=coupled,
        branch=branch[label],
        index=index[label],
        weight=weight,
        dressed_singular_values=dressed,
        vectors=vectors.mT.contiguous(),
    )


def _diagonal_curvature(modes: Modes, point: Reference, beta: float) -> FloatArray:
    """k_ii - βJ_ii in z order."""
    derivatives = ConstraintDerivatives(modes, point.m, point.n)
    shift = beta * modes.singular_values.cpu().numpy()
    n_unpaired = abs(modes.n_visible - modes.n_hidden)
    return np.asarray(derivatives.diagonal(2) - np.concatenate([shift, -shift, np.zeros(n_unpaired)]))


def _z_basis(modes: Modes) -> Tensor:
    """(N + M, N + M): z coordinates in columns, bits (m, n) in rows."""
    from rbmscape.diffusion.constraint import mode_columns

    split, n_pairs = modes.n_visible, modes.n_paired
    basis = modes.left.new_zeros(split + modes.n_hidden, split + modes.n_hidden)
    for branch, start in (("u", 0), ("w", n_pairs), ("unpaired", 2 * n_pairs)):
        first, second = mode_columns(modes, branch)  # type: ignore[arg-type]
        if first is not None:
            basis[:split, start : start + first.shape[1]] = first
        if second is not None:
            basis[split:, start : start + second.shape[1]] = second
    return basis


def _z_labels(modes: Modes) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    n_pairs, n_unpaired = modes.n_paired, abs(modes.n_visible - modes.n_hidden)
    branch = np.array(["u"] * n_pairs + ["w"] * n_pairs + ["unpaired"] * n_unpaired)
    return branch, np.concatenate([np.arange(n_pairs), np.arange(n_pairs), np.arange(n_unpaired)])
