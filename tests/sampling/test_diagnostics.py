"""Effective sample size and R-hat of processes whose autocorrelation time is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from rbmscape.errors import ShapeError
from rbmscape.sampling.diagnostics import chain_mean, effective_sample_size, r_hat


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
