"""Names of a file's columns on their way: data, run, samples, pictures."""

from __future__ import annotations

import numpy as np
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
