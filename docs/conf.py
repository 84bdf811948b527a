"""Sphinx configuration; `generate` makes the pages that follow from the code."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import rbmscape

sys.path.insert(0, str(Path(__file__).parent))

import generate

project = "rbmscape"
author = "The rbmscape developers"
project_copyright = "2026, The rbmscape developers"
release = version = rbmscape.__version__

extensions = [
    "myst_nb",  # MyST pages as well as notebooks
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinxcontrib.bibtex",
]
# the first suffix is that of the pages that autosummary writes
source_suffix = {".rst": "restructuredtext", ".md": "myst-nb", ".ipynb": "myst-nb"}
nb_execution_mode = "off"  # outputs are stored, and compared by the tests
exclude_patterns = ["_build", "api/_*"]  # fragments are included by pages
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


def skip_member(_app, _what, name: str, _object, _skip: bool, _options) -> bool | None:
    """Leave out what scikit-learn adds to estimators, whose docstrings refer to its own pages."""
    return True if re.fullmatch(r"set_\w+_request|get_metadata_routing", name) else None


def setup(app) -> None:
    app.connect("autodoc-skip-member", skip_member)
    app.connect("autodoc-process-docstring", escape_bars)


generate.write_pages()
