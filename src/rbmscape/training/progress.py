"""What a user sees while training runs: any object with these four methods can watch, the console display is one."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

__all__ = ["Reporter", "SilentReporter", "Stopwatch", "TrainingStatus", "make_reporter"]


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


def make_reporter(progress: bool | Reporter) -> Reporter:
    """The console display for True, nothing for False, the given reporter otherwise."""
    if not isinstance(progress, bool):
        return progress
    if not progress:
        return SilentReporter()
    from rbmscape.training.display import TrainingDisplay

    return TrainingDisplay()


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
