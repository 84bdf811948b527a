"""Where the weights of rows are in what a user gives: an array, a column of a table, or an array of a file."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from rbmscape.checks import suggestion
from rbmscape.data.dataset import Contents
from rbmscape.data.readers import read_file
from rbmscape.errors import DataError

__all__ = ["DUPLICATES", "with_weights"]

DUPLICATES: Final = "duplicates"
"""Stands for the number of copies of a row, where weights are named."""


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
    named = isinstance(weights, str | int) and not isinstance(weights, bool)
    if weights is None or not named:
        return contents if weights is None else replace(contents, train_weights=weights)
    path = Path(source) if isinstance(source, str | os.PathLike) else None
    if path is not None and path.suffix.lower() in (".npz", ".h5", ".hdf5"):
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
