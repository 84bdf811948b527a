"""Claims of section 2: training and the likelihood."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np

from rbmscape.report.evidence import LIKELIHOOD, Evidence
from rbmscape.report.findings import Finding, MissingEvidenceError, Number, Verdict
from rbmscape.report.likelihoods import chosen, curve, estimates, levelled_off, trusted_end
from rbmscape.report.rules import FEW_FALSE_ALARM, in_words, mean_over, normal_threshold, separation, t_threshold
from rbmscape.report.verdicts import Claim
from rbmscape.stats import Estimate

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr

__all__ = ["CLAIMS"]

FEWEST_PAIRS = 3
"""With fewer, the scatter that the test divides by is hardly known."""


def _rises(evidence: Evidence) -> Finding:
    found, recipe = chosen(evidence)
    gains: list[tuple[float, float]] = []
    steps: list[tuple[float, float]] = []
    for hidden, replica in itertools.product(found.hidden.values, found.replica.values):
        one = found.sel(hidden=hidden, replica=replica)
        places = curve(one)
        if places.size < 2:
            continue
        value, error = one.log_likelihood.values[places], one.stderr.values[places]
        gains.append((value[-1] - value[0], math.hypot(error[0], error[-1])))
        steps += zip(np.diff(value), np.hypot(error[1:], error[:-1]), strict=True)
    if not gains:
        raise MissingEvidenceError("no run has a likelihood with an error, by one estimator, at two checkpoints")
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


def _last_by_size(found: xr.Dataset) -> dict[int, Estimate]:
    """Mean over replicas of the last estimate of each size, with the number of replicas in ``ess``.

    Raises
    ------
    MissingEvidenceError : some last estimate is neither exact nor converged
    """
    ends: dict[int, list[Estimate]] = {}
    doubtful = set()
    for hidden, replica in itertools.product(found.hidden.values.tolist(), found.replica.values):
        one = found.sel(hidden=hidden, replica=replica)
        if not np.isfinite(one.log_likelihood.values).any():
            continue
        end = trusted_end(one)
        if end is None:
            doubtful.add(hidden)
        else:
            ends.setdefault(hidden, []).append(end)
    if doubtful:
        raise MissingEvidenceError(
            f"not all last likelihoods of M = {in_words([str(m) for m in sorted(doubtful)])} are converged, and larger "
            "layers are the harder ones to estimate"
        )
    return {m: mean_over([e.value for e in kept], [e.stderr for e in kept]) for m, kept in ends.items()}


def _orders(evidence: Evidence) -> Finding:
    found, recipe = chosen(evidence)
    best = _last_by_size(found)
    if len(best) < 2:
        raise MissingEvidenceError("the likelihood is known for one size of the hidden layer only")
    sizes = sorted(best)
    levelled_off(found, sizes)
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
    found = evidence.data(LIKELIHOOD)
    if "lower" not in found:
        raise MissingEvidenceError("the study has no brackets, which annealing in both directions gives")
    if "starts_equilibrated" not in found:
        raise MissingEvidenceError("the brackets do not say whether their reverse starts were in equilibrium")
    known = np.isfinite(found.lower.values) & np.isfinite(found.upper.values)
    fair = known & (found.starts_equilibrated.values == 1.0)
    if not fair.any():
        raise MissingEvidenceError(
            f"none of the {int(known.sum())} brackets began its reverse annealing from states that are shown to be in "
            "equilibrium, without which there is no lower bound to judge"
        )
    gap = (found.upper - found.lower).values[fair]
    error = np.hypot(found.upper_stderr.values, found.lower_stderr.values)[fair]
    crossed = int((gap < -normal_threshold(gap.size, sides=1) * error).sum())
    done = int(np.nansum((found.bracketed if "bracketed" in found else found.converged).values[fair]))
    share = done / gap.size
    verdict = Verdict.FAILS if crossed or share < 0.5 else Verdict.HOLDS if share == 1.0 else Verdict.PART
    words = (
        f"Of {gap.size} brackets whose starts are in equilibrium ({int(known.sum())} were taken) {done} are converged; "
        f"the median gap between the bounds is {np.median(gap):.2f} nats, the largest {gap.max():.2f}; in {crossed} "
        "the bounds stand in the wrong order significantly."
    )
    numbers = (
        Number("converged brackets", done, unit="brackets"),
        Number("brackets whose starts are in equilibrium", gap.size, unit="brackets"),
        Number("median gap", float(np.median(gap)), unit="nat"),
        Number("largest gap", float(gap.max()), unit="nat"),
    )
    return Finding(verdict, words, numbers, "all recipes")


def _better(better: str, worse: str, wanted: tuple[int, ...] = ()) -> Callable[[Evidence], Finding]:
    """Rule about two methods; ``wanted`` are the Gibbs steps K at which the claim as a whole is judged."""

    def rule(evidence: Evidence) -> Finding:
        pairs = list(evidence.siblings(better, worse))
        if not pairs:
            raise MissingEvidenceError(f"no two recipes of the study differ in {better} against {worse} alone")
        found = estimates(evidence)
        means, lacking = {}, []
        for first, second in pairs:
            steps = evidence.recipes[first].gibbs_steps
            try:
                means[steps] = (_difference(found, first, second), f"{first} minus {second}")
            except MissingEvidenceError as reason:
                lacking.append(f"at K = {steps} {reason}")
        if not means:
            raise MissingEvidenceError("; ".join(lacking))
        lacking += [f"K = {k} is not in the study" for k in wanted if not any(_steps(evidence, p) == k for p in pairs)]
        recipes = "; ".join(evidence.describe(name) for pair in pairs for name in pair)
        return _compared(means, lacking, wanted, recipes)

    return rule


def _steps(evidence: Evidence, pair: tuple[str, str]) -> int:
    return evidence.recipes[pair[0]].gibbs_steps


def _difference(found: xr.Dataset, first: str, second: str) -> Estimate:
    """Mean of the last likelihoods of runs of the same size, replica and seed, subtracted; ``ess`` counts the pairs."""
    if not {first, second} <= set(found.recipe.values.tolist()):
        raise MissingEvidenceError(f"the likelihood is not known for both {first!r} and {second!r}")
    differences, doubtful = [], 0
    for hidden, replica in itertools.product(found.hidden.values, found.replica.values):
        pair = [found.sel(recipe=recipe, hidden=hidden, replica=replica) for recipe in (first, second)]
        if not all(np.isfinite(one.log_likelihood.values).any() for one in pair):
            continue
        one, other = (trusted_end(run) for run in pair)
        if one is None or other is None:
            doubtful += 1
        else:
            differences.append((one.value - other.value, math.hypot(one.stderr, other.stderr)))
    if len(differences) < FEWEST_PAIRS:
        unsure = f", beside {doubtful} without a converged likelihood" if doubtful else ""
        raise MissingEvidenceError(
            f"{first!r} and {second!r} have {len(differences)} of the {FEWEST_PAIRS} pairs of runs that show a "
            f"scatter{unsure}"
        )
    return mean_over(*np.array(differences).T)


def _compared(
    means: dict[int, tuple[Estimate, str]], lacking: list[str], wanted: tuple[int, ...], recipes: str
) -> Finding:
    """Verdict of a t-test over the pairs of runs at every number of Gibbs steps."""
    limits = {k: t_threshold(mean.ess - 1.0, len(means)) for k, (mean, _) in means.items()}
    up = [k for k, (mean, _) in means.items() if mean.value > limits[k] * mean.stderr]
    down = [k for k, (mean, _) in means.items() if mean.value < -limits[k] * mean.stderr]
    parts = [f"{mean} nats at K = {k} ({int(mean.ess)} pairs of runs)" for k, (mean, _) in sorted(means.items())]
    left = f" Not judged: {'; '.join(lacking)}." if lacking else ""
    if not up and not down:
        raise MissingEvidenceError(f"the difference is not significant: {in_words(parts)}.{left}")
    if down:
        verdict = Verdict.PART if up else Verdict.FAILS
    else:
        verdict = Verdict.HOLDS if {*means, *wanted} <= set(up) else Verdict.PART
    names = in_words([name for _, name in means.values()])
    numbers = tuple(Number.of(f"{name}, K = {k}", mean, "nat") for k, (mean, name) in sorted(means.items()))
    return Finding(verdict, f"{names}: {in_words(parts)}.{left}", numbers, recipes)


_METHOD_RULE = (
    "Last likelihoods of pairs of runs that differ in the method alone, subtracted, for every number K of Gibbs steps "
    "with three pairs or more; only exact and converged ones count. t-test over pairs, "
    f"{100 * FEW_FALSE_ALARM:.0f} % false alarms over all K. "
)

CLAIMS = (
    Claim(
        "likelihood-rises", "2, figure 1",
        "The log-likelihood of the data rises during training.",
        "Holds if every run ends significantly above its first estimate and no step between estimates falls; in part "
        "if some step falls or only some runs rise. Each curve is read from one estimator, and what is not converged "
        "does not count; undecided where that leaves less than two points. Normal test on the estimates' errors, 0.1 % "
        "false alarms over all steps.",
        _rises, "likelihood",
    ),
    Claim(
        "likelihood-orders", "2, figure 1",
        "Larger hidden layers reach higher log-likelihoods.",
        "Holds if every step to the next larger size rises significantly; in part if only the largest beats the "
        "smallest; fails if some step falls; undecided where no step is significant, where a last likelihood is "
        "neither exact nor converged, or where training has not levelled off at every size (gain in the last quarter "
        "below its error, or 0.1 nats). t-test over replicas, 1 % false alarms a step (normal test with one replica).",
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
        "Of the brackets whose reverse starts are shown to be in equilibrium: holds if every one is converged and none "
        "is in the wrong order; in part if at least half are converged; undecided where no starts are in equilibrium. "
        "Order: normal test, 0.1 % false alarms over all brackets.",
        _bracket, "likelihood",
    ),
    Claim(
        "cd-beats-rdm", "2", "Contrastive divergence trains better models than chains from random states.",
        _METHOD_RULE + "Holds if it is better at every such K, in part if at some, fails if it is worse at some and "
        "better at none; otherwise undecided.",
        _better("cd", "rdm"), "likelihood",
    ),
    Claim(
        "pcd-beats-cd", "2", "Persistent chains train better models than contrastive divergence.",
        _METHOD_RULE + "Holds if it is better at K = 1, 10 and 100, in part if at some K, fails if it is worse at some "
        "and better at none; otherwise undecided.",
        _better("pcd", "cd", (1, 10, 100)), "likelihood",
    ),
)  # fmt: skip
"""In the paper's order."""
