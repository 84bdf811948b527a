"""Pages that are made from the code: the reference of public names, the options of plans, the gallery."""

from __future__ import annotations

import inspect
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import rbmscape

__all__ = ["gallery_page", "plan_options_page", "public_objects", "reference_page", "write_pages"]

HERE = Path(__file__).parent
PARTS = {
    "model": "Model",
    "data": "Data",
    "sampling": "Sampling",
    "runs": "Runs",
    "training": "Training",
    "likelihood": "Log-likelihood",
    "reciprocal": "Reciprocal space",
    "diffusion": "Diffusion",
    "symmetry": "Symmetry",
    "study": "Studies",
    "interop": "Other tools",
    "explorer": "Explorer",
    "stats": "Estimates",
    "errors": "Errors",
}
WIDER = {"interop": "rbmscape.sklearn", "errors": "rbmscape.errors"}
"""Public modules whose names are not all imported into rbmscape itself."""


def public_objects() -> dict[str, list[str]]:
    """Full names of the public objects by part of the package; one whose module is missing is reported and left out."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, home in sorted(rbmscape._HOMES.items()):
        if find_spec(home.rpartition(".")[0]) is None or find_spec(home) is None:
            print(f"docs: {name} is left out, {home} does not exist", file=sys.stderr)
            continue
        found[home.split(".")[1]].append(f"{home}.{name}")
    for part, home in WIDER.items():
        if find_spec(home) is not None:
            names = [f"{home}.{name}" for name in import_module(home).__all__]
            found[part] += [name for name in names if name not in found[part]]
    return found


def reference_page() -> str:
    """One table a part."""
    lines = ["API reference", "=============", ""]
    lines += ["Everything here can be imported from ``rbmscape`` itself, for example ``from rbmscape import RBM``;"]
    lines += ["estimators are imported from ``rbmscape.sklearn``, errors from ``rbmscape.errors``.", ""]
    found = public_objects()
    for part, names in sorted(found.items(), key=lambda item: list(PARTS).index(item[0]) if item[0] in PARTS else 99):
        title = PARTS.get(part, part.capitalize())
        lines += [title, "-" * len(title), "", ".. autosummary::", "   :toctree: generated", ""]
        lines += [f"   ~{name}" for name in names] + [""]
    return "\n".join(lines)


def described(kind: type) -> dict[str, str]:
    """What a docstring says of each parameter."""
    text = inspect.cleandoc(kind.__doc__ or "")
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[\w ]*\n-{3,}|\Z)", text, re.MULTILINE | re.DOTALL)
    found: dict[str, str] = {}
    for names, words in re.findall(r"^([\w, ]+) : (.*(?:\n    .*)*)", section[1] if section else "", re.MULTILINE):
        found |= dict.fromkeys(names.split(", "), " ".join(words.split()))
    return found


def options(kind: Any) -> Iterator[tuple[str, str, str]]:
    """Name, default and meaning of every field of a recipe."""
    words: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        words |= described(base)
    for name, field in kind.model_fields.items():
        # what follows from the other values has its default in its sentence
        default = "" if field.default_factory is not None or field.is_required() else f"`{field.default!r}`"
        yield name, default, field.description or words.get(name, "")


def table(kind: Any) -> list[str]:
    """The options of a recipe as a table."""
    rows = [f"| `{name}` | {default} | {words.replace('|', chr(92) + '|')} |" for name, default, words in options(kind)]
    return ["| option | default | meaning |", "|---|---|---|", *rows, ""]


def plan_options_page() -> str:
    """All that a plan may hold, by table of TOML."""
    from rbmscape.figures.registry import all_figures
    from rbmscape.runs.config import TrainingConfig
    from rbmscape.study.config import DataPlan, LikelihoodMethod, LikelihoodPlan, Scope, StudyConfig

    lines = ["# Options of a plan", "", "Made from the code. {doc}`../studies` says how a plan is carried out.", ""]
    parts = {
        "At the top": StudyConfig, "`[data]`": DataPlan, "`[recipes.NAME]`": TrainingConfig, "`[scopes.NAME]`": Scope,
        "`[likelihood]`": LikelihoodPlan, "`[likelihood.final]`": LikelihoodMethod,
    }  # fmt: skip
    for heading, kind in parts.items():
        lines += [f"## {heading}", "", *table(kind)]
    lines += ["## `[figure_options.NAME]`", ""]
    for entry in sorted(all_figures(), key=lambda entry: entry.name):
        if entry.spec.options.model_fields:
            lines += [f"### {entry.name}", "", *table(entry.spec.options)]
    return "\n".join(lines)


def gallery_page() -> str:
    """Every figure with its caption, and a picture where the pages have one."""
    from rbmscape.figures.registry import all_figures

    lines = [
        "# Gallery",
        "",
        "Every figure that a plan or `rbmscape analyze` can name. Pictures are from the pages of this",
    ]
    lines += ["documentation; `rbmscape analyze RUN --out DIRECTORY --figures NAME` makes yours.", ""]
    for entry in all_figures():
        spec = entry.spec
        place = f"the paper's figure {spec.paper}" if spec.paper else "beyond the paper"
        lines += [f"## {spec.title}", "", f"`{entry.name}`, {place}. {spec.caption}", ""]
        for folder in ("laptop", "images/instruments", "images"):
            if (HERE / folder / f"{entry.name}.png").is_file():
                lines += [f"![{spec.title}](../{folder}/{entry.name}.png)", ""]
                break
    return "\n".join(lines)


def write_pages() -> None:
    """Write the pages into docs/api, where they have changed."""
    folder = HERE / "api"
    folder.mkdir(exist_ok=True)
    known = {name for names in public_objects().values() for name in names}
    for old in (folder / "generated").glob("*.rst"):  # of names that have moved or gone
        if old.stem not in known:
            old.unlink()
    pages = {"index.rst": reference_page(), "plan-options.md": plan_options_page(), "gallery.md": gallery_page()}
    for name, text in pages.items():
        if not (folder / name).exists() or (folder / name).read_text(encoding="utf-8") != text:
            (folder / name).write_text(text, encoding="utf-8")
