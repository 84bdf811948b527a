"""One door to all data: embedded MNIST, synthetic sets, users' files and arrays in memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rbmscape.arguments import checked, checked_path
from rbmscape.arrays import is_frame
from rbmscape.checks import shown, suggestion
from rbmscape.data.binary_mnist import embedded_mnist
from rbmscape.data.dataset import Contents, Dataset
from rbmscape.data.ising import ising
from rbmscape.data.packed import PackedBits
from rbmscape.data.readers import FORMATS, map_packed, read_file
from rbmscape.data.split import split, with_validation
from rbmscape.data.synthetic import bars_and_stripes, planted
from rbmscape.data.tables import split_frame
from rbmscape.data.weight_columns import DUPLICATES, with_weights
from rbmscape.errors import DataError
from rbmscape.recipe import plain_value

__all__ = ["DATASET_NAMES", "DEFAULT_TEST_FRACTION", "is_file", "load_dataset"]

DATASET_NAMES = ("mnist", "bars-and-stripes", "planted", "ising")
DEFAULT_TEST_FRACTION = 0.2

_FOR_FILES = (
    "n_visible", "threshold", "test", "test_fraction", "groups", "stratify", "labels", "key", "image_shape", "n_train",
    "n_test", "weights", "states", "missing", "validation_fraction",
)  # fmt: skip
_APPLIES = {
    "mnist": ("n_train", "n_test", "validation_fraction"),
    "bars-and-stripes": ("image_shape", "validation_fraction"),
    "planted": ("n_visible", "rank", "strengths", "n_train", "n_test", "validation_fraction"),
    "ising": ("image_shape", "temperature", "n_train", "n_test", "validation_fraction"),
    "an array": tuple(option for option in _FOR_FILES if option != "key"),
    "a file": _FOR_FILES,
}
"""Options that mean something for each source; the others are refused there."""


@checked
def load_dataset(
    source: str | os.PathLike[str] | ArrayLike,
    *,
    threshold: float | None = None,
    test: str | os.PathLike[str] | ArrayLike | None = None,
    test_fraction: float | None = None,
    groups: ArrayLike | None = None,
    stratify: bool | None = None,
    labels: str | int | ArrayLike | None = None,
    key: str | None = None,
    image_shape: tuple[int, int] | None = None,
    digits: Iterable[Any] | None = None,
    n_train: int | None = None,
    n_test: int | None = None,
    n_visible: int | None = None,
    rank: int | None = None,
    strengths: Sequence[float] | None = None,
    temperature: float | None = None,
    weights: str | int | ArrayLike | None = None,
    states: str | None = None,
    missing: str | None = None,
    validation_fraction: float | None = None,
    seed: int = 0,
) -> Dataset:
    """Load binary data and check them.

    Parameters
    ----------
    source : "mnist" (60 000 + 10 000 images, pixel >= 128), "bars-and-stripes", "planted", "ising", an array in
        memory (n, n_visible) or (n, height, width), or the path of a .npy, .npz, .csv, .parquet, .h5 or .hdf5 file
    threshold : files and arrays: values >= threshold become 1; without it only 0 and 1 are accepted
    test : files and arrays: another file or array that holds the test data
    test_fraction : files and arrays: fraction of the rows, drawn without replacement by ``seed``, that become test data
        (default 0.2, at least one row; 0 sets nothing aside).  A file with the arrays ``train`` and ``test`` is split.
    groups : one group a row (a patient, a video): all rows of a group go to the same part, so that the test data are
        not near copies of training data
    stratify : with True each class has the same share of the test data, as far as whole rows allow; needs labels
    labels : one label a sample as an array, or where the file has them: the key of an array in .npz and HDF5
        (``labels`` is found by itself), the name or number of a column in .csv and .parquet
    key : array inside an .npz or HDF5 file; by default ``samples`` (the layout of the package rbms), ``train`` with
        ``test``, or the only array with two or three axes
    image_shape : (height, width) of a sample; for "bars-and-stripes" its size, by default (4, 4), for "ising" (16, 16)
    digits : only the samples with these labels
    n_train, n_test : "planted" and "ising": samples to draw; else only the first ones, for quick runs
    n_visible : of an .npy file or an array of packed bits, as from ``numpy.packbits(rows, axis=1)`` or
        `rbmscape.data.write.write_packed`: units a row; the file is mapped and not read.  Units of "planted"
    rank, strengths : "planted" only, see `rbmscape.data.synthetic.planted`
    temperature : "ising" only, see `rbmscape.data.ising.ising`; 2.0 by default
    weights : files and arrays: how often each row counts, as an array, or the key, name or number of the weights as for
        labels; whole numbers count rows, others matter up to a factor; "duplicates" merges equal rows, with their
        number as weight
    states : files and arrays: "spins" for data of -1 and 1; "bits" by default
    missing : files and arrays: "marginalize" keeps missing entries, over which training and likelihoods sum; by
        default they are refused
    validation_fraction : this part of the training rows, drawn by ``seed``, takes the place of the test data, which are
        left out: for choosing among models without a look at them
    seed : of the splits, of "planted" and of "ising"

    Returns
    -------
    Dataset; columns that never change and repeated rows are kept; one column is enough, one row with test_fraction=0

    Raises
    ------
    DataError : an unknown name or file, an option that does not apply, values other than 0 and 1, empty or ragged data
    ShapeError : wrong axes, widths or image shape
    FormatError : a damaged file
    DiskError : a file that cannot be read
    """
    kind = _kind(source)
    digits = None if digits is None else _labels_wanted(digits)
    given: dict[str, Any] = {
        "threshold": threshold, "test": test, "test_fraction": test_fraction, "groups": groups,
        "stratify": stratify or None, "labels": labels, "key": key,
        "image_shape": image_shape, "n_train": n_train, "n_test": n_test, "n_visible": n_visible, "rank": rank,
        "strengths": strengths, "temperature": temperature, "weights": weights, "states": states, "missing": missing,
        "validation_fraction": validation_fraction,
    }  # fmt: skip
    options = {name: value for name, value in given.items() if value is not None}
    _refuse_options(kind, options)
    origin = _origin(kind, source, options, digits, seed)
    options.pop("validation_fraction", None)
    limits: dict[str, int | None] = {"n_train": options.pop("n_train", None), "n_test": options.pop("n_test", None)}
    if kind == "mnist":
        dataset = embedded_mnist()
    elif kind == "bars-and-stripes":
        dataset = bars_and_stripes(**options)
    elif kind in ("planted", "ising"):
        sizes: dict[str, Any] = {name: value for name, value in limits.items() if value is not None}
        dataset, limits = (planted if kind == "planted" else ising)(**options, **sizes, seed=seed), {}
    else:
        dataset = _users_data(source, seed=seed, **options)
    if digits is not None:
        dataset = dataset.with_labels(digits)
    dataset = dataset.limited(**limits)
    if validation_fraction is not None:
        dataset = with_validation(dataset, validation_fraction, seed, groups, stratify)
    return replace(dataset, origin=origin)


def _labels_wanted(digits: Any) -> tuple[Any, ...]:
    if isinstance(digits, str) or not isinstance(digits, Iterable):
        raise DataError(f"digits is {digits!r}; give several labels, for example digits=[0, 1]")
    return tuple(digits)


def is_file(source: str) -> bool:
    """Whether a source is a file, and not the name of a data set.

    Raises
    ------
    DataError : there is neither
    """
    return _kind(source) == "a file"


def _kind(source: Any) -> str:
    if not isinstance(source, str | os.PathLike):
        return "an array"
    name = os.fspath(source)
    if isinstance(source, str) and name.lower() in DATASET_NAMES:
        return name.lower()
    path = Path(checked_path("source", source)) if name else None
    if path and (path.exists() or path.suffix.lower() in FORMATS or len(path.parts) > 1):
        return "a file"
    cure = suggestion(name.lower(), DATASET_NAMES, f"use {', '.join(DATASET_NAMES)} or the path of a file")
    raise DataError(f"there is no data set and no file called {shown(name)}; {cure}")


def _refuse_options(kind: str, options: dict[str, Any]) -> None:
    for name in options:
        if name not in _APPLIES[kind]:
            reason = (
                "; its pixels are thresholded at 128 of 255 already" if (kind, name) == ("mnist", "threshold") else ""
            )
            raise DataError(
                f"{name} does not apply to {kind}{reason}; leave it out (options there: {', '.join(_APPLIES[kind])})"
            )


def _origin(
    kind: str, source: Any, options: Mapping[str, Any], digits: tuple[Any, ...] | None, seed: int
) -> dict[str, Any] | None:
    """The call in JSON types, files by absolute path; None where an array was given."""
    parts = dict(options) | ({} if digits is None else {"digits": digits}) | ({"seed": seed} if seed else {})
    parts = {name: part if name in ("test", "labels", "weights") else plain_value(part) for name, part in parts.items()}
    if isinstance(parts.get("test"), str | os.PathLike):
        parts["test"] = str(Path(parts["test"]).resolve())
    if kind == "an array" or not all(isinstance(part, str | int | float | tuple | list) for part in parts.values()):
        return None
    plain = {name: list(part) if isinstance(part, tuple) else part for name, part in parts.items()}
    return {"source": str(Path(os.fspath(source)).resolve()) if kind == "a file" else kind, "options": plain}


def _users_data(
    source: Any,
    *,
    seed: int,
    threshold: float | None = None,
    test: Any = None,
    test_fraction: float | None = None,
    groups: Any = None,
    stratify: bool | None = None,
    labels: Any = None,
    key: str | None = None,
    image_shape: tuple[int, int] | None = None,
    n_visible: int | None = None,
    weights: Any = None,
    states: str = "bits",
    missing: str = "refuse",
) -> Dataset:
    """Read, check, and split unless the test data come on their own."""
    given = None if isinstance(weights, str) and weights == DUPLICATES else weights
    contents = with_weights(_contents(source, key, labels, n_visible), source, given, labels)
    if test is not None:
        if test_fraction is not None:
            raise DataError("test and test_fraction were both given; choose one of them")
        # A label array belongs to the training samples; the name of a key or column holds for both files.
        other = _contents(test, key, labels if isinstance(labels, str | int) else None, n_visible)
        other = with_weights(other, test, given if isinstance(given, str | int) else None, labels)
        elsewhere = other.where if isinstance(test, str | os.PathLike) else ""
        contents = replace(
            contents, test=other.train, test_labels=other.train_labels, test_weights=other.train_weights,
            test_columns=other.columns, test_where=elsewhere,
        )  # fmt: skip
    name = Path(os.fspath(source)).stem if isinstance(source, str | os.PathLike) else "array"
    kinds: dict[str, Any] = {"threshold": threshold, "states": states, "missing": missing}
    dataset = Dataset.from_contents(contents, name=name, image_shape=image_shape, **kinds)
    if contents.test is None:
        fraction = DEFAULT_TEST_FRACTION if test_fraction is None else test_fraction
        dataset = split(dataset, fraction, seed, groups, stratify)
    elif groups is not None or stratify:
        raise DataError(f"{name} comes split, which leaves nothing to groups and stratify; leave them out")
    return dataset if given is weights else dataset.merged()


def _contents(source: Any, key: str | None, labels: Any, n_visible: int | None) -> Contents:
    named = isinstance(labels, str | int) and not isinstance(labels, bool)
    if is_frame(source):
        table = split_frame("the table", source, tuple(map(str, source.columns)), str(labels) if named else None)
        found = table.labels if named else labels
        return Contents(table.values, train_labels=found, columns=table.columns, where="the table")
    if not isinstance(source, str | os.PathLike):
        if named:
            raise DataError(f"labels={labels!r} names a part of a file; give an array's labels as an array")
        rows = source if n_visible is None else PackedBits(np.asarray(source), n_visible)
        return Contents(rows, train_labels=labels, where="the array")
    if n_visible is not None:
        return Contents(map_packed(Path(source), n_visible), train_labels=labels, where=str(source))
    contents = read_file(Path(source), key, str(labels) if named else None)
    return contents if labels is None or named else replace(contents, train_labels=labels)
