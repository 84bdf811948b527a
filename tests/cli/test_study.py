"""`rbmscape study` and `reproduce`: exit codes and the one line that says what is wrong."""

from __future__ import annotations

import pandas as pd
import pytest

import rbmscape as rs
from rbmscape.cli.main import DONE, FAILED, WRONG_USAGE, main

PLAN = """
hidden = [2]
replicas = 1
figures = ["gallery"]
[data]
source = "bars-and-stripes"
options = { image_shape = [3, 3] }
[recipes.recommended]
epochs = 4
engine = "reference"
batch_size = 7
n_chains = 5
[figure_options.gallery]
n_samples = 3
"""


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "stripes.toml"
    path.write_text(PLAN)
    return path


def test_a_plan_is_carried_out_and_continued(plan, tmp_path, capsys):
    assert main(["study", str(plan)]) == DONE
    out = capsys.readouterr().out
    assert "0 were done before" in out
    study = rs.open_study("studies/stripes")
    assert (study.directory / "report.html").is_file()
    assert [key.hidden for key in study.runs] == [2]
    assert main(["study", "studies/stripes"]) == DONE
    assert "0 tasks done" in capsys.readouterr().out
    assert main(["study", "studies/stripes", "--tables", "tables"]) == DONE
    assert capsys.readouterr().out.split() == ["tables/gallery.csv", "tables/training.csv"]
    assert set(pd.read_csv("tables/training.csv").hidden) == {2}


def test_a_dry_run_prints_and_leaves_no_trace(plan, tmp_path, capsys):
    assert main(["study", str(plan), "--dry-run", "--workers", "2"]) == DONE
    out = " ".join(capsys.readouterr().out.split())
    assert "train a slice of a run 1 0" in out
    assert "Estimates" in out
    assert "with 2 worker processes" in out
    assert "in all" in out
    assert not (tmp_path / "studies").exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["study"], WRONG_USAGE, "plan"),
        (["study", "PLAN", "--workers", "0"], WRONG_USAGE, "--workers"),
        (["study", "PLAN", "--workers", "2", "--scheduler", "tcp://a:1"], WRONG_USAGE, "choose one"),
        (["study", "PLAN", "--tables", "t"], WRONG_USAGE, "directory of a study"),
        (["study", "none.toml"], FAILED, "could not be read"),
        (["study", "."], FAILED, "holds no study"),
        (["reproduce", "--profile", "lapto"], FAILED, "did you mean 'laptop'"),
    ],
)
def test_what_cannot_be_carried_out_is_said_in_one_line(plan, words, code, message, capsys):
    assert main([str(plan) if word == "PLAN" else word for word in words]) == code
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err
    if code == FAILED:
        assert err.count("\n") == 1


def test_another_study_is_not_touched(plan, capsys):
    assert main(["study", str(plan), "--out", "s"]) == DONE
    plan.write_text(PLAN.replace("[3, 3]", "[2, 3]"))
    assert main(["study", str(plan), "--out", "s"]) == FAILED
    assert "holds another study (its data are" in capsys.readouterr().err
    assert main(["study", str(plan), "--out", "s", "--overwrite"]) == DONE
