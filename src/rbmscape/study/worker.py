"""``python -m rbmscape.study.worker DIRECTORY``: does a study's tasks, one JSON line each on the standard input.

Answers are JSON lines on the standard output, which nothing else may write to.  When the input ends the driver has no
more use for the process, or is gone: an idle process ends, one that trains saves its state first.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import sys
import threading
import time
from dataclasses import asdict
from typing import Any, Final

from rbmscape.errors import RbmscapeError
from rbmscape.study.config import frozen
from rbmscape.study.context import StudyContext
from rbmscape.study.graph import Task
from rbmscape.study.progress import SilentReporter
from rbmscape.study.work import Report, do_task

__all__ = ["main", "task_from"]

SECONDS_BETWEEN_NEWS: Final = 0.5


def task_from(values: dict[str, Any]) -> Task:
    """A task from what `dataclasses.asdict` made of it and JSON or pickle carried."""
    return Task(**{name: frozen(value) for name, value in values.items()})


class _Channel(SilentReporter):
    """Passes progress on, twice a second at most."""

    def __init__(self, descriptor: int) -> None:
        self._out = os.fdopen(descriptor, "w", encoding="utf-8")
        self._told = 0.0

    def say(self, **message: Any) -> None:
        """Write one line; a driver that is gone is noticed elsewhere."""
        with contextlib.suppress(OSError):
            self._out.write(json.dumps(message) + "\n")
            self._out.flush()

    def begin(self, task: Task) -> None:
        self.say(kind="begin", task=task.name)

    def advance(self, task: Task, fraction: float, note: str = "") -> None:
        now = time.monotonic()
        if now - self._told > SECONDS_BETWEEN_NEWS:
            self._told = now
            self.say(kind="advance", task=task.name, fraction=fraction, note=note)


class _Inbox:
    """Tasks from the driver; what is being done when it goes away is stopped."""

    def __init__(self) -> None:
        self.busy = False
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in sys.stdin:
            self._lines.put(line)
        if self.busy:
            os.kill(os.getpid(), signal.SIGTERM)  # training ends between two updates, all else at once
        self._lines.put(None)

    def take(self) -> Task | None:
        """The next task; None when there will be no more."""
        line = self._lines.get()
        return None if line is None else task_from(json.loads(line))


def main(directory: str) -> int:
    """Do tasks until the input ends; returns the exit code."""
    channel = _Channel(os.dup(1))
    os.dup2(2, 1)  # prints of libraries go to the log
    inbox = _Inbox()
    context: StudyContext | None = None
    while (task := inbox.take()) is not None:
        inbox.busy = True
        channel.begin(task)
        try:
            context = context or StudyContext.open(directory)
            report = do_task(context, task, channel)
        except RbmscapeError as error:
            report = Report(0.0, str(error))
        except KeyboardInterrupt:
            return 130
        inbox.busy = False
        channel.say(task=task.name, report=asdict(report))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
