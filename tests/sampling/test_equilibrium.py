"""Equilibrium samples come in the right proportions, in any number, and say whether to be believed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.errors import DataError, InputError, ShapeError
from rbmscape.model.exact import exact_samples
from rbmscape.sampling.budget import round_cost


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
    """Occupation of one mode by 200 independent chains within 4 standard errors (false alarm 6e-5)."""
    exact = occupied(exact_samples(training[-1], 20000, seed=5)[0])
    found = rs.equilibrium_samples(training[-1] if single else training, 200, seed=3)
    assert found.v.shape == (200, 20)
    assert found.h.shape == (200, 8)
    assert found.method == f"replica exchange {'in temperature' if single else 'along the training'}"
    assert found.converged
    assert "nothing speaks against" in str(found.verdict)
    assert found.facts["samples_equilibrated"] == 1
    assert abs(occupied(found.v) - exact) < 4.0 * np.sqrt(exact * (1 - exact) * (1 / 200 + 1 / 20000))


def test_more_samples_than_chains(training):
    """2100 samples from 200 chains begin with the last round; the others are as good (false alarm 6e-5 each)."""
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
    assert np.mean(kept) < alike + 0.5 * (1 - alike), "chains hardly changed from one batch to the next"
    expected = training[-1].hidden_probability(found.v)
    z = (found.h.to(torch.float64) - expected).sum(0) / torch.sqrt((expected * (1 - expected)).sum(0))
    assert float(z.abs().max()) < 4.5


def test_gibbs_steps_alone_would_not_change_the_chains(training):
    """The control of the test above: between its batches Gibbs chains of the last model stay where they are."""
    few = rs.equilibrium_samples(training, 200, seed=3)
    later = rs.sample(training[-1], 200, 50, seed=3, start=few.v).v
    changed = (few.v.to(torch.float64).mean(1) > 0.5) != (later.to(torch.float64).mean(1) > 0.5)
    assert float(changed.to(torch.float64).mean()) < 0.05


def test_a_spent_budget_is_reported(training):
    """Multiply-adds bound the rounds: chains times rungs times the cost of one of them."""
    rungs = int(rs.equilibrium_samples(training, 12, seed=3).how["samples_rungs"])
    found = rs.equilibrium_samples(training, 12, seed=3, budget=20.5 * 12 * round_cost(rungs, 20, 8))
    assert found.how["samples_rounds"] == 20
    assert not found.converged
    assert "independent draws" in str(found.verdict)
    assert "not shown to be in equilibrium: " in repr(found)


class Training:
    """What sampling asks of a run."""

    def __init__(self, models):
        self._models = models

    def load(self):
        return self._models[-1]

    def models(self):
        yield from self._models

    def dataset(self):
        raise DataError("the data are not kept")


def test_a_run_is_sampled_in_equilibrium_and_a_model_by_gibbs_chains(training):
    run = Training(training)
    expected = rs.equilibrium_samples(training, 60, seed=7)
    for found in (rs.equilibrium_samples(run, 60, seed=7), rs.sample(run, 60, seed=7)):
        assert torch.equal(found.v, expected.v)
        assert torch.equal(found.h, expected.h)
        assert found.how == expected.how
    chains = rs.sample(run, 60, 5, seed=7, method="gibbs")
    assert torch.equal(chains.v, rs.sample(training[-1], 60, 5, seed=7).v)
    single = rs.sample(training[-1], 60, seed=7, method="equilibrium")
    assert torch.equal(single.v, rs.equilibrium_samples(training[-1], 60, seed=7).v)


def test_weights_of_far_modes_are_those_of_the_model_and_not_of_its_rounded_weights():
    """300 x 8 equal weights of 0.3 round alike, which moves 4 nats from one mode to the other, on all chains at once.

    Occupation within 4 standard errors of that of the model (false alarm 6e-5); with rounded weights it is 0.02.
    """
    models = []
    for s in (0.01, 0.1, 0.25, 0.5, 1.0):
        weights = np.full((300, 8), 0.3 * s)
        models.append(rs.RBM(weights, -weights.sum(1) / 2, -weights.sum(0) / 2))
    found = rs.equilibrium_samples(models, 200, seed=3, budget=2e11)
    assert abs(occupied(found.v) - 0.5) < 4.0 * np.sqrt(0.25 / 200)


def test_others_are_refused_like_data(training):
    with pytest.raises(ShapeError, match="others must have 20 pixels"):
        rs.equilibrium_samples(training, 10, others=np.zeros((3, 5)))


@pytest.mark.parametrize("options", [{"n_steps": 5}, {"beta": 0.5}, {"start": "random"}])
def test_what_belongs_to_chains_is_refused_with_equilibrium(training, options):
    with pytest.raises(InputError, match=f"found {next(iter(options))}; leave that out, or pass method='gibbs'"):
        rs.sample(Training(training), 10, **options)


@pytest.mark.parametrize("function", [rs.log_partition, rs.log_likelihood])
def test_a_run_where_a_model_is_wanted_is_named(training, function):
    with pytest.raises(InputError, match=r"rbm must be an RBM, found a run; pass run\.load\(\)"):
        function(Training(training), data=np.zeros((2, 20)))
    with pytest.raises(InputError, match="must be an RBM, found ndarray"):
        function(np.zeros((2, 2)), data=np.zeros((2, 20)))


@pytest.mark.parametrize(
    ("models", "options", "message"),
    [
        ([], {}, "empty sequence"),
        ([ferromagnet(1.0)], {"n_samples": 0}, "n_samples"),
        ([ferromagnet(1.0)], {"budget": 0}, "budget must be finite and above 0"),
        ([ferromagnet(1.0)], {"progress": 1}, "progress must be"),
    ],
)
def test_refuses(models, options, message):
    with pytest.raises(InputError, match=message):
        rs.equilibrium_samples(models, **options)
