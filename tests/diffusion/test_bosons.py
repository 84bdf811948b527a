"""Bosons: closed forms of section 4.1, the errata of eqs. (33)-(48), and the count of unstable modes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rbmscape.diffusion.bosons import boson_spectrum, curvature_matrix, dressed_singular_values, schrodinger_matrix
from rbmscape.diffusion.constraint import ConstraintDerivatives
from rbmscape.diffusion.effective_potential import EffectivePotential
from rbmscape.diffusion.mean_field import mean_field
from rbmscape.diffusion.reference import reference_point
from rbmscape.errors import InputError
from rbmscape.model.rbm import RBM
from rbmscape.reciprocal.modes import Modes


def model(n_visible: int, n_hidden: int, seed: int = 0, scale: float = 0.8) -> RBM:
    generator = np.random.default_rng(seed)
    return RBM(
        generator.normal(0, scale, (n_visible, n_hidden)),
        generator.normal(0, 0.5, n_visible),
        generator.normal(0, 0.5, n_hidden),
    )


def given_point(rbm: RBM, seed: int = 3):
    generator = np.random.default_rng(seed)
    return reference_point(rbm, (generator.uniform(0.1, 0.9, rbm.n_visible), generator.uniform(0.1, 0.9, rbm.n_hidden)))


@pytest.mark.parametrize("shape", [(7, 4), (4, 7), (5, 5)])
@pytest.mark.parametrize("coupled", [True, False])
def test_uniform_reference_gives_equation_40(shape: tuple[int, int], coupled: bool) -> None:
    """ω = (4 ∓ βλ)/2 for u and w, 2 for unpaired coordinates; Γ = 2Dω."""
    rbm, beta = model(*shape), 1.3
    bosons = boson_spectrum(rbm, beta, coupled=coupled)
    singular_values = np.linalg.svd(rbm.weights.numpy(), compute_uv=False)
    expected = {"u": (4 - beta * singular_values) / 2, "w": (4 + beta * singular_values) / 2}
    for branch in ("u", "w"):
        here = bosons.branch == branch
        np.testing.assert_allclose(bosons.frequencies[here], expected[branch][bosons.index[here]], rtol=1e-10)
    np.testing.assert_allclose(bosons.frequencies[bosons.branch == "unpaired"], 2, rtol=1e-12)
    np.testing.assert_allclose(bosons.relaxation_rates, 2 * bosons.frequencies / beta)
    np.testing.assert_allclose(bosons.weight, 1, atol=1e-12)
    np.testing.assert_allclose(bosons.dressed_singular_values, singular_values / 4, rtol=1e-10)
    assert np.all(np.diff(bosons.frequencies) >= -1e-12)


def test_coupled_bosons_diagonalise_the_hessian_of_the_effective_potential() -> None:
    rbm, beta = model(6, 4), 0.8
    point = given_point(rbm)
    bosons = boson_spectrum(rbm, beta, point)
    potential = EffectivePotential(rbm, beta)
    hessian = potential.hessian(potential.z(point.m, point.n)).numpy()
    np.testing.assert_allclose(bosons.frequencies, np.linalg.eigvalsh(beta * hessian) / 2, rtol=1e-9)
    matrix = curvature_matrix(rbm, point, beta).numpy()
    vectors = bosons.vectors.numpy()
    np.testing.assert_allclose(matrix @ vectors.T, vectors.T * (2 * bosons.frequencies), atol=1e-9)
    assert np.all((bosons.weight <= 1 + 1e-12) & (bosons.weight >= 1 / 10))


def test_schrodinger_matrix_is_the_symmetric_part_of_the_printed_one() -> None:
    """Errata to (44): M_ij = ω_i² δ + ω_i k_ij (1 - δ) + Θ_ij is not symmetric; its symmetric part is (A/2)²."""
    rbm, beta = model(5, 3), 1.1
    point = given_point(rbm)
    modes = Modes.of(rbm)
    k = ConstraintDerivatives(modes, point.m, point.n).hessian()
    shift = beta * np.concatenate([modes.singular_values, -modes.singular_values, np.zeros(2)])
    omega = (np.diag(k) - shift) / 2
    off = k - np.diag(np.diag(k))
    theta = off @ off / 4
    printed = np.diag(omega**2) + omega[:, None] * off + theta
    exact = schrodinger_matrix(torch.from_numpy(k - np.diag(shift))).numpy()
    assert np.abs(printed - printed.T).max() > 0.1
    np.testing.assert_allclose((printed + printed.T) / 2, exact, atol=1e-10)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.1, 4), beta=st.floats(0.3, 3))
def test_unstable_bosons_are_as_many_as_dressed_singular_values_above_the_threshold(seed, scale, beta) -> None:
    """Sylvester's law of inertia, at any reference."""
    rbm = model(6, 5, seed, scale)
    point = given_point(rbm, seed)
    bosons = boson_spectrum(rbm, beta, point)
    dressed = dressed_singular_values(rbm, point)
    if np.abs(beta * dressed - 1).min() > 1e-6:
        assert bosons.n_unstable == int((beta * dressed > 1).sum())


def test_a_mean_field_minimum_is_stable_and_the_unstable_symmetric_point_is_not() -> None:
    weights = np.full((30, 20), 6.0 / np.sqrt(600))
    rbm = RBM(weights, -0.5 * weights.sum(1), -0.5 * weights.sum(0))
    assert boson_spectrum(rbm, 1.0, "uniform").n_unstable == 1
    solution = mean_field(rbm)
    bosons = boson_spectrum(rbm, 1.0, solution)
    assert bosons.n_unstable == 0
    assert bosons.dressed_singular_values[0] < 1


def test_levels_are_all_sums_of_quanta_in_order() -> None:
    """Against brute force over occupations; with unstable bosons the ground level is Σ|ω|."""
    rbm = model(3, 2, scale=2.0)
    for beta in (0.3, 6.0):
        bosons = boson_spectrum(rbm, beta, given_point(rbm))
        omega = np.abs(bosons.frequencies)
        unstable = ~bosons.stable
        brute = sorted(
            float(omega @ np.array(quanta) + omega[unstable].sum())
            for quanta in itertools.product(range(8), repeat=5)
            if np.dot(quanta, omega) < 7.5 * omega.min()
        )[:12]
        levels = bosons.levels(12)
        np.testing.assert_allclose([level.energy for level in levels][: len(brute)], brute, rtol=1e-10)
        for level in levels:
            assert bosons.energy(level.occupations) == pytest.approx(level.energy)
            assert level.relaxation_rate == pytest.approx(2 * level.energy / beta)
    assert bosons.n_unstable > 0
    assert bosons.levels(1)[0].energy == pytest.approx(bosons.ground_energy)


def test_bad_input() -> None:
    rbm = model(3, 2)
    with pytest.raises(InputError, match="beta must be finite and above 0"):
        boson_spectrum(rbm, 0.0)
    with pytest.raises(InputError, match="occupations map bosons"):
        boson_spectrum(rbm).energy({0: -1})
