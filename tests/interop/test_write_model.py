"""Files that are written for other tools: read again by ourselves and, where it is at hand, by the tool."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.errors import InputError, RunExistsError
from rbmscape.interop.files import FORMATS


@pytest.mark.parametrize("format", sorted(FORMATS))
def test_what_is_written_is_read_again(tmp_path, model, same, format):
    path = tmp_path / "model.file"
    rs.write_model(model, path, format)
    found = rs.read_model(path)
    assert same(found.load() if isinstance(found, rs.Run) else found)
    with pytest.raises(RunExistsError, match="exists already"):
        rs.write_model(model, path, format)
    rs.write_model(model, path, format, overwrite=True)


def test_endings_stand_for_formats(tmp_path, model):
    for ending in (".safetensors", ".h5", ".npz", ".pt"):
        rs.write_model(model, tmp_path / f"m{ending}")
    with h5py.File(tmp_path / "m.h5") as file:
        assert file["model_type"][()] == b"BBRBM"
    with pytest.raises(InputError, match="stands for no format; pass format="):
        rs.write_model(model, tmp_path / "m.model")
    with pytest.raises(InputError, match="did you mean 'julia'"):
        rs.write_model(model, tmp_path / "m.h5", "juliaa")


@pytest.mark.filterwarnings("ignore")
def test_rbms_opens_a_run(tmp_path, rbms_file, same):
    """All checkpoints, chains and the recipe, opened by the package rbms itself."""
    from rbms.io import load_model, load_params

    run = rs.read_model(rbms_file)
    rs.write_model(run, tmp_path / "again.h5")
    cpu = torch.device("cpu")
    with torch.random.fork_rng():  # rbms draws hidden states when it loads a model
        params, chains, _, hyper = load_model(str(tmp_path / "again.h5"), 30, cpu, torch.float32)
    assert torch.equal(params.weight_matrix, run.load().weights)
    assert torch.equal(params.vbias, run.load().visible_bias)
    assert torch.equal(params.hbias, run.load().hidden_bias)
    assert np.array_equal(chains["visible"].numpy(), run.chains.numpy())
    assert (hyper["gibbs_steps"], hyper["batch_size"]) == (7, 20)
    first = load_params(str(tmp_path / "again.h5"), 1, cpu, torch.float32)
    assert torch.equal(first.weight_matrix, run.load(1).weights)


@pytest.mark.filterwarnings("ignore")
def test_rbms_opens_a_model(tmp_path, model):
    from rbms.io import load_model

    rs.write_model(model, tmp_path / "m.h5")
    with torch.random.fork_rng():
        params, _, _, _ = load_model(str(tmp_path / "m.h5"), 0, torch.device("cpu"), torch.float32)
    v = torch.eye(6)
    assert torch.allclose(params.compute_energy_visibles(v), model.free_energy(v), atol=1e-5)
