"""Samples along a run: exact on small models, kept and found again, honest about what speaks against them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rbmscape import RBM, TrainingConfig, train
from rbmscape.data.synthetic import planted
from rbmscape.errors import InputError
from rbmscape.model.exact import binary_states, visible_log_probabilities
from rbmscape.runs.samples import model_samples, run_samples
from rbmscape.sampling.sequence import N_DRAWS

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


def test_a_model_without_a_run_is_tempered_in_temperature():
    strong = RBM(4.0 * torch.ones(6, 4), -8.0 * torch.ones(6), -12.0 * torch.ones(4))  # all on or all off
    found = model_samples(strong, n_chains=200).at()
    states, probability = visible_distribution(strong)
    share = float(probability[states.sum(1) > 3].sum())
    seen = float((found.v.sum(1) > 3).double().mean())
    assert abs(seen - share) < 4 * np.sqrt(share * (1 - share) / 200)  # Gibbs chains would hardly ever cross
    assert "in temperature" in found.facts["samples_method"]


def test_options_that_do_not_exist_are_refused(run):
    with pytest.raises(InputError, match="no option 'n_chain'; it has n_chains, budget, target"):
        run_samples(run, n_chain=3)
    with pytest.raises(InputError, match="two chains or more"):
        run_samples(run, n_chains=1)
