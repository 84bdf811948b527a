"""The mixing audit tells models that forget their start from those that do not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.errors import DataError, InputError
from rbmscape.model.exact import exact_samples
from rbmscape.reciprocal.mixing import mixing_audit


def ferromagnet(barrier, n_visible=20, n_hidden=8):
    weights = np.full((n_visible, n_hidden), barrier)
    return rs.RBM(weights, -weights.sum(1) / 2, -weights.sum(0) / 2)


def test_a_weak_model_is_in_equilibrium():
    """Chains from true samples and from random states agree at once; 20 seeds raise at most 2 alarms (p = 1e-3)."""
    rbm = ferromagnet(0.05)
    data = exact_samples(rbm, 300, seed=1)[0].to(torch.uint8)
    alarms = [not mixing_audit(rbm, data, 10, 100, (1,), seed=seed).in_equilibrium for seed in range(20)]
    assert sum(alarms) <= 2


def test_data_in_one_mode_are_never_forgotten():
    report = mixing_audit(ferromagnet(1.5), np.zeros((5, 20), dtype=np.uint8), 2, 200, (1, 10, 50))
    assert not report.in_equilibrium
    assert not report.points[-1].agree
    assert report.points[-1].distance.max() == pytest.approx(
        0.5, abs=0.15
    )  # half of the random starts are in each mode
    assert "trained out of equilibrium" in report.sentence
    assert "so they do after 100" in report.sentence


def test_slow_chains_agree_later():
    """Barriers that are crossed within hundreds of steps: out of equilibrium at 1, in equilibrium at 4000."""
    report = mixing_audit(ferromagnet(0.5), np.zeros((5, 20), dtype=np.uint8), 1, 200, (1, 10, 4000))
    assert [point.agree for point in report.points] == [False, False, True]
    assert "they agree after 4000" in report.sentence
    assert report.points[-1].energy_data == pytest.approx(report.points[-1].energy_random, abs=0.5)


def test_a_run_is_audited_at_its_own_length(tmp_path):
    dataset = rs.load_dataset("bars-and-stripes", image_shape=(4, 4))
    config = rs.TrainingConfig(n_hidden=6, epochs=2, gibbs_steps=3, batch_size=10, n_chains=10, seed=1)
    run = rs.train(dataset, config, tmp_path / "run", progress=False)
    report = rs.mixing_report(run, n_chains=50, factors=(1, 5))
    assert [point.n_steps for point in report.points] == [3, 15]
    assert report.in_equilibrium
    assert str(report).startswith("trained in equilibrium: after 3 Gibbs steps")


def test_a_run_whose_data_have_changed_is_not_audited(tmp_path):
    file, rows = tmp_path / "rows.npy", np.random.default_rng(0).integers(0, 2, (40, 6))
    np.save(file, rows)
    config = rs.TrainingConfig(n_hidden=3, epochs=1, gibbs_steps=1, batch_size=10, n_chains=10)
    run = rs.train(rs.load_dataset(file), config, tmp_path / "run", progress=False)
    assert run.dataset().fingerprint == run.data["fingerprint"]
    np.save(file, 1 - rows)
    with pytest.raises(DataError, match=r"rows\.npy has changed since .*run was trained on it; restore it"):
        rs.mixing_report(run, n_chains=50)
    memory = rs.train(rs.Dataset.from_array(rows), config, progress=False)
    with pytest.raises(DataError, match="data in memory"):
        rs.mixing_report(memory, n_chains=50)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_chains": 5}, "n_chains must be a whole number of at least 20"),
        ({"factors": (10, 1)}, "rising"),
        ({"factors": ()}, "rising"),
        ({"training_steps": 0}, "must be positive"),
        ({"data": np.zeros((3, 4))}, "must have 20 pixels"),
    ],
)
def test_refuses(options, message):
    arguments = {"data": np.zeros((5, 20)), "training_steps": 1} | options
    with pytest.raises(InputError, match=message):
        mixing_audit(ferromagnet(0.1), **arguments)
