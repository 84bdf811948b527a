"""Wide models: fewer rungs and chains are held at once, and the numbers are the same bits."""

from __future__ import annotations

import pytest
import torch

import rbmscape as rs
from rbmscape.kernels.select import select_engine
from rbmscape.rng import Stream
from rbmscape.sampling import budget, rung_models
from rbmscape.sampling.ladder import choose_ladder, shortest_ladder
from rbmscape.sampling.rounded import log_weight
from rbmscape.sampling.tempering import temper

MODELS = [rs.RBM.random(40, 12, std=std, seed=3) for std in (0.01, 0.4, 0.8)]


def tempered(engine, precision):
    annealer = select_engine(engine, precision, "cpu").annealer()
    ladder = shortest_ladder(MODELS, Stream(0, "ladder"), annealer)
    return ladder, temper(ladder, 20, 24, Stream(1, "tempering"), annealer)


@pytest.mark.parametrize(("engine", "precision"), [("reference", "fp64"), ("cpu", "fp32"), ("cpu", "auto")])
def test_rungs_that_are_made_when_asked_for_give_the_same_bits(engine, precision, monkeypatch):
    ladder, kept = tempered(engine, precision)
    monkeypatch.setattr(rung_models, "_KEPT_BYTES", 0)
    wide, made = tempered(engine, precision)
    assert len(wide.models) == len(ladder.models) > 4
    assert torch.equal(ladder.models[3].weights, wide.models[3].weights)
    assert torch.equal(wide.models[3].weights, ladder.models[3].weights)
    assert torch.equal(wide.models[2:][1].weights, ladder.models[3].weights)
    assert torch.equal(wide.start, ladder.start)
    assert torch.equal(made.states, kept.states)
    assert (made.trace == kept.trace).all()


def test_few_parameters_are_bound_at_once(monkeypatch):
    monkeypatch.setattr(rung_models, "_KEPT_BYTES", 0)
    annealer = select_engine("cpu", "fp32", "cpu").annealer()
    ladder = choose_ladder(MODELS, Stream(0, "ladder"), annealer)
    rungs = rung_models.BoundRungs(ladder.models, annealer, 5)
    for rung, model in enumerate(ladder.models):
        assert torch.equal(rungs[rung].visible_bias, model.visible_bias.to(torch.float32))
        assert len(rungs._bound) <= 4
    assert rungs[-1].v is rungs.states[-1].v
    assert len(rungs) == len(list(rungs)) == len(ladder.models)


def test_chains_follow_from_the_memory_of_their_states():
    assert budget.chains_in_memory(60, 784) > 200, "nothing changes for images"
    assert budget.chains_in_memory(60, 40_000) == 52
    assert budget.chains_in_memory(400, 1_000_000) == 32


def test_samples_of_a_wide_model_come_from_fewer_chains(monkeypatch):
    monkeypatch.setattr(budget, "_BYTES_OF_STATES", 0)
    found = rs.equilibrium_samples(MODELS[1], 100, budget=1e8)
    assert found.how["samples_chains"] == 32
    assert found.v.reshape(-1, 40).shape == (100, 40)


def test_densities_in_chunks_of_a_bounded_size(monkeypatch):
    rows = torch.randint(0, 2, (50, 40), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    whole = log_weight(MODELS[2], rows)
    monkeypatch.setattr("rbmscape.sampling.rounded._ENTRIES", 120)
    torch.testing.assert_close(log_weight(MODELS[2], rows), whole, rtol=1e-14, atol=0)
