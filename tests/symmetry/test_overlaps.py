"""Overlaps of replicas against exact distributions of small and of mean-field models; errors that cover."""

import math

import numpy as np
import pytest

from rbmscape import RBM
from rbmscape.diffusion.curie_weiss import CurieWeiss
from rbmscape.errors import ShapeError
from rbmscape.model.exact import exact_samples, visible_log_probabilities
from rbmscape.symmetry.overlaps import layer_overlaps


def test_every_pair_is_counted_once():
    states = np.array([[0, 0, 0], [0, 0, 1], [1, 1, 1], [0, 0, 0]])
    found = layer_overlaps(states, n_bins=4)
    np.testing.assert_allclose(found.edges, [-4 / 3, -2 / 3, 0, 2 / 3, 4 / 3])
    # Overlaps of the six pairs: 1/3, -1, 1, -1/3, 1/3, -1.
    np.testing.assert_allclose(found.density * 2 / 3, np.array([2, 1, 2, 1]) / 6)
    assert found.mean.value == pytest.approx((1 / 3 - 1 + 1 - 1 / 3 + 1 / 3 - 1) / 6)
    assert found.square.value == pytest.approx((3 * 1 / 9 + 3) / 6)


@pytest.mark.statistical
def test_distribution_of_a_small_model_and_coverage_of_its_errors():
    """Exact P(q) by sums over pairs of states; over 60 seeds mean z² in [0.5, 1.7] (false alarm 1e-3)."""
    generator = np.random.default_rng(0)
    rbm = RBM(generator.normal(0, 1.2, (7, 5)), generator.normal(0, 0.5, 7), generator.normal(0, 0.5, 5))
    p = visible_log_probabilities(rbm).exp().numpy()
    spins = 2.0 * ((np.arange(128)[:, None] >> np.arange(7)) & 1) - 1
    q = spins @ spins.T / 7
    pairs = np.outer(p, p)
    exact = (pairs * q).sum(), (pairs * q**2).sum()
    z, histograms = [], []
    for seed in range(100, 160):
        found = layer_overlaps(exact_samples(rbm, 400, seed=seed)[0], n_bins=8)
        z.append([found.mean.z_score(exact[0]), found.square.z_score(exact[1])])
        shares = np.array([pairs[np.abs(q - value) < 1e-9].sum() for value in np.linspace(-1, 1, 8)])
        histograms.append((found.density * 2 / 7 - shares) / (found.density_stderr * 2 / 7))
    assert ((np.square(z).mean(0) > 0.5) & (np.square(z).mean(0) < 1.7)).all()
    assert 0.5 < np.square(histograms).mean() < 2.0


@pytest.mark.statistical
@pytest.mark.parametrize("dressed", [0.5, 1.3])
def test_square_of_the_overlap_of_the_curie_weiss_model(dressed):
    """⟨q²⟩ = 1/N + (1 - 1/N) c² with the exact correlation c of two spins; |z| < 4 (false alarm 6e-5)."""
    model = CurieWeiss(60, 60, dressed)
    s, _, p = model.layer_distribution()
    generator = np.random.default_rng(2)
    up = generator.choice(61, size=400, p=p.sum(1))
    states = np.stack([generator.permutation(np.arange(60) < k) for k in up]).astype(int)
    c = (60 * (p.sum(1) @ s**2) - 1) / 59
    found = layer_overlaps(states)
    exact = 1 / 60 + (1 - 1 / 60) * c**2
    assert abs(found.square.z_score(exact)) < 4
    assert abs(found.square.z_score(1 / 60)) > (4 if dressed > 1 else 0)
    assert found.square.stderr < 0.15 * exact
    peaks = found.density[found.edges[:-1] < -0.2].sum(), found.density[np.abs(found.edges[:-1]) < 0.1].sum()
    assert (peaks[0] > peaks[1]) == (dressed > 1)


def test_independent_biased_units_have_a_gaussian_centred_overlap():
    """Over 20 seeds: mean z of ⟨q_c²⟩ against 1/N within 4/√20, since the same chains give the means."""
    probability = np.random.default_rng(0).uniform(0.1, 0.9, 80)
    scores, binders = [], []
    for seed in range(20):
        states = np.random.default_rng(seed + 1).random((200, 80)) < probability
        found = layer_overlaps(states)
        scores.append(found.centred_square.z_score(1 / 80))
        binders.append(found.binder.value)
    assert abs(np.mean(scores)) < 4 / math.sqrt(20)
    assert abs(np.mean(binders)) < 0.05


def test_frozen_units_and_bad_input():
    frozen = layer_overlaps(np.ones((5, 3)))
    assert frozen.mean.value == 1.0
    assert math.isnan(frozen.binder.value)
    with pytest.raises(ShapeError, match="n_chains >= 4"):
        layer_overlaps(np.ones((3, 3)))
