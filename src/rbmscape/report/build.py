"""`write_report`: a study's results as one self-contained HTML page."""

from __future__ import annotations

import base64
import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import rbmscape
from rbmscape.errors import StudyError
from rbmscape.files import write_text
from rbmscape.stats import Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

    from rbmscape.study.study import Study

__all__ = ["FigureBlock", "RunRow", "write_report"]


@dataclass(frozen=True, slots=True)
class RunRow:
    """One line of the table of runs; numbers that are not known are None.

    Attributes
    ----------
    name : of the run's directory
    hidden, replica : M and the number of the replica
    epochs : finished
    seconds : of training
    updates_per_second : over the last stretch of training
    likelihood : of the last checkpoint, nats
    """

    name: str
    hidden: int
    replica: int
    recipe: str
    epochs: float
    seconds: float | None
    updates_per_second: float | None
    likelihood: Estimate | None


@dataclass(frozen=True, slots=True)
class FigureBlock:
    """One figure of the page: its words, its picture as a data URI, and where its data and PDF lie."""

    name: str
    title: str
    caption: str
    alt_text: str
    picture: str
    width: int
    height: int


def write_report(study: Study, failures: Mapping[str, str] | None = None) -> Path:
    """Write ``report.html`` into a study's directory.

    Parameters
    ----------
    study : finished or not; what is missing is left out
    failures : task name to reason, shown on the page

    Returns
    -------
    Path of the page

    Raises
    ------
    StudyError : the study has no run yet
    DiskError : the page cannot be written
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    records = study.records()
    rows = run_rows(study)
    if not rows:
        raise StudyError(f"{study.directory} has no run yet, so there is nothing to report; train it first")
    environment = Environment(
        loader=PackageLoader("rbmscape.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"duration": duration, "estimate": format_estimate, "number": format_number}
    page = environment.get_template("report.html.j2").render(
        study=study,
        config=study.config,
        info=study.info,
        rows=rows,
        figures=figure_blocks(study, records),
        headlines=headlines(study, rows),
        failures=dict(failures or {}),
        computing_seconds=sum(record["seconds"] for record in records.values()),
        version=rbmscape.__version__,
    )
    target = study.directory / "report.html"
    write_text(target, page)
    return target


def run_rows(study: Study) -> list[RunRow]:
    """One row a run, in the plan's order."""
    last = _last_likelihoods(study)
    rows = []
    for key, run in study.runs.items():
        metrics = run.rows[-1] if run.rows else {}
        rows.append(
            RunRow(
                name=str(key),
                hidden=key.hidden,
                replica=key.replica,
                recipe=key.recipe,
                epochs=max(run.last_update, 0) / run.updates_per_epoch,
                seconds=metrics.get("seconds"),
                updates_per_second=metrics.get("updates_per_second"),
                likelihood=last.get((key.recipe, key.hidden, key.replica)),
            )
        )
    return rows


def _last_likelihoods(study: Study) -> dict[tuple[str, int, int], Estimate]:
    """The estimate at the last evaluated checkpoint of every run."""
    try:
        dataset = study.result("likelihood")
    except StudyError:
        return {}
    found = {}
    for place in np.ndindex(*(dataset.sizes[name] for name in ("recipe", "hidden", "replica"))):
        recipe, hidden, replica = place
        run = dataset.isel(recipe=recipe, hidden=hidden, replica=replica)
        known = np.flatnonzero(np.isfinite(run.log_likelihood.values))
        if len(known):
            point = run.isel(update=int(known[-1]))
            key = (str(point.recipe.item()), int(point.hidden), int(point.replica))
            found[key] = Estimate(float(point.log_likelihood), float(point.stderr), float(point.ess))
    return found


def figure_blocks(study: Study, records: Mapping[str, Mapping[str, Any]]) -> list[FigureBlock]:
    """Every figure that is there, with its picture embedded."""
    blocks = []
    for entry, path in study.figures():
        record = records.get(f"figure/{entry.name}")
        if record is None:  # a picture of an earlier plan or code
            continue
        content = path.read_bytes()
        width, height = png_size(content)
        picture = f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"
        alt_text = str(record["outcome"]["alt_text"])
        blocks.append(FigureBlock(entry.name, entry.title, entry.caption, alt_text, picture, width, height))
    return blocks


def png_size(content: bytes) -> tuple[int, int]:
    """Width and height in pixels, from the header of a PNG file."""
    return int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")


def headlines(study: Study, rows: list[RunRow]) -> list[str]:
    """What a busy reader should know, said from the numbers alone."""
    main = next(iter(study.config.recipes))
    lines = []
    best = mean_by_size([row for row in rows if row.recipe == main])
    if best:
        parts = [f"{format_estimate(value)} with {hidden} hidden units" for hidden, value in sorted(best.items())]
        lines.append(f"Test log-likelihood in nats after training: {', '.join(parts)} (mean over replicas).")
    if len(best) > 1:
        lines.append(order_sentence(best))
    curve = _curve(study, main)
    if curve is not None:
        lines.append(rise_sentence(curve))
    return lines


def mean_by_size(rows: list[RunRow]) -> dict[int, Estimate]:
    """Mean over replicas of the last likelihood, with the standard error of that mean.

    The error is the larger of what the replicas' spread and what the estimates' own errors imply.
    """
    found: dict[int, list[Estimate]] = {}
    for row in rows:
        if row.likelihood is not None:
            found.setdefault(row.hidden, []).append(row.likelihood)
    means = {}
    for hidden, estimates in found.items():
        values = np.array([estimate.value for estimate in estimates])
        own = math.sqrt(sum(estimate.stderr**2 for estimate in estimates)) / len(values)
        spread = float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 0.0
        means[hidden] = Estimate(float(values.mean()), max(own, spread))
    return means


def order_sentence(best: Mapping[int, Estimate]) -> str:
    """Whether the likelihood grows with M, and which steps are within two standard errors of nothing."""
    sizes = sorted(best)
    unclear, falling = [], []
    for small, large in itertools.pairwise(sizes):
        rise = best[large].value - best[small].value
        error = math.hypot(best[large].stderr, best[small].stderr)
        if abs(rise) <= 2.0 * error:
            unclear.append((small, large))
        elif rise < 0:
            falling.append((small, large))
    if falling:
        steps = ", ".join(f"from {small} to {large}" for small, large in falling)
        return f"The likelihood does not grow with the hidden layer everywhere: it falls {steps} units."
    if unclear:
        steps = ", ".join(f"{small} and {large}" for small, large in unclear)
        return f"The likelihood grows with the hidden layer, but {steps} units differ by less than two standard errors."
    return "The likelihood grows with the size of the hidden layer at every step, by more than two standard errors."


def _curve(study: Study, recipe: str) -> xr.DataArray | None:
    try:
        dataset = study.result("likelihood")
    except StudyError:
        return None
    return dataset.log_likelihood.sel(recipe=recipe) if recipe in dataset.recipe.values else None


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


def duration(seconds: float | None) -> str:
    """Seconds as 45 s, 3 min 20 s or 2 h 05 min."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def format_estimate(estimate: Estimate | None) -> str:
    """Value ± error with a real minus sign, or a dash."""
    return "–" if estimate is None else str(estimate).replace("-", "−")


def format_number(value: float | None, digits: int = 0) -> str:
    """Fixed digits, or a dash for what is not known."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}".replace("-", "−")
