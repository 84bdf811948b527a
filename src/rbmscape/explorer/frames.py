"""What views keep of checkpoints, and who waits for which."""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import TYPE_CHECKING

from rbmscape.errors import RbmscapeError

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Frames", "Key", "NotReadyError"]

Key = tuple[str, int]
MOST_BYTES = 200_000_000


class NotReadyError(RbmscapeError):
    """What is asked for is still being computed; ask again."""


class Frames:
    """Datasets by view and update; one thread makes them, and others wait for them.

    Parameters
    ----------
    lasting : views that show all checkpoints together, whose Datasets are never dropped
    """

    def __init__(self, lasting: Collection[str] = ()) -> None:
        self._lasting = frozenset(lasting)
        self._kept: dict[Key, xr.Dataset] = {}
        self._done: set[Key] = set()
        self._wishes: dict[Key, None] = {}
        self._failed: dict[Key, Exception] = {}
        self._n_bytes = 0
        self._closed = False
        self._changed = threading.Condition()

    def wait(self, key: Key, seconds: float) -> xr.Dataset:
        """The Dataset of a view at an update, as soon as it is made; it is made before what was wished for earlier.

        Raises
        ------
        NotReadyError : it took longer
        RbmscapeError : it cannot be made
        """
        with self._changed:
            if key not in self._kept:
                self._failed.pop(key, None)
                self._wishes.pop(key, None)
                self._wishes[key] = None
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._closed or key in self._kept or key in self._failed, seconds)
            if key in self._kept:
                return self._kept[key]
            raise self._failed.get(key) or NotReadyError(f"update {key[1]} is being prepared")

    def wish(self, seconds: float = 0.0) -> Key | None:
        """What somebody waits for, the newest wish first; None where there is none within the time."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or bool(self._wishes), seconds)
            return next(reversed(self._wishes), None)

    def put(self, key: Key, made: xr.Dataset | Exception) -> None:
        """Keep what was made, or why it could not be."""
        with self._changed:
            self._wishes.pop(key, None)
            self._done.add(key)
            if isinstance(made, Exception):
                self._failed[key] = made
            else:
                self._drop(key)
                self._kept[key] = made
                self._n_bytes += made.nbytes
                for old in [old for old in self._kept if old[0] not in self._lasting and old != key]:
                    if self._n_bytes <= MOST_BYTES:
                        break
                    self._drop(old)
            self._changed.notify_all()

    def _drop(self, key: Key) -> None:
        old = self._kept.pop(key, None)
        self._n_bytes -= 0 if old is None else old.nbytes

    def missing(self, view: str, updates: Collection[int]) -> list[int]:
        """Updates of which it was not yet tried to make a view, in the given order."""
        with self._changed:
            return [update for update in updates if (view, update) not in self._done]

    def kept(self, view: str) -> list[tuple[int, xr.Dataset]]:
        """Updates and Datasets of a view that there are, rising."""
        with self._changed:
            return sorted(((key[1], made) for key, made in self._kept.items() if key[0] == view), key=lambda p: p[0])

    def made(self, view: str) -> list[int]:
        """Updates of which a view was ever made, rising."""
        with self._changed:
            return sorted({update for name, update in (self._done | self._kept.keys()) if name == view})

    def outdate(self, views: Collection[str]) -> None:
        """Everything of some views is to be made again; until then the old stays."""
        with self._changed:
            self._done = {key for key in self._done if key[0] not in views}

    def close(self) -> None:
        """Let everybody go who waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
