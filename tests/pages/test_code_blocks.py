"""Every code block of README and docs runs, from top to bottom of its page, each block in a directory of its own.

What is large is made small by the substitutions below, and nothing else is changed; what cannot run here is named with
the reason.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from rbmscape.cli.main import DONE, main
from rbmscape.study.config import StudyConfig
from rbmscape.study.plan import read_plan, read_search_plan
from rbmscape.study.search_config import SearchConfig

ROOT = Path(__file__).resolve().parents[2]
ARCHIVE = ROOT / "tests" / "archives" / "0.1.0" / "study"
SMALL_PLAN = """
hidden = [3]
figures = ["likelihood"]
data = { source = "bars-and-stripes", options = { image_shape = [3, 3] } }
recipes.recommended = { epochs = 5 }
likelihood = { method = "exact" }
"""


@dataclass(frozen=True)
class Page:
    """How a page is run: replacements that make it small, and starts of commands or blocks that are not run."""

    small: tuple[tuple[str, str], ...] = ()
    not_run: dict[str, str] = field(default_factory=dict)


MNIST_IN_PYTHON = ('load_dataset("mnist")', 'load_dataset("mnist", n_train=1000, n_test=200)')
MNIST_IN_SHELL = ("--hidden 500 --epochs 10", "--hidden 12 --epochs 1 --n-train 1000 --n-test 200")
SMALL_TRAINING = ("n_hidden=500, epochs=10", "n_hidden=12, epochs=1")
NETWORK = "needs the network"
SERVES = "serves a page until it is stopped; tests/browser drives it"
PAGES = {
    "README.md": Page(
        small=(MNIST_IN_PYTHON, MNIST_IN_SHELL, SMALL_TRAINING, ("PLAN.toml --workers 2", "PLAN.toml")),
        not_run={"rbmscape explore": SERVES},
    ),
    "CONTRIBUTING.md": Page(not_run={"# src/": "runs in test_contributing.py"}),
    "docs/getting-started.md": Page(
        small=(
            MNIST_IN_PYTHON,
            MNIST_IN_SHELL,
            SMALL_TRAINING,
            ("n_chains=100, n_steps=1000", "n_chains=10, n_steps=10"),
        ),
        not_run={"git clone": NETWORK, "pip install": NETWORK},
    ),
    "docs/studies.md": Page(
        small=(
            ("hidden=(64, 256),\n    replicas=3", 'hidden=(3, 6),\n    replicas=1,\n    figures=("likelihood",)'),
            ('{"epochs": 20}', '{"epochs": 2}'),
            ('{"epochs": 20, "optimizer"', '{"epochs": 2, "optimizer"'),
            ("n_betas=1000, n_chains=500", "n_betas=20, n_chains=10"),
            (", workers=2)", ")"),
            ("sel(hidden=500)", "sel(hidden=6)"),
        ),
        not_run={
            "dask ": "needs other machines",
            "CUDA_VISIBLE_DEVICES": "needs other machines",
            "rbmscape study PLAN.toml --out /shared": "needs other machines",
            "# slurm_cluster.py": "needs Slurm",
        },
    ),
    "docs/explorer.md": Page(not_run={"rbmscape explore": SERVES}),
    "docs/adding-a-figure.md": Page(
        not_run={'"""How many modes': "test_adding_a_figure.py", "hidden = [2, 4]": "the same"}
    ),
}
LANGUAGES = {"python", "bash", "toml"}


def blocks(page: str) -> Iterator[tuple[str, str]]:
    text = (ROOT / page).read_text(encoding="utf-8")
    yield from re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def pages_with_code() -> list[str]:
    names = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
    return [name for name in names if (ROOT / name).is_file() and any(kind in LANGUAGES for kind, _ in blocks(name))]


CASES = [
    pytest.param(page, number, kind, code, id=f"{page}-{number}-{kind}")
    for page in pages_with_code()
    for number, (kind, code) in enumerate(blocks(page))
    if kind in LANGUAGES
]


def test_pages_with_exceptions_have_code():
    assert PAGES.keys() <= set(pages_with_code())


@pytest.mark.parametrize("page", PAGES)
def test_substitutions_and_exceptions_are_still_needed(page):
    code = "\n".join(code for _, code in blocks(page))
    for old, _ in PAGES[page].small:
        assert old in code, f"{page} no longer holds {old!r}"
    for start in PAGES[page].not_run:
        assert any(line.startswith(start) for line in code.splitlines()), start


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """What the pages take for granted: a plan, a data file, a finished study."""
    shutil.copytree(ARCHIVE, tmp_path / "studies" / "quick")
    (tmp_path / "PLAN.toml").write_text(SMALL_PLAN, encoding="utf-8")
    np.save(tmp_path / "spins.npy", np.random.default_rng(0).integers(0, 2, (60, 256), dtype=np.uint8))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("page", "number", "kind", "code"), CASES)
def test_block_runs(page, number, kind, code, workplace):
    how = PAGES.get(page, Page())
    for old, new in how.small:
        code = code.replace(old, new)
    if kind != "bash" and any(code.startswith(start) for start in how.not_run):
        return
    if kind == "python":
        exec(compile(code, f"{page}, block {number}", "exec"), {"__name__": "page"})
    elif kind == "toml":
        (workplace / "page.toml").write_text(code, encoding="utf-8")
        if "[search]" in code:
            assert isinstance(read_search_plan(workplace / "page.toml"), SearchConfig)
        else:
            assert isinstance(read_plan(workplace / "page.toml"), StudyConfig)
    else:
        for line in code.replace("\\\n", " ").splitlines():
            run_command(line, how.not_run)


def run_command(line: str, not_run: dict[str, str]) -> None:
    """A command of rbmscape is run, one of make is run dry."""
    words = shlex.split(line, comments=True)
    if not words or any(line.startswith(start) for start in not_run):
        return
    if words[0] == "rbmscape":
        assert main(words[1:]) == DONE, line
    else:
        assert words[0] == "make", f"{line!r} is neither run nor named as an exception"
        done = subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, env=os.environ, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
