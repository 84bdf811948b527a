"""Doing the tasks of a study in this process, one after the other, each with all cores."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rbmscape.errors import DiskError, RbmscapeError
from rbmscape.study.graph import Task, TaskGraph
from rbmscape.study.progress import StudyReporter
from rbmscape.study.tasks import Workshop, run_task

__all__ = ["Outcome", "execute"]


@dataclass(frozen=True)
class Outcome:
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


def execute(
    graph: TaskGraph,
    shop: Workshop,
    reporter: StudyReporter,
    run: Callable[[Workshop, Task, StudyReporter], dict[str, Any]] = run_task,
) -> Outcome:
    """Do every task that is not done; one that fails does not stop those that do not need it.

    Parameters
    ----------
    graph : the tasks, in an order in which they can be done
    shop : plan, directory and data
    reporter : watches
    run : does one task

    Raises
    ------
    DiskError : results cannot be written, which no further task would survive
    KeyboardInterrupt : Ctrl-C; finished tasks stay finished, a training run stays resumable
    """
    done = {task.name: task for task in graph if shop.store.record(task) is not None}
    computed: list[str] = []
    failures: dict[str, str] = {}
    reporter.start(list(graph), list(done.values()))
    try:
        for task in graph:
            if task.name in done:
                continue
            missing = [name for name in task.needs if name in failures]
            if missing:
                failures[task.name] = f"left out, because {missing[0]} could not be done"
                reporter.fail(task, failures[task.name])
                continue
            reporter.begin(task)
            began = time.perf_counter()
            try:
                facts = run(shop, task, reporter)
            except DiskError:
                raise
            except RbmscapeError as error:
                failures[task.name] = str(error)
                reporter.fail(task, str(error))
                continue
            seconds = time.perf_counter() - began
            shop.store.finish(task, seconds, facts)
            computed.append(task.name)
            reporter.finish(task, seconds)
    finally:
        reporter.stop()
    return Outcome(tuple(computed), tuple(done), failures)
