"""What the console shows of a training run, on a terminal and in a log file."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import rbmscape as rs
from rbmscape.progress import SilentReporter
from rbmscape.training.display import TrainingDisplay, clock, make_reporter, sparkline
from rbmscape.training.progress import TrainingStatus

METRICS = {
    "pseudo_log_likelihood": -72.345,
    "reconstruction_error": 0.0612,
    "free_energy_gap": None,
    "singular_values": [21.25, 14.125, 9.5, 7.0, 6.0, 5.0],
}


def shown(terminal):
    """A display that writes to a string, and that string."""
    text = io.StringIO()
    return TrainingDisplay("a title", Console(file=text, force_terminal=terminal, width=100, color_system=None)), text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00:00"),
        (59.6, "0:01:00"),
        (3725, "1:02:05"),
        (math.nan, "-:--:--"),
        (math.inf, "-:--:--"),
        (-1, "-:--:--"),
    ],
)
def test_clock(seconds, text):
    assert clock(seconds) == text


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_sparkline_keeps_the_order_of_values(values):
    line = sparkline(values)
    assert len(line) == len(values)
    for (one, left), (two, right) in zip(
        zip(values, line, strict=True), zip(values[1:], line[1:], strict=True), strict=False
    ):
        assert left == right or (left < right) == (one < two)
    if max(values) > min(values):
        assert line[values.index(max(values))] == "█"
        assert line[values.index(min(values))] == "▁"


def test_sparkline_of_too_little():
    assert sparkline([]) == sparkline([1.0]) == sparkline([math.nan, 2.0]) == ""


def test_terminal_shows_place_speed_time_and_metrics(monkeypatch):
    display, text = shown(terminal=True)
    now = iter(range(100, 200, 2))
    monkeypatch.setattr("rbmscape.training.display.time.monotonic", lambda: float(next(now)))
    display.start("updates", 400)
    display.advance(0, TrainingStatus(0, 400, 0.0, 4, math.nan))
    display.advance(100, TrainingStatus(100, 400, 1.0, 4, 50.0))
    display.advance(100, TrainingStatus(200, 400, 2.0, 4, 50.0, METRICS, at_checkpoint=True))
    display.stop()
    last = text.getvalue()
    for part in ("a title", "epoch 2.0/4", "50 %", "updates/s", "left", "-72.34 nats", "0.0612", "21.25 14.12 9.50"):
        assert part in last, part
    assert "free-energy gap" not in last  # unknown quantities are left out
    display.stop()


def test_the_likelihood_comes_first_where_it_is_known():
    display, text = shown(terminal=False)
    known = {"log_likelihood": -91.234, "log_partition_stderr": 0.312, "log_likelihood_row_stderr": 0.523} | METRICS
    display.start("updates", 400)
    display.advance(200, TrainingStatus(200, 400, 2.0, 4, 50.0, known, at_checkpoint=True))
    line = text.getvalue().splitlines()[-1]
    assert "log-likelihood (online) -91.23 ± 0.31 (ln Z) ± 0.52 (rows) nats" in line
    assert line.index("(online)") < line.index("pseudo-log-likelihood")


def test_a_likelihood_that_is_contradicted_is_not_shown():
    display, text = shown(terminal=False)
    known = METRICS | {"log_likelihood": None, "log_likelihood_objection": "known states alone weigh more"}
    display.start("updates", 400)
    display.advance(200, TrainingStatus(200, 400, 2.0, 4, 50.0, known, at_checkpoint=True))
    assert "log-likelihood (online) not known: known states alone weigh more" in text.getvalue().splitlines()[-1]


def test_what_speaks_against_a_training_is_shown():
    display, text = shown(terminal=False)
    known = METRICS | {"objection": "12 of 20 hidden units have one value for all data", "verdict": "few passages"}
    display.start("updates", 400)
    display.advance(200, TrainingStatus(200, 400, 2.0, 4, 50.0, known, at_checkpoint=True))
    line = text.getvalue().splitlines()[-1]
    assert line.endswith("equilibrium few passages  caution 12 of 20 hidden units have one value for all data")


def test_speed_is_that_of_the_last_seconds(monkeypatch):
    """A slow start (compiling kernels) does not spoil the remaining time."""
    display, text = shown(terminal=False)
    clock_now = [0.0]
    monkeypatch.setattr("rbmscape.training.display.time.monotonic", lambda: clock_now[0])
    display.start("updates", 10_000)
    display.advance(0, TrainingStatus(0, 10_000, 0.0, 10, math.nan))
    for seconds, update in ((60.0, 1), (70.0, 1001), (80.0, 2001), (90.0, 3001)):
        clock_now[0] = seconds
        status = TrainingStatus(update, 10_000, update / 1000, 10, update / seconds, METRICS, at_checkpoint=True)
        display.advance(1000, status)
    assert "100 updates/s  0:01:10 left" in text.getvalue().splitlines()[-1]


def test_a_log_file_gets_one_line_a_checkpoint():
    display, text = shown(terminal=False)
    dataset = rs.load_dataset("bars-and-stripes", image_shape=(2, 2))
    config = rs.TrainingConfig(n_hidden=3, epochs=4, n_chains=5, gibbs_steps=1, engine="reference", early_checkpoints=2)
    run = rs.train(dataset, config, progress=display)
    lines = text.getvalue().splitlines()
    assert lines[0] == "a title"
    assert any(line.startswith("independent units: ") for line in lines)
    lines = [line for line in lines if line.startswith("epoch")]
    assert len(lines) == len(run.updates)
    assert "update 4/4" in lines[-1]
    assert "done" in lines[-1]
    assert f"pseudo-log-likelihood {run.rows[-1]['pseudo_log_likelihood']:.2f} nats" in lines[-1]
    assert "\x1b" not in text.getvalue()


def test_the_right_reporter_is_made():
    assert isinstance(make_reporter(True), TrainingDisplay)
    assert isinstance(make_reporter(False), SilentReporter)
    own = SilentReporter()
    assert make_reporter(own) is own


def test_what_is_odd_in_the_data_is_said_before_training():
    rows = np.random.default_rng(0).integers(0, 2, (60, 20)).astype(np.uint8)
    rows[:, 3] = 1
    config = rs.TrainingConfig(n_hidden=2, epochs=1, n_chains=5, gibbs_steps=1, engine="reference")
    for data, expected in ((rs.Dataset.from_array(rows, rows[:6]), 2), (rs.Dataset.from_array(rows[:, 4:]), 0)):
        display, text = shown(terminal=False)
        rs.train(data, config, progress=display)
        lines = text.getvalue().splitlines()
        said = [line for line in lines if line.startswith("data: ")]
        assert len(said) == expected
        assert lines[1 : 1 + expected] == said
        if expected:
            assert "columns that never change in the training data: 1 (3); leave them out" in said[0]
            assert said[1].startswith("data: 6 of 6 test rows occur in the training data")
