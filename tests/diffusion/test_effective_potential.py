"""U_eff in z coordinates: against its definition in bits, automatic differentiation, and the mean field."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rbmscape.diffusion.constraint import ConstraintDerivatives
from rbmscape.diffusion.effective_potential import EffectivePotential
from rbmscape.diffusion.mean_field import mean_field
from rbmscape.errors import InputError, ShapeError
from rbmscape.model.exact import binary_states
from rbmscape.model.rbm import RBM

# torch.func compiles its decompositions with torch.jit.script when it is first used
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")

SHAPES = [(7, 4), (4, 7), (5, 5)]


def model(n_visible: int, n_hidden: int, seed: int = 0) -> RBM:
    generator = np.random.default_rng(seed)
    return RBM(
        generator.normal(0, 0.8, (n_visible, n_hidden)),
        generator.normal(0, 0.5, n_visible),
        generator.normal(0, 0.5, n_hidden),
    )


def activities(rbm: RBM, n_states: int, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = np.random.default_rng(seed)
    return tuple(
        torch.from_numpy(generator.uniform(0.05, 0.95, (n_states, size))) for size in (rbm.n_visible, rbm.n_hidden)
    )


@settings(max_examples=25, deadline=None)
@given(shape=st.sampled_from(SHAPES), seed=st.integers(0, 10_000), beta=st.floats(0.2, 3.0, allow_nan=False))
def test_value_is_energy_minus_entropy_of_independent_bits(shape: tuple[int, int], seed: int, beta: float) -> None:
    """βU_eff = βE - Σ H(m) - Σ H(n) whichever the rotation, gauge and bias."""
    rbm = model(*shape, seed)
    m, n = activities(rbm, 6, seed)
    potential = EffectivePotential(rbm, beta)
    entropy = sum(-(p * p.log() + (1 - p) * (1 - p).log()).sum(-1) for p in (m, n))
    expected = -m @ rbm.visible_bias - n @ rbm.hidden_bias - ((m @ rbm.weights) * n).sum(-1) - entropy / beta
    z = potential.z(m, n)
    torch.testing.assert_close(potential.value(z), expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(potential.value_of_bits(m, n), expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(torch.cat(potential.bits(z), -1), torch.cat([m, n], -1), rtol=0, atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_and_hessian_agree_with_automatic_differentiation(shape: tuple[int, int]) -> None:
    rbm = model(*shape)
    potential = EffectivePotential(rbm, 0.7)
    modes, paired = potential.modes, min(shape)
    z = potential.z(*activities(rbm, 3))

    def value(point: torch.Tensor) -> torch.Tensor:
        u, w, rest = point[:paired], point[paired : 2 * paired], point[2 * paired :]
        x, y = modes.saddle_x + (u - w) / math.sqrt(2), modes.saddle_y + (u + w) / math.sqrt(2)
        x, y = (torch.cat([x, rest]), y) if shape[0] > shape[1] else (x, torch.cat([y, rest]))
        m, n = modes.left @ x, modes.right @ y
        entropy = sum(-(p * p.log() + (1 - p) * (1 - p).log()).sum() for p in (m, n))
        return -m @ rbm.visible_bias - n @ rbm.hidden_bias - m @ rbm.weights @ n - entropy / 0.7

    for point in z:
        torch.testing.assert_close(potential.gradient(point), torch.func.grad(value)(point), rtol=1e-8, atol=1e-8)
        hessian = torch.autograd.functional.hessian(value, point)
        torch.testing.assert_close(potential.hessian(point), hessian, rtol=1e-8, atol=1e-8)
        vector = torch.linspace(-1, 1, sum(shape), dtype=torch.float64)
        torch.testing.assert_close(
            potential.hessian_vector_product(point, vector), hessian @ vector, rtol=1e-8, atol=1e-8
        )
    batched = torch.stack([potential.gradient(point) for point in z])
    torch.testing.assert_close(potential.value_and_gradient(z)[1], batched)


def test_gradient_in_bits_rotates_into_the_gradient_in_z() -> None:
    rbm = model(7, 4)
    potential = EffectivePotential(rbm, 1.4)
    m, n = activities(rbm, 5)
    along_m, along_n = potential.gradient_of_bits(m, n)
    gradient = potential.gradient(potential.z(m, n))
    norms = (along_m.square().sum(-1) + along_n.square().sum(-1)).sqrt()
    torch.testing.assert_close(gradient.norm(dim=-1), norms)


def test_mean_field_solution_is_a_stationary_point_of_equal_free_energy() -> None:
    rbm = model(7, 4)
    solution = mean_field(rbm, 0.9)
    potential = EffectivePotential(rbm, 0.9)
    z = potential.z(solution.m, solution.n)
    assert float(potential.value(z)) == pytest.approx(solution.free_energy, abs=1e-10)
    assert float(potential.gradient(z).abs().max()) < 1e-7


def test_constraint_confines_and_vertices_keep_their_finite_value() -> None:
    """At a binary state V_const = (N + M) ln 2, so that U_eff is the energy; outside the cube it is infinite."""
    rbm = model(4, 3)
    potential = EffectivePotential(rbm)
    states = binary_states(7)
    z = potential.z(states[:, :4], states[:, 4:])
    torch.testing.assert_close(potential.constraint(z), torch.full((128,), 7 * math.log(2)).double())
    torch.testing.assert_close(potential.value(z), rbm.energy(states[:, :4], states[:, 4:]))
    beyond = potential.z(states[:, :4] * 1.02 - 0.01, states[:, 4:] * 1.02 - 0.01)
    assert torch.isinf(potential.value(beyond)).all()


def test_a_coordinate_that_is_no_number_is_refused():
    z = torch.zeros(3, 11, dtype=torch.float64)
    z[1, 4] = math.nan
    with pytest.raises(InputError, match=r"NaN or infinite values in 1 of 3 row\(s\)"):
        EffectivePotential(model(7, 4)).value(z)


def test_single_precision_is_close() -> None:
    rbm = model(30, 20)
    m, n = activities(rbm, 8)
    double, single = EffectivePotential(rbm), EffectivePotential(rbm, dtype=torch.float32)
    z = double.z(m, n)
    value, gradient = single.value_and_gradient(single.z(m, n))
    torch.testing.assert_close(value.double(), double.value(z), rtol=1e-4, atol=1e-3)
    norms = (gradient.double().norm(dim=-1), double.gradient(z).norm(dim=-1))
    torch.testing.assert_close(*norms, rtol=1e-4, atol=1e-4)


def test_derivatives_at_a_point_belong_to_that_point() -> None:
    rbm = model(5, 5)
    potential = EffectivePotential(rbm)
    m, n = activities(rbm, 1)
    there = potential.derivatives(potential.z(m[0], n[0]))
    expected = ConstraintDerivatives(potential.modes, m[0], n[0])
    np.testing.assert_allclose(there.diagonal(4, "u"), expected.diagonal(4, "u"), rtol=1e-8)


def test_bad_input() -> None:
    rbm = model(4, 3)
    potential = EffectivePotential(rbm)
    with pytest.raises(InputError, match="beta must be finite and above 0, found -1"):
        EffectivePotential(rbm, -1.0)
    with pytest.raises(ShapeError):
        potential.value(np.zeros(6))
    with pytest.raises(InputError, match="1 of 2 state"):
        potential.gradient(potential.z(np.array([[0.5] * 4, [0.5, 0.5, 0.5, 1.3]]), np.full((2, 3), 0.5)))
    with pytest.raises(InputError, match="one point"):
        potential.hessian(potential.z(np.full((2, 4), 0.5), np.full((2, 3), 0.5)))
    flat = EffectivePotential(RBM(np.zeros((4, 3)), np.zeros(4), np.zeros(3)))
    with pytest.raises(InputError, match="no saddle"):
        flat.value(np.zeros(7))
    assert float(flat.value_of_bits(np.full(4, 0.5), np.full(3, 0.5))) == pytest.approx(-7 * math.log(2))
