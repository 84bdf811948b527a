"""The ladder that training in equilibrium kept: found, refused where another run owns it, left alone where it ends."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.cli.main import main
from rbmscape.errors import DamagedError
from rbmscape.files import read_tensors, write_tensors
from rbmscape.likelihood import estimate
from rbmscape.model.exact import exact_log_likelihood, exact_log_partition, exact_moments
from rbmscape.rng import Stream
from rbmscape.runs.layout import RunLayout
from rbmscape.sampling.kept import KeptLadder

N = 30


@pytest.fixture(scope="module")
def data():
    """Noisy copies of a pattern and, one in four, of its negative."""
    generator = Stream(1, "test/kept").numpy()
    pattern = np.where(generator.random(N) < 0.5, 0.95, 0.05)
    first = generator.random(600) < 0.75
    rows = generator.random((600, N)) < np.where(first[:, None], pattern, 1.0 - pattern)
    return rs.Dataset.from_array(rows[:500].astype(np.uint8), rows[500:].astype(np.uint8))


def train(data, directory, seed=0):
    config = rs.TrainingConfig(
        n_hidden=12, method="ptt", epochs=50, batch_size=100, n_chains=100, gibbs_steps=1, learning_rate=1.0,
        schedule="constant", averaging=0, early_checkpoints=3, checkpoint_epochs=(20, 50), seed=seed,
    )  # fmt: skip
    return rs.train(data, config, directory, progress=False)


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    return train(data, tmp_path_factory.mktemp("runs") / "a")


def copied(run, tmp_path):
    shutil.copytree(run.directory, tmp_path / "copy")
    return rs.Run.open(tmp_path / "copy"), RunLayout(tmp_path / "copy")


def test_the_last_checkpoint_has_the_ladder_and_no_other(run):
    found = run.path()
    assert isinstance(found, KeptLadder)
    assert len(found.models) == run.rows[-1]["rungs"] + 1 > 3
    assert not found.models[0].weights.any()
    assert torch.equal(found.models[-1].weights, run.load().weights)
    assert all(states.shape[1] == N and len(states) >= 100 for states in found.states)
    earlier = run.path(run.updates[-2])
    assert isinstance(earlier, list)
    assert [len(earlier), torch.equal(earlier[-1].weights, run.load(run.updates[-2]).weights)] == [
        len(run.updates) - 1,
        True,
    ]


def test_a_ladder_of_another_checkpoint_is_not_used(run, tmp_path):
    copy, layout = copied(run, tmp_path)
    tensors, metadata = read_tensors(layout.reported)
    other = run.load(run.updates[-2])
    write_tensors(layout.reported, tensors | {"weights": other.weights}, metadata)
    assert isinstance(copy.path(), list)


def test_a_ladder_of_another_run_is_refused(data, run, tmp_path):
    copy, layout = copied(run, tmp_path)
    stranger = RunLayout(train(data, tmp_path / "b", seed=1).directory)
    for name in ("reported", "state"):
        shutil.copy(getattr(stranger, name), getattr(layout, name))
        shutil.rmtree(tmp_path / "former", ignore_errors=True)
        layout.former_state.unlink(missing_ok=True)
        for ask in (copy.path, lambda: rs.equilibrium_samples(copy, 20), lambda: rs.likelihood_bracket(copy, data)):
            with pytest.raises(DamagedError, match="belongs to another run than"):
                ask()
        shutil.copy(getattr(RunLayout(run.directory), name), getattr(layout, name))
    assert isinstance(copy.path(), KeptLadder)


@pytest.mark.parametrize("part", ["reported", "rung", "state"])
def test_a_ladder_of_another_shape_is_refused(run, tmp_path, part):
    copy, layout = copied(run, tmp_path)
    path = {"reported": layout.reported, "rung": layout.rung(1), "state": layout.state}[part]
    tensors, metadata = read_tensors(path)
    name = {"reported": "states", "rung": "weights", "state": "ladder.1.states"}[part]
    write_tensors(path, tensors | {name: tensors[name][..., :-1].clone()}, metadata)
    with pytest.raises(DamagedError, match="copy the run again"):
        copy.path()


def test_a_missing_rung_is_told(run, tmp_path):
    copy, layout = copied(run, tmp_path)
    layout.rung(1).unlink()
    with pytest.raises(rs.errors.RbmscapeError, match="rung-0001"):
        copy.path()


def test_samples_from_it_are_right(run):
    """Means of 30 units by 400 samples against enumeration: largest |z| below 4.5 (false alarm 2e-4)."""
    found = rs.sample(run, 400, seed=3)
    assert found.converged
    mean = exact_moments(run.load()).visible
    z = (found.v.double().mean(0) - mean) / torch.sqrt(mean * (1.0 - mean) / 400)
    assert float(z.abs().max()) < 4.5


def test_the_bracket_from_it_holds_the_exact_value(data, run):
    found = rs.likelihood_bracket(run, data, n_chains=200, n_betas=200)
    exact = float(exact_log_likelihood(run.load(), torch.from_numpy(data.test)).mean())
    assert found.converged
    assert abs(found.best.value - exact) < 4.0 * found.best.stderr


def test_commands_use_it(data, run, tmp_path, capsys, monkeypatch):
    """Of a model too large to be summed `evaluate` tells what the training measured, and it is right."""
    np.savez(tmp_path / "rows.npz", train=data.train, test=data.test)
    monkeypatch.setattr(estimate, "EXACT_WORK", 1.0)
    place, asked = str(run.directory), []
    real = rs.Run.path
    monkeypatch.setattr(rs.Run, "path", lambda self, update=-1: asked.append(real(self, update)) or asked[-1])
    assert main(["sample", place, "-n", "20", "--out", str(tmp_path / "states")]) == 0
    assert main(["evaluate", place, "--data", str(tmp_path / "rows.npz"), "--json", str(tmp_path / "e.json")]) == 0
    assert isinstance(asked[0], KeptLadder)
    told = json.loads((tmp_path / "e.json").read_text())
    assert told["method"] == "ladder"
    exact, row = exact_log_partition(run.load()), run.rows[-1]
    assert told["log_partition"]["value"] == row["log_partition"]
    assert abs(row["log_partition"] - exact) < 4.0 * row["log_partition_stderr"]
    assert "ladder of the training" in " ".join(capsys.readouterr().out.split())
