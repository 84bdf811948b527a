"""What `train` promises around the training itself: where the work is when it ends early, and what it refuses."""

from __future__ import annotations

import copy
import gc
import pickle
import shutil
import signal
import tempfile

import numpy as np
import pytest
import torch
from filelock import FileLock

import rbmscape as rs
from rbmscape.errors import DivergenceError, InputError, RunLockedError, RunNotFoundError
from rbmscape.progress import SilentReporter
from rbmscape.runs.writer import RunWriter
from rbmscape.training.trainer import Trainer

SMALL = {"n_hidden": 6, "batch_size": 10, "n_chains": 20, "gibbs_steps": 2, "epochs": 4, "averaging": 5}
WILD = {"learning_rate": 1e30, "schedule": "constant", "gradient": "plain", "epochs": 50}


def train(dataset, directory=None, **changes) -> rs.Run:
    return rs.train(dataset, rs.TrainingConfig(**(SMALL | changes)), directory, progress=False)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The place of temporary directories."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


class Recorder(SilentReporter):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.seen = []

    def start(self, what, total):
        self.seen.append((what, total))

    def advance(self, done, status=None):
        self.seen.append((done, status.update, status.at_checkpoint))


class InterruptAt(SilentReporter):
    """Sends Ctrl-C to this process after a given update."""

    def __init__(self, update: int) -> None:
        self.update = update

    def advance(self, _done, status=None):
        if status.update == self.update:
            signal.raise_signal(signal.SIGINT)


def test_a_reporter_counts_all_updates_once_also_of_a_resumed_run(patterns, tmp_path):
    config, first, second = rs.TrainingConfig(**SMALL, checkpoint_epochs=(4,)), Recorder(), Recorder()
    rs.train(patterns, config, tmp_path / "a", progress=first, until_update=12)
    run = rs.train(patterns, config, tmp_path / "a", progress=second, resume=True)
    assert first.seen[:3] == [("updates", 20), (0, 0, False), (0, 0, True)]
    assert second.seen[:2] == [("updates", 20), (12, 12, False)]
    assert [sum(done for done, *_ in seen[1:]) for seen in (first.seen, second.seen)] == [12, 20]
    kept = [update for _, update, at_checkpoint in first.seen[1:] + second.seen[1:] if at_checkpoint]
    assert tuple(kept) == run.updates


def test_an_interrupt_without_a_directory_names_where_the_work_is(patterns, temporary):
    config = rs.TrainingConfig(**SMALL)
    with pytest.raises(KeyboardInterrupt, match="at update 9 of 20; everything is saved") as stop:
        rs.train(patterns, config, progress=InterruptAt(9))
    place = str(stop.value).split("'")[1]
    resumed, whole = rs.train(patterns, config, place, resume=True, progress=False), train(patterns)
    assert torch.equal(resumed.load().weights, whole.load().weights)


def test_divergence_without_a_directory_names_where_the_last_good_model_is(patterns, temporary):
    with pytest.raises(DivergenceError, match=r"last good checkpoint is at update \d+, read it with") as stop:
        train(patterns, **WILD)
    run = rs.Run.open(str(stop.value).split("'")[1])
    assert bool(torch.isfinite(run.load().weights).all())


def test_what_fails_before_it_begins_leaves_nothing_behind(patterns, temporary, monkeypatch):
    def fail(*_):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_make_descent", fail)
        with pytest.raises(MemoryError):
            train(patterns)
    assert not list(temporary.iterdir())


def test_a_temporary_run_lives_as_long_as_any_copy_of_it(patterns, temporary):
    run = train(patterns)
    for duplicate in (copy.copy, copy.deepcopy):
        run = duplicate(run)
        gc.collect()
        assert run.load().n_hidden == 6
    del run
    gc.collect()
    assert not list(temporary.iterdir())


def test_a_temporary_run_that_was_sent_to_another_process_stays(patterns, temporary):
    """A worker that trains a run and returns it forgets its own copy."""
    run = train(patterns)
    sent = pickle.dumps(run)
    del run
    gc.collect()
    assert pickle.loads(sent).load().n_hidden == 6


def test_a_run_that_is_gone_says_so(patterns, tmp_path):
    run = train(patterns, tmp_path / "a")
    shutil.rmtree(tmp_path / "a")
    for read in (run.load, lambda: run.rows, lambda: run.updates, lambda: run.chains):
        with pytest.raises(RunNotFoundError, match=r"is gone since it was opened; pass directory="):
            read()
    assert "no checkpoint" in repr(run)


def test_a_run_in_a_relative_directory_survives_a_change_of_directory(patterns, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = train(patterns, "a")
    assert repr(run) == "Run('a': patterns, 12 x 6, pcd-2, sgd 0.8, epoch 4 of 4)"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert run.load().n_hidden == 6
    assert run.rows[-1]["update"] == 20


def test_resume_and_overwrite_exclude_each_other(patterns, tmp_path):
    first = train(patterns, tmp_path / "a")
    with pytest.raises(InputError, match="found both; choose one"):
        rs.train(patterns, first.config, tmp_path / "a", resume=True, overwrite=True, progress=False)
    assert rs.Run.open(tmp_path / "a").is_complete


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"config": {"n_hidden": 5}}, "config must be a TrainingConfig, found dict"),
        ({"until_update": "3"}, "until_update must be a whole number"),
        ({"until_update": 2.5}, "until_update must be a whole number"),
        ({"progress": "yes"}, "progress must be True, False or an object"),
    ],
)
def test_arguments_of_a_wrong_kind_are_refused_before_anything_is_written(patterns, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        rs.train(patterns, **({"directory": tmp_path / "a", "progress": False} | options))
    assert not list(tmp_path.iterdir())


def test_numbers_of_numpy_survive_in_the_record(tmp_path):
    data = rs.load_dataset("planted", n_train=np.int64(60), n_test=np.int32(5), strengths=np.array([2.0]), rank=1)
    run = train(data, tmp_path / "a")
    options = {"n_train": 60, "n_test": 5, "rank": 1, "strengths": [2.0]}
    assert run.data["origin"] == {"source": "planted", "options": options}
    assert run.dataset().fingerprint == data.fingerprint


def test_a_locked_run_tells_threads_from_processes(tmp_path):
    with RunWriter(tmp_path / "a"), pytest.raises(RunLockedError, match="another thread of this process"):
        RunWriter(tmp_path / "a").__enter__()
    with FileLock(tmp_path / "a" / "lock"), pytest.raises(RunLockedError, match="another process"):
        RunWriter(tmp_path / "a").__enter__()
