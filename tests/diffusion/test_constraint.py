"""The constraint potential and its derivatives against automatic differentiation and closed forms (section 4)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rbmscape.diffusion.constraint import ConstraintDerivatives, entropy_cost, entropy_cost_derivative
from rbmscape.errors import InputError, ShapeError
from rbmscape.model.rbm import RBM
from rbmscape.reciprocal.modes import Modes

# torch.func compiles its decompositions with torch.jit.script when it is first used
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")

SHAPES = [(5, 3), (3, 5), (4, 4)]


def model(n_visible: int, n_hidden: int, seed: int = 0) -> RBM:
    generator = np.random.default_rng(seed)
    return RBM(
        generator.normal(0, 0.7, (n_visible, n_hidden)),
        generator.normal(0, 0.5, n_visible),
        generator.normal(0, 0.5, n_hidden),
    )


def derivatives(n_visible: int, n_hidden: int, seed: int = 0) -> ConstraintDerivatives:
    generator = np.random.default_rng(seed + 100)
    m, n = (torch.from_numpy(generator.uniform(0.15, 0.9, size)) for size in (n_visible, n_hidden))
    return ConstraintDerivatives(Modes.of(model(n_visible, n_hidden, seed)), m, n)


def potential_of_z(point: ConstraintDerivatives):
    """V_const as a function of a displacement in z from the reference, written from eqs. (18) and (19) alone."""
    left, right = point.basis.left, point.basis.right
    paired = min(left.shape[0], right.shape[0])

    def potential(displacement: torch.Tensor) -> torch.Tensor:
        u, w, rest = displacement[:paired], displacement[paired : 2 * paired], displacement[2 * paired :]
        x, y = (u - w) / math.sqrt(2), (u + w) / math.sqrt(2)
        if left.shape[0] >= right.shape[0]:
            x = torch.cat([x, rest])
        else:
            y = torch.cat([y, rest])
        bits = torch.cat([point.m + left @ x, point.n + right @ y])
        return (bits * bits.log() + (1 - bits) * (1 - bits).log() + math.log(2)).sum()

    return potential


def derivative_tensor(potential, size: int, order: int) -> torch.Tensor:
    function = potential
    for _ in range(order):
        function = torch.func.jacrev(function)
    return function(torch.zeros(size, dtype=torch.float64))


@pytest.mark.parametrize("shape", SHAPES)
def test_every_derivative_agrees_with_automatic_differentiation(shape: tuple[int, int]) -> None:
    point = derivatives(*shape)
    potential, size = potential_of_z(point), sum(shape)
    first, second, third, fourth = (derivative_tensor(potential, size, order).numpy() for order in range(1, 5))
    np.testing.assert_allclose(point.gradient(), first, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(point.hessian(), second, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(point.diagonal(2), np.einsum("ii->i", second), rtol=1e-9)
    np.testing.assert_allclose(point.diagonal(3), np.einsum("iii->i", third), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(point.diagonal(4), np.einsum("iiii->i", fourth), rtol=1e-8)
    np.testing.assert_allclose(point.third_pairs(), np.einsum("ijj->ij", third), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(point.fourth_pairs(), np.einsum("iijj->ij", fourth), rtol=1e-8, atol=1e-8)
    traces = np.einsum("ijj->i", third) - np.einsum("iii->i", third)
    np.testing.assert_allclose(point.third_trace(), traces, rtol=1e-8, atol=1e-8)
    traces = np.einsum("iijj->i", fourth) - np.einsum("iiii->i", fourth)
    np.testing.assert_allclose(point.fourth_trace(), traces, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(point.third_slice("u", 1), third[1], rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(point.fourth_slice("w", 2), fourth[min(shape) + 2, min(shape) + 2], rtol=1e-8, atol=1e-8)
    mixed = point.element(("u", 0), ("u", 2), ("w", 1))
    assert mixed == pytest.approx(third[0, 2, min(shape) + 1], rel=1e-9)


def test_x_and_y_derivatives_are_those_of_their_own_layer() -> None:
    point = derivatives(6, 4)
    left = point.basis.left.numpy()
    m = point.m.numpy()
    np.testing.assert_allclose(point.hessian("x"), left.T @ np.diag(1 / (m * (1 - m))) @ left, rtol=1e-10)
    np.testing.assert_allclose(point.diagonal(3, "x"), (left**3).T @ ((2 * m - 1) / (m * (1 - m)) ** 2), rtol=1e-10)
    assert point.diagonal(2, "y").shape == (4,)
    assert point.element(("x", 1), ("y", 2)) == 0.0


def test_uncoupled_values_at_one_half() -> None:
    """Section 4: k_ij = 4 δ_ij, k_ijk = 0, k_iiii(u_i) = 8 Σ (U⁴ + V⁴), 32 Σ U⁴ for an unpaired x (eq. 46)."""
    modes = Modes.of(model(7, 4))
    point = ConstraintDerivatives(modes, torch.full((7,), 0.5).double(), torch.full((4,), 0.5).double())
    np.testing.assert_allclose(point.hessian(), 4 * np.eye(11), atol=1e-12)
    np.testing.assert_allclose(point.diagonal(3), 0, atol=1e-12)
    left, right = modes.left.numpy(), modes.right.numpy()
    np.testing.assert_allclose(point.diagonal(4, "u"), 8 * ((left[:, :4] ** 4).sum(0) + (right**4).sum(0)), rtol=1e-12)
    np.testing.assert_allclose(point.diagonal(4, "w"), point.diagonal(4, "u"), rtol=1e-12)
    np.testing.assert_allclose(point.diagonal(4, "unpaired"), 32 * (left[:, 4:] ** 4).sum(0), rtol=1e-12)


def test_entropy_cost_of_fair_coins_and_outside_the_cube() -> None:
    activity = torch.tensor([0.5, 0.0, 1.0, -0.1, 1.1], dtype=torch.float64)
    expected = torch.tensor([0.0, math.log(2), math.log(2), math.inf, math.inf], dtype=torch.float64)
    torch.testing.assert_close(entropy_cost(activity), expected)


def test_bad_references_are_refused() -> None:
    modes = Modes.of(model(4, 3))
    half = torch.full((4,), 0.5).double()
    with pytest.raises(InputError, match="inside the cube"):
        ConstraintDerivatives(modes, torch.tensor([0.5, 0.0, 0.5, 0.5]), torch.full((3,), 0.5))
    with pytest.raises(ShapeError, match="length 3"):
        ConstraintDerivatives(modes, half, half)
    with pytest.raises(InputError, match="orders 1 to 4"):
        entropy_cost_derivative(half, 5)
    with pytest.raises(InputError, match="mode 9"):
        ConstraintDerivatives(modes, half, half[:3]).element(("u", 9), ("u", 0))
