"""Equilibrium samples of all checkpoints, drawn in the background of the explorer.

They get a smaller budget and a ladder of fewer rungs than those of a study, which take less time and memory.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from rbmscape.errors import RbmscapeError
from rbmscape.model.rbm import RBM
from rbmscape.runs.run import Run
from rbmscape.runs.samples import RunSamples, model_samples, run_samples

__all__ = ["StoppedError", "Stopper", "drawn"]

N_CHAINS = 200
BUDGET = 2e11  # multiply-adds: what takes a minute of one core, where a study takes five
TARGET = 0.05
"""Acceptance of exchanges that the ladder aims at.  The rungs that 0.35 asks for (298 instead of 89 for 28 checkpoints
of M = 500) take three times the memory, and at this budget bring the median of R-hat from 1.12 to no less than 1.09."""


class StoppedError(RbmscapeError):
    """Nobody waits for the result any more."""


class Stopper:
    """A `rbmscape.progress.Reporter` that ends a long call.

    Parameters
    ----------
    wanted : whether somebody still waits for the result
    """

    def __init__(self, wanted: Callable[[], bool]) -> None:
        self._wanted = wanted

    def start(self, what: str, total: int | None) -> None:
        """See `rbmscape.progress.Reporter.start`."""

    def advance(self, done: int, status: Any = None) -> None:
        """Raise StoppedError once nobody waits."""
        del done, status
        if not self._wanted():
            raise StoppedError("the explorer was closed")

    def stop(self) -> None:
        """See `rbmscape.progress.Reporter.stop`."""


def drawn(opened: Run | RBM, stop: threading.Event) -> RunSamples:
    """Samples of all checkpoints of a finished run, or of a model.

    Parameters
    ----------
    stop : ends it once it is set

    Raises
    ------
    StoppedError : it was set
    """
    progress = Stopper(lambda: not stop.is_set())
    options: dict[str, Any] = {"n_chains": N_CHAINS, "budget": BUDGET, "target": TARGET}
    if isinstance(opened, Run):
        return run_samples(opened, progress=progress, **options)
    return model_samples(opened, progress=progress, **options)
