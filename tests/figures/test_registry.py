"""Figures are found by looking at the folder, say what they need, and refuse options that they do not have."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import rbmscape.figures
from rbmscape.errors import ConfigError, InputError
from rbmscape.figures.material import Material, RunKey, main_size
from rbmscape.figures.registry import all_figures, figure_names, select
from rbmscape.figures.spec import FigureOptions, FigureSpec
from rbmscape.recipe import Recipe


@pytest.mark.parametrize("entry", all_figures(), ids=lambda entry: entry.name)
def test_every_entry_has_its_functions_and_words(entry):
    module = import_module(entry.module)
    assert all(callable(getattr(module, name)) for name in ("for_study", "draw", "alt_text"))
    assert entry.spec.title
    assert len(entry.spec.caption) > 40
    assert entry.spec.caption == " ".join(entry.spec.caption.split())
    assert issubclass(entry.spec.options, Recipe)
    if entry.spec.analysis is not None and set(entry.spec.analysis) != {"run", "data"}:
        assert callable(module.for_model), "for_study needs a run and data"


def test_every_module_that_declares_a_figure_is_found_and_no_other():
    folder = Path(rbmscape.figures.__file__).parent
    modules = {file.stem: import_module(f"rbmscape.figures.{file.stem}") for file in folder.glob("[!_]*.py")}
    declared = {name for name, module in modules.items() if isinstance(getattr(module, "SPEC", None), FigureSpec)}
    assert set(figure_names()) == declared
    assert {"gallery", "transitions"} <= declared
    assert "style" not in declared


def test_figures_stand_in_the_order_of_the_paper_and_then_the_others():
    orders = [entry.spec.order for entry in all_figures()]
    assert orders == sorted(set(orders)), "two figures claim the same place"
    numbers = [entry.spec.paper for entry in all_figures()]
    count = sum(map(bool, numbers))
    assert numbers[:count] == sorted(filter(None, numbers))
    assert not any(numbers[count:])
    assert {entry.spec.section for entry in all_figures()[:count]} == {"The paper's figures"}


def test_finding_the_figures_imports_no_plotting_library():
    words = (
        "import sys; from rbmscape.figures.registry import all_figures, figure_names;"
        "assert 'rbmscape.figures.gallery' not in sys.modules and figure_names();"
        "assert 'rbmscape.figures.gallery' not in sys.modules, 'names are found without importing';"
        "all_figures(); assert 'rbmscape.figures.gallery' in sys.modules;"
        "assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", words], check=True, timeout=120)


def test_names_are_unique_and_mistyped_ones_refused():
    assert len({entry.name for entry in all_figures()}) == len(all_figures())
    assert [entry.name for entry in select(["gallery", "likelihood"])] == ["gallery", "likelihood"]
    with pytest.raises(ConfigError, match="did you mean 'likelihood'"):
        select(["likelyhood"])


def test_options_are_checked_with_the_nearest_one():
    gallery, likelihood = select(["gallery", "likelihood"])
    assert gallery.options({"n_samples": 3})[0].n_samples == 3
    assert likelihood.options({}) == (FigureOptions(), {})
    with pytest.raises(ConfigError, match="the figure gallery has no key 'n_sample'; did you mean 'n_samples'"):
        gallery.options({"n_sample": 3})
    with pytest.raises(ConfigError, match="the figure gallery's n_samples cannot be 0"):
        gallery.options({"n_samples": 0})
    with pytest.raises(ConfigError, match="'likelihood' has no options, found 'sampling'"):
        likelihood.options({"sampling": {}})  # it shows no samples


MAP = """
from rbmscape.figures.spec import FigureSpec
MAP = FigureSpec("A map", "Where things are, as dots.", samples="main")
def for_study(material): return material.seed
def draw(dataset): return dataset
def alt_text(dataset): return str(dataset)
"""


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Modules of somebody else."""
    package = tmp_path / "somebody_s_figures"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "map.py").write_text(MAP.replace("MAP =", "SPEC ="))
    (package / "maps.py").write_text(MAP)
    (package / "broken.py").write_text("import no_such_package_at_all")
    (package / "half.py").write_text(MAP.replace("MAP =", "SPEC =").replace("def draw", "def paint"))
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("elsewhere")
def test_figures_of_others_are_named_by_their_module():
    plain, named = select(["somebody_s_figures.map", "somebody_s_figures.maps:MAP"])
    assert plain.spec.title == named.spec.title == "A map"
    assert plain.compute(Material(None, {}, None, seed=7)) == 7
    assert (plain.stem, named.stem) == ("somebody_s_figures.map", "somebody_s_figures.maps.MAP")
    assert plain.spec.order > max(entry.spec.order for entry in all_figures())


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("somebody_s_figures.broken", "cannot be imported .*no_such_package_at_all.*PYTHONPATH"),
        ("somebody_s_figures.none", "cannot be imported .*PYTHONPATH"),
        ("somebody_s_figures.maps", "has no FigureSpec called SPEC"),
        ("somebody_s_figures.half", "has no function draw"),
    ],
)
def test_modules_that_are_no_figures_are_refused(name, words):
    with pytest.raises(ConfigError, match=words):
        select([name])


def test_the_main_size_is_the_one_nearest_to_the_papers():
    assert main_size((100, 784, 1200)) == 784
    assert main_size((400, 600)) == 400


def test_material_finds_runs_by_size():
    runs = {RunKey(recipe, hidden, replica): f"{recipe}{hidden}{replica}" for recipe in ("main", "other")
            for hidden in (784, 400) for replica in (1, 0)}  # fmt: skip
    material = Material(dataset=None, runs=runs, result=lambda name: name)
    assert material.hidden() == (400, 784)
    assert material.replicas(784) == ("main7840", "main7841")
    assert material.run() == "main4000"
    assert material.replicas(400, "other") == ("other4000", "other4001")
    with pytest.raises(InputError, match="has no run with M = 5; it has M = 400, 784"):
        material.run(5)


def test_run_names_leave_out_the_default_recipe():
    assert str(RunKey("recommended", 500, 0)) == "M0500-r0"
    assert str(RunKey("adam", 3000, 4)) == "adam-M3000-r4"
