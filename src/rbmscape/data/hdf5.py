"""Arrays of HDF5 files that are in the file itself; nothing outside of it is followed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from rbmscape.errors import FormatError

__all__ = ["own_values"]

_SMALL: Final = 2**28
_TIGHTEST: Final = 2000
"""Bytes of an array for each byte in the file at most; deflate reaches 1032."""


def own_values(item: Any, name: str, path: Path) -> Any:
    """All values of a data set.

    Parameters
    ----------
    item : the data set of h5py
    name, path : how messages call it and its file

    Raises
    ------
    FormatError : its values lie in other files, any of which would be read as numbers, or they would be more than
        256 MiB and more than the file can hold in compressed form
    """
    if item.external or item.is_virtual:
        raise FormatError(f"{path}: {name} takes its numbers from other files, which are not followed; copy them in")
    claimed = item.size * item.dtype.itemsize if item.size is not None else 0
    if claimed > max(_SMALL, _TIGHTEST * item.id.get_storage_size()):
        raise FormatError(f"{path}: {name} claims {claimed:.1e} bytes; the file is damaged")
    return item[()]
