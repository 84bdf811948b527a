"""Figures of section 3: what they compute, that every element of the captions is drawn, and models of all kinds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.figures.drawing import check_drawing

import rbmscape as rs
from rbmscape.data.dataset import Dataset
from rbmscape.errors import InputError
from rbmscape.figures import evolution, gaussianity, image_landscapes, kurtosis, landscapes, random_spectra, spectrum
from rbmscape.figures.analysis import Subject
from rbmscape.figures.material import Material, RunKey
from rbmscape.figures.registry import select

FEW = {"n_chains": 40}
PLAN = {"epochs": 20, "batch_size": 14, "n_chains": 30, "gibbs_steps": 1, "early_checkpoints": 3}


@pytest.fixture(scope="module")
def dataset():
    bars = rs.load_dataset("bars-and-stripes", image_shape=(3, 4))
    labels = bars.train.sum(axis=1) % 3
    return Dataset.from_array(bars.train, bars.train, train_labels=labels, test_labels=labels, image_shape=(3, 4))


@pytest.fixture(scope="module")
def material(dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reciprocal")
    plans = {
        RunKey("recommended", 8, 0): {},
        RunKey("recommended", 8, 1): {"seed": 1},
        RunKey("recommended", 20, 0): {},
        RunKey("cd", 8, 0): {"method": "cd"},
        RunKey("rdm", 8, 0): {"method": "rdm"},
    }
    runs = {
        key: rs.train(
            dataset, rs.TrainingConfig(n_hidden=key.hidden, **PLAN, **changes), folder / str(key), progress=False
        )
        for key, changes in plans.items()
    }
    return Material(dataset, runs, result=lambda name: pytest.fail(f"asked for {name}"), seed=1)


def with_options(material, module, **options):
    return replace(material, options=module.Options(**options))


def shown_panels(figure):
    return [axes for axes in figure.axes if axes.axison]


def legend_words(figure):
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]
    return {text.get_text() for legend in legends for text in legend.get_texts()}


def test_generated_image_among_its_landscapes(material, tmp_path):
    found = image_landscapes.for_study(with_options(material, image_landscapes, wanted_label=0))
    modes = rs.Modes.of(material.run().load())
    x = found.state.values @ modes.left.numpy()
    np.testing.assert_allclose(found.point_x, x[found["mode"].values - 1], atol=1e-12)
    np.testing.assert_allclose(found.saddle_x, modes.saddle_x[found["mode"].values - 1])
    figure = check_drawing(image_landscapes, found, tmp_path).figure
    assert {"saddle point", "generated state"} <= legend_words(figure)
    panels = shown_panels(figure)
    assert len(panels) == 2 + found.sizes["panel"]
    stars = [line for panel in panels for line in panel.lines if line.get_marker() == "*" and len(line.get_xdata())]
    pentagons = [line for panel in panels for line in panel.lines if line.get_marker() == "p" and len(line.get_xdata())]
    assert len(stars) == len(pentagons) == found.sizes["panel"]
    with pytest.raises(InputError, match="between one and twelve"):
        image_landscapes.compute(material.samples(material.run()).at(), modes=range(1, 20))


def test_modes_of_the_papers_figure_are_chosen_where_they_exist():
    assert image_landscapes.chosen_modes(500) == (1, 2, 3, 4, 20, 30, 50, 100, 200, 300, 498, 500)
    assert image_landscapes.chosen_modes(5) == (1, 2, 3, 4, 5)
    for paired in (13, 64, 100, 499):
        chosen = image_landscapes.chosen_modes(paired)
        assert len(set(chosen)) == 12
        assert (chosen[0], chosen[-1]) == (1, paired)
    assert landscapes.default_modes(500) == (1, 2, 3, 498)
    assert [landscapes.default_modes(k) for k in (1, 2, 3, 4)] == [(1,), (1, 2), (1, 2, 3), (1, 2, 3)]


def test_generated_state_of_the_wanted_class(dataset):
    states = dataset.test[dataset.test_labels == 2][:3]
    assert image_landscapes._pick(states, dataset, 7) == (0, None)
    index, label = image_landscapes._pick(
        np.concatenate([dataset.test[dataset.test_labels == 0][:1], states]), dataset, 2
    )
    assert label in ("2", None)
    assert index in range(4)


def test_landscapes_with_classes_and_samples(material, dataset, tmp_path):
    found = landscapes.for_study(with_options(material, landscapes, n_points=15))
    assert found.model.values.tolist() == ["untrained", "trained"]
    untrained = found.sel(model="untrained")
    assert float(np.abs(untrained.saddle_x).max()) == 0.0  # no biases
    modes = rs.Modes.of(material.run().load())
    energy = modes.mode_energy(1, 0.3, -0.2)
    one = found.sel(model="trained").isel(panel=1)
    interpolated = one.energy.values[30, 30]
    exact = modes.mode_energy(1, float(one.grid_x_value[30]), float(one.grid_y_value[30]))
    assert interpolated == pytest.approx(float(exact))
    assert float(energy) != 0.0
    figure = check_drawing(landscapes, found, tmp_path).figure
    assert {"saddle", "samples", "0", "1", "2"} <= legend_words(figure)
    assert len(shown_panels(figure)) == 1 + 2 * found.sizes["panel"]
    words = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert {"u", "w", "untrained", "trained"} <= words
    for axes in shown_panels(figure)[: 2 * found.sizes["panel"]]:  # the last one is the colour bar
        assert any(line.get_marker() == "*" for line in axes.lines)
        assert axes.collections


def test_random_spectra_follow_the_law(material, tmp_path):
    found = random_spectra.for_study(with_options(material, random_spectra, hidden=[8, 40], n_simulations=19))
    for hidden in (8, 40):
        one = found.sel(hidden=hidden)
        width = np.diff(one.bin_edge)
        assert float((one.density * width).sum()) == pytest.approx(1.0)
        assert float(np.trapezoid(one.law, one.law_at)) == pytest.approx(1.0, abs=0.02)
        assert (float(one.edge_low), float(one.edge_high)) == rs.MarchenkoPastur(12, hidden, 0.01).edges
    figure = check_drawing(random_spectra, found, tmp_path).figure
    assert {"random weights", "Marchenko-Pastur"} <= legend_words(figure)


def test_kurtosis_against_size(material, tmp_path):
    found = kurtosis.for_study(with_options(material, kurtosis, hidden=[10, 20, 40], n_states=40_000))
    hidden = found.sel(layer="hidden")
    # sampled means against exact ones: three sizes, two layers, each within 4.5 standard errors (false alarm 4e-5)
    assert float((np.abs(found.kurtosis - found.exact) / found.stderr).max()) < 4.5
    np.testing.assert_allclose(hidden.haar, 3 - 6 / (np.array([10, 20, 40]) + 2))
    np.testing.assert_allclose(found.fit, found.attrs["intercept"] + found.attrs["slope"] / np.array([10, 20, 40]))
    np.testing.assert_allclose(found.residual, hidden.kurtosis - found.fit, atol=1e-12)
    figure = check_drawing(kurtosis, found, tmp_path).figure
    words = " ".join(legend_words(figure))
    for element in ("hidden layer", "visible layer", "Gaussian", "exact", "line:"):
        assert element in words
    with pytest.raises(InputError, match="three different"):
        kurtosis.compute(12, hidden=[10, 10, 20])


def test_densities_of_random_states(material, tmp_path):
    found = gaussianity.for_study(with_options(material, gaussianity, n_states=2000))
    exact = rs.kurtosis(material.run().load())
    np.testing.assert_allclose(found.exact_kurtosis.sel(model="trained", layer="y"), exact.y[:12])
    assert float(np.abs(found.sampled_mean - found["mean"]).max()) < 5 * 0.5 / np.sqrt(2000)
    figure = check_drawing(gaussianity, found, tmp_path).figure
    assert {"untrained, sampled", "trained, sampled", "untrained, Normal(μ, ½)"} <= legend_words(figure)


def test_spectra_of_sizes_and_methods(material, tmp_path):
    found = spectrum.for_study(material)
    assert list(zip(found.method.values, found.hidden.values.tolist(), strict=True)) == [
        ("recommended (pcd)", 8),
        ("recommended (pcd)", 20),
        ("cd", 8),
        ("rdm", 8),
    ]
    width = np.diff(found.bin_edge)
    np.testing.assert_allclose((found.density * width).sum("bin"), 1.0)
    pooled = found.isel(group=int(np.flatnonzero(found.replicas == 2)[0]))
    expected = [np.linalg.svd(run.load().weights.double().numpy(), compute_uv=False) for run in material.replicas(8)]
    np.testing.assert_allclose(pooled.singular_value[:, :8], expected, atol=1e-9)
    assert float(pooled.outside) == np.mean([(values > float(pooled.threshold)).sum() for values in expected])
    figure = check_drawing(spectrum, found, tmp_path).figure
    assert len(shown_panels(figure)) == 3
    assert any("M = 20" in words for words in legend_words(figure))
    with pytest.raises(InputError, match="at least one model"):
        spectrum.compute({})


def test_evolution_of_a_run(material, tmp_path):
    found = evolution.for_study(material)
    assert found["update"].values.tolist() == list(material.run().updates)
    figure = check_drawing(evolution, found, tmp_path).figure
    assert {"mode 1", "saddle", "random states, μ", "edge of random bulk"} <= legend_words(figure)
    assert {"data", "samples"} <= {panel.get_title("right") for panel in figure.axes}


@pytest.mark.parametrize(("n_visible", "n_hidden"), [(6, 3), (3, 7), (1, 1)])
def test_any_bare_model_can_be_analysed(n_visible, n_hidden):
    subject = Subject(rs.RBM.random(n_visible, n_hidden, std=1.0), sampling=FEW)
    made = [entry.name for entry in select() if entry.spec.analysis is not None and not entry.missing(subject)]
    assert {"spectrum", "image_landscapes", "landscapes", "gaussianity"} <= set(made)
    assert "evolution" not in made
    for entry in select(["spectrum", "image_landscapes", "landscapes", "gaussianity"]):
        found = entry.analyse(subject)
        entry.draw(found).canvas.draw()
        assert entry.alt_text(found)


def test_model_without_coupling_is_drawn():
    subject = Subject(rs.RBM(np.zeros((4, 3)), np.ones(4), np.ones(3)), sampling=FEW, image_shape=(2, 2))
    for name in ("spectrum", "image_landscapes", "landscapes", "gaussianity"):
        entry = select([name])[0]
        found = entry.analyse(subject)
        entry.draw(found).canvas.draw()
    words = {text.get_text() for axes in landscapes.draw(landscapes.for_model(subject)).axes for text in axes.texts}
    assert "flat: no saddle" in words


def test_figures_made_for_studies_take_a_single_run(material, dataset):
    run = material.run()
    subject = Subject(run.load(), run, dataset, (3, 4), sampling=FEW, seed=4)
    alone = subject.as_study()
    assert alone.hidden() == (20,)
    assert alone.run() is run
    entry = select(["alignment"])[0]
    assert not entry.missing(subject)
    assert entry.missing(replace(subject, dataset=None)) == ("data",)
    assert "overlap" in entry.alt_text(entry.analyse(subject)).lower()
    with pytest.raises(InputError, match="no likelihood of a study"):
        alone.result("likelihood")
    with pytest.raises(InputError, match="needs both"):
        Subject(run.load()).as_study()
