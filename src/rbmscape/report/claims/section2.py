"""Claims of section 2: training and the likelihood."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np

from rbmscape.report.evidence import LIKELIHOOD, Evidence
from rbmscape.report.findings import Finding, MissingEvidenceError, Number, Verdict
from rbmscape.report.rules import in_words, last_known, mean_over, normal_threshold, separation
from rbmscape.report.verdicts import Claim
from rbmscape.stats import Estimate

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr

__all__ = ["CLAIMS"]


def _estimates(evidence: Evidence, *columns: str) -> xr.Dataset:
    """All estimates; those that are not converged have no error, whatever was stored."""
    found = evidence.data(LIKELIHOOD, "log_likelihood", "stderr", *columns)
    return found.assign(stderr=found.stderr.where(found.converged != 0.0)) if "converged" in found else found


def _chosen(evidence: Evidence) -> tuple[xr.Dataset, str]:
    """Single estimates of the recipe that is nearest to the paper's."""
    estimates = _estimates(evidence, "epoch")
    recipe = evidence.like_the_paper(estimates.recipe.values.tolist())
    return estimates.sel(recipe=recipe), recipe


def _rises(evidence: Evidence) -> Finding:
    estimates, recipe = _chosen(evidence)
    gains: list[tuple[float, float]] = []
    steps: list[tuple[float, float]] = []
    for hidden, replica in itertools.product(estimates.hidden.values, estimates.replica.values):
        one = estimates.sel(hidden=hidden, replica=replica)
        known = np.flatnonzero(np.isfinite(one.log_likelihood.values) & np.isfinite(one.stderr.values))
        if known.size < 2:
            continue
        value, error = one.log_likelihood.values[known], one.stderr.values[known]
        gains.append((value[-1] - value[0], math.hypot(error[0], error[-1])))
        steps += zip(np.diff(value), np.hypot(error[1:], error[:-1]), strict=True)
    if not gains:
        raise MissingEvidenceError("no run has a likelihood with an error at two checkpoints")
    limit = normal_threshold(len(steps), sides=1)
    up = sum(gain > limit * error for gain, error in gains)
    down = sum(step < -limit * error for step, error in steps)
    mean = mean_over(*np.array(gains).T)
    verdict = Verdict.FAILS if not up else Verdict.PART if down or up < len(gains) else Verdict.HOLDS
    words = (
        f"From the first to the last estimate the likelihood rises by {mean} nats (mean of {len(gains)} runs), "
        f"significantly in {up} of them; {down} of {len(steps)} steps between estimates fall significantly."
    )
    numbers = (
        Number.of("rise from the first to the last estimate", mean, "nat"),
        Number("runs that rise significantly", up, unit="runs"),
        Number("runs", len(gains), unit="runs"),
        Number("steps that fall significantly", down, unit="steps"),
    )
    return Finding(verdict, words, numbers, evidence.describe(recipe))


def _last_by_size(estimates: xr.Dataset) -> dict[int, Estimate]:
    """Mean over replicas of the last estimate of each size, with the number of replicas in ``ess``."""
    found = {}
    for hidden in estimates.hidden.values:
        values, errors = [], []
        for replica in estimates.replica.values:
            one = estimates.sel(hidden=hidden, replica=replica)
            place = last_known(one.log_likelihood, "update")
            if place is not None:
                values.append(float(one.log_likelihood.values[place]))
                errors.append(float(one.stderr.values[place]))
        if values:
            found[int(hidden)] = mean_over(values, errors)
    return found


def _orders(evidence: Evidence) -> Finding:
    estimates, recipe = _chosen(evidence)
    best = _last_by_size(estimates)
    if len(best) < 2:
        raise MissingEvidenceError("the likelihood is known for one size of the hidden layer only")
    sizes = sorted(best)
    steps = [separation(best[small], best[large]) for small, large in itertools.pairwise(sizes)]
    rising = [step.value > limit * step.stderr for step, limit in steps]
    falling = [step.value < -limit * step.stderr for step, limit in steps]
    whole, limit = separation(best[sizes[0]], best[sizes[-1]])
    if all(rising):
        verdict = Verdict.HOLDS
    elif whole.value > limit * whole.stderr:
        verdict = Verdict.PART
    elif any(falling):
        verdict = Verdict.FAILS
    else:
        raise MissingEvidenceError("no step between sizes is significant with these replicas; more of them are needed")
    listed = in_words([f"{best[size]} at M = {size}" for size in sizes])
    words = (
        f"Last estimates, nats: {listed}; {sum(rising)} of {len(steps)} steps rise significantly, {sum(falling)} fall."
    )
    numbers = tuple(Number.of(f"last log-likelihood, M = {size}", best[size], "nat") for size in sizes)
    return Finding(verdict, words, numbers, evidence.describe(recipe))


def _bounds(evidence: Evidence) -> Finding:
    check = evidence.check("ais-directions")
    ahead, back = check.numbers[0], check.numbers[1]
    limit = normal_threshold(2)
    printed = ahead.value > limit * ahead.stderr and back.value < -limit * back.stderr
    opposite = ahead.value < -limit * ahead.stderr and back.value > limit * back.stderr
    if not printed and not opposite:
        raise MissingEvidenceError("neither direction of annealing is biased significantly in this check")
    return Finding(Verdict.HOLDS if printed else Verdict.FAILS, check.measured, check.numbers)


def _bracket(evidence: Evidence) -> Finding:
    estimates = evidence.data(LIKELIHOOD)
    if "lower" not in estimates:
        raise MissingEvidenceError("likelihoods were estimated from one direction only, so there is no bracket")
    known = np.isfinite(estimates.lower.values) & np.isfinite(estimates.upper.values)
    if not known.any():
        raise MissingEvidenceError("no estimate has both bounds")
    gap = (estimates.upper - estimates.lower).values[known]
    error = np.hypot(estimates.upper_stderr.values, estimates.lower_stderr.values)[known]
    crossed = int((gap < -normal_threshold(gap.size, sides=1) * error).sum())
    done = int(np.nansum(estimates.converged.values[known]))
    share = done / gap.size
    verdict = Verdict.FAILS if crossed or share < 0.5 else Verdict.HOLDS if share == 1.0 else Verdict.PART
    words = (
        f"Of {gap.size} brackets {done} are converged; the median gap between the bounds is {np.median(gap):.2f} nats, "
        f"the largest {gap.max():.2f}; in {crossed} the bounds stand in the wrong order significantly."
    )
    numbers = (
        Number("converged brackets", done, unit="brackets"),
        Number("brackets", gap.size, unit="brackets"),
        Number("median gap", float(np.median(gap)), unit="nat"),
        Number("largest gap", float(gap.max()), unit="nat"),
    )
    return Finding(verdict, words, numbers, "all recipes")


def _better(better: str, worse: str) -> Callable[[Evidence], Finding]:
    def rule(evidence: Evidence) -> Finding:
        pairs = list(evidence.siblings(better, worse))
        if not pairs:
            raise MissingEvidenceError(f"no two recipes of the study differ in {better} against {worse} alone")
        estimates = _estimates(evidence)
        known = set(estimates.recipe.values.tolist())
        for first, second in pairs:
            if {first, second} <= known:
                return _compared(evidence, estimates, first, second)
        raise MissingEvidenceError(f"the likelihood is not known for both {pairs[0][0]!r} and {pairs[0][1]!r}")

    return rule


FEWEST_PAIRS = 3
"""With fewer, the scatter that the test divides by is hardly known."""


def _compared(evidence: Evidence, estimates: xr.Dataset, first: str, second: str) -> Finding:
    """Last estimates of runs of the same size, replica and seed, subtracted."""
    found = []
    for hidden, replica in itertools.product(estimates.hidden.values, estimates.replica.values):
        ends = []
        for recipe in (first, second):
            one = estimates.sel(recipe=recipe, hidden=hidden, replica=replica)
            place = last_known(one.log_likelihood, "update")
            if place is not None:
                ends.append((float(one.log_likelihood.values[place]), float(one.stderr.values[place])))
        if len(ends) == 2:
            found.append((ends[0][0] - ends[1][0], math.hypot(ends[0][1], ends[1][1])))
    if not found:
        raise MissingEvidenceError(f"no size and replica was trained by both {first!r} and {second!r}")
    if len(found) < FEWEST_PAIRS:
        raise MissingEvidenceError(
            f"{first!r} and {second!r} have {len(found)} of the {FEWEST_PAIRS} pairs of runs that show a scatter"
        )
    mean = mean_over(*np.array(found).T)
    difference, limit = separation(Estimate(0.0, 0.0, 1.0), mean)
    if abs(difference.value) <= limit * difference.stderr:
        raise MissingEvidenceError(f"the difference, {mean} nats over {len(found)} pairs of runs, is not significant")
    verdict = Verdict.HOLDS if difference.value > 0 else Verdict.FAILS
    words = f"{first} ends {mean} nats above {second} (mean over {len(found)} pairs of runs with the same seed)."
    return Finding(
        verdict, words, (Number.of(f"{first} minus {second}", mean, "nat"),),
        f"{evidence.describe(first)}; {evidence.describe(second)}",
    )  # fmt: skip


_METHOD_RULE = (
    "Last estimates of pairs of runs that differ in the method alone, subtracted. Holds or fails where the mean "
    "differs from 0 by a t-test over pairs at 1 % false alarms; otherwise, and with fewer than three pairs, undecided."
)

CLAIMS = (
    Claim(
        "likelihood-rises", "2, figure 1",
        "The log-likelihood of the data rises during training.",
        "Holds if every run ends significantly above its first estimate and no step between estimates falls; in part "
        "if some step falls or only some runs rise. Significant: normal test on the estimates' errors, 0.1 % "
        "false alarms over all steps.",
        _rises, "likelihood",
    ),
    Claim(
        "likelihood-orders", "2, figure 1",
        "Larger hidden layers reach higher log-likelihoods.",
        "Holds if every step to the next larger size rises significantly; in part if only the largest beats the "
        "smallest; fails if some step falls; undecided where no step is significant. t-test over replicas, 1 % false "
        "alarms a step (normal test with one replica).",
        _orders, "likelihood",
    ),
    Claim(
        "ais-bounds", "2, figure 1",
        "Annealed importance sampling bounds the partition function from above and its reverse bounds it from below.",
        "Average of ln w over independent chains with few temperatures, minus the exact ln Z of an enumerable model. "
        "Holds if forward is above and reverse below 0 significantly, fails the other way round, otherwise undecided; "
        "0.1 % false alarms.",
        _bounds, "likelihood",
    ),
    Claim(
        "brackets-close", "2, figure 1",
        "Annealing in both directions determines the log-likelihood.",
        "Holds if every bracket is converged and none is in the wrong order; in part if at least half are converged. "
        "Order: normal test, 0.1 % false alarms over all brackets.",
        _bracket, "likelihood",
    ),
    Claim(
        "cd-beats-rdm", "2", "Contrastive divergence trains better models than chains from random states.",
        _METHOD_RULE, _better("cd", "rdm"), "likelihood",
    ),
    Claim(
        "pcd-beats-cd", "2", "Persistent chains train better models than contrastive divergence.",
        _METHOD_RULE, _better("pcd", "cd"), "likelihood",
    ),
)  # fmt: skip
"""In the paper's order."""
