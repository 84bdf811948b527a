"""Commands on files with missing entries."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import rbmscape as rs
from rbmscape.cli.main import main


@pytest.fixture
def table(tmp_path):
    rows = np.random.default_rng(3).integers(0, 2, (60, 5)).astype(float)
    rows[4, 2] = rows[50, 0] = rows[9, 2] = np.nan
    path = tmp_path / "gaps.csv"
    pd.DataFrame(rows, columns=list("abcde")).to_csv(path, index=False)
    return path


def test_describe_counts_them(table, tmp_path, capsys):
    assert main(["describe", str(table), "--json", str(tmp_path / "d.json")]) == 0
    assert sum(json.loads((tmp_path / "d.json").read_text())["gaps"]) == 3
    assert "2 of 5, most in c: 2 of 60" in " ".join(capsys.readouterr().out.split())


def test_all_checkpoints_are_scored_as_one_is(table, tmp_path):
    """Of the last checkpoint ``evaluate`` and ``evaluate --all`` say the same, what is missing being summed out."""
    out, names = str(tmp_path / "run"), (tmp_path / "one.json", tmp_path / "all.json")
    words = ["--hidden", "3", "--epochs", "2", "--batch-size", "10", "--chains", "10", "--quiet"]
    assert main(["train", str(table), "--missing", "marginalize", *words, "--out", out]) == 0
    assert main(["evaluate", out, "--json", str(names[0])]) == 0
    assert main(["evaluate", out, "--all", "--json", str(names[1])]) == 0
    one, every = (json.loads(name.read_text()) for name in names)
    run = rs.Run.open(out)
    for part in ("train", "test"):
        last = every["checkpoints"][-1]["log_likelihood"][part]
        assert last == pytest.approx(one["log_likelihood"][part], rel=1e-6)
        first = rs.log_probability(run.load(run.updates[0]), run.dataset().part(part)).mean.value
        assert every["checkpoints"][0]["log_likelihood"][part]["value"] == pytest.approx(first, rel=1e-6)


def test_a_study_says_where_they_are(table, tmp_path, capsys):
    plan = tmp_path / "plan.toml"
    for options, place in (("", "row 4, column 2 'c'"), ('missing = "marginalize"', "'c' (counted from 0) of the")):
        plan.write_text(f"hidden = [3]\nreplicas = 1\n[data]\nsource = {str(table)!r}\n[data.options]\n{options}\n")
        assert main(["study", str(plan), "--out", str(tmp_path / "study")]) == 1
        words = " ".join(capsys.readouterr().err.split())
        assert place in words
    assert not (tmp_path / "study").exists()
