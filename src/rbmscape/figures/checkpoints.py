"""Whether a run has checkpoints enough for a figure, and which of them one shows that cannot show all."""

from __future__ import annotations

import numpy as np

from rbmscape.errors import MissingInputError
from rbmscape.runs.run import Run

__all__ = ["check_checkpoints", "spread_updates"]


def check_checkpoints(run: Run, what: str, fewest: int = 3) -> None:
    """Refuse a run with too few checkpoints to show anything along its training.

    Raises
    ------
    MissingInputError : fewer checkpoints than that
    """
    if len(run.updates) < fewest:
        raise MissingInputError(
            f"{run.directory} has {len(run.updates)} checkpoint(s), {what} along training needs {fewest} or more; "
            "train with early_checkpoints=14 or more"
        )


def spread_updates(run: Run, count: int) -> list[int]:
    """At most ``count`` checkpoints of a run, nearest to evenly spaced ones in ln(1 + update), with first and last."""
    known = np.asarray(run.updates)
    if count >= known.size:
        return [int(update) for update in known]
    times = np.log1p(known)
    wanted = np.linspace(times[0], times[-1], count)
    return [int(known[k]) for k in np.unique(np.abs(times[None] - wanted[:, None]).argmin(1))]
