"""The embedded binarised MNIST: 60 000 + 10 000 images of 28x28, pixel >= 128 of 255, the data of arXiv:2503.21536."""

from __future__ import annotations

import hashlib
import json
import lzma
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rbmscape.data.dataset import Dataset
from rbmscape.errors import FormatError

__all__ = ["embedded_mnist", "mnist_from"]

SCHEMA = 1
_CURE = "install rbmscape again"


def embedded_mnist() -> Dataset:
    """The MNIST digits that come with the package, their content checked against its SHA-256.

    Raises
    ------
    FormatError : the installed data file is damaged
    """
    return mnist_from(resources.files("rbmscape.data") / "mnist")


def mnist_from(directory: Traversable) -> Dataset:
    """Read ``binary_mnist.xz`` and ``manifest.json`` of a directory, as ``scripts/pack_mnist.py`` writes them.

    Raises
    ------
    FormatError : a file is missing or damaged, or was written by a newer version
    """
    manifest, content = _checked_content(directory)
    n_train, n_images = manifest["n_train"], manifest["n_train"] + manifest["n_test"]
    height, width = manifest["image_shape"]
    n_image_bytes = n_images * height * manifest["row_bits"] // 8
    packed = np.frombuffer(content, np.uint8, count=n_image_bytes).reshape(n_images, height, -1)
    images = np.unpackbits(packed, axis=2, count=width).reshape(n_images, height * width)
    labels = _unpack_nibbles(np.frombuffer(content, np.uint8, offset=n_image_bytes), n_images)
    return Dataset(
        name="mnist",
        train=images[:n_train],
        test=images[n_train:],
        train_labels=labels[:n_train],
        test_labels=labels[n_train:],
        image_shape=(height, width),
    )


def _checked_content(directory: Traversable) -> tuple[dict[str, Any], bytes]:
    try:
        manifest = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
        if manifest["schema"] > SCHEMA:
            raise FormatError(f"the MNIST file has schema {manifest['schema']}, newer than {SCHEMA}; update rbmscape")
        content = lzma.decompress((directory / "binary_mnist.xz").read_bytes())
        expected = manifest["content_sha256"]
    except (OSError, ValueError, KeyError, TypeError, lzma.LZMAError, EOFError) as error:
        raise FormatError(f"the embedded MNIST file cannot be read ({error}); {_CURE}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise FormatError(
            f"the embedded MNIST file is damaged (SHA-256 {found[:12]}..., not {expected[:12]}...); {_CURE}"
        )
    return manifest, content


def _unpack_nibbles(pairs: NDArray[np.uint8], n_labels: int) -> NDArray[np.int64]:
    """Two labels a byte, the first in the high half."""
    labels = np.empty(2 * len(pairs), dtype=np.int64)
    labels[0::2] = pairs >> 4
    labels[1::2] = pairs & 15
    return labels[:n_labels]
