"""Handing out the tasks of a study: in this process, to worker processes, or to machines.

The driver knows which tasks are done, which wait for others and which can be done now; a `Pool` does them and tells
what becomes of them.  Whoever does a task records it before telling, so that a driver that dies loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from rbmscape.brief import OneLine
from rbmscape.errors import DiskError
from rbmscape.study.context import StudyContext
from rbmscape.study.graph import Task, TaskGraph
from rbmscape.study.progress import StudyReporter
from rbmscape.study.store import StudyStore
from rbmscape.study.tasks import run_task
from rbmscape.study.work import Report, TaskFunction, do_task

__all__ = ["Event", "HerePool", "Outcome", "Pool", "execute"]

MAX_TRIES: Final = 3
SECONDS_BETWEEN_LOOKS: Final = 0.5


@dataclass(frozen=True, repr=False)
class Outcome(OneLine):
    """What became of the tasks.

    Attributes
    ----------
    computed : names of the tasks that were done now
    skipped : names of those that had been done before
    failures : name to reason, for tasks that could not be done and those that need one of them
    """

    computed: tuple[str, ...]
    skipped: tuple[str, ...]
    failures: dict[str, str] = field(default_factory=dict)

    def _headline(self) -> str:
        return f"{len(self.computed)} tasks done, {len(self.skipped)} before, {len(self.failures)} failed"


@dataclass(frozen=True, slots=True)
class Event:
    """What a pool tells about one of its tasks.

    Attributes
    ----------
    kind : "begin"; "advance" with a fraction from 0 to 1 and a note; "end" with a report; "lost", with a note that
        says why, where whoever did the task has vanished
    task : its name
    """

    kind: Literal["begin", "advance", "end", "lost"]
    task: str
    fraction: float = 0.0
    note: str = ""
    report: Report | None = None


class Pool(Protocol):
    """Does tasks, somewhere."""

    @property
    def capacity(self) -> int:
        """How many tasks it can do at once, now."""

    def submit(self, task: Task) -> None:
        """Begin a task as soon as possible."""

    def events(self, timeout: float) -> Iterable[Event]:
        """What has happened since the last call; waits for something, at most ``timeout`` seconds."""

    def close(self) -> None:
        """Stop whatever is still being done, resumably."""


class HerePool:
    """Does one task at a time in this process, with all its threads.

    Parameters
    ----------
    context : plan, directory and data
    reporter : hears of progress within a task
    run : does one task
    """

    capacity = 1

    def __init__(self, context: StudyContext, reporter: StudyReporter, run: TaskFunction = run_task) -> None:
        self._context, self._reporter, self._run = context, reporter, run
        self._waiting: list[Task] = []

    def submit(self, task: Task) -> None:
        """See `Pool.submit`."""
        self._waiting.append(task)

    def events(self, timeout: float) -> Iterable[Event]:  # noqa: ARG002, there is nothing to wait for
        """See `Pool.events`."""
        while self._waiting:
            task = self._waiting.pop(0)
            yield Event("begin", task.name)
            yield Event("end", task.name, report=do_task(self._context, task, self._reporter, self._run))

    def close(self) -> None:
        """See `Pool.close`."""


class _Board:
    """Where every task stands."""

    def __init__(self, graph: TaskGraph, store: StudyStore) -> None:
        self.graph = graph
        self.done = {task.name for task in graph if store.record(task) is not None}
        self.skipped = tuple(task.name for task in graph if task.name in self.done)
        self.computed: list[str] = []
        self.failures: dict[str, str] = {}
        self.running: set[str] = set()
        self._waiting = {task.name: task for task in graph if task.name not in self.done}
        self._tries: dict[str, int] = {}
        self._urgency = graph.urgency()

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do or to wait for."""
        return not self._waiting and not self.running

    def take(self, count: int, *, in_order: bool) -> list[Task]:
        """Up to ``count`` tasks that can begin: in the plan's order, or those first that most depends on."""
        able = [task for task in self._waiting.values() if self.done.issuperset(task.needs)]
        if not in_order:
            able.sort(key=lambda task: -self._urgency[task.name])
        chosen = able[: max(0, count)]
        for task in chosen:
            del self._waiting[task.name]
            self.running.add(task.name)
        return chosen

    def finish(self, name: str) -> None:
        """It is done."""
        self.running.discard(name)
        self.done.add(name)
        self.computed.append(name)

    def fail(self, name: str, reason: str) -> list[Task]:
        """It cannot be done; returns it and all that wait for it in vain."""
        self.running.discard(name)
        self.failures[name] = reason
        failed = [self.graph.tasks[name]]
        for task in list(self._waiting.values()):  # in an order in which needs come first
            missing = [need for need in task.needs if need in self.failures]
            if missing:
                del self._waiting[task.name]
                self.failures[task.name] = f"left out, because {missing[0]} could not be done"
                failed.append(task)
        return failed

    def try_again(self, name: str) -> bool:
        """Put a task that was lost back, unless it was lost too often."""
        self._tries[name] = self._tries.get(name, 0) + 1
        if self._tries[name] >= MAX_TRIES:
            return False
        self.running.discard(name)
        self._waiting = {name: self.graph.tasks[name], **self._waiting}
        return True


def execute(graph: TaskGraph, store: StudyStore, pool: Pool, reporter: StudyReporter) -> Outcome:
    """Do every task that is not done; one that fails does not stop those that do not need it.

    Parameters
    ----------
    graph : the tasks, in an order in which they can be done
    store : where their records are
    pool : does them; closed at the end
    reporter : watches

    Raises
    ------
    DiskError : results cannot be written, which no further task would survive
    KeyboardInterrupt : Ctrl-C; finished tasks stay finished, training runs stay resumable
    """
    board = _Board(graph, store)
    reporter.start(list(graph), [graph.tasks[name] for name in board.skipped])
    try:
        while not board.finished:
            for task in board.take(pool.capacity - len(board.running), in_order=pool.capacity == 1):
                pool.submit(task)
            for event in pool.events(SECONDS_BETWEEN_LOOKS):
                _follow(event, board, reporter)
    finally:
        try:
            pool.close()
        finally:
            reporter.stop()
    return Outcome(tuple(board.computed), board.skipped, board.failures)


def _follow(event: Event, board: _Board, reporter: StudyReporter) -> None:
    """Change the board as the event says, and tell the reporter."""
    task = board.graph.tasks[event.task]
    if event.kind == "begin":
        reporter.begin(task)
    elif event.kind == "advance":
        reporter.advance(task, event.fraction, event.note)
    elif event.kind == "lost":
        if not board.try_again(task.name):
            _report_failures(board.fail(task.name, f"given up after {MAX_TRIES} tries: {event.note}"), board, reporter)
    elif event.report is not None and event.report.fatal:
        raise DiskError(event.report.error)
    elif event.report is not None and event.report.error:
        _report_failures(board.fail(task.name, event.report.error), board, reporter)
    elif event.report is not None:
        board.finish(task.name)
        reporter.finish(task, event.report.seconds)


def _report_failures(failed: Sequence[Task], board: _Board, reporter: StudyReporter) -> None:
    for task in failed:
        reporter.fail(task, board.failures[task.name])
