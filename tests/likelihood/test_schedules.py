"""Schedules run from 0 to 1, spend their steps where they should, and refuse what is none."""

from __future__ import annotations

import numpy as np
import pytest

from rbmscape.errors import InputError
from rbmscape.likelihood.annealing import anneal
from rbmscape.likelihood.path import AnnealingPath
from rbmscape.likelihood.schedules import SCHEDULES, make_schedule, piecewise_schedule
from rbmscape.rng import Stream

STREAM = Stream(5, "schedule")


@pytest.fixture
def path(strong):
    rbm, samples = strong
    return AnnealingPath.fit(rbm, samples)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("n_betas", [2, 3, 50])
def test_runs_from_zero_to_one(name, n_betas, path, annealer):
    values = make_schedule(name, path, n_betas, STREAM, annealer)
    assert values.shape == (n_betas,)
    assert values[0] == 0.0
    assert values[-1] == 1.0
    assert np.all(np.diff(values) > 0)


def test_piecewise_is_the_classic_one():
    values = piecewise_schedule(14501)
    assert values[500] == pytest.approx(0.5)
    assert values[4500] == pytest.approx(0.9)
    assert np.ptp(np.diff(values[4500:])) < 1e-12


def test_adaptive_steps_lose_equally(path, annealer):
    """Spread of the increments over the path: nearly flat for the adaptive schedule, far from it for the uniform."""
    unevenness = {}
    for name in ("uniform", "adaptive"):
        values = make_schedule(name, path, 60, STREAM, annealer)
        spread = anneal(path, values, 400, STREAM.child("run"), annealer).spread
        unevenness[name] = spread.std() / spread.mean()
    assert unevenness["adaptive"] < 0.35
    assert unevenness["uniform"] > 2 * unevenness["adaptive"]


@pytest.mark.parametrize(
    ("schedule", "n_betas", "message"),
    [
        ("linear", 10, "must be one of adaptive, uniform, piecewise"),
        ("uniform", 1, "at least 2"),
        ([0.0, 0.5], 10, "must run from 0 to 1, found 0 to 0.5"),
        ([0.1, 1.0], 10, "must run from 0 to 1, found 0.1 to 1"),
        ([0.0, 0.7, 0.6, 1.0], 10, "must increase strictly"),
        ([0.0], 10, "at least two temperatures"),
        (["a", "b"], 10, "give bools, integers or floats"),
    ],
)
def test_refuses(schedule, n_betas, message, path, annealer):
    with pytest.raises(InputError, match=message):
        make_schedule(schedule, path, n_betas, STREAM, annealer)


def test_values_are_used_as_they_are(path, annealer):
    given = [0.0, 0.25, 1.0]
    np.testing.assert_array_equal(make_schedule(given, path, 999, STREAM, annealer), given)
