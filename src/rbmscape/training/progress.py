"""What a user sees while training runs: any object with these four methods can watch, the console display is one."""

from __future__ import annotations

import time
from typing import Any, Protocol, Self

__all__ = ["Reporter", "SilentReporter", "TrainingProgress", "TrainingStatus", "make_reporter"]

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TrainingStatus:
    """Where training stands.

    Attributes
    ----------
    update, total_updates : finished and planned parameter updates
    epoch, epochs : the same in passes over the data
    updates_per_second : speed since training began or was resumed; NaN before the first update
    metrics : of the last checkpoint; empty before the first
    """

    update: int
    total_updates: int
    epoch: float
    epochs: int
    updates_per_second: float
    metrics: dict[str, Any] = field(default_factory=dict)


class Reporter(Protocol):
    """Watches a training run; called from the training loop, so it must be quick."""

    def start(self, status: TrainingStatus) -> None:
        """Training begins or is resumed at this status."""

    def advance(self, status: TrainingStatus) -> None:
        """An update is done."""

    def checkpoint(self, status: TrainingStatus) -> None:
        """A checkpoint is written; ``status.metrics`` is new."""

    def stop(self) -> None:
        """Training has ended, for whatever reason."""


class SilentReporter:
    """Shows nothing."""

    def start(self, status: TrainingStatus) -> None:
        """See `Reporter.start`."""

    def advance(self, status: TrainingStatus) -> None:
        """See `Reporter.advance`."""

    def checkpoint(self, status: TrainingStatus) -> None:
        """See `Reporter.checkpoint`."""

    def stop(self) -> None:
        """See `Reporter.stop`."""


class TrainingProgress:
    """Live line on the terminal: epoch, speed, remaining time, likelihood proxy, largest singular values."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[metrics]}"),
            console=Console(stderr=True),
            transient=False,
        )
        self._task: Any = None
        self._shown = 0.0

    def start(self, status: TrainingStatus) -> None:
        """See `Reporter.start`."""
        self._task = self._progress.add_task(
            "train", total=max(1, status.total_updates), completed=status.update, epoch="0", speed="", metrics=""
        )
        self._progress.start()
        self._show(status)

    def advance(self, status: TrainingStatus) -> None:
        """See `Reporter.advance`."""
        if time.monotonic() - self._shown > 0.2:
            self._show(status)

    def checkpoint(self, status: TrainingStatus) -> None:
        """See `Reporter.checkpoint`."""
        self._show(status)

    def stop(self) -> None:
        """See `Reporter.stop`."""
        self._progress.stop()

    def _show(self, status: TrainingStatus) -> None:
        self._shown = time.monotonic()
        self._progress.update(
            self._task,
            completed=status.update,
            epoch=f"{status.epoch:.1f}/{status.epochs}",
            speed=f"{status.updates_per_second:.0f} updates/s" if status.updates_per_second > 0 else "",
            metrics=_summary(status.metrics),
        )


def _summary(metrics: dict[str, Any]) -> str:
    if not metrics:
        return ""
    singular = " ".join(f"{value:.1f}" for value in metrics["singular_values"][:3])
    return f"pseudo-LL {metrics['pseudo_log_likelihood']:.1f}  λ {singular}"


def make_reporter(progress: bool | Reporter) -> Reporter:
    """The console display for True, nothing for False, the given reporter otherwise."""
    if isinstance(progress, bool):
        return TrainingProgress() if progress else SilentReporter()
    return progress


class Stopwatch:
    """Seconds since it was made, and updates a second over that time."""

    def __init__(self, first_update: int) -> None:
        self._start, self._first = time.perf_counter(), first_update

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._start

    def rate(self, update: int) -> float:
        """Updates a second; NaN before the first."""
        return (update - self._first) / self.seconds if update > self._first else float("nan")

    @classmethod
    def begin(cls, update: int) -> Self:
        """Start at this update."""
        return cls(update)
