"""The reference lists every public name, and every option of a plan with its meaning."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

import rbmscape
import rbmscape.errors
from rbmscape.figures.registry import figure_names
from rbmscape.runs.config import TrainingConfig
from rbmscape.study.config import StudyConfig

ROOT = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
generate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate)


def test_every_public_name_is_listed():
    sklearn = pytest.importorskip("rbmscape.sklearn")
    listed = [line.strip().removeprefix("~") for line in generate.reference_page().splitlines() if "~" in line]
    names = [name.rpartition(".")[2] for name in listed]
    assert set(rbmscape.__all__) - {"__version__"} <= set(names)
    assert set(rbmscape.errors.__all__) | set(sklearn.__all__) <= set(names)
    assert len(listed) == len(set(listed))


def test_every_public_name_has_a_docstring():
    for name in rbmscape.__all__:
        assert name == "__version__" or (getattr(rbmscape, name).__doc__ or "").strip(), name


def test_every_option_of_a_plan_has_its_meaning():
    page = generate.plan_options_page()
    rows = re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \|$", page, re.MULTILINE)
    assert [name for name, _, words in rows if len(words) < 4] == []
    named = {name for name, _, _ in rows}
    assert named >= TrainingConfig.model_fields.keys() | StudyConfig.model_fields.keys()
    assert ("gibbs_steps", "`10`") in {(name, default) for name, default, _ in rows}


def test_the_gallery_has_every_figure():
    page = generate.gallery_page()
    assert set(re.findall(r"^`(\w+)`, ", page, re.MULTILINE)) == set(figure_names())
    pictures = re.findall(r"\]\(\.\./(\S+\.png)\)", page)
    assert len(pictures) > 20
    assert all((ROOT / "docs" / picture).is_file() for picture in pictures)
