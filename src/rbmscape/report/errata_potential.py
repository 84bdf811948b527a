"""Measured evidence for the errata of the potentials: (40), (49), (54) and the words of section 6."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.diffusion.bosons import boson_spectrum, curvature_matrix
from rbmscape.diffusion.constraint import ConstraintDerivatives, entropy_cost
from rbmscape.diffusion.fokker_planck import FokkerPlanck1D
from rbmscape.diffusion.reference import reference_point
from rbmscape.model.rbm import RBM
from rbmscape.reciprocal.modes import Modes
from rbmscape.report.findings import Check, Number
from rbmscape.report.rules import in_words
from rbmscape.rng import Stream
from rbmscape.symmetry.landau import landau

if TYPE_CHECKING:
    from rbmscape.report.evidence import Evidence

__all__ = ["eigenvalues_are_rates", "landau_multiplicity", "unpaired_bosons", "weight_density"]

_ROUNDING = 1e-9


def unpaired_bosons(_evidence: Evidence | None = None) -> Check:
    """Frequencies of the uncoupled bosons (40) of a 6 x 3 model with the third range as printed, and up to N + M."""
    rbm = RBM.random(6, 3, 0.8, 2)
    exact = np.linalg.eigvalsh(curvature_matrix(rbm, reference_point(rbm)).numpy()) / 2
    values = Modes.of(rbm).singular_values.numpy()
    paired = [*(2 - values / 2), *(2 + values / 2)]
    n_visible, n_hidden = rbm.n_visible, rbm.n_hidden
    printed = len(range(2 * n_hidden + 1, n_visible + 1))
    whole = np.sort([*paired, *[2.0] * len(range(2 * n_hidden + 1, n_visible + n_hidden + 1))])
    found = np.sort(boson_spectrum(rbm, coupled=False).frequencies)
    error = float(np.abs(whole - exact).max()) if whole.size == exact.size else math.inf
    ours = float(np.abs(found - exact).max()) if found.size == exact.size else math.inf
    words = (
        f"A 6 x 3 model has {exact.size} frequencies; the range 2M+1..N+M gives {whole.size} and fits within "
        f"{error:.1e}, the range 2M+1..N gives {len(paired) + printed}."
    )
    numbers = (Number("frequencies", exact.size), Number("frequencies with the printed range", len(paired) + printed))
    return Check(words, max(error, ours) < 1e-6 and len(paired) + printed != exact.size, numbers)


def weight_density(_evidence: Evidence | None = None) -> Check:
    """Variance of initial weights against the one that exp(-Tr WWᵀ) has, and exp(-Tr WWᵀ/2σ²)."""
    std = 0.01
    weights = RBM.random(300, 200, std, 4).weights.double()
    variance = float(weights.square().mean())
    error = variance * math.sqrt(2 / weights.numel())
    ours, printed = abs(variance - std**2) / error, abs(variance - 0.5) / error
    words = (
        f"60 000 initial weights with σ = {std:g} have the variance {variance:.3e} ± {error:.1e}; "
        f"exp(-Tr WWᵀ/2σ²) has {std**2:.0e} ({ours:.1f} standard errors off), exp(-Tr WWᵀ) has 0.5."
    )
    return Check(words, ours < 4 < printed, (Number("variance of the weights", variance, error),))


def _constraint_gradient(modes: Modes, centre: Tensor, shift: Tensor) -> Tensor:
    """∂V_const/∂z at centre + shift, of the exact saddle-point V_const = Σ s(m) + Σ s(n)."""
    z = (centre + shift).clone().requires_grad_(True)
    m, n = modes.restore(modes.from_z(z))
    (gradient,) = torch.autograd.grad(entropy_cost(m).sum() + entropy_cost(n).sum(), z)
    return gradient


def landau_multiplicity(_evidence: Evidence | None = None) -> Check:
    """Coefficients of (54) by differences of the exact constraint potential, about activities that differ from ½.

    The part of Γ that is quadratic in the other coordinates, averaged over independent fluctuations of variance s², is
    s² times the derivative sum ½ Σ k_ijj, in which the printed 1/6 lacks the three places that i can take; Ψ changes
    with the other coordinates by k_iiij/6, which the printed sum does not contain.
    """
    draw = Stream(3, "report/errata/landau").numpy()
    rbm = RBM(*(torch.from_numpy(draw.normal(0, 1, shape)) for shape in ((5, 4), (5,), (4,))))
    modes = Modes.of(rbm)
    m, n = torch.linspace(0.2, 0.75, 5, dtype=torch.float64), torch.linspace(0.3, 0.8, 4, dtype=torch.float64)
    at = modes.project(m, n)
    centre = torch.cat([at.u, at.w, at.x[modes.n_paired :], at.y[modes.n_paired :]])
    step, size = 1e-3, len(centre)
    basis = step * torch.eye(size, dtype=torch.float64)
    middle = _constraint_gradient(modes, centre, torch.zeros(size, dtype=torch.float64))
    second = [
        _constraint_gradient(modes, centre, move) + _constraint_gradient(modes, centre, -move) - 2 * middle
        for move in basis
    ]
    measured = float(sum(second[j][0] for j in range(1, size)) / (2 * step**2))
    with_s, without = (landau(rbm, 0, "u", (m, n), fluctuation=s2, modes=modes).gamma for s2 in (1.0, 0.0))
    ours = abs(measured - (with_s - without))
    printed = abs(measured - (with_s - without) / 3)
    # Third difference along u_0 at u_1 = ± step: its odd part is k_0001.
    sides = []
    for sign in (1, -1):
        at_side = sign * basis[1]
        ahead, back, here = (_constraint_gradient(modes, centre, at_side + k * basis[0])[0] for k in (1, -1, 0))
        sides.append(float(ahead + back - 2 * here) / step**2)
    slope = (sides[0] - sides[1]) / (2 * step)
    exact = ConstraintDerivatives(modes, m, n).element(("u", 0), ("u", 0), ("u", 0), ("u", 1))
    words = (
        f"½ Σ k_ijj by differences is {measured:.4f}: ours is off by {ours:.1e}, the printed sixth by {printed:.2f}. "
        f"The third derivative along u_1 changes with u_2 at the rate {slope:.3f}, k_iiij is {exact:.3f}."
    )
    numbers = (Number("Γ, quadratic part", measured), Number("rate of the third derivative", slope))
    fits = ours < 1e-3 * abs(measured) < printed and abs(slope - exact) < 1e-2 * abs(exact)
    return Check(words, fits, numbers)


def _parabola(stiffness: float, z: NDArray[np.float64]) -> NDArray[np.float64]:
    return stiffness * z**2 / 2


def eigenvalues_are_rates(_evidence: Evidence | None = None) -> Check:
    """Measured relaxation time of the mean of three Ornstein-Uhlenbeck modes, and their eigenvalues 𝓔."""
    energies, times = [], []
    for stiffness in (1.0, 2.0, 4.0):
        grid = np.linspace(-8.0, 8.0, 401) / math.sqrt(stiffness)
        system = FokkerPlanck1D(partial(_parabola, stiffness), grid)
        energies.append(float(system.energies[1]))
        shift = 1 / math.sqrt(stiffness)
        start = np.exp(-stiffness * (grid - shift) ** 2 / 2)
        density = system.evolve(start / np.trapezoid(start, grid), [0.0, 1 / stiffness])
        mean = [float(np.trapezoid(grid * row, grid)) for row in density]
        times.append((1 / stiffness) / math.log(mean[0] / mean[1]))
    products = [energy * time for energy, time in zip(energies, times, strict=True)]
    ratios = [energy / time for energy, time in zip(energies, times, strict=True)]
    words = (
        f"Eigenvalues {in_words([f'{value:.3f}' for value in energies])} have the measured relaxation times "
        f"{in_words([f'{value:.3f}' for value in times])}: their product is constant ({products[0]:.4f} to "
        f"{products[-1]:.4f}), their ratio goes from {ratios[0]:.2f} to {ratios[-1]:.2f}."
    )
    constant = max(products) - min(products) < 1e-2 * products[0]
    numbers = tuple(Number(f"relaxation time {k}", time) for k, time in enumerate(times))
    return Check(words, constant and ratios[-1] > 2 * ratios[0], numbers)
