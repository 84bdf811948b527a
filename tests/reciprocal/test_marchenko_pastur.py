"""The law against its definition (integrals), its edges as printed in the paper's section 3, and against matrices."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import kstest

import rbmscape as rs
from rbmscape.errors import InputError, ShapeError
from rbmscape.reciprocal.bulk import bulk_std, bulk_threshold, departure_updates, outliers, spectrum_test

SIZES = [(784, 500), (784, 784), (784, 1200), (784, 3000), (500, 784), (30, 3), (1, 1)]


@pytest.mark.parametrize(("n_visible", "n_hidden"), SIZES)
def test_density_is_normalised_and_its_integral_is_the_cdf(n_visible, n_hidden):
    law = rs.MarchenkoPastur(n_visible, n_hidden, 0.01)
    low, high = law.edges
    points = np.linspace(low, high, 6)
    for point, level in zip(points, law.cdf(points), strict=True):
        assert quad(law.pdf, low, point, epsabs=1e-11, limit=200)[0] == pytest.approx(level, abs=1e-9)
    assert law.cdf(high) == pytest.approx(1.0, abs=1e-12)
    assert law.pdf([low - 1e-6, high + 1e-6]).tolist() == [0.0, 0.0]
    assert law.cdf([low - 1.0, high + 1.0]).tolist() == pytest.approx([0.0, 1.0], abs=1e-12)


@pytest.mark.parametrize(
    ("n_hidden", "low", "high"),
    [(500, 0.0564, 0.5036), (784, 0.0, 0.56), (1200, 0.0664, 0.6264), (3000, 0.2677, 0.8277)],
)
def test_edges_at_the_papers_sizes(n_hidden, low, high):
    assert rs.MarchenkoPastur(784, n_hidden, 0.01).edges == pytest.approx((low, high), abs=5e-5)


def test_second_moment_is_that_of_the_entries():
    """Σ λ² = Σ W², so that the law's second moment is max(N, M) σ²."""
    for n_visible, n_hidden in SIZES:
        law = rs.MarchenkoPastur(n_visible, n_hidden, 0.3)
        moment = quad(lambda s, law=law: s * s * float(law.pdf(s)), *law.edges, limit=200)[0]
        assert moment == pytest.approx(max(n_visible, n_hidden) * 0.09, rel=1e-7)


@pytest.mark.parametrize(("n_visible", "n_hidden"), [(784, 500), (784, 1200), (30, 3)])
def test_peak_is_where_the_density_is_largest(n_visible, n_hidden):
    law = rs.MarchenkoPastur(n_visible, n_hidden, 0.01)
    grid = np.linspace(*law.edges, 200_001)
    assert grid[np.argmax(law.pdf(grid))] == pytest.approx(law.peak, abs=2e-5 * law.edges[1])
    assert rs.MarchenkoPastur(40, 40, 0.01).peak == 0.0


def test_quantiles_invert_and_draws_follow_the_law():
    for n_visible, n_hidden in SIZES:
        law = rs.MarchenkoPastur(n_visible, n_hidden, 0.01)
        fractions = np.linspace(0.0, 1.0, 21)
        np.testing.assert_allclose(law.cdf(law.ppf(fractions)), fractions, atol=1e-12)
    law = rs.MarchenkoPastur(60, 90, 2.0)
    draws = law.rvs(4000, seed=1)
    assert kstest(draws, law.cdf).pvalue > 1e-3  # independent draws; false-alarm rate 0.1 %
    assert kstest(draws, rs.MarchenkoPastur(60, 90, 2.2).cdf).pvalue < 1e-6  # negative control
    assert np.array_equal(draws, law.rvs(4000, seed=1))


def test_spectrum_without_a_matrix_is_that_of_matrices():
    """Mean extreme singular values of the bidiagonal model and of dense matrices; z below 4 (false alarm 1.3e-4)."""
    law = rs.MarchenkoPastur(12, 7, 0.5)
    generator = np.random.default_rng(0)
    dense = np.array([np.linalg.svd(0.5 * generator.normal(size=(12, 7)), compute_uv=False) for _ in range(2000)])
    sparse = np.array([law.spectrum(generator) for _ in range(2000)])
    error = np.sqrt(dense.var(axis=0) / 2000 + sparse.var(axis=0) / 2000)
    assert np.abs((dense.mean(axis=0) - sparse.mean(axis=0)) / error).max() < 4
    assert np.corrcoef(dense[:, 0], dense[:, 1])[0, 1] == pytest.approx(np.corrcoef(sparse.T[:2])[0, 1], abs=0.1)


@pytest.mark.parametrize("n_hidden", [500, 784, 1200, 3000])
def test_fresh_weights_follow_the_law_and_changed_ones_do_not(n_hidden):
    """Calibrated p-value above 1 %; a σ wrong by 2 % is refused though the ordinary test accepts it."""
    values = torch.linalg.svdvals(rs.RBM.random(784, n_hidden, std=0.01, seed=7).weights.double()).numpy()
    found = spectrum_test(values, rs.MarchenkoPastur(784, n_hidden, 0.01), n_simulations=99)
    assert found.p_value > 0.01
    assert found.p_value_independent > 0.01
    assert bulk_std(values, 784, n_hidden) == pytest.approx(0.01, rel=0.01)
    if n_hidden != 500:
        return
    wrong = spectrum_test(values, rs.MarchenkoPastur(784, n_hidden, 0.0102), n_simulations=99)
    assert wrong.p_value == pytest.approx(0.01)
    assert wrong.p_value_independent > 0.5


def test_calibrated_pvalues_are_uniform():
    """Fresh spectra, 120 of them: the share of p <= 0.1 is within 4 standard errors of 0.1 (false alarm 6e-5)."""
    law = rs.MarchenkoPastur(15, 10, 1.0)
    generator = np.random.default_rng(5)
    pvalues = [spectrum_test(law.spectrum(generator), law, n_simulations=49, seed=k).p_value for k in range(120)]
    assert abs(np.mean(np.array(pvalues) <= 0.1) - 0.1) < 4 * math.sqrt(0.09 / 120)


@pytest.mark.parametrize(("n_visible", "n_hidden"), [(60, 60), (100, 40), (20, 300)])
def test_outliers_of_random_weights_are_as_rare_as_stated(n_visible, n_hidden):
    """Rate of false alarms at a nominal 10 %: within 4 standard errors and the approximation's 1.5 %."""
    law = rs.MarchenkoPastur(n_visible, n_hidden, 0.2)
    generator = np.random.default_rng(2)
    rate = np.mean([outliers(law.spectrum(generator), law, 0.1).any() for _ in range(2000)])
    assert abs(rate - 0.1) < 4 * math.sqrt(0.09 / 2000) + 0.015
    assert bulk_threshold(law, 0.01) > bulk_threshold(law, 0.1) > 0.98 * law.edges[1]


def test_planted_mode_is_an_outlier():
    """A mode of strength 2 λ+ on top of random weights leaves the bulk; one of 0.3 λ+ stays in it."""
    generator = np.random.default_rng(1)
    law = rs.MarchenkoPastur(200, 100, 0.01)
    noise = 0.01 * generator.normal(size=(200, 100))
    u, v = (vector / np.linalg.norm(vector) for vector in (generator.normal(size=200), generator.normal(size=100)))
    for strength, count in ((2.0, 1), (0.3, 0)):
        values = np.linalg.svd(noise + strength * law.edges[1] * np.outer(u, v), compute_uv=False)
        assert outliers(values, law).sum() == count
        assert bulk_std(values, 200, 100) == pytest.approx(0.01, rel=0.03)


def test_departure_is_the_first_update_after_the_last_one_inside():
    outside = np.array([[0, 1, 0, 0], [1, 1, 0, 1], [0, 1, 1, 1], [1, 1, 1, 0]], dtype=bool)
    found = departure_updates([0, 10, 20, 30], outside)
    np.testing.assert_array_equal(found, [30, 0, 20, np.nan])
    with pytest.raises(ShapeError, match="one row an update"):
        departure_updates([0, 1], outside)


def test_misuse_is_refused():
    law = rs.MarchenkoPastur(5, 3, 1.0)
    with pytest.raises(InputError, match="std must be a finite number > 0, found 0"):
        rs.MarchenkoPastur(5, 3, 0.0)
    with pytest.raises(InputError, match="n_visible must be a whole number of at least 1"):
        rs.MarchenkoPastur(0, 3, 1.0)
    with pytest.raises(InputError, match="between 0 and 1"):
        law.ppf([0.5, 1.5])
    with pytest.raises(ShapeError, match="5 x 3 matrix has 3 singular values"):
        spectrum_test([1.0, 2.0], law)
    with pytest.raises(InputError, match="finite"):
        spectrum_test([1.0, 2.0, math.nan], law)
    with pytest.raises(InputError, match="half or more"):
        bulk_std([1.0, 0.0, 0.0], 5, 3)
    with pytest.raises(InputError, match="false_alarm"):
        bulk_threshold(law, 0.0)
