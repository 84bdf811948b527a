"""Training that begins with a run or a model: what is taken over, resuming bit for bit, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.cli.main import main
from rbmscape.errors import ConfigError, InputError, ShapeError
from rbmscape.model.exact import exact_log_likelihood
from rbmscape.model.rbm import PARAMETER_NAMES

RECIPE = rs.TrainingConfig(
    n_hidden=6, epochs=600, batch_size=14, n_chains=50, gibbs_steps=2, engine="reference", learning_rate=0.5, seed=3
)


@pytest.fixture(scope="module")
def data():
    return rs.load_dataset("bars-and-stripes", image_shape=(3, 3))


@pytest.fixture(scope="module")
def first(data, tmp_path_factory):
    return rs.train(data, RECIPE, tmp_path_factory.mktemp("runs") / "first", progress=False)


def same(one, other):
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in PARAMETER_NAMES)


def likelihood(rbm, data):
    return float(exact_log_likelihood(rbm, data.train).mean())


def test_a_run_gives_its_model_its_chains_and_its_recipe(data, first):
    run = rs.train(data, first.config.replace(epochs=0), init=first, progress=False)
    assert same(run.load(0), first.load())
    assert torch.equal(run.chains, first.chains)
    assert rs.train(data, init=first, until_update=1, progress=False).config == first.config
    more = rs.train(data, RECIPE.replace(epochs=0, n_chains=70), init=first, progress=False)
    assert torch.equal(more.chains[:50], first.chains)
    assert torch.equal(more.chains[50:], first.chains[:20])


def test_a_model_gives_its_parameters_and_its_size(data):
    rbm = rs.RBM.random(9, 4, std=0.5, seed=8)
    run = rs.train(data, rs.TrainingConfig(epochs=0, n_chains=14, engine="reference"), init=rbm, progress=False)
    assert run.config.n_hidden == 4
    assert same(run.load(0), rbm)
    rows = {row.tobytes() for row in data.train}
    assert all(row.numpy().tobytes() in rows for row in run.chains), "chains begin with data"
    assert torch.allclose(rbm.weights, rs.RBM.random(9, 4, std=0.5, seed=8).weights), "the model is not changed"


def test_training_goes_on_from_where_it_was(data, first):
    before = likelihood(first.load(), data)
    further = rs.train(data, RECIPE.replace(epochs=600), init=first, progress=False)
    assert likelihood(further.load(), data) > before + 0.1
    fresh = rs.train(data, RECIPE.replace(epochs=1), progress=False)
    short = rs.train(data, RECIPE.replace(epochs=1), init=first, progress=False)
    assert likelihood(short.load(), data) > before - 0.3
    assert likelihood(fresh.load(), data) < before - 0.5, "the control: an untrained model is far below"


@pytest.mark.parametrize("again", [True, False])
def test_a_run_in_slices_is_the_run_in_one_piece(data, first, tmp_path, again):
    recipe = RECIPE.replace(epochs=6, optimizer="adam")
    whole = rs.train(data, recipe, tmp_path / "whole", init=first, progress=False)
    place = tmp_path / "slices"
    rs.train(data, recipe, place, init=first, until_update=2, progress=False)
    rs.train(data, recipe, place, init=first if again else None, resume=True, until_update=5, progress=False)
    parts = rs.train(data, recipe, place, resume=True, progress=False)
    assert same(whole.load(), parts.load())
    assert torch.equal(whole.chains, parts.chains)


def test_what_was_stopped_before_its_first_state_needs_the_model_again(data, first, tmp_path):
    recipe, place = RECIPE.replace(epochs=3), tmp_path / "run"
    whole = rs.train(data, recipe, place, init=first, progress=False).load()
    for file in (place / "state.safetensors", place / "state-before.safetensors", place / "metrics.jsonl"):
        file.unlink(missing_ok=True)
    for file in (place / "checkpoints").iterdir():
        file.unlink()
    with pytest.raises(ConfigError, match="pass init again"):
        rs.train(data, recipe, place, resume=True, progress=False)
    assert same(rs.train(data, recipe, place, init=first, resume=True, progress=False).load(), whole)


def test_another_beginning_is_refused_when_resuming(data, first, tmp_path):
    place, recipe = tmp_path / "run", RECIPE.replace(epochs=4)
    rs.train(data, recipe, place, init=first, until_update=2, progress=False)
    before = (place / "config.json").read_bytes()
    with pytest.raises(ConfigError, match="another model than init"):
        rs.train(data, recipe, place, init=rs.RBM.random(9, 6), resume=True, progress=False)
    assert (place / "config.json").read_bytes() == before
    other = tmp_path / "other"
    rs.train(data, recipe, other, until_update=2, progress=False)
    with pytest.raises(ConfigError, match="untrained model"):
        rs.train(data, recipe, other, init=first, resume=True, progress=False)


def test_what_does_not_fit_is_refused_before_anything_is_written(data, first, tmp_path):
    place = tmp_path / "run"
    with pytest.raises(ShapeError, match="9 visible and 5 hidden units"):
        rs.train(data, RECIPE, place, init=rs.RBM.random(9, 5), progress=False)
    with pytest.raises(ConfigError, match="found a model alone"):
        rs.train(data, RECIPE.replace(method="ptt"), place, init=first.load(), progress=False)
    with pytest.raises(InputError, match="a run or an RBM"):
        rs.train(data, RECIPE, place, init=np.zeros(3), progress=False)
    assert not place.exists()


def test_more_epochs_than_a_schedule_has_point_to_this_way(data, first):
    with pytest.raises(ConfigError, match=r"train\(\.\.\., init=run\)"):
        rs.train(data, RECIPE.replace(epochs=900), first.directory, resume=True, progress=False)


def test_the_command_goes_on_from_a_run(data, first, tmp_path, capsys):
    out = tmp_path / "further"
    words = ["--epochs", "2", "--chains", "20", "--engine", "reference", "--quiet", "--out", str(out)]
    assert main(["train", "--init", str(first.directory), *words]) == 0, capsys.readouterr().err
    run = rs.Run.open(out)
    assert run.config.n_hidden == 6
    assert same(run.load(0), first.load())
    assert run.dataset().fingerprint == data.fingerprint
