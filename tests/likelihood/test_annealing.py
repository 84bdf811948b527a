"""Annealing is unbiased for Z forward and for 1/Z backward, and its two directions bound ln Z as they must."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rbmscape.kernels.floats import annealing
from rbmscape.kernels.floats.annealing import ByteAnnealer, FloatAnnealer
from rbmscape.kernels.reference.annealing import ReferenceAnnealer
from rbmscape.kernels.reference.base import CHAINS_AT_ONCE
from rbmscape.likelihood.annealing import anneal, anneal_back
from rbmscape.likelihood.path import AnnealingPath
from rbmscape.likelihood.schedules import uniform_schedule
from rbmscape.model.exact import exact_log_partition, exact_samples
from rbmscape.model.rbm import RBM
from rbmscape.rng import Stream

STREAM = Stream(21, "annealing")
ANNEALERS = [ReferenceAnnealer(), FloatAnnealer(), ByteAnnealer()]


@pytest.fixture(scope="module")
def case(random_model):
    """A model whose annealing through ten temperatures is noisy but has a finite variance, with exact samples."""
    rbm = random_model(4, n_visible=14, n_hidden=6, strength=1.2)
    samples = exact_samples(rbm, 4000, seed=1)[0].to(torch.uint8)
    return AnnealingPath.fit(rbm, samples[:200]), samples, exact_log_partition(rbm)


def z_of_mean(values):
    return (values.mean() - 1.0) / (values.std(ddof=1) / np.sqrt(values.size))


@pytest.mark.parametrize("annealer", ANNEALERS, ids=lambda one: one.name)
def test_unbiased_in_both_directions(annealer, case):
    """Mean of w / Z and of Z / w over 4000 chains is 1 within 4 standard errors (false alarm 6e-5 each)."""
    path, samples, log_z = case
    schedule = uniform_schedule(10)
    ahead = np.exp(anneal(path, schedule, 4000, STREAM.child("f"), annealer).log_weights - log_z)
    back = np.exp(log_z - anneal_back(path, schedule, samples, STREAM.child("b"), annealer).log_weights)
    for weights in (ahead, back):
        assert weights.sum() ** 2 / np.square(weights).sum() > 400  # effective sample size, else z means nothing
        assert abs(z_of_mean(weights)) < 4.0


def test_a_wrong_base_constant_would_be_seen(case):
    """Negative control of the test above: 10 % off in Z is many standard errors."""
    path, _, log_z = case
    ahead = np.exp(anneal(path, uniform_schedule(10), 4000, STREAM.child("f"), FloatAnnealer()).log_weights - log_z)
    assert abs(z_of_mean(1.1 * ahead)) > 5.0


def test_rounded_weights_are_corrected(case, monkeypatch):
    """The integer path ends in the true model even if its weights are rounded to 61 values, which shifts ln Z a lot."""
    path, _, log_z = case
    rbm = path.rbm
    monkeypatch.setattr(annealing, "_LARGEST", 30)
    annealer = ByteAnnealer()
    params = annealer.bind(rbm)
    rounded = exact_log_partition(RBM(params.weights, rbm.visible_bias, rbm.hidden_bias))
    found = anneal(path, uniform_schedule(200), 2000, STREAM.child("f"), annealer).log_weights
    weights = np.exp(found - log_z)
    assert abs(z_of_mean(weights)) < 4.0
    assert abs(z_of_mean(weights * np.exp(log_z - rounded))) > 8.0


def test_bounds_have_the_directions_of_jensen(case):
    """Averages of ln w and of -ln(1/w) with few temperatures: below and above ln Z by many standard errors."""
    path, samples, log_z = case
    schedule = uniform_schedule(4)
    ahead = anneal(path, schedule, 2000, STREAM.child("f"), FloatAnnealer()).log_weights - log_z
    back = anneal_back(path, schedule, samples[:2000], STREAM.child("b"), FloatAnnealer()).log_weights - log_z
    for values, sign in ((ahead, -1.0), (back, 1.0)):
        assert sign * values.mean() > 5.0 * values.std() / np.sqrt(values.size)


def test_starts_out_of_equilibrium_void_the_upper_bound(case):
    """Reverse chains from the base instead of the model end up below ln Z: the reason for tempering."""
    path, _, log_z = case
    starts = path.base_samples(2000, STREAM.child("wrong"))
    back = anneal_back(path, uniform_schedule(4), starts, STREAM.child("b"), FloatAnnealer()).log_weights - log_z
    assert -np.log(np.mean(np.exp(-back))) < -0.1


def test_chunks_of_chains_do_not_matter(case):
    path, _, _ = case
    schedule = uniform_schedule(5)
    whole = anneal(path, schedule, CHAINS_AT_ONCE + 40, STREAM, FloatAnnealer())
    first = anneal(path, schedule, CHAINS_AT_ONCE, STREAM, FloatAnnealer())
    np.testing.assert_allclose(whole.log_weights[:CHAINS_AT_ONCE], first.log_weights, rtol=0, atol=1e-9)
    assert torch.equal(whole.v[:CHAINS_AT_ONCE], first.v)
    assert np.unique(whole.log_weights).size > CHAINS_AT_ONCE


def test_progress_counts_every_chain_step(case):
    path, _, _ = case
    done = []
    anneal(path, uniform_schedule(41), 7, STREAM, FloatAnnealer(), done.append)
    assert sum(done) == 40 * 7
