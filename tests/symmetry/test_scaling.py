"""Finite-size scaling of the bipartite Curie-Weiss model, by exact sums and chains; critical updates; refusals."""

import math
from functools import cache

import numpy as np
import pytest
import torch

from rbmscape import RBM, Estimate, load_dataset
from rbmscape.diffusion.bosons import dressed_weights
from rbmscape.diffusion.curie_weiss import CurieWeiss
from rbmscape.errors import InputError, ShapeError, UnresolvedError
from rbmscape.symmetry.growth import LinearGrowth, linear_growth
from rbmscape.symmetry.scaling import (
    SizeCurve,
    finite_size_scaling,
    measured_curve,
    mode_model,
    predicted_critical_exposure,
    size_trend,
)


def exact_curve(size, dressed):
    moments = np.array([CurieWeiss(size, size, d).moments() for d in dressed])
    tiny = np.full(len(dressed), 1e-9)
    return SizeCurve(size, np.asarray(dressed), moments[:, 0], tiny, moments[:, 1], tiny)


@cache
def sampled_curve(size, seed=0):
    dressed = 1 + np.linspace(-1.5, 1.0, 7) / math.sqrt(size)
    models = [CurieWeiss(size, size, d).rbm() for d in dressed]
    return measured_curve(models, n_chains=300, burn_in=100, n_draws=10, thin=5, seed=seed)


def test_crossings_and_exponents_of_the_exact_double_sums():
    dressed = np.linspace(0.85, 1.1, 101)
    found = finite_size_scaling([exact_curve(size, dressed) for size in (400, 20, 100, 50)])
    values = [crossing.value for crossing in found.binder_crossings]
    np.testing.assert_allclose(values, [0.929, 0.972, 0.986, 0.997], atol=6e-4)
    # Pairs cross at 1 + O(1/n), with a small coefficient.
    deviations = [pair.value - 1 for pair in found.ratio_crossings]
    assert 0 < deviations[2] < deviations[1] < deviations[0] < 0.005
    assert found.ratio_exponent.value == pytest.approx(0.5, abs=0.01)
    assert found.slope_exponent.value == pytest.approx(0.5, abs=0.04)
    # The collapse: large sizes agree on one curve in (d - 1)√n.
    grid = np.linspace(-1.0, 0.5, 7)
    curves = [np.interp(grid, x, y) for x, y in zip(found.scaled, found.collapsed, strict=True)]
    assert np.abs(curves[3] / curves[2] - 1).max() < 0.06
    assert np.abs(curves[3] / curves[0] - 1).max() < 0.3


@pytest.mark.statistical
def test_chains_find_the_transition_with_errors_that_cover():
    """|z| < 4 for crossings and the exponent (false alarm 4e-4), half a percent and a few percent of error."""
    found = finite_size_scaling([sampled_curve(size) for size in (20, 60, 180)])
    np.testing.assert_allclose(found.sizes, [20, 60, 180], rtol=1e-3)
    dressed = np.linspace(0.8, 1.1, 61)
    exact = finite_size_scaling([exact_curve(size, dressed) for size in (20, 60, 180)])
    for one, other in zip(found.binder_crossings, exact.binder_crossings, strict=True):
        # Linear interpolation between points 0.4/√n apart is worth a few thousandths.
        assert abs(one.value - other.value) < 4 * one.stderr + 0.003
    assert abs(found.critical.z_score(exact.critical.value)) < 4
    assert found.critical.stderr < 0.01
    assert abs(found.ratio_exponent.z_score(0.5)) < 4
    assert found.ratio_exponent.stderr < 0.05
    assert abs(found.ratio_exponent.z_score(0.0)) > 10


def test_critical_exposure_of_the_linear_growth():
    """Weights grown by the linear law to the predicted time have dressed value 1 along their mode, for every M."""
    direction = np.ones((100, 1)) / 10
    growth = LinearGrowth(np.array([2.0]), direction, np.full(100, 0.3), np.array([1.0]), np.array([0.21]))
    times = [float(predicted_critical_exposure(growth, m, 0.01)[0]) for m in (50, 800)]
    for m, time in zip((50, 800), times, strict=True):
        start = RBM.random(100, m, std=0.01, seed=m).weights.double()
        along = torch.from_numpy(direction).T @ start
        grown = torch.from_numpy(direction) @ along * math.exp(2.0 * time / 4)
        assert float(torch.linalg.matrix_norm(math.sqrt(0.21) * grown / 2, 2)) == pytest.approx(1.0, rel=0.25)
    assert times[0] - times[1] == pytest.approx(2 / 2.0 * math.log(16))


def test_model_of_one_mode_has_the_order_and_the_activities_that_are_asked_for():
    data = load_dataset("planted", n_visible=32, rank=1, strengths=[6], n_train=2000, n_test=1).train
    skewed = data * (np.random.default_rng(0).random(data.shape) < 0.6)
    growth = linear_growth(skewed, 2)
    rbm = mode_model(growth, 24, 0.7)
    m, n = torch.from_numpy(growth.means), torch.full((24,), 0.5, dtype=torch.float64)
    assert float(dressed_weights(rbm, m * (1 - m), n * (1 - n)).svd()[1][0]) == pytest.approx(0.7)
    torch.testing.assert_close(rbm.visible_probability(n), m)
    torch.testing.assert_close(rbm.hidden_probability(m), n)
    with pytest.raises(InputError, match="found mode 2 of 2"):
        mode_model(growth, 24, 0.7, mode=2)
    with pytest.raises(InputError, match="never change"):
        mode_model(linear_growth(np.eye(4)[:2], 1), 3, 0.5)


def test_trend_over_sizes():
    generator = np.random.default_rng(0)
    rows = [(m, Estimate(30 - 4 * math.log(m) + 0.2 * generator.standard_normal(), 0.2)) for m in (50, 100, 200) * 4]
    found = size_trend([*rows, (400, Estimate(math.nan, math.nan))])
    assert abs(found.z_score(-4.0)) < 4  # false alarm 6e-5
    assert found.stderr == pytest.approx(0.2 / math.sqrt(12 * np.log([50, 100, 200]).var()), rel=0.5)
    scattered = size_trend([(m, Estimate(e.value + 3 * (k % 2), 0.2)) for k, (m, e) in enumerate(rows)])
    assert scattered.stderr > 3 * found.stderr


def test_bad_input_is_refused():
    dressed = np.linspace(0.9, 1.1, 9)
    curve = exact_curve(20, dressed)
    with pytest.raises(InputError, match="two or more different sizes"):
        finite_size_scaling([curve])
    with pytest.raises(InputError, match="two or more different sizes"):
        finite_size_scaling([curve, curve])
    low = np.linspace(0.3, 0.6, 9)
    with pytest.raises(UnresolvedError, match="no critical point lies between"):
        finite_size_scaling([exact_curve(20, low), exact_curve(40, low)])
    with pytest.raises(ShapeError, match="3 or more rising"):
        exact_curve(20, [1.0, 0.9, 1.1])
    with pytest.raises(InputError, match="two sizes with values"):
        size_trend({100: Estimate(1.0, 0.1)})
    growth = LinearGrowth(np.ones(1), np.ones((1, 1)), np.ones(1), np.ones(1), np.ones(1))
    with pytest.raises(InputError, match="must be above 0"):
        predicted_critical_exposure(growth, 10, 0.0)
