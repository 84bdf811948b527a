"""Effective sample size and R-hat of processes whose autocorrelation time is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from rbmscape.errors import ShapeError
from rbmscape.sampling.diagnostics import chain_mean, effective_sample_size, nested_r_hat, r_hat


def autoregressive(coefficient, shape, seed):
    """Stationary AR(1) chains of unit variance; their autocorrelation time is (1 + c) / (1 - c)."""
    generator = np.random.default_rng(seed)
    noise = generator.normal(0, np.sqrt(1 - coefficient**2), shape)
    noise[:, 0] = generator.normal(0, 1, shape[0])
    return lfilter([1.0], [1.0, -coefficient], noise, axis=1)


@pytest.mark.statistical
@pytest.mark.parametrize("coefficient", [0.0, 0.5, 0.9, -0.3])
def test_effective_sample_size_of_ar1(coefficient):
    """The estimator's relative scatter here is about 4 %; 20 % is five times that."""
    draws = autoregressive(coefficient, (8, 20_000), seed=1)
    expected = draws.size * (1 - coefficient) / (1 + coefficient)
    assert float(effective_sample_size(draws)) == pytest.approx(expected, rel=0.2)


@pytest.mark.statistical
def test_error_bars_of_correlated_means_cover():
    """200 means of AR(1) chains: 95 % intervals cover 180 to 199 times (binomial, false alarm 4e-3 either side)."""
    covered = 0
    for seed in range(200):
        estimate = chain_mean(autoregressive(0.8, (4, 500), seed))
        low, high = estimate.interval(0.95)
        covered += low < 0 < high
    assert 180 <= covered <= 199


def test_r_hat_sees_chains_that_disagree():
    draws = autoregressive(0.2, (4, 2000), seed=2)
    assert float(r_hat(draws)) < 1.01
    draws[0] += 2.0
    assert float(r_hat(draws)) > 1.1


def test_nested_r_hat_of_independent_draws():
    """B / W is chi-squared with 3 degrees of freedom over 3 m n: mean of 200 of them within 4 errors of 1 / (m n)."""
    ratios = []
    for seed in range(200):
        generator = np.random.default_rng(seed)
        draws = generator.normal(size=(80, 5))
        ratios.append(float(nested_r_hat(draws, generator.normal(size=80))) ** 2 - 1.0)
    assert np.mean(ratios) == pytest.approx(0.01, abs=4 * 0.01 * np.sqrt(2 / 3 / 200))


def test_nested_r_hat_sees_what_plain_r_hat_cannot_tell():
    """Short chains that forgot their start are fine although each is far from 1.01; ones that remember are not."""
    fresh = autoregressive(0.8, (200, 60), seed=5)
    start = np.random.default_rng(6).normal(size=200)
    assert float(r_hat(fresh)) > 1.05
    assert float(nested_r_hat(fresh, start)) < 1.01
    remembering = fresh + 0.5 * start[:, None]
    assert float(nested_r_hat(remembering, start)) > 1.05


def test_nested_r_hat_of_constant_and_frozen_quantities():
    frozen = np.repeat(np.arange(8.0)[:, None], 5, 1)
    both = np.stack([frozen, np.ones_like(frozen)], -1)
    found = nested_r_hat(both, both[:, 0])
    assert found[0] > 2.0
    assert np.isnan(found[1])
    with pytest.raises(ShapeError, match="two or more chains"):
        nested_r_hat(frozen[:5], frozen[:5, 0], 4)


def test_trailing_axes_and_constant_quantities():
    draws = torch.from_numpy(autoregressive(0.0, (4, 100), seed=3))
    both = torch.stack([draws, torch.ones_like(draws)], dim=-1)
    ess, rhat = effective_sample_size(both), r_hat(both)
    assert ess.shape == rhat.shape == (2,)
    assert ess[0] > 200
    assert np.isnan(ess[1])
    assert np.isnan(rhat[1])


@pytest.mark.parametrize("shape", [(10,), (4, 3), (4, 0)])
def test_too_few_draws_are_refused(shape):
    with pytest.raises(ShapeError, match="at least 4 draws"):
        effective_sample_size(np.zeros(shape))
    with pytest.raises(ShapeError, match="one quantity at a time"):
        chain_mean(np.zeros((4, 10, 2)))
