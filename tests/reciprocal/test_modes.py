"""Energies agree in every coordinate system; gauge and relabelling of units change nothing physical."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import rbmscape as rs
from rbmscape.errors import InputError, ShapeError
from rbmscape.reciprocal.factorize import canonical_signs

SIZES = [(7, 4), (4, 7), (5, 5), (1, 6), (6, 1), (1, 1), (23, 40)]


def model(n_visible, n_hidden, seed=0, scale=0.7):
    generator = np.random.default_rng(seed)
    shapes = (n_visible, n_hidden), (n_visible,), (n_hidden,)
    return rs.RBM(*(scale * generator.normal(size=shape) for shape in shapes))


def states(n_visible, n_hidden, count=12, seed=1):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 2, (count, n_visible)), generator.integers(0, 2, (count, n_hidden))


def energy_from_z(modes, z):
    """Energy written in z alone: quadratic in u and w (equation 19), linear in the unpaired coordinates."""
    paired = modes.n_paired
    u, w, rest = z[..., :paired], z[..., paired : 2 * paired], z[..., 2 * paired :]
    bias = modes.visible_bias if modes.n_visible > modes.n_hidden else modes.hidden_bias
    quadratic = modes.saddle_energy - 0.5 * modes.singular_values * (u**2 - w**2)
    return quadratic.sum(-1) - rest @ bias[paired:]


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**16), st.sampled_from([1e-3, 0.1, 1.0, 10.0]))
def test_energy_is_the_same_in_all_four_coordinate_systems(n_visible, n_hidden, seed, scale):
    rbm = model(n_visible, n_hidden, seed, scale)
    v, h = states(n_visible, n_hidden, seed=seed)
    modes = rs.Modes.of(rbm)
    coordinates = modes.project(v, h)
    energy = rbm.energy(v, h)
    tolerance = 1e-9 * max(1.0, float(modes.saddle_energy.abs().max()))
    torch.testing.assert_close(modes.mode_energies(coordinates).sum(-1), energy, rtol=0, atol=1e-9)
    torch.testing.assert_close(energy_from_z(modes, coordinates.z), energy, rtol=0, atol=tolerance)


@pytest.mark.parametrize(("n_visible", "n_hidden"), SIZES)
def test_projection_is_an_isometry_up_to_translation_and_inverts(n_visible, n_hidden):
    modes = rs.Modes.of(model(n_visible, n_hidden))
    v, h = states(n_visible, n_hidden)
    coordinates = modes.project(v, h)
    both = torch.as_tensor(np.concatenate([v, h], axis=1), dtype=torch.float64)
    assert coordinates.z.shape == both.shape
    torch.testing.assert_close(torch.cdist(coordinates.z, coordinates.z), torch.cdist(both, both), rtol=0, atol=1e-7)
    back_v, back_h = modes.restore(coordinates)
    torch.testing.assert_close(torch.cat([back_v, back_h], -1), both, rtol=0, atol=1e-9)
    again = modes.from_z(coordinates.z)
    torch.testing.assert_close(again.x, coordinates.x, rtol=0, atol=1e-9)
    torch.testing.assert_close(again.y, coordinates.y, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("n_visible", "n_hidden"), SIZES)
def test_factors_are_orthogonal_and_restore_the_weights(n_visible, n_hidden):
    rbm = model(n_visible, n_hidden)
    modes = rs.Modes.of(rbm)
    for vectors in (modes.left, modes.right):
        torch.testing.assert_close(
            vectors.mT @ vectors, torch.eye(len(vectors), dtype=torch.float64), rtol=0, atol=1e-12
        )
    paired = modes.n_paired
    product = (modes.left[:, :paired] * modes.singular_values) @ modes.right[:, :paired].mT
    torch.testing.assert_close(product, rbm.weights, rtol=0, atol=1e-12)
    assert bool((modes.singular_values.diff() <= 0).all())


def test_single_mode_energies_and_saddles_are_those_of_equation_16():
    modes = rs.Modes.of(model(6, 4))
    v, h = states(6, 4)
    coordinates = modes.project(v, h)
    terms = modes.mode_energies(coordinates)
    for i in range(6):
        y = coordinates.y[:, i] if i < 4 else coordinates.y[:, 0]
        torch.testing.assert_close(modes.mode_energy(i, coordinates.x[:, i], y), terms[:, i])
    for i in range(4):
        x0, y0 = float(modes.saddle_x[i]), float(modes.saddle_y[i])
        step, centre = 1e-3, float(modes.mode_energy(i, x0, y0))
        assert centre == pytest.approx(float(modes.saddle_energy[i]), abs=1e-12)
        value = float(modes.singular_values[i])
        along = {
            sign: float(modes.mode_energy(i, x0 + step * math.sqrt(0.5), y0 + sign * step * math.sqrt(0.5))) - centre
            for sign in (1, -1)
        }
        # E falls by λ/2 · u² along u = (x + y)/√2 and rises by as much along w
        assert along[1] == pytest.approx(-0.5 * value * step**2, rel=1e-6)
        assert along[-1] == pytest.approx(0.5 * value * step**2, rel=1e-6)


@pytest.mark.parametrize(("n_visible", "n_hidden"), [(6, 4), (4, 6)])
def test_wrong_sign_of_w_is_noticed(n_visible, n_hidden):
    """Negative control: with u and w exchanged, as in the paper's equation 22, energies do not agree."""
    rbm = model(n_visible, n_hidden)
    modes = rs.Modes.of(rbm)
    v, h = states(n_visible, n_hidden)
    c = modes.project(v, h)
    exchanged = torch.cat([c.w, c.u, c.unpaired], -1)
    assert float((energy_from_z(modes, exchanged) - rbm.energy(v, h)).abs().max()) > 0.1


def test_gauge_is_canonical_and_independent_of_the_sign_that_the_decomposition_returns():
    modes = rs.Modes.of(model(9, 5))
    assert bool((modes.left.sum(0) >= 0).all())
    assert bool((modes.right[:, modes.n_paired :].sum(0) >= 0).all())
    flipped = modes.left * torch.tensor([(-1.0) ** k for k in range(9)], dtype=torch.float64)
    torch.testing.assert_close(flipped * canonical_signs(flipped), modes.left)


def test_gauge_of_vectors_whose_entries_sum_to_zero_is_defined():
    balanced = torch.tensor([[-1.0, 3.0, -2.0, 0.0], [1.0, -1.0, 0.0, 0.0]], dtype=torch.float64).mT
    balanced = balanced / balanced.norm(dim=0)
    for start in (balanced, -balanced):
        fixed = start * canonical_signs(start)
        assert float(fixed[1, 0]) > 0  # entry of largest magnitude
        assert float(fixed[0, 1]) > 0  # first of two equally large entries


@pytest.mark.parametrize(("n_visible", "n_hidden"), [(7, 4), (4, 7), (5, 5)])
def test_relabelling_units_changes_nothing_physical(n_visible, n_hidden):
    rbm = model(n_visible, n_hidden)
    generator = np.random.default_rng(5)
    rows, columns = generator.permutation(n_visible), generator.permutation(n_hidden)
    relabelled = rs.RBM(rbm.weights[rows][:, columns], rbm.visible_bias[rows], rbm.hidden_bias[columns])
    one, other = rs.Modes.of(rbm), rs.Modes.of(relabelled)
    v, h = states(n_visible, n_hidden)
    a, b = one.project(v, h), other.project(v[:, rows], h[:, columns])
    for name in ("singular_values", "saddle_x", "saddle_y", "saddle_energy"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=1e-9, atol=1e-9)
    for name in ("u", "w"):
        torch.testing.assert_close(getattr(a, name), getattr(b, name), rtol=1e-9, atol=1e-9)
    # vectors without a singular value span the same space, in which only lengths mean something
    torch.testing.assert_close(a.unpaired.norm(dim=-1), b.unpaired.norm(dim=-1), rtol=1e-9, atol=1e-9)


def test_mean_of_random_states_is_that_of_all_states():
    modes = rs.Modes.of(model(5, 3))
    every_v = [[n >> k & 1 for k in range(5)] for n in range(32)]
    every_h = [[n >> k & 1 for k in range(3)] for n in range(8)]
    mean = modes.random_state_mean()
    x = torch.as_tensor(every_v, dtype=torch.float64) @ modes.left
    y = torch.as_tensor(every_h, dtype=torch.float64) @ modes.right
    torch.testing.assert_close(mean.x, x.mean(0))
    torch.testing.assert_close(mean.y, y.mean(0))
    # covariance I/4 (equation 46)
    torch.testing.assert_close(x.mT.cov(correction=0), 0.25 * torch.eye(5, dtype=torch.float64))
    torch.testing.assert_close(mean.u, (mean.x[:3] - modes.saddle_x + mean.y - modes.saddle_y) / math.sqrt(2))


def test_missing_hidden_states_are_replaced_by_their_conditional_mean():
    for sizes in SIZES:
        rbm = model(*sizes)
        modes = rs.Modes.of(rbm)
        v, _ = states(*sizes)
        expected = modes.project(v, rbm.hidden_probability(v))
        torch.testing.assert_close(modes.project(v).y, expected.y, rtol=0, atol=1e-10)


def test_flat_modes_have_no_saddle_and_spoil_nothing_else():
    generator = np.random.default_rng(3)
    weights = np.outer(generator.normal(size=6), generator.normal(size=4))  # rank one
    rbm = rs.RBM(weights, generator.normal(size=6), generator.normal(size=4))
    modes = rs.Modes.of(rbm)
    assert modes.flat.tolist() == [False, True, True, True]
    for name in ("saddle_x", "saddle_y", "saddle_energy"):
        values = getattr(modes, name)
        assert bool(torch.isnan(values[1:]).all())
        assert math.isfinite(float(values[0]))
    v, h = states(6, 4)
    coordinates = modes.project(v, h)
    assert bool(torch.isnan(coordinates.u[:, 1:]).all())
    assert bool(torch.isfinite(coordinates.x).all())
    torch.testing.assert_close(modes.mode_energies(coordinates).sum(-1), rbm.energy(v, h), rtol=0, atol=1e-10)
    torch.testing.assert_close(
        modes.restore(coordinates)[0], torch.as_tensor(v, dtype=torch.float64), rtol=0, atol=1e-10
    )


@pytest.mark.parametrize(("n_visible", "n_hidden"), [(5, 3), (3, 5), (1, 1), (4, 4)])
def test_zero_weights_have_only_flat_modes(n_visible, n_hidden):
    modes = rs.Modes.of(rs.RBM(np.zeros((n_visible, n_hidden)), np.ones(n_visible), np.ones(n_hidden)))
    assert bool(modes.flat.all())
    assert bool(torch.isnan(modes.saddle_energy).all())
    v, h = states(n_visible, n_hidden)
    energies = modes.mode_energies(modes.project(v, h)).sum(-1)
    expected = torch.as_tensor(-(v.sum(1) + h.sum(1)), dtype=torch.float64)
    torch.testing.assert_close(energies, expected, rtol=0, atol=1e-12)


def test_tiny_weights_keep_their_saddles():
    """Flatness is relative: weights of 1e-200 are small, not degenerate."""
    modes = rs.Modes.of(rs.RBM(1e-200 * np.eye(3), np.zeros(3), np.zeros(3)))
    assert not bool(modes.flat.any())
    assert bool((modes.saddle_x == 0).all())


def test_misuse_is_refused():
    modes = rs.Modes.of(model(5, 3))
    v, h = states(5, 3)
    with pytest.raises(ShapeError, match="visible states need 5 values"):
        modes.project(v[:, :4], h)
    with pytest.raises(ShapeError, match="same batch axes"):
        modes.project(v, h[:3])
    with pytest.raises(InputError, match="from 0 to 4, found 5"):
        modes.mode_energy(5, 0.0, 0.0)
    with pytest.raises(ShapeError, match="found 5 x 3 and 4 x 3"):
        modes.aligned_to(rs.Modes.of(model(4, 3)))
    with pytest.raises(InputError, match="NaN"):
        rs.RBM(np.full((2, 2), np.nan), np.zeros(2), np.zeros(2))


def test_float32_models_are_decomposed_in_float64():
    rbm = rs.RBM.random(6, 4, std=1.0)
    assert rbm.dtype == torch.float32
    modes = rs.Modes.of(rbm)
    assert modes.left.dtype == torch.float64
    v, h = states(6, 4)
    exact = rbm.to(dtype=torch.float64).energy(v, h)
    torch.testing.assert_close(modes.mode_energies(modes.project(v, h)).sum(-1), exact, rtol=0, atol=1e-9)
