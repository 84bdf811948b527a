"""Order parameter, Binder cumulant, susceptibility and potential of mean force, against exact laws."""

import math

import numpy as np
import pytest
from scipy.stats import gennorm, norm

from rbmscape.errors import InputError, ShapeError
from rbmscape.symmetry.order import CRITICAL_BINDER, order_parameter, potential_of_mean_force


def gaussian_draws(n_chains=400, n_draws=10, seed=0, scale=0.5, mean=1.3):
    return mean + scale * np.random.default_rng(seed).standard_normal((n_chains, n_draws))


def test_critical_binder_is_that_of_the_quartic_law():
    # P ∝ exp(-x⁴) is a generalised normal law of shape 4.
    fourth, second = gennorm(4).moment(4), gennorm(4).moment(2)
    assert pytest.approx(1 - fourth / (3 * second**2), abs=1e-12) == CRITICAL_BINDER
    assert pytest.approx(0.27052, abs=1e-5) == CRITICAL_BINDER


def test_gaussian_draws_have_no_binder_cumulant_and_the_right_width():
    # Fixed seed; |z| > 4 happens by chance once in 16 000.
    found = order_parameter(gaussian_draws(), beta=2.0)
    assert abs(found.mean.z_score(1.3)) < 4
    assert abs(found.width.z_score(0.5)) < 4
    assert abs(found.susceptibility.z_score(2.0 * 0.25)) < 4
    assert abs(found.binder.z_score(0.0)) < 4
    assert abs(found.magnitude.z_score(0.5 * math.sqrt(2 / math.pi))) < 4
    assert found.mean.stderr == pytest.approx(0.5 / math.sqrt(4000), rel=0.15)
    # Negative control: a double well is no Gaussian.
    signs = np.random.default_rng(1).choice([-1.0, 1.0], (400, 1))
    wells = order_parameter(gaussian_draws(mean=0.0) + 2.0 * signs)
    assert wells.binder.z_score(0.0) > 20


def test_two_narrow_wells_have_binder_two_thirds():
    signs = np.random.default_rng(2).choice([-1.0, 1.0], (500, 1))
    found = order_parameter(3.0 * signs + 0.01 * np.random.default_rng(3).standard_normal((500, 8)), centre=0.0)
    assert found.binder.value == pytest.approx(2 / 3, abs=1e-4)
    assert found.magnitude.value == pytest.approx(3.0, abs=1e-2)


def test_errors_come_from_chains_and_not_from_correlated_draws():
    frozen = np.repeat(gaussian_draws(200, 1, seed=4), 50, axis=1)
    found = order_parameter(frozen)
    assert found.mean.stderr == pytest.approx(0.5 / math.sqrt(200), rel=0.2)
    # The same values as independent draws would claim an error seven times smaller.
    assert order_parameter(gaussian_draws(200, 50, seed=4)).mean.stderr < 0.3 * found.mean.stderr


def test_effective_sample_size_knows_about_autocorrelation():
    generator = np.random.default_rng(5)
    noise = generator.standard_normal((50, 400))
    chain = np.empty_like(noise)
    chain[:, 0] = noise[:, 0]
    rho = 0.8
    for t in range(1, 400):
        chain[:, t] = rho * chain[:, t - 1] + math.sqrt(1 - rho**2) * noise[:, t]
    expected = 50 * 400 * (1 - rho) / (1 + rho)
    assert order_parameter(chain).mean.ess == pytest.approx(expected, rel=0.25)


def test_mean_force_of_a_harmonic_well_is_its_parabola():
    beta, stiffness = 2.0, 4.0
    draws = gaussian_draws(500, 40, seed=6, scale=1 / math.sqrt(beta * stiffness), mean=0.0)
    found = potential_of_mean_force(draws, n_bins=24, beta=beta, limits=(-0.6, 0.6))
    edges = np.linspace(-0.6, 0.6, 25)
    law = norm(0, 1 / math.sqrt(beta * stiffness))
    exact = -np.log(np.diff(law.cdf(edges)) / np.diff(edges)) / beta
    z = (found.value - exact) / found.stderr
    # 24 bins, fixed seed: mean square of z exceeds 2.2 in 1 of 2000 runs.
    assert np.mean(z**2) < 2.2
    assert np.mean(z**2) > 0.3
    stiffer = -np.log(np.diff(norm(0, 0.8 * law.std()).cdf(edges)) / np.diff(edges)) / beta
    assert np.mean(((found.value - stiffer) / found.stderr) ** 2) > 10


def test_bins_without_samples_are_nan_and_counts_add_up():
    found = potential_of_mean_force(gaussian_draws(50, 4), n_bins=10, limits=(-5.0, 5.0))
    assert np.isnan(found.value[found.counts == 0]).all()
    assert np.isfinite(found.value[found.counts > 0]).all()
    assert found.counts.sum() == 200


def test_bad_input_is_refused():
    with pytest.raises(ShapeError, match="two chains"):
        order_parameter(np.zeros((1, 5)))
    with pytest.raises(InputError, match="not finite"):
        order_parameter(np.full((3, 5), math.nan))
    with pytest.raises(InputError, match="at least one bin"):
        potential_of_mean_force(gaussian_draws(5, 5), n_bins=0)
    with pytest.raises(InputError, match="some width"):
        potential_of_mean_force(np.ones((4, 4)))
