"""The bracket is calibrated on models that can be enumerated, and says so when it does not hold."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.errors import InputError
from rbmscape.model.exact import exact_log_likelihood, exact_log_partition, exact_samples

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
    bracket, _ = bracketed(bimodal_model(barrier=1.5, tilt=1.0), 1, n_chains=300, max_betas=100)
    assert any(reason.startswith("gap") for reason in bracket.objections)


def test_wrong_starts_are_reported(bimodal_model):
    """Reverse starts that all lie in the lesser mode contradict the forward direction."""
    rbm = bimodal_model(barrier=1.0, tilt=2.0)
    wrong = torch.zeros(100, rbm.n_visible, dtype=torch.uint8)
    bracket, _ = bracketed(rbm, 2, starts=wrong, max_betas=100)
    assert any(reason.startswith("gap") for reason in bracket.objections)


def test_bounds_in_the_wrong_order_are_explained(bimodal_model):
    """The same starts, and data of which half are there: annealing ends there more often than the model is."""
    rbm = bimodal_model(barrier=1.0, tilt=2.0)
    wrong = torch.zeros(100, rbm.n_visible, dtype=torch.uint8)
    bracket = rs.likelihood_bracket(
        rbm, torch.cat((wrong, 1 - wrong)), seed=2, starts=wrong, **OPTIONS | {"max_betas": 100}
    )
    assert bracket.gap < -0.5
    (gap,) = (reason for reason in bracket.objections if reason.startswith("gap"))
    assert "the lower bound lies above the upper one, so that the reverse starts sit in another" in gap


def test_what_is_not_converged_is_a_bound_and_has_no_error(bimodal_model):
    """The exact value is below the printed bound; the interval is open downwards, and its upper end Markov's."""
    rbm = bimodal_model(barrier=1.5, tilt=1.0)
    wrong = torch.zeros(100, rbm.n_visible, dtype=torch.uint8)
    bracket, exact = bracketed(rbm, 1, starts=wrong, n_betas=4, max_betas=8)
    assert not bracket.converged
    assert math.isnan(bracket.best.stderr)
    assert bracket.best.objections == bracket.objections
    assert str(bracket).startswith(f"at most {bracket.upper} (about ")
    assert bracket.interval() == (-math.inf, pytest.approx(bracket.upper.value + math.log(20)))
    assert exact <= bracket.interval()[1]


def one_sided(path, bimodal_model):
    """A ferromagnet of 80 units with two far modes, models that lead to it, and data from the first mode alone."""
    tilt = np.log(9.0)
    models = [
        bimodal_model(80, 8, 0.7 * s, tilt if s == 1.0 or path == "straight" else -1.0)
        for s in (0.01, 0.1, 0.25, 0.5, 1.0)
    ]
    states = exact_samples(models[-1], 2000, seed=3)[0].to(torch.uint8)
    return models, states[states.to(torch.float32).mean(1) < 0.5][:100]


@pytest.mark.parametrize("path", ["straight", "biased"])
def test_a_mode_that_the_data_lack_is_not_missed_by_both_directions(path, bimodal_model):
    """A converged bracket is right; where annealing from the data's base misses the mode, the gap says so.

    With ladders that began at the data's means both were called converged, and were off by 2.2 nats.
    """
    models, data = one_sided(path, bimodal_model)
    exact = float(exact_log_likelihood(models[-1], data).mean())
    bracket = rs.likelihood_bracket(models[-1], data, 100, 50, 1, max_betas=200, models=models, budget=4e10)
    assert not bracket.converged or abs(bracket.best.z_score(exact)) < 4.0
    assert bracket.lower.value < exact + 0.3


@pytest.mark.parametrize("earlier", [False, True], ids=["alone", "with models"])
def test_needles_in_the_data_are_not_missed_without_a_word(earlier):
    """Six units that detect one pattern of weight 0.1 in a broad background; 5 of 100 rows are the pattern."""
    generator = np.random.default_rng(4)
    pattern = generator.random(30) < 0.5
    weights = generator.normal(scale=0.2, size=(30, 8))
    weights[:, :6] = 3.0 * (2.0 * pattern - 1.0)[:, None]
    bias, state = np.zeros(8), torch.from_numpy(pattern.astype(np.float64))[None]
    low, high = -300.0, 0.0
    for _ in range(50):
        bias[:6] = (low + high) / 2.0
        rbm = rs.RBM(weights, np.zeros(30), bias)
        heavy = np.exp(-float(rbm.free_energy(state)[0]) - exact_log_partition(rbm)) > 0.1
        low, high = (low, bias[0]) if heavy else (bias[0], high)
    rows = exact_samples(rbm, 300, seed=1)[0].to(torch.uint8)
    rows = rows[(rows != state).any(1)]
    models = [rs.RBM(s * rbm.weights, s * rbm.visible_bias, s * rbm.hidden_bias) for s in (0.01, 0.3, 1.0)]
    data = torch.cat((rows[:95], state.to(torch.uint8).expand(5, -1)))
    exact = float(exact_log_likelihood(rbm, data).mean())
    bracket = rs.likelihood_bracket(rbm, data, 100, 50, max_betas=200, models=models if earlier else None, budget=1e10)
    assert not bracket.converged or abs(bracket.best.z_score(exact)) < 4.0
    assert any("reverse starts doubtful" in words for words in bracket.objections)


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
