"""Binary data: what a Restricted Boltzmann Machine of arXiv:2503.21536 (section 2) is trained on and judged by.

Shapes: images are rows, (n_samples, n_visible), uint8 entries 0 or 1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rbmscape.arguments import checked
from rbmscape.arrays import column_order, place_of
from rbmscape.brief import OneLine
from rbmscape.checks import check_choice
from rbmscape.data.kinds import MISSING, as_rows, has_missing
from rbmscape.data.packed import chosen_rows, packed_rows, row_blocks
from rbmscape.data.validate import as_labels, checked_image_shape, checked_limit, checked_rows
from rbmscape.data.weighting import as_weights, merged_rows, represented, rows_a_pass
from rbmscape.errors import DataError, ShapeError

__all__ = ["Binary", "Contents", "Dataset"]

Binary = NDArray[np.uint8]


_LONGEST_NAME = 80
_PARTS = {"train": "training", "test": "test"}


@dataclass(frozen=True, eq=False, repr=False)
class Contents(OneLine):
    """Arrays that a user or a file gave, not checked yet.

    Parameters
    ----------
    train, test : samples in rows; test is None where the file does not come split
    train_labels, test_labels : one label a row, or None
    train_weights, test_weights : one weight a row, or None
    columns : names of the columns, or None
    where, test_where : how messages call the array, and the test data that come from elsewhere
    test_columns : names of the columns of test data that come from elsewhere, or None
    """

    train: Any
    test: Any = None
    train_labels: Any = None
    test_labels: Any = None
    train_weights: Any = None
    test_weights: Any = None
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
    train : (n_train, n_visible) uint8, entries 0 or 1, at least one row; a missing entry, which only
        ``missing="marginalize"`` lets in, is 255, which whatever expects bits refuses
    test : (n_test, n_visible) uint8; zero rows where no test data were set aside
    train_labels, test_labels : (n_train,), (n_test,) integers or strings, or None
    train_weights, test_weights : (n_train,), (n_test,) float64, how often a row counts, or None
    states : "bits", or "spins" where a bit 1 stands for +1 and a bit 0 for -1
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
    train_weights: NDArray[np.float64] | None = None
    test_weights: NDArray[np.float64] | None = None
    states: str = "bits"

    @classmethod
    @checked
    def from_array(
        cls,
        train: ArrayLike,
        test: ArrayLike | None = None,
        *,
        name: str = "array",
        train_labels: ArrayLike | None = None,
        test_labels: ArrayLike | None = None,
        train_weights: ArrayLike | None = None,
        test_weights: ArrayLike | None = None,
        image_shape: tuple[int, int] | None = None,
        threshold: float | None = None,
        states: str = "bits",
        missing: str = "refuse",
    ) -> Dataset:
        """Check arrays that are in memory already and make a data set of them; nothing is split or shuffled.

        Parameters
        ----------
        train, test : (n, n_visible) or (n, height, width): NumPy, torch or nested lists; 0 or 1 as bool, int or float
        train_labels, test_labels : (n,) integers or strings
        train_weights, test_weights : (n,) how often a row counts, see `rbmscape.data.weighting`
        image_shape : (height, width); taken from three-dimensional arrays when absent
        threshold : values >= threshold become 1, the others 0
        states : "spins" for entries -1 and 1
        missing : "marginalize" keeps missing entries (NaN or masked), over which training and likelihoods sum

        Raises
        ------
        DataError : empty, ragged, missing or non-binary values (with the value and its position)
        ShapeError : wrong number of axes, different widths of train and test, an image shape of another size
        """
        contents = Contents(train, test, train_labels, test_labels, train_weights, test_weights, where=name)
        kinds: dict[str, Any] = {"threshold": threshold, "states": states, "missing": missing}
        return cls.from_contents(contents, name=name, image_shape=image_shape, **kinds)

    @classmethod
    @checked
    def from_contents(
        cls,
        contents: Contents,
        *,
        name: str,
        image_shape: tuple[int, int] | None,
        threshold: float | None,
        states: str = "bits",
        missing: str = "refuse",
    ) -> Dataset:
        """Check unchecked arrays and make a data set of them; errors as those of `from_array`."""
        where = contents.where or name
        checked = partial(as_rows, threshold=threshold, states=states, missing=missing)
        table = checked(contents.train, where=where, columns=contents.columns)
        n_visible = table.values.shape[1]
        test = np.empty((0, n_visible), dtype=np.uint8)
        if contents.test is not None:
            test_where = contents.test_where or f"{where}, test data"
            test_names = contents.test_columns
            test = checked(contents.test, where=test_where, columns=test_names).values
            order = column_order(contents.columns, test_names, test_where)
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
            train_weights=as_weights(contents.train_weights, len(table.values), f"{where}, weights"),
            test_weights=as_weights(contents.test_weights, len(test), f"{where}, test weights"),
            states=states,
        )

    @property
    def n_visible(self) -> int:
        """Visible units N: columns of the data."""
        return int(self.train.shape[1])

    @property
    def mean(self) -> NDArray[np.float64]:
        """(n_visible,) fraction of ones in each column of the training data, by weight and of what is known; exact."""
        if self.train_weights is None and not self.has_missing:
            return np.asarray(self.train.mean(axis=0, dtype=np.float64))
        rows = np.asarray(self.train)
        weights = np.ones(len(rows)) if self.train_weights is None else self.train_weights
        known = weights @ (rows != MISSING)
        return np.asarray(weights @ (rows == 1) / np.where(known > 0, known, 1.0))

    @property
    def has_missing(self) -> bool:
        """Whether a training or test row has a missing entry."""
        return has_missing(self.train) or has_missing(self.test)

    @property
    def rows_a_pass(self) -> int:
        """Training rows in one pass over the data: the sum of whole weights, else the number of rows."""
        return rows_a_pass(self.train_weights, len(self.train))

    @checked
    def complete(self, purpose: str) -> Dataset:
        """The same data without weights, each row as often as it counts in a pass, for what knows plain rows only.

        Raises
        ------
        DataError : an entry is missing
        """
        for part in ("train", "test"):
            rows = getattr(self, part)
            if has_missing(rows):
                place = place_of(np.argwhere(rows == MISSING)[0], self.columns)
                raise DataError(
                    f"{purpose} needs complete rows, found a missing entry at {place} of the {_PARTS[part]} rows of "
                    f"{self.name}; draw what is missing with conditional_samples, or leave those rows out"
                )
        return self.repeated()

    def repeated(self) -> Dataset:
        """The same data without weights, each row as often as it counts in a pass; gaps stay."""
        if self.train_weights is None and self.test_weights is None:
            return self
        train, test = represented(self.train, self.train_weights), represented(self.test, self.test_weights)
        none: dict[str, Any] = dict.fromkeys(("train_weights", "test_weights", "train_labels", "test_labels"))
        return replace(self, train=train, test=test, **none)

    @checked
    def ordered_by(self, columns: Sequence[str] | None) -> Dataset:
        """The same data with the columns in the order of these names; as they are where either has no names.

        Raises
        ------
        DataError : a name that the other does not have
        """
        order = column_order(None if columns is None else tuple(columns), self.columns, self.name)
        if isinstance(order, slice):
            return self
        kept = None if columns is None else tuple(columns)
        return replace(self, train=self.train[:, order], test=self.test[:, order], columns=kept, origin=None)

    @checked
    def part(self, name: str) -> Dataset:
        """The "train" or the "test" rows alone, as training rows with what belongs to them."""
        check_choice("name", name, ("train", "test"))
        rows, weights = getattr(self, name), getattr(self, f"{name}_weights")
        none: dict[str, Any] = dict.fromkeys(("train_labels", "test_labels", "test_weights"))
        return replace(self, train=rows, test=rows[:0], train_weights=weights, **none)

    def merged(self) -> Dataset:
        """The same data with each distinct row once and its number of copies as its weight; labels are dropped."""
        train, train_weights = merged_rows(self.train, self.train_weights)
        test, test_weights = merged_rows(self.test, self.test_weights)
        none: dict[str, Any] = dict.fromkeys(("train_labels", "test_labels", "origin"))
        return replace(self, train=train, test=test, train_weights=train_weights, test_weights=test_weights, **none)

    @property
    def constant_columns(self) -> NDArray[np.intp]:
        """Indices of the columns that are always 0 or always 1 in the training data.

        They are allowed: the maximum-likelihood bias of such a unit is infinite, so training has to smooth it.
        """
        return np.flatnonzero((self.mean == 0.0) | (self.mean == 1.0))

    @property
    def fingerprint(self) -> str:
        """SHA-256 (64 hexadecimal digits) of shapes, bits, missing entries and weights; labels and names do not enter.

        Runs record it, so that a run is not continued with other data.
        """
        digest = hashlib.sha256(b"rbmscape data 1")
        for array in (self.train, self.test):
            digest.update(np.array(array.shape, dtype="<u8").tobytes())
            for block in row_blocks(array.shape):
                digest.update(packed_rows(array, block).tobytes())
            if has_missing(array):
                digest.update(np.packbits(array == MISSING, axis=1).tobytes())
        for weights in (self.train_weights, self.test_weights):
            if weights is not None:
                digest.update(np.ascontiguousarray(weights, dtype="<f8").tobytes())
        return digest.hexdigest()

    @checked
    def with_labels(self, labels: Iterable[Any]) -> Dataset:
        """The samples whose label is one of ``labels``; known attributes of the whole set are dropped.

        Raises
        ------
        DataError : there are no labels, or no training sample has one of them
        """
        if self.train_labels is None:
            raise DataError(f"{self.name} has no labels to choose from; load it with labels=...")
        known = np.unique(self.train_labels)
        wanted = np.asarray(as_labels([_same_kind(label, known) for label in labels], len(list(labels)), "labels"))
        unknown = [label for label in wanted.tolist() if label not in known.tolist()]
        if unknown or not wanted.size:
            found = f"no label {unknown[0]!r}" if unknown else "no label was asked for"
            raise DataError(f"{self.name}: {found}; the labels are {', '.join(str(k) for k in known[:20].tolist())}")
        return self._rows(_positions(self.train_labels, wanted), _positions(self.test_labels, wanted))

    @checked
    def limited(self, n_train: int | None = None, n_test: int | None = None) -> Dataset:
        """The first ``n_train`` and ``n_test`` samples, or all where None; for quick runs.

        Raises
        ------
        DataError : fewer samples are there, less than one training sample is asked for, or all that are left have
            the weight 0
        """
        train = slice(checked_limit(n_train, len(self.train), "n_train", smallest=1))
        test = slice(checked_limit(n_test, len(self.test), "n_test", smallest=0))
        return self if n_train is None and n_test is None else self._rows(train, test)

    def _rows(self, train: slice | NDArray[np.intp], test: slice | NDArray[np.intp]) -> Dataset:
        parts: dict[str, Any] = {
            f"{part}{name}": None if (array := getattr(self, f"{part}{name}")) is None else chosen_rows(array, rows)
            for part, rows in (("train", train), ("test", test))
            for name in ("", "_labels", "_weights")
        }
        return replace(self, **self._weighted(parts), attributes={}, origin=None)

    def divided(self, test: NDArray[np.intp], train: NDArray[np.intp]) -> Dataset:
        """Training rows cut into test and training data, with what belongs to them.

        Raises
        ------
        DataError : all rows of a part have the weight 0
        """
        test, train = checked_rows(test, "test"), checked_rows(train, "train")
        parts: dict[str, Any] = {
            f"{part}{name}": None if (array := getattr(self, f"train{name}")) is None else chosen_rows(array, rows)
            for part, rows in (("train", train), ("test", test))
            for name in ("", "_labels", "_weights")
        }
        return replace(self, **self._weighted(parts))

    def _weighted(self, parts: dict[str, Any]) -> dict[str, Any]:
        """The parts, if each that has rows has one that counts."""
        for part in ("train", "test"):
            weights = parts[f"{part}_weights"]
            if weights is not None and len(weights) and not weights.any():
                raise DataError(
                    f"{self.name}: all {len(weights)} {part} rows have the weight 0; leave out rows of weight 0 "
                    "before the data are divided"
                )
        return parts

    def _headline(self) -> str:
        name = self.name if len(self.name) <= _LONGEST_NAME else f"{self.name[: _LONGEST_NAME - 1]}…"
        shape = "" if self.image_shape is None else f", images {self.image_shape[0]}x{self.image_shape[1]}"
        kind = "spins" if self.states == "spins" else "units"
        more = f"{', weighted' * (self.train_weights is not None)}{', with missing entries' * self.has_missing}"
        return f"{name!r}, {len(self.train)} train + {len(self.test)} test, {self.n_visible} {kind}{shape}{more}"


def _same_kind(label: Any, known: NDArray[Any]) -> Any:
    """A label as words where the data have words, as a number where they have numbers and it reads as one."""
    if known.dtype.kind == "U":
        return str(label)
    return int(label) if isinstance(label, str) and label.lstrip("-").isdigit() else label


def _positions(labels: NDArray[Any] | None, wanted: NDArray[Any]) -> NDArray[np.intp] | slice:
    return slice(None) if labels is None else np.flatnonzero(np.isin(labels, wanted))
