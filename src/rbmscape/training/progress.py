"""What a training tells a `rbmscape.progress.Reporter`: with every update where it stands, and its latest metrics."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Self

__all__ = ["Stopwatch", "TrainingStatus"]


@dataclass(frozen=True, slots=True)
class TrainingStatus:
    """Where training stands.

    Attributes
    ----------
    update, total_updates : finished and planned parameter updates
    epoch, epochs : the same in passes over the data
    updates_per_second : speed since training began or was resumed; NaN before the first update
    metrics : of the last checkpoint; empty before the first
    at_checkpoint : whether they were measured just now
    """

    update: int
    total_updates: int
    epoch: float
    epochs: int
    updates_per_second: float
    metrics: dict[str, Any] = field(default_factory=dict)
    at_checkpoint: bool = False


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
