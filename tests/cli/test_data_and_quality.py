"""`describe` and `quality` on the command line say what the library finds, each finding with its cure."""

from __future__ import annotations

import json

import numpy as np
import pytest

import rbmscape as rs
from rbmscape.cli.main import main

ROWS = np.random.default_rng(0).integers(0, 2, (300, 10))


@pytest.fixture
def table(tmp_path):
    rows = np.column_stack([ROWS, ROWS[:, 2], np.ones(300, dtype=int)])
    names = [*(f"item{k}" for k in range(10)), "copy", "consent"]
    lines = [",".join(names), *(",".join(map(str, row)) for row in rows)]
    (tmp_path / "answers.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "answers.csv"


def test_describe_names_columns_and_cures(table, tmp_path, capsys):
    assert main(["describe", str(table), "--json", str(tmp_path / "found.json")]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "never change in the training data: 1 (consent); leave them out" in shown
    assert "repeat an earlier one: 1 (copy); leave them out" in shown
    record = json.loads((tmp_path / "found.json").read_text())
    assert (record["constant"], record["repeated"], record["n_train"]) == ([11], [10], 240)
    assert record["concerns"] == list(rs.describe(rs.load_dataset(table)).concerns)


def test_describe_of_clean_data(tmp_path, capsys):
    np.save(tmp_path / "rows.npy", np.unique(ROWS, axis=0))
    assert main(["describe", str(tmp_path / "rows.npy")]) == 0
    assert "nothing to look at twice" in capsys.readouterr().out


def test_quality_of_a_run_is_that_of_the_library(tmp_path, capsys):
    patterns = np.random.default_rng(1).integers(0, 2, (5, 40))
    rows = np.where(np.random.default_rng(2).random((600, 40)) < 0.02, 1, patterns[np.arange(600) % 5])
    np.save(tmp_path / "rows.npy", rows)
    recipe = ["--hidden", "6", "--epochs", "30", "--batch-size", "100", "--chains", "100", "--quiet"]
    assert main(["train", str(tmp_path / "rows.npy"), *recipe, "--out", str(tmp_path / "run")]) == 0
    words = ["quality", str(tmp_path / "run"), "-n", "100", "--seed", "3", "--json", str(tmp_path / "found.json")]
    capsys.readouterr()
    assert main(words) == 0
    shown = " ".join(capsys.readouterr().out.split())
    found = rs.quality(rs.Run.open(tmp_path / "run"), n_samples=100, seed=3)
    record = json.loads((tmp_path / "found.json").read_text())
    assert record["concerns"] == list(found.concerns)
    assert record["pairs"]["value"] == found.pairs.value
    assert f"correlation with held-out data {found.pairs}" in shown
    for concern in found.concerns:
        assert " ".join(concern.split()) in shown


def test_quality_needs_data_and_says_so(tmp_path, capsys):
    rs.RBM.random(10, 3).save(tmp_path / "model.safetensors")
    assert main(["quality", str(tmp_path / "model.safetensors")]) == 1
    assert "name them with --data" in capsys.readouterr().err
    np.save(tmp_path / "rows.npy", ROWS)
    assert main(["quality", str(tmp_path / "model.safetensors"), "--data", str(tmp_path / "rows.npy"), "-n", "50"]) == 0
    assert "hidden units 3" in " ".join(capsys.readouterr().out.split())
