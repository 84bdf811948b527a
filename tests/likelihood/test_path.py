"""The path's ends, its base and the models on it."""

from __future__ import annotations

import pytest
import torch

from rbmscape.likelihood.path import AnnealingPath, log_weight
from rbmscape.model.exact import exact_log_partition, exact_moments
from rbmscape.rng import Stream

STREAM = Stream(3, "path")


def test_both_ends(strong):
    rbm, samples = strong
    path = AnnealingPath.fit(rbm, samples)
    assert path.log_base == pytest.approx(exact_log_partition(path.model_at(0.0)), rel=1e-6)
    assert exact_log_partition(path.model_at(1.0)) == pytest.approx(exact_log_partition(rbm), rel=1e-6)


def test_base_has_the_activities_of_the_data(strong):
    rbm, samples = strong
    path = AnnealingPath.fit(rbm, samples)
    n = len(samples)
    smoothed = (samples.to(torch.float64).sum(0) + 0.5) / (n + 1)
    moments = exact_moments(path.model_at(0.0))
    torch.testing.assert_close(moments.visible, smoothed, rtol=0, atol=1e-6)
    hidden = (rbm.hidden_probability(samples).to(torch.float64).sum(0) + 0.5) / (n + 1)
    torch.testing.assert_close(moments.hidden, hidden, rtol=0, atol=1e-6)


def test_constant_pixels_keep_the_base_finite(strong):
    rbm, samples = strong
    path = AnnealingPath.fit(rbm, torch.zeros_like(samples))
    assert bool(torch.isfinite(path.base_visible).all())
    assert bool((path.base_visible < -6.0).all())


def test_base_samples_are_independent_bits(strong):
    rbm, samples = strong
    path = AnnealingPath.fit(rbm, samples)
    drawn = path.base_samples(20000, STREAM).to(torch.float64)
    mean = torch.sigmoid(path.base_visible.to(torch.float64))
    z = (drawn.mean(0) - mean) / torch.sqrt(mean * (1 - mean) / len(drawn))
    assert float(z.abs().max()) < 4.3  # 24 pixels: false alarm 4e-4
    common = (mean > 0.05) & (mean < 0.95)
    standard = ((drawn - mean) / torch.sqrt(mean * (1 - mean)))[:, common]
    correlation = (standard.T @ standard / len(drawn)).fill_diagonal_(0.0)
    assert float(correlation.abs().max()) * len(drawn) ** 0.5 < 5.0  # at most 276 pairs: false alarm 2e-4


def test_log_weight_is_minus_the_free_energy(strong):
    rbm, samples = strong
    expected = -rbm.to(dtype=torch.float64).free_energy(samples)
    torch.testing.assert_close(log_weight(rbm, samples), expected)
