"""The one-dimensional Fokker-Planck operator against Hermite levels, Kramers' rate and Ornstein-Uhlenbeck."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import eval_hermite

from rbmscape.diffusion.fokker_planck import FokkerPlanck1D
from rbmscape.errors import InputError, ShapeError


def harmonic(stiffness: float, beta: float, n_points: int = 45, order: int = 8) -> FokkerPlanck1D:
    width = 11 / math.sqrt(beta * stiffness)
    return FokkerPlanck1D(lambda z: stiffness * z**2 / 2, np.linspace(-width, width, n_points), beta, order=order)


@pytest.mark.parametrize(("stiffness", "beta"), [(3.0, 1.0), (3.0, 0.5), (0.7, 2.0)])
def test_harmonic_levels_and_hermite_functions(stiffness: float, beta: float) -> None:
    """𝓔_n = n ω with ω = β·stiffness/2 (48) and ψ_n Hermite functions of frequency ω, to 1e-8."""
    operator, omega = harmonic(stiffness, beta), beta * stiffness / 2
    np.testing.assert_allclose(operator.energies[:9], omega * np.arange(9), atol=1e-8)
    np.testing.assert_allclose(operator.relaxation_rates[:9], stiffness * np.arange(9), atol=1e-7)
    xi = math.sqrt(omega) * operator.grid
    for n in range(5):
        norm = (omega / math.pi) ** 0.25 / math.sqrt(2.0**n * math.factorial(n))
        expected = norm * eval_hermite(n, xi) * np.exp(-(xi**2) / 2)
        np.testing.assert_allclose(operator.eigenfunctions[n], expected, atol=1e-8)


def test_relaxation_rate_is_twice_d_times_the_energy_not_the_printed_one() -> None:
    """Errata: an Ornstein-Uhlenbeck mean decays with Γ = 2D𝓔 = stiffness; 𝓔/2D would be a quarter of it at β = 1."""
    operator = harmonic(3.0, 1.0)
    times = np.array([0.0, 0.2, 0.5])
    p = operator.evolve(lambda z: np.exp(-((z - 0.5) ** 2) / 0.1), times)
    means = np.trapezoid(p * operator.grid, operator.grid, axis=1)
    measured = -np.log(means[1:] / means[0]) / times[1:]
    np.testing.assert_allclose(measured, 3.0, rtol=1e-3)
    energy, diffusion = operator.energies[1], operator.diffusion
    np.testing.assert_allclose(measured, 2 * diffusion * energy, rtol=1e-3)
    assert np.all(np.abs(measured / (energy / (2 * diffusion)) - 1) > 2)


def test_evolution_is_the_ornstein_uhlenbeck_transition_density() -> None:
    stiffness, beta, mean, variance = 2.0, 1.5, 0.6, 0.02
    operator = harmonic(stiffness, beta)
    for time in (0.1, 0.7):
        decay = math.exp(-stiffness * time)
        spread = variance * decay**2 + (1 - decay**2) / (beta * stiffness)
        p = operator.evolve(lambda z: np.exp(-((z - mean) ** 2) / (2 * variance)), [time])[0]
        expected = np.exp(-((operator.grid - mean * decay) ** 2) / (2 * spread)) / math.sqrt(2 * math.pi * spread)
        np.testing.assert_allclose(p, expected, atol=1e-6)
    np.testing.assert_allclose(operator.autocorrelation([0.0, 0.3]), [1.0, math.exp(-0.6)], rtol=1e-8)
    assert operator.moment(2) == pytest.approx(1 / (beta * stiffness), rel=1e-9)


def test_unstable_mode_has_the_spectrum_of_the_mirrored_oscillator() -> None:
    """Errata after (48): with ω < 0 the levels are |ω|(n + 1), not negative; the stationary state is lost."""
    omega = -1.5
    operator = FokkerPlanck1D(lambda z: omega * z**2, np.linspace(-6, 6, 61), order=8, walls="absorbing")
    np.testing.assert_allclose(operator.energies[:5], abs(omega) * (np.arange(5) + 1), atol=1e-8)
    assert not operator.stationary.any()


@pytest.mark.parametrize("barrier", [6.0, 12.0, 30.0])
def test_double_well_gap_is_kramers(barrier: float) -> None:
    """Γ_1 = 2k, k = sqrt(U''(1)|U''(0)|)/2π e^{-ΔU}, up to O(1/ΔU); a gap of 1e-12 keeps its digits."""
    operator = FokkerPlanck1D(lambda z: barrier * (z**2 - 1) ** 2, np.linspace(-1.6, 1.6, 31), order=6)
    kramers = 2 * math.sqrt(8 * barrier * 4 * barrier) / (2 * math.pi) * math.exp(-barrier)
    gap = operator.relaxation_rates[1]
    assert gap == pytest.approx(kramers, rel=0.45 / barrier)
    # sharper oracle, next order in the barrier: 1/k = ∫ρ dz ∫ e^{U} dz over one well and the barrier
    weight = quad(lambda z: math.exp(-barrier * (z**2 - 1) ** 2), -1.6, 1.6, limit=200)[0] / 2
    hill = quad(lambda z: math.exp(barrier * ((z**2 - 1) ** 2 - 1)), -0.9, 0.9, limit=200)[0]
    assert gap == pytest.approx(2 / (weight * hill) * math.exp(-barrier), rel=0.12 / barrier)


def test_stationary_density_and_conservation_of_mass() -> None:
    operator = FokkerPlanck1D(lambda z: 3 * z**4 - z**2 + 0.4 * z, np.linspace(-2, 2, 41), beta=1.2)
    z, p = operator.grid, operator.stationary
    weight = np.exp(-1.2 * (3 * z**4 - z**2 + 0.4 * z))
    mass = quad(lambda s: math.exp(-1.2 * (3 * s**4 - s**2 + 0.4 * s)), -2, 2)[0]
    np.testing.assert_allclose(p, weight / mass, rtol=1e-7)
    evolved = operator.evolve(lambda s: (np.abs(s - 0.5) < 0.2).astype(float), [0.0, 0.05, 50.0])
    np.testing.assert_allclose(evolved[-1], p, atol=1e-9)
    assert operator.relaxation_rates[0] == pytest.approx(0, abs=1e-12)
    start = np.exp(-((z - 0.3) ** 2) / 0.02)
    np.testing.assert_allclose(operator.evolve(start, [50.0])[0], p, atol=1e-9)


def test_twenty_thousand_nodes_have_the_harmonic_levels() -> None:
    """As the dense solution does it at 353 nodes, to the same digits, with the same eigenfunctions and evolution."""
    operator = harmonic(3.0, 0.5, n_points=5001, order=4)
    assert operator.nodes.size == 20_001
    np.testing.assert_allclose(operator.energies[:9], 0.75 * np.arange(9), atol=1e-8)
    assert operator.energies.shape == (64,)
    xi = math.sqrt(0.75) * operator.grid
    for n in range(5):
        norm = (0.75 / math.pi) ** 0.25 / math.sqrt(2.0**n * math.factorial(n))
        expected = norm * eval_hermite(n, xi) * np.exp(-(xi**2) / 2)
        np.testing.assert_allclose(operator.eigenfunctions[n], expected, atol=1e-8)
    for time in (0.002, 0.1, 0.7, 30.0):
        decay = math.exp(-3.0 * time)
        spread = 0.02 * decay**2 + (1 - decay**2) / 1.5
        p = operator.evolve(lambda z: np.exp(-((z - 0.6) ** 2) / 0.04), [time])[0]
        expected = np.exp(-((operator.grid - 0.6 * decay) ** 2) / (2 * spread)) / math.sqrt(2 * math.pi * spread)
        np.testing.assert_allclose(p, expected, atol=1e-9)
    np.testing.assert_allclose(operator.autocorrelation([[0.0], [0.3]]), [[1.0], [math.exp(-0.9)]], rtol=1e-10)


@pytest.mark.parametrize("walls", ["reflecting", "absorbing"])
def test_few_levels_are_the_lowest_of_all(walls) -> None:
    """The banded solution against the dense one, on 401 nodes of a lopsided double well."""

    def potential(z):
        return 8 * (z**2 - 1) ** 2 + 0.7 * z

    grid = np.linspace(-1.7, 1.7, 101)
    dense, banded = (FokkerPlanck1D(potential, grid, 1.3, walls=walls, n_levels=n) for n in (None, 20))
    np.testing.assert_allclose(banded.relaxation_rates[1:], dense.relaxation_rates[1:20], rtol=1e-9)
    assert banded.relaxation_rates[0] == pytest.approx(dense.relaxation_rates[0], rel=1e-9, abs=1e-20)
    np.testing.assert_allclose(banded.eigenfunctions, dense.eigenfunctions[:20], atol=1e-8)
    start = np.exp(-((grid + 0.9) ** 2) / 0.01)
    times = [0.0, 1e-4, 0.02, 1.0, 1e4]
    np.testing.assert_allclose(banded.evolve(start, times), dense.evolve(start, times), atol=1e-9)


@pytest.mark.parametrize("barrier", [6.0, 30.0])
def test_an_exponentially_small_gap_keeps_its_digits_on_a_fine_grid(barrier: float) -> None:
    """Γ_1 down to 5e-12 and the level above it, against 181 nodes of order 6 solved densely."""
    coarse = FokkerPlanck1D(lambda z: barrier * (z**2 - 1) ** 2, np.linspace(-1.6, 1.6, 31), order=6)
    fine = FokkerPlanck1D(lambda z: barrier * (z**2 - 1) ** 2, np.linspace(-1.6, 1.6, 5001))
    np.testing.assert_allclose(fine.relaxation_rates[1:6], coarse.relaxation_rates[1:6], rtol=1e-7)
    half = math.log(2) / fine.relaxation_rates[1]
    right = fine.evolve(lambda z: np.exp(-((z - 0.9) ** 2) / 0.01), [half])[0]
    assert np.trapezoid(right[fine.grid > 0], fine.grid[fine.grid > 0]) == pytest.approx(0.75, abs=1e-3)


def test_tabulated_potential_is_interpolated() -> None:
    grid = np.linspace(-5, 5, 81)
    np.testing.assert_allclose(FokkerPlanck1D(grid**2, grid).relaxation_rates[:4], [0, 2, 4, 6], atol=1e-6)


def test_bad_input() -> None:
    grid = np.linspace(-1, 1, 11)
    with pytest.raises(InputError, match="beta must be finite"):
        FokkerPlanck1D(grid**2, grid, 0.0)
    with pytest.raises(InputError, match="strictly increasing"):
        FokkerPlanck1D(grid**2, grid[::-1])
    with pytest.raises(ShapeError, match="one value a grid point"):
        FokkerPlanck1D(grid[:5], grid)
    with pytest.raises(InputError, match="strictly inside the potential's domain"):
        FokkerPlanck1D(lambda z: np.where(z > 0.5, np.inf, 0.0), grid)
    with pytest.raises(InputError, match="take a coarser grid"):
        FokkerPlanck1D(lambda z: 1e7 * z, np.linspace(0, 1, 5000))
    with pytest.raises(InputError, match="there are 41 levels on this grid, got n_levels=42; pass fewer"):
        FokkerPlanck1D(grid**2, grid, n_levels=42)
    operator = FokkerPlanck1D(grid**2, grid)
    with pytest.raises(InputError, match="times must not be negative"):
        operator.evolve(np.ones(11), [-1.0])
    with pytest.raises(InputError, match="no mass"):
        operator.evolve(np.zeros(11), [1.0])
    steep = FokkerPlanck1D(lambda z: 200 * z**2, grid)
    with pytest.raises(InputError, match="start lower"):
        steep.evolve(lambda z: np.exp(-((z - 0.9) ** 2) / 1e-3), [0.1])
