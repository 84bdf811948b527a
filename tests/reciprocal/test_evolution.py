"""A trajectory with known modes: identity, crossings, departures and projections are what was planted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.errors import DataError, InputError
from rbmscape.reciprocal.evolution import evolution, run_evolution

N, M = 12, 8
STRENGTHS = np.array([[0.3, 0.2], [1.0, 1.5], [2.0, 2.2], [4.0, 3.0]])
UPDATES = [0, 5, 10, 40]


@pytest.fixture(scope="module")
def path():
    """Two planted modes on fixed random weights; the second overtakes the first and is overtaken again."""
    generator = np.random.default_rng(0)
    left, right = (np.linalg.qr(generator.normal(size=(n, n)))[0] for n in (N, M))
    noise = 0.01 * generator.normal(size=(N, M))
    a, b = generator.normal(size=N), generator.normal(size=M)
    return [rs.RBM(noise + (left[:, :2] * s) @ right[:, :2].T, a, b) for s in STRENGTHS]


def test_modes_are_followed_by_identity(path):
    found = evolution(path, UPDATES, n_chains=0, weight_std=0.01)
    np.testing.assert_allclose(found.singular_value[:, :2], STRENGTHS, atol=0.05)
    assert found["rank"][:, 0].values.tolist() == [0, 1, 1, 0]
    assert bool((found.sorted_singular_value.diff("order") <= 0).all())
    crossings = {
        (
            int(found.crossing_after[k]),
            int(found.crossing_before[k]),
            int(found.crossing_mode[k]),
            int(found.crossing_other[k]),
        )
        for k in range(found.sizes["crossing"])
    }
    assert {c for c in crossings if c[2:] == (0, 1)} == {(0, 5, 0, 1), (10, 40, 0, 1)}
    # signs are continuous: the sum over U_1 that fixes the gauge at the end never changes sign on the way
    assert bool((found.overlap[1:, :2] > 0.99).all())


def test_values_are_those_of_each_model(path):
    data = np.random.default_rng(3).integers(0, 2, (30, N))
    found = evolution(path, UPDATES, data, n_chains=40, n_steps=3, seed=5)
    last = rs.Modes.of(path[-1])
    np.testing.assert_allclose(found.saddle_energy[-1], last.saddle_energy)
    np.testing.assert_allclose(found.random_u[-1], last.random_state_mean().u)
    projected = last.project(data)
    np.testing.assert_allclose(found.data_u_mean[-1], projected.u.mean(0), atol=1e-5)
    np.testing.assert_allclose(found.data_w_sd[-1], projected.w.std(0, correction=0), atol=1e-5)
    first = found.isel(update=0)
    np.testing.assert_allclose(first.saddle_x * first.singular_value, -first.hidden_bias)
    assert found.samples_x_mean.shape == (4, M)
    assert bool(torch.isfinite(torch.as_tensor(found.samples_y_sd.values)).all())


def test_departures_from_the_bulk(path):
    found = evolution(path, UPDATES, n_chains=0, weight_std=0.01)
    assert found.departure[:2].values.tolist() == [0.0, 0.0]  # both stand outside from the start
    assert bool(found.departure[2:].isnull().all())
    late = evolution([rs.RBM.random(N, M, std=0.01), *path[2:]], UPDATES[1:], n_chains=0, weight_std=0.01)
    assert late.departure[:2].values.tolist() == [10.0, 10.0]


def test_final_vectors_settle_when_their_direction_is_learned_not_when_a_value_grows():
    """Two modes outside the bulk from the start; the first keeps its vector, the second turns at update 10."""
    generator = np.random.default_rng(1)
    left, right = (np.linalg.qr(generator.normal(size=(n, n)))[0] for n in (N, M))

    def model(columns, strengths):
        return rs.RBM((left[:, columns] * strengths) @ right[:, :2].T, np.zeros(N), np.zeros(M))

    path = [model([0, 5], [2.0, 1.0]), model([0, 6], [3.0, 1.5]), model([0, 1], [4.0, 2.0])]
    found = evolution(path, [0, 5, 10], n_chains=0, weight_std=0.01)
    assert found.settled[:2].values.tolist() == [0.0, 10.0]
    assert found.departure[:2].values.tolist() == [0.0, 0.0]
    np.testing.assert_allclose(found.captured[:, :2], [[1, 0], [1, 0], [1, 1]], atol=1e-9)


def test_a_run_and_its_files(tmp_path):
    dataset = rs.load_dataset("bars-and-stripes", image_shape=(3, 3))
    config = rs.TrainingConfig(n_hidden=6, epochs=4, batch_size=14, n_chains=20, gibbs_steps=1, early_checkpoints=2)
    run = rs.train(dataset, config, tmp_path / "run", progress=False)
    found = run_evolution(run, dataset.train, n_chains=10, n_steps=2)
    assert found["update"].values.tolist() == list(run.updates)
    np.testing.assert_allclose(found.epoch, run.epochs)
    assert "departure" in found
    found.to_netcdf(tmp_path / "evolution.nc", engine="h5netcdf")


def test_misuse_is_refused(path):
    with pytest.raises(InputError, match="one update a model"):
        evolution(path, [1, 2])
    with pytest.raises(InputError, match="updates must rise"):
        evolution(path, [3, 2, 1, 0])
    with pytest.raises(DataError, match=r"must be \(n, 12\)"):
        evolution(path, UPDATES, np.zeros((3, 5)))
