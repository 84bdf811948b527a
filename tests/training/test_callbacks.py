"""Callbacks see every checkpoint once, change no bit, and stop a training in a way that can be resumed."""

from __future__ import annotations

import csv
import sys

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.cli.main import main
from rbmscape.errors import CallbackError, InputError

CONFIG = rs.TrainingConfig(n_hidden=6, epochs=12, batch_size=20)


@pytest.fixture(scope="module")
def data():
    return rs.load_dataset("planted", n_visible=12, n_train=100, n_test=20)


@pytest.fixture(scope="module")
def plain(data, tmp_path_factory):
    return rs.train(data, CONFIG, tmp_path_factory.mktemp("plain") / "run", progress=False)


class Meddler:
    """Notes what it is told, draws samples, and spoils the model that it was given."""

    def __init__(self, fail_at: int = -1):
        self.fail_at, self.seen, self.calls = fail_at, [], []

    def begin(self, run):  # noqa: ARG002
        self.calls.append("begin")

    def checkpoint(self, run, metrics):
        if metrics["update"] == self.fail_at:
            raise ValueError("no\nmore room")
        rs.sample(run.load(metrics["update"]), n_chains=3, n_steps=2)
        run.load(metrics["update"]).weights.zero_()
        self.seen.append(metrics["update"])

    def end(self, run):  # noqa: ARG002
        self.calls.append("end")


def same(one, other):
    assert one.updates == other.updates
    for update in one.updates:
        assert torch.equal(one.load(update).weights, other.load(update).weights)
    assert torch.equal(one.chains, other.chains)


def test_they_see_every_checkpoint_and_change_no_bit(data, plain, tmp_path):
    meddler = Meddler()
    run = rs.train(data, CONFIG, tmp_path / "run", callbacks=[meddler], progress=False)
    same(run, plain)
    assert tuple(meddler.seen) == plain.updates
    assert meddler.calls == ["begin", "end"]


def test_an_error_stops_with_a_sentence_and_the_run_goes_on(data, plain, tmp_path):
    at = plain.updates[-3]
    first, bad = Meddler(), Meddler(fail_at=at)
    with pytest.raises(CallbackError) as caught:
        rs.train(data, CONFIG, tmp_path / "run", callbacks=[first, bad], progress=False)
    words = str(caught.value)
    assert "the callback Meddler failed in its checkpoint (ValueError: no more room) and stopped" in words
    assert f"at update {at};" in words
    assert "resume=True" in words
    assert first.calls == bad.calls == ["begin", "end"]
    again = Meddler()
    run = rs.train(data, CONFIG, tmp_path / "run", resume=True, callbacks=[again], progress=False)
    same(run, plain)
    assert tuple(again.seen) == plain.updates[-2:]


def test_an_error_before_training_ends_those_that_have_begun(data, tmp_path):
    class Unwilling(Meddler):
        def begin(self, run):  # noqa: ARG002
            raise OSError("no disk")

    good = Meddler()
    with pytest.raises(CallbackError, match=r"failed in its begin \(OSError: no disk\)"):
        rs.train(data, CONFIG, callbacks=[good, Unwilling()], progress=False)
    assert good.calls == ["begin", "end"]


def test_csv_holds_all_rows_also_after_a_resumption(data, plain, tmp_path):
    for stop in (15, None):
        rs.train(data, CONFIG, tmp_path / "run", resume=True, until_update=stop, progress=False,
                 callbacks=[rs.CsvTracker(tmp_path / "logs" / "run.csv")])  # fmt: skip
    with open(tmp_path / "logs" / "run.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(int(row["update"]) for row in rows) == plain.updates
    found = [float(row["reconstruction_error"]) for row in rows]
    assert np.allclose(found, plain.metrics["reconstruction_error"])


def test_tensorboard_reads_what_was_written(data, plain, tmp_path):
    pytest.importorskip("tensorboard", reason="needs TensorBoard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for stop in (15, None):
        rs.train(data, CONFIG, tmp_path / "run", resume=True, until_update=stop, progress=False,
                 callbacks=[rs.TensorBoardTracker(tmp_path / "events")])  # fmt: skip
    events = EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    scalars = events.Scalars("reconstruction_error")
    assert tuple(event.step for event in scalars) == plain.updates
    assert np.allclose([event.value for event in scalars], plain.metrics["reconstruction_error"], rtol=1e-5)
    assert "singular_values" in events.Tags()["histograms"]


@pytest.mark.parametrize("wrong", [[print], "csv", [rs.CsvTracker], 3])
def test_what_is_no_callback_is_refused_before_anything_is_written(data, tmp_path, wrong):
    with pytest.raises(InputError, match="methods begin, checkpoint and end"):
        rs.train(data, CONFIG, tmp_path / "run", callbacks=wrong, progress=False)
    assert not (tmp_path / "run").exists()


def test_each_of_several_runs_has_callbacks_of_its_own(data, plain, tmp_path):
    heard = [Meddler(), Meddler()]
    configs, places = [CONFIG, CONFIG.replace(seed=1)], [tmp_path / "0", tmp_path / "1"]
    runs = rs.train_many(data, configs, places, callbacks=[[one] for one in heard], progress=False)
    same(runs[0], plain)
    assert [tuple(one.seen) for one in heard] == [run.updates for run in runs]
    assert [one.calls for one in heard] == [["begin", "end"]] * 2
    for wrong in ([heard[0]], [[heard[0]]], heard, [heard[0], []]):
        with pytest.raises(InputError, match="give a list for each run"):
            rs.train_many(data, configs, [tmp_path / "2", tmp_path / "3"], callbacks=wrong, progress=False)
    assert not (tmp_path / "2").exists()


def test_the_command_line_tracks_into_the_run(data, plain, tmp_path, monkeypatch, capsys):
    recipe = ["--hidden", "6", "--epochs", "2", "--quiet"]
    words = ["train", "bars-and-stripes", *recipe, "--out", str(tmp_path / "run"), "--track", "csv"]
    assert main(words) == 0
    with open(tmp_path / "run" / "metrics.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["update"]) for row in rows] == list(rs.Run.open(tmp_path / "run").updates)
    assert rs.check(tmp_path / "run") == []
    assert main([*words, "--overwrite", "--track", "csv"]) == 0  # once more, and twice the same
    assert main(["train", "bars-and-stripes", *recipe, "--out", str(tmp_path / "a"), "--track", "cvs"]) == 2
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    capsys.readouterr()
    assert main(["train", "bars-and-stripes", *recipe, "--out", str(tmp_path / "b"), "--track", "tensorboard"]) == 1
    assert "install rbmscape[tensorboard]" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()
