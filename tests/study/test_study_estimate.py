"""Estimates: arithmetic that can be checked, and a dry run that writes nothing."""

from __future__ import annotations

import pytest

from rbmscape.errors import DivergenceError, StudyError
from rbmscape.kernels import select_engine
from rbmscape.study import estimate
from rbmscape.study.config import StudyConfig
from rbmscape.study.dry_run import survey
from rbmscape.study.estimate import Speeds, measure_speeds, seconds_of_tasks, wall_seconds
from rbmscape.study.graph import TaskGraph, build_graph
from rbmscape.study.needs import disk_of_run
from rbmscape.study.study import run_study
from rbmscape.training.trainer import Trainer

N_CALLS = 20


def test_a_runs_disk_is_what_its_files_take(tiny_plan, tmp_path):
    study = run_study(tiny_plan, tmp_path / "s", progress=False)
    for key, run in study.runs.items():
        found = sum(path.stat().st_size for path in run.directory.rglob("*.safetensors"))
        expected = disk_of_run(run.config, 9, run.updates_per_epoch)
        headers = 1500 * (len(run.updates) + 1)
        assert expected <= found <= expected + headers, key


def test_training_time_scales_with_updates_and_steps(tiny_plan):
    tiny_plan = tiny_plan.replace(slice_epochs=10)
    dataset = tiny_plan.data.load()
    sizes = dict.fromkeys(tiny_plan.hidden, 0.0)
    speeds = Speeds(dict.fromkeys(sizes, 1.0), dict.fromkeys(sizes, 0.1), dict.fromkeys(sizes, 0.0), 0.0)
    seconds = seconds_of_tasks(build_graph(tiny_plan, dataset), tiny_plan, dataset, speeds)
    updates, chains, steps = 10, 50, 1
    assert seconds["train/M0002-r0/10"] == pytest.approx(updates * (1.0 + 0.1 * chains * steps), abs=1.1)


def test_wall_time_is_the_shared_work_or_the_longest_chain():
    graph = TaskGraph()
    graph.add("a", "train", {})
    graph.add("b", "train", {}, needs=["a"])
    graph.add("c", "train", {})
    seconds = {"a": 2.0, "b": 3.0, "c": 4.0}
    assert wall_seconds(graph, seconds, (), 1) == 9.0
    assert wall_seconds(graph, seconds, (), 2) == 5.0
    assert wall_seconds(graph, seconds, ("a",), 2) == 4.0
    assert wall_seconds(graph, seconds, ("a", "b", "c"), 2) == 0.0


def test_urgent_is_what_most_depends_on():
    graph = TaskGraph()
    graph.add("a", "train", {}, cost=1.0)
    graph.add("b", "train", {}, cost=10.0)
    graph.add("c", "train", {}, needs=["a"], cost=20.0)
    assert graph.urgency() == {"a": 21.0, "b": 10.0, "c": 20.0}


def test_speeds_are_measured_for_every_size(tiny_plan, monkeypatch):
    monkeypatch.setattr(estimate, "SECONDS_A_PROBE", 0.05)
    speeds = measure_speeds(tiny_plan, tiny_plan.data.load())
    for values in (speeds.sweep, speeds.annealing):
        assert set(values) == {2, 6}
        assert all(0.0 < value < 1.0 for value in values.values())
    assert speeds.yardstick > 0.0


def test_speeds_of_a_study_whose_training_diverges_are_measured(monkeypatch):
    """As many updates fit into a probe of tiny models as would make their training diverge."""

    def long_probe(function, *_):
        for _ in range(N_CALLS):
            function()
        return 1.0

    monkeypatch.setattr(estimate, "_probe", long_probe)
    monkeypatch.setattr(estimate, "_time_annealing", lambda *_: 1.0)
    plan = StudyConfig(
        hidden=(3,),
        figures=("likelihood",),
        data={"source": "bars-and-stripes", "options": {"image_shape": (3, 3)}},
        recipes={"steep": {"epochs": 5, "learning_rate": 1e9, "clip": 0.0, "engine": "reference"}},
    )
    dataset = plan.data.load()
    trainer = Trainer(dataset, plan.training(next(iter(plan.run_keys()))), select_engine("reference"))
    with pytest.raises(DivergenceError):
        long_probe(trainer.step)
    assert measure_speeds(plan, dataset).update.keys() == {3}


def test_a_dry_run_knows_what_is_done_and_writes_nothing(tiny_plan, tmp_path, monkeypatch):
    monkeypatch.setattr(estimate, "SECONDS_A_PROBE", 0.01)
    before = survey(tiny_plan, tmp_path / "s", workers=2, overwrite=False)
    assert before.done == set()
    assert not (tmp_path / "s").exists()
    run_study(tiny_plan, tmp_path / "s", progress=False)
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "s").rglob("*")}
    after = survey(tiny_plan.replace(replicas=3), tmp_path / "s", workers=2, overwrite=False)
    new = {task.name for task in after.graph} - after.done
    assert all("-r2" in name or name.startswith(("results/", "compute/", "figure/")) for name in new)
    assert 0.0 < after.wall < before.wall + 60.0
    assert files == {path: path.stat().st_mtime_ns for path in (tmp_path / "s").rglob("*")}
    assert survey(tiny_plan, tmp_path / "s", workers=None, overwrite=True).done == set()
    with pytest.raises(StudyError, match="holds another study"):
        survey(tiny_plan.replace(seed=9), tmp_path / "s", workers=None, overwrite=False)
