"""Tutorials run from top to bottom, and print what they say that they print."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("tutorials", ROOT / "scripts" / "tutorials.py")
tutorials = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tutorials)


SLOW = {"the-paper", "train-and-trust"}
PAGES = [
    pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if path.stem in SLOW else [])
    for path in tutorials.pages()
]


@pytest.mark.parametrize("path", PAGES)
def test_a_tutorial_prints_what_it_says(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "110")
    compared = 0
    for block, found in tutorials.run_page(path):
        if block.output is not None:
            assert tutorials.agrees(block.output, found) == "", f"{block.code}\nprinted\n{found}"
            compared += 1
    assert compared > 1


@pytest.mark.parametrize(
    ("expected", "found", "difference"),
    [
        ("gap 1.25 ± 0.1\n", "gap 1.31 ± 0.1\n", ""),
        ("gap 1.25\n", "gap 3.1\n", "3.1 in the place of 1.25"),
        ("converged: True\n", "converged: False\n", "other words"),
        ("first\n...\nlast 1\n", "first\nanything 7\nlast 9\n", ""),
        ("-66.0 nats\n", "66.0 nats\n", "66.0 in the place of -66.0"),
    ],
)
def test_outputs_are_compared(expected, found, difference):
    assert tutorials.agrees(expected, found) == difference
