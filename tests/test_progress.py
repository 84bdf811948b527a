"""One argument `progress` for all long calls."""

from __future__ import annotations

import pytest

from rbmscape.errors import InputError
from rbmscape.progress import ConsoleBar, SilentReporter, make_reporter, reporting


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
