"""``rbmscape analyze`` on runs, on bare models, with other data, and when it must refuse."""

from __future__ import annotations

import numpy as np
import pytest

import rbmscape as rs
from rbmscape.cli.main import main
from rbmscape.figures.analysis import Subject


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("analyze") / "run"
    dataset = rs.load_dataset("bars-and-stripes", image_shape=(3, 3))
    config = rs.TrainingConfig(n_hidden=5, epochs=3, batch_size=14, n_chains=20, gibbs_steps=1, early_checkpoints=2)
    rs.train(dataset, config, folder, progress=False)
    return folder


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.safetensors"
    rs.RBM.random(12, 5, std=0.5).save(path)
    return path


def test_a_run_gives_pictures_and_data(run, tmp_path, capsys):
    out = tmp_path / "out"
    names = "spectrum,landscapes,evolution"
    assert main(["analyze", str(run), "--out", str(out), "--chains", "20", "--figures", names]) == 0
    made = {path.name for path in out.iterdir()}
    assert made == {f"{name}.{kind}" for name in names.split(",") for kind in ("png", "pdf", "nc")}
    assert "Singular values go" in capsys.readouterr().out


def test_a_bare_model_with_users_data_and_no_images(model, tmp_path, capsys):
    data = tmp_path / "mine.npy"
    np.save(data, np.random.default_rng(0).integers(0, 2, (40, 12), dtype=np.uint8))
    out = tmp_path / "out"
    words = ["analyze", str(model), "--out", str(out), "--chains", "20", "--data", str(data), "--figures"]
    assert main([*words, "landscapes,image_landscapes,evolution"]) == 0
    assert {path.suffix for path in out.iterdir()} == {".png", ".pdf", ".nc"}
    assert "evolution: left out, it needs run" in capsys.readouterr().out


def test_refusals_leave_nothing_behind(model, tmp_path, capsys):
    out = tmp_path / "out"
    start = ["analyze", str(model), "--out", str(out), "--chains", "20"]
    assert main([*start, "--figures", "spektrum"]) == 1
    assert "did you mean 'spectrum'" in capsys.readouterr().err
    assert main([*start, "--data", "bars-and-stripes"]) == 1
    assert "12 visible units" in capsys.readouterr().err
    assert main([*start, "--image-shape", "5x5"]) == 2
    assert main(["analyze", str(tmp_path / "absent"), "--out", str(out)]) == 1
    assert not out.exists()
    assert main([*start, "--figures", "spectrum"]) == 0
    capsys.readouterr()
    assert main([*start, "--figures", "spectrum"]) == 1
    assert "exists already" in capsys.readouterr().err
    assert main([*start, "--figures", "spectrum", "--overwrite"]) == 0


def test_rows_count_by_their_weights_and_gaps_are_said(tmp_path, capsys):
    rows = np.random.default_rng(1).integers(0, 2, (30, 6))
    weights = np.arange(30) % 3 + 1
    config = rs.TrainingConfig(n_hidden=3, epochs=2, n_chains=20, gibbs_steps=1, early_checkpoints=0)
    np.savez(tmp_path / "weighted.npz", train=rows, weights=weights)
    data = rs.load_dataset(tmp_path / "weighted.npz", key="train", weights="weights", test_fraction=0)
    run = rs.train(data, config, tmp_path / "weighted", progress=False)
    counted = Subject(run.load(), run, data).dataset
    np.testing.assert_array_equal(counted.train, np.repeat(rows, weights, axis=0))
    assert counted.train_weights is None
    gaps = rows.astype(float)
    gaps[2, 3] = np.nan
    np.save(tmp_path / "gaps.npy", gaps)
    holed = rs.load_dataset(tmp_path / "gaps.npy", missing="marginalize", test_fraction=0)
    rs.train(holed, config, tmp_path / "holed", progress=False)
    words = [
        "analyze",
        str(tmp_path / "holed"),
        "--out",
        str(tmp_path / "out"),
        "--chains",
        "20",
        "--figures",
        "spectrum",
    ]
    assert main(words) == 0
    assert "no data are shown: a figure needs complete rows" in capsys.readouterr().err
