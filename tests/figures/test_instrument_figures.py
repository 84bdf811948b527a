"""Figures of the instruments on small runs: what they compute, that they draw, what they leave out and refuse."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from matplotlib.figure import Figure

from rbmscape import RBM, TrainingConfig, load_dataset, train
from rbmscape.data.hierarchy import planted_tree
from rbmscape.errors import InputError, MissingInputError
from rbmscape.figures import (
    couplings,
    finite_size,
    growth,
    hysteresis,
    overlaps,
    recovery,
    slowing,
    spins,
    tree,
)
from rbmscape.figures.checkpoints import spread_updates
from rbmscape.figures.material import Material, RunKey
from rbmscape.figures.registry import all_figures, select
from rbmscape.figures.style import save
from rbmscape.runs.samples import run_samples

MODULES = (couplings, finite_size, growth, hysteresis, overlaps, recovery, slowing, spins, tree)


def recipe(**changes):
    base = {
        "n_hidden": 16, "epochs": 12, "batch_size": 100, "n_chains": 100, "learning_rate": 0.25, "clip": 0,
        "schedule": "constant", "averaging": 0, "gibbs_steps": 2, "early_checkpoints": 6,
        "checkpoint_epochs": tuple(range(2, 13, 2)),
    }  # fmt: skip
    return TrainingConfig(**(base | changes))


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """Two sizes on planted data, two replicas of the larger one."""
    folder = tmp_path_factory.mktemp("instruments")
    data = load_dataset("planted", n_visible=32, rank=1, strengths=[8], n_train=1000, n_test=200, seed=1)
    plans = {
        RunKey("recommended", 8, 0): recipe(n_hidden=8),
        RunKey("recommended", 16, 0): recipe(),
        RunKey("recommended", 16, 1): recipe(seed=1),
    }
    runs = {key: train(data, plan, folder / str(key), progress=False) for key, plan in plans.items()}
    sampler = partial(run_samples, budget=2e9, n_chains=12, cache=folder / "samples")
    return Material(data, runs, lambda name: pytest.fail(f"asked for {name}"), seed=1, sampler=sampler)


def made(module, material, tmp_path, **options):
    dataset = module.for_study(replace(material, options=module.Options(**options)))
    figure = module.draw(dataset)
    assert isinstance(figure, Figure)
    saved = save(figure, dataset, tmp_path, "figure")
    assert saved.png.stat().st_size > 5000
    words = module.alt_text(dataset)
    assert len(words) > 40
    assert "nan" not in words
    own = {name: one.attrs for name, one in dataset.data_vars.items() if not name.startswith("samples_")}
    assert [name for name, attrs in own.items() if "units" not in attrs] == []
    return dataset, words


def test_instruments_are_made_where_a_plan_names_them():
    default = {entry.name for entry in select()}
    names = {module.__name__.rpartition(".")[2] for module in MODULES}
    assert not names & default
    assert names <= {entry.name for entry in all_figures()}
    assert [entry.name for entry in select(["tree", "growth"])] == ["tree", "growth"]


def test_growth(material, tmp_path):
    dataset, words = made(growth, material, tmp_path, n_modes=2)
    assert float(dataset.rate[0]) == pytest.approx(float(dataset.predicted[0]), rel=0.1)
    assert "mode 1" in words
    np.testing.assert_allclose(dataset.law[0], dataset.amplitude[0])


def test_slowing(material, tmp_path):
    dataset, _ = made(slowing, material, tmp_path, n_modes=1, n_checkpoints=3, n_chains=50, n_steps=200, burn_in=50)
    assert (np.diff(dataset.curve_time) > 0).all()
    measured = dataset.time.values[np.isfinite(dataset.time.values)]
    assert measured.size
    assert float(dataset.dressed[-1, 0]) > float(dataset.dressed[0, 0])


def test_hysteresis(material, tmp_path):
    dataset, words = made(hysteresis, material, tmp_path, n_checkpoints=3, n_fields=21)
    assert int(dataset.open[0]) == 0
    assert dataset.sizes["step"] == 21
    assert "mode 1" in words


def test_recovery_shows_its_own_experiment_and_the_trained_models(material, tmp_path):
    dataset, _ = made(recovery, material, tmp_path, n_visible=60, strengths=(6.0,), n_replicas=3)
    assert dataset.sizes["model"] == 3
    assert float(dataset.model_overlap.min()) > 0.8
    assert np.abs(dataset.overlap - dataset.theory).max() < 0.3
    assert recovery.compute([], load_dataset("bars-and-stripes"), strengths=(6.0,), n_replicas=2).sizes["model"] == 0


def test_couplings_of_a_study_and_of_one_model(material, tmp_path):
    dataset, words = made(couplings, material, tmp_path, n_links=20)
    assert dataset.sizes["pair"] == 32 * 31 // 2
    assert "true value" not in words
    ising = load_dataset("ising", image_shape=(4, 4), temperature=2.5, n_train=50, n_test=1)
    alone = couplings.compute(RBM.random(16, 4, std=0.5), ising.image_shape, ising.attributes["coupling"])
    assert float(alone.distance.max()) == pytest.approx(8**0.5)  # the other corner of a torus is two steps away
    assert "true value 0.4" in couplings.alt_text(alone)
    assert isinstance(couplings.draw(alone), Figure)


def test_overlaps(material, tmp_path):
    dataset, _ = made(overlaps, material, tmp_path, n_bins=11)
    assert set(dataset.layer.values) == {"visible", "hidden"}
    widths = np.diff(dataset.overlap.sel(layer="visible"))[0]
    np.testing.assert_allclose(dataset.density.sel(layer="visible").sum("bin") * widths, 1.0)


def test_tree_of_planted_hierarchical_data(material, tmp_path):
    data = planted_tree(40, (2, 2), (1.0, 0.5), 0.03, n_train=1000, n_test=200, seed=2)
    run = train(data, recipe(epochs=40, checkpoint_epochs=(10, 20, 30, 40)), tmp_path / "run", progress=False)
    own = replace(material, dataset=data, runs={RunKey("recommended", 16, 0): run})
    dataset, words = made(tree, own, tmp_path, n_samples=100, n_checkpoints=6)
    assert int(dataset.nodes[0]) == 1
    assert dataset.attrs["newick"].endswith(";")
    assert (dataset.samples.where(dataset.samples > 0).sum("node") == 100).all()
    assert "100 samples" in words
    assert float(dataset.purity[-1]) >= float(dataset.purity[0])


def test_spins_of_ising_data_and_nothing_of_others(material, tmp_path):
    data = load_dataset("ising", image_shape=(4, 4), temperature=3.0, n_train=1000, n_test=10, seed=2)
    run = train(data, recipe(n_hidden=8), tmp_path / "run", progress=False)
    own = replace(material, dataset=data, runs={RunKey("recommended", 8, 0): run})
    dataset, words = made(spins, own, tmp_path, n_checkpoints=3, n_blocks=10)
    assert abs(float(dataset.data[0] - dataset.exact[0])) < 5 * float(dataset.data_stderr[0])
    assert "energy" in words
    with pytest.raises(MissingInputError, match="no lattice and temperature"):
        spins.for_study(replace(material, options=spins.Options()))


def test_finite_size_and_critical_updates(material, tmp_path):
    options = {"sides": (12, 32), "n_chains": 200, "burn_in": 50, "n_draws": 5, "thin": 5}
    dataset, words = made(finite_size, material, tmp_path, **options)
    assert dataset.sizes["run"] == 3
    assert (np.diff(dataset.units) > 0).all()
    assert float(dataset.critical_stderr.min()) > 0
    np.testing.assert_allclose(dataset.critical, dataset.predicted, rtol=0.35)
    assert "ln M" in words
    with pytest.raises(InputError, match="two or more different sizes"):
        finite_size.compute([], material.dataset, sides=(12,))


def test_checkpoints_are_spread_over_the_logarithm_of_the_update(material):
    run = material.run()
    chosen = spread_updates(run, 4)
    assert chosen[0] == 0
    assert chosen[-1] == run.updates[-1]
    assert len(chosen) <= 4
    assert spread_updates(run, 1000) == list(run.updates)
