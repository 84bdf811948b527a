"""Every figure of several kinds of data: no words over words, over data or off the page, nothing cut, units named.

The checks themselves are in `layout`; each has a figure here that it must find fault with.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
import xarray as xr
from layout import faults

from rbmscape import TrainingConfig, load_dataset, train
from rbmscape.data.dataset import Dataset
from rbmscape.data.sizes import rescaled
from rbmscape.errors import RbmscapeError
from rbmscape.figures.material import Material, RunKey
from rbmscape.figures.mosaic import is_image
from rbmscape.figures.registry import all_figures
from rbmscape.figures.style import goes_on, legend_below, log_axis, new_figure, print_style
from rbmscape.runs.samples import run_samples

OPTIONS = {
    "inpainting": {"n_samples": 6, "n_drawn": 2, "budget": 1e8},
    "gallery": {"n_samples": 6},
    "landscapes": {"n_points": 60},
    "random_spectra": {"hidden": [8, 16], "n_simulations": 9},
    "kurtosis": {"hidden": [8, 16, 32], "n_states": 500},
    "gaussianity": {"n_states": 300},
    "evolution": {"n_data": 100},
    "rotational_symmetry": {"n_null": 3, "n_rotations": 2},
    "symmetry_breaking": {"n_data": 100},
    "symmetry_breaking_sizes": {"n_data": 100},
    "mode_potentials": {"n_starts": 6, "n_points": 61},
    "relaxation": {"n_checkpoints": 2, "mode_indices": (0, 5), "n_gaussian": 60, "n_chains": 10, "n_steps": 50},
    "diffused_images": {"n_chains": 20, "n_shown": 6, "time": 0.5},
    "finite_size": {"sides": (5, 7), "n_chains": 60, "burn_in": 20, "n_draws": 3, "thin": 3},
    "slowing": {"n_modes": 1, "n_checkpoints": 3, "n_chains": 40, "n_steps": 60, "burn_in": 20},
    "recovery": {"n_visible": 40, "strengths": (6.0,), "n_replicas": 2},
    "tree": {"n_samples": 40, "n_checkpoints": 4},
    "hysteresis": {"n_checkpoints": 3, "n_fields": 15},
    "overlaps": {"n_bins": 11},
    "couplings": {"n_links": 20},
    "spins": {"n_checkpoints": 3, "n_blocks": 5},
}


@dataclass(frozen=True)
class Study:
    """What the figures are made of, and how many of them its data must be able to show."""

    material: Material
    fewest: int


def recipe(hidden: int, seed: int = 0, **changes):
    base = {
        "n_hidden": hidden, "epochs": 6, "batch_size": 50, "n_chains": 50, "learning_rate": 0.2, "clip": 0,
        "schedule": "constant", "averaging": 0, "gibbs_steps": 1, "early_checkpoints": 5, "seed": seed,
        "checkpoint_epochs": (2, 4, 6),
    }  # fmt: skip
    return TrainingConfig(**(base | changes))


def made(folder, data: Dataset, plans: dict[RunKey, TrainingConfig], fewest: int) -> Study:
    runs = {key: train(data, plan, folder / str(key), progress=False) for key, plan in plans.items()}
    sampler = partial(run_samples, budget=3e8, n_chains=12, cache=folder / "samples")
    return Study(Material(data, runs, partial(likelihoods, runs), seed=1, sampler=sampler), fewest)


def likelihoods(runs: dict[RunKey, object], _name: str) -> xr.Dataset:
    """Brackets as a study collects them: some converged, some estimates alone, some missing."""
    hidden = sorted({key.hidden for key in runs})
    replicas, updates = sorted({key.replica for key in runs}), next(iter(runs.values())).updates[-4:]
    shape = (1, len(hidden), len(replicas), len(updates))
    value = -70.0 + np.arange(np.prod(shape), dtype=float).reshape(shape)
    bound = np.where(np.arange(len(updates)) % 2, np.nan, 1.0) * np.ones(shape)
    axes = ("recipe", "hidden", "replica", "update")
    epoch = np.linspace(0, 6, len(updates)) * np.ones(shape)
    columns = {
        "log_likelihood": value, "stderr": np.full(shape, 0.3), "epoch": epoch, "lower": value - 2 * bound,
        "upper": value + bound, "lower_stderr": 0.1 * bound, "upper_stderr": 0.1 * bound,
        "converged": np.where(np.isfinite(bound), np.arange(len(updates)) % 4 == 0, np.nan),
    }  # fmt: skip
    return xr.Dataset(
        {name: (axes, values) for name, values in columns.items()},
        {"recipe": [next(iter(runs)).recipe], "hidden": hidden, "replica": replicas, "update": list(updates)},
    )


def digits(n_train: int = 400) -> Dataset:
    return load_dataset("mnist", n_train=n_train, n_test=100)


def study_of_digits(folder) -> Study:
    """Two sizes, two replicas, a second method."""
    plans = {
        RunKey("recommended", 8, 0): recipe(8),
        RunKey("recommended", 16, 0): recipe(16),
        RunKey("recommended", 16, 1): recipe(16, 1),
        RunKey("cd", 16, 0): recipe(16, method="cd"),
    }
    return made(folder, rescaled(digits(), (14, 14)), plans, 30)


def small_images(folder) -> Study:
    """One run on images of 8 x 8 pixels without labels."""
    data = replace(rescaled(digits(), (8, 8)), train_labels=None, test_labels=None)
    return made(folder, data, {RunKey("recommended", 12, 0): recipe(12)}, 28)


def named_columns(folder) -> Study:
    """One run on 30 named columns that are no image."""
    planted = load_dataset("planted", n_visible=30, rank=2, strengths=[8, 5], n_train=400, n_test=100, seed=1)
    data = replace(planted, columns=tuple(f"question {number} of 30" for number in range(1, 31)))
    return made(folder, data, {RunKey("recommended", 12, 0): recipe(12)}, 26)


def one_line(folder) -> Study:
    """One run on "images" of a single line of 120 pixels, which are none."""
    planted = load_dataset("planted", n_visible=120, rank=1, strengths=[8], n_train=300, n_test=100, seed=1)
    return made(folder, replace(planted, image_shape=(1, 120)), {RunKey("recommended", 10, 0): recipe(10)}, 26)


def one_checkpoint(folder) -> Study:
    """One run with a single checkpoint."""
    data = load_dataset("bars-and-stripes", image_shape=(4, 4))
    short = recipe(6, epochs=1, batch_size=10, early_checkpoints=0, checkpoint_epochs=(1,))
    return made(folder, data, {RunKey("recommended", 6, 0): short}, 10)


KINDS: dict[str, Callable[..., Study]] = {
    one.__name__: one for one in (study_of_digits, small_images, named_columns, one_line, one_checkpoint)
}


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """Each kind of study, trained when it is first asked for."""
    known: dict[str, Study] = {}

    def get(kind: str) -> Study:
        if kind not in known:
            known[kind] = KINDS[kind](tmp_path_factory.mktemp(kind))
        return known[kind]

    return get


QUICK = ("study_of_digits", "one_checkpoint")


@pytest.mark.parametrize(
    "kind", [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS]
)
def test_every_figure_of_every_kind_of_data(studies, kind):
    study = studies(kind)
    found, count = [], 0
    for entry in all_figures():
        options, sampling = entry.options(OPTIONS.get(entry.name, {}))
        try:
            dataset = entry.compute(replace(study.material, options=options, sampling=sampling))
        except RbmscapeError:
            continue
        count += 1
        found += [f"{entry.name}: {fault}" for fault in faults(entry.draw(dataset))]
        words = entry.alt_text(dataset)
        if study.material.dataset.train_labels is None and " class" in words:
            found.append(f"{entry.name}: its words name classes where there are none: {words}")
        if not is_image(study.material.dataset.image_shape or (0, 0)) and re.search("pixel|image|picture", words):
            found.append(f"{entry.name}: its words name pictures where there are none: {words}")
    assert found == []
    assert count >= study.fewest, f"only {count} figures could be made"


def drawn(**limits):
    """A clean figure: one labelled curve, and its limits."""
    figure, axes = new_figure()
    panel = axes[0, 0]
    panel.plot([1.0, 2.0, 3.0], [1.0, 4.0, 9.0], "o-", label="curve")
    panel.set(xlabel="updates", ylabel="energy ($k_BT$)", **limits)
    return figure, panel


def test_a_clean_figure_has_no_fault():
    figure, panel = drawn()
    legend_below(figure, panel)
    assert faults(figure) == []


@print_style()
def _spoil(name: str):
    figure, panel = drawn(ylim=(0, 5) if name == "beyond" else (0, 9.05) if name == "marker" else (0, 10))
    if name == "over":
        panel.legend(loc="upper right")
    elif name == "canvas":
        figure.legend(["curve " * 30], loc="outside lower center")
    elif name == "words":
        panel.set_xticks([1.0, 1.02, 3.0], ["one", "another one", "three"])
    elif name == "note":
        panel.text(1.95, 3.9, "a note")
    elif name == "unit":
        panel.set_ylabel("energy")
    elif name == "label":
        panel.set_xlabel("")
    elif name == "times":
        panel.set_ylim(1.0, 9.6)
        panel.set_yscale("log")
        panel.set_yticks([2.5, 9.453], minor=False)
    elif name == "shared":
        panel.stairs([0.1, 30.0, 0.2], [1.0, 1.5, 2.0, 3.0])
    return figure


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("over", "legend .* lies over curve"),
        ("canvas", "leaves the canvas"),
        ("words", "'one' lies over 'another one'"),
        ("note", "'a note' lies on a marker of curve"),
        ("unit", "'energy' names no unit"),
        ("label", "numbers but no label along x"),
        ("beyond", "1 of 3 points of curve lie beyond the y limits"),
        ("marker", "1 markers of curve are cut"),
        ("times", "tick number .*times"),
        ("shared", "points of .* lie beyond the y limits"),
    ],
)
def test_each_fault_is_seen(name, words):
    found = faults(_spoil(name))
    assert any(re.search(words, fault) for fault in found), found


def test_what_goes_on_beyond_its_panel_may_say_so():
    figure, panel = drawn(ylim=(0, 5))
    goes_on(*panel.lines)
    assert not [fault for fault in faults(figure) if "beyond" in fault]


@pytest.mark.parametrize("limits", [(1.2, 7.0), (0.02, 60.0), (1e-9, 1e3)])
def test_logarithmic_axes_have_plain_numbers(limits):
    figure, panel = drawn()
    log_axis(panel)
    panel.set_ylim(*limits)
    goes_on(*panel.lines)
    found = faults(figure)
    assert not [fault for fault in found if "tick number" in fault or "over" in fault], found
    assert any(label.get_text() for label in [*panel.get_yticklabels(), *panel.get_yticklabels(minor=True)])
