"""Data files of a bit a unit, for data larger than memory."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from rbmscape.arguments import checked
from rbmscape.data.packed import PackedBits, packed_rows, row_blocks
from rbmscape.data.validate import as_binary
from rbmscape.errors import DataError
from rbmscape.files import atomic_file

__all__ = ["write_packed"]


@checked
def write_packed(data: ArrayLike | PackedBits, path: str | os.PathLike[str]) -> None:
    """Write bits as an .npy file of a bit a unit, which ``load_dataset(path, n_visible=N)`` maps instead of reading.

    Parameters
    ----------
    data : (n, N) zeros and ones in any array, or packed already
    path : ends in .npy

    Raises
    ------
    DataError : another ending, or values other than 0 and 1
    DiskError : the file cannot be written
    """
    if Path(path).suffix != ".npy":
        raise DataError(f"{path}: packed bits are an .npy file; give a name that ends in .npy")
    bits = as_binary(data, where="data").values
    rows, units = bits.shape
    with atomic_file(path) as handle:
        header = {"descr": "|u1", "fortran_order": False, "shape": (rows, -(-units // 8))}
        np.lib.format.write_array_header_1_0(handle, header)
        for block in row_blocks(bits.shape):
            handle.write(packed_rows(bits, block).tobytes())
