"""The same data at other sizes: images averaged down, or some of the units; for finite-size scaling."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rbmscape.data.dataset import Binary, Dataset
from rbmscape.errors import DataError
from rbmscape.rng import Stream

__all__ = ["rescaled", "subsampled"]


def rescaled(dataset: Dataset, image_shape: tuple[int, int]) -> Dataset:
    """Images at a lower resolution: the mean of the area that a new pixel covers, 1 where it is at least one half.

    Areas need not be whole pixels: the mean weights each old pixel with the part of it that is covered.

    Parameters
    ----------
    dataset : images
    image_shape : (height, width), both at most those of the images

    Raises
    ------
    DataError : no images, or a size beyond theirs or below 1
    """
    if dataset.image_shape is None:
        raise DataError(f"{dataset.name} holds no images to rescale; pass image_shape when it is loaded")
    (height, width), old = image_shape, dataset.image_shape
    if not (1 <= height <= old[0] and 1 <= width <= old[1]):
        raise DataError(f"images of {old[0]}x{old[1]} cannot be averaged to {height}x{width}; choose a smaller size")
    rows, columns = _coverage(old[0], height), _coverage(old[1], width)

    def shrink(states: Binary) -> Binary:
        grid = states.reshape(-1, *old).astype(np.float32)
        means = np.einsum("ih,nhw,jw->nij", rows, grid, columns, optimize=True)
        return np.asarray(means >= 0.5 - 1e-6, dtype=np.uint8).reshape(len(states), height * width)

    name = f"{dataset.name}-{height}x{width}"
    return replace(
        dataset, name=name, train=shrink(dataset.train), test=shrink(dataset.test), image_shape=(height, width),
        attributes={}, origin=None, columns=None,
    )  # fmt: skip


def _coverage(old: int, new: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """(new, old) share of each old interval in each new one; rows sum to 1."""
    edges = np.arange(new + 1) * old / new
    position = np.arange(old)
    overlap = np.minimum(edges[1:, None], position + 1) - np.maximum(edges[:-1, None], position)
    return np.asarray(overlap.clip(min=0.0) * new / old, dtype=np.float32)


def subsampled(dataset: Dataset, n_visible: int, seed: int = 0) -> Dataset:
    """Some of the units, drawn without replacement; the same ones for the same seed, fewer are a part of more.

    Raises
    ------
    DataError : less than one unit, or more than there are
    """
    if not 1 <= n_visible <= dataset.n_visible:
        raise DataError(f"{n_visible} of {dataset.n_visible} units cannot be drawn; ask for 1 to {dataset.n_visible}")
    kept = np.sort(Stream(seed, "data/subsample").numpy().permutation(dataset.n_visible)[:n_visible])
    return replace(
        dataset, name=f"{dataset.name}-{n_visible}-units", train=np.ascontiguousarray(dataset.train[:, kept]),
        test=np.ascontiguousarray(dataset.test[:, kept]), image_shape=None, attributes={}, origin=None,
        columns=None if dataset.columns is None else tuple(dataset.columns[unit] for unit in kept),
    )  # fmt: skip
