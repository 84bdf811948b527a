"""Landscapes show the energy of equation 16 and everything that has to be seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.errors import InputError
from rbmscape.reciprocal.landscape import landscape


def modes_of(n_visible=6, n_hidden=4, bias=0.1, weights=None, seed=0):
    generator = np.random.default_rng(seed)
    drawn = generator.normal(size=(n_visible, n_hidden)) if weights is None else weights
    return rs.Modes.of(rs.RBM(drawn, bias * generator.normal(size=n_visible), bias * generator.normal(size=n_hidden)))


def test_grid_holds_the_energy_saddle_and_points():
    modes = modes_of()
    generator = np.random.default_rng(1)
    points = modes.project(generator.integers(0, 2, (50, 6)), generator.integers(0, 2, (50, 4)))
    for i in range(modes.n_paired):
        one = landscape(modes, i, [points], n_grid=31)
        direct = modes.mode_energy(i, torch.as_tensor(one.x)[None, :], torch.as_tensor(one.y)[:, None])
        np.testing.assert_allclose(one.energy, direct, atol=1e-12)
        for axis, name in enumerate("xy"):
            values, grid = getattr(points, name)[:, i].numpy(), getattr(one, name)
            assert grid[0] < min(values.min(), one.saddle[axis])
            assert max(values.max(), one.saddle[axis]) < grid[-1]
        # along its principal axes the landscape is a pure parabola
        for direction, sign in ((one.axis_u, -1.0), (one.axis_w, 1.0)):
            moved = one.saddle + 0.7 * direction
            energy = float(modes.mode_energy(i, moved[0], moved[1]))
            assert energy - one.saddle_energy == pytest.approx(sign * 0.5 * one.singular_value * 0.49)


def test_distant_or_missing_saddles_do_not_widen_the_grid():
    far = landscape(modes_of(bias=1000.0), 0)
    assert np.abs(far.saddle).max() > 100
    assert np.abs([far.x, far.y]).max() < 20
    flat = landscape(modes_of(weights=np.zeros((6, 4))), 0)
    assert np.isnan(flat.saddle).all()
    assert np.isfinite(flat.energy).all()


def test_misuse_is_refused():
    modes = modes_of()
    with pytest.raises(InputError, match="from 0 to 3, found 4"):
        landscape(modes, 4)
    with pytest.raises(InputError, match="n_grid"):
        landscape(modes, 0, n_grid=1)
