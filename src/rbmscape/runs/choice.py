"""Which checkpoint to take: by the likelihood of data that training does not see, within its error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rbmscape.errors import InputError

__all__ = ["best_update", "fits_noise", "has_stopped"]

SIGMAS = 4.0

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class _Judged:
    """A checkpoint with a likelihood that nothing speaks against: nats a sample, of held-out data where there are any.

    The standard error is that of ln Z.  The one of a finite set of rows is the same for all checkpoints, and has no
    part in a comparison between them.
    """

    update: int
    epoch: float
    value: float
    train: float | None
    stderr: float


def _judged(rows: Rows) -> list[_Judged]:
    found = []
    for row in sorted(rows, key=lambda row: int(row["update"])):
        value = row.get("log_likelihood_test")
        value = row.get("log_likelihood") if value is None else value
        stderr = row.get("log_partition_stderr") or 0.0
        if value is None or row.get("converged") is False or not (math.isfinite(value) and math.isfinite(stderr)):
            continue
        found.append(_Judged(row["update"], row["epoch"], value, row.get("log_likelihood_train"), stderr))
    return found


def _best(judged: Sequence[_Judged]) -> _Judged:
    """The earliest whose likelihood is within the highest one's standard error of that."""
    top = max(judged, key=lambda one: one.value)
    return next(one for one in judged if one.value >= top.value - top.stderr)


def best_update(rows: Rows, place: str) -> int:
    """Update of the earliest checkpoint whose likelihood is the highest within its standard error.

    Parameters
    ----------
    rows : metrics of a run
    place : its directory, for messages

    Raises
    ------
    InputError : no checkpoint has a likelihood, or none that nothing speaks against
    """
    judged = _judged(rows)
    if judged:
        return _best(judged).update
    if any(row.get("log_likelihood") is not None for row in rows):
        raise InputError(
            f"something speaks against every likelihood in {place}, see its metrics; train with more n_chains or a "
            "smaller learning_rate, or choose a checkpoint by its update"
        )
    raise InputError(
        f"no checkpoint of {place} has a likelihood to choose by; train with method='ptt' or online_likelihood=True, "
        "or choose a checkpoint by its update"
    )


def has_stopped(rows: Rows, patience: int) -> bool:
    """Whether so many checkpoints, from the end of the first epoch on, came after the best one; never at 0."""
    judged = _judged(rows) if patience else []
    late = [one for one in judged if one.epoch >= 1.0]
    return bool(judged) and sum(one.update > _best(judged).update for one in late) >= patience


def fits_noise(rows: Rows) -> str | None:
    """What shows that training only fits noise at the last of the rows, in a sentence with its remedy, or None.

    The likelihood of held-out data is below its best by more than four standard errors, and that of the training data
    above what it was there.
    """
    judged = [one for one in _judged(rows) if one.train is not None]
    if not judged or judged[-1].update != max(int(row["update"]) for row in rows):
        return None
    last, best = judged[-1], _best(judged)
    loss, error = best.value - last.value, math.hypot(last.stderr, best.stderr)
    assert last.train is not None
    assert best.train is not None
    gain = last.train - best.train
    if loss <= SIGMAS * error or gain <= 0.0 or last.value == last.train:
        return None
    return (
        f"since update {best.update} the likelihood of held-out data has fallen by {loss:.2f} ± {error:.2f} nats while "
        f"that of the training data has risen by {gain:.2f}: training only fits noise; take the best checkpoint "
        "(run.load('best')), and stop there with patience"
    )
