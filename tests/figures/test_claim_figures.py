"""Positions of saddle, random states and data, and gaps in spectra, on models whose answer is known."""

import numpy as np
import pytest
import torch
from tests.figures.drawing import check_drawing

from rbmscape import RBM, Modes, TrainingConfig, train
from rbmscape.data.synthetic import planted
from rbmscape.errors import InputError
from rbmscape.figures import centres, spectral_gap
from rbmscape.figures.material import Material, RunKey
from rbmscape.symmetry.landau import landau, reachable_range


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """Runs of two sizes, one of a second recipe, on data with a planted mode."""
    folder = tmp_path_factory.mktemp("claims")
    data = planted(30, rank=1, strengths=[14.0], n_train=600, n_test=200, seed=3)
    base = {"epochs": 4, "batch_size": 100, "n_chains": 50, "gibbs_steps": 2, "early_checkpoints": 3}
    plans = {
        RunKey("recommended", 6, 0): TrainingConfig(n_hidden=6, **base),
        RunKey("recommended", 40, 0): TrainingConfig(n_hidden=40, **base),
        RunKey("adam", 6, 0): TrainingConfig(
            n_hidden=6, gradient="plain", optimizer="adam", learning_rate=1e-2, **base
        ),
    }
    runs = {key: train(data, config, folder / str(key), progress=False) for key, config in plans.items()}
    return Material(dataset=data, runs=runs, result=lambda name: name)


@pytest.fixture(scope="module")
def positions(material):
    return centres.for_study(material)


def test_centres_are_those_of_the_models(material, positions):
    for place, run in enumerate(material.runs.values()):
        modes = Modes.of(run.load())
        one = positions.isel(run=place).sel(stage="trained")
        kept = min(8, modes.n_paired)
        mu = modes.random_state_mean().u[:kept].numpy()
        np.testing.assert_allclose(one.random_u.values[:kept], mu, rtol=1e-9)
        np.testing.assert_allclose(one.singular_value.values[:kept], modes.singular_values[:kept], rtol=1e-9)
        assert np.isnan(one.random_u.values[kept:]).all()
        reach = reachable_range(modes, 0)
        curves = [landau(run.load(), 0, fluctuation=s2) for s2 in (0.0, 0.25, 1.0)]
        wells = [curve.minima_within(*reach).size == 2 for curve in curves]
        assert one.double_well.values.tolist() == wells
        means = modes.project(material.dataset.test.astype(np.float64)).u.mean(0)[:kept].numpy()
        error = one.data_u_sd.values[:kept] / np.sqrt(len(material.dataset.test))
        assert (np.abs(one.data_u.values[:kept] - means) < 6 * error).all()


def test_distance_is_from_saddle_to_data_in_their_deviations(material, positions):
    """Without biases every saddle is at the origin, so that distances are those of the projected data themselves."""
    first = next(iter(material.runs.values())).load(0, averaged=False)
    modes = Modes.of(RBM(first.weights, torch.zeros(30), torch.zeros(6)))
    at = modes.project(material.dataset.test.astype(np.float64))
    x, y = at.x[:, 0], at.y[:, 0]
    expected = torch.hypot(x.mean(), y.mean()) / torch.hypot(x.std(), torch.tensor(0.5).double())
    found = float(positions.isel(run=0, mode=0).sel(stage="weights").distance)
    assert found == pytest.approx(float(expected), rel=0.15)
    far = float(positions.isel(run=0).sel(stage="initial").median_distance)
    assert far > float(positions.isel(run=0).sel(stage="weights").median_distance)


def test_identities_hold_to_rounding_and_a_wrong_saddle_is_noticed(positions, material, monkeypatch):
    for name in ("sum_error", "saddle_error", "curvature_error"):
        assert float(positions[name].max()) < 1e-9
    right = Modes.saddle_energy.func
    wrong = property(lambda modes: -right(modes))
    monkeypatch.setattr(Modes, "saddle_energy", wrong)
    assert float(centres.for_study(material).saddle_error.max()) > 1e-3


def test_gap_between_known_values():
    """Diagonal weights: singular values 40, 30, 29, ..., so that the window is empty and the gap known."""
    values = np.array([40.0, 30.0, 29.0, 28.0, 5.0])
    one = spectral_gap._one_checkpoint(RBM(np.diag(values), np.zeros(5), np.zeros(5)), (33.0, 35.0), 8)
    assert (float(one["empty"]), float(one.above), float(one.inside)) == (1.0, 1.0, 0.0)
    np.testing.assert_allclose(one.singular_value.values, [*values, np.nan, np.nan, np.nan])
    assert float(one.isolation) == pytest.approx(40 / 30)
    assert (float(one.gap_low), float(one.gap_high)) == pytest.approx((5.0, 28.0))
    assert float(one.uniform) == pytest.approx(1 / np.sqrt(5))
    filled = spectral_gap._one_checkpoint(RBM(np.diag([40.0, 34.0, 3.0]), np.zeros(3), np.zeros(3)), (33.0, 35.0), 8)
    assert float(filled["empty"]) == 0.0
    short = spectral_gap._one_checkpoint(RBM(np.diag([30.0, 3.0]), np.zeros(2), np.zeros(2)), (33.0, 35.0), 8)
    assert np.isnan(float(short["empty"]))


@pytest.mark.parametrize("shape", [(7, 4), (4, 7)])
def test_spectrum_and_first_hidden_vector_are_those_of_the_decomposition(shape):
    rbm = RBM.random(*shape, 1.0, 3)
    values, uniform = spectral_gap._spectrum(rbm)
    modes = Modes.of(rbm)
    np.testing.assert_allclose(values, modes.singular_values, rtol=1e-6)
    assert uniform == pytest.approx(float(modes.right[:, 0].sum().abs()) / np.sqrt(shape[1]), rel=1e-6)


def test_share_of_empty_windows():
    assert spectral_gap.empty_share(np.array([10.0, 0.0]), 2.0) == pytest.approx(1.0, abs=0.002)
    assert spectral_gap.empty_share(np.linspace(10.0, 0.0, 20), 2.0) == 0.0
    assert spectral_gap.empty_share(np.array([10.0, 5.0, 0.0]), 2.0) == pytest.approx(6 / 8, abs=0.002)
    assert np.isnan(spectral_gap.empty_share(np.array([1.0, 0.5]), 2.0))


@pytest.mark.parametrize("module", [centres, spectral_gap])
def test_figures_draw_from_their_saved_data(module, material, tmp_path):
    words = check_drawing(module, module.for_study(material), tmp_path).words
    assert "recommended" in words or "M = 6" in words


def test_gap_follows_training_for_every_recipe(material):
    data = spectral_gap.for_study(material)
    assert set(data.recipe.values) == {"recommended", "adam"}
    for place, run in enumerate(material.runs.values()):
        one = data.isel(run=place)
        assert one["update"].values[0] == 0
        assert np.nanmax(one["update"].values) == run.updates[-1]


def test_bad_input_is_refused(material):
    with pytest.raises(InputError, match="at least one run"):
        centres.compute({}, material.dataset)
    with pytest.raises(InputError, match="window"):
        spectral_gap.compute(material.runs, window=(35.0, 33.0))
