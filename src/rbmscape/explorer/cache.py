"""Values that are made when they are first asked for, and kept up to a number of bytes."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

__all__ = ["Cache", "give_back_memory", "little_memory", "share_memory"]

Value = TypeVar("Value")
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
_ARENAS = 2
_SMALL, _LARGE = 1 << 18, 1 << 25
"""Bytes from which on arrays have pages of their own; the larger is what glibc comes to by itself."""


class Cache(Generic[Value]):
    """The values that were asked for last; who asks for one that is being made waits for it instead of making it again.

    Parameters
    ----------
    most : bytes of all values together; those that were not asked for longest go first
    size : bytes of a value
    """

    def __init__(self, most: int, size: Callable[[Value], int]) -> None:
        self._most = most
        self._size_of = size
        self._kept: OrderedDict[Any, Value] = OrderedDict()
        self._turns: dict[Any, threading.Lock] = {}
        self._lock = threading.Lock()
        self.n_bytes = 0

    def get(self, key: Any, make: Callable[[], Value]) -> Value:
        """The value of a key, made where it is not kept."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            turn = self._turns.setdefault(key, threading.Lock())
        with turn:
            with self._lock:
                if key in self._kept:
                    return self._kept[key]
            try:
                made = make()
                self._keep(key, made)
            finally:
                with self._lock:
                    self._turns.pop(key, None)
        return made

    def _keep(self, key: Any, made: Value) -> None:
        with self._lock:
            self._kept[key] = made
            self.n_bytes += self._size_of(made)
            while self.n_bytes > self._most:
                self.n_bytes -= self._size_of(self._kept.popitem(last=False)[1])


def give_back_memory() -> None:
    """Hand freed memory back to the system, where the C library keeps it (glibc)."""
    trim = _of_c_library("malloc_trim")
    if trim is not None:
        trim(0)


def share_memory() -> None:
    """Let threads share what they free (glibc); else every connection keeps some for itself."""
    option = _of_c_library("mallopt")
    if option is not None:
        option(_M_ARENA_MAX, _ARENAS)


@contextmanager
def little_memory() -> Iterator[None]:
    """While this lasts, large arrays are handed back as soon as they are freed (glibc), which takes a little longer."""
    option = _of_c_library("mallopt")
    try:
        if option is not None:
            option(_M_MMAP_THRESHOLD, _SMALL)
        yield
    finally:
        if option is not None:
            option(_M_MMAP_THRESHOLD, _LARGE)
        give_back_memory()


def _of_c_library(name: str) -> Any:
    """A function of glibc; None elsewhere."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
