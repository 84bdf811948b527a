"""Samples along a run: exact on small models, kept and found again, honest about what speaks against them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from rbmscape import RBM, TrainingConfig, train
from rbmscape.data.synthetic import planted
from rbmscape.errors import InputError
from rbmscape.figures.samples import sampled, verdict
from rbmscape.kernels.select import select_engine
from rbmscape.model.exact import binary_states, visible_log_probabilities
from rbmscape.rng import Stream
from rbmscape.runs.samples import model_samples, run_samples
from rbmscape.sampling import sequence
from rbmscape.sampling.budget import OVERHEAD, affordable_chains_and_rounds
from rbmscape.sampling.ladder import Ladder, choose_ladder, independent_base
from rbmscape.sampling.sequence import N_DRAWS
from rbmscape.sampling.tempering import temper

N_VISIBLE = 10


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on few pixels whose first modes order, with averaged parameters."""
    data = planted(N_VISIBLE, rank=2, strengths=[9.0, 7.0], n_train=600, n_test=100, seed=3)
    config = TrainingConfig(
        n_hidden=6, epochs=60, batch_size=60, n_chains=60, learning_rate=0.5, schedule="constant", averaging=20,
        early_checkpoints=6, checkpoint_epochs=(20, 60),
    )  # fmt: skip
    return train(data, config, tmp_path_factory.mktemp("equilibrium") / "run", progress=False)


@pytest.fixture(scope="module")
def samples(run):
    return run_samples(run, seed=5, n_chains=400)


def visible_distribution(rbm):
    return binary_states(rbm.n_visible), visible_log_probabilities(rbm).exp()


@pytest.mark.statistical
def test_every_checkpoint_has_its_own_exact_distribution(run, samples):
    """Means of pixels and of products of two: 5 standard errors, false alarm 3e-4 for the 550 numbers.

    Negative control: the samples of the last checkpoint are not those of the first one.
    """
    assert samples.updates == run.updates
    scores = {}
    for update in (*samples.updates, None):
        found = samples.at(update)
        states, probability = visible_distribution(found.model)
        v = found.v.double()  # one a column: independent
        for name, law in (("own", probability), ("first", visible_distribution(run.load(0, averaged=False))[1])):
            mean = states.double().T @ (law[:, None] * states.double())
            error = (mean * (1 - mean) / len(v)).sqrt()
            scores[update, name] = float(((v.T @ v / len(v) - mean) / error).abs().max())
    assert max(score for (_, name), score in scores.items() if name == "own") < 5
    assert scores[None, "first"] > 5


def test_the_last_samples_are_of_the_model_that_the_run_delivers(run, samples):
    assert torch.equal(samples.at().model.weights, run.load().weights)
    last = samples.at(run.last_update)
    assert torch.equal(last.model.weights, run.load(averaged=False).weights)
    assert not torch.equal(last.model.weights, run.load().weights)
    v, h = samples.at().all
    assert v.shape == (400 * N_DRAWS, N_VISIBLE)
    assert h.shape == (400 * N_DRAWS, 6)
    with pytest.raises(InputError, match="update 9 was not sampled"):
        samples.at(9)


def test_samples_are_kept_and_follow_from_their_models_and_options(run, tmp_path):
    one = run_samples(run, seed=1, cache=tmp_path, n_chains=20)
    (kept,) = tmp_path.glob("*.safetensors")
    written = kept.stat().st_mtime_ns
    again = run_samples(run, seed=1, cache=tmp_path, n_chains=20)
    assert kept.stat().st_mtime_ns == written
    assert torch.equal(one.packed.states, again.packed.states)
    assert torch.equal(one.at(0).h, again.at(0).h)
    assert np.array_equal(one.packed.r_hat, again.packed.r_hat)
    for changes in (
        {"seed": 2, "n_chains": 20},
        {"seed": 1, "n_chains": 24},
        {"seed": 1, "n_chains": 20, "update": 200},
    ):
        other = run_samples(run, cache=tmp_path, **changes)
        assert other.packed.states.shape != one.packed.states.shape or not torch.equal(
            other.packed.states, one.packed.states
        )
    assert len(list(tmp_path.glob("*.safetensors"))) == 4


def test_runs_do_not_share_random_numbers(run, tmp_path):
    copy = tmp_path / "twin"
    copy.symlink_to(run.directory)
    twin = run_samples(type(run).open(copy), seed=5, n_chains=400)
    same = float((twin.at(0).v == run_samples(run, seed=5, n_chains=400).at(0).v).double().mean())
    # 4000 bits of mean p agree with probability p² + (1-p)², within 6 standard deviations; shared numbers give 1.
    mean = twin.at(0).v.double().mean(0)
    expected = float((mean**2 + (1 - mean) ** 2).mean())
    assert abs(same - expected) < 6 * 0.5 / np.sqrt(4000)


def test_the_verdict_says_what_speaks_against_equilibrium(samples):
    fine = samples.along()
    assert (fine.samples_equilibrated == 1).all()
    assert "nothing speaks against equilibrium" in verdict(fine)
    r_hat = samples.packed.r_hat
    packed = replace(samples.packed, r_hat=np.where(np.arange(len(r_hat)) == 1, 1.3, r_hat))
    bad = replace(samples, packed=packed)
    assert "not shown to be in equilibrium, at 1 of" in verdict(bad.along())
    facts = bad.at(bad.updates[1]).facts
    assert facts["samples_equilibrated"] == 0
    assert "R-hat is 1.300" in facts["samples_objections"]
    assert "R-hat is 1.300" in verdict(sampled(fine.drop_vars("samples_equilibrated"), bad.at(bad.updates[1])))


def test_a_model_without_a_run_is_tempered_in_temperature():
    strong = RBM(4.0 * torch.ones(6, 4), -8.0 * torch.ones(6), -12.0 * torch.ones(4))  # all on or all off
    found = model_samples(strong, n_chains=200).at()
    states, probability = visible_distribution(strong)
    share = float(probability[states.sum(1) > 3].sum())
    seen = float((found.v.sum(1) > 3).double().mean())
    assert abs(seen - share) < 4 * np.sqrt(share * (1 - share) / 200)  # Gibbs chains would hardly ever cross
    assert "in temperature" in found.facts["samples_method"]


@pytest.mark.parametrize(("hidden", "rungs"), [(20, 10), (500, 50), (3000, 60), (3000, 130), (3000, 400), (9000, 400)])
def test_the_budget_bounds_the_work_but_for_one_passage_within_four_of_it(hidden, rungs):
    rbm = RBM(torch.zeros(784, hidden), torch.zeros(784), torch.zeros(hidden))
    n_chains, rounds = affordable_chains_and_rounds(1e12, rungs, 100, rbm)
    assert rounds & (rounds - 1) == 0
    assert 32 <= n_chains <= 100
    one = n_chains * rungs * (784 * hidden + OVERHEAD)
    assert one * rounds <= 1e12 or (n_chains == 32 and (one * rounds <= 4e12 or rounds == 64))
    assert rounds >= min(1024, 2 * (rungs + 1)) or 2.0 * one * rounds > 4e12, (
        "no passage, although there is time for it"
    )


def test_options_that_do_not_exist_are_refused(run):
    with pytest.raises(InputError, match="no option 'n_chain'; it has n_chains, budget, target"):
        run_samples(run, n_chain=3)
    with pytest.raises(InputError, match="two chains or more"):
        run_samples(run, n_chains=1)


def bimodal(strength):
    """Six pixels and four hidden units, all on or all off, the latter more likely."""
    return RBM(strength * torch.ones(6, 4), -2.2 * strength * torch.ones(6), -3.0 * strength * torch.ones(4))


def test_late_ladders_begin_at_independent_units_of_the_very_first_model(monkeypatch):
    """Short chains of a later model all fall into one mode; a base made of them would bring it to every rung."""
    bases = []

    def watched(models, stream, annealer, target, keep, base):
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


def test_chains_of_the_training_show_what_the_ladders_own_pilots_miss():
    """A ladder of one rung cannot cross; pilots in one mode agree with each other, other starts disagree with them."""
    model, stream, annealer = bimodal(4.0), Stream(3, "starts"), select_engine().annealer()
    alike = Ladder((model, model), (-1.0, 0.0), torch.zeros(2, 128, 6, dtype=torch.uint8))
    two = alike.with_starts(torch.ones(128, 6, dtype=torch.uint8), stream, annealer)
    assert two.start.shape == (2, 256, 6)
    found = [temper(ladder, 64, 256, stream.child("t"), annealer) for ladder in (alike, two)]
    assert found[1].r_hat > 1.1
    assert not found[0].r_hat > 1.1  # the negative control: without them nothing is seen
