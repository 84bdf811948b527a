"""Notebooks of the docs give the outputs that are stored in them."""

from __future__ import annotations

import importlib.util
import json
import re
import resource
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = ["five-minutes", "own-data", "symmetry-breaking"]
SECONDS = 60  # of processor time; 7 to 10 each on a free core of a Zen 5


@pytest.fixture(scope="module")
def notebooks():
    pytest.importorskip("nbclient", reason="needs nbclient, as from `make install`")
    sys.path.insert(0, str(ROOT / "scripts"))
    spec = importlib.util.spec_from_file_location("notebooks", ROOT / "scripts" / "notebooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path.remove(str(ROOT / "scripts"))
    return module


def cells(name):
    stored = json.loads((ROOT / "docs" / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    return [cell for cell in stored if cell["cell_type"] == "code"]


def is_live(cell):
    return "live" in cell["metadata"].get("tags", ())


def test_all_notebooks_are_named_and_in_the_contents():
    assert sorted(path.stem for path in (ROOT / "docs" / "notebooks").glob("*.ipynb")) == NAMES
    contents = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert re.findall(r"^notebooks/(.*)$", contents, re.MULTILINE) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_stored_and_few(name):
    assert [cell["execution_count"] for cell in cells(name)] == list(range(1, len(cells(name)) + 1))
    for cell in cells(name):
        kinds = [output["output_type"] for output in cell["outputs"]]
        assert "error" not in kinds
        assert not any(output.get("name") == "stderr" for output in cell["outputs"])
        assert len(kinds) < 10  # a training is one output that is drawn again and again, and what it is judged by
        assert not (is_live(cell) and kinds)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_gives_what_it_shows(name, notebooks, tmp_path):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    stored = notebooks.nbformat.read(notebooks.FOLDER / f"{name}.ipynb", as_version=4)
    found = notebooks.executed(notebooks.FOLDER / f"{name}.ipynb", tmp_path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    differences = {source: words for source, words in notebooks.compared(stored, found) if words}
    assert not differences
    assert sum(1 for _ in notebooks.compared(stored, found)) >= 5
    for cell in found.cells:
        if cell.cell_type == "code" and is_live(cell):
            (output,) = cell.outputs
            assert re.search(r'<iframe src="http://127\.0\.0\.1:\d+/', output.data["text/html"])
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < SECONDS


def test_a_difference_is_noticed(notebooks):
    stored = notebooks.nbformat.read(notebooks.FOLDER / "own-data.ipynb", as_version=4)
    found = notebooks.nbformat.read(notebooks.FOLDER / "own-data.ipynb", as_version=4)
    assert not any(words for _, words in notebooks.compared(stored, found))
    outputs = next(
        cell.outputs for cell in found.cells if "conditional_samples" in cell.source and cell.cell_type == "code"
    )
    outputs[0].data["text/plain"] = outputs[0].data["text/plain"].replace("17000 missing", "1700 missing")
    assert [words for _, words in notebooks.compared(stored, found) if words] == ["1700.0 in the place of 17000.0"]
    outputs.clear()
    assert any("outputs [] in the place of" in words for _, words in notebooks.compared(stored, found))
