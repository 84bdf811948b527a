"""Pages that are made from the code: the reference of public names, the options of plans, the gallery, and what stands
behind the equations: the tests that pages refer to, the functions that cite an equation, the errata of the paper."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import rbmscape

__all__ = [
    "cited_equations",
    "cited_fragment",
    "equation_tests_page",
    "errata_fragment",
    "gallery_page",
    "plan_options_page",
    "public_objects",
    "reference_page",
    "test_files",
    "write_pages",
]

HERE = Path(__file__).parent
ROOT = HERE.parent
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
    from rbmscape.study.search_config import SearchConfig

    lines += ["## At the top of a search", "", "{doc}`../search` says how it is carried out.", "", *table(SearchConfig)]
    lines += ["## `[figure_options.NAME]`", ""]
    for entry in sorted(all_figures(), key=lambda entry: entry.name):
        if entry.spec.options.model_fields:
            lines += [f"### {entry.name}", "", *table(entry.spec.options)]
    return "\n".join(lines)


def gallery_page() -> str:
    """Every figure with its caption, how to read it, the paper's own, and a picture where the pages have one."""
    from rbmscape.figures.registry import all_figures

    lines = [
        "# Figures and how to read them",
        "",
        "Every figure that a plan or `rbmscape analyze` can name. Pictures are from the pages of this",
    ]
    lines += ["documentation; `rbmscape analyze RUN --out DIRECTORY --figures NAME` makes yours.", ""]
    for entry in all_figures():
        spec = entry.spec
        place = f"the paper's figure {spec.paper}" if spec.paper else "beyond the paper"
        lines += [f"## {spec.title}", "", f"`{entry.name}`, {place}. {spec.caption}", ""]
        lines += [f"**How to read it.** {spec.reading}", ""] if spec.reading else []
        lines += [f"**The paper's figure.** {spec.printed}", ""] if spec.printed else []
        for folder in ("laptop", "images/instruments", "images"):
            if (HERE / folder / f"{entry.name}.png").is_file():
                lines += [f"![{spec.title}](../{folder}/{entry.name}.png)", ""]
                break
    return "\n".join(lines)


def cited_equations() -> dict[int, list[str]]:
    """Public names, and members of public classes, by the equations of the paper that their docstrings cite."""
    found: dict[int, list[str]] = defaultdict(list)
    for home, _, name in (full.rpartition(".") for names in public_objects().values() for full in names):
        value = getattr(import_module(home), name)
        members = vars(value).items() if inspect.isclass(value) else ()
        named = [(name, value), *((f"{name}.{key}", one) for key, one in members if not key.startswith("_"))]
        for called, one in named:
            for number in _cited(inspect.getdoc(one) or ""):
                found[number].append(called)
    return dict(sorted(found.items()))


def _cited(text: str) -> set[int]:
    """Numbers after the word: "equation 3", "eq. (46)", "equations 10 and 11", "equations (21 to 25)"."""
    one = r"\b(?:equation|eq\.)\s+\(?\d+"
    several = r"\b(?:equations|eqs\.)\s+\(?\d+(?:\)?(?:, | and | to )\(?\d+)*"
    found = re.findall(f"{one}|{several}", text, re.IGNORECASE)
    return {int(number) for words in found for number in re.findall(r"\d+", words)}


def cited_fragment() -> str:
    """Table of `cited_equations`, for the page of derivations."""
    lines = ["| equation | cited by |", "|---|---|"]
    for number, names in cited_equations().items():
        lines.append(f"| ({number}) | {', '.join(f'{{py:obj}}`.{name}`' for name in names)} |")
    return "\n".join([*lines, ""])


def errata_fragment() -> str:
    """Table of the errata with the tests of each, for the page of derivations."""
    from rbmscape.report.errata import ERRATA

    lines = ["| in the paper | printed | used here, and why | tests |", "|---|---|---|---|"]
    for one in ERRATA:
        tests = ", ".join(f"{{ref}}`{test.partition('::')[2]}`" for test in one.tests)
        words = (cell.replace("|", r"\|") for cell in (one.where, one.printed, one.implemented))
        lines.append(f"| {' | '.join(words)} | {tests} |")
    return "\n".join([*lines, ""])


@cache
def test_files() -> dict[str, list[Path]]:
    """Files in which each test function is defined, from the root of the repository."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found[node.name].append(path.relative_to(ROOT))
    return found


def equation_tests_page() -> str:
    """The code of every test that the pages refer to, by its name in words."""
    pages = [path.read_text(encoding="utf-8") for path in sorted(HERE.glob("*.md"))]
    named = set(re.findall(r"\{ref\}`(test_\w+)`", "\n".join([*pages, errata_fragment()])))
    lines = ["# Tests of the equations", "", "What {doc}`../theory` and {doc}`../instruments` refer to.", ""]
    for name, paths in sorted(test_files().items(), key=lambda item: item[1]):
        if name in named:
            (path,) = paths
            words = name.removeprefix("test_").replace("_s_", "'s ").replace("_", " ").capitalize()
            lines += [f"({name})=", f"## {words}", "", f"`{path}`", ""]
            lines += [f"```{{literalinclude}} ../../{path}", ":language: python", f":pyobject: {name}", "```", ""]
    return "\n".join(lines)


def write_pages() -> None:
    """Write the pages into docs/api, where they have changed."""
    folder = HERE / "api"
    folder.mkdir(exist_ok=True)
    known = {name for names in public_objects().values() for name in names}
    for old in (folder / "generated").glob("*.*"):  # of names that have moved or gone, or in another format
        if old.stem not in known or old.suffix != ".rst":
            old.unlink()
    pages = {
        "index.rst": reference_page(),
        "plan-options.md": plan_options_page(),
        "gallery.md": gallery_page(),
        "equation-tests.md": equation_tests_page(),
        "_cited.md": cited_fragment(),
        "_errata.md": errata_fragment(),
    }
    for name, text in pages.items():
        if not (folder / name).exists() or (folder / name).read_text(encoding="utf-8") != text:
            (folder / name).write_text(text, encoding="utf-8")
