"""Where data are checked: zeros and ones in a rectangle, or a refusal that names the value, its place and the cure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rbmscape.arrays import number_array, place_of
from rbmscape.checks import in_short, is_whole, shown
from rbmscape.data.packed import LARGE, PackedBits, pack_sparse
from rbmscape.errors import DataError, ShapeError

__all__ = ["Table", "as_binary", "as_labels", "checked_image_shape", "checked_limit", "checked_rows"]

_ROWS_A_BLOCK = 4096  # bounds the memory of the checks: float64 data of any length need one mask of this many rows


class Table(NamedTuple):
    """Checked values (n, n_visible) uint8, and (height, width) where the array had image axes."""

    values: NDArray[np.uint8]
    image_shape: tuple[int, int] | None


def as_binary(
    data: Any, *, threshold: float | None = None, where: str = "data", columns: Sequence[str] | None = None
) -> Table:
    """Check that an array is a non-empty rectangle of zeros and ones, and pack it into uint8.

    Parameters
    ----------
    data : (n, n_visible), or (n, height, width), which is flattened in C order: anything that
        `rbmscape.arrays.number_array` takes, or `rbmscape.data.packed.PackedBits`, which stay packed
    threshold : where given, values >= threshold become 1 and the others 0
    where : how messages call the data
    columns : names of the columns for messages

    Raises
    ------
    DataError : no rows or no columns, ragged rows, missing values, numbers other than 0 and 1, no numbers at all
    ShapeError : neither two nor three axes
    """
    packed = _packed(data, threshold, where)
    if packed is not None:
        return packed
    array = number_array(data, where)
    if array.ndim not in (2, 3):
        raise ShapeError(
            f"{where} has {array.ndim} axes, shape {array.shape}; give (samples, units) or (samples, height, width)"
        )
    image_shape = None if array.ndim == 2 else (int(array.shape[1]), int(array.shape[2]))
    if array.size == 0:
        raise DataError(f"{where} is empty, shape {array.shape}; give at least one row and one column")
    flat = array.reshape(len(array), -1)
    _check_threshold(threshold)
    values = np.empty(flat.shape, dtype=np.uint8)
    for start in range(0, len(flat), _ROWS_A_BLOCK):
        rows = slice(start, start + _ROWS_A_BLOCK)
        _check_block(flat, rows, threshold, where, columns)
        values[rows] = flat[rows] if threshold is None else flat[rows] >= threshold
    return Table(values, image_shape)


def _packed(data: Any, threshold: float | None, where: str) -> Table | None:
    """Rows that are packed already, or sparse ones that would be large if they were written out; else None."""
    if isinstance(data, PackedBits):
        if threshold is not None:
            raise DataError(f"{where}: threshold={threshold} does not apply to packed bits; leave it out")
        if not len(data):
            raise DataError(f"{where} is empty, shape {data.shape}; give at least one row and one column")
        return Table(cast("NDArray[np.uint8]", data), None)
    is_sparse = threshold is None and hasattr(data, "tocsr") and data.ndim == 2
    if is_sparse and data.shape[0] * data.shape[1] > LARGE:
        return Table(cast("NDArray[np.uint8]", pack_sparse(data, where)), None)
    return None


def as_labels(labels: ArrayLike | None, n_samples: int, where: str) -> NDArray[Any] | None:
    """(n_samples,) labels as int64 or strings; None stays None.

    Raises
    ------
    DataError : another length, missing values, fractions, or entries that are neither numbers nor strings
    """
    if labels is None:
        return None
    try:
        array = np.asarray(labels)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{where}: no list of labels ({in_short(error)}); give one label a sample") from None
    if array.shape != (n_samples,):
        raise DataError(f"{where}: shape {array.shape} for {n_samples} samples; give one label a sample")
    if array.dtype.kind == "f":
        array = array.astype(np.float64)
        whole = np.isfinite(array) & (array == np.trunc(array))
        if not whole.all():
            raise DataError(f"{where}: the label {array[~whole][0]} is no whole number; give integers or strings")
    if array.dtype.kind in "bfui":
        large = array >= 2**63 if array.dtype.kind in "fu" else np.zeros(array.shape, dtype=np.bool_)
        large |= array < -(2**63) if array.dtype.kind == "f" else False
        if large.any():
            raise DataError(f"{where}: the label {array[large][0]} is beyond 64-bit integers; give labels as strings")
        return array.astype(np.int64)
    text = array.astype(object)
    if all(isinstance(entry, str | bytes) for entry in text):
        words = [entry.decode(errors="replace") if isinstance(entry, bytes) else entry for entry in text]
        return np.array(words, dtype=np.str_)
    bad = next((entry for entry in text if not isinstance(entry, str | bytes)), None)
    raise DataError(f"{where}: the label {shown(bad)} is neither a number nor a string; give integers or strings")


def checked_image_shape(shape: Sequence[int] | None, n_visible: int) -> tuple[int, int] | None:
    """(height, width) with height·width = n_visible.

    Raises
    ------
    ShapeError : two positive integers whose product is another number
    """
    if shape is None:
        return None
    if not hasattr(shape, "__len__") or len(shape) != 2 or any(not is_whole(side) or side < 1 for side in shape):
        raise ShapeError(f"image_shape is {shown(shape)}; give (height, width), two positive integers")
    height, width = (int(side) for side in shape)
    if height * width != n_visible:
        raise ShapeError(
            f"image_shape {height}x{width} has {height * width} pixels but the data have {n_visible} columns; "
            f"give a shape with height*width = {n_visible}"
        )
    return height, width


def checked_limit(limit: int | None, available: int, name: str, *, smallest: int) -> int | None:
    """A number of samples to keep.

    Raises
    ------
    DataError : it is outside [smallest, available]
    """
    if limit is not None and not (is_whole(limit) and smallest <= limit <= available):
        raise DataError(f"{name} is {shown(limit)} but {available} samples are there; choose {smallest} to {available}")
    return None if limit is None else int(limit)


def checked_rows(rows: Any, name: str) -> NDArray[np.intp]:
    """Numbers of rows.

    Raises
    ------
    DataError : they are none
    """
    if not isinstance(rows, np.ndarray) or rows.ndim != 1 or rows.dtype.kind not in "iub":
        raise DataError(f"{name} must be the numbers of rows as an array, found {shown(rows)}; pass one")
    return rows


def _check_threshold(threshold: Any) -> None:
    if threshold is None:
        return
    if (
        isinstance(threshold, bool)
        or not isinstance(threshold, int | float | np.number)
        or not math.isfinite(threshold)
    ):
        raise DataError(f"threshold is {shown(threshold)}; give a finite number such as 0.5")


def _check_block(
    flat: NDArray[Any], rows: slice, threshold: float | None, where: str, columns: Sequence[str] | None
) -> None:
    """Refuse the first entry of a block of rows that is missing or, without a threshold, neither 0 nor 1."""
    block = flat[rows]
    if block.dtype.kind == "b":
        return
    if block.dtype.kind == "f" and np.isnan(block).any():
        place = np.argwhere(np.isnan(block))[0] + [rows.start, 0]
        raise DataError(
            f"{where}: the value at {place_of(place, columns)} is missing (NaN); fill it in, drop that row, or pass "
            "missing='marginalize' (--missing marginalize)"
        )
    if threshold is not None:
        return
    good = (block == 0) | (block == 1)
    if not good.all():
        place = np.argwhere(~good)[0] + [rows.start, 0]
        cure = _suggested_cure(flat, int(place[1]))
        raise DataError(
            f"{where}: the value {flat[tuple(place)]} at {place_of(place, columns)} is neither 0 nor 1; {cure}"
        )


def _suggested_cure(flat: NDArray[Any], column: int) -> str:
    """A threshold where the columns share a range; else a word on the column.

    The threshold is the middle between the smallest and the largest value: 0.5 for [0, 1], 127.5 for bytes, 0 for
    spins.  It would make constants of bits beside a column of counts or labels.
    """
    if np.isin(flat, (-1, 1)).all():
        return "pass states='spins' (--states spins) for data of -1 and 1, or threshold=0 (--threshold 0)"
    low, high = (np.asarray(bound, dtype=np.float64) for bound in (flat.min(0), flat.max(0)))
    finite = np.isfinite(low) & np.isfinite(high)
    middle = (float(low[finite].min()) + float(high[finite].max())) / 2 if finite.any() else 0.5
    width = np.where(finite, high - np.where(finite, low, 0.0), 0.0)
    narrow = (width > 0) & (4 * width < width[column]) & ((low >= middle) | (high < middle))
    if 10 * narrow.sum() >= max(1, (width > 0).sum()):
        return (
            f"that column goes from {low[column]:g} to {high[column]:g}, others from "
            f"{low[narrow].min():g} to {high[narrow].max():g}: leave it out, or name it as labels (--labels) if it "
            "holds them"
        )
    return f"binarise the data or pass threshold={middle:g} (--threshold {middle:g}): values from there on become 1"
