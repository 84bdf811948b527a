"""Weighted and incomplete rows in training: replicated rows bit for bit, marginal gradients, resuming, and refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.errors import ConfigError
from rbmscape.kernels.select import select_engine
from rbmscape.model.exact import binary_states, exact_log_likelihood, exact_moments, visible_log_probabilities
from rbmscape.model.rbm import PARAMETER_NAMES
from rbmscape.rng import Stream
from rbmscape.training.counted import Completions, TrainingRows

RECIPE = rs.TrainingConfig(
    n_hidden=4, epochs=12, batch_size=10, n_chains=20, gibbs_steps=2, engine="reference", learning_rate=0.3, seed=3
)


def same(one, other):
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in PARAMETER_NAMES)


@pytest.fixture(scope="module")
def patterns():
    return rs.load_dataset("bars-and-stripes", image_shape=(3, 3)).train


@pytest.mark.parametrize("change", [{}, {"method": "cd", "optimizer": "adam"}, {"method": "ptt", "epochs": 2}])
def test_whole_weights_are_repeated_rows_bit_for_bit(patterns, change):
    counts = np.array([3, 1, 2, 0, 5, 1, 1, 4, 2, 1, 1, 3, 2, 1])
    weighted = rs.Dataset.from_array(patterns, patterns, train_weights=counts, test_weights=counts)
    repeated = rs.Dataset.from_array(*[np.repeat(patterns, counts, axis=0)] * 2)
    recipe = RECIPE.replace(**change)
    one, other = (rs.train(data, recipe, progress=False) for data in (weighted, repeated))
    assert same(one.load(), other.load())
    assert one.updates == other.updates
    for mine, its in zip(one.rows, other.rows, strict=True):
        timeless = [name for name in mine if "second" not in name]
        assert {name: mine[name] for name in timeless} == {name: its[name] for name in timeless}
    unweighted = rs.train(rs.Dataset.from_array(patterns, patterns), recipe, progress=False)
    assert not same(one.load(), unweighted.load()), "the control: weights matter"


def test_weighted_likelihoods_are_those_of_repeated_rows(patterns):
    counts = np.arange(14) % 4
    weighted = rs.Dataset.from_array(patterns, train_weights=counts)
    repeated = np.repeat(patterns, counts, axis=0)
    rbm = rs.RBM.random(9, 4, std=1.0, seed=1)
    expected = float(exact_log_likelihood(rbm, repeated).mean())
    assert rs.log_likelihood(rbm, weighted).value == pytest.approx(expected, abs=1e-9)
    assert rs.log_likelihood(rbm, patterns, weights=counts).value == pytest.approx(expected, abs=1e-9)
    assert rs.log_probability(rbm, weighted).mean.value == pytest.approx(expected, abs=1e-9)
    assert rs.log_likelihood(rbm, patterns).value != pytest.approx(expected, abs=1e-3)


def test_fractional_weights_train_towards_the_weighted_distribution(patterns):
    """Rows of weight 1/9 and 1 alternate; means of the model follow the weighted data, not the plain ones."""
    weights = np.where(np.arange(14) % 2, 1.0, 1 / 9)
    data = rs.Dataset.from_array(patterns, train_weights=weights)
    recipe = RECIPE.replace(n_hidden=6, epochs=400, batch_size=14, n_chains=60, learning_rate=0.3)
    rbm = rs.train(data, recipe, progress=False).load()
    found = exact_moments(rbm).visible.numpy()
    weighted = weights @ patterns / weights.sum()
    assert np.abs(found - weighted).max() < 0.06
    assert np.abs(patterns.mean(0) - weighted).max() > 0.12, "the control"


@pytest.mark.statistical
def test_the_positive_phase_of_incomplete_rows_is_the_marginal_gradient():
    """Means of v and of hidden activities over completions against the exact conditional ones, and these against finite
    differences of the marginal likelihood.  27 + z-scores below 4.5: false alarm 2e-4."""
    generator = np.random.default_rng(2)
    rbm = rs.RBM(*(generator.normal(size=shape) for shape in ((6, 3), (6,), (3,))))
    rows = generator.integers(0, 2, (3, 6)).astype(float)
    rows[generator.random((3, 6)) < 0.5] = np.nan
    data = rs.Dataset.from_array(rows, missing="marginalize")
    v, log_p = binary_states(6), visible_log_probabilities(rbm)
    agrees = torch.from_numpy(np.stack([(np.isnan(row) | (v.numpy() == row)).all(1) for row in rows]))
    posterior = torch.stack([torch.softmax(torch.where(fits, log_p, -torch.inf), 0) for fits in agrees])
    exact = posterior @ torch.cat((v, rbm.hidden_probability(v)), 1)
    engine = select_engine("reference", "fp64")
    many = rs.Dataset.from_array(np.repeat(rows, 400, axis=0), missing="marginalize")
    held = TrainingRows(many, 0, engine.device)
    phase = Completions(held, engine, rbm, 1200, 2, Stream(0, "test"))
    index = torch.arange(1200)
    for update in range(20):
        drawn = phase.complete(index, update)
    states = torch.cat((drawn.to(torch.float64), rbm.hidden_probability(drawn)), 1).reshape(3, 400, 9)
    spread = states.std(1) / 20
    moving = spread > 0
    z = ((states.mean(1) - exact) / spread)[moving]
    assert int(moving.sum()) >= 15
    assert float(z.abs().max()) < 4.5
    prior = torch.cat((exact_moments(rbm).visible, exact_moments(rbm).hidden))
    wrong = ((states.mean(1) - prior) / spread)[moving]
    assert float(wrong.abs().max()) > 10, "the control: what is known must matter"
    _check_finite_differences(rbm, data, exact, prior)


def _check_finite_differences(rbm, data, exact, prior):
    """∂/∂a and ∂/∂b of the mean marginal log-likelihood are the mean posterior less the model's means."""
    gradient = (exact - prior).mean(0)
    for k in range(9):
        values = []
        for sign in (1, -1):
            a, b = rbm.visible_bias.clone(), rbm.hidden_bias.clone()
            (a if k < 6 else b)[k if k < 6 else k - 6] += sign * 1e-4
            values.append(rs.log_probability(rs.RBM(rbm.weights, a, b), data).mean.value)
        assert (values[0] - values[1]) / 2e-4 == pytest.approx(float(gradient[k]), abs=1e-6)


def with_gaps(patterns, seed=0, share=0.3, copies=20):
    rows = np.repeat(patterns, copies, axis=0).astype(float)
    rows[np.random.default_rng(seed).random(rows.shape) < share] = np.nan
    return rs.Dataset.from_array(rows, missing="marginalize")


def test_training_raises_the_marginal_likelihood_and_finds_the_whole_patterns(patterns):
    data = with_gaps(patterns, copies=12)
    recipe = RECIPE.replace(n_hidden=8, epochs=150, batch_size=28, n_chains=60, learning_rate=0.5)
    run = rs.train(data, recipe, progress=False)
    first, last = (rs.log_probability(run.load(update), data).mean.value for update in (0, -1))
    assert last > first + 0.5
    whole = [float(exact_log_likelihood(run.load(update), patterns).mean()) for update in (0, -1)]
    assert whole[1] > whole[0] + 1.0
    zeros = rs.Dataset.from_array(np.where(data.train == 255, 0, data.train))
    filled = rs.train(zeros, recipe, progress=False).load()
    assert float(exact_log_likelihood(filled, patterns).mean()) < whole[1] - 0.5, "the control: zeros for gaps"


def test_incomplete_and_weighted_runs_resume_bit_for_bit(patterns, tmp_path):
    gaps = with_gaps(patterns, copies=3)
    weights = np.random.default_rng(1).exponential(size=len(gaps.train))
    data = rs.Dataset.from_array(
        np.where(gaps.train == 255, np.nan, gaps.train), train_weights=weights, missing="marginalize"
    )
    recipe = RECIPE.replace(epochs=4)
    whole = rs.train(data, recipe, tmp_path / "whole", progress=False)
    for update in (3, 7, None):
        parts = rs.train(data, recipe, tmp_path / "parts", resume=True, until_update=update, progress=False)
    assert same(whole.load(), parts.load())
    assert torch.equal(whole.chains, parts.chains)
    drop = [name for name in whole.rows[0] if "second" in name]
    assert [{k: v for k, v in row.items() if k not in drop} for row in whole.rows] == [
        {k: v for k, v in row.items() if k not in drop} for row in parts.rows
    ]
    with pytest.raises(ConfigError, match="other contents"):
        rs.train(gaps, recipe, tmp_path / "parts", resume=True, progress=False)


def test_known_entries_are_never_changed(patterns):
    data = with_gaps(patterns, copies=2)
    engine = select_engine("reference", "fp32")
    rows = TrainingRows(data, 0, engine.device)
    phase = Completions(rows, engine, rs.RBM.random(9, 4), 5, 1, Stream(0, "test"))
    index = torch.tensor([0, 3, 3, 1, 0])
    drawn = phase.complete(index, 0)
    known = torch.from_numpy(data.train != 255)
    assert (rows.rows[known].numpy() == data.train[known.numpy()]).all()
    assert torch.equal(rows.rows[3], drawn[1]), "a row that stands twice keeps its first completion"
    assert torch.equal(rows.rows[0], drawn[0])


@pytest.mark.parametrize("change", [{"method": "ptt"}, {"online_likelihood": True}])
def test_likelihoods_during_training_need_complete_rows(patterns, tmp_path, change):
    with pytest.raises(ConfigError, match="complete rows"):
        rs.train(with_gaps(patterns), RECIPE.replace(**change), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()
