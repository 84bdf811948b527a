"""Binary data: what a Restricted Boltzmann Machine of arXiv:2503.21536 (section 2) is trained on and judged by.

Shapes: images are rows, (n_samples, n_visible), uint8 entries 0 or 1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rbmscape.brief import OneLine
from rbmscape.data.packed import chosen_rows, packed_rows, row_blocks
from rbmscape.data.validate import as_binary, as_labels, checked_image_shape, checked_limit
from rbmscape.errors import DataError, ShapeError

__all__ = ["Binary", "Contents", "Dataset"]

Binary = NDArray[np.uint8]


_LONGEST_NAME = 80


@dataclass(frozen=True, eq=False, repr=False)
class Contents(OneLine):
    """Arrays that a user or a file gave, not checked yet.

    Parameters
    ----------
    train, test : samples in rows; test is None where the file does not come split
    train_labels, test_labels : one label a row, or None
    columns : names of the columns, or None
    where, test_where : how messages call the array, and the test data that come from elsewhere
    test_columns : names of the columns of test data that come from elsewhere, or None
    """

    train: Any
    test: Any = None
    train_labels: Any = None
    test_labels: Any = None
    columns: tuple[str, ...] | None = None
    where: str = ""
    test_where: str = ""
    test_columns: tuple[str, ...] | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Dataset(OneLine):
    """Binary training and test data of one width.

    Parameters
    ----------
    name : what reports call it
    train : (n_train, n_visible) uint8, entries 0 or 1, at least one row
    test : (n_test, n_visible) uint8; zero rows where no test data were set aside
    train_labels, test_labels : (n_train,), (n_test,) integers or strings, or None
    image_shape : (height, width) with height·width = n_visible, or None
    attributes : facts known about the data, for example the planted directions or the exact log-likelihood
    origin : ``{"source": ..., "options": {...}}`` in JSON types with which `load_dataset` gives the same data again, or
        None where that is not possible (arrays in memory, changes after loading)
    columns : names of the visible units, those of the file's columns where it has a header, or None

    Use `load_dataset` or `Dataset.from_array`, which check values; the constructor trusts its arrays.  Packed and large
    sparse data stay packed, as `rbmscape.data.packed.PackedBits`, which `numpy.asarray` and indices write out.
    """

    name: str
    train: Binary
    test: Binary
    train_labels: NDArray[Any] | None = None
    test_labels: NDArray[Any] | None = None
    image_shape: tuple[int, int] | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    origin: Mapping[str, Any] | None = None
    columns: tuple[str, ...] | None = None

    @classmethod
    def from_array(
        cls,
        train: ArrayLike,
        test: ArrayLike | None = None,
        *,
        name: str = "array",
        train_labels: ArrayLike | None = None,
        test_labels: ArrayLike | None = None,
        image_shape: tuple[int, int] | None = None,
        threshold: float | None = None,
    ) -> Dataset:
        """Check arrays that are in memory already and make a data set of them; nothing is split or shuffled.

        Parameters
        ----------
        train, test : (n, n_visible) or (n, height, width): NumPy, torch or nested lists; 0 or 1 as bool, int or float
        train_labels, test_labels : (n,) integers or strings
        image_shape : (height, width); taken from three-dimensional arrays when absent
        threshold : values >= threshold become 1, the others 0

        Raises
        ------
        DataError : empty, ragged, missing or non-binary values (with the value and its position)
        ShapeError : wrong number of axes, different widths of train and test, an image shape of another size
        """
        contents = Contents(train, test, train_labels, test_labels, where=name)
        return cls.from_contents(contents, name=name, image_shape=image_shape, threshold=threshold)

    @classmethod
    def from_contents(
        cls, contents: Contents, *, name: str, image_shape: tuple[int, int] | None, threshold: float | None
    ) -> Dataset:
        """Check unchecked arrays and make a data set of them; errors as those of `from_array`."""
        where = contents.where or name
        table = as_binary(contents.train, threshold=threshold, where=where, columns=contents.columns)
        n_visible = table.values.shape[1]
        test = np.empty((0, n_visible), dtype=np.uint8)
        if contents.test is not None:
            test_where = contents.test_where or f"{where}, test data"
            test_names = contents.test_columns
            test = as_binary(contents.test, threshold=threshold, where=test_where, columns=test_names).values
            order = _order(contents.columns, test_names, test_where)
            test = test if isinstance(order, slice) else test[:, order]
        if test.shape[1] != n_visible:
            raise ShapeError(
                f"{where}: the test data have {test.shape[1]} columns but the training data {n_visible}; "
                "both need the same visible units"
            )
        return cls(
            name=name,
            train=table.values,
            test=test,
            train_labels=as_labels(contents.train_labels, len(table.values), f"{where}, labels"),
            test_labels=as_labels(contents.test_labels, len(test), f"{contents.test_where or where}, test labels"),
            image_shape=checked_image_shape(image_shape or table.image_shape, n_visible),
            columns=contents.columns,
        )

    @property
    def n_visible(self) -> int:
        """Visible units N: columns of the data."""
        return int(self.train.shape[1])

    @property
    def mean(self) -> NDArray[np.float64]:
        """(n_visible,) fraction of ones in each column of the training data; exact."""
        return np.asarray(self.train.mean(axis=0, dtype=np.float64))

    @property
    def constant_columns(self) -> NDArray[np.intp]:
        """Indices of the columns that are always 0 or always 1 in the training data.

        They are allowed: the maximum-likelihood bias of such a unit is infinite, so training has to smooth it.
        """
        return np.flatnonzero((self.mean == 0.0) | (self.mean == 1.0))

    @property
    def fingerprint(self) -> str:
        """SHA-256 (64 hexadecimal digits) of the shapes and bits of train and test; labels and names do not enter.

        Runs record it, so that a run is not continued with other data.
        """
        digest = hashlib.sha256(b"rbmscape data 1")
        for array in (self.train, self.test):
            digest.update(np.array(array.shape, dtype="<u8").tobytes())
            for block in row_blocks(array.shape):
                digest.update(packed_rows(array, block).tobytes())
        return digest.hexdigest()

    def with_labels(self, labels: Iterable[Any]) -> Dataset:
        """The samples whose label is one of ``labels``; known attributes of the whole set are dropped.

        Raises
        ------
        DataError : there are no labels, or no training sample has one of them
        """
        if self.train_labels is None:
            raise DataError(f"{self.name} has no labels to choose from; load it with labels=...")
        known = np.unique(self.train_labels)
        wanted = np.asarray([_same_kind(label, known) for label in labels])
        unknown = [label for label in wanted.tolist() if label not in known.tolist()]
        if unknown or not wanted.size:
            found = f"no label {unknown[0]!r}" if unknown else "no label was asked for"
            raise DataError(f"{self.name}: {found}; the labels are {', '.join(str(k) for k in known[:20].tolist())}")
        return self._rows(_positions(self.train_labels, wanted), _positions(self.test_labels, wanted))

    def limited(self, n_train: int | None = None, n_test: int | None = None) -> Dataset:
        """The first ``n_train`` and ``n_test`` samples, or all where None; for quick runs.

        Raises
        ------
        DataError : fewer samples are there, or less than one training sample is asked for
        """
        train = slice(checked_limit(n_train, len(self.train), "n_train", smallest=1))
        test = slice(checked_limit(n_test, len(self.test), "n_test", smallest=0))
        return self if n_train is None and n_test is None else self._rows(train, test)

    def _rows(self, train: slice | NDArray[np.intp], test: slice | NDArray[np.intp]) -> Dataset:
        return replace(
            self,
            train=chosen_rows(self.train, train),
            test=chosen_rows(self.test, test),
            train_labels=None if self.train_labels is None else self.train_labels[train],
            test_labels=None if self.test_labels is None else self.test_labels[test],
            attributes={},
            origin=None,
        )

    def _headline(self) -> str:
        name = self.name if len(self.name) <= _LONGEST_NAME else f"{self.name[: _LONGEST_NAME - 1]}…"
        shape = "" if self.image_shape is None else f", images {self.image_shape[0]}x{self.image_shape[1]}"
        return f"{name!r}, {len(self.train)} train + {len(self.test)} test, {self.n_visible} units{shape}"


def _order(train: tuple[str, ...] | None, test: tuple[str, ...] | None, where: str) -> list[int] | slice:
    """Where the test data hold the columns of the training data, by name where both have distinct names."""
    if train is None or test is None or train == test or len(train) != len(test):
        return slice(None)
    if len(set(train)) < len(train) or set(train) != set(test):
        bad = next((name for name in test if name not in train), test[0])
        raise DataError(f"{where}: column {bad!r} has no match in the training data; give both the same names")
    return [test.index(name) for name in train]


def _same_kind(label: Any, known: NDArray[Any]) -> Any:
    """A label as words where the data have words, as a number where they have numbers and it reads as one."""
    if known.dtype.kind == "U":
        return str(label)
    return int(label) if isinstance(label, str) and label.lstrip("-").isdigit() else label


def _positions(labels: NDArray[Any] | None, wanted: NDArray[Any]) -> NDArray[np.intp] | slice:
    return slice(None) if labels is None else np.flatnonzero(np.isin(labels, wanted))
