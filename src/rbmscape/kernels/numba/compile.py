"""Compiling passes with Numba: once, kept on disk, and never older than the source they were made of."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from threading import Lock
from types import FunctionType
from typing import Any

import numba

__all__ = ["FOLDER", "Kernel", "compile_both", "compile_pass", "folder_hash"]

Kernel = Callable[..., Any]
_MATHS = {"contract", "nsz"}
_POOL = Lock()


def folder_hash(folder: Path) -> int:
    """CRC-32 of the names and the text of all Python files in a folder and its subfolders."""
    files = sorted(folder.rglob("*.py"))
    return zlib.crc32(b"".join(str(path.relative_to(folder)).encode() + path.read_bytes() for path in files))


FOLDER = Path(__file__).parents[1]
"""Of all kernels."""
_VERSION = folder_hash(FOLDER)


def compile_pass(
    parallel: bool, constants: Mapping[str, Any] | None = None, kind: str = "", *, exact: bool = False
) -> Callable[[Kernel], Kernel]:
    """njit with a cache on disk, or without where no cache directory can be written.

    With `constants`, these replace names of the pass's module, and `kind` tells such a version from others: one text
    serves several.  (A closure over them would never be found in the cache again.)  With `exact`, no product is fused
    with the sum behind it.

    Parallel passes run one at a time: Numba's own thread pool, which serves where OpenMP is missing, aborts the process
    when two Python threads enter it together.  Numba's cache knows a function by its qualified name and its own file:
    the name tells serial from parallel, and carries a checksum of the whole folder of kernels, whose files compile each
    other's helpers into their passes.
    """

    def decorate(source: Any) -> Kernel:
        replaced = constants or {}
        unknown = replaced.keys() - source.__globals__.keys()
        assert not unknown, f"{source.__module__} has no {sorted(unknown)}"
        function = FunctionType(source.__code__, source.__globals__ | dict(replaced), source.__name__)
        which = "parallel" if parallel else "serial"
        function.__qualname__ = "_".join(filter(None, (source.__qualname__, kind, which, f"{_VERSION:08x}")))
        maths = False if exact else _MATHS
        options: dict[str, Any] = {"parallel": parallel, "nogil": True, "error_model": "numpy", "fastmath": maths}
        try:
            kernel = numba.njit(cache=True, **options)(function)
        except RuntimeError:
            kernel = numba.njit(**options)(function)
        return _one_at_a_time(kernel) if parallel else kernel

    return decorate


def compile_both(
    source: Kernel, constants: Mapping[str, Any] | None = None, kind: str = "", *, exact: bool = False
) -> dict[bool, Kernel]:
    """The serial (False) and the parallel (True) version of a pass; compiled when they are first called."""
    return {parallel: compile_pass(parallel, constants, kind, exact=exact)(source) for parallel in (False, True)}


def _one_at_a_time(kernel: Kernel) -> Kernel:
    @wraps(kernel)
    def locked(*arguments: Any) -> Any:
        with _POOL:
            return kernel(*arguments)

    return locked
