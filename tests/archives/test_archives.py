"""Runs and studies that earlier releases wrote are read, continued, judged and reported with the same numbers.

Each folder beside this file is what `write.py` left with the release of that name.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.cli.main import main
from rbmscape.model.exact import exact_log_likelihood, exact_log_partition
from rbmscape.model.rbm import PARAMETER_NAMES
from rbmscape.report.build import write_report

HOME = Path(__file__).parent
VERSIONS = sorted(path.name for path in HOME.iterdir() if (path / "numbers.json").is_file())


@pytest.fixture(params=VERSIONS)
def archive(request, tmp_path):
    """A copy of one release's files that may be written to, and the numbers that belong to them."""
    copy = shutil.copytree(HOME / request.param, tmp_path / "archive")
    numbers = json.loads((copy / "numbers.json").read_text(encoding="utf-8"))
    return SimpleNamespace(run=copy / "run", study=copy / "study", resumed=copy / "resumed.safetensors", **numbers)


@pytest.fixture
def images():
    return rs.load_dataset("bars-and-stripes", image_shape=(3, 3))


def test_there_are_archives_of_the_size_that_a_repository_can_carry():
    assert "0.1.0" in VERSIONS
    assert sum(path.stat().st_size for path in HOME.rglob("*") if path.is_file()) < 5e6


def test_a_run_opens_with_its_recipe_metrics_and_chains(archive):
    run = rs.Run.open(archive.run)
    assert run.is_complete
    assert [str(update) for update in run.updates] == list(archive.run_scores)
    assert (run.config.n_hidden, run.config.method, run.config.optimizer) == (6, "pcd", "sgd")
    assert run.config.checkpoint_epochs == (30, 100, 300)
    np.testing.assert_array_equal(run.metrics.index, run.updates)
    np.testing.assert_array_equal(run.metrics["seconds"], archive.run_seconds)
    assert int(run.chains.sum()) == archive.run_chains


def exact_numbers(rbm: rs.RBM, images: rs.Dataset) -> dict[str, float]:
    double = rbm.to(dtype=torch.float64)
    mean = float(exact_log_likelihood(double, images.test).mean())
    return {"log_likelihood": mean, "log_partition": float(exact_log_partition(double))}


def test_its_models_have_the_likelihoods_that_they_had(archive, images):
    run = rs.Run.open(archive.run)
    for update, known in archive.run_scores.items():
        assert exact_numbers(run.load(int(update)), images) == pytest.approx(known, abs=1e-9)


def test_it_is_continued_as_the_release_that_wrote_it_would_have(archive, images):
    old = rs.Run.open(archive.run)
    longer = old.config.replace(epochs=archive.more_epochs)
    new = rs.train(images, longer, archive.run, resume=True, progress=False)
    assert new.last_update == archive.more_epochs * new.updates_per_epoch
    known = rs.RBM.load(archive.resumed)
    for name in PARAMETER_NAMES:
        found = getattr(new.load(), name)
        torch.testing.assert_close(found, getattr(known, name), rtol=1e-4, atol=1e-5)
        assert not torch.allclose(found, getattr(old.load(300), name), atol=1e-3)


def test_it_is_evaluated_from_the_command_line(archive, tmp_path):
    assert main(["evaluate", str(archive.run), "--json", str(tmp_path / "scores.json")]) == 0
    scores = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    known = archive.run_scores["300"]
    assert scores["log_partition"] == pytest.approx({"value": known["log_partition"], "stderr": 0.0}, abs=1e-4)
    assert scores["log_likelihood"]["test"]["value"] == pytest.approx(known["log_likelihood"], abs=1e-4)


def test_a_study_opens_with_its_plan_runs_and_tables(archive, images):
    study = rs.open_study(archive.study)
    assert (study.config.name, study.config.hidden, study.config.replicas) == ("archive", (3, 6), 2)
    assert study.config.likelihood.final.method == "bracket"
    assert {str(key) for key in study.runs} == set(archive.study_scores)
    for key, run in study.runs.items():
        assert exact_numbers(run.load(), images) == pytest.approx(archive.study_scores[str(key)], abs=1e-9)
    assert list(study.result_names()) == archive.study_results
    table = study.table("likelihood")
    assert len(table) == archive.study_likelihood_rows
    total = table[table.variable == "log_likelihood"].value.sum()
    assert total == pytest.approx(archive.study_likelihood_sum, abs=1e-9)


def test_its_report_is_made_again(archive):
    study = rs.open_study(archive.study)
    study.config = study.config.model_copy(update={"ledger": True})  # as reports of that release judged all data
    (archive.study / "results" / "claims.json").unlink()
    page = write_report(study).read_text(encoding="utf-8")
    for words in ("archive", "M0006-r1", "bars-and-stripes-3x3"):
        assert words in page
    claims = json.loads((archive.study / "results" / "claims.json").read_text(encoding="utf-8"))
    assert len(claims["claims"]) >= archive.n_claims


def test_it_is_continued_without_training_anything_again(archive):
    before = {path: path.read_bytes() for path in archive.study.rglob("update-*.safetensors")}
    study = rs.run_study(rs.open_study(archive.study).config, archive.study, progress=False)
    outcome = study.outcome
    assert outcome.failures == {}
    assert {path: path.read_bytes() for path in archive.study.rglob("update-*.safetensors")} == before
    assert {entry.name for entry, _ in study.figures()} == {"likelihood", "gallery", "spectral_gap"}
