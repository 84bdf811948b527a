"""Equilibrium samples come in the right proportions, in any number, and say whether to be believed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.errors import InputError
from rbmscape.model.exact import exact_samples


def ferromagnet(barrier, tilt=1.0):
    weights = np.full((20, 8), barrier)
    return rs.RBM(weights, -weights.sum(1) / 2 + tilt / 20, -weights.sum(0) / 2)


@pytest.fixture(scope="module")
def training():
    """Models whose two modes drift apart, from none to a barrier that Gibbs chains do not cross."""
    return [ferromagnet(barrier) for barrier in (0.01, 0.2, 0.5, 1.0, 1.5)]


def occupied(v):
    return float((v.to(torch.float64).mean(1) > 0.5).to(torch.float64).mean())


@pytest.mark.parametrize("single", [False, True], ids=["along the training", "in temperature"])
def test_both_modes_have_their_weights(training, single):
    """Occupation of one mode by 200 independent columns within 4 standard errors (false alarm 6e-5)."""
    exact = occupied(exact_samples(training[-1], 20000, seed=5)[0])
    found = rs.equilibrium_samples(training[-1] if single else training, 200, seed=3)
    assert found.v.shape == (200, 20)
    assert found.h.shape == (200, 8)
    assert found.method == ("tempering" if single else "trajectory")
    assert found.tempered.converged
    assert "nothing speaks against" in found.tempered.verdict
    assert abs(occupied(found.v) - exact) < 4.0 * np.sqrt(exact * (1 - exact) * (1 / 200 + 1 / 20000))


def test_more_samples_than_columns(training):
    """2100 samples from 200 columns begin with the last round; the others are as good (false alarm 6e-5 each)."""
    exact = occupied(exact_samples(training[-1], 20000, seed=5)[0])
    found = rs.equilibrium_samples(training, 2100, seed=3)
    few = rs.equilibrium_samples(training, 200, seed=3)
    assert found.v.shape == (2100, 20)
    assert torch.equal(found.v[:200], few.v)
    assert torch.equal(found.v[:200], found.tempered.v)
    assert abs(occupied(found.v[200:]) - exact) < 4.0 * np.sqrt(exact * (1 - exact) * (1 / 1000 + 1 / 20000))
    batches = found.v[200:2000].reshape(9, 200, 20).to(torch.float64).mean(2) > 0.5
    kept = [float((batches[k] == batches[k + 1]).to(torch.float64).mean()) for k in range(8)]
    alike = exact**2 + (1 - exact) ** 2
    assert np.mean(kept) < alike + 0.5 * (1 - alike), "columns hardly changed from one batch to the next"
    expected = training[-1].hidden_probability(found.v)
    z = (found.h.to(torch.float64) - expected).sum(0) / torch.sqrt((expected * (1 - expected)).sum(0))
    assert float(z.abs().max()) < 4.5


def test_gibbs_steps_alone_would_not_change_the_columns(training):
    """The control of the test above: between its batches Gibbs chains of the last model stay where they are."""
    few = rs.equilibrium_samples(training, 200, seed=3)
    later = rs.sample(training[-1], 200, 50, seed=3, start=few.v).v
    changed = (few.v.to(torch.float64).mean(1) > 0.5) != (later.to(torch.float64).mean(1) > 0.5)
    assert float(changed.to(torch.float64).mean()) < 0.05


def test_a_spent_budget_is_reported(training):
    found = rs.equilibrium_samples(training, 12, seed=3, budget=20)
    assert found.n_steps == 20
    assert not found.tempered.converged
    assert "independent draws" in found.tempered.verdict


@pytest.mark.parametrize(
    ("models", "options", "message"),
    [
        ([], {}, "empty sequence"),
        ([ferromagnet(1.0)], {"n_samples": 0}, "n_samples"),
        ([ferromagnet(1.0)], {"budget": 3}, "at least 16 rounds"),
    ],
)
def test_refuses(models, options, message):
    with pytest.raises(InputError, match=message):
        rs.equilibrium_samples(models, **options)
