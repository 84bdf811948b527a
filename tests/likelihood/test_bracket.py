"""The bracket is calibrated on models that can be enumerated, and says so when it does not hold."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.errors import InputError
from rbmscape.model.exact import exact_log_likelihood, exact_samples

OPTIONS = {"n_chains": 100, "n_betas": 50, "max_betas": 800}


def bracketed(rbm, seed, **options):
    """A bracket without knowledge of the samples' origin, and the exact value."""
    data = exact_samples(rbm, 200, seed=seed)[0].to(torch.uint8)
    bracket = rs.likelihood_bracket(rbm, data, seed=seed, **(OPTIONS | options))
    return bracket, float(exact_log_likelihood(rbm, data).mean())


def test_calibration(random_model, bimodal_model, glass_model):
    """12 models: random ones, ones with many modes, ferromagnets.

    With true coverage 0.95 of the 95 % intervals, fewer than 9 hits of 12 happen with probability 2e-3; more than 4
    standard errors off without an objection should never happen.
    """
    models = [random_model(seed, strength=0.5 * seed) for seed in range(1, 5)]
    models += [glass_model(seed, strength=0.5 * seed) for seed in range(1, 5)]
    models += [bimodal_model(barrier=b, tilt=tilt) for b, tilt in ((0.3, 0.0), (0.6, 1.0), (1.0, 2.0), (1.5, 3.0))]
    hits = {"best": 0, "bracket": 0}
    for seed, rbm in enumerate(models):
        bracket, exact = bracketed(rbm, seed)
        low, high = bracket.best.interval()
        hits["best"] += low <= exact <= high
        low, high = bracket.interval()
        hits["bracket"] += low <= exact <= high
        if bracket.converged:
            assert abs(bracket.best.z_score(exact)) < 4.0
    assert hits["best"] >= 9
    assert hits["bracket"] >= 9


def test_too_few_temperatures_are_reported(bimodal_model, glass_model):
    """Negative controls with true samples as reverse starts: two far modes of unequal weight, and many modes."""
    for rbm in (bimodal_model(barrier=1.5, tilt=1.0), glass_model(6, 60, 12, strength=2.0)):
        samples = exact_samples(rbm, 200, seed=3)[0].to(torch.uint8)
        bracket, _ = bracketed(rbm, 1, n_betas=4, max_betas=8, starts=samples)
        assert not bracket.converged
        assert "NOT converged" in str(bracket)


def test_a_mode_that_annealing_misses_is_reported(bimodal_model):
    """The same with the package's own starts and more temperatures: tempering finds both modes, annealing one."""
    bracket, _ = bracketed(bimodal_model(barrier=1.5, tilt=1.0), 1, max_betas=100)
    assert any(reason.startswith("gap") for reason in bracket.objections)


def test_wrong_starts_are_reported(bimodal_model):
    """Reverse starts that all lie in the lesser mode contradict the forward direction."""
    rbm = bimodal_model(barrier=1.0, tilt=2.0)
    wrong = torch.zeros(100, rbm.n_visible, dtype=torch.uint8)
    bracket, _ = bracketed(rbm, 2, starts=wrong, max_betas=100)
    assert any(reason.startswith("gap") for reason in bracket.objections)


def test_more_temperatures_close_the_gap(glass_model):
    rbm = glass_model(6, 60, 12, strength=2.0)
    samples = exact_samples(rbm, 200, seed=3)[0].to(torch.uint8)
    bracket, _ = bracketed(rbm, 3, n_betas=3, max_betas=1000, starts=samples, tolerance=0.0, schedule="uniform")
    assert bracket.converged
    gaps = [upper.value - lower.value for _, lower, upper in bracket.history]
    assert gaps[0] > 5.0
    assert abs(gaps[-1]) < 0.2 * gaps[0]
    numbers = [n for n, _, _ in bracket.history]
    assert numbers[:2] == [3, 12]  # few chains carry the first weights, so that doubling would be wasted
    assert {later // earlier for earlier, later in pairwise(numbers)} == {2, 4}


def test_one_level_alone_is_not_converged(strong):
    rbm, samples = strong
    bracket = rs.likelihood_bracket(rbm, samples, n_chains=50, schedule=np.linspace(0, 1, 100), starts=samples)
    assert len(bracket.history) == 1
    assert any("no second" in reason for reason in bracket.objections)
    assert bracket.n_betas == 100


def test_words_and_numbers(strong):
    rbm, samples = strong
    bracket = rs.likelihood_bracket(rbm, samples, starts=samples, **OPTIONS)
    assert bracket.converged
    assert str(bracket).endswith("converged")
    assert bracket.gap == pytest.approx(bracket.upper.value - bracket.lower.value)
    low, high = bracket.interval()
    assert low < min(bracket.lower.value, bracket.upper.value) <= max(bracket.lower.value, bracket.upper.value) < high
    assert len(bracket.reasons) == 5
    assert math.isfinite(bracket.best.overlap)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_chains": 1}, "n_chains must be a whole number of at least 2"),
        ({"n_betas": 100, "max_betas": 50}, "max_betas must be at least n_betas"),
        ({"tolerance": -1.0}, "tolerance"),
        ({"schedule": [0.5, 1.0]}, "from 0 to 1"),
        ({"models": []}, "models is empty"),
        ({"n_rounds": 3}, "n_rounds must be a whole number of at least 16"),
    ],
)
def test_refuses(options, message, strong):
    rbm, samples = strong
    with pytest.raises(InputError, match=message):
        rs.likelihood_bracket(rbm, samples, **({"n_chains": 10, "n_betas": 10} | options))
