"""Models between two models: the energy is the mean of both energies, and the ends are the models themselves."""

from __future__ import annotations

import pytest
import torch

from rbmscape import RBM
from rbmscape.model.exact import binary_states
from rbmscape.model.interpolate import interpolated


@pytest.mark.parametrize("t", [0.25, 0.8])
def test_the_energy_lies_between(t):
    one, other = (RBM.random(4, 3, std=1.0, seed=seed).to(dtype=torch.float64) for seed in (1, 2))
    other = RBM(other.weights, torch.arange(4.0).double(), -torch.arange(3.0).double())
    v, h = (binary_states(n).double() for n in (4, 3))
    v, h = v.repeat_interleave(len(h), 0), h.repeat(len(v), 1)
    found = interpolated(one, other, t).energy(v, h)
    torch.testing.assert_close(found, (1 - t) * one.energy(v, h) + t * other.energy(v, h))
    assert float((found - one.energy(v, h)).abs().max()) > 0.1  # the control: it is not one of the ends


def test_the_ends_are_the_models_and_the_upper_one_sets_the_precision():
    one, other = RBM.random(4, 3, seed=1).to(dtype=torch.float64), RBM.random(4, 3, seed=2)
    assert interpolated(one, other, 0.0) is one
    assert interpolated(one, other, 1.0) is other
    assert interpolated(one, other, 0.5).dtype == torch.float32
