"""Which checkpoints of a run a figure shows that cannot show all of them."""

from __future__ import annotations

import numpy as np

from rbmscape.runs.run import Run

__all__ = ["spread_updates"]


def spread_updates(run: Run, count: int) -> list[int]:
    """At most ``count`` checkpoints of a run, nearest to evenly spaced ones in ln(1 + update), with first and last."""
    known = np.asarray(run.updates)
    if count >= known.size:
        return [int(update) for update in known]
    times = np.log1p(known)
    wanted = np.linspace(times[0], times[-1], count)
    return [int(known[k]) for k in np.unique(np.abs(times[None] - wanted[:, None]).argmin(1))]
