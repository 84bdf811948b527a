"""The reference lists every public name, and every option of a plan with its meaning."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import inspect
import re
from pathlib import Path

import pytest

import rbmscape
import rbmscape.errors
from rbmscape.figures.registry import all_figures, figure_names
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


def test_every_public_name_and_member_has_a_docstring():
    pytest.importorskip("rbmscape.sklearn")
    homes = [name.rpartition(".") for names in generate.public_objects().values() for name in names]
    listed = [getattr(importlib.import_module(home), name) for home, _, name in homes]
    assert len(listed) > 90
    bare = [one for one in listed if not (one.__doc__ or "").strip()]
    for kind in filter(inspect.isclass, listed):
        members = inspect.classify_class_attrs(kind)
        ours = [one for one in members if one.defining_class.__module__.startswith("rbmscape.")]
        called = [one for one in ours if one.kind in {"method", "class method", "static method", "property"}]
        bare += [f"{kind.__name__}.{one.name}" for one in called if one.name[0] != "_" and not _said(kind, one.name)]
    assert bare == []


def _said(kind: type, name: str) -> str:
    return (inspect.getdoc(inspect.getattr_static(kind, name)) or inspect.getdoc(getattr(kind, name)) or "").strip()


def test_examples_in_docstrings_run():
    pytest.importorskip("rbmscape.sklearn")
    source = ROOT / "src"
    files = [path for path in source.rglob("*.py") if ">>>" in path.read_text(encoding="utf-8")]
    assert len(files) >= 3
    for path in files:
        module = importlib.import_module(".".join(path.relative_to(source).with_suffix("").parts))
        result = doctest.testmod(module)
        assert result.attempted > 0, path
        assert result.failed == 0, path


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
    for entry in all_figures():
        assert f"**How to read it.** {entry.spec.reading}\n" in page, entry.name
        assert len(entry.spec.reading) > 60, entry.name
        assert bool(entry.spec.printed) == bool(entry.spec.paper), entry.name
    pictures = re.findall(r"\]\(\.\./(\S+\.png)\)", page)
    assert len(pictures) > 20
    assert all((ROOT / "docs" / picture).is_file() for picture in pictures)
