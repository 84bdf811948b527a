"""Displayed equations lead to the code that computes them and to tests that hold it."""

from __future__ import annotations

import importlib.util
import inspect
import pydoc
import re
from pathlib import Path

import pytest

from rbmscape.report.errata import ERRATA

ROOT = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
generate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate)

PAGES = {name: (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("theory", "instruments")}
LINKS = re.compile(r"^> \*Code:\* (.*)\n> \*Tests:\* (.*)$", re.MULTILINE)
PUBLIC, INTERNAL, TEST = r"\{py:obj\}`\.([\w.]+)`", r"(?<!\})`(rbmscape\.[\w.]+)`", r"\{ref\}`(test_\w+)`"


def equations(page: str):
    """Every displayed equation with the links between it and the next one, or the next heading."""
    parts = re.split(r"^\$\$\n(.*?)^\$\$\n", page, flags=re.MULTILINE | re.DOTALL)
    for equation, after in zip(parts[1::2], parts[2::2], strict=True):
        yield equation, LINKS.search(re.split(r"^#", after, maxsplit=1, flags=re.MULTILINE)[0])


CASES = [
    pytest.param(equation, links, id=f"{name}-{number}")
    for name, page in PAGES.items()
    for number, (equation, links) in enumerate(equations(page))
]


@pytest.mark.parametrize(("equation", "links"), CASES)
def test_an_equation_leads_to_code_and_to_tests_of_it(equation, links):
    assert links, f"nothing is linked to {equation}"
    public, internal = re.findall(PUBLIC, links[1]), re.findall(INTERNAL, links[1])
    assert len(public + internal) == links[1].count("`") // 2
    names = [f"rbmscape.{name}" for name in public] + internal
    assert [name for name in names if not inspect.getdoc(pydoc.locate(name))] == []
    tests = re.findall(TEST, links[2])
    assert len(tests) == links[2].count("`") // 2 > 0
    used = {part for name in names for part in name.split(".")[-2:]}
    for test in tests:
        (path,) = generate.test_files()[test]
        assert used & set(re.findall(r"\w+", (ROOT / path).read_text(encoding="utf-8"))), f"{test} is not about {names}"


def test_equations_that_docstrings_cite_stand_on_the_page_with_the_functions():
    tags = {int(n) for tag in re.findall(r"\\tag\{([\d, ]+)\}", PAGES["theory"]) for n in tag.split(", ")}
    cited = generate.cited_equations()
    assert cited.keys() <= tags
    assert "{include} api/_cited.md" in PAGES["theory"]
    rows = dict(re.findall(r"^\| \((\d+)\) \| (.*) \|$", generate.cited_fragment(), re.MULTILINE))
    assert {int(number): re.findall(PUBLIC, names) for number, names in rows.items()} == cited
    assert "RBM.energy" in cited[3]
    assert cited[10] == ["RBM.hidden_probability", "BernoulliRBM.transform"]


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        ("the mean field (eq. 26), 2 with a reaction term", {26}),
        ("equations 10 and 11; eqs. 16, 19", {10, 11, 16, 19}),
        ("Equations (52) to (55)", {52, 55}),
        ("10 equations", set()),
    ],
)
def test_citations_are_read(words, numbers):
    assert generate._cited(words) == numbers


def test_the_errata_of_the_page_are_those_that_are_measured():
    assert "{include} api/_errata.md" in PAGES["theory"]
    table = generate.errata_fragment()
    assert len(table.splitlines()) == 2 + len(ERRATA)
    for erratum in ERRATA:
        assert f"| {erratum.where} | " in table
    page = generate.equation_tests_page()
    named = set(re.findall(TEST, table + "".join(PAGES.values())))
    assert set(re.findall(r"^\((test_\w+)\)=$", page, re.MULTILINE)) == named
