"""Ladders on which every model of a sequence is a rung: where they begin, and where their chains start."""

from __future__ import annotations

import torch

from rbmscape import RBM
from rbmscape.kernels.select import select_engine
from rbmscape.rng import Stream
from rbmscape.sampling import sequence
from rbmscape.sampling.ladder import Ladder, choose_ladder, independent_base
from rbmscape.sampling.origins import from_elsewhere
from rbmscape.sampling.tempering import ONE_LOOK, temper


def bimodal(strength):
    """Six pixels and four hidden units, all on or all off, the latter more likely."""
    return RBM(strength * torch.ones(6, 4), -2.2 * strength * torch.ones(6), -3.0 * strength * torch.ones(4))


def test_late_ladders_begin_at_independent_units_of_the_very_first_model(monkeypatch):
    """Short chains of a later model all fall into one mode; a base made of them would bring it to every rung."""
    bases = []

    def watched(models, stream, annealer, target, keep, base, **_):
        bases.append(base)
        return choose_ladder(models, stream, annealer, target, keep, base=base)

    monkeypatch.setattr(sequence, "choose_ladder", watched)
    quiet = [RBM(s * torch.ones(6, 4), -4.0 * s * torch.ones(6), -4.0 * s * torch.ones(4)) for s in (2.0, 2.2)]
    models = [bimodal(0.01), bimodal(0.02), *quiet]
    sequence.sequence_samples(models, 2, (0, "run"), {"n_chains": 8.0, "budget": 1e8, "target": 0.65})
    annealer = select_engine().annealer()
    control = independent_base(models[2], models[2], Stream(0, "control"), annealer)
    assert all(float(base.visible_bias.sigmoid().mean()) > 0.4 for base in bases)
    assert float(control.visible_bias.sigmoid().mean()) < 0.1


def test_other_starts_show_what_the_ladders_own_pilots_miss():
    """A ladder of one rung cannot cross; pilots in one mode agree with each other, other starts disagree with them."""
    model, stream, annealer = bimodal(4.0), Stream(3, "starts"), select_engine().annealer()
    alike = Ladder((model, model), (-1.0, 0.0), torch.zeros(2, 128, 6, dtype=torch.uint8))
    two = from_elsewhere(alike, torch.ones(128, 6, dtype=torch.uint8), stream, annealer)
    assert two.others is not None
    found = [temper(ladder, 64, 256, stream.child("t"), annealer) for ladder in (alike, two)]
    assert found[1].r_hat > 1.1
    assert not found[0].r_hat > 1.1  # the negative control: without them nothing is seen


def test_every_model_must_pass_two_looks_in_a_row(monkeypatch):
    """With 31 rounds the first look comes too early to pass; with 128 the same easy models pass twice."""
    models = [bimodal(0.01), bimodal(0.02), bimodal(0.03)]
    for rounds, doubt in ((31, ONE_LOOK), (128, "")):
        monkeypatch.setattr(sequence, "affordable_chains_and_rounds", lambda *_, rounds=rounds: (400, rounds))
        found = sequence.sequence_samples(models, 0, (4, "looks"), {"n_chains": 400.0, "budget": 1e9, "target": 0.65})
        assert found.how["samples_rounds"] == rounds
        assert found.ladder == (doubt,) * 3
