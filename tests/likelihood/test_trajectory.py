"""ln Z carried along a sequence of models against enumeration."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from rbmscape.errors import InputError
from rbmscape.kernels.floats import annealing
from rbmscape.kernels.floats.annealing import ByteAnnealer, FloatAnnealer
from rbmscape.kernels.floats.engine import FloatEngine
from rbmscape.likelihood import OnlineLogPartition, trajectory, trajectory_log_partition
from rbmscape.likelihood.bridge import bridge
from rbmscape.model.exact import exact_log_partition, exact_samples
from rbmscape.model.rbm import RBM
from rbmscape.rng import Stream


@pytest.fixture(scope="module")
def training(random_model):
    """Models of growing coupling, as a training makes them."""
    last = random_model(9, 20, 8, strength=1.2)
    return [RBM(s * last.weights, last.visible_bias, last.hidden_bias) for s in (0.02, 0.3, 0.7, 1.0)]


def samples(rbm, n, seed):
    return exact_samples(rbm, n, seed)[0].to(torch.uint8)


def test_every_model_of_the_trajectory(training):
    """z-scores of four models in six repetitions, correlated within one: RMS below 2 (false alarm 1e-3)."""
    z = []
    for seed in range(6):
        trajectory = trajectory_log_partition(training, n_chains=40, seed=seed)
        assert all(trajectory.converged)
        z.append([e.z_score(exact_log_partition(m)) for e, m in zip(trajectory.log_partitions, training, strict=True)])
    assert np.sqrt(np.mean(np.square(z))) < 2.0
    errors = [estimate.stderr for estimate in trajectory.log_partitions]
    assert errors == sorted(errors)


def test_the_models_are_rungs(training):
    trajectory = trajectory_log_partition(training, n_chains=10, n_rounds=20)
    assert {0.0, 1.0, 2.0, 3.0} <= set(trajectory.positions)
    assert len(trajectory.tempered.forward) == len(trajectory.positions) - 1


def test_a_rung_that_is_not_in_equilibrium_counts_from_there_on(training):
    """Half of the columns stay in a mode of the third model, of which the top rung need not know."""
    found = trajectory_log_partition(training, n_chains=40, seed=0)
    at = [found.positions.index(float(k)) for k in range(4)]
    stuck = tuple(("R-hat of this rung is 1.5",) if rung == at[2] else () for rung in range(len(found.positions)))
    doubtful = replace(found.tempered, rung_doubts=stuck)
    estimates = [found.log_partitions[-1]] * len(found.positions)
    objections = trajectory._objections(estimates, doubtful, at)
    assert not doubtful.converged
    assert found.tempered.converged
    assert [bool(about) for about in objections] == [False, False, True, True]


def test_estimates_with_objections_have_no_error(training):
    """Sixteen rounds are too few for anything; what is printed is no error bar."""
    found = trajectory_log_partition(training, n_chains=10, n_rounds=16)
    assert not any(found.converged)
    assert all(np.isnan(estimate.stderr) for estimate in found.log_partitions)
    assert "not converged" in str(found.log_partitions[-1])
    assert "±" not in str(found.log_partitions[-1])


@pytest.mark.parametrize(("models", "message"), [([], "found 0"), (slice(0, 1), "found 1")])
def test_needs_two_models(models, message, training):
    with pytest.raises(InputError, match=message):
        trajectory_log_partition(training[models] if isinstance(models, slice) else models)


def test_models_of_different_shapes(training, random_model):
    with pytest.raises(InputError, match="one shape"):
        trajectory_log_partition([training[0], random_model(1, 5, 4)])


def test_bridge_is_calibrated(training):
    """z-scores of 40 repetitions: mean within 4/√40 of 0, spread below 1.5 (false alarms 6e-5 and 1e-5)."""
    old, new = training[1], training[3]
    exact = exact_log_partition(new) - exact_log_partition(old)
    z = []
    for seed in range(40):
        ratio = bridge(
            old, new, samples(old, 60, seed), samples(new, 60, 100 + seed), Stream(seed, "bridge"), FloatAnnealer()
        )
        assert ratio.overlap > 0.03
        z.append((ratio.value - exact) / ratio.stderr)
    assert abs(np.mean(z)) < 4 / np.sqrt(40)
    assert np.std(z) < 1.5


def coarse(monkeypatch) -> ByteAnnealer:
    """An annealer that rounds weights to 121 values, which shifts ln Z."""
    monkeypatch.setattr(annealing, "_LARGEST", 60)
    annealer = ByteAnnealer()
    monkeypatch.setattr(FloatEngine, "annealer", lambda _engine: annealer)
    return annealer


def shift(annealer, rbm) -> float:
    """ln Z of the rounded model less that of the model."""
    return exact_log_partition(
        RBM(annealer.bind(rbm).weights, rbm.visible_bias, rbm.hidden_bias)
    ) - exact_log_partition(rbm)


def test_the_trajectory_is_that_of_unrounded_models(training, monkeypatch):
    """Mean of 10 repetitions at the top: within 4 errors of the truth (6e-5), and far from the rounded model's ln Z."""
    annealer, top = coarse(monkeypatch), training[-1]
    found = [
        trajectory_log_partition(training, 100, 400, seed, engine="cpu", precision="fp32").log_partitions[-1].value
        for seed in range(10)
    ]
    deviation, error = np.mean(found) - exact_log_partition(top), np.std(found, ddof=1) / np.sqrt(len(found))
    assert abs(deviation) < 4 * error
    assert abs(deviation - shift(annealer, top)) > 6 * error


def test_the_bridge_is_that_of_unrounded_models(training, monkeypatch):
    """Mean of 20 repetitions, as above."""
    annealer, old, new = coarse(monkeypatch), training[1], training[3]
    exact = exact_log_partition(new) - exact_log_partition(old)
    found = [
        bridge(old, new, samples(old, 400, seed), samples(new, 400, 100 + seed), Stream(seed, "bridge"), annealer).value
        for seed in range(20)
    ]
    deviation, error = np.mean(found) - exact, np.std(found, ddof=1) / np.sqrt(len(found))
    assert abs(deviation) < 4 * error
    assert abs(deviation - (shift(annealer, new) - shift(annealer, old))) > 6 * error


def test_online_follows_the_training(training):
    running = OnlineLogPartition.start(training[0], samples(training[0], 200, 0))
    for seed, rbm in enumerate(training[1:], start=1):
        running = running.update(rbm, samples(rbm, 200, seed))
        assert abs(running.log_partition.z_score(exact_log_partition(rbm))) < 4.0
        assert running.log_partition.overlap > 0.03
    assert running.updates == 3


def test_online_with_stuck_chains_is_off(training):
    """Negative control: chains that never leave their start do not follow ln Z."""
    stuck = samples(training[0], 200, 0)
    running = OnlineLogPartition.start(training[0], stuck)
    for rbm in training[1:]:
        running = running.update(rbm, stuck)
    assert abs(running.log_partition.z_score(exact_log_partition(training[-1]))) > 6.0
