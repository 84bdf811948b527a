"""What a user sees while a study runs: any object with these methods can watch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import rbmscape.progress
from rbmscape.progress import NotebookOutput, Progress, Reporter
from rbmscape.study.graph import Task

if TYPE_CHECKING:
    from rich.progress import TaskID

__all__ = ["ConsoleReporter", "SilentReporter", "StudyReporter", "make_reporter"]


@runtime_checkable
class StudyReporter(Protocol):
    """Watches a study; called between and during tasks, so it must be quick."""

    def start(self, tasks: Sequence[Task], done: Sequence[Task]) -> None:
        """A study begins: all its tasks, and those that were done before."""

    def begin(self, task: Task) -> None:
        """A task begins."""

    def advance(self, task: Task, fraction: float, note: str = "") -> None:
        """Part of a task is done, from 0 to 1."""

    def finish(self, task: Task, seconds: float) -> None:
        """A task is done."""

    def fail(self, task: Task, reason: str) -> None:
        """A task could not be done, or was left out because one that it needs failed."""

    def stop(self) -> None:
        """The study has ended, for whatever reason."""


class SilentReporter:
    """Shows nothing."""

    def start(self, tasks: Sequence[Task], done: Sequence[Task]) -> None:
        """See `StudyReporter.start`."""

    def begin(self, task: Task) -> None:
        """See `StudyReporter.begin`."""

    def advance(self, task: Task, fraction: float, note: str = "") -> None:
        """See `StudyReporter.advance`."""

    def finish(self, task: Task, seconds: float) -> None:
        """See `StudyReporter.finish`."""

    def fail(self, task: Task, reason: str) -> None:
        """See `StudyReporter.fail`."""

    def stop(self) -> None:
        """See `StudyReporter.stop`."""


class _Counter(SilentReporter):
    """Tells a reporter of long calls of each task that has ended; its name is the status."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def start(self, tasks: Sequence[Task], done: Sequence[Task]) -> None:
        self._reporter.start("tasks", len(tasks) - len(done))

    def finish(self, task: Task, seconds: float) -> None:  # noqa: ARG002, the number counts
        self._reporter.advance(1, task.name)

    def fail(self, task: Task, reason: str) -> None:  # noqa: ARG002, as above
        self._reporter.advance(1, task.name)

    def stop(self) -> None:
        self._reporter.stop()


def make_reporter(progress: Progress | StudyReporter) -> StudyReporter:
    """The console for True, nothing for False, the given reporter otherwise.

    Raises
    ------
    InputError : neither a bool nor a reporter
    """
    if isinstance(progress, StudyReporter):
        return progress
    if progress is True:
        return ConsoleReporter()
    return SilentReporter() if progress is False else _Counter(rbmscape.progress.make_reporter(progress))


class ConsoleReporter:
    """On a terminal or in a notebook the whole study with its remaining time, and a line for each task that runs.

    Where the output is neither, one plain line for each finished task that took longer than a second.
    """

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._notebook = NotebookOutput() if self._console.is_jupyter else None
        self._is_file = not (self._console.is_terminal or self._console.is_jupyter)
        self._done = self._total = self._before = 0.0
        self._began = self._shown = time.monotonic()
        self._count = self._finished = 0
        self._study: TaskID | Any = None
        self._lines: dict[str, TaskID] = {}
        self._parts: dict[str, float] = {}

    def start(self, tasks: Sequence[Task], done: Sequence[Task]) -> None:
        """See `StudyReporter.start`."""
        self._total = sum(task.cost for task in tasks)
        self._done = self._before = sum(task.cost for task in done)
        self._count, self._finished = len(tasks), len(done)
        self._began = time.monotonic()
        self._study = self._progress.add_task("study", total=self._total, note="")
        self._progress.update(self._study, completed=self._done)
        self._progress.start()
        if done and self._is_file:
            self._console.print(f"{len(done)} of {len(tasks)} tasks were done before", highlight=False)

    def begin(self, task: Task) -> None:
        """See `StudyReporter.begin`."""
        self._remove(task)
        self._lines[task.name] = self._progress.add_task(task.name, total=1.0, note="")
        self._show_study()

    def advance(self, task: Task, fraction: float, note: str = "") -> None:
        """See `StudyReporter.advance`."""
        self._parts[task.name] = task.cost * fraction
        now = time.monotonic()
        if now - self._shown > 0.2 and task.name in self._lines:
            self._shown = now
            self._progress.update(self._lines[task.name], completed=fraction, note=note)
            self._show_study()

    def finish(self, task: Task, seconds: float) -> None:
        """See `StudyReporter.finish`."""
        self._remove(task)
        self._done += task.cost
        self._finished += 1
        self._show_study()
        if seconds > 1.0 and self._is_file:
            line = f"[{self._finished}/{self._count}] {task.name}: {seconds:.1f} s{self._remaining()}"
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def fail(self, task: Task, reason: str) -> None:
        """See `StudyReporter.fail`."""
        self._remove(task)
        self._done += task.cost
        self._console.print(f"{task.name}: {reason}", highlight=False, markup=False, style="red", soft_wrap=True)

    def stop(self) -> None:
        """See `StudyReporter.stop`."""
        self._progress.stop()
        if self._notebook is not None:
            self._notebook.update(self._progress, refresh=True)

    def _remove(self, task: Task) -> None:
        """Take a task's line away; one that begins again also starts from nothing."""
        self._parts.pop(task.name, None)
        if task.name in self._lines:
            self._progress.remove_task(self._lines.pop(task.name))

    def _show_study(self) -> None:
        note = f"{self._finished} of {self._count} tasks{self._remaining()}"
        self._progress.update(self._study, completed=self._done + sum(self._parts.values()), note=note)
        if self._notebook is not None:
            self._notebook.update(self._progress)

    def _remaining(self) -> str:
        """Estimate from the cost done since the start; the unit of cost drops out."""
        done = self._done + sum(self._parts.values())
        worked, left = done - self._before, self._total - done
        elapsed = time.monotonic() - self._began
        if worked < 0.02 * (self._total - self._before) or elapsed < 3.0 or left <= 0:  # too early to say
            return ""
        seconds = round(elapsed * left / worked)
        return f", about {seconds // 60}:{seconds % 60:02d} left"
