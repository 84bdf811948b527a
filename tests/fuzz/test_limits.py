"""Sizes are predicted before anything is allocated: what no machine holds is refused at once, in one sentence."""

from __future__ import annotations

import io
import struct
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

import rbmscape as rs
from rbmscape.study.plan import read_plan

BILLION, HUGE = 10**9, 10**13
BITS = np.eye(6, dtype=np.uint8)
DATA = rs.Dataset.from_array(BITS, BITS)
SECONDS = 1.0
"""Of the processor, so that a busy machine does not count."""


def training(**changes):
    return lambda _: rs.train(DATA, rs.TrainingConfig(**changes), progress=False)


def npy(shape):
    head = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + BITS.tobytes()


def small_npy(place):
    (place / "d.npy").write_bytes(npy((10**9, 10**6)))
    rs.load_dataset(place / "d.npy")


def small_packed_npy(place):
    (place / "d.npy").write_bytes(npy((10**12, 1)))
    rs.load_dataset(place / "d.npy", n_visible=6)


def small_npz(place, read=rs.load_dataset):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("weights", "visible_bias", "hidden_bias") if read is rs.read_model else ("samples",):
            archive.writestr(f"{name}.npy", npy((10**9, 10**6)))
    (place / "d.npz").write_bytes(content.getvalue())
    read(place / "d.npz")


def small_hdf5(place, read=rs.load_dataset):
    with h5py.File(place / "d.h5", "w") as file:
        for name in ("weights", "visible_bias", "hidden_bias") if read is rs.read_model else ("samples",):
            file.create_dataset(name, shape=(10**9, 10**6), dtype="u1", chunks=(1000, 1))
    assert (place / "d.h5").stat().st_size < 10_000
    read(place / "d.h5")


def many_keys(place):
    (place / "p.toml").write_text("hidden = [2]\n" + "".join(f"key{k} = {k}\n" for k in range(100_000)))
    read_plan(place / "p.toml")


def many_recipes(place):
    (place / "p.toml").write_text("hidden = [2]\n" + "".join(f"recipes.r{k} = {{}}\n" for k in range(100_000)))
    read_plan(place / "p.toml")


def endless_line(place):
    with open(place / "d.csv", "wb") as handle:
        handle.truncate(BILLION)
        handle.write(b"0,1\n1,0\n" + b"1," * 100)
    rs.load_dataset(place / "d.csv")


CALLS = {
    "epochs": training(epochs=BILLION),
    "early checkpoints": training(early_checkpoints=BILLION),
    "hidden units": training(n_hidden=BILLION),
    "chains of a training": training(n_chains=HUGE),
    "reservoir": training(method="ptt", reservoir=10**12),
    "replicas": lambda _: rs.StudyConfig(hidden=[2], replicas=BILLION),
    "size of a study": lambda place: rs.run_study(rs.StudyConfig(hidden=[BILLION]), place / "s", progress=False),
    "units of a random model": lambda _: rs.RBM.random(BILLION, 1000),
    "chains": lambda _: rs.sample(rs.RBM.random(6, 4), HUGE, 1),
    "samples": lambda _: rs.equilibrium_samples(rs.RBM.random(6, 4), HUGE),
    "completions": lambda _: rs.conditional_samples(rs.RBM.random(6, 4), BITS, HUGE),
    "annealed chains": lambda _: rs.log_partition(rs.RBM.random(6, 4), "ais", n_chains=HUGE),
    "bracket": lambda _: rs.likelihood_bracket(rs.RBM.random(6, 4), BITS, n_chains=HUGE),
    "temperatures": lambda _: rs.log_partition(rs.RBM.random(6, 4), "ais", n_betas=HUGE, schedule="uniform"),
    "trajectories": lambda _: rs.langevin(rs.RBM.random(6, 4), n_chains=HUGE, n_steps=1),
    "planted rows": lambda _: rs.load_dataset("planted", n_train=HUGE),
    "Ising rows": lambda _: rs.load_dataset("ising", n_train=HUGE),
    "draws of a law": lambda _: rs.MarchenkoPastur(6, 4, 0.1).rvs(HUGE),
    "rotations": lambda _: rs.random_rotation(100, BILLION, planes="haar"),
    "a .npy file": small_npy,
    "a .npy file of packed bits": small_packed_npy,
    "an .npz file": small_npz,
    "an HDF5 file": small_hdf5,
    "a model in HDF5": lambda place: small_hdf5(place, rs.read_model),
    "a model in .npz": lambda place: small_npz(place, rs.read_model),
    "keys of a plan": many_keys,
    "recipes of a plan": many_recipes,
    "a line": endless_line,
}


@pytest.fixture(scope="module", autouse=True)
def _loaded(tmp_path_factory):
    """Libraries and compiled kernels are there before times are taken."""
    rs.train(DATA, rs.TrainingConfig(n_hidden=2, epochs=1), progress=False)
    rs.sample(rs.RBM.random(6, 4), 2, 1)
    small_npy_error = pytest.raises(rs.RbmscapeError)
    with small_npy_error:
        small_hdf5(tmp_path_factory.mktemp("first"))


@pytest.mark.parametrize("name", CALLS)
def test_what_no_machine_holds_is_refused_at_once(name, tmp_path):
    begun = time.process_time()
    with pytest.raises(rs.RbmscapeError) as caught:
        CALLS[name](tmp_path)
    assert time.process_time() - begun < SECONDS
    words = str(caught.value)
    assert len(words.splitlines()) == 1
    assert len(words) < 700
    assert not Path(tmp_path / "s").exists()
