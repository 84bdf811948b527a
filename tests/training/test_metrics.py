"""What the metrics say against a training that went wrong."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.training.metrics import constant_hidden_units, training_objection

SMALL = {"n_hidden": 12, "batch_size": 50, "n_chains": 50, "gibbs_steps": 2, "epochs": 8, "averaging": 0}


@pytest.fixture(scope="module")
def rows():
    generator = np.random.default_rng(2)
    values = generator.random((600, 40)) < generator.random((5, 40))[generator.integers(0, 5, 600)]
    return rs.Dataset.from_array(values[:500].astype(np.uint8), values[500:].astype(np.uint8))


def objections(data, **changes):
    run = rs.train(data, rs.TrainingConfig(**(SMALL | changes)), progress=False)
    return [row["objection"] for row in run.rows]


def test_a_rate_that_is_far_too_high_is_told(rows):
    found = objections(rows, learning_rate=100.0, clip=0.0, schedule="constant")
    assert found[0] is None
    assert "below that of the untrained model" in found[-1]
    assert "smaller learning rate" in found[-1]


def test_an_ordinary_training_has_no_objection(rows):
    assert objections(rows) == [None] * len(objections(rows))


def test_hidden_units_that_never_change_are_counted_and_told(rows):
    rbm = rs.RBM(torch.zeros(40, 4), torch.zeros(40), torch.tensor([-8.0, 0.0, 8.0, 8.0]))
    assert constant_hidden_units(rbm, torch.from_numpy(rows.train)) == 3
    start = {"pseudo_log_likelihood": -20.0, "constant_hidden_units": 0}
    assert training_objection(start | {"constant_hidden_units": 2}, start, 4) is None
    assert training_objection(start | {"constant_hidden_units": 3}, start, 4).startswith("3 of 4 hidden units")
    alike = start | {"constant_hidden_units": 3}
    assert training_objection(alike, alike, 4) is None  # data that never change make them constant


def test_records_without_these_metrics_have_no_objection():
    assert training_objection({"pseudo_log_likelihood": None}, {}, 4) is None


def test_a_resumed_run_compares_with_its_first_checkpoint(rows, tmp_path):
    config = rs.TrainingConfig(**(SMALL | {"learning_rate": 100.0, "clip": 0.0, "schedule": "constant"}))
    rs.train(rows, config, tmp_path / "a", progress=False, until_update=20)
    run = rs.train(rows, config, tmp_path / "a", progress=False, resume=True)
    whole = rs.train(rows, config, tmp_path / "b", progress=False)
    assert [row["objection"] for row in run.rows] == [row["objection"] for row in whole.rows]
