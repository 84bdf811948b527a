"""Modes keep order and sign from one model to the next, on trajectories whose crossings are known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.reciprocal.alignment import transport_basis


def orthogonal(size, seed):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))[0]


def planted(singular_values, n_visible=9, n_hidden=6, angle=0.0, seed=0):
    """A model with known modes; ``angle`` turns the first two left vectors into each other."""
    left, right = orthogonal(n_visible, seed), orthogonal(n_hidden, seed + 1)
    turn = np.eye(n_visible)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    count = len(singular_values)
    weights = (left @ turn)[:, :count] * singular_values @ right[:, :count].T
    generator = np.random.default_rng(seed + 2)
    return rs.Modes.of(rs.RBM(weights, generator.normal(size=n_visible), generator.normal(size=n_hidden)))


def test_crossing_is_found_and_the_modes_stay_themselves():
    before = planted([5.0, 4.0, 3.0, 2.0, 1.0, 0.5])
    after = planted([3.9, 4.1, 3.0, 2.0, 0.6, 0.9])
    aligned = after.aligned_to(before)
    np.testing.assert_allclose(aligned.singular_values, [3.9, 4.1, 3.0, 2.0, 0.6, 0.9], atol=1e-12)
    assert aligned.alignment is not None
    assert aligned.alignment.order.tolist() == [1, 0, 2, 3, 5, 4]
    assert aligned.alignment.crossings.tolist() == [[0, 1], [4, 5]]
    np.testing.assert_allclose(aligned.alignment.overlap, 1.0)
    torch.testing.assert_close(aligned.left[:, :6], before.left[:, :6], rtol=0, atol=1e-10)
    torch.testing.assert_close(aligned.right, before.right, rtol=0, atol=1e-10)
    assert after.alignment is None
    # a second crossing back is reported as well
    back = planted([5.0, 4.0, 3.0, 2.0, 1.0, 0.5]).aligned_to(aligned)
    assert back.alignment is not None
    assert back.alignment.crossings.tolist() == [[0, 1], [4, 5]]


@pytest.mark.parametrize(("n_visible", "n_hidden"), [(9, 6), (6, 9), (7, 7)])
def test_alignment_changes_order_and_sign_only(n_visible, n_hidden):
    generator = np.random.default_rng(0)
    parts = (
        generator.normal(size=(n_visible, n_hidden)),
        generator.normal(size=n_visible),
        generator.normal(size=n_hidden),
    )
    rbm = rs.RBM(*parts)
    moved = rs.RBM(parts[0] + 0.3 * generator.normal(size=parts[0].shape), *parts[1:])
    for leading in (None, 3):
        aligned = rs.Modes.of(moved).aligned_to(rs.Modes.of(rbm), leading=leading)
        identity = torch.eye(n_visible, dtype=torch.float64)
        torch.testing.assert_close(aligned.left.mT @ aligned.left, identity, rtol=0, atol=1e-12)
        v, h = generator.integers(0, 2, (5, n_visible)), generator.integers(0, 2, (5, n_hidden))
        energies = aligned.mode_energies(aligned.project(v, h)).sum(-1)
        torch.testing.assert_close(energies, moved.energy(v, h), rtol=0, atol=1e-9)
        overlaps = (aligned.left * rs.Modes.of(rbm).left)[:, : aligned.n_paired].sum(0)
        overlaps = overlaps + (aligned.right * rs.Modes.of(rbm).right)[:, : aligned.n_paired].sum(0)
        assert bool((overlaps >= 0).all())


def test_signs_follow_through_the_canonical_gauge():
    """A vector that turns slowly through Σ_k U_ki = 0 jumps in the canonical gauge, and does not when aligned."""
    angles = np.linspace(0.0, 2.0 * np.pi, 41)
    path = [planted([5.0, 3.0, 1.0], angle=angle) for angle in angles]
    jumps = [float((a.left[:, 0] * b.left[:, 0]).sum()) for a, b in pairwise(path)]
    assert min(jumps) < -0.9  # the canonical gauge does jump, else this test shows nothing
    current = path[0]
    for modes in path[1:]:
        following = modes.aligned_to(current)
        assert float((current.left[:, 0] * following.left[:, 0]).sum()) > 0.95
        current = following
    # a full turn brings the vector back to itself, as a mode that never jumped must
    torch.testing.assert_close(current.left[:, 0], path[0].left[:, 0], rtol=0, atol=1e-9)


def test_leading_block_alone_is_permuted():
    before = planted([5.0, 4.0, 3.0, 2.0, 1.0, 0.5])
    after = planted([3.9, 4.1, 3.0, 2.0, 0.6, 0.9])
    aligned = after.aligned_to(before, leading=2)
    np.testing.assert_allclose(aligned.singular_values, [3.9, 4.1, 3.0, 2.0, 0.9, 0.6], atol=1e-12)
    assert aligned.alignment is not None
    assert aligned.alignment.crossings.tolist() == [[0, 1]]
    assert aligned.alignment.overlap[4] < 1e-6


def test_unpaired_vectors_are_carried_along():
    basis, other = (torch.as_tensor(orthogonal(8, seed)[:, :5]) for seed in (1, 1))
    turned = basis @ torch.as_tensor(orthogonal(5, 9))
    torch.testing.assert_close(transport_basis(other, turned), other, rtol=0, atol=1e-12)
    nothing = basis[:, :0]
    assert transport_basis(nothing, nothing).shape == (8, 0)
