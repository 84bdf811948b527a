"""Gibbs chains reach the exact distribution of small models; what is wrong by little is told apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rbmscape.model import RBM
from rbmscape.model.exact import exact_moments, visible_log_probabilities
from rbmscape.rng import Stream
from rbmscape.sampling import gibbs
from rbmscape.sampling.diagnostics import effective_sample_size
from rbmscape.sampling.sample import sample
from rbmscape.stats import z_scores

N_CHAINS, N_STEPS = 12_000, 40
# 8 + 6 + 48 = 62 z-scores; P(any |z| > 4.75 | correct) < 62 * 2.0e-6 = 1.3e-4
LIMIT = 4.75


@pytest.fixture(scope="module")
def rbm():
    """Weights large enough to correlate the units, biases that break every symmetry between 0 and 1."""
    generator = np.random.default_rng(42)
    return RBM(generator.normal(0, 0.9, (8, 6)), generator.normal(-0.4, 0.5, 8), generator.normal(0.3, 0.5, 6))


def scores(v, h, rbm, beta=1.0):
    """z-scores of all means and pair correlations of independent draws against enumeration."""
    exact = exact_moments(rbm, beta)
    v, h = v.double(), h.double()
    n = len(v)
    found = torch.cat([v.mean(0), h.mean(0), (v.T @ h / n).flatten()])
    expected = torch.cat([exact.visible, exact.hidden, exact.correlation.flatten()])
    return z_scores(found, expected, torch.sqrt(expected * (1 - expected) / n))


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("engine", "precision", "beta"), [("cpu", "fp32", 1.0), ("cpu", "fp32", 0.4), ("reference", "fp64", 1.0)]
)
def test_last_states_follow_the_exact_joint_distribution(rbm, engine, precision, beta):
    drawn = sample(rbm, N_CHAINS, N_STEPS, seed=1, beta=beta, engine=engine, precision=precision)
    assert np.abs(scores(drawn.v, drawn.h, rbm, beta)).max() < LIMIT


@pytest.mark.statistical
def test_bf16_follows_the_distribution_of_the_rounded_weights():
    """Weights that bf16 holds exactly and sums that it does too: no bias may remain."""
    generator = np.random.default_rng(3)
    coarse = RBM(generator.integers(-6, 7, (8, 6)) / 4, generator.normal(0, 0.5, 8), generator.normal(0, 0.5, 6))
    drawn = sample(coarse, N_CHAINS, N_STEPS, seed=2, precision="bf16", engine="cpu")
    assert np.abs(scores(drawn.v, drawn.h, coarse)).max() < LIMIT


@pytest.mark.statistical
def test_visible_states_have_the_exact_frequencies(rbm):
    """χ² over all 256 visible states: |z| < 4.5 of its normal approximation, false alarm below 1e-4."""
    drawn = sample(rbm, 40_000, N_STEPS, seed=7, precision="fp32")
    index = (drawn.v.long() << torch.arange(8)).sum(1)
    counts = torch.bincount(index, minlength=256).double()
    expected = visible_log_probabilities(rbm).exp() * 40_000
    merged = expected < 8
    pooled_counts = torch.cat([counts[~merged], counts[merged].sum()[None]])
    pooled = torch.cat([expected[~merged], expected[merged].sum()[None]])
    chi2 = float(((pooled_counts - pooled) ** 2 / pooled).sum())
    freedom = len(pooled) - 1
    assert freedom > 100
    assert abs(chi2 - freedom) / np.sqrt(2 * freedom) < 4.5


@pytest.mark.statistical
@pytest.mark.parametrize("fault", ["beta", "hidden_bias", "visible_bias", "stale_hidden", "dropped_weight"])
def test_negative_control_faults_are_found(rbm, fault):
    """The test above must fail for each of these, by a clear margin."""
    weights, visible_bias, hidden_bias = rbm.weights.clone(), rbm.visible_bias.clone(), rbm.hidden_bias.clone()
    if fault == "hidden_bias":
        hidden_bias -= 0.15
    if fault == "visible_bias":
        visible_bias[0] += 0.25
    if fault == "dropped_weight":
        weights[2, 3] *= 0.8
    wrong = RBM(weights, visible_bias, hidden_bias)
    drawn = sample(wrong, N_CHAINS, N_STEPS, seed=1, precision="fp32", beta=0.93 if fault == "beta" else 1.0)
    hidden = drawn.h.roll(1, 0) if fault == "stale_hidden" else drawn.h
    assert np.abs(scores(drawn.v, hidden, rbm)).max() > LIMIT + 1


@pytest.mark.statistical
def test_time_averages_of_few_chains_with_autocorrelation(rbm):
    """Eight long chains; the error bars come from the effective sample size, which must be large enough to count.

    8 z-scores, P(any |z| > 4.75 | correct) < 2e-5.
    """
    sampler = gibbs.make_sampler(rbm, 8, Stream(5, "trace"), engine="cpu", precision="fp32")
    chains = gibbs.init(gibbs.random_start(8, rbm.n_visible, sampler.stream))
    chains, _info = gibbs.step(sampler, chains, 100)
    chains, draws = gibbs.trace(sampler, chains, 3000, lambda v: v)
    assert chains.steps == 3100
    assert draws.shape == (8, 3000, 8)
    ess = effective_sample_size(draws)
    assert ess.min() > 2000
    assert ess.max() < 1.3 * draws.shape[0] * draws.shape[1]
    found = draws.double().mean((0, 1))
    stderr = draws.double().std((0, 1)).numpy() / np.sqrt(ess)
    assert np.abs(z_scores(found, exact_moments(rbm).visible, stderr)).max() < LIMIT


def test_step_is_a_pure_function_that_can_be_split(rbm):
    sampler = gibbs.make_sampler(rbm, 5, Stream(9, "pure"), engine="cpu", precision="fp32")
    start = gibbs.init(gibbs.random_start(5, rbm.n_visible, sampler.stream))
    before = start.v.clone()
    once, info = gibbs.step(sampler, start, 7)
    again, _ = gibbs.step(sampler, start, 3)
    again, info_again = gibbs.step(sampler, again, 4)
    assert torch.equal(start.v, before)
    assert torch.equal(once.v, again.v)
    assert torch.equal(info.h, info_again.h)
    assert once.steps == again.steps == 7


def test_hidden_states_of_a_step_generated_the_visible_ones():
    """With weights ±40 and no noise left, v must be the deterministic function of the returned h."""
    weights = torch.tensor([[80.0, -80.0], [-80.0, 80.0], [80.0, 80.0]])
    noiseless = RBM(weights, torch.full((3,), -40.0), torch.zeros(2))
    sampler = gibbs.make_sampler(noiseless, 50, Stream(1, "noiseless"), engine="cpu", precision="fp32")
    chains = gibbs.init(gibbs.random_start(50, 3, sampler.stream))
    chains, info = gibbs.step(sampler, chains)
    field = info.h.float() @ weights.T - 40
    assert torch.equal(chains.v.bool(), field > 0)
