"""Worker processes of this machine: the same numbers, and nothing lost with a worker or a driver."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.study.conftest import SLICE_UPDATES, same_numbers

from rbmscape.errors import ConfigError, StudyError
from rbmscape.study.config import StudyConfig
from rbmscape.study.execute import execute
from rbmscape.study.graph import build_graph
from rbmscape.study.local import LocalPool
from rbmscape.study.progress import SilentReporter
from rbmscape.study.store import StudyStore
from rbmscape.study.study import open_study, run_study


@pytest.mark.slow
def test_two_workers_give_the_numbers_of_one_process(tiny_plan, tmp_path):
    here = run_study(tiny_plan, tmp_path / "here", progress=False)
    there = run_study(tiny_plan, tmp_path / "there", progress=False, workers=2)
    outcome = there.outcome
    assert outcome.failures == {}
    assert len(outcome.computed) == len(there.graph())
    same_numbers(here, there)
    assert set(here.result_names()) == set(there.result_names())
    again = run_study(tiny_plan, tmp_path / "there", progress=False, workers=2).outcome
    assert again.computed == ()


@pytest.mark.parametrize(("workers", "scheduler"), [(0, None), (2, "tcp://127.0.0.1:1")])
def test_impossible_ways_to_run_are_refused(tiny_plan, tmp_path, workers, scheduler):
    with pytest.raises(ConfigError, match="give a number of workers"):
        run_study(tiny_plan, tmp_path / "s", progress=False, workers=workers, scheduler=scheduler)
    assert not (tmp_path / "s").exists()


class Killer(SilentReporter):
    """Kills the worker that is in the middle of a training task, a number of times."""

    def __init__(self, kills: int) -> None:
        self.left = kills
        self.victims: list[str] = []
        self.pool: LocalPool | None = None

    def advance(self, task, fraction, note=""):  # noqa: ARG002
        if self.left and task.kind == "train" and fraction > 0.2 and self.victims.count(task.name) < 2:
            for pid, name in self.pool.processes.items():
                if name == task.name:
                    os.kill(pid, signal.SIGKILL)
                    self.left -= 1
                    self.victims.append(task.name)


def begin(plan: StudyConfig, directory: Path) -> tuple[StudyStore, list]:
    """A study's directory with its plan, as `run_study` leaves it before the first task."""
    from rbmscape.study.study import dataset_record

    dataset = plan.data.load()
    store = StudyStore(directory)
    directory.mkdir(parents=True)
    store.begin(plan, dataset_record(dataset, "now"), overwrite=False)
    return store, build_graph(plan, dataset)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_workers_lose_nothing(lasting_plan, tmp_path, undisturbed):
    store, graph = begin(lasting_plan, tmp_path / "s")
    killer = Killer(2)
    killer.pool = LocalPool(tmp_path / "s", 2)
    outcome = execute(graph, store, killer.pool, killer)
    assert len(killer.victims) == 2, "training was too quick to be killed; make the slices longer"
    assert outcome.failures == {}
    assert sorted(outcome.computed) == sorted(task.name for task in graph), "each task is done once"
    same_numbers(undisturbed, open_study(tmp_path / "s"))


@pytest.mark.slow
def test_a_task_that_always_dies_is_given_up(tiny_plan, tmp_path):
    store, graph = begin(tiny_plan.replace(figures=(), hidden=(2,), replicas=1), tmp_path / "s")

    class Murderer(SilentReporter):
        def begin(self, task):
            for pid, name in pool.processes.items():
                if name == task.name == "train/M0002-r0":
                    os.kill(pid, signal.SIGKILL)

    pool = LocalPool(tmp_path / "s", 1)
    outcome = execute(graph, store, pool, Murderer())
    assert outcome.computed == ()
    assert "after 3 tries" in outcome.failures["train/M0002-r0"]
    assert "SIGKILL" in outcome.failures["train/M0002-r0"]
    assert "left out" in outcome.failures["results/training"]


def test_workers_that_never_start_are_reported(tiny_plan, tmp_path, monkeypatch):
    store, graph = begin(tiny_plan, tmp_path / "s")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(StudyError, match=r"keep dying, .* exit code 1; see .*workers.log"):
        execute(graph, store, LocalPool(tmp_path / "s", 1), SilentReporter())


def workers_of(directory: Path) -> list[int]:
    """Worker processes of one study."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            continue
        if b"rbmscape.study.worker" in words and str(directory).encode() in words:
            found.append(int(entry.name))
    return found


def write_plan(plan: StudyConfig, path: Path) -> Path:
    """A plan as TOML, with inline tables."""

    def toml(value: Any) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(f"{json.dumps(name)} = {toml(part)}" for name, part in value.items()) + "}"
        return "[" + ", ".join(map(toml, value)) + "]" if isinstance(value, list) else json.dumps(value)

    values = plan.model_dump(mode="json", exclude_none=True)
    path.write_text("".join(f"{name} = {toml(value)}\n" for name, value in values.items()), encoding="utf-8")
    return path


def drive(plan: Path, directory: Path, *more: str) -> subprocess.Popen:
    words = [sys.executable, "-m", "rbmscape", "study", str(plan), "--out", str(directory), *more]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_training(directory: Path, update: int, seconds: float = 240.0) -> None:
    """Until some run has a checkpoint of this update."""
    deadline = time.monotonic() + seconds
    while not list(directory.glob(f"runs/*/checkpoints/update-{update:08d}.safetensors")):
        assert time.monotonic() < deadline, "training does not begin"
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_ended_driver_leaves_no_workers_and_loses_nothing(number, lasting_plan, tmp_path, undisturbed):
    plan, directory = write_plan(lasting_plan, tmp_path / "plan.toml"), tmp_path / "s"
    driver = drive(plan, directory, "--workers", "2")
    wait_for_training(directory, SLICE_UPDATES)
    deadline = time.monotonic() + 60
    while not list(directory.glob("tasks/train.*.json")):  # the record follows the slice's last checkpoint
        assert time.monotonic() < deadline, "no slice is recorded"
        time.sleep(0.05)
    driver.send_signal(number)
    _, words = driver.communicate(timeout=300)
    assert driver.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL), words
    deadline = time.monotonic() + 30
    while workers_of(directory):
        assert time.monotonic() < deadline, "a worker outlives its driver"
        time.sleep(0.1)
    kept = {path: path.stat().st_mtime_ns for path in directory.glob("runs/*/checkpoints/*.safetensors")}
    done = set(open_study(directory).records())
    assert done
    study = run_study(lasting_plan, directory, progress=False, workers=2)
    outcome = study.outcome
    assert outcome.failures == {}
    assert done == set(outcome.skipped)
    same_numbers(undisturbed, study)
    again = [path for path, written in kept.items() if path.stat().st_mtime_ns != written]
    assert len(again) <= 2, "a run repeats at most the slice at hand"
