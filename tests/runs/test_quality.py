"""A model that fits raises no concern; copies, missing correlations and idle units do."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.errors import InputError
from rbmscape.rng import Stream
from rbmscape.runs.quality import _compare
from rbmscape.sampling.verdict import EquilibriumVerdict

WEIGHTS = np.random.default_rng(0).normal(0, 2.0, (16, 4))
TRUTH = rs.RBM(WEIGHTS, -WEIGHTS.sum(1) / 2, -WEIGHTS.sum(0) / 2)  # symmetric under the exchange of 0 and 1
FINE = EquilibriumVerdict((), 1000.0, 1.0, 0.0, "exact")


def rows(seed: int, n: int = 800) -> np.ndarray:
    return rs.sample(TRUTH, n, 200, seed, method="gibbs").v.numpy()


DATA = rs.Dataset.from_array(rows(1), rows(2))


def judged(samples: np.ndarray, rbm: rs.RBM = TRUTH, data: rs.Dataset = DATA) -> rs.Quality:
    return _compare(rbm, data, torch.from_numpy(samples), FINE, Stream(0, "quality"))


def test_samples_of_the_truth_raise_no_concern():
    for seed in range(3, 8):
        found = judged(rows(seed))
        assert found.concerns == ()
        assert found.pairs.value > 0.9
        assert abs(found.nearest_train.value - 0.5) < 4 * found.nearest_train.stderr


def test_independent_units_lack_correlations():
    free = (np.random.default_rng(0).random((800, 16)) < DATA.mean).astype(np.uint8)
    found = judged(free)
    assert any("pair statistics" in words for words in found.concerns)
    assert any("samples can be told from training data" in words for words in found.concerns)


def test_copies_of_training_data_are_noticed():
    wide = rs.RBM.random(60, 3, std=0.3)
    parts = [rs.sample(wide, 300, 20, seed, method="gibbs").v.numpy() for seed in range(3)]
    data = rs.Dataset.from_array(parts[0], parts[1])
    assert not any("memorises" in words for words in judged(parts[2], wide, data).concerns)
    copies = np.where(np.random.default_rng(0).random(parts[0].shape) < 0.02, 1 - parts[0], parts[0])
    assert any("memorises" in words for words in judged(copies, wide, data).concerns)


def test_idle_units_are_counted():
    weights = np.concatenate([WEIGHTS[:, [0, 0, 1]], -WEIGHTS[:, [0]], np.zeros((16, 2))], axis=1)
    rbm = rs.RBM(weights, np.zeros(16), np.concatenate([-weights[:, :4].sum(0) / 2, [20.0, -20.0]]))
    found = judged(rows(3), rbm)
    assert (found.alike_units, found.constant_units) == ((1, 3), (4, 5))
    assert sum("hidden units" in words for words in found.concerns) >= 2


def test_a_likelihood_gap_needs_no_partition_function():
    found = judged(
        rows(3), data=rs.Dataset.from_array(rows(1, 200), np.random.default_rng(0).integers(0, 2, (200, 16)))
    )
    exact = rs.log_likelihood(TRUTH, rows(1, 200), method="exact").value
    assert found.likelihood_gap.value > 1
    assert exact < 0
    assert any("likelier than test data" in words for words in found.concerns)


def test_quality_of_a_run_and_of_a_model():
    config = rs.TrainingConfig(n_hidden=4, epochs=3, batch_size=100, n_chains=100, early_checkpoints=3)
    run = rs.train(DATA, config, progress=False)
    found = rs.quality(run, DATA, n_samples=100)
    assert found.n_hidden == 4
    assert "pairs" in repr(found)
    with pytest.raises(InputError, match="needs the data that a model was trained on, found None"):
        rs.quality(run.load())
    assert np.isnan(rs.quality(run.load(), DATA.limited(n_test=0), n_samples=50).nearest_test.value)
