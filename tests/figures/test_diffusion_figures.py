"""Figures of section 4 on a small planted run: what they compute agrees with the theory, and they draw."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from tests.figures.drawing import check_drawing

from rbmscape import RBM, TrainingConfig, train
from rbmscape.data.dataset import Dataset
from rbmscape.data.synthetic import planted
from rbmscape.errors import InputError, MissingInputError
from rbmscape.figures import bosons, diffused_images, mode_diffusion, mode_potentials, relaxation
from rbmscape.figures.material import Material, RunKey
from rbmscape.runs.samples import run_samples
from rbmscape.sampling.draws import Draws
from rbmscape.sampling.sample import sample
from rbmscape.sampling.samples import Samples


@pytest.fixture(scope="module")
def data():
    """Samples with two planted modes in 48 pixels, shown as 6 x 8 pictures."""
    whole = planted(48, rank=2, strengths=[16.0, 10.0], n_train=1500, n_test=300, seed=3)
    return Dataset.from_array(whole.train, whole.test, image_shape=(6, 8), name="planted")


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """A short run whose first modes cross the threshold."""
    config = TrainingConfig(
        n_hidden=20, epochs=10, batch_size=100, n_chains=100, learning_rate=0.3, schedule="constant", averaging=0,
        early_checkpoints=6, checkpoint_epochs=tuple(range(1, 11)),
    )  # fmt: skip
    return train(data, config, tmp_path_factory.mktemp("diffusion") / "run", progress=False)


@pytest.fixture(scope="module")
def material(data, run, tmp_path_factory):
    sampler = partial(run_samples, budget=3e10, cache=tmp_path_factory.mktemp("samples"))
    runs = {RunKey("recommended", 20, 0): run}
    return Material(data, runs, lambda name: pytest.fail(f"needs {name}"), seed=1, sampler=sampler)


def in_columns(rbm, v, h):
    """Independent states as one draw of each column."""
    facts = {"samples_method": "Gibbs sampling", "samples_chains": len(v), "samples_equilibrated": 1}
    return Samples(rbm, Draws(v[:, None], h[:, None]), facts)


def test_bosons_cross_the_threshold_where_singular_values_do(material, run, tmp_path):
    dataset = bosons.for_study(material)
    for position, update in enumerate(run.updates):
        singular_values = torch.linalg.svdvals(run.load(update, averaged=False).weights.double()).numpy()
        np.testing.assert_allclose(dataset["frequency_uniform"][position], (4 - singular_values) / 2, atol=1e-9)
        assert int(dataset["n_unstable_uniform"][position]) == int((singular_values > 4).sum())
        unstable = int((dataset["frequency_data"][position] < 0).sum())
        assert unstable == int(dataset["n_unstable_data"][position]) == int((dataset["dressed"][position] > 1).sum())
    assert int(dataset["n_unstable_uniform"][-1]) > 0
    first = float(dataset["crossing_bare"][0])
    before = max(u for u in run.updates if u <= first)
    after = min(u for u in run.updates if u >= first)
    tops = [float(torch.linalg.matrix_norm(run.load(u, averaged=False).weights, 2)) for u in (before, after)]
    assert tops[0] <= 4 <= tops[1]
    assert "modes are unstable" in check_drawing(bosons, dataset, tmp_path).words
    few = dataset.assign(
        {name: dataset[name].where(dataset["rank"] < 1) for name in ("crossing_bare", "crossing_dressed")}
    )
    cascade = bosons.draw(few).axes[3]
    assert (cascade.get_xscale(), cascade.get_xlim()) == ("linear", (0.5, 4.5))


def test_potentials_of_a_run(material, tmp_path):
    """The relaxed potential is nearer to the density of the leading mode than the harmonic expansion, once unstable."""
    run = material.run()
    dataset = mode_potentials.of_run(run, material.samples(run), n_bins=12)
    last = dataset.isel(model=-1, mode=0)
    assert float(last["curvature"]) < 0
    assert float(last["distance_relaxed"]) < float(last["distance_harmonic"])
    assert float(last["measured"].min()) == 0
    check_drawing(mode_potentials, dataset, tmp_path)


def test_uncoupled_model_has_the_binomial_potential(tmp_path):
    """Without couplings beyond a weak mode every curve is -ln P of the samples, within their errors."""
    generator = np.random.default_rng(0)
    left, right = generator.standard_normal(60), generator.standard_normal(40)
    weights = 0.4 * np.outer(left / np.linalg.norm(left), right / np.linalg.norm(right))
    rbm = RBM(weights, -weights.sum(1) / 2, -weights.sum(0) / 2)
    states = sample(rbm, n_chains=4000, n_steps=20, seed=3)
    dataset = mode_potentials.compute(in_columns(rbm, states.v, states.h), mode_indices=(0,), n_bins=10)
    for name in ("harmonic", "slice", "marginal_uniform"):
        assert float(dataset[f"distance_{name}"].squeeze()) < 0.04
    assert dataset.sizes["mode"] == 1
    with pytest.raises(InputError, match="at least 100 samples"):
        mode_potentials.compute(in_columns(rbm, states.v[:50], states.h[:50]))
    check_drawing(mode_potentials, dataset, tmp_path)


def test_density_of_one_mode_spreads_or_relaxes(tmp_path):
    generator = np.random.default_rng(1)
    left, right = generator.standard_normal(60), generator.standard_normal(40)
    direction = np.outer(left / np.linalg.norm(left), right / np.linalg.norm(right))
    for strength in (1.0, 4.6):
        weights = strength * direction
        rbm = RBM(weights, -weights.sum(1) / 2, -weights.sum(0) / 2)
        dataset = mode_diffusion.compute(rbm, mode=0, n_times=16, n_points=61)
        mass = np.trapezoid(dataset["confined"], dataset["z"], axis=1)
        np.testing.assert_allclose(mass, 1, atol=2e-3)
        kept = np.trapezoid(dataset["gaussian"], dataset["z"], axis=1)
        if strength < 4:
            assert float(dataset["rate_gaussian"][1]) == pytest.approx(4 - strength)
            assert kept[-1] == pytest.approx(1, abs=2e-3)
            assert float(dataset["rate_confined"][1]) == pytest.approx(4 - strength, rel=0.1)
        else:
            assert float(dataset["rate_gaussian"][0]) == pytest.approx(strength - 4)
            assert kept[-1] < 0.7
            assert 0 < float(dataset["rate_confined"][1]) < 1
        check_drawing(mode_diffusion, dataset, tmp_path)


def test_relaxation_rates_give_the_verdict(run, data, tmp_path):
    """All Gaussian rates within 4.5 standard errors of 2D𝓔 (false alarm 1e-4 for 18), growth found, 𝓔/2D fails."""
    dataset = relaxation.compute(
        run, data, n_checkpoints=3, mode_indices=(0, 1, 5), n_gaussian=300, n_chains=24, n_steps=120
    )
    assert float(dataset.attrs["worst_z"]) < 4.5
    assert float(dataset.attrs["worst_z_printed"]) > 50
    unstable = dataset["predicted_u"].values < 0
    assert unstable.any()
    assert (dataset["gaussian_u"].values[unstable] < 0).all()
    confined = dataset["confined_u"].values[unstable]
    assert (confined[np.isfinite(confined)] > 0).all()
    assert 8 < float(dataset.attrs["bit_rate"]) < 16
    words = check_drawing(relaxation, dataset, tmp_path).words
    assert "run away in the Gaussian diffusion" in words


def test_diffused_images_stay_in_the_cube_and_lower_the_free_energy(material, run, data, tmp_path):
    samples = material.samples(run).at()
    dataset = diffused_images.compute(samples, data.image_shape, n_chains=40, n_shown=5, time=2.0, n_modes=5)
    assert float(dataset["picture"].min()) >= 0
    assert float(dataset["picture"].max()) <= 1
    names = [str(name) for name in dataset["stage"].values]
    assert names[0] == "start"
    assert names[-1] == "Gibbs"
    start, cold = dataset.sel(stage="start"), dataset.isel(stage=-2)
    assert float(cold["free_energy"]) < float(start["free_energy"])
    # The ends of the comparison in the attributes are those in the stages.
    hot, samples_stage = dataset.isel(stage=1), dataset.isel(stage=-1)
    assert dataset.attrs["sd_ratio"] == pytest.approx(float(np.median(hot["sd"] / samples_stage["sd"])))
    assert dataset.attrs["free_energy_excess"] == pytest.approx(float(hot.free_energy - samples_stage.free_energy))
    words = check_drawing(diffused_images, dataset, tmp_path).words
    assert "does not generate" in words  # the first modes of this model are ordered, which D = 1 misses
    assert "replica exchange along the training" in words
    with pytest.raises(InputError, match="at least one D"):
        diffused_images.compute(samples, diffusions=())


def test_runs_without_checkpoints_say_what_is_needed(data, tmp_path):
    config = TrainingConfig(
        n_hidden=4, epochs=1, batch_size=500, n_chains=20, early_checkpoints=0, checkpoint_epochs=(1,)
    )  # fmt: skip
    short = train(data, config, tmp_path / "short", progress=False)
    assert len(short.updates) == 2
    with pytest.raises(MissingInputError, match="early_checkpoints"):
        bosons.compute(short, data)
