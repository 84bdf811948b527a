"""Kurtosis and densities of random states: all states of small layers, and the exact law of large ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import kurtosis as scipy_kurtosis

import rbmscape as rs
from rbmscape.errors import InputError, ShapeError
from rbmscape.reciprocal.gaussianity import (
    extrapolate_kurtosis,
    haar_kurtosis,
    kurtosis_of_vectors,
    kurtosis_stderr,
    sampled_kurtosis,
)
from rbmscape.reciprocal.moments import BLOCK_STATES, even_moments, quantized
from rbmscape.reciprocal.random_states import fitted_distances, lilliefors_level, random_state_gaussianity
from rbmscape.rng import Stream


def all_states(units):
    return np.array([[n >> k & 1 for k in range(units)] for n in range(2**units)], dtype=np.float64)


@pytest.mark.parametrize(("n_visible", "n_hidden"), [(9, 5), (5, 9), (1, 6)])
def test_exact_kurtosis_is_that_of_all_states(n_visible, n_hidden):
    generator = np.random.default_rng(0)
    rbm = rs.RBM(generator.normal(size=(n_visible, n_hidden)), np.zeros(n_visible), np.zeros(n_hidden))
    modes = rs.Modes.of(rbm)
    found = rs.kurtosis(rbm)
    for vectors, values in ((modes.left, found.x), (modes.right, found.y)):
        everything = all_states(len(vectors)) @ vectors.numpy()
        np.testing.assert_allclose(values, scipy_kurtosis(everything, fisher=False), atol=1e-10)


def test_haar_average_and_single_bit():
    modes = rs.Modes.of(rs.RBM.random(60, 40, seed=2))
    exact = rs.kurtosis(modes)
    # Only vectors with a singular value are Haar-distributed, the basis of the null space is LAPACK's choice.  One
    # matrix is one draw: entries to the fourth power scatter, so that the mean over modes is close, not equal.
    assert exact.x[:40].mean() == pytest.approx(haar_kurtosis(60), abs=0.01)
    assert exact.y.mean() == pytest.approx(haar_kurtosis(40), abs=0.01)
    assert kurtosis_of_vectors(torch.eye(3, dtype=torch.float64)).tolist() == [1.0, 1.0, 1.0]
    # N = 2, vectors (cos t, sin t): the Haar average is an integral over t
    angles = np.linspace(0.0, 2 * np.pi, 1000, endpoint=False)
    vectors = torch.as_tensor(np.stack([np.cos(angles), np.sin(angles)]))
    assert kurtosis_of_vectors(vectors).mean() == pytest.approx(haar_kurtosis(2), abs=1e-12)


@pytest.mark.parametrize("precision", ["int8", "bf16", "fp32"])
@pytest.mark.parametrize("units", [65, 30])
@pytest.mark.statistical
def test_sampled_kurtosis_agrees_in_every_mode(precision, units):
    """|z| < 4.5 in each of at most 30 modes (false alarm 2e-4), rms z near 1, and rounding far below the error."""
    rbm = rs.RBM.random(units, 90 - units, seed=1)
    found = sampled_kurtosis(rbm, "visible", 200_000, seed=3, precision=precision, paired=True)
    assert found.precision == precision
    assert found.value.shape == (min(units, 90 - units),)
    assert np.abs(found.z_scores).max() < 4.5
    assert 0.7 < np.sqrt(np.mean(found.z_scores**2)) < 1.3
    assert np.abs(found.rounding_bias).max() < 0.5 * found.stderr.min()
    # negative control: the Gaussian value is refused
    assert np.abs((found.value - 3.0) / found.stderr).max() > 10


def test_stated_error_is_the_spread_over_seeds():
    """Variance of 100 repetitions in 12 modes against the stated one, within 4 standard errors (false alarm 6e-5)."""
    modes = rs.Modes.of(rs.RBM.random(12, 20, seed=4))
    stated = kurtosis_stderr(modes.left, 4096)
    values = np.array([sampled_kurtosis(modes, "visible", 4096, seed, "fp32").value for seed in range(100)])
    ratio = np.mean(values.var(axis=0) / stated**2)
    assert abs(ratio - 1.0) < 4.0 * math.sqrt(2.0 / (100 * 12)) + 0.02  # 2 %: finite-sample bias of the delta method


def test_sampled_moments_do_not_depend_on_blocks_or_padding():
    """Moments of n states are the mean over the same bits whatever the block they fall into."""
    vectors = torch.as_tensor(np.linalg.qr(np.random.default_rng(0).normal(size=(70, 70)))[0])
    count = BLOCK_STATES + 37
    second, fourth = even_moments(vectors, count, Stream(5, "test"), "fp32")
    states = []
    for block, size in enumerate((BLOCK_STATES, 37)):
        words = Stream(5, "test").numpy(block).bit_generator.random_raw(size * 2)
        bits = np.unpackbits(words.view(np.uint8).reshape(size, 16), axis=1, bitorder="little")[:, :70]
        states.append(2.0 * bits - 1.0)
    values = np.concatenate(states) @ vectors.numpy()
    np.testing.assert_allclose(second, np.mean(values**2, axis=0), rtol=1e-5)
    np.testing.assert_allclose(fourth, np.mean(values**4, axis=0), rtol=1e-5)
    # localised vectors of very different columns survive the coarse format
    matrix, scale = quantized(vectors, "int8")
    assert float((matrix * scale - vectors).abs().max()) <= 0.51 * float(scale.max())


def test_automatic_precision_refuses_a_format_that_would_bias():
    """Localised vectors of a null space need more than eight bits once there are many states."""
    modes = rs.Modes.of(rs.RBM.random(65, 25, seed=1))
    for precision in ("int8", "bf16"):
        coarse = sampled_kurtosis(modes, "visible", 400_000, precision=precision)
        assert np.abs(coarse.rounding_bias / coarse.stderr).max() > 0.1
    found = sampled_kurtosis(modes, "visible", 400_000)
    assert found.precision == "fp32"
    assert np.abs(found.rounding_bias / found.stderr).max() < 1e-3


def test_seeds_matter():
    modes = rs.Modes.of(rs.RBM.random(10, 5))
    a = sampled_kurtosis(modes, n_states=2 * BLOCK_STATES + 1)
    assert np.array_equal(a.value, sampled_kurtosis(modes, n_states=2 * BLOCK_STATES + 1).value)
    assert not np.array_equal(a.value, sampled_kurtosis(modes, n_states=2 * BLOCK_STATES + 1, seed=1).value)


def test_fit_extrapolates_the_exact_law_to_the_gaussian():
    sizes = [500, 700, 784, 1200, 2000]
    line = extrapolate_kurtosis(sizes, haar_kurtosis(sizes))
    assert line.intercept.value == pytest.approx(3.0, abs=3e-5)
    assert line.slope.value == pytest.approx(-6.0, rel=0.01)
    assert line.residual < 1e-5
    assert line.at(np.inf) == pytest.approx(line.intercept.value)
    weighted = extrapolate_kurtosis(sizes, haar_kurtosis(sizes), np.full(5, 1e-3))
    assert weighted.intercept.value == pytest.approx(line.intercept.value)
    design = np.stack([np.ones(5), 1 / np.array(sizes)], axis=1)
    assert weighted.intercept.stderr == pytest.approx(1e-3 * np.sqrt(np.linalg.inv(design.T @ design)[0, 0]))
    with pytest.raises(ShapeError, match="at least three sizes"):
        extrapolate_kurtosis([1, 2], [2.0, 3.0])


@pytest.mark.statistical
def test_large_layers_are_gaussian_and_single_bits_are_not():
    """Kolmogorov-Smirnov p-values of 300 modes at 2000 states: below 1 % in at most 4 % (false alarm 1e-5)."""
    rbm = rs.RBM.random(300, 200, seed=8)
    found = random_state_gaussianity(rbm, n_states=2000, seed=1)
    for layer, count in ((found.x, 300), (found.y, 200)):
        assert layer.p_value.shape == (count,)
        assert np.mean(layer.p_value < 0.01) < 0.04
        assert np.abs(layer.sampled_mean - layer.mean).max() < 5 * 0.5 / math.sqrt(2000)
        assert np.abs(layer.sampled_std - 0.5).max() < 5 * 0.5 / math.sqrt(2 * 2000)
        np.testing.assert_allclose(layer.density.sum(1) * np.diff(layer.bin_edges)[0], 1.0, atol=5e-3)
    bits = rs.RBM(np.eye(6), np.zeros(6), np.zeros(6))
    assert random_state_gaussianity(bits, n_states=2000).x.p_value.max() < 1e-10


def test_distance_is_that_of_scipy():
    from scipy.stats import kstest

    modes = rs.Modes.of(rs.RBM.random(8, 4, seed=2))
    found = random_state_gaussianity(modes, n_states=500, mode_indices=[2], seed=4)
    bits = Stream(4, "reciprocal/gaussianity/visible").numpy(0).integers(0, 2, (500, 8), dtype=np.uint8)
    values = bits @ modes.left[:, 2].numpy()
    expected = kstest(values, "norm", args=(0.5 * float(modes.left[:, 2].sum()), 0.5))
    assert found.x.distance[0] == pytest.approx(expected.statistic, abs=1e-9)
    assert found.x.p_value[0] == pytest.approx(expected.pvalue, rel=1e-6)


def test_misuse_is_refused():
    rbm = rs.RBM.random(6, 4)
    with pytest.raises(InputError, match="layer must be"):
        sampled_kurtosis(rbm, "middle")
    with pytest.raises(InputError, match="precision must be"):
        sampled_kurtosis(rbm, precision="fp8")
    with pytest.raises(InputError, match="at least 100"):
        sampled_kurtosis(rbm, n_states=10)
    with pytest.raises(InputError, match="n_states must be at least 10"):
        random_state_gaussianity(rbm, n_states=5)
    with pytest.raises(InputError, match="hidden layer run from 0 to 3"):
        random_state_gaussianity(rbm, mode_indices=[5])


@pytest.mark.parametrize("count", [20, 100])
def test_fitted_distance_exceeds_its_level_as_rarely_as_stated(count):
    """1 % of 5000 Gaussian columns of any mean and width: 50, 25 to 75 by 3.5 standard errors; two points always."""
    generator = np.random.default_rng(count)
    gaussian = 3.0 + 0.2 * generator.standard_normal((count, 5000))
    assert 25 <= int((fitted_distances(gaussian) > lilliefors_level(count)).sum()) <= 75
    two = np.repeat([[0.0], [1.0]], count // 2, axis=0)
    assert fitted_distances(two)[0] > lilliefors_level(count)
    assert np.isnan(fitted_distances(np.ones((count, 1))))[0]
