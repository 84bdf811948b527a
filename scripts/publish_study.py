"""Make a page of the documentation from a finished study: its numbers as tables, its pictures as small files.

    python scripts/publish_study.py studies/laptop docs/laptop

Writes ``docs/laptop.md``, and ``docs/laptop/`` with the pictures (256 colours), ``claims.json`` and ``claims.csv``.
Nothing on the page is written by hand, except the words around the numbers, which are below.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from rbmscape.figures.registry import in_order
from rbmscape.files import write_bytes, write_text
from rbmscape.report.build import SYMBOLS
from rbmscape.report.findings import Verdict
from rbmscape.report.runs import RunRow, mean_by_size, run_rows
from rbmscape.report.words import duration, format_estimate
from rbmscape.study.study import Study, open_study

WIDTH = 1200
COLOURS = 256
MODELS = (
    "Log-likelihood of the test images in nats: means over runs of reverse annealing (a lower bound if its starts are "
    "in equilibrium), forward annealing (an upper bound) and the best estimate, BAR of both, at the last checkpoint. "
    "Where a bracket is not converged, the numbers are to be read as orders of magnitude."
)
COST = (
    "Process time of the tasks; two of them ran side by side, each with one core, and part of the time beside other "
    "work, which makes them longer."
)


def small(picture: Path) -> bytes:
    """The picture in 256 colours, at most 1200 pixels wide."""
    with Image.open(picture) as image:
        shown = image.convert("RGB")
        if shown.width > WIDTH:
            shown = shown.resize((WIDTH, round(shown.height * WIDTH / shown.width)), Image.Resampling.LANCZOS)
        packed = io.BytesIO()
        shown.quantize(COLOURS, dither=Image.Dither.NONE).save(packed, "PNG", optimize=True)
    return packed.getvalue()


def table(head: list[str], rows: list[list[str]]) -> str:
    """Markdown; a | inside a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def cost(records: Mapping[str, Mapping[str, Any]]) -> str:
    """Seconds of all tasks by kind, as one process with its share of the cores needs them."""
    spent: dict[str, list[float]] = {}
    for name, record in records.items():
        spent.setdefault(name.split("/")[0], []).append(float(record["seconds"]))
    words = {
        "train": "training, in slices",
        "likelihood": "log-likelihoods",
        "samples": "equilibrium samples",
        "compute": "data of figures",
        "figure": "pictures",
        "results": "collecting",
    }
    rows = [[words.get(kind, kind), str(len(each)), duration(sum(each))] for kind, each in spent.items()]
    rows.append(["all", str(sum(map(len, spent.values()))), duration(sum(sum(each) for each in spent.values()))])
    return table(["task", "number", "process time"], rows)


def models(rows: list[RunRow]) -> str:
    """One line a recipe and size: means over its replicas."""
    groups: dict[tuple[str, int], list[RunRow]] = {}
    for row in rows:
        groups.setdefault((row.recipe, row.hidden), []).append(row)
    lines = []
    for (recipe, hidden), members in groups.items():
        best = mean_by_size(members).get(hidden)
        bounds = [
            format(float(np.mean([getattr(one, side).value for one in members if getattr(one, side)])), ".1f")
            if any(getattr(one, side) for one in members)
            else ""
            for side in ("lower", "upper")
        ]
        sure = sum(bool(one.converged) for one in members)
        lines.append(
            [
                recipe,
                str(hidden),
                str(len(members)),
                format(members[0].epochs, "g"),
                duration(float(np.mean([one.seconds or 0.0 for one in members]))),
                *bounds,
                "" if best is None else format_estimate(best),
                f"{sure} of {len(members)}",
            ]
        )
    head = ["recipe", "M", "runs", "epochs", "training of one", "reverse", "forward", "best", "converged"]
    return table(head, lines)


def page(study: Study, ledger: Mapping[str, Any], title: str, folder: str) -> str:
    """The whole page as Markdown."""
    records = study.records()
    counts = ledger["counts"]
    claims = [
        [one["section"], one["statement"], f"{SYMBOLS[Verdict(one['verdict'])]} {one['verdict']}", one["measured"]]
        for one in ledger["claims"]
    ]
    errata = [[one["where"], one["printed"], one["implemented"], one["measured"]] for one in ledger["errata"]]
    origin = (
        f"Made by `rbmscape reproduce --profile {study.config.name}` with rbmscape {ledger['rbmscape']} and "
        "`scripts/publish_study.py`; every number below comes from the study's files. "
        f"The ledger as data: [claims.json]({folder}/claims.json), [claims.csv]({folder}/claims.csv)."
    )
    parts = [
        f"# {title}",
        origin,
        "## Verdicts",
        ", ".join(f"{number} {verdict}" for verdict, number in counts.items()) + ".",
        table(["section", "statement of the paper", "verdict", "measured"], claims),
        "## Errata, with their evidence",
        table(["where", "printed", "implemented", "measured"], errata),
        "## Models",
        MODELS,
        models(run_rows(study)),
        "## What it took",
        COST,
        cost(records),
        "## Figures",
    ]
    for entry in in_order(entry for entry, _ in study.figures() if f"figure/{entry.name}" in records):
        number = f" (figure {entry.spec.paper})" if entry.spec.paper else ""
        alt_text = str(records[f"figure/{entry.name}"]["outcome"]["alt_text"]).replace("[", "(").replace("]", ")")
        picture = f"![{alt_text}]({folder}/{entry.stem}.png)"
        parts += [f"### {entry.spec.title}{number}", entry.spec.caption, picture]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Read the command line, write the page."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("study", type=Path)
    options.add_argument("target", type=Path, help="folder of the pictures; the page is beside it, with .md")
    options.add_argument("--title", default="The paper on a laptop")
    chosen = options.parse_args()
    study = open_study(chosen.study)
    ledger = json.loads((chosen.study / "results" / "claims.json").read_text(encoding="utf-8"))
    chosen.target.mkdir(parents=True, exist_ok=True)
    for kind in ("json", "csv"):
        shutil.copyfile(chosen.study / "results" / f"claims.{kind}", chosen.target / f"claims.{kind}")
    records = study.records()
    for entry, path in study.figures():
        if f"figure/{entry.name}" in records:
            write_bytes(chosen.target / f"{entry.stem}.png", small(path))
    stale = len(study.figures()) - sum(f"figure/{entry.name}" in records for entry, _ in study.figures())
    if stale:
        sys.stderr.write(f"{stale} figures are of other code and left out; run `rbmscape study {chosen.study}` first\n")
    write_text(chosen.target.with_suffix(".md"), page(study, ledger, chosen.title, chosen.target.name))
    sys.stdout.write(f"wrote {chosen.target.with_suffix('.md')} and {len(list(chosen.target.iterdir()))} files\n")


if __name__ == "__main__":
    main()
