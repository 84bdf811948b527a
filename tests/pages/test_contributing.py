"""The recipes of CONTRIBUTING.md, followed to the letter in a copy of the package."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "CONTRIBUTING.md"


def recipes() -> list[tuple[str, str, str]]:
    """File, place in it (empty for a new file) and code of every block that names its file in the first line."""
    found = re.findall(
        r"^```python\n# (src/\S+\.py)(?:, ([^\n]+))?\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    return [(path, place, code) for path, place, code in found]


def insert(text: str, place: str, code: str) -> str:
    """The code at its place: before a name, as the last entry of a table or a class, or at the end of a method."""
    how, name = place.rsplit(" ", 1)
    nodes = {}
    for node in ast.walk(ast.parse(text)):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        for known in [*names, getattr(node, "name", None)]:
            nodes.setdefault(known, node)
    node, lines = nodes[name], text.splitlines(keepends=True)
    if how == "before":
        at = node.lineno - 1
    elif isinstance(node, ast.ClassDef):
        at = max(part.end_lineno for part in node.body if isinstance(part, ast.AnnAssign))
    else:
        at = node.end_lineno if how == "at the end of" else node.end_lineno - 1
    return "".join([*lines[:at], code + ("\n\n" if how == "before" else ""), *lines[at:]])


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A copy of the package in which all recipes were followed."""
    root = tmp_path_factory.mktemp("contribution")
    shutil.copytree(ROOT / "src", root / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for path, place, code in recipes():
        target = root / path
        target.parent.mkdir(exist_ok=True)
        assert target.exists() == bool(place), path
        target.write_text(insert(target.read_text("utf-8"), place, code) if place else code, "utf-8")
    return root


CHECK = """
import json, sys
import rbmscape as rs
from rbmscape.cli.main import main
from rbmscape.figures.registry import figure_names
from rbmscape.report.build import write_report
from rbmscape.report.claims import CLAIMS
from rbmscape.report.evidence import Evidence

assert "largest" in figure_names()
assert CLAIMS[-1].key == "bounded-spectrum"
small = ["--image-shape", "3x3", "--hidden", "4", "--epochs", "30", "--engine", "mine", "--quiet"]
added = ["--optimizer", "adagrad", "--largest-weight", "0.02"]
assert main(["train", "bars-and-stripes", *small, *added, "--out", "run"]) == 0
run = rs.Run.open("run")
assert run.engine == "mine"
assert (run.config.optimizer, run.config.learning_rate) == ("adagrad", 0.01)
largest = float(run.load(averaged=False).weights.abs().max())
assert 0.0199 < largest <= 0.0201, largest
assert main(["norm", "run"]) == 0
how = {"n_chains": 5, "n_steps": 3, "precision": "fp32"}
mine, reference = (rs.sample(run.load(), engine=name, **how).v for name in ("mine", "reference"))
assert (mine == reference).all()
assert rs.TrainingConfig(engine="mine").engine == "mine"
plan = rs.StudyConfig(
    hidden=(3,), replicas=1, ledger=True, figures=("largest", "spectral_gap"), likelihood={"method": "exact"},
    data={"source": "bars-and-stripes", "options": {"image_shape": (3, 3)}},
    recipes={"recommended": {"epochs": 3, "optimizer": "adagrad", "engine": "reference"}},
)
study = rs.run_study(plan, "study", progress=False)
assert study.outcome.failures == {}, study.outcome.failures
page = write_report(study).read_text("utf-8")
assert "Largest singular values" in page
ledger = json.loads((study.directory / "results" / "claims.json").read_text("utf-8"))
(claim,) = [one for one in ledger["claims"] if one["key"] == "bounded-spectrum"]
assert claim["verdict"] == "holds", claim
assert "Adagrad 0.01" in Evidence.of_study(study).describe("recommended")
"""


@pytest.mark.slow
def test_every_recipe_works(package, tmp_path):
    environment = os.environ | {"PYTHONPATH": str(package / "src"), "NUMBA_CACHE_DIR": str(tmp_path / "numba")}
    done = subprocess.run(
        [sys.executable, "-c", CHECK], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "norm" in done.stdout


@pytest.mark.slow
def test_the_conformance_tests_find_and_accept_the_engine(package, tmp_path):
    environment = os.environ | {"PYTHONPATH": str(package / "src"), "NUMBA_CACHE_DIR": str(tmp_path / "numba")}
    words = [str(ROOT / "tests/kernels/test_conformance.py"), "-q", "-k", "mine", "-p", "no:cacheprovider", "-n0"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 20


def test_files_are_counted():
    """Those that each section touches, against the table."""
    text = PAGE.read_text("utf-8")
    table = dict(re.findall(r"^\| an? ([\w ]+) \| (.*) \|$", text, re.MULTILINE))
    sections = re.findall(r"^### An? ([\w ]+)\n(.*?)(?=^### |\Z)", text, re.MULTILINE | re.DOTALL)
    assert [what for what, _ in sections] == list(table)
    for what, section in sections:
        touched = set(re.findall(r"^# (src/\S+\.py)", section, re.MULTILINE))
        assert sum(map(int, re.findall(r"\d+", table[what]))) == len(touched), what
