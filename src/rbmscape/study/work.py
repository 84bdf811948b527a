"""Doing one task, wherever that happens, so that nothing that goes wrong in it stops the others unnoticed.

A task that fails for a reason of its own is reported with that reason; a full disk is reported as fatal, since no
further task would survive it; what nobody expected leaves its traceback in a file beside the task's record.
"""

from __future__ import annotations

import errno
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from rbmscape.errors import DiskError, RbmscapeError, RunLockedError
from rbmscape.study.context import StudyContext
from rbmscape.study.graph import Task
from rbmscape.study.progress import StudyReporter
from rbmscape.study.tasks import run_task

__all__ = ["Report", "TaskFunction", "do_task"]

TaskFunction = Callable[[StudyContext, Task, StudyReporter], dict[str, Any]]

PATIENCE: Final = 600.0
"""Seconds to wait for a process that still trains the same run, left over from a study that was killed."""

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class Report:
    """How a task ended.

    Attributes
    ----------
    seconds : that it took
    error : why it could not be done; empty if it is done and recorded
    fatal : whether the study should stop
    """

    seconds: float
    error: str = ""
    fatal: bool = False


def do_task(context: StudyContext, task: Task, reporter: StudyReporter, run: TaskFunction = run_task) -> Report:
    """Do one task and record it.

    Raises
    ------
    KeyboardInterrupt : Ctrl-C or SIGTERM; a training run stays resumable
    """
    began = time.perf_counter()
    try:
        facts = _patiently(context, task, reporter, run)
        seconds = time.perf_counter() - began
        context.store.finish(task, seconds, facts)
        return Report(seconds)
    except DiskError as error:
        return Report(time.perf_counter() - began, str(error), fatal=True)
    except RbmscapeError as error:
        return Report(time.perf_counter() - began, str(error))
    except MemoryError:
        return Report(time.perf_counter() - began, "out of memory; use a smaller model, fewer chains or fewer workers")
    except Exception as error:  # noqa: BLE001, one task's bug must not cost the others' hours
        return _unexpected(context, task, error, time.perf_counter() - began)


def _patiently(context: StudyContext, task: Task, reporter: StudyReporter, run: TaskFunction) -> dict[str, Any]:
    """The task's facts; a run that another process still trains is waited for."""
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            return run(context, task, reporter)
        except RunLockedError:
            if time.monotonic() > give_up:
                raise
            reporter.advance(task, 0.0, "waiting for another process that trains this run")
            time.sleep(0.5)


def _unexpected(context: StudyContext, task: Task, error: Exception, seconds: float) -> Report:
    if isinstance(error, OSError) and error.errno in _FULL:
        place = f"{error.filename}: " if error.filename else ""
        return Report(seconds, f"{place}{error.strerror}; free some space and run the same command again", fatal=True)
    words = " ".join(f"{type(error).__name__}: {error}".split())
    try:
        file = context.store.note_error(task, traceback.format_exc())
    except DiskError:
        return Report(seconds, words)
    return Report(seconds, f"{words} (traceback in {file})")
