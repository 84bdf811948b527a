"""Log-probabilities of rows, of all their flips and of rows with missing entries, against enumeration."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.errors import DataError
from rbmscape.model.exact import binary_states, exact_log_likelihood, exact_samples, visible_log_probabilities


def test_rows_have_their_exact_probability_and_the_error_of_ln_z_apart(random_model):
    rbm, rows = random_model(1), np.random.default_rng(0).integers(0, 2, (3, 5, 24))
    found = rs.log_probability(rbm, rows)
    torch.testing.assert_close(found.value, exact_log_likelihood(rbm, rows), rtol=0, atol=1e-9)
    assert found.common_stderr == 0.0
    given = rs.log_probability(rbm, rows, partition=rs.Estimate(3.0, 0.25))
    assert given.common_stderr == 0.25
    assert (given.row_stderr == 0).all()
    assert given.mean.stderr == 0.25
    differences = given.value - found.value
    torch.testing.assert_close(differences, differences[:1, :1].expand(3, 5))
    assert rs.log_probability(rbm, rows[0, 0]).value.shape == ()
    annealed = rs.log_probability(rbm, rows, "ais", n_chains=50, n_betas=100)
    assert annealed.common_stderr > 0


def test_all_probabilities_sum_to_one(random_model):
    rbm = random_model(3, n_visible=9, n_hidden=4)
    assert float(rs.log_probability(rbm, binary_states(9)).value.exp().sum()) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("strength", [1.0, 40.0, 400.0])
def test_flips_are_the_differences_of_whole_rows(random_model, strength):
    rbm = random_model(2, n_visible=11, n_hidden=7, strength=strength)
    rows = torch.from_numpy(np.random.default_rng(1).integers(0, 2, (4, 11)))
    found = rs.flip_differences(rbm, rows)
    unit = rs.Estimate(0.0)
    own = rs.log_probability(rbm, rows, partition=unit).value
    for i in range(11):
        other = rows.clone()
        other[:, i] ^= 1
        expected = rs.log_probability(rbm, other, partition=unit).value - own
        torch.testing.assert_close(found[:, i], expected, rtol=1e-9, atol=1e-6)  # torch's softplus is good to 2e-9
    assert rs.flip_differences(rbm, rows[0]).shape == (11,)


def test_flips_of_a_large_block_do_not_depend_on_its_split(random_model, monkeypatch):
    rbm, rows = random_model(2), np.random.default_rng(1).integers(0, 2, (50, 24))
    whole = rs.flip_differences(rbm, rows)
    monkeypatch.setattr("rbmscape.likelihood.rows._ENTRIES_A_BLOCK", 1)
    torch.testing.assert_close(rs.flip_differences(rbm, rows), whole)


@pytest.mark.parametrize("n_hidden", [3, 18])
def test_missing_entries_are_summed_out(random_model, n_hidden):
    rbm = random_model(4, n_visible=8, n_hidden=n_hidden)
    rows = np.random.default_rng(2).integers(0, 2, (6, 8)).astype(float)
    rows[np.random.default_rng(3).random((6, 8)) < 0.4] = np.nan
    rows[0] = np.nan
    found = rs.log_probability(rbm, rows)
    v, log_p = binary_states(8).numpy(), visible_log_probabilities(rbm)
    for row, value in zip(rows, found.value, strict=True):
        agrees = torch.from_numpy((np.isnan(row) | (v == row)).all(1))
        assert float(value) == pytest.approx(float(torch.logsumexp(log_p[agrees], 0)), abs=1e-6)
    assert float(found.value[0]) == pytest.approx(0.0, abs=1e-6), "nothing is known of it"
    assert (found.row_stderr == 0).all()


def test_anomaly_scores_are_ranks_among_the_reference(random_model):
    rbm = random_model(5, n_visible=12, n_hidden=5)
    samples, reference = exact_samples(rbm, 2000, seed=1)[0], exact_samples(rbm, 499, seed=2)[0]
    found = rs.anomaly_scores(rbm, samples, reference)
    below = float((found.p_value <= 0.1).to(torch.float64).mean())
    assert below == pytest.approx(0.1, abs=0.05), "ordinary rows; 3.5 standard errors of both samples"
    noise = torch.from_numpy(np.random.default_rng(3).integers(0, 2, (500, 12)))
    strange = rs.anomaly_scores(rbm, noise, reference)
    assert float((strange.p_value <= 0.1).to(torch.float64).mean()) > 0.5, "the control: rows of another origin"
    assert float(strange.excess.mean()) > float(found.excess.mean()) + 1.0
    assert float(found.p_value.min()) >= 1 / 500


def test_what_cannot_be_scored_is_refused(random_model):
    rbm, rows = random_model(1, n_visible=4, n_hidden=2), [[0, 1, 0, np.nan]]
    with pytest.raises(DataError, match="cannot be flipped"):
        rs.flip_differences(rbm, rows)
    with pytest.raises(DataError, match="v must be complete"):
        rs.anomaly_scores(rbm, rows, [[0, 1, 0, 1]])
    with pytest.raises(DataError, match="data must be complete"):
        rs.anomaly_scores(rbm, [[0, 1, 0, 1]], rows)
