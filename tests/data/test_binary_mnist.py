"""The embedded MNIST: its content, its checksum and the script that makes it."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import lzma
import shutil
from pathlib import Path

import numpy as np
import pytest

import rbmscape.data
from rbmscape.data.binary_mnist import embedded_mnist, mnist_from
from rbmscape.errors import FormatError

EMBEDDED = Path(rbmscape.data.__file__).parent / "mnist"
SCRIPT = Path(__file__).parents[2] / "scripts" / "pack_mnist.py"


@pytest.fixture(scope="module")
def mnist():
    return embedded_mnist()


@pytest.fixture
def copy(tmp_path):
    for name in ("binary_mnist.xz", "manifest.json"):
        shutil.copy(EMBEDDED / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("pack_mnist", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_sizes_and_classes_are_those_of_mnist(mnist):
    assert mnist.train.shape == (60_000, 784)
    assert mnist.test.shape == (10_000, 784)
    assert mnist.image_shape == (28, 28)
    # Counts of the digits 0 to 9, as published with the database.
    assert np.bincount(mnist.train_labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(mnist.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_images_look_like_the_digits_of_their_labels(mnist):
    """Nearest class mean gets about 4 of 5 test digits right; shifted rows or mixed-up labels would give 1 in 10."""
    means = np.stack([mnist.train[mnist.train_labels == digit].mean(axis=0) for digit in range(10)])
    distance = ((mnist.test[:2000, None, :] - means[None]) ** 2).sum(axis=2)
    assert (distance.argmin(axis=1) == mnist.test_labels[:2000]).mean() > 0.7
    assert (distance.argmin(axis=1) == np.roll(mnist.test_labels[:2000], 1)).mean() < 0.2


def test_images_stand_upright(mnist):
    """Ones are taller than wide, sevens have their bar on top, sixes their ring at the bottom."""
    ones, sevens, sixes = (mnist.train[mnist.train_labels == d].reshape(-1, 28, 28).mean(axis=0) for d in (1, 7, 6))
    assert (ones.max(axis=1) > 0.1).sum() > 1.5 * (ones.max(axis=0) > 0.1).sum()
    assert sevens[:12].sum() > 1.2 * sevens[16:].sum()
    assert sixes[:12].sum() < 0.8 * sixes[16:].sum()


def test_every_load_is_the_callers_own(mnist):
    other = embedded_mnist()
    other.train[:] = 0
    assert mnist.train.any()
    assert other.fingerprint != mnist.fingerprint


def test_a_damaged_byte_is_found_wherever_it_is(copy):
    whole = (copy / "binary_mnist.xz").read_bytes()
    assert mnist_from(copy).train.shape == (60_000, 784)  # the undamaged copy is fine
    for position in (3, 5000, len(whole) // 2, len(whole) - 40):
        damaged = bytearray(whole)
        damaged[position] ^= 0x10
        (copy / "binary_mnist.xz").write_bytes(bytes(damaged))
        with pytest.raises(FormatError, match="MNIST"):
            mnist_from(copy)


def test_a_changed_image_with_an_intact_archive_is_found(copy):
    """One flipped pixel in a file whose compression is valid: only our own checksum can see it."""
    content = bytearray(lzma.decompress((copy / "binary_mnist.xz").read_bytes()))
    content[1000] ^= 1
    (copy / "binary_mnist.xz").write_bytes(lzma.compress(bytes(content), preset=0))
    with pytest.raises(FormatError, match="SHA-256"):
        mnist_from(copy)


def test_missing_truncated_and_newer_files(copy):
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | {"schema": 99}))
    with pytest.raises(FormatError, match="newer"):
        mnist_from(copy)
    (copy / "manifest.json").write_text("{}")
    with pytest.raises(FormatError, match="cannot be read"):
        mnist_from(copy)
    (copy / "manifest.json").write_text(json.dumps(manifest))
    (copy / "binary_mnist.xz").write_bytes((EMBEDDED / "binary_mnist.xz").read_bytes()[:4000])
    with pytest.raises(FormatError):
        mnist_from(copy)
    (copy / "binary_mnist.xz").unlink()
    with pytest.raises(FormatError, match="install rbmscape again"):
        mnist_from(copy)


def idx(array):
    """Bytes of an IDX file: two zeros, type 8 (unsigned byte), number of axes, sizes, values."""
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def small_package(folder, script, monkeypatch):
    """An unpacked package with seven grey images, its checksums made known to the script."""
    random = np.random.default_rng(5)
    arrays = {
        "train-images-idx3-ubyte": random.integers(0, 256, (5, 28, 28), dtype=np.uint8),
        "t10k-images-idx3-ubyte": random.integers(0, 256, (3, 28, 28), dtype=np.uint8),
        "train-labels-idx1-ubyte": random.integers(0, 10, 5, dtype=np.uint8),
        "t10k-labels-idx1-ubyte": random.integers(0, 10, 3, dtype=np.uint8),
    }
    (folder / "data").mkdir(parents=True)
    for name, array in arrays.items():
        (folder / "data" / name).write_bytes(idx(array))
    sums = {name: hashlib.sha256(idx(array)).hexdigest() for name, array in arrays.items()}
    monkeypatch.setattr(script, "SOURCES", sums)
    return arrays


def test_the_script_thresholds_packs_and_is_deterministic(tmp_path, script, monkeypatch):
    arrays = small_package(tmp_path / "package", script, monkeypatch)
    for target in ("one", "two"):
        script.write(tmp_path / "package", tmp_path / target)
    for name in ("binary_mnist.xz", "manifest.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    dataset = mnist_from(tmp_path / "one")
    np.testing.assert_array_equal(dataset.train, arrays["train-images-idx3-ubyte"].reshape(5, 784) >= 128)
    np.testing.assert_array_equal(dataset.test, arrays["t10k-images-idx3-ubyte"].reshape(3, 784) >= 128)
    np.testing.assert_array_equal(dataset.train_labels, arrays["train-labels-idx1-ubyte"])
    np.testing.assert_array_equal(dataset.test_labels, arrays["t10k-labels-idx1-ubyte"])


def test_the_script_refuses_other_files(tmp_path, script, monkeypatch):
    small_package(tmp_path / "package", script, monkeypatch)
    path = tmp_path / "package" / "data" / "t10k-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"\x07\x00")
    with pytest.raises(SystemExit, match="SHA-256"):
        script.write(tmp_path / "package", tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_manifest_names_the_sources_that_the_script_checks(script):
    manifest = json.loads((EMBEDDED / "manifest.json").read_text())
    assert manifest["source_sha256"] == script.SOURCES
    assert manifest["source_sha256"]["train-images-idx3-ubyte"].startswith("ba891046e6505d7a")
    assert manifest["threshold"] == script.THRESHOLD == 128
