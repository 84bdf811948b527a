"""Figures of section 5 on small runs: what they compute, that they draw, and what they refuse."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from tests.figures.drawing import check_drawing

from rbmscape import RBM, TrainingConfig, load_dataset, train
from rbmscape.data.dataset import Dataset
from rbmscape.data.synthetic import planted
from rbmscape.errors import InputError, MissingInputError
from rbmscape.figures import (
    alignment,
    hierarchy,
    landau_wells,
    rotational_symmetry,
    symmetry_breaking,
    symmetry_breaking_sizes,
    transitions,
)
from rbmscape.figures.material import Material, RunKey
from rbmscape.runs.samples import run_samples
from rbmscape.sampling.draws import Draws
from rbmscape.sampling.samples import Samples
from rbmscape.symmetry.order import CRITICAL_BINDER


def recipe(epochs=10, **changes):
    base = {
        "n_hidden": 20,
        "epochs": epochs,
        "batch_size": 100,
        "n_chains": 100,
        "learning_rate": 0.3,
        "schedule": "constant",
        "averaging": 0,
        "early_checkpoints": 6,
        "checkpoint_epochs": tuple(range(1, epochs + 1)),
    }
    return TrainingConfig(**(base | changes))


@pytest.fixture(scope="module")
def planted_data():
    """Samples with two planted modes in 48 pixels, shown as 6 x 8 pictures."""
    whole = planted(48, rank=2, strengths=[16.0, 10.0], n_train=1500, n_test=300, seed=3)
    return Dataset.from_array(whole.train, whole.test, image_shape=(6, 8), name="planted")


@pytest.fixture(scope="module")
def material(planted_data, tmp_path_factory):
    """Two replicas with 20 hidden units, one with 6, and one of another recipe."""
    folder = tmp_path_factory.mktemp("symmetry")
    plans = {
        RunKey("recommended", 6, 0): recipe(epochs=4, n_hidden=6),
        RunKey("recommended", 20, 0): recipe(),
        RunKey("recommended", 20, 1): recipe(seed=1),
        RunKey("adam", 20, 0): recipe(optimizer="adam", learning_rate=1e-3, gradient="plain"),
    }
    runs = {key: train(planted_data, plan, folder / str(key), progress=False) for key, plan in plans.items()}
    sampler = partial(run_samples, budget=3e10, cache=folder / "samples")
    return Material(planted_data, runs, lambda name: pytest.fail(f"asked for {name}"), seed=1, sampler=sampler)


def with_options(material, module, **options):
    return replace(material, options=module.Options(**options))


def test_rotational_symmetry_against_untrained_matrices(material, tmp_path):
    found = rotational_symmetry.for_study(with_options(material, rotational_symmetry, n_null=8, n_rotations=4, bins=60))
    at = found.sel(hidden=20)
    # The first checkpoint is untrained (8 null matrices, fixed seeds); along and at the end are one quantity.
    assert abs(float(at.along[0]) - float(at.null_mean)) < 5 * float(at.null_sd)
    last, again = found["along"].sel(hidden=20).values[-1], float(at.divergence[0])
    error = math.hypot(float(at.along_stderr[-1]), float(at.stderr[0]))
    assert abs(last - again) < 4 * error
    expected = (at.divergence.values - float(at.null_mean)) / float(at.null_sd)
    np.testing.assert_allclose(at.excess.values, expected)
    assert float(at["mean"]) == pytest.approx(float(at.divergence.mean()))
    assert float(at.bar) == pytest.approx(float(at.divergence.std(ddof=1)))
    assert at["update"].values[0] == 0
    assert np.isnan(found["update"].sel(hidden=6).values[-1])  # fewer checkpoints
    width = np.diff(at.weight.values).mean()
    assert float(at.density_before.sum() * width) == pytest.approx(1.0, rel=1e-6)
    assert float(at.density_after.sum() * width) == pytest.approx(1.0, rel=1e-6)
    assert np.isnan(found.sel(hidden=6, replica=1).divergence)
    check_drawing(rotational_symmetry, found, tmp_path, 4)


def test_training_on_stripes_breaks_the_rotational_symmetry(tmp_path):
    """Weights of bars and stripes are far from Gaussian: above 5 standard deviations of 64 null matrices (p < 1e-5)."""
    stripes = load_dataset("bars-and-stripes", image_shape=(6, 8))
    plan = recipe(epochs=40, batch_size=50, checkpoint_epochs=(40,))
    keys = {RunKey("recommended", 20, seed): plan.model_copy(update={"seed": seed}) for seed in (0, 1)}
    runs = {key: train(stripes, changed, tmp_path / str(key), progress=False) for key, changed in keys.items()}
    options = rotational_symmetry.Options(n_null=64, n_rotations=4, bins=60)
    found = rotational_symmetry.for_study(Material(stripes, runs, lambda _: None, seed=1, options=options))
    assert float(found.excess.min()) > 5


def test_hierarchy_of_planted_modes(material, tmp_path):
    found = hierarchy.for_study(with_options(material, hierarchy, indices=[0, 1, 5, 15]))
    changed = found.pixels_changed.values
    # Two modes are planted: planes with one of them change many pixels, planes of noise few.
    assert changed[0] > 5 * changed[2]
    assert changed[1] > 3 * changed[2]
    assert (found.pixels_changed_stderr.values > 0).all()
    assert found.state.shape == (3, 10, 48)
    assert float((found.state[1] != found.state[0]).mean()) > float((found.state[2] != found.state[0]).mean())
    # Without the factor that turns pixels, turns among noise modes change less.
    assert float(found.modes_only_pixels_changed[1]) < float(found.printed_pixels_changed[1])
    # The same from hidden states given the test data; unlabelled data have no classes.
    assert found.images_pixels_changed.values[0] > 5 * found.images_pixels_changed.values[2]
    assert float(found.images_printed_pixels_changed[0]) > float(found.images_modes_only_pixels_changed[1])
    assert "printed_class_changed" not in found
    check_drawing(hierarchy, found, tmp_path, 6)


def test_hierarchy_without_images_leaves_geometry_out(material, tmp_path):
    found = hierarchy.compute(material.samples(material.run()).at(), None, indices=[0, 3])
    assert found.attrs["n_rotations"] == 10
    small = material.run(6)
    few = hierarchy.compute(material.samples(small).at(), None, indices=[0])  # modes 5 and 6 span one plane
    assert few.attrs["n_rotations"] == 1
    assert np.isnan(found.connected.values).all()
    assert np.isfinite(found.pixels_changed.values).all()
    check_drawing(hierarchy, found, tmp_path, 5)  # three rasters of states, two curves


def test_first_mode_along_training(material, tmp_path):
    found = symmetry_breaking.for_study(material)
    at = found.sel(hidden=20)
    assert at["update"].values[0] == 0
    # The ordered mode spreads over two wells in data and samples; random states keep ½, untrained samples about ½.
    assert float(at.data_u_sd[-1]) > 1.5
    assert float(at.samples_u_sd[-1]) > 1.5
    assert float(at.samples_u_sd[0]) < 0.7
    assert float(at.samples_w_sd[-1]) < 0.8
    # Without fields the saddle and μ agree to the size of the fluctuations, and both wells are occupied.
    assert abs(float(at.samples_u_mean[-1])) < 2 * float(at.samples_u_sd[-1])
    # ... which mean and standard deviation hide, and the density shows; each checkpoint's integral is 1.
    centres = (at.u_edge.values[1:] + at.u_edge.values[:-1]) / 2
    density = at.samples_u_density.values
    np.testing.assert_allclose(density.sum(1) * np.diff(at.u_edge.values)[0], 1.0)
    middle, left, right = (np.abs(centres - z) < 1.0 for z in (0.0, -2.5, 2.5))
    between, peaks = density[:, middle].mean(1), np.minimum(density[:, left].max(1), density[:, right].max(1))
    assert between[-1] < 0.6 * peaks[-1]
    assert between[0] > peaks[0]  # one well before training
    mean = (density * centres).sum(1) * np.diff(centres)[0]
    np.testing.assert_allclose(mean, at.samples_u_mean, atol=np.diff(centres)[0])
    check_drawing(symmetry_breaking, found, tmp_path, 4)


def test_other_sizes_and_single_size(material, tmp_path):
    found = symmetry_breaking_sizes.for_study(material)
    assert found.hidden.values.tolist() == [6]
    check_drawing(symmetry_breaking_sizes, found, tmp_path, 4)
    alone = replace(material, runs={key: run for key, run in material.runs.items() if key.hidden == 20})
    with pytest.raises(InputError, match="one size M = 20"):
        symmetry_breaking_sizes.for_study(alone)


def test_landau_wells_turn_double(material, tmp_path):
    found = landau_wells.for_study(with_options(material, landau_wells, n_modes=2))
    held = found.sel(fluctuation=0.0)
    assert held.curvature.values[0] == pytest.approx(4.0, abs=0.5)  # 4 - λ of an untrained model
    assert float(held.curvature[-1, 0]) < 0
    assert math.isfinite(float(held.critical_update[0]))
    averaged = found.sel(fluctuation=0.25)
    assert float((averaged.curvature - held.curvature).min()) > 3.0  # fluctuations postpone the double well
    assert not float(averaged.critical_update[0]) <= float(held.critical_update[0])
    # Before the transition the well with held neighbours is the one that samples see, within its Gaussian part.
    first = found.isel(shown=0)
    curve = np.interp(first.bin_centre, first.z, first.free_energy.values[0])
    seen = first.mean_force.values < 2.0
    assert np.abs(curve - first.mean_force.values)[seen].max() < 1.5
    assert held.minimum.values[-1, 0] < 0 < held.minimum.values[-1, 1]
    check_drawing(landau_wells, found, tmp_path, 6)


def test_predicted_transitions_agree_with_measured_ones(material, tmp_path):
    found = transitions.for_study(with_options(material, transitions, n_modes=2))
    assert found.sizes["replica"] == 2
    assert found.attrs["critical_binder"] == CRITICAL_BINDER
    for mode in range(2):
        at = found.sel(mode=mode)
        predicted, measured = float(at.predicted_mean), float(at.measured_mean)
        error = math.hypot(
            float(at.predicted_mean_stderr), float(at.measured_mean_stderr), float(at.measured_stderr[0])
        )
        assert abs(predicted - measured) < 3 * error
        assert error < 0.5 * predicted
    assert float(found.predicted_mean[0]) < float(found.predicted_mean[1])  # the stronger mode orders first
    assert (found.ratio.values[:, 0] < 1.5).all()  # untrained models fluctuate as independent bits do
    assert (found.ratio.values[:, -1, 0] > 4).all()
    check_drawing(transitions, found, tmp_path, 4)


def test_modes_align_with_planted_directions(material, tmp_path):
    found = alignment.for_study(with_options(material, alignment, n_components=2, n_values=4))
    assert found.recipe.values.tolist() == ["recommended", "adam"]
    recommended = found.sel(recipe="recommended")
    assert float(recommended.overlap.max("checkpoint").min()) > 0.9
    assert float(recommended.overlap.isel(checkpoint=0).max()) < 0.6
    assert np.isnan(found.sel(recipe="adam", replica=1).overlap.values).all()
    # Adam's first steps are signs that all hidden units share: its first mode is uniform over them.
    early = {name: found.sel(recipe=name, replica=0).isel(checkpoint=slice(2, 5)) for name in found.recipe.values}
    assert float(early["adam"].uniform[:, 0].max()) > 0.75
    assert float(early["recommended"].uniform[:, 0].max()) < 0.5
    check_drawing(alignment, found, tmp_path, 4)


def test_runs_without_checkpoints_are_refused(planted_data, tmp_path):
    run = train(planted_data, recipe(epochs=0), tmp_path / "untrained", progress=False)
    assert len(run.updates) == 1
    with pytest.raises(MissingInputError, match="early_checkpoints"):
        symmetry_breaking.compute({20: (run, None)}, planted_data)
    with pytest.raises(MissingInputError, match="Landau's free energy along training needs 3 or more"):
        landau_wells.compute(run, planted_data, None)
    with pytest.raises(MissingInputError, match="early_checkpoints"):
        transitions.compute([run], [])
    for refuse in (rotational_symmetry.compute, lambda none: symmetry_breaking.compute(none, planted_data)):
        with pytest.raises(InputError, match="found none"):
            refuse({})
    with pytest.raises(InputError, match="found none"):
        alignment.compute({"a": []}, planted_data)
    with pytest.raises(InputError, match="found none"):
        transitions.compute([], [])


def test_modes_that_do_not_exist_and_mixed_checkpoints_are_refused(material, planted_data):
    run = material.run()
    with pytest.raises(InputError, match="mode 20 does not exist"):
        symmetry_breaking.compute({20: (run, None)}, planted_data, mode=20)
    one = torch.zeros(1, 1, 48, dtype=torch.uint8), torch.zeros(1, 1, 4, dtype=torch.uint8)
    one_sample = Samples(RBM(torch.zeros(48, 4), torch.zeros(48), torch.zeros(4)), Draws(*one), {})
    with pytest.raises(InputError, match="2 samples or more"):
        hierarchy.compute(one_sample)
