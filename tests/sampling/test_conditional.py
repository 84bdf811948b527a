"""Conditional samples and probabilities against enumeration, with Gibbs chains, by exchange, and where chains stick."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.errors import DataError, InputError, ShapeError
from rbmscape.model.exact import binary_states, exact_moments, visible_log_probabilities
from rbmscape.sampling.budget import round_cost
from rbmscape.sampling.conditional import ENUMERATION
from rbmscape.sampling.rungs import about_differences
from rbmscape.sampling.samples import GIBBS, IN_TEMPERATURE
from rbmscape.sampling.tempering import ONE_LOOK


def model(seed=0, n_visible=24, n_hidden=16, strength=0.7):
    generator = np.random.default_rng(seed)
    return rs.RBM(strength * generator.normal(size=(n_visible, n_hidden)),
                  *(generator.normal(size=size) for size in (n_visible, n_hidden)))  # fmt: skip


def partly_known(n_rows=6, n_visible=24, n_missing=18, seed=1):
    generator = np.random.default_rng(seed)
    rows = generator.integers(0, 2, (n_rows, n_visible)).astype(float)
    for row in rows:
        row[generator.permutation(n_visible)[:n_missing]] = np.nan
    return rows


def z_scores(found, exact):
    return ((found.probability - exact.probability) / found.stderr)[found.known.missing.reshape(found.stderr.shape)]


def test_a_row_with_few_unknowns_is_summed():
    rbm, row = model(n_visible=8, n_hidden=14), np.array([np.nan, 1, 0, np.nan, 1, 1, np.nan, 0])
    found = rs.conditional_samples(rbm, row, 4000, seed=3)
    assert found.methods == (ENUMERATION,)
    assert found.converged
    v, log_p = binary_states(8), visible_log_probabilities(rbm)
    agrees = torch.from_numpy((np.isnan(row) | (v.numpy() == row)).all(1))
    p = torch.softmax(log_p[agrees], 0)
    torch.testing.assert_close(found.probability, p @ v[agrees], atol=1e-8, rtol=0)
    assert (found.stderr == 0).all()
    assert found.v.shape == (4000, 8)
    # Frequencies of all 8 completions within 4.5 standard errors: false alarm 5e-5.
    counts = (found.v[:, None] == v[agrees]).all(2).to(torch.float64).mean(0)
    assert float(((counts - p) / (p * (1 - p) / 4000).sqrt()).abs().max()) < 4.5


def test_complete_rows_come_back_and_get_hidden_states():
    rbm, rows = model(), np.random.default_rng(0).integers(0, 2, (2, 3, 24))
    found = rs.conditional_samples(rbm, rows, 5)
    assert found.v.shape == (2, 3, 5, 24)
    assert found.h.shape == (2, 3, 5, 16)
    assert (found.v.numpy() == rows[:, :, None]).all()
    assert found.probability.tolist() == rows.tolist()
    assert 0 < float(found.h.to(torch.float64).mean()) < 1


@pytest.mark.statistical
@pytest.mark.parametrize("method", ["gibbs", "tempering"])
def test_probabilities_agree_with_enumeration_within_their_errors(method):
    """108 z-scores a method: their rms within 0.8 to 1.25, and none above 5; false alarm below 1e-3."""
    rbm, rows = model(), partly_known()
    exact = rs.conditional_samples(rbm, rows, 1, method="exact")
    found = rs.conditional_samples(rbm, rows, 64, seed=5, method=method)
    assert found.converged
    assert found.verdict.ess >= 400
    z = z_scores(found, exact)
    assert len(z) == 108
    assert 0.8 < float(z.square().mean().sqrt()) < 1.25
    assert float(z.abs().max()) < 5
    unconditional = exact_moments(rbm).visible.expand(6, 24)
    wrong = ((found.probability - unconditional) / found.stderr)[found.known.missing]
    assert float(wrong.square().mean().sqrt()) > 5, "the control: what is known must matter"
    known = ~found.known.missing
    assert (found.v.permute(1, 0, 2)[:, known] == found.known.states[known].to(torch.uint8)).all()


@pytest.mark.statistical
def test_rows_whose_chains_stick_are_tempered():
    """A ferromagnet of which four units are known: Gibbs chains stay where they fell, and the verdict says so."""
    weights = np.full((20, 14), 1.1)
    rbm = rs.RBM(weights, -weights.sum(1) / 2 + 0.04, -weights.sum(0) / 2)
    row = np.full(20, np.nan)
    row[:4] = 1, 0, 0, 1
    exact = rs.conditional_samples(rbm, row, 1, method="exact")
    assert 0.03 < float(exact.probability[10]) < 0.97, "both modes have weight"
    stuck = rs.conditional_samples(rbm, row, 100, seed=1, method="gibbs", budget=1e10)
    assert not stuck.converged
    assert "rows are in doubt" in str(stuck.verdict)
    found = rs.conditional_samples(rbm, row, 100, seed=1)
    assert found.methods == (IN_TEMPERATURE,)
    assert found.converged, str(found.verdict)
    z = z_scores(found, exact)
    assert float(z.abs().max()) < 4, "units move together, so that this is about one z-score: false alarm 6e-5"


def test_a_row_that_one_look_pleased_is_in_doubt():
    """Budgets for 16 and for 200 rounds of Gibbs steps: the first allows one look only."""
    rbm, rows = model(strength=0.1), partly_known(2)
    cost = 2 * 400 * round_cost(1, 24, 16)
    once, twice = (
        rs.conditional_samples(rbm, rows, 400, seed=2, method="gibbs", budget=rounds * cost) for rounds in (16.5, 200.5)
    )
    assert [verdict.objections for verdict in once.verdicts] == [(ONE_LOOK,)] * 2
    assert twice.converged


def test_chains_that_stay_apart_on_one_rung_are_seen_in_their_energy_differences():
    """Four groups of chains between rungs 1 and 2, one of them elsewhere; independent draws are the control."""
    draws = np.random.default_rng(4).normal(size=(3, 64, 200))
    apart = draws.copy()
    apart[1, :16] += 3.0
    assert about_differences(list(draws[:2]), list(draws[:2])) == ((), (), ())
    found = about_differences([apart[0], apart[1]], [draws[0], draws[2]])
    assert [bool(words) for words in found] == [False, True, False]
    assert "rung 1" in found[1][0]


def test_chains_that_never_move_are_called_that():
    frozen = np.full((64, 200), 1000.1)
    found = about_differences([frozen], [frozen])
    assert found == (("the states on rung 0 never changed",), ("the states on rung 1 never changed",))


def test_each_row_has_samples_with_a_verdict_of_their_own():
    found = rs.conditional_samples(model(), partly_known(2), 20, seed=2)
    samples = found.row(1)
    assert torch.equal(samples.v, found.v[1])
    assert samples.verdict is found.verdicts[1]
    assert samples.how["samples_method"] == found.methods[1] == GIBBS
    assert found.facts["samples_equilibrated"] == int(found.converged)


def test_results_follow_from_the_seed():
    rbm, rows = model(), partly_known(3)
    one, other, third = (rs.conditional_samples(rbm, rows, 4, seed=seed, engine="reference") for seed in (1, 1, 2))
    assert torch.equal(one.v, other.v)
    assert torch.equal(one.probability, other.probability)
    assert not torch.equal(one.v, third.v)


def test_a_run_is_climbed_along_its_checkpoints(tmp_path):
    data = rs.load_dataset("bars-and-stripes", image_shape=(4, 4))
    config = rs.TrainingConfig(n_hidden=14, epochs=20, n_chains=30, engine="reference", gibbs_steps=2)
    run = rs.train(data, config, tmp_path / "run", progress=False)
    rows = np.where(np.arange(16) < 13, np.nan, data.train[:2])
    found = rs.conditional_samples(run, rows, 30, method="tempering")
    assert found.methods[0] == "replica exchange along the training"
    exact = rs.conditional_samples(run.load(), rows, 1, method="exact")
    assert float(z_scores(found, exact).abs().max()) < 5


def test_what_cannot_be_sampled_is_refused():
    rbm = model()
    with pytest.raises(ShapeError, match="needs 24 values"):
        rs.conditional_samples(rbm, np.zeros((2, 5)))
    with pytest.raises(DataError, match="neither 0 nor 1"):
        rs.conditional_samples(rbm, np.full(24, 0.5))
    with pytest.raises(InputError, match="must be one of"):
        rs.conditional_samples(rbm, np.zeros(24), method="magic")
    with pytest.raises(InputError, match="at least one row"):
        rs.conditional_samples(rbm, np.zeros((0, 24)))
    large = rs.RBM.random(40, 40)
    with pytest.raises(InputError, match="up to 25 units"):
        rs.conditional_samples(large, np.full(40, np.nan), method="exact")
