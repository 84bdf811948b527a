"""Whatever holds zeros and ones is read: tables with columns of any type, sparse arrays, tensors; the rest is named."""

from __future__ import annotations

import re
import time

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from torch.utils.data import DataLoader, TensorDataset

import rbmscape as rs
from rbmscape.arrays import number_array
from rbmscape.data.readers import read_file
from rbmscape.data.validate import as_binary
from rbmscape.errors import DataError, EngineError, FormatError, InputError

BITS = np.random.default_rng(3).integers(0, 2, (20, 6)).astype(np.uint8)
TABLE = pd.DataFrame(BITS, columns=list("abcdef"))
MIXED = TABLE.assign(
    a=TABLE.a.astype(bool), b=TABLE.b.astype("Int64"), c=TABLE.c.astype("category"), d=TABLE.d.astype(float),
    e=TABLE.e.astype(bool).astype(object),
)  # fmt: skip
GAPPY = TABLE.astype("Int64").mask(np.arange(120).reshape(20, 6) == 20)

TABLES = {
    "nullable": TABLE.astype("Int64"),
    "nullable Boolean": TABLE.astype("boolean"),
    "pyarrow": TABLE.astype("int64[pyarrow]"),
    "pyarrow Boolean": TABLE.astype(bool).astype("bool[pyarrow]"),
    "categorical": TABLE.astype("category"),
    "objects": TABLE.astype(bool).astype(object),
    "sparse": TABLE.astype(pd.SparseDtype("int8", 0)),
    "mixed": MIXED,
}
OTHERS = {
    "csr": sp.csr_array(BITS),
    "csc matrix": sp.csc_matrix(BITS),
    "coo": sp.coo_array(BITS),
    "torch sparse": torch.tensor(BITS).to_sparse(),
    "reversed": BITS[::-1, ::-1].copy()[::-1, ::-1],
    "big-endian": BITS.astype(">i4"),
    "bfloat16": torch.tensor(BITS).to(torch.bfloat16),
    "objects": BITS.astype(object),
}


@pytest.mark.parametrize("kind", TABLES)
def test_tables_of_any_column_type_are_data(tmp_path, kind):
    np.testing.assert_array_equal(rs.load_dataset(TABLES[kind], test_fraction=0).train, BITS)
    np.testing.assert_array_equal(rs.Dataset.from_array(TABLES[kind]).train, BITS)
    if kind != "sparse":  # which pyarrow does not write
        TABLES[kind].to_parquet(tmp_path / "table.parquet")
        np.testing.assert_array_equal(rs.load_dataset(tmp_path / "table.parquet", test_fraction=0).train, BITS)


@pytest.mark.parametrize("kind", OTHERS)
def test_arrays_of_any_kind_are_data_and_states(kind):
    np.testing.assert_array_equal(rs.load_dataset(OTHERS[kind], test_fraction=0).train, BITS)
    rbm = rs.RBM.random(6, 3, std=1.0)
    torch.testing.assert_close(rbm.hidden_probability(OTHERS[kind]), rbm.hidden_probability(BITS))


def test_a_gap_in_a_table_is_named(tmp_path):
    GAPPY.to_parquet(tmp_path / "gap.parquet")
    GAPPY.to_csv(tmp_path / "gap.csv", index=False)
    for source in (GAPPY, tmp_path / "gap.parquet", tmp_path / "gap.csv", GAPPY.astype("category")):
        with pytest.raises(DataError, match=r"row 3, column 2 'c' .*missing"):
            rs.load_dataset(source)


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "bsr", "dia"])
def test_files_of_save_npz(tmp_path, kind):
    sp.save_npz(tmp_path / "sparse.npz", sp.csr_matrix(BITS).asformat(kind))
    np.testing.assert_array_equal(rs.load_dataset(tmp_path / "sparse.npz", test_fraction=0).train, BITS)


def test_a_damaged_sparse_file_is_refused(tmp_path):
    path = tmp_path / "sparse.npz"
    np.savez(path, format=np.array("csr"), shape=np.array([2, 3]), data=np.ones(2), indices=[0, 1], indptr=[0, 1])
    with pytest.raises(FormatError, match="damaged"):
        read_file(path)


def test_labels_of_a_table_in_memory_are_a_column():
    dataset = rs.load_dataset(TABLE.assign(kind=list("xy") * 10), labels="kind", test_fraction=0)
    np.testing.assert_array_equal(dataset.train, BITS)
    assert dataset.train_labels.tolist() == list("xy") * 10
    shuffled = rs.load_dataset(TABLE, test=TABLE[list("fedcba")])
    np.testing.assert_array_equal(shuffled.test, BITS)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (rs.Dataset.from_array(BITS), "Dataset, not an array; give its rows, .train"),
        (DataLoader(TensorDataset(torch.tensor(BITS))), r"DataLoader of torch.*torch\.cat"),
        ((row for row in BITS), r"iterator .*give list"),
        (TABLE.astype(str), r"'[01]' at row 0, column 0 'a' .*no number"),
        (TABLE.assign(c=TABLE.c.map({0: "no", 1: "yes"}).astype("category")), r"column 2 'c' .*no number"),
        (torch.zeros(2, 6, dtype=torch.complex64), "complex64"),
        (np.array([["0", "1"]]), "entries such as"),
    ],
)
def test_what_is_no_array_of_numbers_is_named(values, words):
    with pytest.raises(DataError, match=words):
        number_array(values, "data")


def test_a_threshold_is_proposed_only_where_columns_share_a_range():
    labels = np.arange(20)[:, None] % 10
    with pytest.raises(DataError, match=r"value 2 at row 2, column 6 .*goes from 0 to 9, others from 0 to 1.*labels"):
        as_binary(np.hstack([BITS, labels]))
    with pytest.raises(DataError, match="leave it out"):
        as_binary(np.hstack([BITS, 255 * BITS]))
    rare = np.hstack([255 * BITS, np.zeros((20, 3)), 255 * BITS])
    rare[4, 6] = 10  # one dim pixel at the rim of images of bytes
    with pytest.raises(DataError, match=re.escape("threshold=127.5 ")):
        as_binary(rare)


@pytest.mark.parametrize("value", [2.0, -1.0, 255, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_states_lie_between_0_and_1(value, kind):
    rbm = rs.RBM.random(6, 3)
    states = BITS.astype(type(value))
    states[3, 2] = value
    states = torch.tensor(states) if kind == "torch" else states
    for method in (rbm.hidden_probability, rbm.free_energy):
        with pytest.raises(InputError, match="0, 1 or values between them"):
            method(states)
    with pytest.raises(InputError, match="0, 1 or values between them"):
        rbm.visible_probability(states[:, :3])


def test_one_row_starts_all_chains():
    rbm = rs.RBM.random(6, 3)
    for start in (BITS[0], BITS[:1]):
        found = rs.sample(rbm, 4, 0, start=start, method="gibbs")
        np.testing.assert_array_equal(found.v, np.repeat(BITS[:1], 4, axis=0))


def test_a_device_that_is_not_there_is_named():
    with pytest.raises(EngineError, match=r"device 'cuda:97' cannot be used"):
        rs.RBM.random(6, 3).to("cuda:97")


def test_a_wide_table_is_read_in_seconds(tmp_path):
    wide = np.random.default_rng(0).integers(0, 2, (3, 30_000))
    pd.DataFrame(wide).add_prefix("gene").to_csv(tmp_path / "wide.csv", index=False)
    began = time.process_time()
    dataset = rs.load_dataset(tmp_path / "wide.csv", test_fraction=0)
    assert time.process_time() - began < 5
    np.testing.assert_array_equal(dataset.train, wide)
