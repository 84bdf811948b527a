"""Values that are made when they are first asked for, and kept up to a number of bytes."""

from __future__ import annotations

import ctypes
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, TypeVar

__all__ = ["Cache", "give_back_memory"]

Value = TypeVar("Value")


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
    trim: Any = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
