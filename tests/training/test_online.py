"""The log-likelihood that training writes down, against enumeration of the same models."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.errors import ConfigError, FormatError
from rbmscape.kernels.select import select_engine
from rbmscape.model.exact import exact_log_likelihood, exact_log_partition
from rbmscape.training.online import OnlineLikelihood

RECIPE = {"n_hidden": 8, "epochs": 30, "batch_size": 50, "n_chains": 200, "online_likelihood": True, "averaging": 50}


@pytest.fixture(scope="module")
def patterns():
    generator = np.random.default_rng(4)
    rows = generator.random((600, 24)) < generator.random((4, 24))[generator.integers(0, 4, 600)]
    return rs.Dataset.from_array(rows[:450].astype(np.uint8), rows[450:].astype(np.uint8))


def test_every_checkpoint_agrees_with_enumeration(patterns):
    """z-scores of ln Z along five trainings: RMS below 2.  The values of one training are correlated; with only the
    last of each the false alarm would be 1e-3.  Chains of so small a model are as good as in equilibrium.
    """
    z = []
    for seed in range(5):
        run = rs.train(patterns, rs.TrainingConfig(**RECIPE, seed=seed), progress=False)
        for row in run.rows:
            rbm = run.load(row["update"])
            z.append((row["log_partition"] - exact_log_partition(rbm)) / row["log_partition_stderr"])
            held = torch.from_numpy(patterns.test)
            exact = float(exact_log_likelihood(rbm, held).mean())
            difference = row["log_likelihood"] - exact + row["log_partition"] - exact_log_partition(rbm)
            assert difference == pytest.approx(0.0, abs=1e-3)
        assert run.rows[-1]["log_partition_overlap"] > 0.03
        assert run.rows[-1]["log_likelihood"] > run.rows[0]["log_likelihood"]
    assert np.sqrt(np.mean(np.square(z))) < 2.0


def test_chains_that_stay_behind_are_off(patterns):
    """Negative control: the untrained model's chains do not follow a trained one through few steps of relaxation."""
    weights = np.full((24, 8), 2.0, dtype=np.float32)
    rbm = rs.RBM(weights, -weights.sum(1) / 2 + 4.0 / 24, -weights.sum(0) / 2)
    online = OnlineLikelihood(select_engine(), 0)
    data, chains = torch.from_numpy(patterns.train), torch.zeros(200, 24, dtype=torch.uint8)
    online.advance(rs.RBM.random(24, 8), chains, data, data, 0)
    found = online.advance(rbm, chains, data, data, 1)
    assert abs(found["log_partition"] - exact_log_partition(rbm)) > 4.0 * found["log_partition_stderr"]


def test_off_by_default_and_silent_then(patterns):
    run = rs.train(patterns, rs.TrainingConfig(n_hidden=4, epochs=1, batch_size=50), progress=False)
    assert all("log_likelihood" not in row for row in run.rows)
    without = {key: value for key, value in rs.TrainingConfig().model_dump().items() if key != "online_likelihood"}
    assert rs.TrainingConfig.from_mapping(without) == rs.TrainingConfig()


def test_the_training_itself_is_unchanged(patterns):
    one, other = (
        rs.train(patterns, rs.TrainingConfig(**(RECIPE | {"epochs": 2, "online_likelihood": on})), progress=False)
        for on in (True, False)
    )
    assert torch.equal(one.load().weights, other.load().weights)


@pytest.mark.parametrize("method", ["cd", "rdm"])
def test_needs_persistent_chains(method):
    with pytest.raises(ConfigError, match="persistent chains"):
        rs.TrainingConfig(method=method, online_likelihood=True)


def test_a_state_without_it_is_refused():
    with pytest.raises(FormatError, match=r"lacks online\.weights"):
        OnlineLikelihood(select_engine(), 0).restore({})
