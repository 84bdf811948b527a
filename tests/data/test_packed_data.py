"""A bit a unit, in memory or in a mapped file: the same data, the same training, bit for bit."""

from __future__ import annotations

import time

import numpy as np
import pytest
import scipy.sparse as sp

import rbmscape as rs
from rbmscape.data import validate
from rbmscape.data.packed import PackedBits, pack_sparse
from rbmscape.data.write import write_packed
from rbmscape.errors import DataError, FormatError, ShapeError
from rbmscape.likelihood.baselines import baselines

BITS = np.random.default_rng(3).integers(0, 2, (90, 21)).astype(np.uint8)


@pytest.fixture
def mapped(tmp_path):
    write_packed(BITS, tmp_path / "bits.npy")
    return rs.load_dataset(tmp_path / "bits.npy", n_visible=21)


def test_packed_bits_read_as_an_array_does():
    packed = PackedBits(np.packbits(BITS, axis=1), 21)
    assert (packed.shape, len(packed), packed.nbytes) == (BITS.shape, 90, 90 * 3)
    np.testing.assert_array_equal(packed, BITS)
    for key in (slice(3, 40, 7), 5, np.array([4, 4, 80]), np.arange(90) % 2 == 1):
        np.testing.assert_array_equal(packed[key], BITS[key])
        if not isinstance(key, int):
            np.testing.assert_array_equal(packed.take(key).take(slice(1, 3)), BITS[key][1:3])
    np.testing.assert_array_equal(packed.mean(axis=0), BITS.mean(0))
    with pytest.raises(ShapeError, match=r"21 units are \(n, 3\) bytes, found uint8 of shape \(90, 2\)"):
        PackedBits(np.packbits(BITS, axis=1)[:, :2], 21)


def test_a_mapped_file_is_the_same_data_set(tmp_path, mapped):
    np.save(tmp_path / "plain.npy", BITS)
    plain = rs.load_dataset(tmp_path / "plain.npy")
    np.testing.assert_array_equal(mapped.train, plain.train)
    np.testing.assert_array_equal(mapped.test, plain.test)
    assert mapped.fingerprint == plain.fingerprint
    np.testing.assert_array_equal(mapped.constant_columns, plain.constant_columns)
    np.testing.assert_array_equal(mapped.limited(10, 3).train, plain.train[:10])
    assert isinstance(mapped.train, PackedBits)
    again = rs.load_dataset(mapped.origin["source"], **mapped.origin["options"])
    assert again.fingerprint == plain.fingerprint


def test_training_and_judging_are_the_same_from_packed_rows(mapped):
    plain = rs.Dataset.from_array(np.asarray(mapped.train), np.asarray(mapped.test))
    config = rs.TrainingConfig(n_hidden=4, epochs=3, batch_size=20, n_chains=20)
    one, other = (rs.train(data, config, progress=False) for data in (mapped, plain))
    for name in ("weights", "visible_bias", "hidden_bias"):
        assert np.array_equal(getattr(one.load(), name), getattr(other.load(), name))
    scores = [rs.log_likelihood(one.load(), data).value for data in (mapped, plain)]
    assert scores[0] == scores[1]
    assert baselines(mapped).mixture.value == pytest.approx(baselines(plain).mixture.value)


def test_large_sparse_data_stay_packed(monkeypatch):
    monkeypatch.setattr(validate, "LARGE", 100)
    for matrix in (sp.csr_array(BITS), sp.coo_array(BITS)):
        dataset = rs.Dataset.from_array(matrix)
        assert isinstance(dataset.train, PackedBits)
        np.testing.assert_array_equal(dataset.train, BITS)
    wrong = BITS.astype(int)
    wrong[7, 3] = 2
    with pytest.raises(DataError, match=r"value 2 at row 7, column 3"):
        pack_sparse(sp.csr_array(wrong), "data")


def test_what_is_no_packed_file_is_refused(tmp_path, mapped):
    path = mapped.origin["source"]
    with pytest.raises(ShapeError, match=r"bits\.npy: packed rows of 40 units are \(n, 5\) bytes"):
        rs.load_dataset(path, n_visible=40)
    with pytest.raises(DataError, match=r"threshold=0\.5 does not apply to packed bits"):
        rs.load_dataset(path, n_visible=21, threshold=0.5)
    (tmp_path / "short.npy").write_bytes((tmp_path / "bits.npy").read_bytes()[:100])
    with pytest.raises(FormatError, match="damaged"):
        rs.load_dataset(tmp_path / "short.npy", n_visible=21)
    np.savez(tmp_path / "bits.npz", BITS)
    with pytest.raises(DataError, match=r"packed bits in an \.npy file"):
        rs.load_dataset(tmp_path / "bits.npz", n_visible=21)
    with pytest.raises(DataError, match=r"ends in \.npy"):
        write_packed(BITS, tmp_path / "bits.txt")


def test_a_large_file_is_opened_at_once(tmp_path):
    path = tmp_path / "large.npy"
    with open(path, "wb") as handle:  # a hole: no block is written
        header = {"descr": "|u1", "fortran_order": False, "shape": (1_000_000, 98)}
        np.lib.format.write_array_header_1_0(handle, header)
        handle.truncate(handle.tell() + 98_000_000)
    began = time.process_time()
    dataset = rs.load_dataset(path, n_visible=784)
    assert time.process_time() - began < 1.0
    assert dataset.train.shape == (800_000, 784)
