"""Rotated last sampling steps: rank-2 updates, sampling with common numbers, size and connectedness of the change."""

import math

import numpy as np
import pytest
import torch

from rbmscape import RBM, Modes
from rbmscape.errors import InputError, ShapeError
from rbmscape.symmetry.hierarchy import (
    RotatedSamples,
    connected_share,
    hierarchy_profile,
    mode_effect,
    mode_rotation,
    random_mode_rotation,
    rotated_field,
    rotated_samples,
)


def model(n=12, m=8, seed=0, scale=1.0):
    generator = np.random.default_rng(seed)
    return RBM(
        scale * generator.standard_normal((n, m)), generator.standard_normal(n), generator.standard_normal(m)
    ).to(dtype=torch.float64)


def states(n, units, seed=1):
    return np.random.default_rng(seed).integers(0, 2, (n, units))


@pytest.mark.parametrize("shape", [(12, 8), (8, 12)])
@pytest.mark.parametrize("pixels", [True, False])
def test_field_is_that_of_the_rotated_matrix(shape, pixels):
    rbm = model(*shape)
    modes = Modes.of(rbm)
    rotation = random_mode_rotation(shape[0], range(1, 7), 4, angle=0.8, seed=3)
    h = torch.from_numpy(states(5, shape[1])).double()
    sigma = torch.zeros(shape, dtype=torch.float64)
    sigma.diagonal().copy_(modes.singular_values)
    r = rotation.matrix()
    weights = modes.left @ r.T @ sigma @ modes.right.T
    expected = h @ (r @ weights if pixels else weights).T + rbm.visible_bias
    torch.testing.assert_close(rotated_field(rbm, modes, h, rotation, pixels), expected, atol=1e-12, rtol=0)


def test_half_a_turn_of_two_modes_is_a_rank_two_update_that_flips_them():
    rbm = model()
    modes = Modes.of(rbm)
    rotation = mode_rotation(12, [(0, 3)])
    columns = rotated_field(rbm, modes, torch.eye(8), rotation, pixels=False) - rbm.visible_bias
    change = columns.T - rbm.weights
    assert int((torch.linalg.svdvals(change) > 1e-10).sum()) == 2
    expected = rbm.weights.clone()
    for i in (0, 3):
        expected -= 2 * modes.singular_values[i] * torch.outer(modes.left[:, i], modes.right[:, i])
    torch.testing.assert_close(columns.T, expected, atol=1e-12, rtol=0)
    # The printed formula also flips the two pixels that happen to have the numbers of the modes.
    printed = (rotated_field(rbm, modes, torch.eye(8), rotation) - rbm.visible_bias).T
    expected[[0, 3]] *= -1
    torch.testing.assert_close(printed, expected, atol=1e-12, rtol=0)


def test_a_full_turn_changes_nothing_and_the_visible_bias_is_a():
    rbm = model()
    modes = Modes.of(rbm)
    h = states(50, 8)
    same = rotated_samples(rbm, modes, h, mode_rotation(12, [(0, 1)], 2 * math.pi), seed=4)
    assert torch.equal(same.before, same.after)
    torch.testing.assert_close(same.p_before, rbm.visible_probability(h))
    # The paper prints b in the visible field; with equal layers its formula gives other probabilities.
    square = model(8, 8)
    fields = rotated_field(square, Modes.of(square), h, mode_rotation(8, [(0, 1)], 0.0))
    torch.testing.assert_close(fields, square.visible_field(h), atol=1e-12, rtol=0)
    assert float((fields - (square.visible_field(h) - square.visible_bias + square.hidden_bias)).abs().max()) > 0.1


def test_common_random_numbers_realise_the_expected_number_of_changes():
    rbm = model(seed=2)
    modes = Modes.of(rbm)
    samples = rotated_samples(rbm, modes, states(4000, 8), mode_rotation(12, [(0, 1)]), seed=5)
    effect = mode_effect(samples)
    counted = (samples.before != samples.after).double().sum(1)
    error = float(counted.std()) / math.sqrt(4000)
    # Fixed seed; 4 standard errors.
    assert abs(float(counted.mean()) - effect.pixels_changed.value) < 4 * error
    assert 0 < effect.pixels_changed.stderr < 0.05 * effect.pixels_changed.value
    # Draws with independent numbers would differ more: the control shows that the numbers are shared.
    p, q = samples.p_before, samples.p_after
    independent = float((p * (1 - q) + q * (1 - p)).sum(1).mean())
    assert independent > effect.pixels_changed.value + 10 * error


def test_connected_share_of_known_pictures():
    blob = np.zeros((8, 8), dtype=bool)
    blob[2:5, 2:5] = True
    assert connected_share(blob) == 1.0
    blob[7, 7] = True
    assert connected_share(blob) == pytest.approx(0.9)
    diagonal = np.eye(8, dtype=bool)
    assert connected_share(diagonal) == 1.0
    checker = np.zeros((8, 8), dtype=bool)
    checker[::2, ::2] = True
    assert connected_share(checker) == pytest.approx(1 / 16)
    assert math.isnan(connected_share(np.zeros((8, 8), dtype=bool)))


def image_with_global_and_local_modes():
    """Mode pair (0, 1) covers the image smoothly, pair (2, 3) a corner; hidden units are the modes."""
    side = 12
    rows = np.mgrid[0:side, 0:side][0] / (side - 1.0)
    shapes = [np.ones((side, side)), np.cos(math.pi * rows), np.zeros((side, side)), np.zeros((side, side))]
    shapes[2][:2, :3] = 1.0
    shapes[3][2:4, :3] = 1.0
    left = np.linalg.qr(np.stack([s.ravel() for s in shapes], 1))[0]
    weights = left * np.array([90.0, 80.0, 12.0, 10.0])
    return RBM(weights, -0.5 * weights.sum(1), np.zeros(4)).to(dtype=torch.float64), (side, side)


def test_global_and_local_become_numbers():
    rbm, shape = image_with_global_and_local_modes()
    modes = Modes.of(rbm)
    first, third = hierarchy_profile(rbm, modes, states(300, 4), [0, 2], shape)
    assert first.pixels_changed.value > 5 * third.pixels_changed.value
    assert first.area.value > 2 * third.area.value
    assert first.spread.value > 2 * third.spread.value
    # A local change hangs together more than as many pixels in random places; half of all pixels always do.
    assert third.connected.value > third.connected_random.value + 10 * third.connected.stderr
    assert first.connected_random.value > 0.9


def test_scattered_changes_are_as_connected_as_the_control():
    generator = np.random.default_rng(6)
    before = torch.zeros(400, 144, dtype=torch.uint8)
    after = torch.from_numpy((generator.random((400, 144)) < 0.15).astype(np.uint8))
    p = torch.full((400, 144), 0.15, dtype=torch.float64)
    effect = mode_effect(RotatedSamples(before, after, torch.zeros_like(p), p), (12, 12))
    difference = effect.connected.value - effect.connected_random.value
    assert abs(difference) < 4 * math.hypot(effect.connected.stderr, effect.connected_random.stderr)
    assert effect.spread.value == pytest.approx(144)


def test_data_without_image_shape_leave_the_geometry_undefined():
    rbm = model()
    effect = hierarchy_profile(rbm, Modes.of(rbm), states(20, 8), [0])[0]
    assert math.isnan(effect.area.value)
    assert math.isnan(effect.connected.value)
    assert math.isfinite(effect.pixels_changed.value)


def test_bad_input_is_refused():
    rbm = model()
    modes = Modes.of(rbm)
    with pytest.raises(InputError, match="axis 12 is out of range"):
        mode_rotation(12, [(0, 12)])
    with pytest.raises(InputError, match="not finite"):
        mode_rotation(12, [(0, 1)], math.inf)
    with pytest.raises(InputError, match="span 3 different planes"):
        random_mode_rotation(12, [5, 6, 7], 4)
    with pytest.raises(InputError, match="from 0 to 6"):
        hierarchy_profile(rbm, modes, states(3, 8), [7])
    with pytest.raises(ShapeError, match="12 dimensions"):
        rotated_field(rbm, modes, states(3, 8), mode_rotation(8, [(0, 1)]))
    with pytest.raises(ShapeError, match=r"\(n, 8\)"):
        rotated_samples(rbm, modes, np.zeros(8), mode_rotation(12, [(0, 1)]))
    with pytest.raises(ShapeError, match="12 pixels"):
        hierarchy_profile(rbm, modes, states(3, 8), [0], (3, 5))
