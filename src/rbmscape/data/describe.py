"""What a data set is like, and what in it deserves a second look before training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rbmscape.brief import OneLine
from rbmscape.data.dataset import Dataset
from rbmscape.data.packed import packed_rows, row_blocks
from rbmscape.errors import DataError
from rbmscape.rng import Stream

__all__ = ["Description", "describe"]

_MARKS: Final = 3
"""Random sums that stand for a column; two different columns agree in all of them with a probability of 1e-17."""
_SORTED_ROWS: Final = 20


@dataclass(frozen=True, eq=False, repr=False)
class Description(OneLine):
    """Facts of a data set; all exact counts.

    Attributes
    ----------
    name, n_train, n_test, n_visible : of the data set
    frequencies : (N,) share of ones in each column of the training data
    constant : columns that are always 0 or always 1 in the training data
    repeated : columns that are equal to an earlier one in the training data, constant ones left out
    sorted_columns : columns that change once from the first to the last training row, as a counting index does when a
        threshold is set to it; looked for from 20 rows on
    duplicates_train, duplicates_test : rows that are equal to an earlier row of the same part
    leaked : test rows that are equal to a training row
    class_shares : label to its shares of the training and of the test data; empty without labels
    """

    name: str
    n_train: int
    n_test: int
    n_visible: int
    frequencies: NDArray[np.float64]
    constant: NDArray[np.intp]
    repeated: NDArray[np.intp]
    sorted_columns: NDArray[np.intp]
    duplicates_train: int
    duplicates_test: int
    leaked: int
    class_shares: Mapping[Any, tuple[float, float]]

    @property
    def concerns(self) -> tuple[str, ...]:
        """What deserves a second look, each in a sentence with its remedy; empty if nothing does."""
        return tuple(words for words in (*self._about_columns(), *self._about_rows()) if words)

    def _about_columns(self) -> tuple[str, ...]:
        return (
            _columns(self.constant, "never change in the training data: leave them out, a model learns nothing there"),
            _columns(self.repeated, "repeat an earlier one: leave them out, or read their pairs as certain"),
            _columns(self.sorted_columns, "change once from the first row to the last: look whether they number rows"),
        )

    def _about_rows(self) -> tuple[str, ...]:
        leaked = duplicates = ""
        if self.leaked:
            leaked = (
                f"{self.leaked} of {self.n_test} test rows occur in the training data: the test likelihood is partly "
                "that of training; split by groups=... of equal rows, unless equal rows are independent samples"
            )
        if 2 * self.duplicates_train > self.n_train:
            duplicates = (
                f"{self.duplicates_train} of {self.n_train} training rows repeat an earlier one: there are "
                f"{self.n_train - self.duplicates_train} different ones, take as few hidden units as they need"
            )
        return leaked, duplicates

    def _headline(self) -> str:
        rows = f"{self.n_train} + {self.n_test} rows of {self.n_visible} units"
        return f"{self.name!r}, {rows}, {'; '.join(self.concerns) or 'nothing to look at twice'}"


def describe(dataset: Dataset) -> Description:
    """Constant, repeated and index-like columns, repeated and leaked rows, frequencies and class shares; exact.

    Parameters
    ----------
    dataset : of any size; packed rows are written out a block at a time

    Raises
    ------
    DataError : something else than a `Dataset`
    """
    if not isinstance(dataset, Dataset):
        raise DataError(
            f"describe takes a Dataset, found {type(dataset).__name__}; make one with rbmscape.load_dataset"
        )
    if dataset.has_missing:
        dataset.complete("describe")
    mean = dataset.mean
    constant = np.flatnonzero((mean == 0.0) | (mean == 1.0))
    train, test = (_row_marks(rows) for rows in (dataset.train, dataset.test))
    return Description(
        dataset.name,
        len(dataset.train),
        len(dataset.test),
        dataset.n_visible,
        mean,
        constant,
        np.setdiff1d(_repeated(_column_marks(dataset)), constant),
        np.setdiff1d(_sorted_columns(dataset), constant),
        len(train) - len(np.unique(train)),
        len(test) - len(np.unique(test)),
        int(np.isin(test, train).sum()),
        _class_shares(dataset),
    )


def _columns(found: NDArray[np.intp], what: str) -> str:
    names = ", ".join(str(int(column)) for column in found[:5]) + (", …" if len(found) > 5 else "")
    return f"{len(found)} columns ({names}) {what}" if len(found) else ""


def _row_marks(rows: Any) -> NDArray[Any]:
    """Each row as one value that is equal for equal rows."""
    packed = np.ascontiguousarray(packed_rows(rows, slice(None)))
    return packed.view(np.dtype((np.void, packed.shape[1]))).reshape(-1)


def _column_marks(dataset: Dataset) -> NDArray[np.float64]:
    """(N, 3) sums of random whole numbers over the rows that are 1; equal for equal columns, and exact."""
    generator = Stream(0, "data/describe").numpy()
    marks = np.zeros((dataset.n_visible, _MARKS))
    for block in row_blocks(dataset.train.shape):
        bits = np.asarray(dataset.train[block], dtype=np.float32)
        marks += bits.T.astype(np.float64) @ generator.integers(0, 2**20, (len(bits), _MARKS)).astype(np.float64)
    return marks


def _repeated(marks: NDArray[np.float64]) -> NDArray[np.intp]:
    first = np.unique(marks, axis=0, return_index=True)[1]
    return np.setdiff1d(np.arange(len(marks)), first)


def _sorted_columns(dataset: Dataset) -> NDArray[np.intp]:
    if len(dataset.train) < _SORTED_ROWS:
        return np.zeros(0, dtype=np.intp)
    changes = np.zeros(dataset.n_visible, dtype=np.int64)
    before: Any = None
    for block in row_blocks(dataset.train.shape):
        bits = np.asarray(dataset.train[block])
        changes += (bits[1:] != bits[:-1]).sum(0)
        changes += 0 if before is None else (bits[0] != before)
        before = bits[-1]
    return np.flatnonzero(changes == 1)


def _class_shares(dataset: Dataset) -> dict[Any, tuple[float, float]]:
    if dataset.train_labels is None:
        return {}
    parts = [np.asarray([] if labels is None else labels) for labels in (dataset.train_labels, dataset.test_labels)]
    known = sorted({*parts[0].tolist(), *parts[1].tolist()})
    return {one: (float(np.mean(parts[0] == one)), _share(parts[1], one)) for one in known}


def _share(labels: NDArray[Any], one: Any) -> float:
    return float(np.mean(labels == one)) if len(labels) else 0.0
