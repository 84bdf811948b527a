"""Sphinx configuration; the API pages are made from the package's own table of public names."""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import rbmscape

HERE = Path(__file__).parent

project = "rbmscape"
author = "The rbmscape developers"
project_copyright = "2026, The rbmscape developers"
release = version = rbmscape.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinxcontrib.bibtex",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
bibtex_bibfiles = ["references.bib"]
autosummary_generate = True
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = False
napoleon_use_ivar = True
suppress_warnings = ["ref.python"]  # n_visible and its like are attributes of several classes
html_theme = "furo"
html_title = "rbmscape"

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
    "stats": "Estimates",
    "errors": "Errors",
}


def public_objects() -> dict[str, list[str]]:
    """Full names of the public objects by part of the package; one whose module is missing is reported and left out."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, home in sorted(rbmscape._HOMES.items()):
        if find_spec(home.rpartition(".")[0]) is None or find_spec(home) is None:
            print(f"docs: {name} is left out, {home} does not exist", file=sys.stderr)
            continue
        found[home.split(".")[1]].append(f"{home}.{name}")
    errors = import_module("rbmscape.errors")
    found["errors"] = [f"rbmscape.errors.{name}" for name in errors.__all__]
    return found


def write_api_page() -> None:
    """Write docs/api/index.rst: one table a part."""
    lines = ["API reference", "=============", ""]
    found = public_objects()
    lines += ["Everything here can be imported from ``rbmscape`` itself, for example ``from rbmscape import RBM``;", ""]
    lines[-2] += " errors from ``rbmscape.errors``."
    for part, names in sorted(found.items(), key=lambda item: list(PARTS).index(item[0]) if item[0] in PARTS else 99):
        title = PARTS.get(part, part.capitalize())
        lines += [title, "-" * len(title), "", ".. autosummary::", "   :toctree: generated", ""]
        lines += [f"   ~{name}" for name in names] + [""]
    known = {name for names in found.values() for name in names}
    for old in (HERE / "api" / "generated").glob("*.rst"):  # of names that have moved or gone
        if old.stem not in known:
            old.unlink()
    page = HERE / "api" / "index.rst"
    page.parent.mkdir(exist_ok=True)
    text = "\n".join(lines)
    if not page.exists() or page.read_text() != text:
        page.write_text(text)


def escape_bars(_app, _what, _name, _object, _options, lines: list[str]) -> None:
    """Let |N - M| in a docstring be an absolute value, not a substitution; mathematics and literals stay."""
    in_math = False
    for index, line in enumerate(lines):
        if line.lstrip().startswith((".. math::", ".. code")):
            in_math = True
        elif line and not line.startswith(" "):
            in_math = False
        if not in_math:
            pieces = re.split(r"(``[^`]*``|:math:`[^`]*`)", line)
            lines[index] = "".join(
                piece if position % 2 else re.sub(r"(?<!\\)\|", r"\\|", piece) for position, piece in enumerate(pieces)
            )


def setup(app) -> None:
    app.connect("autodoc-process-docstring", escape_bars)


write_api_page()
