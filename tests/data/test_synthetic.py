"""Synthetic sets against exact enumeration: number of patterns, the planted model's partition function and spectrum."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from rbmscape.data.synthetic import bars_and_stripes, planted
from rbmscape.errors import DataError
from rbmscape.model.exact import exact_log_likelihood, exact_log_partition, exact_moments, visible_log_probabilities
from rbmscape.model.rbm import PARAMETER_NAMES, RBM


def model_of(dataset):
    """The RBM that a planted set was drawn from."""
    known = dataset.attributes
    return RBM(*(torch.from_numpy(known[name]) for name in PARAMETER_NAMES))


@given(st.integers(1, 5), st.integers(1, 5))
def test_bars_and_stripes_are_all_and_only_those(height, width):
    dataset = bars_and_stripes((height, width))
    images = {tuple(image) for image in dataset.train.tolist()}
    bars = {tuple(np.repeat(state, width)) for state in itertools.product([0, 1], repeat=height)}
    stripes = {state * height for state in itertools.product([0, 1], repeat=width)}
    assert images == bars | stripes
    assert len(dataset.train) == 2**height + 2**width - 2 if min(height, width) > 1 else 2 ** max(height, width)
    assert dataset.attributes["test_log_likelihood"] == pytest.approx(-math.log(len(images)))
    np.testing.assert_array_equal(dataset.train, dataset.test)
    assert dataset.image_shape == (height, width)


def test_bars_and_stripes_labels_tell_orientation():
    dataset = bars_and_stripes((3, 4))
    for image, label in zip(dataset.train.reshape(-1, 3, 4), dataset.train_labels, strict=True):
        rows_constant = all(len(set(row)) == 1 for row in image.tolist())
        columns_constant = all(len(set(column)) == 1 for column in image.T.tolist())
        assert label == (2 if rows_constant and columns_constant else 0 if rows_constant else 1)


@pytest.mark.parametrize("shape", [(0, 3), (3,), (2, 2, 2), (2.5, 2), (True, 3), (40, 40), (29, 3)])
def test_impossible_sizes_are_refused(shape):
    with pytest.raises(DataError, match="bars and stripes"):
        bars_and_stripes(shape)


@given(st.integers(1, 4), st.integers(1, 6), st.integers(0, 2**32), st.data())
def test_planted_directions_are_the_singular_vectors(rank, periods, seed, data):
    strengths = data.draw(st.lists(st.floats(0.1, 20), min_size=rank, max_size=rank, unique=True))
    dataset = planted(periods * 2 ** (rank - 1), rank, strengths, n_train=3, n_test=0, seed=seed)
    known = dataset.attributes
    if dataset.n_visible < rank:
        return
    np.testing.assert_allclose(known["singular_values"], sorted(strengths, reverse=True))
    np.testing.assert_allclose(
        np.linalg.svd(known["weights"], compute_uv=False), known["singular_values"], rtol=1e-9, atol=1e-9
    )
    np.testing.assert_allclose(known["directions"].T @ known["directions"], np.eye(rank), atol=1e-12)
    np.testing.assert_allclose(np.abs(known["directions"]), dataset.n_visible**-0.5)


@pytest.mark.parametrize(("n_visible", "rank"), [(5, 1), (6, 2), (8, 3), (8, 4)])
def test_planted_partition_function_and_likelihood_are_exact(n_visible, rank):
    dataset = planted(n_visible, rank, n_train=200, n_test=100, seed=4)
    rbm = model_of(dataset)
    assert dataset.attributes["log_partition"] == pytest.approx(exact_log_partition(rbm), abs=1e-9)
    for part in ("train", "test"):
        exact = float(exact_log_likelihood(rbm, torch.from_numpy(getattr(dataset, part)).double()).mean())
        assert dataset.attributes[f"{part}_log_likelihood"] == pytest.approx(exact, abs=1e-9)


def test_planted_model_has_mean_one_half_everywhere():
    moments = exact_moments(model_of(planted(8, 3, n_train=1, seed=1)))
    np.testing.assert_allclose(moments.visible, 0.5, atol=1e-12)
    np.testing.assert_allclose(moments.hidden, 0.5, atol=1e-12)


def chi_square(samples, log_probabilities):
    """p-value of Pearson's test of samples against exact state probabilities; states expected below 5 are pooled."""
    states = samples @ (1 << np.arange(samples.shape[1]))
    expected = np.exp(log_probabilities) * len(samples)
    counts = np.bincount(states, minlength=len(expected))
    common = expected >= 5
    pooled = np.append(expected[common], expected[~common].sum()), np.append(counts[common], counts[~common].sum())
    keep = pooled[0] > 0
    return scipy.stats.chisquare(pooled[1][keep], pooled[0][keep] * len(samples) / pooled[0][keep].sum()).pvalue


def state_log_probabilities(rbm):
    """Exact ln p(v), indexed by Σ_i v_i 2^i."""
    n_units = rbm.n_visible
    states = (np.arange(2**n_units)[:, None] >> np.arange(n_units)) & 1
    table = exact_log_likelihood(rbm, torch.from_numpy(states).double()).numpy()
    assert np.exp(table).sum() == pytest.approx(1.0)
    assert torch.logsumexp(visible_log_probabilities(rbm), 0).item() == pytest.approx(0.0, abs=1e-9)
    return table


def test_planted_samples_follow_the_planted_model():
    """Independent draws, so no ESS gate is needed; false alarms: 1 in 1000 (seed fixed)."""
    dataset = planted(6, 2, [9.0, 5.0], n_train=40_000, n_test=10, seed=2)
    assert chi_square(dataset.train, state_log_probabilities(model_of(dataset))) > 1e-3
    # Negative control: a model with slightly weaker modes must be rejected.
    weaker = planted(6, 2, [8.0, 5.0], n_train=1, seed=2)
    assert chi_square(dataset.train, state_log_probabilities(model_of(weaker))) < 1e-6


def test_planted_principal_components_are_the_planted_directions():
    dataset = planted(64, 3, n_train=5000, seed=6)
    _, vectors = np.linalg.eigh(np.cov(dataset.train.T.astype(float)))
    overlap = np.linalg.svd(vectors[:, -3:].T @ dataset.attributes["directions"], compute_uv=False)
    assert overlap.min() > 0.98
    other = planted(64, 3, n_train=1, seed=7).attributes["directions"]
    assert np.linalg.svd(vectors[:, -3:].T @ other, compute_uv=False).min() < 0.9


def test_planted_labels_are_the_hidden_states():
    """At strong coupling the sign of each direction's projection tells the hidden state."""
    dataset = planted(64, 2, [40.0, 30.0], n_train=500, seed=8)
    projection = (dataset.train - 0.5) @ dataset.attributes["directions"]
    np.testing.assert_array_equal((projection > 0) @ [1, 2], dataset.train_labels)


def test_planted_depends_on_the_seed_alone():
    one, same, other = (planted(16, 2, n_train=50, n_test=20, seed=seed) for seed in (3, 3, 4))
    assert one.fingerprint == same.fingerprint != other.fingerprint
    assert not np.array_equal(one.train[:20], one.test)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_visible": 10, "rank": 3}, "multiple of 4; choose n_visible=8"),
        ({"n_visible": 0}, "n_visible"),
        ({"n_visible": 4.5}, "n_visible"),
        ({"rank": 0}, "rank"),
        ({"rank": 11, "n_visible": 1024}, "at most 10"),
        ({"n_train": 0}, "n_train"),
        ({"n_test": -1}, "n_test"),
        ({"strengths": [1.0, 2.0]}, "strengths"),
        ({"strengths": [1.0, 2.0, -3.0]}, "strengths"),
        ({"strengths": [1.0, 2.0, math.nan]}, "strengths"),
    ],
)
def test_impossible_plans_are_refused(changes, words):
    with pytest.raises(DataError, match=words):
        planted(**changes)
