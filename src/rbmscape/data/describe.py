"""What a data set is like, and what in it deserves a second look before training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rbmscape.brief import OneLine
from rbmscape.data.dataset import Dataset
from rbmscape.data.kinds import MISSING, has_missing
from rbmscape.data.packed import packed_rows, row_blocks
from rbmscape.errors import DataError
from rbmscape.rng import Stream

__all__ = ["Description", "describe", "first_concerns"]

_MARKS: Final = 3
"""Random sums that stand for a column; two different columns agree in all of them with a probability of 1e-17."""
_SORTED_ROWS: Final = 20
_FEW_LEAKED: Final = 0.01
_ROWS_OF_A_SIDE: Final = 5
"""Fewer rows may stand at an end by chance."""
_BITS_OF_CHANCE: Final = 6.0
_LOOKED_AT: Final = 2**28


@dataclass(frozen=True, eq=False, repr=False)
class Description(OneLine):
    """Facts of a data set; all exact counts.

    Attributes
    ----------
    name, n_train, n_test, n_visible : of the data set
    frequencies : (N,) share of ones in each column of the training data
    constant : columns that are always 0 or always 1 in the training data
    repeated : columns that are equal to an earlier one in the training data, constant ones left out
    sorted_columns : columns that change once from the first to the last training row, with five rows at least on either
        side, as a counting index does when a threshold is set to it; looked for from 20 rows on
    duplicates_train, duplicates_test : rows that are equal to an earlier row of the same part
    leaked : test rows that are equal to a training row
    class_shares : label to its shares of the training and of the test data; empty without labels
    columns : names of the columns, or None
    of_images : whether the rows are images, whose margins may never change
    gaps : (N,) missing entries of each column, of training and test data together
    gaps_of_rows : (n_train + n_test,) missing entries of each row, those of the test data last
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
    columns: tuple[str, ...] | None = None
    of_images: bool = False
    gaps: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    gaps_of_rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    @property
    def concerns(self) -> tuple[str, ...]:
        """What deserves a second look, each in a sentence with its remedy; empty if nothing does.

        Constant and repeated pixels of images are none.  Nor are rows that repeat where independent units of the same
        frequencies would repeat almost as often, -Σ log2(p² + (1 - p)²) < log2(n) + 6, or test rows that occur in the
        training data if they are less than one in a hundred.
        """
        found = (*self._about_gaps(), *self._about_columns(), *self._about_rows())
        return tuple(words for words in found if words)

    def lines(self) -> list[tuple[str, str]]:
        """Names and values for a table, what deserves a second look last."""
        ones = self.frequencies
        shares = [f"{label}: {100 * train:.3g} % ({100 * test:.3g} %)" for label, (train, test) in self._classes()]
        return [
            ("rows", f"{self.n_train} training, {self.n_test} test"),
            ("units", f"{self.n_visible}, a share of {ones.mean():.3g} is 1 ({ones.min():.3g} to {ones.max():.3g})"),
            ("constant units", str(len(self.constant))),
            ("repeated units", str(len(self.repeated))),
            ("units in row order", str(len(self.sorted_columns))),
            ("repeated rows", f"{self.duplicates_train} training, {self.duplicates_test} test"),
            ("test rows seen", f"{self.leaked} occur in the training data"),
            *self._of_gaps(),
            *([("classes", ", ".join(shares))] if shares else []),
            *(("caution", concern) for concern in self.concerns),
        ]

    def record(self) -> dict[str, Any]:
        """All of it in JSON types."""
        plain: dict[str, Any] = {name: getattr(self, name) for name in ("name", "n_train", "n_test", "n_visible")}
        plain |= {name: getattr(self, name).tolist() for name in ("constant", "repeated", "sorted_columns")}
        plain |= {name: getattr(self, name) for name in ("duplicates_train", "duplicates_test", "leaked")}
        shares = {str(label): list(pair) for label, pair in self._classes()}
        return plain | {
            "columns": None if self.columns is None else list(self.columns),
            "frequencies": self.frequencies.tolist(),
            "class_shares": shares,
            "gaps": self.gaps.tolist(),
            "gaps_of_rows": self.gaps_of_rows.tolist(),
            "concerns": list(self.concerns),
        }

    def _classes(self) -> list[tuple[Any, tuple[float, float]]]:
        return list(self.class_shares.items())

    def _of_gaps(self) -> list[tuple[str, str]]:
        """How many entries are missing, and where most of them are."""
        if not self.gaps.any():
            return []
        total, n_rows = int(self.gaps.sum()), self.n_train + self.n_test
        most, row = int(self.gaps.argmax()), int(self.gaps_of_rows.argmax())
        place = f"training row {row}" if row < self.n_train else f"test row {row - self.n_train}"
        where = f"most in {self._name(most)}: {self.gaps[most]} of {n_rows}"
        which = f"most in {place} (counted from 0): {self.gaps_of_rows[row]} of {self.n_visible}"
        return [
            ("missing entries", f"{total}, {100 * total / (n_rows * self.n_visible):.2g} % of all"),
            ("columns with gaps", f"{np.count_nonzero(self.gaps)} of {self.n_visible}, {where}"),
            ("rows with gaps", f"{np.count_nonzero(self.gaps_of_rows)} of {n_rows}, {which}"),
        ]

    def _about_gaps(self) -> tuple[str, ...]:
        if not self.gaps.any():
            return ()
        empty = int(np.count_nonzero(self.gaps_of_rows == self.n_visible))
        return (
            self._columns(
                np.flatnonzero(2 * self.gaps > self.n_train + self.n_test),
                "are missing in more than half of the rows",
                "leave them out, or read what the model says of them with care",
            ),
            f"{empty} rows have no known entry: leave them out, they say nothing" if empty else "",
        )

    def _about_columns(self) -> tuple[str, ...]:
        kinds = [
            (
                self.sorted_columns,
                "change once from the first row to the last",
                "leave them out if they number the rows",
            ),
            (self.constant, "never change in the training data", "leave them out, a model learns nothing there"),
            (self.repeated, "repeat an earlier one", "leave them out, or read their pairs as certain"),
        ]
        return tuple(self._columns(*kind) for kind in kinds[: 1 if self.of_images else 3])

    def _columns(self, found: NDArray[np.intp], what: str, cure: str) -> str:
        """How many columns do something, the first of them by name where they have any, and the remedy."""
        if not len(found):
            return ""
        names = ", ".join(map(self._name, found[:5].tolist()))
        return f"columns that {what}: {len(found)} ({names}{', …' if len(found) > 5 else ''}); {cure}"

    def _name(self, column: int) -> str:
        return str(column) if self.columns is None else self.columns[column]

    def _about_rows(self) -> tuple[str, ...]:
        leaked = duplicates = ""
        if self._recur_by_chance:
            return leaked, duplicates
        if self.leaked > _FEW_LEAKED * self.n_test:
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

    @property
    def _recur_by_chance(self) -> bool:
        """Whether there are hardly more patterns than rows: few columns, or ones that are rare."""
        alike = self.frequencies**2 + (1.0 - self.frequencies) ** 2
        return float(-np.log2(alike).sum()) < math.log2(self.n_train) + _BITS_OF_CHANCE

    def _headline(self) -> str:
        rows = f"{self.n_train} + {self.n_test} rows of {self.n_visible} units"
        return f"{self.name!r}, {rows}, {'; '.join(self.concerns) or 'nothing to look at twice'}"


def describe(dataset: Dataset) -> Description:
    """Constant, repeated and index-like columns, repeated and leaked rows, frequencies, gaps and class shares; exact.

    Rows and columns are equal where they are known and missing in the same places.  Frequencies, and what never
    changes, are of what is known; a column with gaps is not looked at for an order of the rows.

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
    gaps = [_gaps(rows) for rows in (dataset.train, dataset.test)]
    mean = dataset.mean
    constant = np.flatnonzero((mean == 0.0) | (mean == 1.0))
    has_gaps = dataset.has_missing
    train, test = (_row_marks(rows, has_gaps=has_gaps) for rows in (dataset.train, dataset.test))
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
        dataset.columns,
        dataset.image_shape is not None,
        gaps[0][0] + gaps[1][0],
        np.concatenate([of_rows for _, of_rows in gaps]),
    )


def first_concerns(dataset: Dataset) -> tuple[str, ...]:
    """What deserves a second look before training; nothing of data that it would take more than seconds to look at."""
    if (len(dataset.train) + len(dataset.test)) * dataset.n_visible > _LOOKED_AT:
        return ()
    return describe(dataset).concerns


def _row_marks(rows: Any, *, has_gaps: bool) -> NDArray[Any]:
    """Each row as one value that is equal for equal rows; those of a data set with gaps hold the gaps too."""
    packed = packed_rows(rows, slice(None))
    if has_gaps:
        packed = np.hstack([np.packbits(np.asarray(rows) == value, axis=1) for value in (1, MISSING)])
    packed = np.ascontiguousarray(packed)
    return packed.view(np.dtype((np.void, packed.shape[1]))).reshape(-1)


def _column_marks(dataset: Dataset) -> NDArray[np.float64]:
    """(N, 3) sums of random whole numbers over the rows that are 1; equal for equal columns, and exact."""
    generator = Stream(0, "data/describe").numpy()
    marks = np.zeros((dataset.n_visible, _MARKS))
    for block in row_blocks(dataset.train.shape):
        bits = np.asarray(dataset.train[block], dtype=np.float32)
        bits[bits == MISSING] = 0.5
        marks += bits.T.astype(np.float64) @ generator.integers(0, 2**20, (len(bits), _MARKS)).astype(np.float64)
    return marks


def _gaps(rows: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Missing entries of each column and of each row."""
    if not has_missing(rows):
        return np.zeros(rows.shape[1], dtype=np.int64), np.zeros(len(rows), dtype=np.int64)
    marks = rows == MISSING
    return marks.sum(0, dtype=np.int64), marks.sum(1, dtype=np.int64)


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
    ones = dataset.train.sum(0)
    is_long = np.minimum(ones, len(dataset.train) - ones) >= _ROWS_OF_A_SIDE
    is_long &= _gaps(dataset.train)[0] == 0
    return np.flatnonzero((changes == 1) & is_long)


def _class_shares(dataset: Dataset) -> dict[Any, tuple[float, float]]:
    if dataset.train_labels is None:
        return {}
    parts = [np.asarray([] if labels is None else labels) for labels in (dataset.train_labels, dataset.test_labels)]
    known = sorted({*parts[0].tolist(), *parts[1].tolist()})
    return {one: (float(np.mean(parts[0] == one)), _share(parts[1], one)) for one in known}


def _share(labels: NDArray[Any], one: Any) -> float:
    return float(np.mean(labels == one)) if len(labels) else 0.0
