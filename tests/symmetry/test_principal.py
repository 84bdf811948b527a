"""Principal components and their overlap with left singular vectors."""

import numpy as np
import pytest
import torch

from rbmscape import RBM, Modes
from rbmscape.errors import DataError, InputError, ShapeError
from rbmscape.symmetry.principal import align_with_components, alignment_along, principal_components


def low_rank_data(n=400, units=30, seed=0):
    """Data whose covariance has three strong directions."""
    generator = np.random.default_rng(seed)
    directions = np.linalg.qr(generator.standard_normal((units, 3)))[0]
    scores = generator.standard_normal((n, 3)) * np.array([4.0, 3.0, 2.0])
    return scores @ directions.T + 0.1 * generator.standard_normal((n, units)) + 0.5


def model_with_left_vectors(vectors, values):
    units, count = vectors.shape
    right = np.linalg.qr(np.random.default_rng(9).standard_normal((20, count)))[0]
    weights = (vectors * values) @ right.T
    return RBM(weights, np.zeros(units), np.zeros(20)).to(dtype=torch.float64)


def test_components_are_those_of_a_singular_value_decomposition():
    data = low_rank_data()
    found = principal_components(data, 3)
    _, values, rows = np.linalg.svd(data - data.mean(0), full_matrices=False)
    np.testing.assert_allclose(found.variances, values[:3] ** 2 / len(data), rtol=1e-5)
    overlaps = np.abs(np.sum(found.vectors.numpy() * rows[:3].T, axis=0))
    np.testing.assert_allclose(overlaps, 1.0, atol=1e-6)
    assert bool((found.vectors.sum(0) >= 0).all())
    moments = principal_components(data, 3, centred=False)
    _, values, _ = np.linalg.svd(data, full_matrices=False)
    np.testing.assert_allclose(moments.variances, values[:3] ** 2 / len(data), rtol=1e-5)


def test_aligned_and_crossed_modes():
    components = principal_components(low_rank_data(), 3)
    vectors = components.vectors.numpy()
    straight = align_with_components(Modes.of(model_with_left_vectors(vectors, [5.0, 4.0, 3.0])), components)
    np.testing.assert_allclose(straight.overlaps, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(straight.subspace, 1.0, atol=1e-6)
    # Two modes have exchanged their order: single overlaps vanish, matched ones do not notice.
    crossed = align_with_components(Modes.of(model_with_left_vectors(vectors, [4.0, 5.0, 3.0])), components)
    assert crossed.overlaps[0, 0] < 1e-6
    np.testing.assert_allclose(crossed.matched, 1.0, atol=1e-6)
    assert crossed.partner.tolist() == [1, 0, 2]
    assert crossed.subspace[0] < 1e-6
    np.testing.assert_allclose(crossed.subspace[1:], 1.0, atol=1e-6)


def test_rotation_inside_the_subspace_leaves_the_subspace_overlap():
    components = principal_components(low_rank_data(), 2)
    angle = 0.7
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = align_with_components(
        Modes.of(model_with_left_vectors(components.vectors.numpy() @ turn, [5.0, 4.0])), components
    )
    np.testing.assert_allclose(found.overlaps, np.abs(turn), atol=1e-6)
    assert found.subspace[1] == pytest.approx(1.0, abs=1e-6)


def test_random_modes_overlap_as_random_directions_do():
    components = principal_components(low_rank_data(), 3)
    runs = [Modes.of(RBM.random(30, 20, seed=seed)) for seed in range(300)]
    shares = np.array([found.subspace[-1] for found in alignment_along(runs, components)])
    # E = k/N for Haar vectors; mean of 300, fixed seeds, 4 standard errors.
    assert abs(shares.mean() - 3 / 30) < 4 * shares.std(ddof=1) / np.sqrt(300)
    assert shares.std(ddof=1) < 0.1


def test_bad_input_is_refused():
    data = low_rank_data()
    with pytest.raises(DataError, match="at least 2 samples"):
        principal_components(data[:1])
    with pytest.raises(InputError, match="from 1 to 30"):
        principal_components(data, 31)
    components = principal_components(data, 3)
    with pytest.raises(ShapeError, match="30 units"):
        align_with_components(Modes.of(RBM.random(8, 5)), components)
    with pytest.raises(InputError, match="from 3"):
        align_with_components(Modes.of(RBM.random(30, 5)), components, n_modes=2)
