"""Commands that will take more than a minute say so before: with stubbed speeds of a slow and of a fast machine."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import rbmscape as rs
from rbmscape.cli import costs
from rbmscape.cli.main import DONE, main
from rbmscape.study import dry_run
from rbmscape.study.config import StudyConfig

IMAGES = ["bars-and-stripes", "--image-shape", "3x3"]
RECIPE = ["--hidden", "4", "--epochs", "3", "--chains", "10", "--steps", "1", "--engine", "reference", "--quiet"]
RECIPE += ["--schedule", "constant"]
TEMPERED = ["--budget", "1e6", "--engine", "reference"]
COMMANDS = {
    "train": ["train", *IMAGES, *RECIPE, "--out", "OUT"],
    "resumed": ["train", "--resume", "--epochs", "5", "--quiet", "--out", "RUN"],
    "evaluate": ["evaluate", "RUN", "--method", "ais", "--chains", "10", "--betas", "10"],
    "bar": ["evaluate", "RUN", "--method", "bar", "--chains", "10", "--betas", "10"],
    "gibbs": ["sample", "RUN", "-n", "10", "--method", "gibbs", "--steps", "5", "--out", "OUT"],
    "sample": ["sample", "RUN", "-n", "10", *TEMPERED, "--out", "OUT"],
    "given": ["sample", "RUN", "-n", "10", *TEMPERED, "--given", "GIVEN", "--out", "OUT"],
    "quality": ["quality", "RUN", "-n", "50", *TEMPERED],
    "analyze": ["analyze", "RUN", "--figures", "spectrum", "--out", "OUT"],
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    place = tmp_path_factory.mktemp("costs")
    (place / "given.csv").write_text("a,b,c,d,e,f,g,h,i\n1,1,1,,,,0,0,0\n")
    assert main(["train", *IMAGES, *RECIPE, "--out", str(place / "run")]) == DONE
    return place / "run"


def said(words, run, tmp_path, capsys):
    """What a command says of its cost."""
    places = {"RUN": str(run), "OUT": str(tmp_path / "out"), "GIVEN": str(run.parent / "given.csv")}
    capsys.readouterr()
    assert main([places.get(word, word) for word in words]) == DONE
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("this ")]


@pytest.fixture
def speed(monkeypatch):
    """Nothing is too quick to be measured, and every step takes so many seconds."""

    def choose(seconds):
        monkeypatch.setattr(costs, "QUICK", 0.0)
        monkeypatch.setattr(costs, "seconds_of_step", lambda *_, **__: seconds)
        monkeypatch.setattr(costs, "seconds_of_update", lambda *_: seconds)
        monkeypatch.setattr("rbmscape.study.estimate.seconds_of_factorisation", lambda: seconds)

    return choose


@pytest.mark.parametrize("name", COMMANDS)
def test_a_slow_machine_announces_and_a_fast_one_does_not(name, run, tmp_path, capsys, speed):
    speed(1e-12)
    assert said(COMMANDS[name], run, tmp_path / "fast", capsys) == []
    speed(30.0)
    longer = ["--epochs", "9"] if name == "resumed" else []
    (line,) = said([*COMMANDS[name], *longer], run, tmp_path / "slow", capsys)
    assert " of memory" in line
    assert ("free)" in line) == (name in ("train", "resumed", "analyze"))


def test_the_time_is_work_times_the_measured_speed(run, tmp_path, capsys, speed):
    speed(2.0)
    (line,) = said(COMMANDS["gibbs"], run, tmp_path, capsys)
    assert line.startswith("this will take about 100 s ".replace("100 s", "2 min"))  # 10 chains of 5 steps
    speed(1.19)
    assert said([*COMMANDS["gibbs"], "--overwrite"], run, tmp_path, capsys) == []


def test_all_checkpoints_announce_a_bound(run, tmp_path, capsys, speed, monkeypatch):
    speed(1.0)
    monkeypatch.setattr("rbmscape.likelihood.estimate.EXACT_WORK", 0.0)
    monkeypatch.setattr("rbmscape.likelihood.trajectory.MAX_ROUNDS", 64)
    (line,) = said(["evaluate", "RUN", "--all", "--engine", "reference"], run, tmp_path, capsys)
    assert line.startswith("this may take up to about ")


def test_a_bracket_announces_a_bound(capsys, speed):
    for seconds, announced in ((1e-12, False), (1.0, True)):
        speed(seconds)
        costs.announce_likelihood(rs.RBM.random(9, 4), "bracket", 10, 10, max_betas=100)
        assert capsys.readouterr().err.startswith("this may take up to ") == announced


def test_sums_over_many_units_are_announced(capsys, monkeypatch):
    now = iter((0.0, 1e-3))
    monkeypatch.setattr(costs, "time", SimpleNamespace(perf_counter=lambda: next(now)))
    costs.announce_likelihood(rs.RBM.random(30, 24), "exact", 1, 1)
    costs.announce_likelihood(rs.RBM.random(30, 8), "exact", 1, 1)
    assert capsys.readouterr().err == ""  # 4 s
    monkeypatch.setattr(costs, "QUICK", 1e6)
    now = iter((0.0, 1.0))
    costs.announce_likelihood(rs.RBM.random(30, 24), "exact", 1, 1)
    assert capsys.readouterr().err.startswith("this will take about 68 min ")


def test_large_data_are_announced_from_a_look_at_their_first_rows(capsys, monkeypatch):
    dataset = rs.load_dataset("bars-and-stripes", image_shape=(3, 3))
    monkeypatch.setattr(costs, "QUICK", 0.0)
    monkeypatch.setattr(costs, "_LOOKED_AT", 2)
    for seconds, announced in ((0.01, False), (100.0, True)):
        now = iter((0.0, seconds))
        monkeypatch.setattr(costs, "time", SimpleNamespace(perf_counter=lambda now=now: next(now)))
        costs.announce_description(dataset)
        assert bool(capsys.readouterr().err) == announced


def test_a_study_is_announced_from_its_survey(tmp_path, capsys, monkeypatch):
    plan = StudyConfig(hidden=(2,), figures=("likelihood",), data={"source": "bars-and-stripes"})
    costs.announce_study(plan, tmp_path / "s", None, overwrite=False)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(costs, "QUICK_STUDY", 0.0)
    for wall, announced in ((59.0, False), (600.0, True)):
        monkeypatch.setattr(dry_run, "survey", lambda *_, wall=wall, **__: SimpleNamespace(wall=wall))
        costs.announce_study(plan, tmp_path / "s", 2, overwrite=False)
        assert bool(capsys.readouterr().err) == announced
    assert not (tmp_path / "s").exists()


def test_wide_models_are_not_said_to_need_complete_bases():
    """Bases are completed up to 4096 units alone; 40 000 units squared would be 77 GB."""
    from rbmscape.study.needs import memory_of_modes

    assert memory_of_modes(40_000, 100) == memory_of_modes(100, 40_000) < 5e8
    assert memory_of_modes(4096, 100) == 48 * 4096**2
