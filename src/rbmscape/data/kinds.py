"""Rows that are not plain bits, made so: spins -1 and 1, and missing entries that are kept as such.

A missing entry is `MISSING` in the uint8 arrays of a `rbmscape.Dataset`, a value that whatever expects bits refuses, so
that nothing takes it for a zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rbmscape.arrays import number_array, place_of
from rbmscape.data.packed import PackedBits
from rbmscape.data.validate import Table, as_binary
from rbmscape.errors import DataError

__all__ = ["MISSING", "MISSING_CHOICES", "STATES", "as_rows", "has_missing"]

MISSING: Final = 255
STATES: Final = ("bits", "spins")
MISSING_CHOICES: Final = ("refuse", "marginalize")


def as_rows(
    data: Any,
    *,
    threshold: float | None,
    states: str,
    missing: str,
    where: str,
    columns: Sequence[str] | None = None,
) -> Table:
    """Checked rows of bits, with `MISSING` where an entry is unknown and that is allowed.

    Parameters
    ----------
    data, threshold : as in `rbmscape.data.validate.as_binary`
    states : "bits", or "spins" for entries -1 and 1, of which 1 becomes the bit 1
    missing : "refuse", or "marginalize" for entries that are NaN, empty or masked to be kept as missing
    where, columns : as there

    Raises
    ------
    DataError : an unknown kind of states or way with missing entries, and as from `as_binary`
    """
    for name, value, choices in (("states", states, STATES), ("missing", missing, MISSING_CHOICES)):
        if value not in choices:
            raise DataError(f"{name} is {value!r}; choose {' or '.join(map(repr, choices))}")
    marks = None
    if missing == "marginalize":
        data, marks = _without_gaps(data, where)
    if states == "spins":
        data, threshold = _checked_spins(data, where, columns, threshold), 0.0
    table = as_binary(data, threshold=threshold, where=where, columns=columns)
    if marks is not None:
        table.values[marks.reshape(table.values.shape)] = MISSING
    return table


def has_missing(rows: Any) -> bool:
    """Whether an entry of written out rows is missing; packed bits have none."""
    return not isinstance(rows, PackedBits) and bool(len(rows)) and int(rows.max()) == MISSING


def _without_gaps(data: Any, where: str) -> tuple[Any, NDArray[np.bool_] | None]:
    """The array with ones in its gaps, which all kinds of states allow, and where they are; None where nowhere."""
    if isinstance(data, PackedBits) or (hasattr(data, "tocsr") and not np.isnan(data.tocsr().data).any()):
        return data, None
    masked = np.ma.getmaskarray(data) if isinstance(data, np.ma.MaskedArray) else None
    array = number_array(data.data if isinstance(data, np.ma.MaskedArray) else data, where)
    marks = np.isnan(array) if array.dtype.kind == "f" else np.zeros(array.shape, dtype=np.bool_)
    marks = marks if masked is None else marks | masked
    if not marks.any():
        return array, None
    return np.where(marks, np.ones((), dtype=array.dtype), array), marks


def _checked_spins(data: Any, where: str, columns: Sequence[str] | None, threshold: float | None) -> NDArray[Any]:
    """The array, if all its entries are -1 or 1."""
    if threshold is not None:
        raise DataError(f"{where}: spins need no threshold, found {threshold}; leave out threshold or states='spins'")
    array = number_array(data, where)
    wrong = (array != 1) & (array != -1) & (array == array)  # gaps are refused with the other checks
    if wrong.any():
        place = np.argwhere(wrong)[0]
        raise DataError(
            f"{where}: the value {array[tuple(place)]} at {place_of(place, columns)} is neither -1 nor 1; leave out "
            "states='spins' for data of 0 and 1"
        )
    return array
