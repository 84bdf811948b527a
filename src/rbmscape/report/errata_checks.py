"""Measured evidence for each erratum: small computations with fixed seeds that tell the printed form from ours.

Each function returns a `Check`, whose ``agrees`` is true only where the numbers fit the implemented form and exclude
the printed one.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.linalg import eigh_tridiagonal

from rbmscape.diffusion.bosons import boson_spectrum, schrodinger_matrix
from rbmscape.diffusion.constraint import ConstraintDerivatives
from rbmscape.diffusion.langevin import langevin
from rbmscape.diffusion.relaxation import displacement_rate
from rbmscape.kernels.select import select_engine
from rbmscape.likelihood.annealing import anneal, anneal_back
from rbmscape.likelihood.path import AnnealingPath
from rbmscape.likelihood.schedules import uniform_schedule
from rbmscape.model.exact import binary_states, exact_log_partition, exact_samples
from rbmscape.model.rbm import RBM
from rbmscape.reciprocal.gaussianity import haar_kurtosis, kurtosis
from rbmscape.reciprocal.modes import Modes
from rbmscape.report.findings import Check, Number
from rbmscape.report.rules import in_words, normal_threshold
from rbmscape.rng import Stream
from rbmscape.stats import Estimate, mean_estimate
from rbmscape.symmetry.landau import DEFAULT_FLUCTUATION

if TYPE_CHECKING:
    from rbmscape.report.evidence import Evidence

__all__ = [
    "ais_directions",
    "boson_matrix",
    "constraint_inverse",
    "fluctuation_variance",
    "gaussian_norm",
    "kurtosis_per_layer",
    "relaxation_rate",
    "rotation_signs",
    "training_methods",
    "unpaired_centre",
    "unstable_spectrum",
    "visible_conditional",
]

_ROUNDING = 1e-9


def _small(n_visible: int = 6, n_hidden: int = 4, std: float = 1.0, seed: int = 5) -> RBM:
    """A model with normal parameters, float64."""
    draw = Stream(seed, "report/errata").numpy()
    shapes = ((n_visible, n_hidden), (n_visible,), (n_hidden,))
    return RBM(*(torch.from_numpy(draw.normal(scale=std, size=shape)) for shape in shapes))


def rotation_signs(_evidence: Evidence | None = None) -> Check:
    """Energy from (19) with u and w by (18), and by the combinations printed in (22)."""
    rbm = _small()
    modes = Modes.of(rbm)
    v, h = binary_states(rbm.n_visible), binary_states(rbm.n_hidden)
    v, h = v.repeat_interleave(len(h), 0).double(), h.repeat(len(v), 1).double()
    at, energy, paired = modes.project(v, h), rbm.energy(v, h), modes.n_paired
    rest = energy - modes.mode_energies(at)[:, :paired].sum(1)

    def error(u: torch.Tensor, w: torch.Tensor) -> float:
        rebuilt = modes.saddle_energy - modes.singular_values / 2 * (u**2 - w**2)
        return float((rebuilt.sum(1) + rest - energy).abs().max())

    ours, printed = error(at.u, at.w), error(-at.w, at.u)  # (22) has u ∝ x - y and w ∝ x + y
    words = (
        f"Largest error of the energy over all states of a 6 x 4 model: {ours:.1e} with (18), {printed:.2f} with (22)."
    )
    numbers = (Number("energy error, (18)", ours, unit="k_B T"), Number("energy error, (22)", printed, unit="k_B T"))
    return Check(words, ours < _ROUNDING < printed, numbers)


def relaxation_rate(_evidence: Evidence | None = None) -> Check:
    """Measured relaxation rate of an Ornstein-Uhlenbeck mode against ours, 2D𝓔, and 𝓔/2D."""
    rbm = RBM.random(12, 8, 0.5, 3)
    modes = Modes.of(rbm)
    start = (
        torch.full((12,), 0.5).double() + 6 * modes.left[:, 0],
        torch.full((8,), 0.5).double() + 6 * modes.right[:, 0],
    )
    run = langevin(
        rbm, "gaussian", n_chains=4000, n_steps=10, dt=0.05, start=start, mode_indices=[0], modes=modes, seed=1
    )
    stiffness = 4.0 - float(modes.singular_values[0])
    centre = 4.0 * float(modes.random_state_mean().u[0]) / stiffness
    rate = displacement_rate(run.times, run.u[:, :, 0].cpu().numpy() - centre)
    bosons = boson_spectrum(rbm, modes=modes)
    (mode,) = np.flatnonzero((bosons.branch == "u") & (bosons.index == 0))
    energy = float(bosons.frequencies[mode])
    ours, printed = abs(rate.z_score(float(bosons.relaxation_rates[mode]))), abs(rate.z_score(energy / 2.0))
    limit = normal_threshold()
    words = (
        f"Measured rate {rate}; 2D𝓔 = {2 * energy:.3f} ({ours:.1f} standard errors off), 𝓔/2D = {energy / 2:.3f} "
        f"({printed:.0f} off)."
    )
    return Check(words, ours <= limit < printed, (Number.of("relaxation rate", rate, "1/time"),))


def unpaired_centre(_evidence: Evidence | None = None) -> Check:
    """Slope of the quadratic U_eff at the centre of an unpaired coordinate by (41), with a_i and with a0_i."""
    rbm = _small(6, 3)
    modes = Modes.of(rbm)
    mu = modes.random_state_mean().x
    slopes = {}
    for name, bias in (("ours", modes.visible_bias), ("printed", rbm.visible_bias.double())):
        centre = mu + bias / 4.0  # β/2ω = 1/4
        point = torch.zeros(9, dtype=torch.float64)
        point[6:] = centre[3:]
        point.requires_grad_(True)
        v, h = modes.restore(modes.from_z(point))
        potential = rbm.energy(v, h) + 2.0 * (point[6:] - mu[3:]).square().sum()
        (gradient,) = torch.autograd.grad(potential, point)
        slopes[name] = float(gradient[6:].abs().max())
    words = (
        f"Largest slope of the quadratic potential at the printed centre: {slopes['printed']:.2f}, with a0: "
        f"{slopes['ours']:.1e}. A 6 x 3 model has 9 coordinates; the printed range 7..6 leaves out all 3 unpaired ones."
    )
    numbers = (Number("slope with a", slopes["printed"]), Number("slope with a0", slopes["ours"]))
    return Check(words, slopes["ours"] < _ROUNDING < slopes["printed"], numbers)


def boson_matrix(_evidence: Evidence | None = None) -> Check:
    """The printed matrix (44), its symmetric part, and (A/2)²."""
    rbm = _small(6, 4)
    modes = Modes.of(rbm)
    activity = [torch.linspace(0.15, 0.8, n, dtype=torch.float64) for n in (6, 4)]
    k = ConstraintDerivatives(modes, *activity).hessian()
    shift = np.concatenate([modes.singular_values.numpy(), -modes.singular_values.numpy(), np.zeros(2)])
    omega = (np.diag(k) - shift) / 2.0
    off = k - np.diag(np.diag(k))
    printed = np.diag(omega**2) + omega[:, None] * off + off @ off / 4.0
    exact = schrodinger_matrix(torch.from_numpy(k - np.diag(shift))).numpy()
    asymmetry = float(np.abs(printed - printed.T).max())
    residual = float(np.abs((printed + printed.T) / 2.0 - exact).max())
    words = (
        f"Largest |M - Mᵀ| of the printed matrix: {asymmetry:.2f}; its symmetric part equals (A/2)² within "
        f"{residual:.1e}."
    )
    numbers = (Number("largest asymmetry of (44)", asymmetry), Number("symmetric part against (A/2)²", residual))
    return Check(words, residual < _ROUNDING < asymmetry, numbers)


def gaussian_norm(_evidence: Evidence | None = None) -> Check:
    """Integral of (45) over N + M = 3 coordinates with K = 4, for both powers of 2π."""
    axis = np.linspace(-5.0, 5.0, 401)
    single = float(np.exp(-2.0 * axis**2).sum() * (axis[1] - axis[0]))  # trapezoid; the ends are below 1e-21
    whole = single**3 * math.sqrt(4.0**3)
    ours, printed = whole / (2 * math.pi) ** 1.5, whole / (2 * math.pi)
    words = (
        f"For N = 2, M = 1, K = 4: the integral is {ours:.6f} with (2π)^((N+M)/2) and {printed:.4f} with (2π)^(N/2)."
    )
    numbers = (Number("integral, (N+M)/2", ours), Number("integral, N/2", printed))
    return Check(words, abs(ours - 1) < 1e-6 < abs(printed - 1), numbers)


def _reciprocal_covariance(rbm: RBM, modes: Modes) -> np.ndarray[Any, Any]:
    """Covariance of z over all binary states, each equally likely."""
    states = list(itertools.product(binary_states(rbm.n_visible), binary_states(rbm.n_hidden)))
    at = modes.project(torch.stack([v for v, _ in states]), torch.stack([h for _, h in states]))
    z = torch.cat([at.u, at.w, at.x[:, modes.n_paired :]], dim=1).numpy()
    return np.asarray(np.cov(z.T, bias=True))


def constraint_inverse(_evidence: Evidence | None = None) -> Check:
    """Covariance of independent biased bits in reciprocal coordinates against the inverse of k and against 1/k_ij."""
    rbm = _small(4, 3)
    modes = Modes.of(rbm)
    m, n = (torch.linspace(0.2, 0.9, size, dtype=torch.float64) for size in (4, 3))
    k = ConstraintDerivatives(modes, m, n).hessian("x")
    covariance = (modes.left.mT @ torch.diag(m * (1 - m)) @ modes.left).numpy()
    ours = float(np.abs(np.linalg.inv(k) - covariance).max())
    with np.errstate(divide="ignore"):
        printed = float(np.abs(1.0 / k - covariance).max())
    words = f"Largest deviation from the exact covariance: {ours:.1e} for (k⁻¹)_ij, {printed:.2f} for 1/k_ij."
    numbers = (Number("deviation of the inverse", ours), Number("deviation of 1/k_ij", printed))
    return Check(words, ours < _ROUNDING < printed, numbers)


def fluctuation_variance(_evidence: Evidence | None = None) -> Check:
    """Variance of every reciprocal coordinate over all states of a small model."""
    rbm = _small(5, 3)
    covariance = _reciprocal_covariance(rbm, Modes.of(rbm))
    deviation = float(np.abs(covariance - 0.25 * np.eye(len(covariance))).max())
    variance = float(np.diag(covariance).mean())
    words = f"Over all states of a 5 x 3 model the covariance of z is {variance:.4f} δ_kl within {deviation:.1e}."
    agrees = deviation < _ROUNDING and abs(DEFAULT_FLUCTUATION - variance) < _ROUNDING
    return Check(words, agrees, (Number("mean variance", variance),))


def unstable_spectrum(_evidence: Evidence | None = None) -> Check:
    """Lowest eigenvalues of p²/2 + ω²ζ²/2 - ω/2 with ω = -1, by finite differences."""
    omega, n = -1.0, 2001
    grid = np.linspace(-10.0, 10.0, n)
    step = grid[1] - grid[0]
    diagonal = 1.0 / step**2 + 0.5 * omega**2 * grid**2 - 0.5 * omega
    found = eigh_tridiagonal(
        diagonal, np.full(n - 1, -0.5 / step**2), select="i", select_range=(0, 3), eigvals_only=True
    )
    levels = np.arange(4)
    ours, printed = (float(np.abs(found - law).max()) for law in (abs(omega) * (levels + 1), omega * levels))
    words = (
        f"Lowest levels for ω = -1: {in_words([f'{value:.3f}' for value in found])}; |ω|(n + 1) fits within "
        f"{ours:.1e}, "
        f"the printed ωn is off by up to {printed:.1f}."
    )
    return Check(words, ours < 1e-3 < printed, tuple(Number(f"level {k}", float(v)) for k, v in enumerate(found)))


def visible_conditional(_evidence: Evidence | None = None) -> Check:
    """p(v_i = 1 | h) by enumeration against σ(Wh + a) and σ(Wh + b), N = M."""
    rbm = _small(5, 5)
    v = binary_states(5).double()
    h = torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0], dtype=torch.float64)
    weights = torch.softmax(-rbm.energy(v, h.expand(len(v), -1)), 0)
    exact = weights @ v
    ours = float((rbm.visible_probability(h) - exact).abs().max())
    printed = float((torch.sigmoid(rbm.weights @ h + rbm.hidden_bias) - exact).abs().max())
    words = f"Largest error of p(v_i = 1 | h) in a 5 x 5 model: {ours:.1e} with a, {printed:.2f} with b."
    return Check(words, ours < 1e-6 < printed, (Number("error with a", ours), Number("error with b", printed)))


def ais_directions(_evidence: Evidence | None = None) -> Check:
    """Mean of ln w, forward and backward, minus the exact ln Z of an enumerable model (few temperatures)."""
    rbm = _small(24, 9, 1.2, seed=2)
    exact, stream = exact_log_partition(rbm), Stream(11, "report/errata/ais")
    samples = exact_samples(rbm, 4000, seed=3)[0].to(torch.uint8)
    path = AnnealingPath.fit(rbm, samples[:500])
    schedule = uniform_schedule(4)
    annealer = select_engine("cpu", "fp32").annealer()
    forward = anneal(path, schedule, 4000, stream.child("ahead"), annealer).log_weights
    backward = anneal_back(path, schedule, samples, stream.child("back"), annealer).log_weights
    ahead, back = (mean_estimate(np.asarray(values) - exact) for values in (forward, backward))
    ahead, back = Estimate(ahead.value, ahead.stderr), Estimate(back.value, back.stderr)
    limit = normal_threshold(2)
    words = f"Mean of ln w minus the exact ln Z over 4000 chains: AIS {ahead}, reverse AIS {back} nats."
    agrees = ahead.value < -limit * ahead.stderr and back.value > limit * back.stderr
    return Check(words, agrees, (Number.of("AIS minus exact ln Z", ahead, "nat"),
                                 Number.of("reverse AIS minus exact ln Z", back, "nat")))  # fmt: skip


def kurtosis_per_layer(_evidence: Evidence | None = None) -> Check:
    """Mean exact kurtosis of both layers at fixed N and growing M."""
    n_visible, sizes = 100, (50, 100, 200)
    found = [kurtosis(RBM.random(n_visible, m, 0.01, m)) for m in sizes]
    paired = [min(n_visible, m) for m in sizes]  # the vectors beyond have no singular value and are arbitrary
    hidden = [float(one.y[:count].mean()) for one, count in zip(found, paired, strict=True)]
    visible = [float(one.x[:count].mean()) for one, count in zip(found, paired, strict=True)]
    off = max(abs(value - float(haar_kurtosis(m))) for value, m in zip(hidden, sizes, strict=True))
    still = max(abs(value - float(haar_kurtosis(n_visible))) for value in visible)
    words = (
        f"N = {n_visible}, M = {in_words([str(m) for m in sizes])}: hidden layer "
        f"{in_words([f'{v:.4f}' for v in hidden])} "
        f"(3 - 6/(M + 2) within {off:.4f}), visible layer {in_words([f'{v:.4f}' for v in visible])} whatever M."
    )
    moved = hidden[-1] - hidden[0]
    numbers = (Number("largest deviation, hidden layer", off), Number("largest deviation, visible layer", still))
    return Check(words, off < 0.01 and still < 0.01 < moved, numbers)


def training_methods(evidence: Evidence | None = None) -> Check:
    """Which of Rdm-K, CD and PCD the study trained."""
    trained = {config.method for config in evidence.recipes.values()} if evidence is not None else set()
    missing = [name for name in ("rdm", "cd", "pcd") if name not in trained]
    names = in_words(sorted(trained)) or "none"
    words = f"Methods trained in this study: {names}" + (f"; missing: {in_words(missing)}." if missing else ".")
    return Check(words, not missing, (Number("methods trained", len(trained), unit="methods"),))
