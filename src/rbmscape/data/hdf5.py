"""Arrays of HDF5 files that are in the file itself; nothing outside of it is followed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from rbmscape.errors import FormatError

__all__ = ["own_values"]

_SMALL: Final = 2**30
_TIGHTEST: Final = 2000
"""Bytes of an array for each byte in the file at most; deflate reaches 1032."""


def own_values(item: Any, name: str, path: Path, largest: int | None = None) -> Any:
    """All values of a data set.

    Parameters
    ----------
    item : the data set of h5py
    name, path : how messages call it and its file
    largest : bytes that it may have; by default 1 GiB, or what the file can hold in compressed form

    Raises
    ------
    FormatError : its values lie in other files, any of which would be read as numbers, or its size is impossible
    """
    if item.external or item.is_virtual:
        raise FormatError(f"{path}: {name} takes its numbers from other files, which are not followed; copy them in")
    claimed = item.size * item.dtype.itemsize if item.size is not None else 0
    if claimed > (max(_SMALL, _TIGHTEST * item.id.get_storage_size()) if largest is None else largest):
        raise FormatError(f"{path}: {name} claims {claimed:.1e} bytes; the file is damaged")
    return item[()]
