"""One argument `progress` for all long calls."""

from __future__ import annotations

import math
import re

import pytest

from rbmscape.errors import InputError
from rbmscape.progress import AtMost, ConsoleBar, Pace, SilentReporter, make_reporter, reporting
from rbmscape.study.graph import Task
from rbmscape.study.progress import make_reporter as study_reporter
from rbmscape.training.display import TrainingDisplay
from rbmscape.training.progress import TrainingStatus


class Recorder:
    """Writes down what it is told."""

    def __init__(self):
        self.seen = []

    def start(self, what, total):
        self.seen.append((what, total))

    def advance(self, done, status=None):
        self.seen.append(done if status is None else (done, status))

    def stop(self):
        self.seen.append("stop")


def test_a_reporter_hears_the_start_every_advance_and_the_end():
    watching = Recorder()
    with reporting(watching, "steps", 5) as advance:
        advance(2)
        advance(3, "status")
    assert watching.seen == [("steps", 5), 2, (3, "status"), "stop"]


def test_a_reporter_is_stopped_when_the_call_fails():
    watching = Recorder()
    with pytest.raises(RuntimeError), reporting(watching, "steps"):
        raise RuntimeError
    assert watching.seen == [("steps", None), "stop"]


def test_true_is_a_bar_and_false_is_silence(capsys):
    assert isinstance(make_reporter(True), ConsoleBar)
    assert isinstance(make_reporter(False), SilentReporter)
    with reporting(True, "steps", 2) as advance:
        advance(2)
    assert capsys.readouterr() == ("", "")  # no terminal, no bar


@pytest.mark.parametrize("wrong", [None, 1, "bar", print])
def test_anything_else_is_refused(wrong):
    with pytest.raises(InputError, match="progress must be True, False or an object with start, advance and stop"):
        make_reporter(wrong)


class Clock:
    """Seconds that pass when somebody says so."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_a_pace_leaves_out_what_is_compiled_and_follows_a_total_that_becomes_known():
    clock = Clock()
    pace = Pace(None, clock)
    clock.now = 30.0
    pace.advance(1)  # half a minute of compiling and one step
    clock.now = 40.0
    pace.advance(10)
    assert math.isnan(pace.left)  # of what, nobody knows yet
    pace.advance(0, AtMost(100))
    assert math.isnan(pace.left)  # at which pace, neither
    pace.advance(1)
    clock.now = 50.0
    pace.advance(20)
    assert pace.left == pytest.approx(79 * 10.0 / 20)
    assert pace.total == 111


def test_a_long_call_says_what_it_takes_and_then_every_minute_while_a_quick_one_is_silent(capsys):
    said = {}
    for name, seconds_a_step in (("slow", 1.0), ("quick", 0.05)):
        clock = Clock()
        bar = ConsoleBar(clock)
        bar.start("steps", 200)
        for _ in range(200):
            clock.now += seconds_a_step
            bar.advance(1)
        bar.stop()
        said[name] = capsys.readouterr().err.splitlines()
    assert said["quick"] == []
    assert said["slow"][0] == "steps: 3 s so far; about 197 s left at this pace".replace("197 s", "3 min")
    assert [line.split(" so far")[0] for line in said["slow"]] == [
        "steps: 3 s",
        "steps: 64 s",
        "steps: 2 min",
        "steps: 3 min",
    ]


def test_a_bound_that_is_learnt_on_the_way_is_called_one_and_advancing_by_nothing_shows_life(capsys):
    clock = Clock()
    bar = ConsoleBar(clock)
    bar.start("replica exchange", None)
    for _ in range(70):
        clock.now += 1.0
        bar.advance(0)
    assert capsys.readouterr().err == "replica exchange: 61 s so far\n"
    bar.advance(0, AtMost(1000))
    for _ in range(60):
        clock.now += 1.0
        bar.advance(1)
    assert capsys.readouterr().err == "replica exchange: 2 min so far; at most about 16 min left at this pace\n"


@pytest.fixture
def cell(monkeypatch):
    """Outputs below a notebook's cell, each a list of what was drawn in its place."""
    display = pytest.importorskip("IPython.display")
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    outputs = []

    class Handle:
        def __init__(self, drawn):
            self.drawn = drawn

        def update(self, shown, *, raw):
            assert raw
            self.drawn.append(shown["text/plain"])

    def shown(what, *, raw, display_id):
        assert raw
        assert display_id
        outputs.append([what["text/plain"]])
        assert what["text/html"].startswith("<pre")
        return Handle(outputs[-1])

    monkeypatch.setattr(display, "display", shown)
    monkeypatch.setattr("rbmscape.progress._BETWEEN_FRAMES", 0.0)
    return outputs


def test_a_notebook_shows_the_bar_in_one_place_without_widgets(cell):
    with reporting(True, "steps", 4) as advance:
        for _ in range(4):
            advance(1)
    (drawn,) = cell
    assert [re.search(r"steps .* (\d+)%", one)[1] for one in drawn[:-1]] == ["25", "50", "75", "100"]
    assert drawn[-1] == ""


def test_a_notebook_shows_a_training_in_one_place(cell):
    display = TrainingDisplay()
    display.start("updates", 40)
    for update in range(41):
        metrics = {"pseudo_log_likelihood": update - 72.0}
        display.advance(1, TrainingStatus(update, 40, update / 10, 4, 100.0, metrics, at_checkpoint=update % 2 == 0))
    display.stop()
    (drawn,) = cell
    assert len(drawn) > 20
    assert "epoch 4.0/4" in drawn[-1]
    assert "-32.00 nats" in drawn[-1]


def test_a_notebook_shows_a_study_in_one_place(cell):
    reporter = study_reporter(True)
    tasks = [Task(f"task {n}", "figure", {}, (), "", ()) for n in range(3)]
    reporter.start(tasks, [])
    for task in tasks:
        reporter.begin(task)
        reporter.finish(task, seconds=5.0)
    reporter.stop()
    (drawn,) = cell
    assert "3 of 3 tasks" in drawn[-1]
    assert "task 2" in drawn[-3]
