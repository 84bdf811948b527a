"""What a study says of its models: likelihoods by recipe and size beside baselines, the best recipe, what to do next.

Every sentence follows from numbers of the study.  Likelihoods are means over replicas at the last evaluated checkpoint,
in nats; those that are not converged have no error, and nothing is called better or worse by them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rbmscape.errors import StudyError
from rbmscape.report.findings import MissingEvidenceError
from rbmscape.report.likelihoods import TOLERANCE, last_gain
from rbmscape.report.rules import in_words, mean_over, separation
from rbmscape.report.runs import RunRow, has_verdict
from rbmscape.report.words import format_estimate
from rbmscape.stats import Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    import xarray as xr

    from rbmscape.study.study import Study

__all__ = [
    "Baseline",
    "Group",
    "best_sentence",
    "concerns_about_data",
    "concerns_about_models",
    "groups",
    "next_steps",
    "study_baselines",
]

FEWEST_REPLICAS = 3


@dataclass(frozen=True, slots=True)
class Baseline:
    """A model without hidden structure, or with little, and its log-likelihood of the test data."""

    name: str
    likelihood: Estimate


@dataclass(frozen=True, slots=True)
class Group:
    """The runs of one recipe and size.

    Attributes
    ----------
    recipe, hidden : which
    replicas : runs
    likelihood : mean over them with ``ess`` their number; None where none was estimated
    converged : of how many the last estimate is exact or converged; None where no estimate has a verdict
    gain : in the last quarter of training, nats; None where it is not known
    peak : epoch and value of the best estimate of the mean curve, where the last one lies significantly below it
    row_stderr : error of the mean over the test rows as a sample of all that could be, the largest of the runs'
    """

    recipe: str
    hidden: int
    replicas: int
    likelihood: Estimate | None
    converged: int | None
    gain: Estimate | None = None
    peak: tuple[float, float] | None = None
    row_stderr: float | None = None

    @property
    def name(self) -> str:
        """Recipe and size in words."""
        return f"{self.recipe} with {self.hidden} hidden units"


def groups(study: Study, rows: Sequence[RunRow]) -> list[Group]:
    """Every recipe and size, the highest likelihood first, those without one last."""
    try:
        estimates: xr.Dataset | None = study.result("likelihood")
    except StudyError:
        estimates = None
    found = []
    for recipe, hidden in dict.fromkeys((row.recipe, row.hidden) for row in rows):
        members = [row for row in rows if (row.recipe, row.hidden) == (recipe, hidden)]
        known = [row.likelihood for row in members if row.likelihood is not None]
        mean = mean_over([e.value for e in known], [e.stderr for e in known]) if known else None
        verdicts = [_verdict(row) for row in members if row.likelihood is not None]
        converged = None if not known or all(v is None for v in verdicts) else sum(bool(v) for v in verdicts)
        gain, peak = None, None
        if estimates is not None and recipe in estimates.recipe.values and hidden in estimates.hidden.values:
            runs = estimates.sel(recipe=recipe, hidden=hidden)
            gain, peak = last_gain(runs), _peak(runs)
        of_rows = max((row.row_stderr for row in members if row.row_stderr is not None), default=None)
        found.append(Group(recipe, hidden, len(members), mean, converged, gain, peak, of_rows))
    return sorted(found, key=lambda one: -math.inf if one.likelihood is None else one.likelihood.value, reverse=True)


def _verdict(row: RunRow) -> bool | None:
    """Whether a run's likelihood is converged; an exact sum is, and annealing in one direction does not say."""
    return row.converged if row.converged is not None or not has_verdict(row) else True


def _peak(runs: xr.Dataset) -> tuple[float, float] | None:
    """Epoch and mean value of the best point, where the last one lies below it by more than both errors and 0.1 "
    "nats.
    """
    value = runs.log_likelihood.transpose("replica", "update").values
    error = runs.stderr.transpose("replica", "update").values
    known = np.flatnonzero(np.isfinite(value).all(0) & np.isfinite(error).all(0))
    if known.size < 2:
        return None
    points = [mean_over(value[:, k], error[:, k]) for k in known]
    best, last = max(points, key=lambda one: one.value), points[-1]
    try:
        fall, limit = separation(best, last)
    except MissingEvidenceError:
        return None
    if fall.value >= -max(limit * fall.stderr, TOLERANCE):
        return None
    return float(np.nanmean(runs.epoch.isel(update=int(known[points.index(best)])).values)), best.value


def study_baselines(study: Study) -> list[Baseline]:
    """Independent units and a mixture of products fitted to the training data; nothing where a study lacks them."""
    try:
        found = study.result("baselines")
    except StudyError:
        return []
    names = ("independent units", f"a mixture of {int(found.attrs['n_products'])} products")
    return [
        Baseline(name, Estimate(float(found.log_likelihood[k]), float(found.stderr[k]))) for k, name in enumerate(names)
    ]


def concerns_about_data(study: Study) -> list[str]:
    """What deserves a second look in the data, each with its remedy."""
    return [str(words) for words in study.info["data"].get("concerns", ())]


def concerns_about_models(records: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """Recipe and size of every model that was compared with data, and what speaks against it, each with its remedy."""
    found = []
    for name, record in records.items():
        kind, _, key = name.partition("/")
        if kind == "quality":
            found.append((key, [str(words) for words in record["outcome"]["concerns"]]))
    return found


def best_sentence(ordered: Sequence[Group]) -> str:
    """The best recipe by name, and which others may be as good."""
    known = [group for group in ordered if group.likelihood is not None]
    if not known:
        return "No likelihood was estimated."
    first = known[0]
    head = f"{first.name}: {format_estimate(first.likelihood)} nats ({_runs(first.replicas)})"
    if len(known) == 1:
        return f"{head}. There is no other recipe or size to compare it with."
    unsure = [group for group in known if group.likelihood and not math.isfinite(group.likelihood.stderr)]
    if first in unsure:
        return f"The highest number is that of {head}, but it is not converged, so that it decides nothing."
    close = [group.name for group in known[1:] if group not in unsure and not _clearly_below(group, first)]
    if all(group.converged is None for group in known):
        return f"The highest number is that of {head}, by annealing in one direction, which has no verdict on itself."
    words = f"The best is {head}."
    if close:
        words += f" Not told from it with these replicas: {in_words(close)}."
    if unsure:
        words += f" Not converged and not compared: {in_words([group.name for group in unsure])}."
    return words


def _runs(count: int) -> str:
    return f"mean over {count} replicas" if count > 1 else "one run"


def _clearly_below(group: Group, best: Group) -> bool:
    assert group.likelihood is not None
    assert best.likelihood is not None
    rise, limit = separation(group.likelihood, best.likelihood)
    return rise.value > limit * rise.stderr


def next_steps(study: Study, ordered: Sequence[Group], known: Sequence[Baseline]) -> list[str]:
    """What the numbers suggest to do, most urgent first."""
    scored = [group for group in ordered if group.likelihood is not None]
    steps = [_below_baselines(scored, known), _about_convergence(study, scored), _about_length(scored)]
    sizes, best = sorted(study.config.hidden), scored[0] if scored else None
    if best is not None and len(sizes) > 1 and best.hidden == sizes[-1] and best.peak is None:
        steps.append(f"The largest layer, M = {best.hidden}, is the best one: try larger ones.")
    if study.config.replicas < FEWEST_REPLICAS:
        steps.append(
            f"With {'one replica' if study.config.replicas == 1 else f'{study.config.replicas} replicas'} the scatter "
            "between runs is hardly known: set replicas = "
            f"{FEWEST_REPLICAS} or more before small differences are believed; what is trained is kept."
        )
    return [step for step in steps if step]


def _below_baselines(scored: Sequence[Group], known: Sequence[Baseline]) -> str:
    below: dict[str, list[str]] = {}
    for group in scored:
        assert group.likelihood is not None
        beaten_by = [one for one in known if group.likelihood.value < one.likelihood.value - TOLERANCE]
        if beaten_by:
            below.setdefault(max(beaten_by, key=lambda one: one.likelihood.value).name, []).append(group.name)
    if not below:
        return ""
    listed = in_words([f"{in_words(names)} below {baseline}" for baseline, names in below.items()])
    return (
        f'Simpler models know more of the data: {listed}. Train in equilibrium (method = "ptt"), longer, at a lower '
        "rate, or with more hidden units."
    )


def _about_convergence(study: Study, scored: Sequence[Group]) -> str:
    without = [group.name for group in scored if group.converged is None]
    if without:
        return (
            f"Annealing in one direction has no verdict on itself, and can be off by many nats ({in_words(without)}): "
            "set "
            'method = "trajectory" under [likelihood], or "exact" for small layers.'
        )
    unsure = [group.name for group in scored if group.converged is not None and group.converged < group.replicas]
    if not unsure:
        return ""
    how = "n_chains or budget" if study.config.likelihood.method == "trajectory" else "budget"
    return (
        f"Not all likelihoods are converged ({in_words(unsure)}): raise {how} under [likelihood], or train in "
        "equilibrium "
        '(method = "ptt"), whose ladder gives them.'
    )


def _about_length(scored: Sequence[Group]) -> str:
    going = [
        f"{group.name} by {format_estimate(group.gain)} nats"
        for group in scored
        if group.gain is not None
        and math.isfinite(group.gain.stderr)
        and group.gain.value > max(group.gain.stderr, TOLERANCE)
    ]
    falling = [f"{group.name} after epoch {group.peak[0]:g}" for group in scored if group.peak is not None]
    words = []
    if going:
        words.append(
            f"Training is not over, in its last quarter the likelihood still rises: {in_words(going)}. Train longer."
        )
    if falling:
        words.append(f"The likelihood of the test data falls again: {in_words(falling)}. Stop there.")
    return " ".join(words)
