"""Names of a file's columns on their way: data, run, samples, pictures."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from rbmscape.cli.main import main
from rbmscape.data.dataset import Dataset
from rbmscape.data.load import load_dataset
from rbmscape.data.sizes import rescaled, subsampled
from rbmscape.figures.gallery import compute, draw
from rbmscape.runs.run import Run
from rbmscape.runs.samples import model_samples

NAMES = ("smokes", "has a garden", "votes", "owns a bicycle")


@pytest.fixture
def table(tmp_path):
    rows = np.random.default_rng(4).integers(0, 2, (60, len(NAMES) + 1))
    path = tmp_path / "people.csv"
    np.savetxt(path, rows, fmt="%d", delimiter=",", header=",".join([*NAMES[:2], "town", *NAMES[2:]]), comments="")
    return path


def test_names_follow_the_columns_that_are_kept(table):
    data = load_dataset(str(table), labels="town")
    assert data.columns == NAMES
    assert data.limited(10).columns == data.with_labels([0]).columns == NAMES
    assert len(subsampled(data, 2, seed=1).columns) == 2
    kept = subsampled(data, 2, seed=1)
    place = [NAMES.index(name) for name in kept.columns]
    np.testing.assert_array_equal(kept.train, data.train[:, place])
    assert Dataset.from_array(data.train).columns is None
    square = load_dataset(str(table), labels="town", image_shape=(2, 2))
    assert rescaled(square, (1, 2)).columns is None


def test_a_run_remembers_them_and_samples_and_pictures_carry_them(table, tmp_path):
    out = tmp_path / "run"
    small = ["--hidden", "3", "--epochs", "1", "--batch-size", "10", "--chains", "10", "--quiet"]
    assert main(["train", str(table), "--labels", "town", *small, "--out", str(out)]) == 0
    assert tuple(Run.open(out).data["columns"]) == NAMES
    assert main(["sample", str(out), "-n", "5", "--method", "gibbs", "--out", str(tmp_path / "s")]) == 0
    assert tuple(np.load(tmp_path / "s.npz")["columns"]) == NAMES
    found = compute(
        {"model": model_samples(Run.open(out).load(), n_chains=5).at()}, Run.open(out).dataset(), n_samples=3
    )
    assert [label.get_text() for label in draw(found).axes[-1].get_xticklabels()] == list(NAMES)


def test_columns_in_another_order_go_by_name(table, tmp_path, capsys):
    """Whatever a command does with a file's rows and a run that knows its columns."""
    out, other = tmp_path / "a run", tmp_path / "other.csv"
    small = ["--hidden", "3", "--epochs", "30", "--batch-size", "10", "--chains", "10", "--quiet"]
    assert main(["train", str(table), "--labels", "town", *small, "--out", str(out)]) == 0
    frame = pd.read_csv(table)
    frame[frame.columns[::-1]].to_csv(other, index=False)

    def scores(data):
        words = ["evaluate", str(out), "--data", str(data), "--labels", "town", "--test-fraction", "0"]
        assert main([*words, "--json", str(tmp_path / "e.json"), "--overwrite"]) == 0
        return json.loads((tmp_path / "e.json").read_text())["log_likelihood"]

    assert scores(other) == scores(table)
    frame.assign(smokes=np.nan)[frame.columns[::-1]].to_csv(tmp_path / "gaps.csv", index=False)
    words = ["sample", str(out), "--given", str(tmp_path / "gaps.csv"), "-n", "2", "--out", str(tmp_path / "s")]
    assert main([*words, "--labels", "town"]) == 0
    drawn = np.load(tmp_path / "s.npz")
    assert drawn["missing"].all(0).tolist() == [True, False, False, False]
    np.testing.assert_array_equal(drawn["samples"][:, 0, 1:], frame[list(NAMES[1:])])
    words = ["train", str(other), "--labels", "town", "--init", str(out), "--epochs", "1", "--quiet"]
    assert main([*words, "--out", str(tmp_path / "more")]) == 1
    assert "in another order" in capsys.readouterr().err
    frame.rename(columns={"votes": "sings"}).to_csv(other, index=False)
    assert main(["evaluate", str(out), "--data", str(other), "--labels", "town"]) == 1
    assert "'sings' has no match" in capsys.readouterr().err
