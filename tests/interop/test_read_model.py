"""Readers of foreign files and objects, good ones and bad ones."""

from __future__ import annotations

import contextlib
import pickle

import h5py
import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.errors import ConfigError, DiskError, FormatError, InputError, RbmscapeError, RunExistsError, ShapeError


def jl_file(path, parameters, kind="RBM", visible="Binary", hidden="Binary", grid=None, **more):
    """As RestrictedBoltzmannMachines.jl writes it: all axes reversed, a parameter axis at the end of the layers."""
    w, a, b = parameters
    with h5py.File(path, "w") as file:
        file["rbm_hdf5_file_format_version"] = "1.0.0"
        file["rbm_type"], file["visible_type"], file["hidden_type"] = kind, visible, hidden
        file["weights"] = w.T.reshape((len(b), *(grid or (len(a),))))
        file["visible_par"] = a.reshape((*(grid or (len(a),)), 1))
        file["hidden_par"] = b[:, None]
        for name, value in more.items():
            file[name] = value
    return path


def test_jl_plain_and_on_a_grid(tmp_path, parameters, same):
    assert same(rs.read_model(jl_file(tmp_path / "plain.h5", parameters)))
    assert same(rs.read_model(jl_file(tmp_path / "grid.h5", parameters, grid=(2, 3))))


def test_jl_standardised_and_centred_have_the_same_probabilities(tmp_path, parameters):
    """Differences of free energies against the definition (v - λ)/σ, in double precision."""
    rng = np.random.default_rng(8)
    w, a, b = (part.astype(np.float64) for part in parameters)
    offsets = {"offset_v": rng.uniform(size=6), "offset_h": rng.uniform(size=4)}
    scales = {"scale_v": rng.uniform(0.5, 2.0, 6), "scale_h": rng.uniform(0.5, 2.0, 4)}
    v = rng.integers(0, 2, (10, 6)).astype(np.float64)
    for kind, more in (("CenteredRBM", offsets), ("StandardizedRBM", offsets | scales)):
        rbm = rs.read_model(jl_file(tmp_path / f"{kind}.h5", (w, a, b), kind, **more))
        unit = {"scale_v": 1.0, "scale_h": 1.0} | more
        inputs = ((v - unit["offset_v"]) / unit["scale_v"]) @ w / unit["scale_h"]
        expected = -v @ a - np.logaddexp(0.0, b + inputs).sum(1) + inputs @ unit["offset_h"]
        difference = rbm.free_energy(v).numpy() - expected
        assert np.ptp(difference) < 1e-10


def test_jl_spins(tmp_path, parameters):
    w, a, b = (part.astype(np.float64) for part in parameters)
    rbm = rs.read_model(jl_file(tmp_path / "spins.h5", (w, a, b), visible="Spin", hidden="Spin"))
    again = rs.read_model({"W": w, "a": a, "b": b}, states="spins")
    assert torch.equal(rbm.weights, again.weights)
    s = 2.0 * np.eye(6) - 1.0
    expected = -s @ a - np.log(2.0 * np.cosh(b + s @ w)).sum(1)
    assert np.ptp(rbm.free_energy(np.eye(6)).numpy() - expected) < 1e-10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"visible": "Potts"}, "visible units of kind 'Potts'; this package models binary units only"),
        ({"hidden": "xReLU"}, "hidden units of kind 'xReLU'"),
        ({"kind": "DeepRBM"}, "holds a 'DeepRBM', which is not read"),
    ],
)
def test_jl_refuses_by_name(tmp_path, parameters, change, message):
    with pytest.raises(FormatError, match=message):
        rs.read_model(jl_file(tmp_path / "other.h5", parameters, **change))


@pytest.mark.parametrize("struct", [False, True])
def test_jld(tmp_path, parameters, same, struct):
    """Weights as Julia's JLD keeps them: a header of text before the HDF5 file, all axes reversed."""
    path = tmp_path / "J.jld"
    w, a, b = parameters
    with h5py.File(path, "w", userblock_size=512) as file:
        if struct:
            parts = [file.create_dataset(f"_refs/{k}", data=part) for k, part in enumerate((w.T, a, b))]
            kind = np.dtype([(name, h5py.ref_dtype) for name in "wab"])
            file.create_dataset("J", data=np.array(tuple(part.ref for part in parts), dtype=kind))
        else:
            file["w"], file["a"], file["b"] = w.T, a, b
    with open(path, "r+b") as handle:
        handle.write(b"Julia data file (HDF5), version 0.1.3 \x00")
    assert same(rs.read_model(path))


def test_square_julia_weights_are_turned(tmp_path):
    w = np.arange(9.0).reshape(3, 3)
    path = tmp_path / "J.jld"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["w"], file["a"], file["b"] = w.T, np.zeros(3), np.zeros(3)
    with open(path, "r+b") as handle:
        handle.write(b"Julia data file (HDF5)")
    assert np.array_equal(rs.read_model(path).weights.numpy(), w)


def test_rbms_becomes_a_run_that_analyses_take(rbms_file, same):
    run = rs.read_model(rbms_file)
    assert isinstance(run, rs.Run)
    assert run.updates == (1, 30)
    assert same(run.load())
    assert torch.equal(2.0 * run.load(1).weights, run.load(30).weights)
    config = run.config
    assert (config.gibbs_steps, config.batch_size, config.learning_rate, config.l2) == (7, 20, 0.02, 0.001)
    assert run.chains.shape == (8, 6)
    assert run.chains.dtype == torch.uint8
    assert list(run.metrics.seconds) == [0.25, 7.5]
    assert rs.Modes.of(run.load()).singular_values.shape == (4,)
    assert rs.equilibrium_samples(run, 50).v.shape == (50, 6)


def test_rbms_of_one_update(rbms_file, same):
    assert same(rs.read_model(rbms_file, update=-1))
    assert not same(rs.read_model(rbms_file, update=1))
    with pytest.raises(FormatError, match="has no update 29; the nearest is 30"):
        rs.read_model(rbms_file, update=29)


def test_rbms_before_its_groups_of_parameters(tmp_path, parameters, same):
    path = tmp_path / "old.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("update_5")
        group["weight_matrix"], group["vbias"], group["hbias"] = parameters
    run = rs.read_model(path)
    assert run.updates == (5,)
    assert same(run.load())


def test_rbms_with_its_data_and_a_directory(rbms_file, tmp_path):
    data = rs.Dataset.from_array(np.eye(6, dtype=np.uint8).repeat(10, axis=0))
    run = rs.read_model(rbms_file, dataset=data, directory=tmp_path / "run")
    assert (run.updates_per_epoch, run.epochs) == (3, (1 / 3, 10.0))
    assert rs.Run.open(tmp_path / "run").updates == (1, 30)
    with pytest.raises(RunExistsError, match="already holds a run"):
        rs.read_model(rbms_file, directory=tmp_path / "run")
    rs.read_model(rbms_file, directory=tmp_path / "run", overwrite=True)
    with pytest.raises(InputError, match=r"has 3 columns but the models of .* 6 visible units"):
        rs.read_model(rbms_file, dataset=rs.Dataset.from_array(np.eye(3, dtype=np.uint8)))


def test_trainings_of_other_tools_are_not_resumed(rbms_file, tmp_path):
    data = rs.Dataset.from_array(np.eye(6, dtype=np.uint8).repeat(10, axis=0))
    run = rs.read_model(rbms_file, dataset=data, directory=tmp_path / "run")
    with pytest.raises(ConfigError, match="was trained by rbms, whose random numbers cannot be continued"):
        rs.train(data, rs.TrainingConfig(n_hidden=4), run.directory, resume=True, progress=False)


def test_rbms_of_another_kind_is_refused_by_name(rbms_file):
    with h5py.File(rbms_file, "r+") as file:
        del file["model_type"]
        file["model_type"] = "PBRBM"
    with pytest.raises(FormatError, match="holds a model of kind 'PBRBM'"):
        rs.read_model(rbms_file)


def test_named_arrays(tmp_path, parameters, same):
    w, a, b = parameters
    np.savez(tmp_path / "m.npz", W=w, vbias=a[None], hbias=b)
    assert same(rs.read_model(tmp_path / "m.npz"))
    np.savez(tmp_path / "t.npz", W=w.T, vbias=a, hbias=b)
    assert same(rs.read_model(tmp_path / "t.npz"))
    state = {"rbm.W": torch.tensor(w), "rbm.a": torch.tensor(a), "rbm.b": torch.tensor(b)}
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "m.pt")
    assert same(rs.read_model(tmp_path / "m.pt"))


def test_square_matrices_are_not_guessed():
    arrays = {"W": np.arange(9.0).reshape(3, 3), "vbias": np.zeros(3), "hbias": np.zeros(3)}
    with pytest.raises(FormatError, match="pass transpose=True where the weights have one row a hidden unit"):
        rs.read_model(arrays)
    upright, turned = (rs.read_model(arrays, transpose=flag).weights for flag in (False, True))
    assert torch.equal(upright, turned.T)


def test_objects(parameters, same):
    from sklearn.neural_network import BernoulliRBM

    w, a, b = parameters
    estimator = BernoulliRBM(n_components=4)
    with pytest.raises(InputError, match="this BernoulliRBM is not fitted yet"):
        rs.read_model(estimator)
    estimator.components_, estimator.intercept_visible_, estimator.intercept_hidden_ = w.T, a, b
    assert same(rs.read_model(estimator))
    module = torch.nn.Module()
    for name, part in zip(("W", "a", "b"), parameters, strict=True):
        module.register_parameter(name, torch.nn.Parameter(torch.tensor(part)))
    assert same(rs.read_model(module))

    class GaussianRBM(torch.nn.Module):
        pass

    with pytest.raises(FormatError, match="a GaussianRBM has units that are not binary"):
        rs.read_model(GaussianRBM())
    with pytest.raises(FormatError, match="holds no arrays"):
        rs.read_model(torch.nn.Module())


@pytest.mark.filterwarnings("ignore")
def test_objects_of_rbms(parameters, same):
    from rbms.bernoulli_bernoulli.classes import BBRBM

    assert same(rs.read_model(BBRBM(*(torch.tensor(part) for part in parameters))))


class Bomb:
    def __reduce__(self):
        return (pickle.loads, (b"\x80\x04K\x01.",))


def bad_files(folder, parameters):
    """Files that are no models, each with what its refusal says."""
    w, a, b = parameters
    (folder / "empty.h5").write_bytes(b"")
    yield "empty.h5", "it is empty"
    (folder / "text.h5").write_text("weights")
    yield "text.h5", "no format that is known"
    (folder / "J.bson").write_bytes(b"\x00\x01\x00\x00\x03rbm\x00")
    yield "J.bson", "BSON of Julia holds code"
    with h5py.File(folder / "none.h5", "w") as file:
        file["samples"] = w
    yield "none.h5", "no weights with two biases are recognised"
    with h5py.File(folder / "cut.h5", "w") as file:
        file["weights"], file["visible_bias"], file["hidden_bias"] = np.ones((200, 100)), np.ones(200), np.ones(100)
    (folder / "cut.h5").write_bytes((folder / "cut.h5").read_bytes()[:3000])
    yield "cut.h5", "no whole model in HDF5"
    with h5py.File(folder / "secret.h5", "w") as file:
        (folder / "secret.bin").write_bytes(bytes(96))
        file.create_dataset("W", (6, 4), "f4", external=[(str(folder / "secret.bin"), 0, 96)])
        file["a"], file["b"] = a, b
    yield "secret.h5", "takes its numbers from other files"
    with h5py.File(folder / "huge.h5", "w") as file:
        file.create_dataset("W", (10**7, 10**7), "f8", chunks=(10, 10))
        file["a"], file["b"] = a, b
    yield "huge.h5", "claims 8.0e.14 bytes"
    np.savez(folder / "objects.npz", W=np.array([None]), a=a, b=b)
    yield "objects.npz", "no whole .npz file of numbers"
    np.savez(folder / "misfit.npz", W=w[:5], a=a, b=b)
    yield "misfit.npz", "which do not fit"
    torch.save(
        {"W": torch.ones(2, 3), "a": torch.ones(2), "b": torch.ones(3), "log_sigma": torch.ones(2)}, folder / "g.pt"
    )
    yield "g.pt", "only units with real values have"
    torch.save([torch.ones(2)], folder / "list.pt")
    yield "list.pt", "not named tensors"
    torch.save({"W": Bomb()}, folder / "bomb.pt")
    yield "bomb.pt", "run code when loaded, which is not done"
    (folder / "damaged.pt").write_bytes((folder / "g.pt").read_bytes()[:200])
    yield "damaged.pt", "is damaged"
    yield "absent.h5", "there is no file"
    yield ".", "is a directory"


def test_bad_files_are_refused_in_one_sentence(tmp_path, parameters):
    for name, expected in bad_files(tmp_path, parameters):
        with pytest.raises((FormatError, DiskError, ShapeError), match=expected) as caught:
            rs.read_model(tmp_path / name)
        assert len(str(caught.value).splitlines()) == 1


def test_options_that_do_not_apply(tmp_path, model):
    model.save(tmp_path / "m.safetensors")
    with pytest.raises(InputError, match="is a single model; update chooses"):
        rs.read_model(tmp_path / "m.safetensors", update=3)
    with pytest.raises(InputError, match="only trainings become runs"):
        rs.read_model(tmp_path / "m.safetensors", directory=tmp_path / "run")


@pytest.mark.parametrize("seed", range(4))
def test_damaged_files_never_end_in_a_traceback(rbms_file, seed):
    """50 files each with one byte changed or the end cut: a model, or an error of the package."""
    rng = np.random.default_rng(seed)
    whole = rbms_file.read_bytes()
    for _ in range(50):
        content = bytearray(whole)
        if rng.random() < 0.2:
            content = content[: rng.integers(len(content))]
        else:
            content[rng.integers(len(content))] = rng.integers(256)
        rbms_file.write_bytes(bytes(content))
        with contextlib.suppress(RbmscapeError):
            rs.read_model(rbms_file, update=-1)
