"""A failed training is told from a good one by numbers that cannot look healthy when it has failed."""

from __future__ import annotations

import math
from io import StringIO

import numpy as np
import pytest
import torch
from rich.console import Console

import rbmscape as rs
from rbmscape.likelihood.estimate import with_both_errors
from rbmscape.model.exact import exact_log_likelihood
from rbmscape.training.audit import audit_training, row_stderr, save_audit
from rbmscape.training.display import TrainingDisplay

SMALL = {"batch_size": 100, "n_chains": 100, "checkpoint_epochs": (1,), "early_checkpoints": 0}


def wells(n_visible, n_rows=2000):
    generator = np.random.default_rng(0)
    p = np.where(generator.random((n_rows, 1)) < 0.5, 0.95, 0.05)
    rows = (generator.random((n_rows, n_visible)) < p).astype(np.uint8)
    return rs.Dataset.from_array(rows[: n_rows * 4 // 5], rows[n_rows * 4 // 5 :])


@pytest.fixture(scope="module")
def failed():
    """Two wells that the default training loses: the truth is -26 nats, the model at -568."""
    data = wells(128)
    return rs.train(data, rs.TrainingConfig(n_hidden=12, epochs=30, **SMALL), progress=False), data


def test_a_failed_training_is_found_out(failed):
    run, data = failed
    audit = audit_training(run, data)
    exact = float(exact_log_likelihood(run.load(), torch.from_numpy(data.test)).mean())
    assert audit.log_likelihood.value == pytest.approx(exact, abs=4 * audit.log_likelihood.stderr + 1e-3)
    assert audit.baselines.mixture.value > -30.0
    worse, mixing = audit.findings
    assert worse.startswith("the model is worse than independent units (-5")
    assert "smaller learning rate" in worse
    assert mixing.startswith("trained out of equilibrium: after the training's 10 Gibbs steps")
    assert "more Gibbs steps" in mixing
    assert repr(audit).startswith("TrainingAudit(2 findings against it, log-likelihood -56")
    assert [value for name, value in audit.lines() if name == "caution"] == [worse, mixing]
    assert run.audit is None
    save_audit(run, audit)
    assert run.audit is not None
    assert run.audit["findings"] == [worse, mixing]
    assert run.audit["in_equilibrium"] is False


def test_nothing_speaks_against_a_good_training():
    generator = np.random.default_rng(1)
    rows = generator.random((1500, 24)) < generator.random((4, 24))[generator.integers(0, 4, 1500)]
    data = rs.Dataset.from_array(rows[:1000].astype(np.uint8), rows[1000:].astype(np.uint8))
    run = rs.train(data, rs.TrainingConfig(n_hidden=8, epochs=200, learning_rate=0.2, **SMALL), progress=False)
    audit = audit_training(run, data)
    assert audit.findings == ()
    assert audit.log_likelihood.value > audit.baselines.independent.value
    assert "nothing speaks against it" in repr(audit)
    assert [name for name, _ in audit.lines()] == ["log-likelihood", "independent units", "20 products"]
    assert audit.update == run.updates[-1]


def test_a_training_in_equilibrium_is_judged_by_its_ladder():
    data = wells(40, 1000)
    config = rs.TrainingConfig(n_hidden=6, method="ptt", epochs=10, **SMALL)
    run = rs.train(data, config, progress=False)
    audit = audit_training(run, data)
    exact = float(exact_log_likelihood(run.load(), torch.from_numpy(data.test)).mean())
    assert audit.method == "ladder"
    assert abs(audit.log_likelihood.value - exact) < 4.0 * audit.log_likelihood.stderr + 0.05
    assert audit.in_equilibrium == bool(run.rows[-1]["converged"])
    assert audit.mixing == f"the ladder of the training says: {run.rows[-1]['verdict']}"
    assert audit.lines()[0][1].endswith("by the training's ladder")


def test_the_error_of_the_rows_is_that_of_their_mean(failed):
    run, data = failed
    rows, rbm = torch.from_numpy(data.test), run.load(0)
    values = rbm.free_energy(rows).double()
    assert row_stderr(rbm, rows) == pytest.approx(float(values.std()) / len(values) ** 0.5)
    assert row_stderr(rbm, rows[:1]) == 0.0


@pytest.mark.parametrize(
    ("estimate", "rows", "text"),
    [
        (rs.Estimate(-15.8112, 0.006), 0.52, "-15.811 ± 0.006 (ln Z) ± 0.52 (rows)"),
        (rs.Estimate(-15.8112, 0.0), 0.52, "-15.8 ± 0.52 (rows)"),
        (rs.Estimate(-2405.32, 0.0), 113.4, "-2405 ± 113 (rows)"),
        (rs.Estimate(-3587.9612, 0.061), 186.0, "-3587.96 ± 0.061 (ln Z) ± 186 (rows)"),
        (rs.Estimate(-14.112, 0.0), 0.2, "-14.11 ± 0.2 (rows)"),
        (rs.Estimate(-14.112, np.nan), 113.4, "about -14.11, not converged, ± 113 (rows)"),
        (rs.Estimate(-14.112, 0.0), np.inf, "-14.11 ± inf (rows)"),
        (rs.Estimate(-15.8112, 0.006), 0.0, "-15.811 ± 0.006"),
        (rs.Estimate(-15.8112, np.nan), 0.52, "about -15.81, not converged, ± 0.52 (rows)"),
    ],
)
def test_both_errors_are_told_apart(estimate, rows, text):
    assert with_both_errors(estimate, rows) == text


def test_a_finished_training_is_judged_where_it_is_watched(tmp_path):
    """Once, at its end, in the display's own lines; a training that nobody watches is not."""
    rows = (np.random.default_rng(3).random((60, 9)) < 0.4).astype(np.uint8)
    data, recipe = rs.Dataset.from_array(rows), rs.TrainingConfig(n_hidden=3, epochs=2, n_chains=30)
    text = StringIO()
    display = TrainingDisplay(console=Console(file=text, width=200))
    run = rs.train(data, recipe, tmp_path / "run", progress=display, until_update=1)
    assert run.audit is None
    run = rs.train(data, recipe, tmp_path / "run", progress=display, resume=True)
    assert run.audit is not None
    assert run.audit["update"] == run.last_update
    assert text.getvalue().count("independent units: ") == 1
    rs.train(data, recipe, tmp_path / "run", progress=display, resume=True)
    assert text.getvalue().count("independent units: ") == 1
    assert rs.train(data, recipe, progress=False).audit is None


def gapped(n_visible=24, n_rows=400):
    """Two wells with a tenth of the entries missing."""
    data = wells(n_visible, n_rows)
    generator = np.random.default_rng(5)
    rows = np.concatenate([data.train, data.test]).astype(float)
    rows[generator.random(rows.shape) < 0.1] = np.nan
    return rs.load_dataset(rows, missing="marginalize", test_fraction=0.25)


def test_a_training_with_gaps_is_judged_by_what_is_known_of_its_rows():
    data = gapped()
    config = rs.TrainingConfig(n_hidden=4, epochs=1, **SMALL)
    run = rs.train(data, config, progress=TrainingDisplay("gaps", Console(file=StringIO())))
    assert run.audit is not None
    assert run.audit["findings"][0].startswith("the model is worse than a mixture of 20 products")
    found = audit_training(run, data)
    known = rs.log_probability(run, data)
    assert found.log_likelihood.value == pytest.approx(known.mean.value, abs=1e-9)
    assert "ptt" not in found.findings[0]  # which refuses gaps
    assert found.rows == pytest.approx(float(known.value.std()) / math.sqrt(len(data.test)), rel=1e-9)
    assert found.in_equilibrium is None


def test_rows_whose_gaps_are_too_wide_are_said_to_be_not_judged():
    rows = np.full((40, 60), np.nan)
    rows[:, :4] = np.random.default_rng(0).integers(0, 2, (40, 4))
    data = rs.load_dataset(rows, missing="marginalize")
    out = StringIO()
    config = rs.TrainingConfig(n_hidden=32, epochs=1, batch_size=10, n_chains=10)
    run = rs.train(data, config, progress=TrainingDisplay("gaps", Console(file=out)))
    assert "not judged" in out.getvalue()
    assert run.audit is None


def test_a_short_training_by_tempering_is_not_sent_to_tempering():
    data = wells(32, 500)
    config = rs.TrainingConfig(n_hidden=4, epochs=1, method="ptt", **SMALL)
    (finding,) = audit_training(rs.train(data, config, progress=False), data).findings
    assert "ptt" not in finding
    assert "more epochs" in finding
