"""Rows of bits kept a bit a unit, in memory or in a mapped file, and written out only where they are looked at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rbmscape.brief import OneLine
from rbmscape.checks import check_count
from rbmscape.errors import DataError, ShapeError
from rbmscape.memory import check_memory

__all__ = ["LARGE", "PackedBits", "chosen_rows", "pack_sparse", "packed_rows", "row_blocks"]

LARGE: Final = 2**28
"""Bytes of rows written out from which on sparse rows are kept packed."""
_CELLS_A_BLOCK: Final = 2**24


class PackedBits(OneLine):
    """(n, N) bits of which eight are a byte; reads as a NumPy array of uint8 does.

    A slice, an index or a list of them gives the rows written out, as does `numpy.asarray`; `take` gives packed ones.

    Parameters
    ----------
    packed : (n, ⌈N/8⌉) uint8 as from ``numpy.packbits(rows, axis=1)``; a memory map stays on the disk
    n_visible : N
    rows : indices of the rows that are meant, in their order, or None for all of them

    Raises
    ------
    ShapeError : the bytes of a row do not fit the number of units
    """

    dtype = np.dtype(np.uint8)
    ndim = 2

    def __init__(self, packed: NDArray[np.uint8], n_visible: int, rows: NDArray[np.intp] | None = None) -> None:
        width = -(-check_count("n_visible", n_visible) // 8)
        if packed.ndim != 2 or packed.dtype != np.uint8 or packed.shape[1] != width:
            raise ShapeError(
                f"packed rows of {n_visible} units are (n, {width}) bytes, found {packed.dtype} of shape "
                f"{packed.shape}; make them with numpy.packbits(rows, axis=1)"
            )
        self._packed, self._rows, self.n_visible = packed, rows, int(n_visible)

    def _headline(self) -> str:
        return f"{len(self)} rows of {self.n_visible} bits, {self.nbytes / 1e6:.3g} MB"

    def __len__(self) -> int:
        return len(self._packed if self._rows is None else self._rows)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, N)."""
        return len(self), self.n_visible

    @property
    def nbytes(self) -> int:
        """Bytes of the packed rows."""
        return len(self) * int(self._packed.shape[1])

    def packed(self, key: Any) -> NDArray[np.uint8]:
        """Bytes of some rows."""
        return np.asarray(self._packed[key] if self._rows is None else self._packed[self._rows[key]])

    def take(self, key: Any) -> PackedBits:
        """Some of the rows, packed and where they are."""
        rows = np.arange(len(self)) if self._rows is None else self._rows
        return PackedBits(self._packed, self.n_visible, rows[key])

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        return np.unpackbits(self.packed(key), axis=-1, count=self.n_visible)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("packed bits cannot be seen as an array without writing them out")
        return self[:].astype(self.dtype if dtype is None else dtype, copy=False)

    def sum(self, axis: int = 0, dtype: DTypeLike | None = None) -> NDArray[Any]:
        """(N,) ones in each column; the first axis only."""
        if axis != 0:
            raise ShapeError(f"packed bits are summed over their rows, axis 0, found axis {axis}; write them out first")
        total = np.zeros(self.n_visible, dtype=np.int64)
        for block in row_blocks(self.shape):
            total += self[block].sum(0, dtype=np.int64)
        return total if dtype is None else total.astype(dtype)

    def mean(self, axis: int = 0, dtype: DTypeLike = np.float64) -> NDArray[Any]:
        """(N,) fraction of ones in each column."""
        return np.asarray(self.sum(axis) / len(self), dtype=dtype)


def row_blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    """Slices over the rows of a matrix, each of about 16 million entries."""
    step = max(1, _CELLS_A_BLOCK // shape[1])
    for start in range(0, shape[0], step):
        yield slice(start, start + step)


def packed_rows(values: Any, key: Any) -> NDArray[np.uint8]:
    """``numpy.packbits(values[key], axis=1)`` of written out or packed rows."""
    return values.packed(key) if isinstance(values, PackedBits) else np.packbits(values[key], axis=1)


def chosen_rows(values: Any, key: Any) -> Any:
    """Some rows of an array or of packed bits, packed if they were."""
    return values.take(key) if isinstance(values, PackedBits) else values[key]


def pack_sparse(matrix: Any, where: str) -> PackedBits:
    """Rows of a SciPy sparse array whose entries are 0 and 1, packed without writing all of them out.

    Raises
    ------
    DataError : an entry is neither
    """
    n, n_visible = matrix.shape
    needed = n * (8 + -(-n_visible // 8)) + n_visible * (matrix.dtype.itemsize + 2)
    check_memory(needed, f"{where} packed", "its shape may be wrong; choose rows or columns of it")
    rows = matrix.tocsr(copy=True)
    rows.sum_duplicates()
    wrong = np.flatnonzero((rows.data != 0) & (rows.data != 1))
    if len(wrong):
        row = int(np.searchsorted(rows.indptr, wrong[0], side="right")) - 1
        column = int(rows.indices[wrong[0]])
        raise DataError(
            f"{where}: the value {rows.data[wrong[0]]} at row {row}, column {column} (counted from 0) is neither 0 "
            "nor 1; make the entries 0 and 1"
        )
    packed = np.zeros((n, -(-n_visible // 8)), dtype=np.uint8)
    for block in row_blocks((n, n_visible)):
        packed[block] = np.packbits(rows[block].toarray().astype(np.uint8), axis=1)
    return PackedBits(packed, n_visible)
