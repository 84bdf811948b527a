"""The table of runs, and what it says about likelihood and size."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from rbmscape.errors import StudyError
from rbmscape.report.rules import in_words, mean_over, separation
from rbmscape.report.words import format_estimate
from rbmscape.stats import Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

    from rbmscape.study.study import Study

__all__ = ["RunRow", "has_verdict", "headlines", "mean_by_size", "order_sentence", "rise_sentence", "run_rows"]


@dataclass(frozen=True, slots=True)
class RunRow:
    """One line of the table of runs; numbers that are not known are None.

    Attributes
    ----------
    name : of the run's directory
    hidden, replica : M and the number of the replica
    recipe : its training recipe
    epochs : finished
    seconds : of training
    updates_per_second : over the last stretch of training
    likelihood : of the last evaluated checkpoint, nats
    lower, upper : bounds of its bracket, nats
    converged : whether the estimate is; None where it has no verdict
    row_stderr : error of the mean over the test rows as a sample of all that could be, nats; None where it is not known
    """

    name: str
    hidden: int
    replica: int
    recipe: str
    epochs: float
    seconds: float | None
    updates_per_second: float | None
    likelihood: Estimate | None
    lower: Estimate | None = None
    upper: Estimate | None = None
    converged: bool | None = None
    row_stderr: float | None = None


@dataclass(frozen=True, slots=True)
class _Last:
    """The last estimate of a run."""

    best: Estimate
    lower: Estimate | None = None
    upper: Estimate | None = None
    converged: bool | None = None
    row_stderr: float | None = None


_NONE = _Last(Estimate(math.nan))


def run_rows(study: Study) -> list[RunRow]:
    """One row a run, in the plan's order."""
    last = _last_likelihoods(study)
    rows = []
    for key, run in study.runs.items():
        metrics = run.rows[-1] if run.rows else {}
        found = last.get((key.recipe, key.hidden, key.replica), _NONE)
        rows.append(
            RunRow(
                name=str(key),
                hidden=key.hidden,
                replica=key.replica,
                recipe=key.recipe,
                epochs=max(run.last_update, 0) / run.updates_per_epoch,
                seconds=metrics.get("seconds"),
                updates_per_second=metrics.get("updates_per_second"),
                likelihood=None if found is _NONE else found.best,
                lower=found.lower,
                upper=found.upper,
                converged=found.converged,
                row_stderr=found.row_stderr,
            )
        )
    return rows


def _last_likelihoods(study: Study) -> dict[tuple[str, int, int], _Last]:
    """The estimate at the last evaluated checkpoint of every run."""
    try:
        dataset = study.result("likelihood")
    except StudyError:
        return {}
    found = {}
    for recipe, hidden, replica in np.ndindex(*(dataset.sizes[name] for name in ("recipe", "hidden", "replica"))):
        run = dataset.isel(recipe=recipe, hidden=hidden, replica=replica)
        known = np.flatnonzero(np.isfinite(run.log_likelihood.values))
        if len(known):
            point = run.isel(update=int(known[-1]))
            rows = float(point.row_stderr) if "row_stderr" in point else math.nan
            last = replace(_of_point(point), row_stderr=rows if math.isfinite(rows) else None)
            found[str(point.recipe.item()), int(point.hidden), int(point.replica)] = last
    return found


def _of_point(point: xr.Dataset) -> _Last:
    best = Estimate(float(point.log_likelihood), float(point.stderr), float(point.ess))
    if "converged" not in point or not math.isfinite(float(point.converged)):
        return _Last(best)
    converged = bool(float(point.converged) == 1.0)
    best = best if converged else replace(best, stderr=math.nan)
    if "lower" not in point or not math.isfinite(float(point.lower)):
        return _Last(best, converged=converged)
    lower, upper = (Estimate(float(point[name]), float(point[f"{name}_stderr"])) for name in ("lower", "upper"))
    return _Last(best, lower, upper, converged)


def headlines(study: Study, rows: list[RunRow]) -> list[str]:
    """What a busy reader should know about the likelihood, said from the numbers of every recipe alone."""
    lines = []
    for recipe in study.config.recipes:
        members = [row for row in rows if row.recipe == recipe]
        best = mean_by_size(members)
        if best:
            parts = [f"{format_estimate(value)} with {hidden} hidden units" for hidden, value in sorted(best.items())]
            lines.append(
                f"Test log-likelihood in nats after training, {recipe}: {in_words(parts)} (means over replicas)."
            )
        if len(best) > 1:
            lines.append(order_sentence(best) if all(map(has_verdict, members)) else NO_VERDICT)
    curve = _curves(study)
    if curve is not None:
        lines.append(rise_sentence(curve))
    judged = [row for row in rows if row.converged is not None]
    if judged:
        sure = sum(bool(row.converged) for row in judged)
        lines.append(f"The last likelihood is converged in {sure} of {len(judged)} runs whose estimate has a verdict.")
    return lines


NO_VERDICT = (
    "Nothing is said about larger layers: estimates by annealing in one direction have no verdict, and are the worse "
    "the larger the layer."
)


def has_verdict(row: RunRow) -> bool:
    """Whether something says how far a run's likelihood can be trusted: it is judged, an exact sum, or not there."""
    return row.likelihood is None or row.converged is not None or row.likelihood.stderr == 0.0


def mean_by_size(rows: list[RunRow]) -> dict[int, Estimate]:
    """Mean over replicas of the last likelihood, with the standard error of that mean.

    The error is the larger of what the replicas' spread and what the estimates' own errors imply; the number of
    replicas stands in ``ess``.
    """
    found: dict[int, list[Estimate]] = {}
    for row in rows:
        if row.likelihood is not None:
            found.setdefault(row.hidden, []).append(row.likelihood)
    return {hidden: mean_over([e.value for e in kept], [e.stderr for e in kept]) for hidden, kept in found.items()}


def order_sentence(best: Mapping[int, Estimate]) -> str:
    """Whether the likelihood grows with M, and which steps are not significant by the rule of the claims' ledger."""
    sizes = sorted(best)
    unsettled = [size for size in sizes if not math.isfinite(best[size].stderr)]
    if unsettled:
        listed = in_words([str(size) for size in unsettled])
        return f"Nothing is said about larger layers: not all likelihoods of M = {listed} are converged."
    unclear, falling = [], []
    for small, large in itertools.pairwise(sizes):
        rise, limit = separation(best[small], best[large])
        if abs(rise.value) <= limit * rise.stderr:
            unclear.append((small, large))
        elif rise.value < 0:
            falling.append((small, large))
    if falling:
        steps = ", ".join(f"from {small} to {large}" for small, large in falling)
        return f"The likelihood does not grow with the hidden layer everywhere: it falls {steps} units."
    if unclear:
        steps = ", ".join(f"{small} and {large}" for small, large in unclear)
        return f"The likelihood falls significantly at no step to a larger layer; {steps} units may differ by chance."
    return "The likelihood grows significantly with every step to a larger hidden layer."


def _curves(study: Study) -> xr.DataArray | None:
    """Likelihoods of all recipes, with the recipes' sizes one after the other."""
    try:
        dataset = study.result("likelihood")
    except StudyError:
        return None
    stacked = dataset.log_likelihood.stack(size=("recipe", "hidden"))
    curves: xr.DataArray = stacked.drop_vars(("size", "recipe", "hidden")).rename(size="hidden")
    return curves


def rise_sentence(curve: xr.DataArray) -> str:
    """In how many of the runs the likelihood ends higher than it began, and rises at every checkpoint."""
    ended_higher = monotonic = total = 0
    for values in curve.transpose("hidden", "replica", "update").values.reshape(-1, curve.sizes["update"]):
        known = values[np.isfinite(values)]
        if len(known) < 2:
            continue
        total += 1
        ended_higher += int(known[-1] > known[0])
        monotonic += int(np.all(np.diff(known) > 0))
    if not total:
        return "The likelihood was estimated at one checkpoint a run, so nothing is said about its course."
    return (
        f"From the first to the last estimate the likelihood rises in {ended_higher} of {total} runs, and between all "
        f"neighbouring checkpoints in {monotonic}."
    )
