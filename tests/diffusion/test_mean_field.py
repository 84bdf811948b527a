"""Mean field and TAP against exact enumeration: bounds, orders of the error, solutions, honesty about convergence."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rbmscape.diffusion.mean_field import NotConvergedWarning, mean_field
from rbmscape.diffusion.reference import reference_point
from rbmscape.errors import DataError, InputError, NotConvergedError, ShapeError
from rbmscape.model.exact import exact_log_partition, exact_moments
from rbmscape.model.rbm import RBM


def parameters(seed: int, n_visible: int = 9, n_hidden: int = 7) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return (
        generator.normal(0, 1, (n_visible, n_hidden)),
        generator.normal(0, 0.6, n_visible),
        generator.normal(0, 0.6, n_hidden),
    )


@pytest.mark.parametrize("beta", [1.0, 0.7])
@pytest.mark.parametrize(("order", "slope"), [(1, 2), (2, 3), (3, 4)])
def test_free_energy_error_falls_with_the_expected_power_of_the_coupling(order: int, slope: int, beta: float) -> None:
    """Error of order p is O(W^(p+1)); a wrong sign or factor in any term would leave the slope of the order below."""
    weights, visible_bias, hidden_bias = parameters(0)
    scales = np.array([0.02, 0.04, 0.08])
    errors = []
    for scale in scales:
        rbm = RBM(scale * weights, visible_bias, hidden_bias)
        solution = mean_field(rbm, beta, order=order, n_starts=2, tolerance=1e-14)
        errors.append(abs(solution.free_energy + exact_log_partition(rbm, beta) / beta))
    measured = np.diff(np.log(errors)) / math.log(2)
    np.testing.assert_allclose(measured, slope, atol=0.15)


@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_naive_mean_field_is_a_bound_and_solves_its_equations(scale: float, seed: int) -> None:
    weights, visible_bias, hidden_bias = parameters(seed)
    rbm = RBM(scale * weights, visible_bias, hidden_bias)
    result = mean_field(rbm, 1.3)
    assert result.converged
    assert result.free_energy >= -exact_log_partition(rbm, 1.3) / 1.3
    for solution in result.solutions:
        m, n = solution.m, solution.n
        torch.testing.assert_close(m, torch.sigmoid(1.3 * (rbm.visible_bias + rbm.weights @ n)), rtol=0, atol=1e-8)
        torch.testing.assert_close(n, torch.sigmoid(1.3 * (rbm.hidden_bias + rbm.weights.T @ m)), rtol=0, atol=1e-8)
    energies = [solution.free_energy for solution in result.solutions]
    assert energies == sorted(energies)


def test_tap_means_are_closer_to_the_exact_ones_than_naive_means() -> None:
    weights, visible_bias, hidden_bias = parameters(3)
    rbm = RBM(0.3 * weights, visible_bias, hidden_bias)
    exact = exact_moments(rbm).visible
    errors = [float((mean_field(rbm, order=order).m - exact).abs().max()) for order in (1, 2, 3)]
    assert errors[1] < 0.3 * errors[0]
    assert errors[2] < errors[1]


def ferromagnet(strength: float, n_visible: int = 40, n_hidden: int = 30) -> RBM:
    """W = strength/√(NM) everywhere, biases that make v, h → 1-v, 1-h a symmetry: one mode of λ = strength."""
    weights = np.full((n_visible, n_hidden), strength / math.sqrt(n_visible * n_hidden))
    return RBM(weights, -0.5 * weights.sum(1), -0.5 * weights.sum(0))


def test_symmetric_ferromagnet_has_one_solution_below_four_and_a_pair_above() -> None:
    """The mode becomes unstable at βλ = 4; above, two mirror images of equal energy lie below the symmetric point."""
    below = mean_field(ferromagnet(3.6), max_iterations=20_000)
    assert len(below.solutions) == 1
    torch.testing.assert_close(below.m, torch.full((40,), 0.5).double(), rtol=0, atol=1e-7)
    above = mean_field(ferromagnet(4.5), n_starts=32)
    assert above.converged
    assert len(above.solutions) == 3
    up, down, middle = above.solutions
    assert up.free_energy == pytest.approx(down.free_energy, rel=1e-10)
    torch.testing.assert_close(up.m, 1 - down.m, rtol=0, atol=1e-7)
    assert middle.free_energy > up.free_energy
    torch.testing.assert_close(middle.m, torch.full((40,), 0.5).double(), rtol=0, atol=1e-7)
    # oracle: with all visible alike and all hidden alike the equations are two scalars, M = tanh(...) of the pair
    field_v, field_h = 4.5 * math.sqrt(30 / 40), 4.5 * math.sqrt(40 / 30)
    m, n = float(up.m[0]), float(up.n[0])
    assert m == pytest.approx(1 / (1 + math.exp(-field_v * (n - 0.5))), abs=1e-8)
    assert n == pytest.approx(1 / (1 + math.exp(-field_h * (m - 0.5))), abs=1e-8)


def test_random_starts_are_reproducible_and_data_are_used_as_starts() -> None:
    rbm = ferromagnet(6.0)
    first, again = mean_field(rbm, seed=3), mean_field(rbm, seed=3)
    assert [solution.n_starts for solution in first.solutions] == [solution.n_starts for solution in again.solutions]
    ones = mean_field(rbm, n_starts=3, data=np.ones((3, 40)), continuation=1)
    assert max(float(solution.m[0]) for solution in ones.solutions if solution.n_starts >= 3) > 0.9


def test_no_convergence_is_said() -> None:
    weights, visible_bias, hidden_bias = parameters(4)
    rbm = RBM(weights, visible_bias, hidden_bias)
    with pytest.warns(NotConvergedWarning, match="raise max_iterations"):
        result = mean_field(rbm, max_iterations=2)
    assert not result.converged
    assert "NOT CONVERGED" in repr(result)
    with pytest.raises(NotConvergedError, match="did not converge"):
        reference_point(rbm, result)


def test_bad_input() -> None:
    rbm = RBM(*parameters(0))
    for beta in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(InputError, match=r"beta must be (finite and above 0|a number), found"):
            mean_field(rbm, beta)
    with pytest.raises(InputError, match="order must be"):
        mean_field(rbm, order=4)
    with pytest.raises(InputError, match="damping"):
        mean_field(rbm, damping=1.0)
    with pytest.raises(ShapeError):
        mean_field(rbm, data=np.zeros((2, 3)))
    with pytest.raises(DataError, match="pass data"):
        reference_point(rbm, "data")
    with pytest.raises(InputError, match="inside the cube"):
        reference_point(rbm, (np.zeros(9), np.full(7, 0.5)))
    with pytest.raises(InputError, match="reference must be one of"):
        reference_point(rbm, "elsewhere")


def test_data_reference_is_the_smoothed_mean_and_the_mean_hidden_activity() -> None:
    rbm = RBM(*parameters(5))
    data = np.random.default_rng(0).integers(0, 2, (50, 9))
    data[:, 2] = 0
    point = reference_point(rbm, "data", data)
    assert float(point.m[2]) == pytest.approx(0.5 / 51)
    expected = torch.sigmoid(torch.from_numpy(data).double() @ rbm.weights + rbm.hidden_bias).mean(0)
    torch.testing.assert_close(point.n, expected)
