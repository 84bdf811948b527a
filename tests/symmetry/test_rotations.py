"""Rotations: orthogonality, the Aguilera-Pérez-Aguila construction as an oracle, invariants, bad input."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from rbmscape import RBM, Modes, random_rotation, rotated_weights
from rbmscape.errors import InputError, ShapeError
from rbmscape.symmetry.rotations import Rotation, random_planes, rotate_weights


def dense_product(size, planes, angles):
    """R_k ⋯ R_1 with every Givens rotation as a full matrix."""
    product = np.eye(size)
    for (i, j), angle in zip(planes, angles, strict=True):
        turn = np.eye(size)
        turn[[i, i, j, j], [i, j, i, j]] = [math.cos(angle), -math.sin(angle), math.sin(angle), math.cos(angle)]
        product = turn @ product
    return product


def aguilera_perez(simplex, angle):
    """Rotation about the (n-2)-dimensional span of a simplex with a vertex at the origin, the construction of
    Aguilera and Pérez-Aguila (WSCG 2004): Givens rotations bring the simplex into the first n-2 axes, the main
    rotation turns the plane of the last two, and the Givens rotations are undone."""
    n = simplex.shape[1]
    moved, aligned = simplex.copy(), np.eye(n)
    for row in range(n - 2):
        for axis in range(n - 1, row, -1):
            theta = math.atan2(moved[row, axis], moved[row, axis - 1])
            turn = dense_product(n, [(axis, axis - 1)], [theta])
            moved, aligned = moved @ turn.T, turn @ aligned
    main = dense_product(n, [(n - 2, n - 1)], [angle])
    return aligned.T @ main @ aligned


@pytest.mark.parametrize("planes", ["axes", "haar"])
def test_random_rotation_is_a_proper_rotation(planes):
    rotation = random_rotation(9, 12, planes, seed=4)
    matrix = rotation.matrix()
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(9, dtype=torch.float64), atol=1e-13, rtol=0)
    assert float(torch.linalg.det(matrix)) == pytest.approx(1.0, abs=1e-12)
    assert float((matrix - torch.eye(9)).abs().max()) > 0.1
    states = torch.randn(9, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(rotation.inverse.apply(rotation.apply(states)), states, atol=1e-13, rtol=0)


@given(size=st.integers(2, 8), count=st.integers(0, 6), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_axis_rotations_equal_the_product_of_givens_matrices(size, count, seed):
    generator = np.random.default_rng(seed)
    planes = [tuple(generator.choice(size, 2, replace=False)) for _ in range(count)]
    angles = generator.uniform(-7, 7, count)
    expected = dense_product(size, planes, angles)
    np.testing.assert_allclose(Rotation.in_axes(size, planes, angles).matrix().numpy(), expected, atol=1e-13)
    spans = np.zeros((count, size, 2))
    for k, (i, j) in enumerate(planes):
        spans[k, [i, j], [0, 1]] = 1.0
    if count:
        np.testing.assert_allclose(Rotation.in_planes(spans, angles).matrix().numpy(), expected, atol=1e-13)


@pytest.mark.parametrize("n", [3, 4, 6])
def test_plane_rotation_is_the_rotation_about_its_complement(n):
    generator = np.random.default_rng(n)
    simplex = generator.standard_normal((n - 2, n))
    plane = np.linalg.svd(simplex)[2][n - 2 :].T[None]
    angle = 2.1
    theirs = aguilera_perez(simplex, angle)
    np.testing.assert_allclose(theirs @ simplex.T, simplex.T, atol=1e-12)  # the subspace stays
    ours = [Rotation.in_planes(plane, sign * angle).matrix().numpy() for sign in (1, -1)]
    # The sense of the turn is a convention of the simplex's orientation.
    assert min(np.abs(theirs - candidate).max() for candidate in ours) < 1e-12


def test_a_zero_angle_is_no_rotation_in_any_plane():
    spans = np.random.default_rng(1).standard_normal((3, 5, 2))
    np.testing.assert_allclose(Rotation.in_planes(spans, 0.0).matrix().numpy(), np.eye(5), atol=1e-15)


@pytest.mark.parametrize("planes", ["axes", "haar"])
@pytest.mark.parametrize("shape", [(7, 5), (5, 9), (6, 6)])
def test_rotated_weights_are_the_paper_s_product(planes, shape):
    n, m = shape
    rbm = RBM.random(n, m, std=1.0, seed=3).to(dtype=torch.float64)
    modes = Modes.of(rbm)
    left, right = random_rotation(n, 4, planes, 1), random_rotation(m, 5, planes, 2)
    sigma = torch.zeros(n, m, dtype=torch.float64)
    sigma.diagonal().copy_(modes.singular_values)
    r, q = left.matrix(), right.matrix()
    expected = (r @ modes.left @ r.T) @ sigma @ (q @ modes.right.T @ q.T)
    turned = rotate_weights(modes, rbm.weights, left, right)
    torch.testing.assert_close(turned, expected, atol=1e-13, rtol=0)
    assert float((turned - rbm.weights).abs().max()) > 0.1


@pytest.mark.parametrize("planes", ["axes", "haar"])
def test_rotated_weights_keep_singular_values_and_the_norm(planes):
    rbm = RBM.random(40, 25, std=0.3, seed=5).to(dtype=torch.float64)
    turned = rotated_weights(rbm, seed=2, planes=planes)
    torch.testing.assert_close(torch.linalg.svdvals(turned), torch.linalg.svdvals(rbm.weights))
    again = rotated_weights(rbm, seed=2, planes=planes, modes=Modes.of(rbm))
    assert torch.equal(turned, again)
    assert not torch.allclose(turned, rotated_weights(rbm, seed=3, planes=planes))


def test_axis_planes_are_uniform_and_different():
    counts = np.zeros((6, 6), dtype=int)
    for seed in range(2000):
        pairs = random_planes(np.arange(6), 3, np.random.default_rng(seed))
        assert len({frozenset(pair) for pair in pairs.tolist()}) == 3
        np.add.at(counts, tuple(pairs.T), 1)
    assert np.trace(counts) == 0
    expected = 2000 * 3 / 30
    chi_square = ((counts[~np.eye(6, dtype=bool)] - expected) ** 2 / expected).sum()
    # 29 degrees of freedom (fewer, as planes differ); fixed seeds; 65 would be a false alarm in 1 of 6000.
    assert chi_square < 65


def test_haar_planes_have_no_preferred_axis_while_axis_planes_do():
    # The plane's share in the first axis, |B_1|², is Beta(1, n/2 - 1) for a uniform plane. False-alarm rate 1e-4.
    n = 6
    shares = [float((random_rotation(n, 1, "haar", seed, angle=1.0).basis[0] ** 2).sum()) for seed in range(400)]
    law = ("beta", (1, n / 2 - 1))
    assert kstest(shares, *law).pvalue > 1e-4
    touched = [float(0 in random_rotation(n, 1, "axes", seed).axes) for seed in range(400)]
    assert kstest(touched, *law).pvalue < 1e-6  # negative control


def test_angles_are_uniform_on_the_circle():
    turns = []
    for seed in range(500):
        core = random_rotation(5, 1, "axes", seed).core + torch.eye(2)
        turns.append(math.atan2(float(core[1, 0]), float(core[0, 0])) % (2 * math.pi))
    assert kstest(turns, "uniform", (0, 2 * math.pi)).pvalue > 1e-4
    assert kstest(np.abs(np.asarray(turns) - math.pi), "uniform", (0, 2 * math.pi)).pvalue < 1e-6  # negative control


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="axis 5 is out of range"):
        Rotation.in_axes(5, [(0, 5)], 1.0)
    with pytest.raises(InputError, match="not finite"):
        Rotation.in_axes(5, [(0, 1)], math.nan)
    with pytest.raises(InputError, match="must be numbers, found 'π'"):
        Rotation.in_axes(5, [(0, 1)], "π")
    with pytest.raises(InputError, match="two different axes"):
        Rotation.in_axes(5, [(2, 2)], 1.0)
    with pytest.raises(ShapeError, match="one angle or 2"):
        Rotation.in_axes(5, [(0, 1), (1, 2)], [0.1, 0.2, 0.3])
    with pytest.raises(ShapeError, match="pairs of axis indices"):
        Rotation.in_axes(5, [(0.5, 1.0)], 1.0)
    with pytest.raises(InputError, match="span 10 different planes"):
        random_rotation(5, 11)
    with pytest.raises(InputError, match="needs two dimensions"):
        random_rotation(1, 1)
    with pytest.raises(InputError, match="one of axes, haar"):
        random_rotation(5, 2, "oblique")
    with pytest.raises(InputError, match="parallel"):
        Rotation.in_planes(np.ones((1, 4, 2)), 1.0)
    with pytest.raises(ShapeError, match="that many rows"):
        random_rotation(5, 2).apply(torch.zeros(4, 4))
    with pytest.raises(InputError, match="fraction"):
        rotated_weights(RBM.random(4, 4), fraction=math.inf)
