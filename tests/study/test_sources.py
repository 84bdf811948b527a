"""No stale results: what an edit of the source makes again, and what it leaves."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

import rbmscape
from rbmscape.errors import ConfigError
from rbmscape.figures.registry import all_figures, figure_names
from rbmscape.study import graph as graphs
from rbmscape.study import study as studies
from rbmscape.study.graph import build_graph
from rbmscape.study.sources import Sources, present_sources
from rbmscape.study.study import run_study

PACKAGE = Path(rbmscape.__file__).parent
STYLE, BREAKING = "figures/style.py", "figures/symmetry_breaking.py"


@pytest.fixture(scope="module")
def every_figure(tiny_plan):
    return tiny_plan.replace(figures=figure_names(), figure_options={})


@pytest.fixture(scope="module")
def dataset(tiny_plan):
    return tiny_plan.data.load()


@pytest.fixture
def edited(tmp_path):
    """Sources of a copy of the package in which one file was edited."""
    shutil.copytree(PACKAGE, tmp_path / "rbmscape", ignore=shutil.ignore_patterns("mnist", "__pycache__"))

    def edit(file: str, old: str = "", new: str = "") -> Sources:
        path = tmp_path / "rbmscape" / file
        text = path.read_text(encoding="utf-8")
        assert old in text
        changed = text.replace(old, new, 1) if old else f"{text}\n# another comment\n"
        path.write_text(changed, encoding="utf-8")
        return Sources(tmp_path / "rbmscape")

    return edit


@pytest.fixture
def changes(every_figure, dataset, edited):
    """Names of the tasks that an edit makes again."""

    def found(*edit: str) -> set[str]:
        before, after = build_graph(every_figure, dataset), build_graph(every_figure, dataset, edited(*edit))
        return {task.name for task in after if task.fingerprint != before.tasks[task.name].fingerprint}

    return found


def kinds(names):
    return {name.split("/")[0] for name in names}


def test_the_same_files_elsewhere_are_the_same_sources(every_figure, dataset, tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "rbmscape", ignore=shutil.ignore_patterns("mnist"))
    again = build_graph(every_figure, dataset, Sources(tmp_path / "rbmscape"))
    assert [task.fingerprint for task in again] == [task.fingerprint for task in build_graph(every_figure, dataset)]


def test_an_edit_of_the_style_draws_all_again_and_computes_none(changes):
    assert changes(STYLE) == {f"figure/{entry.name}" for entry in all_figures()}


def test_an_edit_of_one_figure_makes_what_is_computed_by_it_again(changes):
    both = ("symmetry_breaking", "symmetry_breaking_sizes")
    expected = {f"{kind}/{name}" for kind in ("compute", "figure") for name in both}
    assert changes(BREAKING, "leading=max(8,", "leading=max(9,") == expected


def test_an_edit_of_a_drawing_computes_nothing_again(changes):
    assert changes(BREAKING, "panel_letters(axes)", "panel_letters(axes[:1])") == {
        "figure/symmetry_breaking",
        "figure/symmetry_breaking_sizes",
    }


def test_an_edit_of_physics_makes_again_what_imports_it_also_within_functions(changes):
    found = changes("symmetry/landau.py")
    assert {"compute/landau_wells", "compute/centres", "figure/landau_wells"} <= found
    assert not {"compute/gallery", "compute/spectral_gap", "figure/gallery"} & found
    assert kinds(found) == {"compute", "figure"}


def test_an_edit_of_the_samples_makes_samples_and_figures_again(changes):
    found = changes("sampling/tempering.py")
    assert kinds(found) >= {"samples", "compute", "figure"}
    assert not any(name.startswith("train/") for name in found)


def test_kernels_count_by_their_contract_and_not_by_their_source(changes):
    assert changes("kernels/select.py") == set()
    found = changes("kernels/__init__.py", "NUMERIC_CONTRACT = ", "NUMERIC_CONTRACT = 10")
    assert kinds(found) == {"likelihood", "samples", "quality", "compute", "figure", "results"}


def test_training_counts_by_its_contract_too(changes, every_figure, dataset):
    assert changes("training/trainer.py") == set()
    found = changes("training/__init__.py", "NUMERIC_CONTRACT = ", "NUMERIC_CONTRACT = 10")
    assert found == {task.name for task in build_graph(every_figure, dataset)} - {"results/baselines"}
    present = present_sources()
    contracts = [present.number(f"rbmscape.{part}", "NUMERIC_CONTRACT") for part in ("kernels", "training")]
    assert contracts[0] <= contracts[1], "where kernels give other numbers, training does"


def test_what_computes_needs_no_look(every_figure):
    """Nothing that draws is behind the data of a figure, nor what only hands out tasks or reports."""
    for entry in all_figures():
        behind = present_sources().reached(entry.module, ("for_study", "Options"))
        assert "rbmscape.figures.style" not in behind, entry.name
        assert not any(re.match(r"rbmscape\.(study|report|cli)\b", module) for module in behind), entry.name
        assert {"rbmscape.runs.run", "rbmscape.model.rbm"} <= behind, entry.name
        assert "rbmscape.figures.style" in present_sources().reached(entry.module), entry.name


def redone(plan, directory, monkeypatch, sources):
    """Names of the tasks that a study does again when its code is this."""
    for module in (graphs, studies):
        monkeypatch.setattr(module, "present_sources", lambda: sources)
    study = run_study(plan, directory, progress=False)
    outcome = study.outcome
    assert outcome.failures == {}
    assert len(study.figures()) == 2
    return set(outcome.computed)


def test_a_study_is_extended_after_edits_without_training_again(tiny_plan, tmp_path, monkeypatch, edited):
    directory = tmp_path / "study"
    run_study(tiny_plan, directory, progress=False)
    data = (directory / "figures" / "gallery.nc").stat().st_mtime_ns
    assert redone(tiny_plan, directory, monkeypatch, edited(STYLE)) == {"figure/likelihood", "figure/gallery"}
    assert (directory / "figures" / "gallery.nc").stat().st_mtime_ns == data
    code = edited("figures/gallery.py", "groups = [np.asarray(pool[picks])]", "groups = [np.array(pool[picks])]")
    assert redone(tiny_plan, directory, monkeypatch, code) == {"compute/gallery", "figure/gallery"}
    samples = {path.name for path in (directory / "results" / "samples").iterdir()}
    found = redone(tiny_plan, directory, monkeypatch, edited("sampling/tempering.py"))
    assert {name for name in found if name.startswith("samples/")} == {
        name for name in (task.name for task in build_graph(tiny_plan, tiny_plan.data.load())) if "samples/" in name
    }
    assert samples.isdisjoint(path.name for path in (directory / "results" / "samples").iterdir())
    assert not any(name.startswith("train/") for name in found)


def test_runs_of_two_numeric_contracts_are_not_mixed(tiny_plan, tmp_path, monkeypatch, edited):
    directory = tmp_path / "study"
    run_study(tiny_plan, directory, progress=False)
    other = edited("training/__init__.py", "NUMERIC_CONTRACT = ", "NUMERIC_CONTRACT = 10")
    monkeypatch.setattr(graphs, "present_sources", lambda: other)
    outcome = run_study(tiny_plan, directory, progress=False).outcome
    assert outcome.computed == ()
    assert "whose numbers differ from today's" in outcome.failures["train/M0002-r0"]
    outcome = run_study(tiny_plan, directory, progress=False, overwrite=True).outcome
    assert outcome.failures == {}


FIGURE = """
import math
from . import helper
from .words import WORDS as said
from rbmscape.figures.spec import FigureSpec
from rbmscape.figures.style import new_figure
import rbmscape

SPEC = FigureSpec("A title", "A caption")
FACTOR = 2

def for_study(material):
    from rbmscape import Modes
    return _inner(FACTOR)

def _inner(number):
    return helper.double(number)

def draw(dataset):
    return new_figure()[0]

def alt_text(dataset):
    return said
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with a figure, whose files can be changed, and what its figure then follows from."""
    folder = tmp_path / "own_figures"
    folder.mkdir()
    files = {"__init__.py": "", "one.py": FIGURE, "helper.py": "def double(x): return 2 * x", "words.py": "WORDS = ''"}
    monkeypatch.syspath_prepend(tmp_path)

    def marks(**changed: str) -> tuple[str, str]:
        for name, text in files.items():
            (folder / name).write_text(changed.get(name.removesuffix(".py"), text))
        sys.modules.pop("own_figures", None)
        sources = Sources(PACKAGE)
        return sources.of_functions("own_figures.one", "for_study", "Options"), sources.of_module("own_figures.one")

    return marks


def test_figures_of_others_follow_from_their_package_and_from_ours(package):
    data, picture = package()
    assert package() == (data, picture)
    assert package(one=FIGURE.replace("FACTOR = 2", "FACTOR = 3"))[0] != data
    assert package(helper="def double(x): return x + x")[0] != data
    new_words = package(words="WORDS = 'new'")
    assert new_words[0] == data, "only the picture's words follow from them"
    assert new_words[1] != picture
    reached = Sources(PACKAGE).reached("own_figures.one", ("for_study",))
    assert {"own_figures.helper", "rbmscape.reciprocal.modes"} <= reached
    assert "rbmscape.figures.style" not in reached


def test_a_module_without_source_is_refused():
    with pytest.raises(ConfigError, match=r"source of no_such_figures was not found"):
        Sources(PACKAGE).of_module("no_such_figures.one")
    with pytest.raises(ConfigError, match=r"module rbmscape\.figures\.none was not found"):
        Sources(PACKAGE).of_module("rbmscape.figures.none")
