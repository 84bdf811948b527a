"""Langevin dynamics: exact Ornstein-Uhlenbeck laws, the confined stationary density, instability, engines."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import chi2, norm

from rbmscape.diffusion.bosons import boson_spectrum
from rbmscape.diffusion.fokker_planck import FokkerPlanck1D
from rbmscape.diffusion.langevin import langevin, largest_stable_step
from rbmscape.diffusion.mean_field import mean_field
from rbmscape.diffusion.reflected_step import MARGIN, ReflectedIntegrator
from rbmscape.diffusion.relaxation import displacement_rate, growth_rate
from rbmscape.errors import InputError, ShapeError
from rbmscape.model.rbm import RBM
from rbmscape.rng import Stream

FALSE_ALARM = 1e-4
"""Probability that a correct implementation fails one family of comparisons (with other seeds; these are fixed)."""


def bound(n_comparisons: int) -> float:
    """|z| that n independent standard normals exceed with probability FALSE_ALARM."""
    return float(norm.isf(FALSE_ALARM / (2 * n_comparisons)))


def model(n_visible: int, n_hidden: int, top: float, seed: int = 0, biased: bool = False) -> RBM:
    generator = np.random.default_rng(seed)
    weights = generator.normal(0, 1, (n_visible, n_hidden))
    weights *= top / np.linalg.norm(weights, 2)
    shift = generator.normal(0, 0.5, n_visible + n_hidden) if biased else np.zeros(n_visible + n_hidden)
    return RBM(weights, -weights.sum(1) / 2 + shift[:n_visible], -weights.sum(0) / 2 + shift[n_visible:])


@pytest.mark.parametrize("beta", [1.0, 1.6])
def test_stable_gaussian_modes_have_the_theoretical_variance_and_rate(beta: float) -> None:
    """Var = D/(Γ), Γ = 2Dω of every u and w within the Bonferroni bound; the printed Γ = 𝓔/2D fails."""
    rbm = model(12, 9, top=2.0)
    n_chains = 8_000
    bosons = boson_spectrum(rbm, beta)
    displaced = (np.full(12, 0.5) + 0.6, np.full(9, 0.5) - 0.4)
    long = langevin(
        rbm,
        "gaussian",
        beta=beta,
        n_chains=n_chains,
        n_steps=10,
        dt=0.02,
        start=displaced,
        mode_indices=range(9),
        seed=1,
    )
    final = langevin(rbm, "gaussian", beta=beta, n_chains=n_chains, n_steps=1, dt=50.0, mode_indices=range(9), seed=2)
    scores, wrong = [], []
    for branch in ("u", "w"):
        for mode in range(9):
            rate = float(bosons.relaxation_rates[(bosons.branch == branch) & (bosons.index == mode)][0])
            energy = rate * beta / 2
            series = getattr(long, branch)[:, :, mode].numpy()
            centre = float(getattr(final, branch)[0, 0, mode])  # the reference, where the second run starts
            if abs(series[0, 0] - centre) > 0.3:
                estimate = displacement_rate(long.times.numpy(), series - centre)
                assert estimate.ess == n_chains  # independent chains
                scores.append(estimate.z_score(rate))
                wrong.append(estimate.z_score(energy * beta / 2))
            sample = getattr(final, branch)[-1, :, mode].numpy()
            expected = 1 / (beta * rate)
            scores.append((sample.var(ddof=1) / expected - 1) / math.sqrt(2 / (n_chains - 1)))
    assert len(scores) > 22
    assert np.abs(scores).max() < bound(len(scores))
    assert float(np.sum(np.square(scores))) < chi2.isf(FALSE_ALARM, len(scores))
    assert float(np.sum(np.square(wrong))) > 100 * chi2.isf(FALSE_ALARM, len(wrong))  # negative control: Γ = 𝓔/2D


def test_unstable_modes_spread_at_the_predicted_rate() -> None:
    """λ > 4/β: growth rate |4/β - λ| within 2 % and 4 standard errors, from the spread and from a displacement."""
    rbm = model(14, 10, top=9.0)
    singular_values = np.linalg.svd(rbm.weights.numpy(), compute_uv=False)
    assert (singular_values > 4).sum() >= 2
    run = langevin(rbm, "gaussian", n_chains=20_000, n_steps=8, dt=0.25, mode_indices=range(2), seed=3)
    for mode in range(2):
        expected = singular_values[mode] - 4
        estimate = growth_rate(run.times, run.u[:, :, mode].numpy(), run.diffusion)
        assert estimate.value == pytest.approx(expected, rel=0.02)
        assert abs(estimate.z_score(expected)) < 4
    shifted = langevin(
        rbm,
        "gaussian",
        n_chains=20_000,
        n_steps=4,
        dt=0.1,
        start=(np.full(14, 3.5), np.full(10, 3.5)),
        mode_indices=range(1),
        seed=4,
    )
    displacement = shifted.u[:, :, 0].numpy() - float(run.u[0, 0, 0])
    if abs(displacement[0, 0]) > 1:
        estimate = displacement_rate(shifted.times, displacement)
        assert estimate.value == pytest.approx(4 - singular_values[0], rel=0.02)


def test_gaussian_dynamics_around_a_mean_field_solution() -> None:
    """Covariance (A/β)⁻¹/β of all bits at a general reference, and its mean stays at the solution."""
    rbm = model(6, 5, top=3.0, biased=True)
    solution = mean_field(rbm)
    n_chains = 40_000
    run = langevin(rbm, "gaussian", reference=solution, n_chains=n_chains, n_steps=1, dt=60.0, mode_indices=[0], seed=5)
    bits = torch.cat([run.m, run.n], 1).numpy()
    bosons = boson_spectrum(rbm, 1.0, solution)
    covariance = bosons.vectors.T.numpy() @ np.diag(1 / (2 * bosons.frequencies)) @ bosons.vectors.numpy()
    error = np.sqrt((np.outer(np.diag(covariance), np.diag(covariance)) + covariance**2) / n_chains)
    assert np.abs((np.cov(bits.T) - covariance) / error).max() < bound(66)
    centre = torch.cat([solution.m, solution.n]).numpy()
    assert np.abs((bits.mean(0) - centre) / np.sqrt(np.diag(covariance) / n_chains)).max() < bound(11)


def single_bit_moments(field: float) -> tuple[float, float]:
    def weight(m: float) -> float:
        return math.exp(field * m - m * math.log(m) - (1 - m) * math.log1p(-m) - max(field, 0))

    mass = quad(weight, 0, 1)[0]
    mean = quad(lambda m: m * weight(m), 0, 1)[0] / mass
    return mean, quad(lambda m: (m - mean) ** 2 * weight(m), 0, 1)[0] / mass


FIELDS = np.array([0.0, 1.0, 3.0, 6.0, 10.0, -4.0, -8.0])


def confined_scores(update, n_chains: int = 12_000) -> np.ndarray:
    """z-scores of mean and variance of free bits in fields after relaxation with a given step."""
    rbm = RBM(np.full((7, 1), 1e-9), FIELDS, np.zeros(1))
    m, n = torch.rand(n_chains, 7, generator=torch.Generator().manual_seed(0)), torch.full((n_chains, 1), 0.5)
    m.clamp_(MARGIN, 1 - MARGIN)
    update(rbm, m, n)
    truth = np.array([single_bit_moments(field) for field in FIELDS])
    values = m.numpy().astype(np.float64)
    mean, variance = values.mean(0), values.var(0)
    fourth = ((values - mean) ** 4).mean(0)
    return np.concatenate(
        [
            (mean - truth[:, 0]) / np.sqrt(variance / n_chains),
            (variance - truth[:, 1]) / np.sqrt((fourth - variance**2) / n_chains),
        ]
    )


def test_confined_bits_have_the_stationary_density_walls_included() -> None:
    """Mean and variance of exp(hm - s(m)) for fields up to 10 at the default step; projecting onto walls fails."""

    def reflected(rbm: RBM, m: torch.Tensor, n: torch.Tensor) -> None:
        integrator = ReflectedIntegrator(rbm, m, n, 1.0, 1.0, 0.1 * largest_stable_step(rbm), Stream(1, "test"))
        for step in range(130):
            integrator.advance(step)

    def projected(rbm: RBM, m: torch.Tensor, n: torch.Tensor) -> None:
        dt, generator = 0.1 * largest_stable_step(rbm), torch.Generator().manual_seed(2)
        for _ in range(130):
            noise = math.sqrt(2 * dt) * torch.randn(m.shape, generator=generator)
            m.add_(dt * (rbm.visible_bias.float() - torch.logit(m)) + noise).clamp_(MARGIN, 1 - MARGIN)

    scores = confined_scores(reflected)
    assert np.abs(scores).max() < bound(scores.size)
    assert np.abs(confined_scores(projected)).max() > 10  # negative control


def test_confined_relaxation_agrees_with_the_one_dimensional_operator() -> None:
    """The mean of free bits from a displaced start against P(m, t) of the Fokker-Planck equation, at several times."""
    rbm = RBM(np.full((40, 1), 1e-9), np.full(40, 2.0), np.zeros(1))
    run = langevin(
        rbm,
        n_chains=1000,
        n_steps=60,
        start=(np.full(40, 0.2), np.full(1, 0.5)),
        mode_indices=[0],
        n_snapshots=4,
        n_kept=1000,
        seed=6,
    )
    grid = np.linspace(1e-6, 1 - 1e-6, 41)
    operator = FokkerPlanck1D(lambda m: m * np.log(m) + (1 - m) * np.log1p(-m) - 2.0 * m, grid, order=6)
    times = run.snapshot_times.numpy()
    density = operator.evolve(lambda m: np.exp(-((m - 0.2) ** 2) / (2 * 0.01**2)), times)
    expected = np.trapezoid(density * grid, grid, axis=1) / np.trapezoid(density, grid, axis=1)
    spread = np.trapezoid(density * grid**2, grid, axis=1) / np.trapezoid(density, grid, axis=1) - expected**2
    measured = run.snapshots_m.numpy().reshape(len(times), -1).mean(1)
    late = times > 0.05
    scores = (measured - expected)[late] / np.sqrt(spread[late] / 40_000)
    assert late.sum() >= 2
    assert np.abs(scores).max() < bound(scores.size) + 1.0  # one standard error for the step's bias
    assert np.abs((measured[0] - expected[-1]) / math.sqrt(spread[-1] / 40_000)) > 50


def test_fused_and_reference_steps_agree() -> None:
    rbm = model(300, 70, top=6.0, biased=True)
    start = torch.rand(19, 370, generator=torch.Generator().manual_seed(1)).clamp_(MARGIN, 1 - MARGIN)
    layers = []
    for dtype in (torch.float32, torch.float64):
        m, n = start[:, :300].to(dtype, copy=True), start[:, 300:].to(dtype, copy=True)
        integrator = ReflectedIntegrator(rbm, m, n, 1.3, 0.8, 0.02, Stream(3, "test"))
        for step in range(3):
            integrator.advance(step)
        layers.append(torch.cat([m, n], 1).double())
    torch.testing.assert_close(layers[0], layers[1], rtol=0, atol=2e-5)
    assert float((layers[1] - start.double()).abs().mean()) > 0.05


def test_chains_do_not_depend_on_their_number_and_seeds_matter() -> None:
    rbm = model(20, 10, top=5.0)
    few, many = (langevin(rbm, n_chains=k, n_steps=20, seed=7, start="random") for k in (8, 24))
    torch.testing.assert_close(few.m, many.m[:8], rtol=0, atol=1e-5)
    other = langevin(rbm, n_chains=8, n_steps=20, seed=8, start="random")
    assert float((few.m - other.m).abs().max()) > 0.1


def test_confined_diffusion_stays_where_the_gaussian_one_explodes() -> None:
    """The paper's prediction: a mode above 4/β has no Gaussian stationary state, the full potential confines it."""
    rbm = model(30, 20, top=8.0)
    diagonal = math.sqrt(50)
    gaussian = langevin(rbm, "gaussian", n_chains=200, n_steps=20, dt=0.1, mode_indices=[0])
    confined = langevin(rbm, "entropic", n_chains=200, n_steps=400, record_every=100, mode_indices=[0])
    assert float(gaussian.u.abs().max()) > 10 * diagonal
    assert float(confined.m.min()) > 0
    assert float(confined.m.max()) < 1
    assert float((confined.u - confined.u[0]).abs().max()) < diagonal


def test_snapshots_and_records() -> None:
    rbm = model(10, 6, top=3.0)
    run = langevin(rbm, n_chains=50, n_steps=100, record_every=25, n_snapshots=5, n_kept=3, mode_indices=[1, 4])
    assert run.u.shape == (5, 50, 2)
    np.testing.assert_allclose(run.times, np.array([0, 25, 50, 75, 100]) * run.dt)
    assert run.snapshots_m.shape[1:] == (3, 10)
    torch.testing.assert_close(run.snapshots_m[-1], run.m[:3])
    assert run.snapshot_times[0] == 0


def test_bad_input() -> None:
    rbm = model(10, 6, top=3.0)
    limit = largest_stable_step(rbm, 2.0)
    assert limit == pytest.approx(min(2 / (2 + 3.0), 2 / 8))
    with pytest.raises(InputError, match=f"largest stable step is {limit:.4g}"):
        langevin(rbm, beta=2.0, dt=1.01 * limit)
    with pytest.raises(InputError, match="dt must be finite and above 0"):
        langevin(rbm, dt=-0.1)
    with pytest.raises(InputError, match="beta must be finite"):
        langevin(rbm, beta=0.0)
    with pytest.raises(InputError, match="outside the cube in m"):
        langevin(rbm, start=(np.full(10, 1.2), np.full(6, 0.5)))
    with pytest.raises(ShapeError):
        langevin(rbm, start=(np.full((3, 10), 0.5), np.full(6, 0.5)))
    with pytest.raises(InputError, match="start must be"):
        langevin(rbm, start="nowhere")
    with pytest.raises(InputError, match="mode 6 does not exist"):
        langevin(rbm, mode_indices=[6])
    with pytest.raises(InputError, match="potential must be one of"):
        langevin(rbm, "quartic")
    with pytest.raises(InputError, match="would grow by"):
        langevin(model(10, 6, top=9.0), "gaussian", n_steps=1000, dt=1.0)
    flat = RBM(np.zeros((4, 3)), np.zeros(4), np.zeros(3))
    with pytest.raises(InputError, match="singular value 0"):
        langevin(flat)
    assert langevin(flat, mode_indices=[], n_chains=4, n_steps=3).m.shape == (4, 4)
