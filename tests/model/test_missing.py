"""Rows with unknown entries, and the conditional model, against brute force over all states."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.errors import DataError, ShapeError
from rbmscape.model.exact import binary_states, exact_log_partition, visible_log_probabilities
from rbmscape.model.missing import conditional_model, partial_rows


def model(seed=0, n_visible=6, n_hidden=4):
    generator = np.random.default_rng(seed)
    return rs.RBM(*(generator.normal(size=shape) for shape in ((n_visible, n_hidden), (n_visible,), (n_hidden,))))


def test_the_conditional_model_has_the_conditional_probabilities():
    rbm, missing = model(), torch.tensor([True, False, True, True, False, False])
    states = torch.tensor([0, 1, 0, 0, 0, 1], dtype=torch.uint8)
    found, bias = conditional_model(rbm, states, missing)
    v, log_p = binary_states(6), visible_log_probabilities(rbm)
    agrees = (v[:, ~missing] == states[~missing]).all(1)
    marginal = torch.logsumexp(log_p[agrees], 0)
    assert bias + exact_log_partition(found) - exact_log_partition(rbm) == pytest.approx(float(marginal), abs=1e-12)
    torch.testing.assert_close(visible_log_probabilities(found), log_p[agrees] - marginal)


def test_unknown_entries_are_nan_masked_or_marked():
    rbm, values = model(), np.array([[0, 1, 1, 0, 1, 0.0]])
    marks = np.array([False, True, False, False, False, True])
    for found in (
        partial_rows(rbm, np.where(marks, np.nan, values)),
        partial_rows(rbm, torch.tensor(np.where(marks, np.nan, values))),
        partial_rows(rbm, np.ma.array(values, mask=marks[None])),
        partial_rows(rbm, values.astype(bool), marks),
    ):
        assert found.missing.tolist() == [marks.tolist()]
        assert found.states.tolist() == [[0, 0, 1, 0, 1, 0]]
    assert partial_rows(rbm, values[0]).shape == ()
    assert partial_rows(rbm, values.reshape(1, 1, 6)).shape == (1, 1)


@pytest.mark.parametrize(
    ("values", "marks", "kind", "words"),
    [
        ([[0, 1, 2, 0, 1, 0]], None, DataError, "the value 2 at row 0, column 2"),
        ([[0, 1, np.inf, 0, 1, 0]], None, DataError, "neither 0 nor 1"),
        ([[0, 1, 0]], None, ShapeError, "needs 6 values"),
        ([["a"] * 6], None, DataError, "such as"),
        ([[0, 1], [0]], None, DataError, "rows of equal length"),
        ([[0] * 6], [0] * 6, ShapeError, "missing must hold true and false"),
        ([[0] * 6], [True] * 5, ShapeError, "missing must hold true and false"),
    ],
)
def test_what_is_no_partial_row_is_refused(values, marks, kind, words):
    with pytest.raises(kind, match=words):
        partial_rows(model(), values, marks)
