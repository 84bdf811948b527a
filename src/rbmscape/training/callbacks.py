"""What may watch a training and keep records of it: one small protocol, and trackers for CSV and TensorBoard.

Callbacks are called between updates, after a checkpoint and the state to go on from are on disk.  They get the run as
it lies there and nothing of the trainer, so that they cannot change its numbers.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from rbmscape.arguments import checked
from rbmscape.checks import check_count, shown
from rbmscape.errors import CallbackError, InputError, MissingInputError
from rbmscape.files import write_bytes
from rbmscape.progress import Reporter
from rbmscape.runs.run import Run
from rbmscape.training.progress import TrainingStatus

__all__ = ["Callback", "CsvTracker", "TensorBoardTracker", "Watch", "Watched", "check_callbacks", "watched"]


@runtime_checkable
class Callback(Protocol):
    """Watches a training; an error that it raises stops the training, which can be resumed."""

    def begin(self, run: Run) -> None:
        """Training begins or goes on; ``run.rows`` holds the metrics of the checkpoints that are there already."""

    def checkpoint(self, run: Run, metrics: Mapping[str, Any]) -> None:
        """A checkpoint was written; ``run.load(metrics["update"])`` is its model."""

    def end(self, run: Run) -> None:
        """Training has ended or stopped, for whatever reason."""


class CsvTracker:
    """Metrics as a CSV file, one row a checkpoint, whole at any time.

    Parameters
    ----------
    path : of the file, which is replaced at every checkpoint; also what was trained before a resumption is in it
    """

    @checked
    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)

    @checked
    def begin(self, run: Run) -> None:
        """See `Callback.begin`."""
        self._write(run)

    @checked
    def checkpoint(self, run: Run, metrics: Mapping[str, Any]) -> None:  # noqa: ARG002 - all rows are written
        """See `Callback.checkpoint`."""
        self._write(run)

    @checked
    def end(self, run: Run) -> None:
        """See `Callback.end`."""

    def _write(self, run: Run) -> None:
        rows = run.rows
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), restval="")
        writer.writeheader()
        writer.writerows(rows)
        write_bytes(self._path, text.getvalue().encode())


class TensorBoardTracker:
    """Metrics as TensorBoard's scalars, singular values as histograms; the extra ``tensorboard``.

    Parameters
    ----------
    directory : where the event files are kept; look at them with ``tensorboard --logdir DIRECTORY``

    Raises
    ------
    MissingInputError : TensorBoard is not installed
    """

    @checked
    def __init__(self, directory: str | os.PathLike[str]) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingInputError(
                "TensorBoardTracker needs TensorBoard, which is not installed; install rbmscape[tensorboard]"
            ) from error
        self._make, self._directory = SummaryWriter, os.fspath(directory)
        self._writer: Any = None

    @checked
    def begin(self, run: Run) -> None:
        """See `Callback.begin`."""
        self._writer = self._make(self._directory, purge_step=run.last_update + 1)  # steps of a lost resumption

    @checked
    def checkpoint(self, run: Run, metrics: Mapping[str, Any]) -> None:
        """See `Callback.checkpoint`."""
        step = check_count("the update of metrics", metrics.get("update", run.last_update), 0)
        for name, value in metrics.items():
            if isinstance(value, bool | int | float) and name != "update":
                self._writer.add_scalar(name, float(value), step)
            elif isinstance(value, Sequence) and not isinstance(value, str) and len(value):
                import numpy as np

                self._writer.add_histogram(name, np.asarray(value, dtype=float), step)
        self._writer.flush()

    @checked
    def end(self, run: Run) -> None:  # noqa: ARG002 - nothing is left to say
        """See `Callback.end`."""
        self._writer.close()


class Watch:
    """The callbacks of one run, and what they were told of already.

    Parameters
    ----------
    callbacks : in the order in which they are called
    place : the run's directory
    kept : whether it stays after an error
    """

    def __init__(self, callbacks: Sequence[Callback], place: str | os.PathLike[str], kept: bool = True) -> None:
        self._callbacks, self._place, self._kept = callbacks, os.fspath(place), kept
        self._told = -1
        self._begun: list[Callback] = []
        self._failed = False

    def begin(self) -> None:
        """Training begins or goes on, in a directory that has its record."""
        self._run = Run.open(self._place)
        self._told = self._run.last_update
        for callback in self._callbacks:
            try:
                self._call(callback, "begin", self._run)
            except BaseException:
                self.end()
                raise
            self._begun.append(callback)

    def look(self) -> None:
        """Tell of the checkpoints that were written since."""
        if not self._callbacks:
            return
        for row in self._run.rows:
            if row["update"] > self._told:
                self._told = row["update"]
                for callback in self._callbacks:
                    self._call(callback, "checkpoint", self._run, row)

    def end(self) -> None:
        """End those that have begun, all of them; what one raises is raised when the others are done."""
        raised: list[CallbackError] = []
        while self._begun:
            try:
                self._call(self._begun.pop(), "end", self._run)
            except CallbackError as error:
                raised.append(error)
        if raised and not self._failed:
            raise raised[0]

    def _call(self, callback: Callback, method: str, *arguments: Any) -> None:
        try:
            getattr(callback, method)(*arguments)
        except Exception as error:
            self._failed = True
            way = (
                f"everything is saved, continue with rbmscape.train(dataset, config, {self._place!r}, resume=True)"
                if self._kept
                else "the run had no directory and is gone, pass directory= to keep one"
            )
            found = " ".join(f"{type(error).__name__}: {error}".split())
            raise CallbackError(
                f"the callback {type(callback).__name__} failed in its {method} ({found}) and stopped the training at "
                f"update {max(self._told, 0)}; {way}"
            ) from error


class Watched:
    """A reporter that tells callbacks of checkpoints as well; see `watched`."""

    def __init__(self, reporter: Reporter, watch: Watch) -> None:
        self._reporter, self._watch = reporter, watch

    def start(self, what: str, total: int | None) -> None:
        """See `rbmscape.progress.Reporter.start`."""
        self._watch.begin()
        self._reporter.start(what, total)

    def advance(self, done: int, status: Any = None) -> None:
        """See `rbmscape.progress.Reporter.advance`."""
        self._reporter.advance(done, status)
        if isinstance(status, TrainingStatus) and status.at_checkpoint:
            self._watch.look()

    def stop(self) -> None:
        """See `rbmscape.progress.Reporter.stop`."""
        self._reporter.stop()
        self._watch.end()


def watched(
    reporter: Reporter, callbacks: Sequence[Callback], place: str | os.PathLike[str], *, kept: bool
) -> Reporter:
    """The reporter, with callbacks that are told of checkpoints; itself where there are none.

    Parameters
    ----------
    reporter : shows where training stands
    callbacks : in the order in which they are called
    place : the run's directory
    kept : whether it stays after an error
    """
    return Watched(reporter, Watch(callbacks, place, kept)) if callbacks else reporter


def callbacks_of_many(callbacks: Any, count: int) -> list[tuple[Callback, ...]]:
    """The callbacks of each of several runs, none where nothing is given.

    Raises
    ------
    InputError : not a list of callbacks for each run
    """
    given = list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks]
    if not given:
        return [()] * count
    if len(given) != count or not all(isinstance(own, list | tuple) for own in given):
        raise InputError(
            f"callbacks of {count} runs are {count} lists of callbacks, found {callbacks!r}; give a list for each run"
        )
    return [check_callbacks(own) for own in given]


def check_callbacks(callbacks: Any) -> tuple[Callback, ...]:
    """The callbacks, or a refusal of what is none.

    Raises
    ------
    InputError : not a sequence of objects with the methods of `Callback`
    """
    found = tuple(callbacks) if isinstance(callbacks, list | tuple) else (callbacks,)
    for callback in found:
        if isinstance(callback, type) or not isinstance(callback, Callback):
            raise InputError(
                "callbacks must be a list of objects with the methods begin, checkpoint and end, found "
                f"{shown(callback)}; see rbmscape.Callback"
            )
    return found
