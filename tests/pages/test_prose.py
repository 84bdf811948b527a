"""Numbers and names in README and docs are those of the code."""

from __future__ import annotations

import importlib
import pkgutil
import re
import tomllib
from pathlib import Path

import pytest

import rbmscape
from rbmscape.report.claims import CLAIMS
from rbmscape.study.profiles import PROFILES, profile

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["README.md", "docs/getting-started.md"])
def test_machines_of_the_quick_profile_are_counted(name):
    count = len(list(profile("quick").run_keys()))
    assert re.findall(r"trains (\w+) machines", page(name)) == [WORDS[count]]


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md"])
def test_claims_are_counted(name):
    assert re.findall(r"(\d+) (?:of its )?statements", page(name)) == [str(len(CLAIMS))]


def test_profiles_are_described_with_their_sizes():
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", page("docs/studies.md"), re.MULTILINE))
    assert rows.keys() == PROFILES.keys()
    for name in ("quick", "laptop"):
        plan = profile(name)
        sizes = re.search(r"M = ([\d, and]+)", rows[name])
        assert tuple(int(size) for size in re.findall(r"\d+", sizes[1])) == plan.hidden
        assert f"{WORDS[plan.replicas]} replicas" in rows[name]


def test_extras_are_those_that_do_something():
    """Every extra for users is described, and the package or its pages use what it installs."""
    project = tomllib.loads(page("pyproject.toml"))["project"]
    ours = ("bench", "dev", "docs")
    extras = {name: parts for name, parts in project["optional-dependencies"].items() if name not in ours}
    described = re.search(r"Optional parts are extras: (.*?)\.\n\n", page("docs/getting-started.md"), re.DOTALL)[1]
    assert set(re.findall(r"`(\w+)`", described)) == extras.keys()
    used = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    used += page("docs/studies.md")
    for name, parts in extras.items():
        packages = [re.split(r"[\[>=]", part)[0].replace("-", "_") for part in parts]
        assert all(package in used or package.replace("_", "-") in used for package in packages), name


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "docs/getting-started.md", "docs/quality.md"])
def test_names_of_the_package_can_be_imported_from_it(name):
    """What a page calls by its bare name is exported, unless the page says where it is."""
    homes = {}
    modules = {info.name for info in pkgutil.walk_packages(rbmscape.__path__, "rbmscape.")}
    for home in modules - {"rbmscape.__main__", "rbmscape.errors"}:
        module = importlib.import_module(home)
        homes |= dict.fromkeys(getattr(module, "__all__", ()), home)
    named = {word.split(".")[0] for word in re.findall(r"`([A-Za-z_]\w*(?:\.\w+)?)(?:\([^`]*\))?`", page(name))}
    named = {word for word in named if "_" in word or word != word.lower()}  # others are words of the language, too
    assert {word: homes[word] for word in named & homes.keys() - set(rbmscape.__all__)} == {}


def test_the_first_screen_says_what_the_package_is_not():
    assert "for bits, and bits only" in " ".join(README.splitlines()[:12])


def test_the_readme_has_one_table_and_one_picture_of_quality():
    section = README.split("## Quality")[1].split("\n## ")[0]
    assert len(re.findall(r"^\|---", section, re.MULTILINE)) == 1
    assert len(re.findall(r"^!\[", section, re.MULTILINE)) == 1
    assert len(README.splitlines()) < 130
