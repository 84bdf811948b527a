"""Layers of thousands of units: one unpaired mode for all, the same energy, no matrix of N x N."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.diffusion.bosons import curvature_matrix
from rbmscape.diffusion.reference import reference_point
from rbmscape.errors import InputError
from rbmscape.sampling.ladder import leading_modes
from rbmscape.symmetry import growth
from rbmscape.symmetry.principal import principal_components


def model(n_visible: int, n_hidden: int, seed: int = 0) -> rs.RBM:
    generator = np.random.default_rng(seed)
    return rs.RBM(*(generator.normal(size=shape) for shape in ((n_visible, n_hidden), n_visible, n_hidden)))


@pytest.mark.parametrize("shape", [(30, 7), (7, 30), (9, 9)])
def test_one_unpaired_mode_carries_all_the_energy(shape):
    rbm = model(*shape)
    whole, thin = rs.Modes.of(rbm, "all"), rs.Modes.of(rbm, "bias")
    generator = np.random.default_rng(1)
    v, h = generator.integers(0, 2, (5, shape[0])), generator.integers(0, 2, (5, shape[1]))
    torch.testing.assert_close(thin.mode_energies(thin.project(v, h)).sum(-1), rbm.energy(v, h))
    torch.testing.assert_close(thin.project(v).u, whole.project(v).u)
    torch.testing.assert_close(thin.random_state_mean().u, whole.random_state_mean().u)
    torch.testing.assert_close(thin.saddle_energy, whole.saddle_energy)
    extra = int(shape[0] != shape[1])
    assert (thin.n_modes, thin.is_complete) == (min(shape) + extra, not extra)
    for basis in (thin.left, thin.right):
        torch.testing.assert_close(basis.mT @ basis, torch.eye(basis.shape[1], dtype=torch.float64))


def test_without_bias_the_unpaired_mode_has_no_energy():
    thin = rs.Modes.of(rs.RBM(np.random.default_rng(0).normal(size=(20, 3)), np.zeros(20), np.zeros(3)), "bias")
    assert thin.left.shape == (20, 4)
    torch.testing.assert_close(thin.left.mT @ thin.left, torch.eye(4, dtype=torch.float64))
    assert float(thin.visible_bias.abs().max()) < 1e-12


def test_what_needs_complete_bases_says_so():
    rbm = model(30, 7)
    thin = rs.Modes.of(rbm, "bias")
    for attempt in (
        lambda: thin.restore(thin.project(np.zeros(30), np.zeros(7))),
        lambda: thin.from_z(np.zeros(37)),
        lambda: rs.EffectivePotential(rbm, modes=thin).value(np.zeros(37)),
        lambda: rs.rotated_weights(rbm, modes=thin),
    ):
        with pytest.raises(InputError, match=r"complete bases of 30 visible and 7 hidden.*unpaired='all'"):
            attempt()
    wide = rs.RBM.random(20_000, 2)
    with pytest.raises(InputError, match=r"matrix of 3\.2 GB"):
        curvature_matrix(wide, reference_point(wide))


def test_a_layer_of_thousands_takes_no_square_matrix():
    rbm = rs.RBM.random(20_000, 5, std=1.0)
    modes = rs.Modes.of(rbm)
    assert modes.left.shape == (20_000, 6)
    found = leading_modes(rbm.weights, 2)
    assert float((found.mT @ modes.left[:, [1, 0]]).diagonal().abs().min()) > 1 - 1e-9


@pytest.mark.parametrize("shape", [(3, 30), (30, 3), (30, 8)])
def test_leading_modes_are_those_of_the_decomposition(shape):
    rbm = model(*shape)
    found, left = leading_modes(rbm.weights, 3), rs.Modes.of(rbm).left[:, [2, 1, 0]]
    torch.testing.assert_close((found.mT @ left).abs(), torch.eye(3, dtype=torch.float64), atol=1e-9, rtol=0)


def test_growth_of_wide_data_is_that_of_the_whole_matrix(monkeypatch):
    data = rs.load_dataset("planted", n_visible=60, rank=2, n_train=500).train
    whole = growth.linear_growth(data, 3)
    monkeypatch.setattr(growth, "WIDE", 10)
    wide = growth.linear_growth(data, 3)
    np.testing.assert_allclose(wide.eigenvalues, whole.eigenvalues, rtol=1e-4)
    assert np.abs((wide.directions * whole.directions).sum(0)).min() > 0.999


def test_components_of_fewer_rows_than_units():
    data = np.random.default_rng(0).integers(0, 2, (12, 40))
    found = principal_components(data, 5)
    values, vectors = np.linalg.eigh(np.cov(data.T, bias=True))
    np.testing.assert_allclose(found.variances, values[::-1][:5], rtol=1e-4)
    np.testing.assert_allclose(np.abs(vectors[:, ::-1][:, :5].T @ found.vectors.numpy()), np.eye(5), atol=1e-3)
