"""Baselines are normalised, recover what they can express, and are what trained models are measured against."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.data.kinds import MISSING
from rbmscape.errors import InputError
from rbmscape.likelihood.baselines import _fit, _log_joint, baselines
from rbmscape.model.exact import binary_states
from rbmscape.rng import Stream


@pytest.fixture(scope="module")
def clusters():
    """Rows of three products, and the mean log-likelihood of the test rows under the truth."""
    generator = np.random.default_rng(3)
    means, shares = generator.uniform(0.1, 0.9, (3, 12)), np.array([0.5, 0.3, 0.2])
    kinds = generator.choice(3, 12_000, p=shares)
    rows = (generator.random((12_000, 12)) < means[kinds]).astype(np.uint8)
    held = rows[8000:]
    log_p = held @ np.log(means / (1 - means)).T + np.log1p(-means).sum(1) + np.log(shares)
    return rs.Dataset.from_array(rows[:8000], held), float(np.logaddexp.reduce(log_p, 1).mean())


def test_both_are_normalised_and_scored_as_defined(clusters):
    dataset, _ = clusters
    train = torch.from_numpy(dataset.train).float()
    means, shares = _fit(train, train.mean(0), 5, Stream(0, "test"))
    assert float(shares.sum()) == pytest.approx(1.0, abs=1e-6)
    assert float(_log_joint(binary_states(12).float(), means, shares).exp().sum()) == pytest.approx(1.0, abs=1e-5)
    p = dataset.train.mean(0)
    plain = dataset.test @ np.log(p / (1 - p)) + np.log1p(-p).sum()
    found = baselines(dataset).independent
    assert found.value == pytest.approx(plain.mean(), abs=2e-3)
    assert found.stderr == pytest.approx(plain.std() / math.sqrt(len(plain)), rel=1e-2)


def test_a_mixture_recovers_clusters_that_independent_units_miss(clusters):
    """The fit loses about (parameters)/(2 n) = 0.002 nats; 20 products are no better than the truth's three."""
    dataset, truth = clusters
    found = baselines(dataset, n_products=3)
    assert found.mixture.value == pytest.approx(truth, abs=0.02)
    assert found.independent.value < truth - 0.15
    assert truth - 0.1 < baselines(dataset).mixture.value < truth + 0.02
    assert baselines(dataset, n_products=1).mixture.value == pytest.approx(found.independent.value, abs=1e-3)


def test_same_seed_same_numbers_and_few_rows(clusters):
    dataset, _ = clusters
    assert baselines(dataset, seed=4) == baselines(dataset, seed=4)
    few = rs.Dataset.from_array(np.eye(3, dtype=np.uint8), test=None)
    found = baselines(few)
    assert found.n_products == 3
    assert math.isfinite(found.mixture.value)
    assert repr(found).startswith("Baselines(independent units -")


def test_rows_of_ones_own_and_what_is_refused(clusters):
    dataset, _ = clusters
    one = baselines(dataset, torch.from_numpy(dataset.test[:1]))
    assert one.independent.stderr == 0.0
    with pytest.raises(InputError, match="n_products must be a whole number"):
        baselines(dataset, n_products=0)


def test_of_rows_with_gaps_what_is_known_is_fitted_and_scored():
    generator = np.random.default_rng(7)
    means = np.array([[0.9] * 8, [0.1] * 8])
    rows = (generator.random((4000, 8)) < means[generator.integers(0, 2, 4000)]).astype(float)
    rows[generator.random(rows.shape) < 0.3] = np.nan
    data = rs.load_dataset(rows, missing="marginalize", test_fraction=0.25)
    found, known = baselines(data, n_products=4), data.test != MISSING
    assert found.independent.value == pytest.approx(-math.log(2) * known.sum(1).mean(), abs=0.01)
    single = [np.where(known, np.where(data.test == 1, p, 1 - p), 1.0).prod(1) for p in (0.9, 0.1)]
    truth = np.log(0.5 * sum(single)).mean()
    assert abs(found.mixture.value - truth) < 4 * found.mixture.stderr + 0.02
