"""Arrays as people have them: NumPy, torch, pandas, SciPy, xarray or nested lists in, NumPy's numbers out.

The one converter behind data sets, start states and the states that models are asked about.  Values are not judged here
but for being numbers at all; missing entries of tables come out as NaN.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rbmscape.checks import in_short, shown
from rbmscape.errors import DataError
from rbmscape.memory import check_memory

__all__ = [
    "column_order",
    "dense",
    "frame_array",
    "in_order",
    "is_frame",
    "number_array",
    "on_a_device",
    "place_of",
    "real_array",
    "training_rows",
]

_LABELS_CURE = "write 0 or 1, leave that column out, or name it with labels=... (--labels) if it holds labels"


def number_array(values: Any, name: str) -> NDArray[Any]:
    """A NumPy array of bools or real numbers in native byte order, without changing any value.

    Parameters
    ----------
    values : NumPy or torch (dense or sparse), pandas (any columns of numbers), SciPy sparse, xarray, nested lists
    name : how messages call it

    Raises
    ------
    DataError : masked entries, ragged rows, or something that is no array of real numbers
    """
    _refuse_strangers(values, name)
    if is_frame(values):
        return frame_array(values, name)
    if isinstance(values, np.ma.MaskedArray):
        _refuse_masked(values, name)
    _refuse_ragged(values, name)
    try:
        array = np.asarray(dense(values, name))
        if array.dtype.kind == "O":
            array = _from_objects(array)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"{name} is no rectangular array of numbers ({in_short(error)}); give rows of equal length"
        ) from None
    if array.dtype.kind not in "buif":
        found = "no columns" if array.size == 0 else f"{array.dtype} entries such as {shown(array.flat[0])}"
        raise DataError(f"{name} has {found}; give bools, integers or floats")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def real_array(values: Any, name: str, dtype: type[np.floating[Any]] = np.float64) -> NDArray[Any]:
    """Finite real numbers of any shape, as floating-point numbers of a type.

    Raises
    ------
    DataError : no array of real numbers, or entries that are NaN or infinite
    """
    with np.errstate(over="ignore"):
        array = number_array(values, name).astype(dtype)
    if not np.isfinite(array).all():
        raise DataError(f"{name} holds NaN or infinite values; give finite numbers")
    return array


def is_frame(values: Any) -> bool:
    """Whether something is a table of pandas or its like, with a type a column."""
    return hasattr(values, "dtypes") and hasattr(values, "columns") and hasattr(values, "iloc")


def frame_array(frame: Any, name: str) -> NDArray[Any]:
    """The numbers of a table with columns of any numeric, Boolean or categorical type; gaps are NaN.

    Raises
    ------
    DataError : the first entry that is no number, with its row and column
    """
    types = list(frame.dtypes)
    kinds = {kind for kind in types if isinstance(kind, np.dtype)}
    if len(kinds) == len(set(map(str, types))) and all(kind.kind in "buif" for kind in kinds):
        return np.asarray(frame)
    values = np.empty(frame.shape, dtype=np.float64)
    for kind in {str(one): one for one in types}.values():
        columns = [position for position, one in enumerate(types) if one == kind]
        values[:, columns] = _block(frame, columns, kind, name)
    return values


def in_order(values: Any, columns: Sequence[str] | None, where: str) -> Any:
    """A table of pandas or a `rbmscape.Dataset` with its columns in the order of these names; anything else as it is.

    Parameters
    ----------
    values : what a user gave
    columns : names of a model's visible units, or None
    where : how messages call it

    Raises
    ------
    DataError : a column that the model does not know
    """
    if columns is None:
        return values
    if hasattr(values, "ordered_by"):
        return values.ordered_by(columns)
    if not is_frame(values):
        return values
    order = column_order(tuple(columns), tuple(map(str, values.columns)), where)
    return values if isinstance(order, slice) else values.iloc[:, order]


def training_rows(data: Any, where: str, columns: Sequence[str] | None = None) -> Any:
    """The training rows of a `rbmscape.Dataset`, each as often as it counts, and other rows as they are.

    Parameters
    ----------
    data : what a user gave
    where : how messages call it
    columns : names of a model's visible units, in whose order the columns are brought where both have names

    Raises
    ------
    DataError : missing entries of a Dataset, or a column that the model does not know
    """
    rows = in_order(data, columns, where)
    return rows.complete(where).train if hasattr(rows, "complete") else rows


def column_order(known: tuple[str, ...] | None, found: tuple[str, ...] | None, where: str) -> list[int] | slice:
    """Where data hold the columns that are known, by name where both have names.

    Numbers 0, 1, 2, ... in this order are no names, they only count.

    Raises
    ------
    DataError : a name that is not known, or that occurs twice
    """
    if known is None or found is None or known == found or len(known) != len(found):
        return slice(None)
    if len(set(known)) == len(known) and set(known) == set(found):
        place = {name: position for position, name in enumerate(found)}
        return [place[name] for name in known]
    counting = tuple(map(str, range(len(known))))
    if counting in (known, found):
        return slice(None)
    bad = next((name for name in found if name not in known), found[0])
    raise DataError(f"{where}: column {bad!r} has no match in the training data; give both the same names")


def place_of(index: Sequence[int], columns: Sequence[Any] | None = None) -> str:
    """Row and column, counted from 0 as in the array, with the column's name where it has one."""
    if len(index) != 2:
        return f"index {tuple(int(i) for i in index)}"
    row, column = int(index[0]), int(index[1])
    name = f" {shown(str(columns[column]))}" if columns is not None else ""
    return f"row {row}, column {column}{name} (counted from 0)"


def _block(frame: Any, columns: list[int], kind: Any, name: str) -> NDArray[np.float64]:
    """Columns of one type."""
    if hasattr(kind, "categories"):
        return np.stack([_category_codes(frame, column, name) for column in columns], axis=1)
    block = frame.iloc[:, columns]
    if getattr(kind, "kind", "O") in "buif":
        return np.asarray(block.to_numpy(dtype=np.float64, na_value=np.nan))
    return np.stack([_from_words(frame, column, frame.iloc[:, column], name) for column in columns], axis=1)


def _category_codes(frame: Any, column: int, name: str) -> NDArray[np.float64]:
    """A categorical column by the numbers that its categories are."""
    series = frame.iloc[:, column]
    categories = series.cat.categories
    if getattr(categories.dtype, "kind", "O") not in "buif":
        return _from_words(frame, column, series, name)
    known = np.append(np.asarray(categories, dtype=np.float64), np.nan)
    return np.asarray(known[series.cat.codes.to_numpy()])


def _from_words(frame: Any, column: int, series: Any, name: str) -> NDArray[np.float64]:
    """A column of Python objects, if all of them are numbers, truth values or gaps."""
    entries = series.astype(object).to_numpy()
    gaps = np.asarray(series.isna())
    words = [
        row
        for row, entry in enumerate(entries)
        if not gaps[row] and not (_is_number(entry) and _reads_as_number(entry))
    ]
    if words:
        row = next((row for row in words if not _reads_as_number(entries[row])), words[0])
        place = place_of((row, column), frame.columns)
        raise DataError(f"{name}: {shown(entries[row])} at {place} is no number; {_LABELS_CURE}")
    return np.asarray([np.nan if gap else float(entry) for entry, gap in zip(entries, gaps, strict=True)])


def _is_number(entry: Any) -> bool:
    return isinstance(entry, bool | int | float | np.bool_ | np.number) and not isinstance(entry, complex)


def _reads_as_number(entry: Any) -> bool:
    try:
        float(entry)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def on_a_device(tensor: Any, name: str) -> Any:
    """The tensor, if it has values.

    Raises
    ------
    DataError : it is on the device "meta", where tensors have shapes only
    """
    if tensor.is_meta:
        raise DataError(f"{name} is a tensor on the device 'meta', which has a shape but no values; give it values")
    return tensor


def dense(values: Any, name: str) -> Any:
    """Sparse arrays written out, tensors on the processor; everything else as it is."""
    if hasattr(values, "tocsr") and hasattr(values, "toarray"):
        needed = math.prod(values.shape) * values.dtype.itemsize
        check_memory(needed, f"{name} written out", "its shape may be wrong; choose rows or columns of it")
        return values.toarray()
    if type(values).__module__.partition(".")[0] == "torch" and hasattr(values, "is_meta"):
        import torch

        tensor = on_a_device(values, name).detach().cpu()
        tensor = tensor if tensor.layout == torch.strided else tensor.to_dense()
        return (tensor.float() if tensor.is_floating_point() and tensor.itemsize < 4 else tensor).resolve_conj().numpy()
    return values


def _from_objects(array: NDArray[Any]) -> NDArray[Any]:
    """Python's numbers and truth values as one type of NumPy; anything else stays what it is, and is refused."""
    if all(isinstance(entry, bool | np.bool_) for entry in array.flat):
        return array.astype(np.bool_)
    if all(_is_number(entry) for entry in array.flat):
        return array.astype(np.float64)
    return array


def _refuse_strangers(values: Any, name: str) -> None:
    """Data sets, loaders, runs and iterators, each with what to give in its place."""
    if hasattr(values, "train") and hasattr(values, "test"):
        raise DataError(f"{name} is a {type(values).__name__}, not an array; give its rows, .train or .test")
    if type(values).__module__.startswith("torch.utils.data"):
        raise DataError(
            f"{name} is a {type(values).__name__} of torch, not an array; give its rows, for a loader of batches "
            "torch.cat([batch[0] for batch in loader])"
        )
    if isinstance(values, Iterator):
        raise DataError(f"{name} is an iterator ({type(values).__name__}), not an array; give list(...) of its rows")


def _refuse_masked(values: np.ma.MaskedArray[Any, Any], name: str) -> None:
    masked = np.argwhere(np.ma.getmaskarray(values))
    if len(masked):
        raise DataError(f"{name}: the value at {place_of(masked[0])} is masked; fill in or drop missing values")


def _refuse_ragged(values: Any, name: str) -> None:
    """Name the first row of a nested list whose length differs, which NumPy's own message does not."""
    if not isinstance(values, list | tuple) or not values or not all(hasattr(row, "__len__") for row in values):
        return
    lengths = [len(row) for row in values]
    for row, length in enumerate(lengths):
        if length != lengths[0]:
            raise DataError(
                f"{name}: row {row} (counted from 0) has {length} values but row 0 has {lengths[0]}; "
                "give rows of equal length"
            )
