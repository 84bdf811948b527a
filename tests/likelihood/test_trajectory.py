"""ln Z carried along a sequence of models against enumeration."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rbmscape.errors import InputError
from rbmscape.kernels.annealing import FloatAnnealer
from rbmscape.likelihood import OnlineLogPartition, trajectory_log_partition
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
