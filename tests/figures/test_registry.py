"""The registry of figures keeps its promises for every entry."""

from __future__ import annotations

from importlib import import_module

import pytest

from rbmscape.errors import ConfigError, InputError
from rbmscape.figures.material import Material, RunKey
from rbmscape.figures.registry import FIGURES, select


@pytest.mark.parametrize("entry", FIGURES, ids=lambda entry: entry.name)
def test_every_entry_has_its_functions_and_words(entry):
    module = import_module(entry.home)
    assert all(callable(getattr(module, name)) for name in ("for_study", "draw", "alt_text"))
    assert entry.title
    assert len(entry.caption) > 40
    assert len(entry.source_hash()) == 64


def test_names_are_unique_and_mistyped_ones_refused():
    assert len({entry.name for entry in FIGURES}) == len(FIGURES)
    assert [entry.name for entry in select(["gallery", "likelihood"])] == ["gallery", "likelihood"]
    with pytest.raises(ConfigError, match="did you mean 'likelihood'"):
        select(["likelyhood"])


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
