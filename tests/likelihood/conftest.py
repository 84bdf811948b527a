"""Small models whose ln Z is known, from weakly coupled ones to ones with far modes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rbmscape.kernels.floats.annealing import FloatAnnealer
from rbmscape.model.exact import exact_samples
from rbmscape.model.rbm import RBM


def _random_model(seed, n_visible=24, n_hidden=9, strength=1.0):
    """Independent normal parameters."""
    generator = np.random.default_rng(seed)
    shapes = ((n_visible, n_hidden), (n_visible,), (n_hidden,))
    weights, *biases = (generator.normal(size=shape).astype(np.float32) for shape in shapes)
    return RBM(strength * weights, *biases)


def _glass_model(seed, n_visible=24, n_hidden=9, strength=1.0):
    """Random couplings and no field on the spins 2v - 1 and 2h - 1: many modes, of which none stands out."""
    weights = np.random.default_rng(seed).normal(scale=strength, size=(n_visible, n_hidden))
    return RBM(weights, -weights.sum(1) / 2, -weights.sum(0) / 2)


def _bimodal_model(n_visible=24, n_hidden=8, barrier=1.5, tilt=0.0):
    """A ferromagnet: nearly all units off, or nearly all on, with log odds of about `tilt` for the second."""
    weights = np.full((n_visible, n_hidden), barrier)
    return RBM(weights, -weights.sum(1) / 2 + tilt / n_visible, -weights.sum(0) / 2)


@pytest.fixture(scope="session")
def random_model():
    """Makes models with independent normal parameters."""
    return _random_model


@pytest.fixture(scope="session")
def glass_model():
    """Makes models with many modes."""
    return _glass_model


@pytest.fixture(scope="session")
def bimodal_model():
    """Makes models with two far modes."""
    return _bimodal_model


@pytest.fixture
def annealer():
    return FloatAnnealer()


@pytest.fixture(scope="session")
def strong():
    """A strongly coupled random model and 400 exact samples of it."""
    rbm = _random_model(2, strength=1.5)
    return rbm, exact_samples(rbm, 400, seed=8)[0].to(torch.uint8)
