"""axe-core finds nothing serious in any view, in light and dark."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

VIEWS = ("training", "landscape", "symmetry", "spectrum", "hierarchy", "diffusion", "play")


@pytest.fixture(scope="module")
def axe():
    """Source of axe-core: below NODE_PATH, or where npm installs for all."""
    folders = [os.environ.get("NODE_PATH", "")]
    if npm := shutil.which("npm"):
        folders.append(subprocess.run([npm, "root", "-g"], capture_output=True, text=True, check=False).stdout.strip())
    found = [path for folder in folders if folder and (path := Path(folder) / "axe-core" / "axe.min.js").is_file()]
    if not found:
        pytest.skip("needs axe-core, as from `npm install -g axe-core`")
    return found[0].read_text(encoding="utf-8")


def serious(page, axe):
    page.evaluate(f"{axe}; null")
    page.wait_for_function("!document.querySelector('.waiting')")  # what is about to be replaced is pale
    found = page.evaluate("axe.run().then((found) => found.violations)")
    return [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")]


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_nothing_serious_is_found(look, image_run, axe, scheme):
    for view in VIEWS:
        page = look(image_run.directory, f"view={view}")
        page.page.emulate_media(color_scheme=scheme)
        page.shown(view)
        assert serious(page.page, axe) == [], view


def test_something_serious_would_be_found(look, image_run, axe):
    page = look(image_run.directory)
    page.page.evaluate("document.querySelector('#timeline').removeAttribute('aria-label')")
    assert serious(page.page, axe) != []
