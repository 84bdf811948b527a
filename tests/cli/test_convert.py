"""``rbmscape convert`` as a user types it."""

from __future__ import annotations

import numpy as np

import rbmscape as rs
from rbmscape.cli.main import DONE, FAILED, main


def test_there_and_back(tmp_path, capsys):
    rbm = rs.RBM.random(6, 4, std=1.0)
    rbm.save(tmp_path / "m.safetensors")
    assert main(["convert", str(tmp_path / "m.safetensors"), str(tmp_path / "m.h5"), "--to", "julia"]) == DONE
    assert main(["convert", str(tmp_path / "m.h5"), str(tmp_path / "m.npz")]) == DONE
    assert np.array_equal(np.load(tmp_path / "m.npz")["weights"], rbm.weights.numpy())
    assert main(["convert", str(tmp_path / "m.h5"), str(tmp_path / "m.npz")]) == FAILED
    assert "pass overwrite=True" in capsys.readouterr().err


def test_a_training_becomes_a_run(tmp_path, capsys):
    rs.write_model(rs.RBM.random(6, 4), tmp_path / "training.h5", "rbms")
    assert main(["convert", str(tmp_path / "training.h5"), str(tmp_path / "run")]) == DONE
    assert "1 checkpoints" in capsys.readouterr().out
    assert rs.Run.open(tmp_path / "run").updates == (0,)
    assert main(["convert", str(tmp_path / "run"), str(tmp_path / "m.pt"), "--update", "-1"]) == DONE
    assert main(["convert", str(tmp_path / "training.h5"), str(tmp_path / "m.npz"), "--spins"]) == DONE
