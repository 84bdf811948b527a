"""Which checkpoint is taken: the best within its error; patience; what is said of a training that only fits noise."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.cli.main import main
from rbmscape.errors import ConfigError, InputError
from rbmscape.runs.choice import best_update, fits_noise, has_stopped

OVERFITTED = {
    "n_hidden": 60, "method": "ptt", "n_chains": 100, "gibbs_steps": 1, "batch_size": 12, "epochs": 2000,
    "averaging": 0, "learning_rate": 0.2, "schedule": "constant", "early_checkpoints": 0, "patience": 3,
    "checkpoint_epochs": tuple(range(40, 2001, 40)),
}  # fmt: skip


def row(update, test, train=None, stderr=0.1, **more):
    known = {"log_likelihood_test": test, "log_likelihood": test, "log_likelihood_train": train}
    return {"update": update, "epoch": update / 10, "log_partition_stderr": stderr} | known | more


def test_the_earliest_within_the_error_of_the_highest_is_the_best():
    rows = [row(0, -9.0), row(10, -5.05), row(20, -5.0), row(30, -6.0), row(40, -1.0, converged=False)]
    assert best_update(rows, "here") == 10
    assert best_update([*rows, row(50, -4.8)], "here") == 50
    assert best_update([row(0, None, log_likelihood=-3.0), row(10, None, log_likelihood=-2.0)], "here") == 10
    assert best_update([*rows, row(50, float("nan")), row(60, -1.0, stderr=float("nan"))], "here") == 10
    with pytest.raises(InputError, match="something speaks against every likelihood in here"):
        best_update(rows[-1:], "here")
    with pytest.raises(InputError, match="train with method='ptt' or online_likelihood=True"):
        best_update([{"update": 0, "epoch": 0.0}], "here")


def test_patience_counts_checkpoints_after_the_best():
    rows = [row(0, -9.0), row(3, -9.0), row(6, -9.0), row(10, -5.0), row(20, -5.05), row(30, -6.0)]
    assert not has_stopped(rows, 0)
    assert not has_stopped(rows[:3], 1)
    assert has_stopped(rows, 2)
    assert not has_stopped(rows, 3)
    assert not has_stopped([*rows, row(40, -4.0)], 2)
    assert not has_stopped([*rows[:-1], row(30, -6.0, converged=False)], 2)


def test_fitting_noise_is_said():
    best, worse = row(10, -5.0, -4.0), row(20, -7.0, -3.0)
    said = fits_noise([row(0, -9.0, -9.0), best, worse])
    assert said is not None
    assert "since update 10" in said
    assert "fallen by 2.00 ± 0.14 nats" in said
    assert fits_noise([best, row(20, -7.0, -6.0)]) is None
    assert fits_noise([best, row(20, -5.3, -3.0)]) is None
    assert fits_noise([best, worse | {"converged": False}]) is None
    assert fits_noise([best, row(20, -7.0, None)]) is None
    assert fits_noise([]) is None


@pytest.fixture(scope="module")
def overfitted(tmp_path_factory):
    """Twelve rows of noise: there is nothing to learn but the means."""
    rows = (np.random.default_rng(0).random((212, 12)) < 0.3).astype(np.uint8)
    data = rs.Dataset.from_array(rows[:12], rows[12:])
    return rs.train(
        data, rs.TrainingConfig(**OVERFITTED), tmp_path_factory.mktemp("noise") / "run", progress=False
    ), data


def test_a_training_that_only_fits_noise_ends_and_says_so(overfitted):
    run, data = overfitted
    assert run.is_complete
    assert run.last_update < 2000
    assert sum(row["converged"] and row["update"] > max(run.best(), 1) for row in run.rows) == 3
    assert torch.equal(run.load("best").weights, run.load(run.best()).weights)
    assert "only fits noise" in run.rows[-1]["objection"]
    assert run.rows[-1]["log_likelihood_train"] > run.rows[-1]["log_likelihood_test"]
    again = rs.train(data, run.config, run.directory, resume=True, progress=False)
    assert again.updates == run.updates


def test_commands_take_the_best(overfitted, tmp_path, capsys):
    run, _ = overfitted
    place = str(run.directory)
    assert main(["sample", place, "--best", "-n", "20", "--out", str(tmp_path / "some")]) == 0
    with np.load(tmp_path / "some.npz") as file:
        assert f"at update {run.best()}" in json.dumps({key: str(file[key]) for key in file.files})
    assert main(["sample", place, "--best", "--update", "0", "--out", str(tmp_path / "more")]) != 0
    assert "both choose a checkpoint; leave one out" in capsys.readouterr().err
    run.load().save(tmp_path / "model.safetensors")
    assert main(["evaluate", str(tmp_path / "model.safetensors"), "--best"]) != 0
    assert "--best chooses among the checkpoints" in capsys.readouterr().err


def test_patience_needs_what_it_looks_at():
    with pytest.raises(ConfigError, match="patience needs a likelihood at every checkpoint"):
        rs.TrainingConfig(patience=2)
    assert rs.TrainingConfig(patience=2, online_likelihood=True).patience == 2
    with pytest.raises(InputError, match="held-out data, found none"):
        rs.train(rs.Dataset.from_array(np.eye(30, dtype=np.uint8)), rs.TrainingConfig(**OVERFITTED), progress=False)
