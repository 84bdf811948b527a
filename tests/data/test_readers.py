"""Users' files: each format gives back what was written; damaged, foreign and ambiguous files are refused."""

from __future__ import annotations

import builtins
import io
import sys
import zipfile

import h5py
import hypothesis.extra.numpy as hnp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbmscape.data.load import load_dataset
from rbmscape.data.readers import read_file
from rbmscape.errors import DataError, DiskError, FormatError, RbmscapeError

SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 9))
ENDINGS = [".npy", ".npz", ".csv", ".parquet", ".h5", ".hdf5"]


def write(path, values):
    """Write one array in the format of the path's ending."""
    ending = path.suffix
    if ending == ".npy":
        np.save(path, values)
    elif ending == ".npz":
        np.savez(path, samples=values)
    elif ending in (".h5", ".hdf5"):
        with h5py.File(path, "w") as file:
            file["samples"] = values
    else:
        frame = pd.DataFrame(values, columns=[f"unit {i}" for i in range(values.shape[1])])
        frame.to_csv(path, index=False) if ending == ".csv" else frame.to_parquet(path)
    return path


@pytest.fixture
def bits():
    return np.random.default_rng(3).integers(0, 2, (20, 6)).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


@given(hnp.arrays(np.bool_, SHAPES), st.sampled_from(ENDINGS), st.sampled_from(["bool", "uint8", "int64", "float32"]))
def test_every_format_and_type_round_trips(folder, values, ending, kind):
    path = write(folder / f"data{ending}", values.astype(kind))
    dataset = load_dataset(path, test_fraction=0)
    assert dataset.train.dtype == np.uint8
    np.testing.assert_array_equal(dataset.train, values)


@given(hnp.arrays(np.bool_, SHAPES), st.sampled_from([",", ";", "\t", " "]), st.booleans(), st.booleans())
def test_csv_with_any_separator_with_or_without_header(folder, values, separator, header, mark):
    path = folder / "table.csv"
    names = [f"unit{i}" for i in range(values.shape[1])] if header else False
    text = pd.DataFrame(values.astype(int)).to_csv(index=False, header=names, sep=separator)
    path.write_text(text, encoding="utf-8-sig" if mark else "utf-8")
    np.testing.assert_array_equal(load_dataset(path, test_fraction=0).train, values)


def test_csv_header_of_column_numbers_is_no_sample(tmp_path, bits):
    path = tmp_path / "numbered.csv"
    pd.DataFrame(bits).to_csv(path, index=False)
    np.testing.assert_array_equal(load_dataset(path, test_fraction=0).train, bits)


def test_rbms_layout_with_labels_is_read_without_options(tmp_path, bits):
    path = tmp_path / "rbms.h5"
    with h5py.File(path, "w") as file:
        file["samples"] = bits.astype(np.int32)
        file["labels"] = np.arange(20, dtype=np.int32)
    dataset = load_dataset(path, test_fraction=0)
    np.testing.assert_array_equal(dataset.train, bits)
    np.testing.assert_array_equal(dataset.train_labels, np.arange(20))


@pytest.mark.parametrize("ending", [".npz", ".h5"])
def test_split_files_keep_their_split(tmp_path, bits, ending):
    path = tmp_path / f"split{ending}"
    arrays = {"train": bits[:15], "test": bits[15:], "train_labels": np.arange(15), "test_labels": np.arange(5)}
    if ending == ".npz":
        np.savez_compressed(path, **arrays)
    else:
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array
    dataset = load_dataset(path)
    for name, array in arrays.items():
        np.testing.assert_array_equal(getattr(dataset, name), array)


@pytest.mark.parametrize("ending", [".npz", ".h5"])
def test_several_arrays_need_a_key(tmp_path, bits, ending):
    path = tmp_path / f"several{ending}"
    arrays = {"first": bits, "second": 1 - bits, "first_labels": np.arange(20)}
    if ending == ".npz":
        np.savez(path, **arrays)
    else:
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array
    with pytest.raises(DataError, match=r"2 arrays \('first', .*--key"):
        load_dataset(path)
    with pytest.raises(DataError, match="no array 'secnd'; did you mean 'second'"):
        load_dataset(path, key="secnd")
    np.testing.assert_array_equal(load_dataset(path, key="second", test_fraction=0).train, 1 - bits)
    np.testing.assert_array_equal(load_dataset(path, key="first", test_fraction=0).train_labels, np.arange(20))


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.parametrize("labels", ["class", 6, -1, "6"])
def test_label_columns_are_taken_out(tmp_path, bits, ending, labels):
    path = tmp_path / f"labelled{ending}"
    frame = pd.DataFrame(bits, columns=list("abcdef")).assign(**{"class": ["cat", "dog"] * 10})
    frame.to_csv(path, index=False) if ending == ".csv" else frame.to_parquet(path)
    dataset = load_dataset(path, labels=labels, test_fraction=0)
    np.testing.assert_array_equal(dataset.train, bits)
    assert dataset.train_labels.tolist() == ["cat", "dog"] * 10
    assert set(dataset.with_labels(["dog"]).train_labels) == {"dog"}
    with pytest.raises(DataError, match=r"'cat' at row 0, column 6 'class'.*--labels"):
        load_dataset(path)
    with pytest.raises(DataError, match="no column 'clas' for the labels; did you mean 'class'"):
        load_dataset(path, labels="clas")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0,1,0\n1,1\n0,0,1\n", "line 2 has 2 fields but the first line 3"),
        ("0,1,0\n0,0,1\n1,1,1,1\n", "line 3 has 4 fields but the first line 3"),
        ("a,b\n0,1,1\n0,0,1\n", "line 2 has 3 fields but the first line 2"),
        ("a,b\n", "no rows below its header"),
        ("\n\n  \n", "only blank lines"),
        ("", "0 bytes"),
        ("a,b\n0,1\n1,\n", r"row 1, column 1 'b' .*missing"),
        ("0,,1\n0,1,1\n", r"row 0, column 1 .*missing"),
        ("NA,0\n0,1\n", r"row 0, column 0 .*missing"),
        ("a,b\n0,1\n1,zero\n", r"'zero' at row 1, column 1 'b'"),
        ("0,1\n1,2\n", r"value 2 at row 1, column 1 .*--threshold"),
        ("a,b\n0,0.25\n1,1\n", r"value 0\.25 at row 0, column 1 'b' .*threshold=0\.5"),
    ],
)
def test_faulty_csv_is_refused_with_the_place(tmp_path, text, words):
    path = tmp_path / "faulty.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=words):
        load_dataset(path)


def test_csv_that_is_no_text(tmp_path):
    path = tmp_path / "latin.csv"
    path.write_bytes("é,b\n0,1\n".encode("latin-1"))
    with pytest.raises(FormatError, match="UTF-8"):
        load_dataset(path)
    path.write_bytes(b"a,b\n" + b"0,1\n" * 5 + b"\xff\xfe,1\n")
    with pytest.raises(RbmscapeError):
        load_dataset(path)


def test_objects_are_never_unpickled(tmp_path, monkeypatch):
    def forbidden(*_args, **_kwargs):
        raise AssertionError("pickle.load was called")

    np.save(tmp_path / "objects.npy", np.array([[{"a": 1}, 2]], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "objects.npz", samples=np.array([[{"a": 1}, 2]], dtype=object))
    for module, name in (("pickle", "load"), ("pickle", "loads"), ("pickle", "Unpickler")):
        monkeypatch.setattr(f"{module}.{name}", forbidden)
    for ending in (".npy", ".npz"):
        with pytest.raises(DataError, match="Python objects"):
            load_dataset(tmp_path / f"objects{ending}")


@pytest.mark.parametrize("ending", [".npy", ".npz", ".parquet", ".h5"])
def test_truncated_files_are_refused_at_any_length(tmp_path, ending, bits):
    whole = write(tmp_path / f"whole{ending}", bits).read_bytes()
    path = tmp_path / f"cut{ending}"
    for length in {1, 7, 64, len(whole) // 2, len(whole) - 3}:
        path.write_bytes(whole[:length])
        with pytest.raises((FormatError, DataError)):
            load_dataset(path)


@given(st.sampled_from([".npy", ".npz", ".parquet", ".h5"]), st.data())
def test_a_damaged_byte_never_escapes_as_a_foreign_error(folder, ending, data):
    whole = bytearray(write(folder / f"whole{ending}", np.eye(6, dtype=np.uint8)).read_bytes())
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    path = folder / f"flipped{ending}"
    path.write_bytes(bytes(whole))
    try:
        found = load_dataset(path, test_fraction=0).train
    except RbmscapeError:
        return
    assert set(np.unique(found)) <= {0, 1}


@pytest.mark.parametrize(
    ("content", "ending"), [(".h5", ".npy"), (".npy", ".npz"), (".parquet", ".csv"), (".npz", ".h5")]
)
def test_a_wrong_ending_is_told(tmp_path, bits, content, ending):
    path = tmp_path / f"data{ending}"
    path.write_bytes(write(tmp_path / f"right{content}", bits).read_bytes())
    with pytest.raises(FormatError, match=f"looks like {content}; rename"):
        load_dataset(path)


def test_other_things_that_are_no_data_files(tmp_path, bits):
    with pytest.raises(DataError, match="is a directory"):
        load_dataset(tmp_path)
    with pytest.raises(DataError, match="there is no file"):
        load_dataset(tmp_path / "absent.npy")
    write(tmp_path / "data.npy", bits).rename(tmp_path / "data.dat")
    with pytest.raises(DataError, match=r"'\.dat' are not read; its content looks like \.npy"):
        load_dataset(tmp_path / "data.dat")
    (tmp_path / "data.npyy").write_bytes(b"zzzz")
    with pytest.raises(DataError, match=r"did you mean '\.npy'"):
        load_dataset(tmp_path / "data.npyy")
    write(tmp_path / "data.npy", bits)
    with pytest.raises(DataError, match="leave it out"):
        read_file(tmp_path / "data.npy", key="samples")
    with pytest.raises(DataError, match="no labels"):
        read_file(tmp_path / "data.npy", labels="labels")


def test_a_file_without_arrays(tmp_path):
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    with zipfile.ZipFile(tmp_path / "empty.npz", "w"):
        pass
    np.savez(tmp_path / "flat.npz", counts=np.arange(3))
    for name, words in (("empty.h5", "no array"), ("empty.npz", "no array"), ("flat.npz", "no array with two axes")):
        with pytest.raises(DataError, match=words):
            load_dataset(tmp_path / name)


def test_unreadable_files_are_disk_errors(tmp_path, bits, monkeypatch):
    path = write(tmp_path / "data.npy", bits)
    original = builtins.open

    def refuse(name, *args, **kwargs):
        if name == path:
            raise PermissionError(13, "Permission denied")
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "open", refuse)
    with pytest.raises(DiskError, match="Permission denied"):
        load_dataset(path)


def test_parquet_without_pyarrow_names_the_package(tmp_path, bits, monkeypatch):
    path = write(tmp_path / "data.parquet", bits)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match="pip install pyarrow"):
        load_dataset(path)


def test_older_and_newer_npy_headers(tmp_path, bits):
    for version in ((1, 0), (2, 0), (3, 0)):
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, bits, version=version)
        (tmp_path / "data.npy").write_bytes(buffer.getvalue())
        np.testing.assert_array_equal(load_dataset(tmp_path / "data.npy", test_fraction=0).train, bits)


def test_a_first_row_with_a_label_in_words_is_data(tmp_path):
    path = tmp_path / "pets.csv"
    path.write_text("1,0,1,cat\n0,0,1,dog\n1,1,0,cat\n")
    dataset = load_dataset(path, labels="3", test_fraction=0)
    assert dataset.train.tolist() == [[1, 0, 1], [0, 0, 1], [1, 1, 0]]
    assert dataset.train_labels.tolist() == ["cat", "dog", "cat"]


@pytest.mark.parametrize("header", ["0,1,label", "a,b,label", "0,1,2,label"])
def test_a_header_above_labels_in_words_is_no_row(tmp_path, header):
    path = tmp_path / "pets.csv"
    n_units = header.count(",")
    path.write_text(f"{header}\n{'1,' * n_units}cat\n{'0,' * n_units}dog\n")
    dataset = load_dataset(path, labels="label", test_fraction=0)
    assert dataset.train.tolist() == [[1] * n_units, [0] * n_units]


@pytest.mark.parametrize("names", [["a", "b", "c"], [0, 1, 2]])
def test_the_index_that_pandas_writes_is_no_unit(tmp_path, names):
    path = tmp_path / "indexed.csv"
    values = [[1, 0, 1], [0, 0, 1], [1, 1, 0]]
    pd.DataFrame(values, columns=names).to_csv(path)
    assert load_dataset(path, test_fraction=0).train.tolist() == values


def test_words_that_name_the_rows_are_no_unit(tmp_path):
    path = tmp_path / "people.csv"
    frame = pd.DataFrame([[1, 0], [0, 1], [1, 1]], columns=["a", "b"], index=["ind1", "ind2", "ind3"])
    frame.assign(kind=["x", "y", "x"]).to_csv(path)
    dataset = load_dataset(path, labels="kind", test_fraction=0)
    assert dataset.train.tolist() == [[1, 0], [0, 1], [1, 1]]
    assert dataset.columns == ("a", "b")
    frame.set_axis(["ind1", "ind1", "ind3"]).to_csv(path)
    with pytest.raises(DataError, match=r"'ind1' at row 0.*leave that column out"):
        load_dataset(path)


def test_test_columns_go_by_name(tmp_path):
    train, test, other = (tmp_path / name for name in ("train.csv", "test.csv", "other.csv"))
    train.write_text("a,b,c\n1,0,0\n0,1,1\n")
    test.write_text("c,a,b\n1,0,0\n0,1,1\n")
    other.write_text("a,b,d\n1,0,0\n")
    assert load_dataset(train, test=test).test.tolist() == [[0, 0, 1], [1, 1, 0]]
    with pytest.raises(DataError, match=r"other\.csv: column 'd' has no match"):
        load_dataset(train, test=other)


def test_errors_of_a_test_file_name_it(tmp_path):
    train, test = tmp_path / "train.csv", tmp_path / "held.csv"
    train.write_text("a,b\n1,0\n0,1\n")
    test.write_text("a,b\n1,0\n0,7\n")
    with pytest.raises(DataError, match=r"held\.csv: the value 7 at row 1, column 1 'b'"):
        load_dataset(train, test=test)


@pytest.mark.parametrize("labels", [np.array([2**63, 1], dtype=np.uint64), np.array([1e19, 1.0])])
def test_labels_beyond_64_bits_are_refused_not_wrapped(labels):
    with pytest.raises(DataError, match="beyond 64-bit"):
        load_dataset(np.eye(2, dtype=np.uint8), labels=labels, test_fraction=0)


@pytest.mark.parametrize("where", ["samples", "labels"])
@pytest.mark.parametrize("kind", ["raw", "virtual", "claim"])
def test_arrays_that_are_not_in_the_file_are_not_read(tmp_path, bits, where, kind):
    (tmp_path / "secret.bin").write_bytes(bytes(len(bits)))
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        if where == "labels":
            file["samples"] = bits
        if kind == "raw":
            shape = (len(bits), 1) if where == "samples" else (len(bits),)
            file.create_dataset(where, shape, "u1", external=[(str(tmp_path / "secret.bin"), 0, len(bits))])
        elif kind == "virtual":
            layout = h5py.VirtualLayout((10, 10), "u1")
            layout[:] = h5py.VirtualSource("other.h5", "x", (10, 10))
            file.create_virtual_dataset(where, layout)
        else:
            file.create_dataset(where, (10**7, 10**7), "u1", chunks=(10, 10))
    with pytest.raises(FormatError, match="claims 1.0e.14 bytes" if kind == "claim" else "from other files"):
        load_dataset(path)


def test_a_key_of_hdf5_may_begin_with_a_slash(tmp_path):
    path = tmp_path / "groups.h5"
    with h5py.File(path, "w") as file:
        file["g/a"] = np.eye(2, dtype=np.uint8)
        file["g/b"] = np.ones((2, 2), dtype=np.uint8)
    assert read_file(path, key="/g/a").train.tolist() == [[1, 0], [0, 1]]
    with pytest.raises(DataError, match="did you mean"):
        read_file(path, key="/g/aa")
