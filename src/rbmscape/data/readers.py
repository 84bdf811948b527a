"""Users' files: .npy, .npz, .csv, .parquet and HDF5, read as numbers only (nothing is ever unpickled).

An .npz file may also be what `scipy.sparse.save_npz` wrote.

Each reader returns `Contents`: the arrays as they are in the file; `rbmscape.data.validate` checks their values.
HDF5 files may have the layout of the package rbms: ``samples`` (n, n_visible) and optionally ``labels`` (n,).
"""

from __future__ import annotations

import errno
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from rbmscape.checks import in_short, suggestion
from rbmscape.data.dataset import Contents
from rbmscape.data.hdf5 import own_values
from rbmscape.data.packed import PackedBits
from rbmscape.data.tables import read_csv, read_parquet
from rbmscape.errors import DataError, DiskError, FormatError, ShapeError

__all__ = ["FORMATS", "map_packed", "read_file"]

_MAGIC = {
    b"\x93NUMPY": ".npy",
    b"PK\x03\x04": ".npz",
    b"PK\x05\x06": ".npz",
    b"\x89HDF\r\n\x1a\n": ".h5",
    b"PAR1": ".parquet",
}
"""First bytes of the binary formats."""

FORMATS = {".npy": ".npy", ".npz": ".npz", ".csv": ".csv", ".parquet": ".parquet", ".h5": ".h5", ".hdf5": ".h5"}
"""Known endings and the format that each stands for."""

_TIGHTEST: Final = 1100
"""Bytes for each byte of a deflated array at most, which is 1032 times, and some for a short one."""

_SPARSE = {"data", "shape", "format"}
"""Arrays in every file of `scipy.sparse.save_npz`."""

_DAMAGED = (
    ValueError, KeyError, TypeError, EOFError, SyntaxError, RuntimeError, OverflowError, MemoryError,
    tokenize.TokenError, struct.error, zlib.error, zipfile.BadZipFile,
)  # fmt: skip
"""What NumPy and zipfile were seen to raise on damaged files."""


def read_file(path: Path, key: str | None = None, labels: str | None = None) -> Contents:
    """Read a data file by its ending.

    Parameters
    ----------
    path : file that ends in .npy, .npz, .csv, .parquet, .h5 or .hdf5
    key : the array inside an .npz or HDF5 file; where absent: ``samples``, else ``train`` (and ``test``), else the
        only array that could be data
    labels : the array of labels inside an .npz or HDF5 file (``labels`` is found by itself), or a column's name or
        number in a .csv or .parquet file

    Raises
    ------
    DataError : no such file, key or column; an ending that is not known; ragged or empty text
    FormatError : the file is damaged or is not what its ending says
    DiskError : the file cannot be read
    """
    kind = _format_of(path)
    if kind in (".npy", ".csv", ".parquet") and key is not None:
        raise DataError(f"{path}: key={key!r} names an array inside .npz and .h5 files; leave it out for {kind}")
    if kind == ".npy" and labels is not None:
        raise DataError(f"{path}: an .npy file holds one array and no labels; give the labels themselves as an array")
    try:
        if kind == ".npy":
            return Contents(_read_npy(path), where=str(path))
        if kind in (".csv", ".parquet"):
            table = (read_csv if kind == ".csv" else read_parquet)(path, labels)
            return Contents(table.values, train_labels=table.labels, columns=table.columns, where=str(path))
        return _read_npz(path, key, labels) if kind == ".npz" else _read_hdf5(path, key, labels)
    except OSError as error:
        raise DiskError(f"{path} could not be read ({error.strerror or error}); check its permissions") from error


def _format_of(path: Path) -> str:
    """The format that the ending promises, after the first bytes confirmed it."""
    if path.is_dir():
        raise DataError(f"{path} is a directory; give one data file ({', '.join(FORMATS)})")
    if not path.is_file():
        raise DataError(f"there is no file {path}; check the path")
    try:
        with open(path, "rb") as handle:
            head = handle.read(8)
    except OSError as error:
        raise DiskError(f"{path} could not be read ({error.strerror or error}); check its permissions") from error
    ending = path.suffix.lower()
    found = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)
    if ending not in FORMATS:
        hint = f"its content looks like {found}" if found else suggestion(ending, FORMATS, f"use {', '.join(FORMATS)}")
        raise DataError(f"{path}: files that end in {ending or 'nothing'!r} are not read; {hint}")
    if not head:
        raise DataError(f"{path} is an empty file (0 bytes); write the data again")
    promised = FORMATS[ending]
    if found != (None if promised == ".csv" else promised):
        looks = f"its content looks like {found}; rename it" if found else "it is damaged or of another kind"
        raise FormatError(f"{path} is no {promised} file: {looks}")
    return promised


def _read_npy(path: Path) -> Any:
    try:
        with open(path, "rb") as handle:
            _check_claim(*_header(handle), str(path), path.stat().st_size)
            handle.seek(0)
            return np.lib.format.read_array(handle, allow_pickle=False)
    except FormatError:
        raise
    except _DAMAGED as error:
        raise _numpy_error(str(path), error) from error


def map_packed(path: Path, n_visible: int) -> PackedBits:
    """The packed bits of an .npy file, mapped into memory.

    Raises
    ------
    DataError : no .npy file
    ShapeError : the file's rows have not the bytes of so many units
    FormatError : the file is damaged
    """
    if _format_of(path) != ".npy":
        raise DataError(f"{path}: n_visible={n_visible} is for packed bits in an .npy file; leave it out")
    try:
        with open(path, "rb") as handle:
            _check_claim(*_header(handle), str(path), path.stat().st_size)
        return PackedBits(np.load(path, mmap_mode="r", allow_pickle=False), n_visible)
    except ShapeError as error:
        raise ShapeError(f"{path}: {error}") from None
    except FormatError:
        raise
    except _DAMAGED as error:
        raise _numpy_error(str(path), error) from error


def _numpy_error(where: str, error: Exception) -> DataError | FormatError:
    if "Object arrays" in str(error):
        return DataError(
            f"{where} holds Python objects, which are not loaded for safety; save plain numbers (dtype uint8)"
        )
    return FormatError(f"{where} is damaged ({in_short(error)}); write or copy it again")


def _read_npz(path: Path, key: str | None, labels: str | None) -> Contents:
    try:
        with zipfile.ZipFile(path) as archive:
            axes = {name[:-4]: _npy_axes(archive, name) for name in archive.namelist() if name.endswith(".npy")}

            def fetch(name: str) -> Any:
                entry = archive.getinfo(f"{name}.npy")
                with archive.open(entry) as handle:
                    possible = min(entry.file_size, _TIGHTEST * entry.compress_size)
                    _check_claim(*_header(handle), f"{name} of {path}", possible)
                with archive.open(entry) as handle:
                    return np.lib.format.read_array(handle, allow_pickle=False)

            if key is None and set(axes) >= _SPARSE:
                return Contents(_sparse(fetch), where=str(path))
            return _from_keys(path, axes, fetch, key, labels)
    except (DataError, FormatError):
        raise
    except _DAMAGED as error:
        raise _numpy_error(str(path), error) from error
    except OSError as error:
        if error.errno == errno.EINVAL:  # an offset inside the damaged archive points nowhere
            raise _numpy_error(str(path), error) from error
        raise


def _sparse(fetch: Callable[[str], Any]) -> Any:
    """What `scipy.sparse.save_npz` wrote."""
    import scipy.sparse

    form = fetch("format").item()
    name = form.decode() if isinstance(form, bytes) else str(form)
    data, (height, width) = fetch("data"), fetch("shape").tolist()
    shape = int(height), int(width)
    if data.dtype.kind not in "biuf":
        raise ValueError(f"sparse data of type {data.dtype} are no numbers")
    if name == "coo":
        return scipy.sparse.coo_array((data, (_whole(fetch("row")), _whole(fetch("col")))), shape=shape)
    if name == "dia":
        return scipy.sparse.dia_array((data, _whole(fetch("offsets"))), shape=shape)
    kinds = {"csr": scipy.sparse.csr_array, "csc": scipy.sparse.csc_array, "bsr": scipy.sparse.bsr_array}
    if name not in kinds:
        raise ValueError(f"sparse format {name!r} is not known")
    matrix = kinds[name]((data, *(_whole(fetch(part)) for part in ("indices", "indptr"))), shape=shape)
    matrix.check_format(full_check=True)  # indices beyond the shape are written through by SciPy
    return matrix


def _whole(numbers: Any) -> Any:
    """Indices, if they are whole numbers."""
    if numbers.dtype.kind not in "iu":
        raise ValueError(f"indices of type {numbers.dtype} are no whole numbers")
    return numbers


def _npy_axes(archive: zipfile.ZipFile, name: str) -> int:
    """Number of axes of one array, from its header alone."""
    with archive.open(name) as handle:
        return len(_header(handle)[0])


def _header(handle: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of an array of NumPy's format."""
    version = np.lib.format.read_magic(handle)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, kind = read(handle)
    return shape, kind


def _check_claim(shape: tuple[int, ...], kind: np.dtype[Any], where: str, possible: int) -> None:
    """Refuse an array that says it has more bytes than its file can hold, before they are asked of the system.

    Raises
    ------
    FormatError : it does
    """
    claimed = math.prod(shape) * kind.itemsize
    if claimed > possible:
        raise FormatError(f"{where} claims {claimed:.1e} bytes; it is damaged, write or copy it again")


def _read_hdf5(path: Path, key: str | None, labels: str | None) -> Contents:
    import h5py

    key, labels = (name if name is None else name.lstrip("/") for name in (key, labels))
    try:
        with h5py.File(path, "r") as file:
            axes: dict[str, int] = {}

            def note(name: str, item: Any) -> None:
                if isinstance(item, h5py.Dataset):
                    axes[name] = item.ndim

            file.visititems(note)
            return _from_keys(path, axes, lambda name: own_values(file[name], name, path), key, labels)
    except (DataError, FormatError):
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        if isinstance(error, PermissionError):
            raise
        raise FormatError(f"{path} is no readable HDF5 file ({in_short(error)}); write or copy it again") from error


def _from_keys(
    path: Path, axes: Mapping[str, int], fetch: Callable[[str], Any], key: str | None, labels: str | None
) -> Contents:
    """Choose among the named arrays of a file; ``axes`` has the number of axes of each."""
    for name in (key, labels):
        if name is not None and name not in axes:
            raise DataError(f"{path} has no array {name!r}; {suggestion(name, axes, 'it has ' + _names(axes))}")
    chosen = key or _default_key(path, axes)
    split = key is None and chosen == "train"

    def optional(name: str, *, wanted: bool) -> Any:
        return fetch(name) if wanted and name in axes else None

    own_labels = f"{chosen}_labels"
    label_key = labels or (own_labels if own_labels in axes else "labels")
    return Contents(
        train=fetch(chosen),
        test=optional("test", wanted=split),
        train_labels=optional(label_key, wanted=label_key != chosen),
        test_labels=optional("test_labels", wanted=split),
        where=f"{path} ({chosen})",
    )


def _default_key(path: Path, axes: Mapping[str, int]) -> str:
    for name in ("samples", "train"):
        if name in axes:
            return name
    candidates = [name for name, n_axes in axes.items() if n_axes in (2, 3)]
    if len(candidates) == 1:
        return candidates[0]
    if not axes:
        raise DataError(f"{path} holds no array; write one with the key 'samples'")
    problem = "no array with two axes" if not candidates else f"{len(candidates)} arrays"
    raise DataError(
        f"{path} holds {problem} ({_names(axes)}); say which one with key=... (--key), or call it 'samples'"
    )


def _names(axes: Mapping[str, int]) -> str:
    return ", ".join(repr(name) for name in list(axes)[:12]) + (", ..." if len(axes) > 12 else "") if axes else "none"
