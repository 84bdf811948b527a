"""One door to all data: names, options, splits, subsets, and what a data set knows about itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import rbmscape as rs
from rbmscape.data.dataset import Dataset
from rbmscape.data.load import load_dataset
from rbmscape.errors import DataError, InputError, ShapeError


@pytest.fixture
def bits():
    return np.random.default_rng(0).integers(0, 2, (50, 12)).astype(np.uint8)


def rows(array):
    return sorted(map(bytes, array))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mnst", "did you mean 'mnist'"),
        ("bars_and_stripes", "did you mean 'bars-and-stripes'"),
        ("plnted", "did you mean 'planted'"),
        ("zzz", "use mnist, bars-and-stripes, planted, ising or the path of a file"),
        ("", "no file called ''"),
        ("folder/absent.npy", "there is no file folder/absent.npy"),
    ],
)
def test_unknown_names_get_the_nearest_one(name, words):
    with pytest.raises(DataError, match=words):
        load_dataset(name)


def test_names_are_found_in_any_case():
    assert load_dataset("Bars-and-Stripes", image_shape=(2, 3)).n_visible == 6
    assert rs.load_dataset("planted", n_visible=8, rank=2, n_train=30, n_test=7, seed=5).test.shape == (7, 8)


@pytest.mark.parametrize(
    ("source", "options", "words"),
    [
        ("mnist", {"threshold": 0.5}, "thresholded at 128 of 255 already"),
        ("mnist", {"key": "samples"}, "key does not apply to mnist"),
        ("planted", {"image_shape": (8, 8)}, "image_shape does not apply to planted"),
        ("bars-and-stripes", {"n_visible": 3}, "n_visible does not apply to bars-and-stripes"),
        ([[0, 1], [1, 0]], {"rank": 3}, "rank does not apply to an array"),
        ([[0, 1], [1, 0]], {"key": "a"}, "key does not apply to an array"),
        ([[0, 1], [1, 0]], {"labels": "class"}, "names a part of a file"),
        ([[0, 1], [1, 0]], {"test": [[0, 1]], "test_fraction": 0.5}, "choose one"),
        ([[0, 1], [1, 0]], {"test_fraction": 1.0}, "from 0 to below 1"),
        ([[0, 1], [1, 0]], {"test_fraction": -0.1}, "from 0 to below 1"),
        ([[0, 1]], {}, "one row, .*--test-fraction 0"),
        ([[0, 1], [1, 0]], {"n_train": 5}, "n_train is 5 but 1 samples are there"),
        ([[0, 1], [1, 0]], {"n_train": 0}, "choose 1 to 1"),
        ([[0, 1], [1, 0]], {"digits": [1]}, "no labels to choose from"),
    ],
)
def test_options_that_cannot_work_are_refused(source, options, words):
    with pytest.raises(DataError, match=words):
        load_dataset(source, **options)


@given(st.integers(2, 60), st.floats(0.01, 0.99), st.integers(0, 2**64 - 1))
def test_the_split_is_a_partition_that_the_seed_determines(n_samples, fraction, seed):
    values = ((np.arange(n_samples)[:, None] >> np.arange(6)) & 1).astype(np.uint8)
    dataset = load_dataset(values, test_fraction=fraction, seed=seed, labels=np.arange(n_samples))
    assert rows(np.concatenate([dataset.train, dataset.test])) == rows(values)
    assert 1 <= len(dataset.test) <= n_samples - 1
    assert abs(len(dataset.test) - fraction * n_samples) <= 1
    np.testing.assert_array_equal(values[dataset.train_labels], dataset.train)
    np.testing.assert_array_equal(values[dataset.test_labels], dataset.test)
    again = load_dataset(values, test_fraction=fraction, seed=seed)
    assert again.fingerprint == dataset.fingerprint


def test_another_seed_splits_differently(bits):
    assert load_dataset(bits, seed=1).fingerprint != load_dataset(bits, seed=2).fingerprint


def test_no_split_keeps_order_and_own_test_data(bits, tmp_path):
    np.testing.assert_array_equal(load_dataset(bits, test_fraction=0).train, bits)
    np.savez(tmp_path / "train.npz", samples=bits[:30], labels=np.arange(30))
    np.savez(tmp_path / "test.npz", samples=bits[30:], labels=np.arange(20))
    dataset = load_dataset(tmp_path / "train.npz", test=str(tmp_path / "test.npz"))
    np.testing.assert_array_equal(dataset.train, bits[:30])
    np.testing.assert_array_equal(dataset.test, bits[30:])
    np.testing.assert_array_equal(dataset.test_labels, np.arange(20))
    assert dataset.name == "train"
    with pytest.raises(ShapeError, match="test data have 3 columns but the training data 12"):
        load_dataset(bits, test=bits[:, :3])


def test_mnist_subsets():
    dataset = load_dataset("mnist", digits=(0, 1), n_train=300, n_test=40)
    assert set(dataset.train_labels.tolist()) == set(dataset.test_labels.tolist()) == {0, 1}
    assert dataset.train.shape == (300, 784)
    assert dataset.test.shape == (40, 784)
    everything = load_dataset("mnist")
    first = everything.train[np.isin(everything.train_labels, (0, 1))][:300]
    np.testing.assert_array_equal(dataset.train, first)
    with pytest.raises(DataError, match="no label 11; the labels are 0, 1, 2"):
        everything.with_labels([11])
    with pytest.raises(DataError, match="no label was asked for"):
        everything.with_labels([])


def test_planted_limits_are_numbers_of_draws():
    dataset = load_dataset("planted", n_visible=8, rank=1, n_train=25)
    assert dataset.train.shape == (25, 8)
    assert "test_log_likelihood" in dataset.attributes
    assert not dataset.limited(n_train=5).attributes  # facts about all samples do not hold for some


def test_constant_columns_and_one_column_are_data(bits):
    bits[:, 3] = 1
    bits[:, 7] = 0
    dataset = Dataset.from_array(bits)
    assert dataset.constant_columns.tolist() == [3, 7]
    assert dataset.mean[3] == 1.0
    assert dataset.mean[7] == 0.0
    single = Dataset.from_array([[0], [1], [1]])
    assert single.n_visible == 1
    assert single.mean.tolist() == [pytest.approx(2 / 3)]
    assert Dataset.from_array([[1, 0]]).constant_columns.tolist() == [0, 1]


def test_from_array_takes_images_labels_and_torch():
    images = torch.randint(0, 2, (6, 2, 3), generator=torch.Generator().manual_seed(1))
    dataset = Dataset.from_array(images, images[:2], train_labels=list("abcabc"), test_labels=[1, 2], name="toy")
    assert dataset.image_shape == (2, 3)
    assert dataset.train.dtype == np.uint8
    np.testing.assert_array_equal(dataset.test, images[:2].reshape(2, 6))
    assert repr(dataset) == "Dataset('toy', 6 train + 2 test, 6 units, images 2x3)"
    with pytest.raises(DataError, match=r"toy, test data: the value 4 at row 0, column 1"):
        Dataset.from_array([[0, 1]], [[0, 4]], name="toy")
    with pytest.raises(DataError, match=r"shape \(1,\) for 6 samples"):
        Dataset.from_array(images, train_labels=[1])


def test_fingerprint_sees_every_bit_and_the_split_but_not_labels(bits):
    reference = Dataset.from_array(bits[:40], bits[40:])
    assert Dataset.from_array(bits[:40].astype(float), bits[40:] > 0, name="x").fingerprint == reference.fingerprint
    assert Dataset.from_array(bits[:40], bits[40:], train_labels=range(40)).fingerprint == reference.fingerprint
    assert Dataset.from_array(bits[:39], bits[39:]).fingerprint != reference.fingerprint
    assert Dataset.from_array(bits.reshape(100, 6)[:80], bits.reshape(100, 6)[80:]).fingerprint != reference.fingerprint
    changed = bits.copy()
    changed[49, 11] ^= 1
    assert Dataset.from_array(changed[:40], changed[40:]).fingerprint != reference.fingerprint


@pytest.mark.parametrize(
    ("source", "options"),
    [
        ("mnist", {"digits": (3, 8), "n_train": 20, "n_test": 5}),
        ("bars-and-stripes", {"image_shape": (2, 3)}),
        ("planted", {"n_visible": 8, "rank": 1, "strengths": [6.0], "n_train": 9, "n_test": 3, "seed": 4}),
        ("data.npy", {"test_fraction": 0.3, "seed": 2, "image_shape": (3, 4)}),
        ("data.npy", {"test": "data.npy", "threshold": 0.5}),
    ],
)
def test_the_origin_loads_the_same_data_again_from_anywhere(bits, tmp_path, monkeypatch, source, options):
    monkeypatch.chdir(tmp_path)
    np.save("data.npy", bits)
    dataset = load_dataset(source, **options)
    origin = json.loads(json.dumps(dataset.origin))
    monkeypatch.chdir("/")
    again = load_dataset(origin["source"], **origin["options"])
    assert again.fingerprint == dataset.fingerprint
    assert again.image_shape == dataset.image_shape
    assert again.limited(n_train=2).origin is None


def test_arrays_have_no_origin(bits, tmp_path):
    np.save(tmp_path / "data.npy", bits)
    assert load_dataset(bits).origin is None
    assert load_dataset(tmp_path / "data.npy", labels=np.arange(50)).origin is None
    assert load_dataset(tmp_path / "data.npy", test=bits).origin is None


def test_importing_the_package_reads_no_data_and_no_table_library():
    heavy = "('pandas', 'h5py', 'pyarrow')"
    code = f"import sys, rbmscape, rbmscape.data.load; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == "[]"


def test_validation_rows_are_training_rows_in_the_place_of_the_test_data():
    whole = rs.load_dataset("planted", n_visible=12, n_train=50, n_test=20)
    part = rs.load_dataset("planted", n_visible=12, n_train=50, n_test=20, validation_fraction=0.2)
    assert (len(part.train), len(part.test)) == (40, 10)
    assert sorted(map(bytes, np.concatenate([part.train, part.test]))) == sorted(map(bytes, whole.train))
    assert rs.load_dataset(part.origin["source"], **part.origin["options"]).fingerprint == part.fingerprint
    rows = np.concatenate([whole.train, whole.test])
    labels = np.arange(len(rows)) % 2
    apart = rs.load_dataset(rows, labels=labels, stratify=True, validation_fraction=0.25)
    assert apart.test_labels.mean() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"validation_fraction": 0.0}, "above 0 and below 1"),
        ({"validation_fraction": "half"}, "must be a number, found 'half'"),
        ({"validation_fraction": 0.5, "groups": [0, 1, 2, 3]}, "knows no groups"),
        ({"validation_fraction": 0.5, "n_train": 1}, "one training row"),
    ],
)
def test_impossible_validation_is_refused(options, words):
    with pytest.raises((DataError, InputError), match=words):
        rs.load_dataset(np.eye(4, dtype=np.uint8), **options)
