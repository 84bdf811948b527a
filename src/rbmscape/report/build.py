"""`write_report`: a study's results as one self-contained HTML page, with the ledger beside it as data."""

from __future__ import annotations

import base64
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rbmscape
from rbmscape.errors import StudyError
from rbmscape.figures.registry import all_figures, in_order
from rbmscape.files import write_text
from rbmscape.report.equilibrium import sign_rows
from rbmscape.report.errata import ERRATA, run_checks
from rbmscape.report.evidence import Evidence
from rbmscape.report.findings import Verdict
from rbmscape.report.ledger import count_verdicts, identities, judge_all, write_ledger
from rbmscape.report.overview import (
    best_sentence,
    concerns_about_data,
    concerns_about_models,
    groups,
    next_steps,
    study_baselines,
)
from rbmscape.report.runs import headlines, run_rows
from rbmscape.report.words import duration, format_estimate, format_number, real_minus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jinja2 import Environment

    from rbmscape.study.study import Study

__all__ = ["SYMBOLS", "FigureBlock", "report_environment", "write_report"]

SYMBOLS = {Verdict.HOLDS: "✓", Verdict.PART: "◐", Verdict.FAILS: "✗", Verdict.UNTESTED: "–"}
"""A sign for each verdict, so that none is told by its colour alone."""


@dataclass(frozen=True, slots=True)
class FigureBlock:
    """One figure of the page: its words, its picture as a data URI, and the number of the paper's figure, if any.

    ``stem`` is the name of its files.
    """

    name: str
    stem: str
    title: str
    caption: str
    alt_text: str
    picture: str
    width: int
    height: int
    number: str = ""


def write_report(study: Study, failures: Mapping[str, str] | None = None) -> Path:
    """Write ``report.html`` into a study's directory, and ``results/claims.json|csv`` where it reproduces the paper.

    Parameters
    ----------
    study : finished or not; what is missing is left out, and named
    failures : task name to reason, shown on the page

    Returns
    -------
    Path of the page

    Raises
    ------
    StudyError : the study has no run yet
    DiskError : a file cannot be written
    """
    records = study.records()
    rows = run_rows(study)
    if not rows:
        raise StudyError(f"{study.directory} has no run yet, so there is nothing to report; train it first")
    blocks, ordered, known = figure_blocks(study, records), groups(study, rows), study_baselines(study)
    page = report_environment().get_template("report.html.j2").render(
        study=study,
        config=study.config,
        info=study.info,
        rows=rows,
        verdicts=any(row.converged is not None for row in rows),
        brackets=any(row.lower is not None for row in rows),
        **_sections(study, blocks),
        shown={block.name for block in blocks},
        headlines=headlines(study, rows),
        groups=ordered,
        signs=sign_rows(study),
        baselines=known,
        best=best_sentence(ordered),
        data_concerns=concerns_about_data(study),
        model_concerns=concerns_about_models(records),
        next_steps=next_steps(study, ordered, known),
        ledger=_judged(study, records, failures) if study.config.reproduces_paper else None,
        missing=missing_figures(study, records, failures),
        failures=other_failures(failures),
        computing_seconds=sum(record["seconds"] for record in records.values()),
        training_seconds=sum(row.seconds or 0.0 for row in rows),
        n_tasks=len(records),
        shell_name=shlex.quote(study.directory.resolve().name),
        python_name=repr(study.directory.resolve().name),
        version=rbmscape.__version__,
    )  # fmt: skip
    target = study.directory / "report.html"
    write_text(target, page)
    return target


def _sections(study: Study, blocks: list[FigureBlock]) -> dict[str, list[FigureBlock]]:
    """The paper's figures and others; in a study of other data there is no such difference, and no number."""
    if not study.config.reproduces_paper:
        return {"paper_figures": [], "more_figures": [replace(block, number="") for block in blocks]}
    paper = [block for block in blocks if block.number]
    return {"paper_figures": paper, "more_figures": [block for block in blocks if not block.number]}


def _judged(
    study: Study, records: Mapping[str, Mapping[str, Any]], failures: Mapping[str, str] | None
) -> dict[str, Any]:
    """The claims and errata of the paper with what the study says of them, also written as data."""
    evidence = Evidence.of_study(study, records, failures)
    evidence.checks = run_checks(evidence)
    judged = judge_all(evidence)
    write_ledger(study.directory / "results", study.config.name, judged, evidence.checks)
    return {
        "judged": judged,
        "counts": count_verdicts(judged),
        "identities": identities(judged),
        "against": [one for one in judged if one.finding.verdict is Verdict.FAILS],
        "errata": [(erratum, evidence.checks[erratum.key]) for erratum in ERRATA],
    }


def report_environment() -> Environment:
    """Templates of the pages, with the words that numbers are written in."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("rbmscape.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "duration": duration,
        "estimate": format_estimate,
        "number": format_number,
        "minus": real_minus,
        "symbol": SYMBOLS.__getitem__,
        "kind": lambda verdict: verdict.name.lower(),
    }
    return environment


def figure_blocks(study: Study, records: Mapping[str, Mapping[str, Any]]) -> list[FigureBlock]:
    """Every figure that is there, with its picture embedded, in the order of the report."""
    paths = dict(study.figures())
    blocks = []
    for entry in in_order(paths):
        record = records.get(f"figure/{entry.name}")
        if record is None:  # a picture of an earlier plan or code
            continue
        content, spec = paths[entry].read_bytes(), entry.spec
        width, height = png_size(content)
        picture = f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"
        alt_text = str(record["outcome"]["alt_text"])
        words = (spec.title, spec.caption, alt_text)
        blocks.append(FigureBlock(entry.name, entry.stem, *words, picture, width, height, spec.paper))
    return blocks


def png_size(content: bytes) -> tuple[int, int]:
    """Width and height in pixels, from the header of a PNG file."""
    return int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")


def missing_figures(
    study: Study, records: Mapping[str, Any], failures: Mapping[str, str] | None
) -> list[tuple[str, str]]:
    """Title and reason of every figure of the plan, or of the paper it reproduces, that the page does not show."""
    planned = study.config.figure_entries
    found = []
    for entry in in_order({*planned, *all_figures()}):
        task = f"figure/{entry.name}"
        if task in records:
            continue
        if entry in planned:
            reasons = [(failures or {}).get(name) for name in (f"compute/{entry.name}", task)]
            found.append((entry.spec.title, next(filter(None, reasons), "not computed yet")))
        elif entry.spec.paper and study.config.reproduces_paper:
            found.append((entry.spec.title, f"the paper's figure {entry.spec.paper} is not in this study's plan"))
    return found


def other_failures(failures: Mapping[str, str] | None) -> dict[str, str]:
    """Tasks that failed and are no figures."""
    return {name: reason for name, reason in (failures or {}).items() if not name.startswith(("compute/", "figure/"))}
