"""Training in equilibrium that begins with a trained run: the ladder climbs to its model first, and says so."""

from __future__ import annotations

import io
import json
from functools import partial

import numpy as np
import pytest
import torch
from rich.console import Console

import rbmscape as rs
from rbmscape.errors import ConfigError, LadderStalledError
from rbmscape.model.exact import exact_log_partition
from rbmscape.rng import Stream
from rbmscape.sampling.kept import KeptLadder
from rbmscape.training.display import TrainingDisplay
from rbmscape.training.ladder import climb, follower

PCD = rs.TrainingConfig(
    n_hidden=8, epochs=20, batch_size=100, n_chains=100, gibbs_steps=1, learning_rate=0.4, averaging=0,
    schedule="constant", early_checkpoints=4,
)  # fmt: skip
PTT = PCD.replace(method="ptt", epochs=4, early_checkpoints=2)


@pytest.fixture(scope="module")
def data():
    """Noisy copies of a pattern and, one in five, of its negative."""
    generator = Stream(3, "test/going-on").numpy()
    pattern = np.where(generator.random(24) < 0.5, 0.95, 0.05)
    first = generator.random(600) < 0.8
    rows = generator.random((600, 24)) < np.where(first[:, None], pattern, 1.0 - pattern)
    return rs.Dataset.from_array(rows[:500].astype(np.uint8), rows[500:].astype(np.uint8))


@pytest.fixture(scope="module")
def first(data, tmp_path_factory):
    return rs.train(data, PCD, tmp_path_factory.mktemp("runs") / "pcd", progress=False)


def record(run):
    return json.loads((run.directory / "config.json").read_text())["init"]


def test_the_ladder_reaches_the_model_and_knows_its_partition_function(data, first, tmp_path):
    """ln Z at converged checkpoints, more than half of them, within 4 errors of enumeration; the first one is the model
    of the other training (false alarm below 1e-3).  The display and the record tell of the climb.
    """
    shown = io.StringIO()
    reporter = TrainingDisplay(console=Console(file=shown, width=200))
    run = rs.train(data, PTT, tmp_path / "run", init=first, progress=reporter)
    assert torch.equal(run.load(0).weights, first.load().weights)
    rungs = run.rows[0]["rungs"]
    assert rungs > 1
    converged = [row for row in run.rows if row["converged"]]
    assert len(converged) > len(run.rows) / 2
    for row in converged:
        off = row["log_partition"] - exact_log_partition(run.load(row["update"]))
        assert abs(off) < 4.0 * row["log_partition_stderr"] < 0.5
    assert record(run)["climbed_models"] == len(first.updates)
    assert record(run)["climbed_rungs"] == rungs
    words = f"ladder: climbs along the {len(first.updates)} models that lead to init"
    assert f"{words}, before the first update" in shown.getvalue()
    assert f"{words}: {rungs} rungs" in shown.getvalue()
    assert isinstance(run.path(), KeptLadder)


def test_it_climbs_once_and_goes_on_bit_for_bit(data, first, tmp_path, monkeypatch):
    whole = rs.train(data, PTT, tmp_path / "whole", init=first, progress=False)
    place = tmp_path / "slices"
    rs.train(data, PTT, place, init=first, until_update=3, progress=False)
    monkeypatch.setattr(follower.Follower, "grow", lambda *_: pytest.fail("it climbed again"))
    rs.train(data, PTT, place, init=first, resume=True, until_update=7, progress=False)
    parts = rs.train(data, PTT, place, resume=True, progress=False)
    assert torch.equal(whole.load().weights, parts.load().weights)
    assert torch.equal(whole.chains, parts.chains)
    assert [row["log_partition"] for row in whole.rows] == [row["log_partition"] for row in parts.rows]


def test_from_a_training_in_equilibrium_it_climbs_the_ladder_that_this_kept(data, first, tmp_path):
    ptt = rs.train(data, PTT.replace(epochs=2), tmp_path / "ptt", init=first, progress=False)
    run = rs.train(data, PTT.replace(epochs=1, n_chains=60), tmp_path / "more", init=ptt, progress=False)
    assert record(run)["climbed_models"] == len(ptt.path().models)
    assert abs(run.rows[0]["log_partition"] - exact_log_partition(ptt.load())) < 0.2


def test_what_cannot_be_climbed_is_refused_before_anything_is_written(data, first, tmp_path, monkeypatch):
    place = tmp_path / "run"
    with pytest.raises(ConfigError, match="along the checkpoints of its run, found a model alone; pass the run"):
        rs.train(data, PTT, place, init=first.load(), progress=False)
    monkeypatch.setattr(follower, "Effort", partial(climb.Effort, max_rounds=32, max_stages=1))
    with pytest.raises(LadderStalledError, match=r"does not reach model \d+ of the \d+ that lead to init"):
        rs.train(data, PTT, place, init=first, progress=False)
    assert not (place / "config.json").exists()
    assert not (place / "checkpoints").exists()
