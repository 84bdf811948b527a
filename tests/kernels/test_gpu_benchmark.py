"""`benchmarks.gpu` on a device may be tried once: every row is computed here at tiny sizes, in Triton's interpreter."""

from __future__ import annotations

import argparse
import subprocess

import pytest
import torch

pytest.importorskip("triton", reason="needs Triton, as from `pip install rbmscape[gpu]`")

from benchmarks import gpu, gpu_methods, gpu_pieces

import rbmscape as rs

QUICK = "device", "ceiling", "modes"
PEERS = {"rbms": "rbms"}
WRONG = "wrong", "different", "diverged", "largest_difference"
"""Beginnings of the names of numbers that count errors."""


@pytest.mark.skipif(torch.cuda.is_available(), reason="a dry run is for processors")
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")  # rbms uses it
@pytest.mark.parametrize(
    "piece", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in gpu.SECONDS]
)
def test_every_piece_has_rows_and_no_failure_in_a_dry_run(tmp_path, piece, monkeypatch):
    """Rows that compare count no difference; tests are collected, not run."""
    if piece in PEERS:
        pytest.importorskip(PEERS[piece])
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    gpu_pieces.run(piece, tmp_path / "gpu.json", dry=True)
    rows = gpu.rows_of(tmp_path / "gpu.json")
    assert rows
    assert {row["piece"] for row in rows} == {piece}
    assert [row for row in rows if "error" in row or row.get("failed") or row.get("code")] == []
    assert [row for row in rows for key, value in row.items() if key.startswith(WRONG) and value] == []


def test_pieces_are_those_with_a_share_of_nine_minutes_and_are_described():
    assert list(gpu_pieces.PIECES) == list(gpu.SECONDS)
    assert sum(gpu.SECONDS.values()) <= 540
    described = dict(
        line.split()[:2] for line in gpu.__doc__.splitlines() if line.split()[:1] and line.split()[0] in gpu.SECONDS
    )
    assert described == {name: str(seconds) for name, seconds in gpu.SECONDS.items()}


@pytest.mark.parametrize("dry", [False, True])
def test_recipes_of_whole_runs_are_allowed(dry):
    methods = [rs.TrainingConfig(**gpu_methods.recipe_of(method, dry)).method for method in gpu_methods.RUNS]
    assert methods == ["pcd", "rdm", "cd", "ptt"]


def test_a_piece_has_its_own_share_and_what_was_left_and_the_last_one_all():
    assert gpu.deadlines(["device", "train", "suite"], 540) == [15, 60, 540]
    assert gpu.deadlines(["device", "train"], 20) == [15, 20]
    assert gpu.deadlines([], 540) == []


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """Measure with pieces that take what seconds they are said to, and end or write as they are said to."""
    clock, limits = [0.0], {}

    def run(names, takes=None, codes=None, errors=(), seconds=540.0, resume=False):
        class Child:
            pid, returncode = 0, 0

            def __init__(self, command, **_):
                self.name = command[command.index("--piece") + 1]

            def wait(self, limit=None):
                took = (takes or {}).get(self.name, 1.0)
                if limit is None:
                    return -9
                limits[self.name] = limit
                clock[0] += min(took, limit)
                if took > limit:
                    raise subprocess.TimeoutExpired("piece", limit)
                row = {"piece": self.name} | ({"error": "RuntimeError: no"} if self.name in errors else {})
                gpu.write_rows(tmp_path / "gpu.json", [*gpu.rows_of(tmp_path / "gpu.json"), row])
                self.returncode = (codes or {}).get(self.name, 0)
                return self.returncode

        monkeypatch.setattr(gpu.subprocess, "Popen", Child)
        monkeypatch.setattr(gpu.os, "killpg", lambda *_: None)
        monkeypatch.setattr(gpu.time, "monotonic", lambda: clock[0])
        monkeypatch.setattr(gpu, "environment", lambda _: {})
        clock[0] = 0.0
        limits.clear()
        chosen = argparse.Namespace(
            only=",".join(names), seconds=seconds, dry=True, out=tmp_path, piece=None, resume=resume
        )
        monkeypatch.setattr(gpu, "parse", lambda: chosen)
        gpu.main()
        return dict(limits), {
            row["piece"]: row["outcome"] for row in gpu.rows_of(tmp_path / "gpu.json") if "outcome" in row
        }

    return run


def test_time_that_is_not_used_goes_to_later_pieces(measured):
    limits, outcomes = measured(["device", "train", "modes"], takes={"device": 5.0, "train": 100.0})
    assert limits == {"device": 15.0, "train": 55.0, "modes": 480.0}
    assert outcomes == {"device": "ended well", "train": "stopped after 55 s", "modes": "ended well"}


def test_nothing_is_begun_without_time_and_after_a_comparison_that_hangs(measured):
    limits, outcomes = measured(["device", "modes"], seconds=14.0, takes={"device": 10.0})
    assert list(limits) == ["device"]
    assert outcomes == {"device": "ended well"}
    with pytest.raises(SystemExit, match="hangs in every later piece"):
        measured(["exact", "modes"], takes={"exact": 100.0})


def test_resuming_leaves_out_what_ended_well_with_the_same_source(measured, monkeypatch):
    names = ["device", "train", "many", "modes"]
    _, outcomes = measured(names, codes={"train": 1}, errors=["many"])
    assert outcomes["train"] == "exit code 1"
    assert outcomes["many"] == "1 rows of failure"
    assert list(measured(names, resume=True)[0]) == ["train", "many"]
    assert list(measured(names, resume=True)[0]) == []
    monkeypatch.setattr(gpu, "source_mark", lambda: "another")
    assert list(measured(names, resume=True)[0]) == names


def test_unknown_pieces_are_named(measured):
    with pytest.raises(SystemExit, match="found nothing"):
        measured(["device", "nothing"])


def test_device_times_are_medians_of_events_and_the_first_time_does_not_count(monkeypatch):
    """Seven tasks of 1 ms to 7 ms after one that compiles; events count milliseconds."""
    calls = []

    class Event:
        def __init__(self, **_):
            self.at = None

        def record(self):
            self.at = sum(calls)

        def elapsed_time(self, other):
            return other.at - self.at

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda *_: None)
    bench = gpu_pieces.Bench(None, dry=False, piece="")
    assert bench.seconds(lambda: calls.append(1000 if not calls else len(calls))) == pytest.approx(4e-3)
