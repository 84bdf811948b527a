r"""Weights of rows: how often a row counts, in training and in likelihoods.

Weights that are whole numbers say how often a row is there: training with them is training with every row repeated,
bit for bit.  Other weights matter up to a common factor; they are scaled to the mean 1, so that a pass over the data
takes as many rows as there are.  In each pass row i stands ``⌊c_i + u⌋ - ⌊c_{i-1} + u⌋`` times, with c the running sum
of the weights and u uniform in [0, 1): its weight on average, and never more than 1 away from it (systematic sampling).

Shapes: weights are (n,) float64, not negative.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from rbmscape.arrays import number_array
from rbmscape.checks import suggestion
from rbmscape.data.packed import chosen_rows
from rbmscape.errors import DataError

if TYPE_CHECKING:
    from rbmscape.data.dataset import Contents, Dataset

__all__ = [
    "DUPLICATES",
    "as_weights",
    "merged",
    "multiplicities",
    "represented",
    "rows_a_pass",
    "with_weights",
]

FloatArray = NDArray[np.float64]
DUPLICATES: Final = "duplicates"
"""Stands for the number of copies of a row, where weights are named."""


def as_weights(weights: Any, n_samples: int, where: str) -> FloatArray | None:
    """(n_samples,) checked weights; None stays None.

    Raises
    ------
    DataError : another length, a weight that is negative or not finite, or only zeros
    """
    if weights is None:
        return None
    array = np.asarray(number_array(weights, where), dtype=np.float64)
    if array.shape != (n_samples,):
        raise DataError(f"{where}: shape {array.shape} for {n_samples} rows; give one weight a row")
    wrong = ~(np.isfinite(array) & (array >= 0))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(f"{where}: the weight {array[row]} of row {row} (counted from 0) is no number from 0 on")
    if not array.any():
        raise DataError(f"{where}: all weights are 0; give at least one row a weight above it")
    return array


def _scaled(weights: FloatArray) -> FloatArray:
    """Whole weights as they are, others with the mean 1."""
    return weights if (weights == np.rint(weights)).all() else weights * (len(weights) / weights.sum())


def rows_a_pass(weights: FloatArray | None, n_rows: int) -> int:
    """Rows in one pass over the data."""
    return n_rows if weights is None else int(np.rint(_scaled(weights).sum()))


def multiplicities(weights: FloatArray, offset: float = 0.5) -> NDArray[np.int64]:
    """(n,) how often each row stands in a pass with this offset u in [0, 1)."""
    total = rows_a_pass(weights, len(weights))
    edges = np.floor(np.cumsum(_scaled(weights)) + offset)
    edges[-1] = total  # where rounding of the sum would lose or add a row
    return np.diff(np.minimum(edges, total), prepend=0.0).astype(np.int64)


def represented(rows: Any, weights: FloatArray | None) -> Any:
    """The rows of a pass, each as often as it counts, packed if they were; without weights the rows themselves."""
    if weights is None:
        return rows
    return chosen_rows(rows, np.repeat(np.arange(len(rows)), multiplicities(weights)))


def merged(dataset: Dataset) -> Dataset:
    """The same data with each distinct row once, in the order of first appearance, and the sum of its weights.

    Labels are dropped, since equal rows may have different ones.
    """
    from dataclasses import replace

    train, train_weights = _merged(dataset.train, dataset.train_weights)
    test, test_weights = _merged(dataset.test, dataset.test_weights)
    return replace(
        dataset, train=train, test=test, train_weights=train_weights, test_weights=test_weights, train_labels=None,
        test_labels=None, origin=None,
    )  # fmt: skip


def _merged(rows: NDArray[np.uint8], weights: FloatArray | None) -> tuple[NDArray[np.uint8], FloatArray | None]:
    rows = np.asarray(rows)
    if not len(rows):
        return rows, None
    _, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    sums = np.bincount(inverse.reshape(-1), weights=weights, minlength=len(first)).astype(np.float64)
    order = np.argsort(first)
    return rows[first[order]], sums[order]


def with_weights(contents: Contents, source: Any, weights: Any, labels: Any) -> Contents:
    """Contents with weights given as an array, or taken from a column or an array of the file.

    Parameters
    ----------
    source : the file, table or array that the contents came from
    weights : an array; or the name or number of a column; or the key of an array in .npz and HDF5
    labels : what named the label column, which the contents no longer hold

    Raises
    ------
    DataError : there is no such column or array
    """
    from dataclasses import replace

    named = isinstance(weights, str | int) and not isinstance(weights, bool)
    if weights is None or not named:
        return contents if weights is None else replace(contents, train_weights=weights)
    path = Path(source) if isinstance(source, str | os.PathLike) else None
    if path is not None and path.suffix.lower() in (".npz", ".h5", ".hdf5"):
        from rbmscape.data.readers import read_file

        return replace(contents, train_weights=read_file(path, str(weights)).train)
    nameless = contents.columns is None if path is None else path.suffix.lower() == ".npy"
    if nameless:
        raise DataError(f"weights={weights!r} names a column; give the weights of {contents.where} as an array")
    position = _column(contents, weights, labels)
    names = contents.columns
    rest = None if names is None else (*names[:position], *names[position + 1 :])
    values = np.asarray(contents.train)
    return replace(contents, train=np.delete(values, position, axis=1), train_weights=values[:, position], columns=rest)


def _column(contents: Contents, weights: str | int, labels: Any) -> int:
    """Place of the weights among the columns that are left without the labels."""
    names = contents.columns or ()
    if str(weights) in names:
        return names.index(str(weights))
    width = int(np.shape(contents.train)[1])
    try:
        position = int(weights)
    except ValueError:
        raise DataError(
            f"{contents.where} has no column {weights!r} for the weights; "
            + suggestion(weights, names, f"it has {width} columns")
        ) from None
    if contents.train_labels is not None and str(labels).lstrip("-").isdigit():
        taken = int(labels) % (width + 1)
        position = position % (width + 1)
        position -= position > taken
    if not -width <= position < width:
        raise DataError(f"{contents.where} has no column {weights} for the weights; it has {width} columns from 0")
    return int(position % width)
