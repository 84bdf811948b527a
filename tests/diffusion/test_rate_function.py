"""The one-dimensional constraint potential: contraction principle, exact enumeration of ρ(z), analytic cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from rbmscape.diffusion.mean_field import mean_field
from rbmscape.diffusion.mode_potential import mode_potential
from rbmscape.diffusion.rate_function import RateFunction
from rbmscape.diffusion.reference import reference_point
from rbmscape.errors import InputError, ShapeError
from rbmscape.model.exact import binary_states
from rbmscape.model.rbm import RBM
from rbmscape.reciprocal.modes import Modes


def model(n_visible: int, n_hidden: int, seed: int = 0, scale: float = 0.6) -> RBM:
    generator = np.random.default_rng(seed)
    return RBM(
        generator.normal(0, scale, (n_visible, n_hidden)),
        generator.normal(0, 0.4, n_visible),
        generator.normal(0, 0.4, n_hidden),
    )


def entropy_cost(mean: np.ndarray) -> np.ndarray:
    return mean * np.log(mean) + (1 - mean) * np.log1p(-mean) + math.log(2)


def test_equal_weights_give_the_binary_entropy() -> None:
    """With c = 1/√K the sum is a scaled binomial: I(z) = K s(z/√K), to rounding, ends included."""
    size = 30
    rate = RateFunction(np.full(size, size**-0.5), np.full(size, 0.5))
    mean = np.linspace(0.001, 0.999, 41)
    np.testing.assert_allclose(rate.value(mean * size**0.5), size * entropy_cost(mean), rtol=1e-10, atol=1e-12)
    low, high = rate.domain
    np.testing.assert_allclose(rate.value([low, high]), size * math.log(2))
    assert np.isinf(rate.value([low - 1e-6, high + 1e-6])).all()


def test_contraction_principle() -> None:
    """I(z) is the least Σ s(m) over all activities with that value of the coordinate."""
    modes = Modes.of(model(5, 4))
    left, right = modes.left.numpy(), modes.right.numpy()
    weights = np.concatenate([left[:, 1], right[:, 1]]) / math.sqrt(2)
    rate = RateFunction(weights, np.full(9, 0.5))
    for z in rate.mean + np.array([-0.5, 0.1, 0.4]):
        best = minimize(
            lambda m: entropy_cost(m).sum(),
            np.clip(0.5 + (z - rate.mean) * weights, 0.01, 0.99),
            jac=lambda m: np.log(m) - np.log1p(-m),
            bounds=[(1e-9, 1 - 1e-9)] * 9,
            constraints={"type": "eq", "fun": lambda m, z=z: weights @ m - z, "jac": lambda m: weights},  # noqa: ARG005
            method="SLSQP",
            options={"ftol": 1e-14, "maxiter": 500},
        )
        assert best.fun == pytest.approx(float(rate.value(z)), abs=1e-7)


def test_derivatives_at_the_mean_are_the_exact_cumulants() -> None:
    """Against all 2^9 states of a biased product measure: I'' = 1/κ2 and I''' = -κ3/κ2³ at the mean, I = I' = 0."""
    generator = np.random.default_rng(0)
    weights, means = generator.normal(0, 1, 9), generator.uniform(0.1, 0.9, 9)
    states = binary_states(9).numpy()
    probability = np.prod(np.where(states == 1, means, 1 - means), 1)
    z = states @ weights
    mean = probability @ z
    second, third = probability @ (z - mean) ** 2, probability @ (z - mean) ** 3
    rate = RateFunction(weights, means)
    assert rate.mean == pytest.approx(mean)
    assert float(rate.value(mean)) == pytest.approx(0, abs=1e-12)
    assert float(rate.curvature(mean)) == pytest.approx(1 / second)
    step = 1e-3
    slope = float(rate.curvature(mean + step) - rate.curvature(mean - step)) / (2 * step)
    assert slope == pytest.approx(-third / second**3, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("branch", ["u", "w"])
def test_saddle_point_density_matches_the_enumerated_histogram(branch: str) -> None:
    """ρ(z) of one mode over all 2^18 states; a quarter-width bin holds enough states to compare to a few per cent."""
    rbm = model(10, 8)
    modes = Modes.of(rbm)
    states = binary_states(18)
    coordinates = modes.project(states[:, :10], states[:, 10:])
    z = getattr(coordinates, branch)[:, 2].numpy()
    rate = mode_potential(modes, 2, reference_point(rbm), branch).rate
    low, high = rate.domain
    np.testing.assert_allclose([z.min(), z.max()], [low, high], atol=1e-9)
    edges = np.linspace(z.mean() - 2.2 * z.std(), z.mean() + 2.2 * z.std(), 19)
    counts = np.histogram(z, edges)[0] / z.size
    fine = edges[:-1, None] + (np.arange(20) + 0.5) / 20 * np.diff(edges)[:, None]
    expected = rate.density(fine).mean(1) * np.diff(edges)
    np.testing.assert_allclose(counts, expected, rtol=0.12)
    gaussian = np.exp(-((fine - z.mean()) ** 2) / (2 * 0.05)).mean(1)  # negative control: a density of another width
    assert np.abs(counts / (gaussian / gaussian.sum()) - 1).max() > 1


@pytest.mark.parametrize("branch", ["u", "w", "unpaired"])
@pytest.mark.parametrize("kind", ["slice", "marginal"])
@pytest.mark.parametrize("reference", ["uniform", "mean_field"])
def test_derivatives_of_the_potential_agree_with_finite_differences(branch, kind, reference) -> None:
    rbm = model(6, 4)
    potential = mode_potential(Modes.of(rbm), 1, reference_point(rbm, reference), branch, kind, beta=1.3)
    low, high = potential.domain
    z = low + (high - low) * np.linspace(0.15, 0.85, 8)
    step = 1e-5
    gradient = (potential(z + step) - potential(z - step)) / (2 * step)
    np.testing.assert_allclose(potential.gradient(z), gradient, rtol=1e-6, atol=1e-6)
    curvature = (potential.gradient(z + step) - potential.gradient(z - step)) / (2 * step)
    np.testing.assert_allclose(potential.curvature(z), curvature, rtol=1e-6, atol=1e-6)
    assert np.isfinite(potential(potential.grid())).all()
    assert np.isinf(potential([low - 1e-3, high + 1e-3])).all()


def test_slice_is_the_effective_potential_along_a_line() -> None:
    from rbmscape.diffusion.effective_potential import EffectivePotential

    rbm = model(6, 4)
    full = EffectivePotential(rbm, 0.8)
    start = full.z(np.full(6, 0.4), np.full(4, 0.6))
    point = reference_point(rbm, (np.full(6, 0.4), np.full(4, 0.6)))
    for branch, index in (("u", 2), ("w", 2), ("unpaired", 1)):
        line = mode_potential(full.modes, index, point, branch, "slice", 0.8)
        offset = {"u": 0, "w": 4, "unpaired": 8}[branch] + index
        z = start.repeat(5, 1)
        z[:, offset] += torch.linspace(-0.2, 0.2, 5, dtype=torch.float64)
        values = line(z[:, offset].numpy())
        np.testing.assert_allclose(values - values[2], (full.value(z) - full.value(z)[2]).numpy(), atol=1e-9)


def test_planted_mode_follows_the_marginal_potential() -> None:
    """One strong mode: exp(-βU(u)) with the saddle-point prefactor against the exact P(u) of all 2^18 states."""
    n_visible, n_hidden, strength = 10, 8, 5.0
    generator = np.random.default_rng(2)
    left, right = generator.normal(1, 0.4, n_visible), generator.normal(1, 0.4, n_hidden)
    weights = strength * np.outer(left / np.linalg.norm(left), right / np.linalg.norm(right))
    rbm = RBM(weights, -0.5 * weights.sum(1), -0.5 * weights.sum(0))
    states = binary_states(18)
    v, h = states[:, :10], states[:, 10:]
    probability = torch.softmax(-rbm.energy(v, h), 0).numpy()
    modes = Modes.of(rbm)
    u = modes.project(v, h).u[:, 0].numpy()
    potential = mode_potential(modes, 0, reference_point(rbm))
    edges = np.linspace(-2.0, 2.0, 12)
    counts = np.histogram(u, edges, weights=probability)[0]
    fine = (edges[:-1, None] + (np.arange(40) + 0.5) / 40 * np.diff(edges)[:, None]).ravel()
    weight = np.exp(-potential(fine) + potential(0.0)) * np.sqrt(potential.rate.curvature(fine))
    expected = weight.reshape(11, 40).sum(1)
    expected *= counts.sum() / expected.sum()
    assert counts[5] < 0.8 * counts.max()  # the ferromagnetic double well
    assert np.abs(counts - expected).sum() < 0.12
    single_well = np.exp(-potential(fine) - 0.5 * strength * fine**2).reshape(11, 40).sum(1)  # without the coupling
    single_well *= counts.sum() / single_well.sum()
    assert np.abs(counts - single_well).sum() > 0.3


def test_mean_field_reference_has_its_minimum_at_the_solution() -> None:
    rbm = model(12, 9, scale=0.3)
    solution = mean_field(rbm)
    potential = mode_potential(Modes.of(rbm), 0, reference_point(rbm, solution))
    assert float(potential.gradient(potential.reference)) == pytest.approx(0, abs=1e-9)
    slice_potential = mode_potential(Modes.of(rbm), 0, reference_point(rbm, solution), kind="slice")
    assert float(slice_potential.gradient(potential.reference)) == pytest.approx(0, abs=1e-7)


def test_bad_input() -> None:
    rbm = model(5, 4)
    modes, point = Modes.of(rbm), reference_point(rbm)
    with pytest.raises(InputError, match="mode 4 does not exist"):
        mode_potential(modes, 4, point)
    with pytest.raises(InputError, match="branch must be one of"):
        mode_potential(modes, 0, point, "v")
    with pytest.raises(ShapeError):
        RateFunction(np.ones(3), np.full(2, 0.5))
    with pytest.raises(InputError, match="strictly between"):
        RateFunction(np.ones(2), np.array([0.5, 1.0]))
    with pytest.raises(InputError, match="does not fluctuate"):
        RateFunction(np.zeros(2), np.full(2, 0.5))
    flat = RBM(np.zeros((3, 2)), np.zeros(3), np.zeros(2))
    with pytest.raises(InputError, match="no saddle"):
        mode_potential(Modes.of(flat), 0, reference_point(flat))
