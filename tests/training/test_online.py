"""The log-likelihood that training writes down, against enumeration of the same models."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.errors import ConfigError, FormatError
from rbmscape.kernels.select import select_engine
from rbmscape.likelihood.trajectory import OnlineLogPartition
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


def behind():
    """An untrained and a strongly coupled model of the same shape, and chains that follow neither."""
    weights = np.full((24, 8), 2.0, dtype=np.float32)
    strong = rs.RBM(weights, -weights.sum(1) / 2 + 4.0 / 24, -weights.sum(0) / 2)
    return rs.RBM.random(24, 8), strong, torch.zeros(200, 24, dtype=torch.uint8)


def test_chains_that_stay_behind_are_off(patterns):
    """Negative control: without a judge the running value is wrong by many of its errors."""
    weak, strong, chains = behind()
    running = OnlineLogPartition.start(weak, chains, torch.from_numpy(patterns.train), 0).update(strong, chains)
    found = running.log_partition
    assert abs(found.value - exact_log_partition(strong)) > 4.0 * found.stderr


def test_a_value_that_is_off_is_replaced_by_annealing(patterns):
    weak, strong, chains = behind()
    online, data = OnlineLikelihood(select_engine(), 0), torch.from_numpy(patterns.train)
    online.advance(weak, chains, data, data, 0)
    found = online.advance(strong, chains, data, data, 2)
    assert found["log_likelihood_objection"] is None
    assert abs(found["log_partition"] - exact_log_partition(strong)) < 4.0 * found["log_partition_stderr"]


def wells(n_visible):
    """Two wells far apart, on which the default training loses one of them and ends in a wrong third place."""
    generator = np.random.default_rng(0)
    p = np.where(generator.random((2000, 1)) < 0.5, 0.95, 0.05)
    rows = (generator.random((2000, n_visible)) < p).astype(np.uint8)
    return rs.Dataset.from_array(rows[:1600], rows[1600:])


def test_no_likelihood_is_told_that_is_impossible_or_far_off():
    """The running value ends at +321 nats here, with an overlap of 0.30; the truth is -568."""
    data = wells(128)
    config = rs.TrainingConfig(
        n_hidden=12, epochs=30, batch_size=100, n_chains=100, online_likelihood=True, checkpoint_epochs=(1, 4, 16)
    )
    run = rs.train(data, config, progress=False)
    told = [row for row in run.rows if row["log_likelihood"] is not None]
    assert len(told) > len(run.rows) / 2
    for row in told:
        exact = float(exact_log_likelihood(run.load(row["update"]), torch.from_numpy(data.test)).mean())
        assert abs(row["log_likelihood"] - exact) < 1.0 + 4.0 * row["log_partition_stderr"], row
    for row in run.rows:
        assert (row["log_likelihood"] is None) == (row["log_likelihood_objection"] is not None)


def test_a_floor_that_annealing_cannot_reach_leaves_no_number():
    """One needle of weight 0.99 at a known row, which neither chains nor annealing find: no number, and later none."""
    pattern = torch.zeros(40).index_fill(0, torch.arange(0, 40, 2), 1.0)
    weights = torch.zeros(40, 20)
    weights[:, 0] = 12.0 * (2.0 * pattern - 1.0)
    bias = torch.zeros(20)
    bias[0] = -12.0 * (float(pattern.sum()) - 0.5) + 40 * np.log(2.0) - 1.0
    needle = rs.RBM(weights, torch.zeros(40), bias)
    others = torch.from_numpy(np.random.default_rng(0).integers(0, 2, (50, 40)))
    rows = torch.cat((pattern[None], others)).to(torch.uint8)
    online = OnlineLikelihood(select_engine("reference"), 0)
    chains = others.to(torch.uint8)
    online.advance(rs.RBM.random(40, 20), chains, rows, rows, 0)
    for update in (1, 2):
        found = online.advance(needle, chains, rows, rows, update)
        assert np.isnan(found["log_likelihood"])
        assert found["log_likelihood_objection"]
    again = OnlineLikelihood(select_engine("reference"), 0)
    again.restore(online.state())
    lost = again.advance(needle, chains, rows, rows, 3)
    assert np.isnan(lost["log_likelihood"])


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
