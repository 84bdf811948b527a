"""The files around the code agree with each other: versions, pins, links, commands."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import rbmscape

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def requirements() -> list[Requirement]:
    lists = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    return [Requirement(line) for part in lists for line in part]


def pins() -> dict[str, str]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


def test_every_requirement_is_pinned_within_its_range():
    known = pins()
    for requirement in requirements():
        name = canonicalize_name(requirement.name)
        if name == "rbmscape":
            assert requirement.extras <= set(PROJECT["optional-dependencies"])
        else:
            assert requirement.specifier.contains(known[name]), f"{requirement} does not admit {known[name]}"


def test_torch_is_pinned_without_a_local_version():
    assert pins()["torch"] == "2.13.0"


def test_one_version_everywhere():
    citation = (ROOT / "CITATION.cff").read_text()
    assert PROJECT["version"] == rbmscape.__version__
    assert f"\nversion: {rbmscape.__version__}\n" in citation
    assert "arXiv:2503.21536" in citation
    assert '\n    doi: "10.1088/2632-2153/adf521"\n' in citation
    assert rbmscape.__version__ in (ROOT / "CHANGELOG.md").read_text()


DOCS = [path for path in (ROOT / "docs").rglob("*.md") if not {"api", "_build"} & set(path.parts)]


@pytest.mark.parametrize("page", ["README.md", *(str(path.relative_to(ROOT)) for path in DOCS)])
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text()
    links = re.findall(r"\]\(([^)#\s]+)\)|src=\"([^\"]+)\"", text)
    for link in (first or second for first, second in links):
        if not link.startswith(("https://", "mailto:")):
            assert (ROOT / page).parent.joinpath(link).exists(), f"{page} links to {link}, which does not exist"


def test_commands_of_the_readme_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"(?:^|`)make ([a-z-]+)", (ROOT / "README.md").read_text(), re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"the Makefile has no target {target}"


def test_test_files_have_unique_names():
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []
