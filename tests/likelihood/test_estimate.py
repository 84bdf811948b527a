"""ln Z and log-likelihoods by every method against enumeration, and one clear error for each bad input."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.errors import DataError, EngineError, InputError, ShapeError
from rbmscape.likelihood import LogPartition
from rbmscape.likelihood.estimate import is_summable
from rbmscape.model.exact import exact_log_likelihood, exact_log_partition
from rbmscape.sampling.budget import round_cost


@pytest.mark.parametrize("method", ["ais", "reverse_ais", "bar"])
def test_agrees_with_enumeration(method, strong):
    rbm, samples = strong
    estimate = rs.log_partition(rbm, method, data=samples, n_chains=200, n_betas=200, starts=samples)
    assert estimate.method == method
    assert estimate.n_chains == (400 if method == "reverse_ais" else 200)
    assert 0.0 < estimate.stderr < 0.1
    assert estimate.ess > 50
    assert abs(estimate.z_score(exact_log_partition(rbm))) < 4.0


def test_reverse_makes_its_own_starts(strong):
    rbm, samples = strong
    estimate = rs.log_partition(rbm, "reverse_ais", data=samples, n_chains=200, n_betas=200)
    assert estimate.n_chains == 200
    assert estimate.objections == ()
    assert abs(estimate.z_score(exact_log_partition(rbm))) < 4.0


def test_doubtful_starts_are_named(bimodal_model):
    """Two modes behind a barrier that forty chains of replicas do not pass often enough within the budget."""
    rbm, hundred_rounds = bimodal_model(200, 60, 3.0, tilt=-4.0), 100 * 40 * round_cost(12, 200, 60)
    estimate = rs.log_partition(rbm, "bar", n_chains=40, n_betas=50, budget=hundred_rounds)
    assert any("R-hat" in objection for objection in estimate.objections)


def test_exact_and_auto(random_model):
    for shape in ((5, 20), (20, 5)):
        rbm = random_model(1, *shape)
        assert rs.log_partition(rbm).value == exact_log_partition(rbm)
        assert rs.log_partition(rbm, "exact").stderr == 0.0
    assert rs.log_partition(random_model(1, 30, 30), n_chains=10, n_betas=10).method == "ais"


@pytest.mark.parametrize(("shape", "summed"), [((784, 18), True), ((784, 20), False), ((20, 400), True)])
def test_auto_sums_where_that_takes_seconds(shape, summed):
    assert is_summable(rs.RBM.random(*shape, 0.01, seed=1)) is summed


def test_both_errors_of_a_log_likelihood(strong):
    """That of ln Z is 0 for an exact sum; that of the rows shrinks as their number grows."""
    rbm, samples = strong
    found = rs.log_likelihood(rbm, samples, "exact")
    values = exact_log_likelihood(rbm, samples)
    assert found.stderr == 0.0
    assert found.rows == pytest.approx(float(values.std()) / len(values) ** 0.5, rel=1e-5)
    assert str(found).endswith(f" ± {found.rows:.2g} (rows)")
    estimated = rs.log_likelihood(rbm, samples, "ais", n_chains=50, n_betas=50)
    assert f" ± {estimated.stderr:.2g} (ln Z) ± {found.rows:.2g} (rows)" in str(estimated)
    bracket = rs.likelihood_bracket(rbm, samples, 50, 50, max_betas=100, starts=samples)
    assert bracket.best.rows == bracket.lower.rows == bracket.upper.rows == found.rows
    assert rs.log_partition(rbm, "exact").rows == 0.0


def test_log_likelihood_is_that_of_the_samples(strong):
    rbm, samples = strong
    expected = float(exact_log_likelihood(rbm, samples).mean())
    assert rs.log_likelihood(rbm, samples, "exact").value == pytest.approx(expected, abs=1e-6)
    known = rs.log_partition(rbm, "exact")
    assert rs.log_likelihood(rbm, samples, partition=known).value == pytest.approx(expected, abs=1e-6)
    estimated = rs.log_likelihood(rbm, samples, "bar", n_chains=200, n_betas=200, starts=samples)
    assert abs(estimated.z_score(expected)) < 4.0


def test_a_dataset_is_scored_on_its_test_part(strong):
    rbm, samples = strong
    rows = samples.numpy()
    dataset = rs.Dataset.from_array(rows[:300], rows[300:])
    expected = float(exact_log_likelihood(rbm, samples[300:]).mean())
    assert rs.log_likelihood(rbm, dataset, "exact").value == pytest.approx(expected, abs=1e-6)


def test_same_seed_same_number_another_seed_another(strong):
    rbm, samples = strong
    first, again, other = (
        rs.log_partition(rbm, "ais", data=samples, n_chains=20, n_betas=20, seed=seed).value for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_errors_shrink_with_chains(strong):
    rbm, samples = strong
    few, many = (rs.log_partition(rbm, "ais", data=samples, n_chains=n, n_betas=40).stderr for n in (50, 800))
    assert few / many == pytest.approx(4.0, rel=0.6)


def test_spread_flags_a_hopeless_estimate(bimodal_model):
    """Two temperatures on far modes: the spread of the log weights is many nats and few chains carry the mean."""
    estimate = rs.log_partition(bimodal_model(tilt=6.0), "ais", n_chains=200, schedule=[0.0, 1.0])
    assert estimate.spread > 5.0
    assert estimate.ess < 20.0


def test_prints_its_error():
    assert str(LogPartition(-69.8123, 0.31, 100.0)) == "-69.8 ± 0.3"
    assert math.isnan(LogPartition(1.0, 0.1).overlap)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"method": "mcmc"}, InputError, "method must be one of auto, exact"),
        ({"n_chains": 0}, InputError, "n_chains must be a whole number of at least 1"),
        ({"method": "exact"}, InputError, r"2\^30"),
        ({"data": np.zeros((4, 29))}, ShapeError, "must have 30 pixels"),
        ({"data": np.full((4, 30), 0.5)}, DataError, "0.5"),
        ({"data": np.zeros((0, 30))}, DataError, "."),
        ({"schedule": [0.0, 0.9]}, InputError, "from 0 to 1"),
        ({"method": "bar", "starts": np.zeros((4, 29))}, ShapeError, "starts must have 30 pixels"),
        ({"method": "bar", "models": []}, InputError, "models is empty"),
        ({"engine": "warp"}, EngineError, "warp"),
    ],
)
def test_refuses(options, error, message, random_model):
    rbm = random_model(3, 30, 30)
    with pytest.raises(error, match=message):
        rs.log_partition(rbm, **({"method": "ais", "n_chains": 10, "n_betas": 10} | options))


def test_likelihood_needs_data(random_model):
    with pytest.raises(InputError, match="needs data"):
        rs.log_likelihood(random_model(3), None)


def test_nan_never_gets_into_a_model():
    with pytest.raises(InputError, match="NaN"):
        rs.RBM(torch.full((3, 2), math.nan), torch.zeros(3), torch.zeros(2))
