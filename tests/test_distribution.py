"""What is installed: the core needs what it lists and nothing else, each with a reason, and conda has the same list."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
PROJECT = tomllib.loads(TEXT)["project"]
MODULES = {"arviz-stats": "arviz_stats"}
"""Names to import, where they differ from those to install."""
THROUGH_OTHERS = {"h5netcdf"}
"""What nothing here imports, since xarray does."""
OPTIONAL = {
    "dask": ("rbmscape.study.cluster",),
    "distributed": ("rbmscape.study.cluster",),
    "pyarrow": (),
    "sklearn": ("rbmscape.interop", "rbmscape.sklearn"),
    "tensorboard": (),
    "triton": ("rbmscape.kernels",),
    "rbms": (),
    "IPython": ("rbmscape.explorer",),
}
"""Modules of extras, and which parts of the package may name them; all others are refused."""
NEEDED_AT_ONCE = {"sklearn": ("rbmscape.interop", "rbmscape.sklearn"), "triton": ("rbmscape.kernels.cuda",)}
"""Parts that are there for an extra, and import it when they are imported."""


IMPORT = re.compile(r"^( *)(?:import (\w+)|from (\w+)[\w.]* import )", re.MULTILINE)


def imported(path: Path) -> set[tuple[str, bool]]:
    """Top names that a module imports, and whether that happens when it is imported itself."""
    found = IMPORT.findall(path.read_text(encoding="utf-8"))
    return {(first or second, not indent) for indent, first, second in found}


@cache
def foreign() -> dict[str, set[tuple[str, bool]]]:
    """Module of the package to what it imports from elsewhere than the standard library."""
    source = ROOT / "src"
    known = sys.stdlib_module_names | {"rbmscape"}
    return {
        ".".join(path.relative_to(source).with_suffix("").parts): {one for one in imported(path) if one[0] not in known}
        for path in (source / "rbmscape").rglob("*.py")
    }


def core() -> dict[str, Requirement]:
    """Requirements of the core by the name of their module."""
    parts = [Requirement(line) for line in PROJECT["dependencies"]]
    return {MODULES.get(part.name, part.name): part for part in parts}


def test_the_core_imports_what_it_lists_and_lists_what_it_imports():
    used = {name for names in foreign().values() for name, _ in names}
    assert used - set(OPTIONAL) - set(core()) == set()
    assert set(core()) - used == THROUGH_OTHERS


def test_every_requirement_has_a_reason_beside_it():
    block = re.search(r"^dependencies = \[.*?^\]", TEXT, re.MULTILINE | re.DOTALL).group()
    reasons = dict(re.findall(r'^    "([\w-]+)[^"]*", # (.+)$', block, re.MULTILINE))
    assert set(reasons) == {part.name for part in core().values()}


def test_extras_are_named_only_where_they_belong_and_late():
    for module, names in foreign().items():
        for name, at_once in names:
            if name in OPTIONAL:
                assert module.startswith(OPTIONAL[name] or ("none",)) or not at_once, f"{module} imports {name}"
                if at_once:
                    assert module.startswith(NEEDED_AT_ONCE[name]), f"{module} imports {name} when it is imported"


@pytest.mark.slow
def test_every_module_is_imported_without_any_extra():
    program = f"""
import importlib, importlib.abc, pkgutil, sys
blocked, allowed = {set(OPTIONAL)!r}, {NEEDED_AT_ONCE!r}
class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
import rbmscape
count = 0
for found in pkgutil.walk_packages(rbmscape.__path__, "rbmscape."):
    if found.name.endswith("__main__"):
        continue
    try:
        importlib.import_module(found.name)
        count += 1
    except (ModuleNotFoundError, rbmscape.RbmscapeError) as error:
        missing = error if isinstance(error, ModuleNotFoundError) else error.__cause__
        top = (missing.name or "").partition(".")[0]
        if not found.name.startswith(allowed.get(top, ("none",))):
            raise
print(count)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 200


CONDA = {"torch": "pytorch", "matplotlib": "matplotlib-base"}


def test_the_conda_recipe_has_the_same_version_and_ranges():
    text = (ROOT / "conda" / "recipe.yaml").read_text(encoding="utf-8")
    assert f'\n  version: "{PROJECT["version"]}"\n' in text
    (run,) = re.findall(r"^  run:\n((?:    - .+\n)+)", text, re.MULTILINE)
    (host,) = re.findall(r"^  host:\n((?:    - .+\n)+)", text, re.MULTILINE)
    wanted = {CONDA.get(part.name, canonicalize_name(part.name)): str(part.specifier) for part in core().values()}
    wanted["python"] = PROJECT["requires-python"]
    found = dict(line.removeprefix("    - ").split(" ") for line in run.splitlines())
    assert found == wanted
    build = Requirement(tomllib.loads(TEXT)["build-system"]["requires"][0])
    assert f"- {build.name} {build.specifier}\n" in host
    assert f"- python {PROJECT['requires-python']}\n" in host
