"""Claims on the first transition: its place at every size, and what the initial weights do (sections 3 and 5)."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from rbmscape.report.evidence import Evidence
from rbmscape.report.findings import Finding, MissingEvidenceError, Number, Verdict
from rbmscape.report.rules import FEW_FALSE_ALARM, in_words, mean_over, normal_threshold, slope
from rbmscape.report.verdicts import Claim

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["CLAIMS"]

_SIZES = 3


def _runs(evidence: Evidence) -> xr.Dataset:
    return evidence.data("transitions", "critical", "critical_stderr", "weight_std")


def _of(data: xr.Dataset, recipe: str, hidden: int | None = None) -> xr.Dataset:
    kept = data.run_recipe.values == recipe
    return data.isel(run=np.flatnonzero(kept if hidden is None else kept & (data.run_hidden.values == hidden)))


def _all_sizes(evidence: Evidence) -> Finding:
    data = _runs(evidence)
    recipe = evidence.like_the_paper(data.run_recipe.values.tolist())
    runs = _of(data, recipe)
    sizes = sorted(set(runs.run_hidden.values.tolist()))
    if len(sizes) < 2:
        raise MissingEvidenceError("the study has one size of the hidden layer only")
    per_epoch = evidence.updates_per_epoch(recipe)
    reached = np.isfinite(runs.critical.values)
    early = reached & (runs.critical.values <= per_epoch)
    verdict = Verdict.HOLDS if early.all() else Verdict.PART if reached.any() else Verdict.FAILS
    parts, numbers = [], []
    for m in sizes:
        one = _of(runs, recipe, m)
        known = np.isfinite(one.critical.values)
        if not known.any():
            parts.append(f"never at M = {m}")
            continue
        mean = mean_over(one.critical.values[known], one.critical_stderr.values[known])
        parts.append(
            f"{mean} ({mean.value / per_epoch:.2f} epochs) at M = {m} in {int(known.sum())} of {known.size} runs"
        )
        numbers.append(Number.of(f"critical update, M = {m}", mean, "updates"))
    words = f"The first singular value dressed by the data's activities reaches 1 at update {in_words(parts)}."
    return Finding(verdict, words, tuple(numbers), evidence.describe(recipe))


def _by_size(evidence: Evidence) -> Finding:
    data = _runs(evidence)
    recipe = evidence.like_the_paper(data.run_recipe.values.tolist())
    runs = _of(data, recipe)
    runs = runs.isel(run=np.flatnonzero(np.isfinite(runs.critical.values)))
    sizes = sorted(set(runs.run_hidden.values.tolist()))
    if len(sizes) < _SIZES or runs.sizes["run"] < _SIZES + 1:
        raise MissingEvidenceError(
            f"a trend needs {_SIZES} sizes with replicas that pass the threshold, found {len(sizes)} sizes and "
            f"{runs.sizes['run']} runs"
        )
    trend, pvalue = slope(np.log(runs.run_hidden.values), runs.critical.values)
    grid = float(runs.critical_stderr.values.max())
    reach = abs(trend.value) * float(np.log(sizes[-1] / sizes[0]))
    if pvalue > FEW_FALSE_ALARM or reach < grid:
        raise MissingEvidenceError(
            f"the trend of the critical update with ln M, {trend}, is not resolved by {runs.sizes['run']} runs whose "
            f"checkpoints place it within {grid:.1f} updates"
        )
    verdict = Verdict.HOLDS if trend.value < 0 else Verdict.FAILS
    words = (
        f"The update at which the first dressed singular value reaches 1 changes by {trend} a unit of ln M, from M = "
        f"{sizes[0]} to {sizes[-1]}."
    )
    return Finding(verdict, words, (Number.of("slope of the critical update in ln M", trend, "updates"),),
                   evidence.describe(recipe))  # fmt: skip


def _by_width(evidence: Evidence) -> Finding:
    data = _runs(evidence)
    pairs = list(evidence.differ_in("weight_std", data.run_recipe.values.tolist()))
    if not pairs:
        raise MissingEvidenceError("no two recipes of the study differ in the width σ of the initial weights alone")
    earlier = later = count = 0
    parts, numbers = [], []
    compared = [(narrow, wide, key) for narrow, wide in pairs for key in _shared(data, narrow, wide)]
    limit = normal_threshold(len(compared), FEW_FALSE_ALARM)
    for narrow, wide, (hidden, replica) in compared:
        ends = []
        for recipe in (narrow, wide):
            one = _of(data, recipe, hidden)
            one = one.isel(run=int(np.flatnonzero(one.run_replica.values == replica)[0]))
            ends.append((float(one.critical), float(one.critical_stderr), float(one.weight_std)))
        (first, first_error, small), (second, second_error, large) = ends
        if not np.isfinite([first, second]).all():
            continue
        count += 1
        error = limit * float(np.hypot(first_error, second_error))
        earlier += second < first - error
        later += second > first + error
        parts.append(f"update {first:.0f} with σ = {small:g} and {second:.0f} with {large:g} (M = {hidden})")
        numbers += [Number(f"critical update, σ = {s:g}, M = {hidden}, replica {replica}", at, own, "updates")
                    for at, own, s in ends]  # fmt: skip
    if not earlier and not later:
        raise MissingEvidenceError(
            f"in none of {count} pairs of runs does σ move the threshold by more than the checkpoints resolve"
        )
    verdict = Verdict.HOLDS if earlier == count else Verdict.PART if earlier else Verdict.FAILS
    words = (
        f"The first dressed singular value reaches 1 at {in_words(parts)}: earlier with the wider weights in {earlier} "
        f"of {count} pairs of runs, later in {later}."
    )
    recipes = "; ".join(evidence.describe(name) for name in dict.fromkeys(itertools.chain.from_iterable(pairs)))
    return Finding(verdict, words, tuple(numbers), recipes)


def _shared(data: xr.Dataset, first: str, second: str) -> list[tuple[int, int]]:
    """Sizes and replicas that both recipes were trained with."""
    keys = [
        set(zip(one.run_hidden.values.tolist(), one.run_replica.values.tolist(), strict=True))
        for one in (_of(data, first), _of(data, second))
    ]
    return sorted(keys[0] & keys[1])


CLAIMS = (
    Claim(
        "initial-width-matters", "5.1 and 3",
        "The wider the initial weights (σ), the earlier in training the first mode becomes unstable.",
        "Update at which the first singular value dressed by the data's activities reaches 1, in pairs of runs whose "
        "recipes differ in σ alone. Holds if the wider weights pass it earlier in every pair, in part if in some, "
        "fails if later in some and earlier in none; otherwise undecided. Normal test on the distances of checkpoints, "
        "1 % false alarms over all pairs.",
        _by_width, "transitions",
    ),
    Claim(
        "initial-size-matters", "5.1 and 3",
        "The larger the hidden layer, the earlier in training the first mode becomes unstable.",
        "Least-squares slope in ln M of the update at which the first singular value dressed by the data's activities "
        "reaches 1. Holds if negative, fails if positive, with p below 1 % and more than checkpoints resolve; "
        "otherwise undecided.",
        _by_size, "transitions",
    ),
    Claim(
        "transition-all-sizes", "5.3, figure 8",
        "The first mode's transition comes early in training at every size of the hidden layer.",
        "Holds if in every run of the recipe nearest to the paper's the first singular value dressed by the data's "
        "activities reaches 1 within the first epoch, in part if in some or later. Exact numbers, between checkpoints.",
        _all_sizes, "transitions",
    ),
)  # fmt: skip
"""In the paper's order."""
