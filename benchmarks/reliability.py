"""Writes docs/reliability.md from the recorded results of the tests and benchmarks it speaks of.

    python -m benchmarks.reliability

The words are those of ``reliability_template.md`` beside it.
A test holds the page equal to what this makes.  The records are those of ``tests/faults/matrix.py``,
``benchmarks.determinism``, ``benchmarks.digests`` and, where it is there, of the long fuzzing (``fuzzing.json``: inputs
and faults by name under "tried").
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
TEMPLATE = Path(__file__).parent / "reliability_template.md"
PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"
ERRORS = ("Input/output error", "No space left on device", "Read-only file system")


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    head = list(header)
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in lines)


def record(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def faults() -> str:
    header = ("command", "operations", "kills", "losses of power", "errors", "errors in turn", "lost or wrong")
    rows = []
    for name, one in record("faults")["commands"].items():
        tried = one["tried"]
        kills = sum(tried.get(kind, 0) for kind in ("killed", "killed in the middle of an operation"))
        alone = sum(tried.get(kind, 0) for kind in ERRORS)
        turn = sum(tried.get(f"{kind} at every operation in turn", 0) for kind in ERRORS)
        some = "" if one.get("complete", True) else " (a sample of them)"
        cells = (f"`{name}`{some}", one["operations"], kills, tried["power lost"], alone, turn, len(one["wrong"]))
        rows.append(cells)
    return table(header, [*rows, ("all", *(sum(row[k] for row in rows) for k in range(1, len(header))))])


def determinism() -> str:
    rows = record("determinism")["rows"]
    words = {True: "same", False: "other"}
    names = list(rows[0]["same"])
    body = [
        (one["circumstances"], f"`{one['used'].split()[-1]}`", *(words[one["same"][name]] for name in names))
        for one in rows
    ]
    left_out = "" if any("python" in one for one in rows) else "other versions of Python"
    if not any("AVX-512" in one["circumstances"] for one in rows):
        left_out = " and ".join(filter(None, (left_out, "kernels without AVX-512")))
    pythons = f"\nNot run: {left_out}.\n" if left_out else ""
    return table(("circumstances", "precision", *names), body) + pythons


def digests() -> str:
    found = record("digests")
    return (
        f"Digests took {100 * found['share']:.2g} % of a training ({found['digest_seconds']:.2g} of "
        f"{found['training_seconds']:.3g} processor seconds, MNIST, 500 hidden units, {found['epochs']} epochs, "
        f"{found['files_written']} checkpoints; `python -m benchmarks.digests`).\n"
    )


def fuzzing() -> str:
    rows = [(name, one["inputs"], one["faults"]) for name, one in record("fuzzing")["tried"].items()]
    words = "## Inputs that were tried\n\nA fault is anything but a result or one sentence of the package's own:\n\n"
    total = ("all", sum(row[1] for row in rows), sum(row[2] for row in rows))
    again = "\n`RBMSCAPE_FUZZ=20000 python -m pytest tests/fuzz` repeats it with so many inputs a format.\n"
    return words + table(("input", "tried", "faults"), [*rows, total]) + again


def page() -> str:
    """The template with its tables; a section whose record is not there is left out."""
    sections = TEMPLATE.read_text(encoding="utf-8").split("\n## ")
    for part in (digests, faults, fuzzing, determinism):
        mark, known = f"{{{{{part.__name__}}}}}", (RESULTS / f"{part.__name__}.json").is_file()
        words = part() if known else ""
        if not known:
            sections = [one for one in sections if mark not in one or not one.startswith("What is the same")]
        sections = [one.replace(f"\n{mark}\n", f"\n{words}" if words else "") for one in sections]
    return "\n## ".join(sections)


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
