"""Rotation divergence: histograms, distances with known values, null distributions, and power against structure."""

import math

import numpy as np
import pytest
import torch

from rbmscape import RBM, Modes, rotation_divergence
from rbmscape.errors import InputError, ShapeError
from rbmscape.rng import Stream
from rbmscape.symmetry.divergence import (
    _null_weights,
    distances,
    entry_histograms,
    kullback_leibler,
    null_divergences,
)
from rbmscape.symmetry.rotations import rotated_weights


def structured(n=60, m=40, seed=0):
    """A model with localised hidden units on top of noise: few large entries, as training makes them."""
    generator = np.random.default_rng(seed)
    weights = 0.05 * generator.standard_normal((n, m))
    for hidden in range(m):
        start = generator.integers(0, n - 5)
        weights[start : start + 5, hidden] += generator.choice([-2.0, 2.0])
    return RBM(weights, np.zeros(n), np.zeros(m))


def test_histograms_hold_every_entry_of_both_matrices():
    generator = torch.Generator().manual_seed(1)
    before = torch.randn(30, 20, dtype=torch.float64, generator=generator)
    after = 5.0 * torch.randn(30, 20, dtype=torch.float64, generator=generator)
    edges, p, q = entry_histograms(before, after, n_bins=50)
    both = torch.cat([before.reshape(-1), after.reshape(-1)]).numpy()
    assert (edges[0], edges[-1]) == (both.min(), both.max())
    assert p.sum() == q.sum() == 600
    np.testing.assert_array_equal(p.sum(0), np.histogram(before.numpy(), edges)[0])
    np.testing.assert_array_equal(q.sum(0), np.histogram(after.numpy(), edges)[0])
    np.testing.assert_array_equal(q[7], np.histogram(after[:, 7].numpy(), edges)[0])


def test_constant_matrices_do_not_divide_by_a_zero_range():
    constant = torch.ones(4, 3)
    _, p, q = entry_histograms(constant, constant)
    assert p.sum() == q.sum() == 12
    assert distances(constant, constant).jensen_shannon == 0.0


def test_distances_have_their_known_values():
    below, above = torch.zeros(10, 10), torch.ones(10, 10)
    apart = distances(below, above, n_bins=10)
    assert apart.jensen_shannon == pytest.approx(math.log(2))
    assert apart.kolmogorov_smirnov == 1.0
    # Two normals a standard deviation apart: KL = 1/2, KS = 2Φ(1/2) - 1.
    generator = torch.Generator().manual_seed(2)
    first = torch.randn(600, 500, dtype=torch.float64, generator=generator)
    shifted = distances(first, torch.randn(600, 500, dtype=torch.float64, generator=generator) + 1.0, n_bins=100)
    assert shifted.kl_forward == pytest.approx(0.5, abs=0.01)
    assert shifted.kl_backward == pytest.approx(0.5, abs=0.01)
    assert shifted.kolmogorov_smirnov == pytest.approx(0.3829, abs=0.005)
    assert shifted.energy_distance == pytest.approx(distances(2 * first, 2 * (first + 1.0)).energy_distance, abs=0.01)
    assert distances(first, first).energy_distance == 0.0


def test_kullback_leibler_stays_finite_where_a_bin_is_empty():
    assert kullback_leibler([10, 10], [20, 0], pseudocount=0.0) == math.inf
    assert 0 < kullback_leibler([10, 10], [20, 0]) < math.inf
    assert kullback_leibler([500_000, 250_000], [250_000, 500_000]) == pytest.approx(math.log(2) / 3, rel=1e-5)


def test_untrained_model_agrees_with_the_null_and_structure_does_not():
    # z-scores against 40 null matrices; a Gaussian matrix exceeds 4 with probability below 1e-3 (fixed seeds).
    untrained = RBM.random(60, 40, seed=7)
    null = null_divergences(untrained, n_samples=40, seed=1, n_bins=100)
    assert abs(null.excess(rotation_divergence(untrained, seed=2, n_bins=100, n_rotations=1).value)) < 4
    trained = structured()
    value = rotation_divergence(trained, seed=2, n_bins=100)
    assert null.excess(value.value) > 20  # negative control: the statistic has power
    assert value.stderr < 0.2 * value.value
    # Localised units show in the entries' distribution and in their places: shuffling keeps the first only.
    shuffled = null_divergences(trained, "shuffled", n_samples=8, seed=1, n_bins=100)
    assert null.excess(shuffled.mean) > 20


def test_null_level_is_the_counting_noise_of_two_histograms():
    # All rows and columns turned: W and W_R are independent, and E[JSD] = (occupied bins - 1)/(4 n) to first order.
    null = null_divergences(RBM.random(120, 100), n_samples=16, seed=3, n_bins=20, fraction=4.0)
    rough = (20 - 1) / (4 * 120 * 100)
    assert 0.5 * rough < null.mean < 1.2 * rough
    assert null.std < 0.6 * null.mean


def test_reported_error_matches_the_scatter_over_models():
    values = [rotation_divergence(structured(seed=s), seed=s, n_bins=60, n_resamples=100) for s in range(24)]
    scatter = np.std([v.value for v in values], ddof=1)
    typical = float(np.median([v.stderr for v in values]))
    # The sample deviation of 24 values has a relative error of 15 %; the bootstrap is biased by less than a factor 2.
    assert 0.5 < typical / scatter < 2.0


def test_divergence_ignores_scale_and_permutations_of_hidden_units_on_average():
    rbm = structured()
    doubled = RBM(2 * rbm.weights, rbm.visible_bias, rbm.hidden_bias)
    assert rotation_divergence(rbm, seed=1).value == pytest.approx(rotation_divergence(doubled, seed=1).value, rel=0.02)
    order = torch.randperm(rbm.n_hidden, generator=torch.Generator().manual_seed(0))
    permuted = RBM(rbm.weights[:, order], rbm.visible_bias, rbm.hidden_bias[order])
    first, second = (rotation_divergence(x, seed=1, n_bins=60, n_rotations=8) for x in (rbm, permuted))
    assert abs(first.value - second.value) < 4 * math.hypot(first.stderr, second.stderr)


def test_axes_and_haar_planes_both_detect_structure():
    rbm = structured()
    modes = Modes.of(rbm)
    axes, haar = (rotation_divergence(rbm, planes=planes, n_bins=100, modes=modes) for planes in ("axes", "haar"))
    null = null_divergences(rbm, n_samples=10, n_bins=100, planes="haar")
    assert min(null.excess(axes.value), null.excess(haar.value)) > 10


def test_distances_without_bins_agree_with_the_histogram():
    rbm = structured()
    random = RBM.random(60, 40, seed=9)
    broken, kept = (distances(x.weights, rotated_weights(x, seed=4), n_bins=100) for x in (rbm, random))
    for statistic in ("kolmogorov_smirnov", "energy_distance"):
        null = null_divergences(rbm, n_samples=12, seed=2, n_bins=100, statistic=statistic)
        assert abs(null.excess(getattr(kept, statistic))) < 4.5
        assert null.excess(getattr(broken, statistic)) > 10
    assert broken.kolmogorov_smirnov > 3 * kept.kolmogorov_smirnov
    assert broken.energy_distance > 3 * kept.energy_distance
    assert broken.kl_forward > 3 * kept.kl_forward
    assert broken.kl_backward > 3 * kept.kl_backward


def test_bad_input_is_refused():
    rbm = RBM.random(6, 5)
    with pytest.raises(InputError, match="at least 2 matrices"):
        null_divergences(rbm, n_samples=1)
    with pytest.raises(InputError, match="kind must be one of random, shuffled, haar, found 'fresh'"):
        null_divergences(rbm, "fresh")
    with pytest.raises(InputError, match="statistic must be one of"):
        null_divergences(rbm, statistic="chi")
    with pytest.raises(InputError, match="n_rotations must be a whole number of at least 1"):
        rotation_divergence(rbm, n_rotations=0)
    with pytest.raises(InputError, match="at least 2 bins"):
        rotation_divergence(rbm, n_bins=1)
    with pytest.raises(ShapeError, match="one shape"):
        entry_histograms(torch.zeros(3, 2), torch.zeros(2, 3))


def test_haar_null_keeps_the_spectrum_and_loses_the_vectors():
    """Structure whose entries alone are odd stays below its own spectrum's level; columns of two values do not."""
    rbm = structured()
    generator = Stream(0, "test").numpy(0)
    null = _null_weights(rbm, "haar", generator)
    np.testing.assert_allclose(torch.linalg.svdvals(null), torch.linalg.svdvals(rbm.weights), rtol=1e-5)
    level = null_divergences(rbm, "haar", 6)
    assert level.excess(rotation_divergence(rbm).value) > 5
    turned = RBM(null, rbm.visible_bias, rbm.hidden_bias)
    assert abs(level.excess(rotation_divergence(turned).value)) < 5
