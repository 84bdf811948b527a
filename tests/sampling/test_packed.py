"""Packed samples: every bit comes back, from memory and from a file, with the verdict of each model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rbmscape import RBM
from rbmscape.files import read_tensors, write_tensors
from rbmscape.sampling.packed import PackedSamples

MODELS = tuple(RBM.random(11, 4, std=std, seed=3) for std in (0.1, 2.0))
STATES = torch.from_numpy(np.random.default_rng(0).integers(0, 2, (2, 5, 3, 11), dtype=np.uint8))


@pytest.fixture
def packed():
    how = {"samples_method": "replica exchange along the training", "samples_seed": 4, "samples_label": "a"}
    bits = torch.from_numpy(np.packbits(STATES.numpy(), axis=-1))
    good = np.array([900.0, 900.0]), np.array([1.001, 1.2]), np.array([0.5, 5.0])
    return PackedSamples(bits, *good, ("", "exchanges of rung 3 are accepted with probability 0.010"), how)


def test_every_bit_comes_back_and_hidden_states_are_drawn_alike_each_time(packed):
    for index, model in enumerate(MODELS):
        found, again = packed.samples(index, model), packed.samples(index, model)
        assert torch.equal(found.draws.v, STATES[index])
        assert torch.equal(found.v, STATES[index][:, -1])
        assert torch.equal(found.h, again.h)
        assert found.model is model
        assert found.how == packed.how
    assert not torch.equal(packed.samples(0, MODELS[0]).h, packed.samples(1, MODELS[0]).h)


def test_hidden_states_are_those_of_their_visible_states():
    """With strong weights p(h | v) is 0 or 1: each h must follow from the v beside it."""
    strong = RBM(1e3 * torch.ones(11, 1), torch.zeros(11), torch.tensor([-5.5e3]))
    bits = torch.from_numpy(np.packbits(STATES[:1].numpy(), axis=-1))
    how = {"samples_method": "", "samples_seed": 0, "samples_label": ""}
    one = np.ones(1)
    found = PackedSamples(bits, one, one, one, ("",), how).samples(0, strong)
    assert torch.equal(found.draws.h[..., 0].bool(), found.draws.v.sum(-1) > 5.5)
    assert 0 < found.draws.h.double().mean() < 1


def test_each_model_has_its_verdict(packed):
    assert packed.verdict(0).converged
    assert packed.verdict(1).objections == (
        "R-hat is 1.200, above 1.01",
        "drift of 5.0 standard errors",
        "exchanges of rung 3 are accepted with probability 0.010",
    )
    assert packed.samples(1, MODELS[1]).facts["samples_equilibrated"] == 0
    assert "1 of 2 in equilibrium" in repr(packed)


def test_a_file_gives_back_all_of_it(packed, tmp_path):
    write_tensors(tmp_path / "a.safetensors", *packed.to_file())
    again = PackedSamples.from_file(*read_tensors(tmp_path / "a.safetensors"))
    assert torch.equal(again.states, packed.states)
    for name in ("ess", "r_hat", "drift"):
        np.testing.assert_array_equal(getattr(again, name), getattr(packed, name))
    assert (again.ladder, again.how) == (packed.ladder, packed.how)
