"""Opening HDF5 files of other tools: whole files only, nothing outside of them is followed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rbmscape.checks import in_short
from rbmscape.data.hdf5 import own_values
from rbmscape.errors import DiskError, FormatError

__all__ = ["is_hdf5", "opened", "read_array", "read_text"]


def is_hdf5(path: Path) -> bool:
    """Whether a file is HDF5, also behind the header that Julia writes before it."""
    import h5py

    return bool(h5py.is_hdf5(path))


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The file, for reading.

    Raises
    ------
    FormatError : it is damaged, or what is asked of it is not there
    DiskError : it cannot be read
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file
    except PermissionError as error:
        raise DiskError(f"{path} could not be read ({error.strerror or error}); check its permissions") from error
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, UnicodeDecodeError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{path} is no whole model in HDF5 ({in_short(error)}); write or copy it again") from error


def read_array(item: Any, name: str, path: Path) -> NDArray[Any]:
    """Numbers of a data set of the file itself.

    Raises
    ------
    FormatError : no data set of numbers, one that lies in other files, or one of an impossible size
    """
    import h5py

    if not isinstance(item, h5py.Dataset):
        raise FormatError(f"{path}: {name} is no array; the file is damaged or of another kind")
    if item.dtype.kind not in "biuf":
        raise FormatError(f"{path}: {name} holds no numbers (dtype {item.dtype}); the file is of another kind")
    values = np.asarray(own_values(item, name, path))
    if values.dtype.itemsize > np.dtype(np.float64).itemsize:
        raise FormatError(f"{path}: {name} holds numbers of more than 64 bits ({values.dtype}); write float64")
    return values


def read_text(item: Any, name: str, path: Path) -> str:
    """A string of the file.

    Raises
    ------
    FormatError : it is none
    """
    value = own_values(item, name, path) if hasattr(item, "shape") else None
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, str):
        return value
    raise FormatError(f"{path}: {name} is no text; the file is damaged or of another kind")
