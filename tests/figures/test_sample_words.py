"""What a figure says of the samples behind it, from the attributes of its Dataset."""

from __future__ import annotations

import numpy as np
import torch

from rbmscape import RBM
from rbmscape.figures.samples import sampled, shared_facts, verdict
from rbmscape.runs.samples import RunSamples
from rbmscape.sampling.packed import PackedSamples


def samples(r_hat):
    """Of two checkpoints and the model that is delivered."""
    how = {
        "samples_method": "replica exchange along the training", "samples_chains": 6, "samples_seed": 4,
        "samples_label": "a",
    }  # fmt: skip
    bits = torch.zeros(3, 6, 2, 1, dtype=torch.uint8)
    fine = np.full(3, 900.0), np.array([1.0, r_hat, 1.0]), np.zeros(3)
    return RunSamples((0, 10), PackedSamples(bits, *fine, ("",) * 3, how), RBM.random(8, 2))


def test_a_curve_says_at_how_many_models_something_speaks_against_equilibrium():
    assert verdict(samples(1.001).along()) == (
        "Samples by replica exchange along the training (6 independent chains): nothing speaks against equilibrium."
    )
    assert "not shown to be in equilibrium, at 1 of 2 models" in verdict(samples(1.3).along())


def test_a_single_model_says_what_speaks_against_it():
    along = samples(1.3)
    bad, fine = along.packed.samples(1, along.target), along.at()
    bare = along.along().drop_vars("samples_equilibrated")
    assert "nothing speaks against equilibrium" in verdict(sampled(bare, fine))
    assert verdict(sampled(bare, bad)).endswith("not shown to be in equilibrium, R-hat is 1.300, above 1.01.")
    assert shared_facts([fine, bad]) == {
        "samples_method": "replica exchange along the training", "samples_chains": 6, "samples_seed": 4,
    }  # fmt: skip
