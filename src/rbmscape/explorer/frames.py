"""What views keep of checkpoints, and who waits for which."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable

from rbmscape.errors import RbmscapeError
from rbmscape.explorer.encode import Sheet

__all__ = ["Frames", "Key", "NotReadyError"]

Key = tuple[str, int]
MOST_BYTES = 100_000_000


class NotReadyError(RbmscapeError):
    """What is asked for is still being computed; ask again."""


class Frames:
    """Sheets by view and update; some threads make them, and others wait for them.

    Parameters
    ----------
    lasting : views that show all checkpoints together, whose Sheets are never dropped
    """

    def __init__(self, lasting: Collection[str] = ()) -> None:
        self._lasting = frozenset(lasting)
        self._kept: dict[Key, Sheet] = {}
        self._done: set[Key] = set()
        self._wishes: dict[Key, None] = {}
        self._being_made: set[Key] = set()
        self._failed: dict[Key, Exception] = {}
        self._n_bytes = 0
        self._closed = False
        self._changed = threading.Condition()

    def wait(self, key: Key, seconds: float) -> Sheet:
        """The Sheet of a view at an update, as soon as it is made; it is made before what was wished for earlier.

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
        """What somebody waits for and nobody makes, the newest wish first; None where there is none within the time.

        Whoever takes it makes it.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._wished() is not None, seconds)
            return self._take(self._wished())

    def waited_for(self) -> Key | None:
        """The newest wish that somebody is making."""
        with self._changed:
            return next((key for key in reversed(self._wishes) if key in self._being_made), None)

    def pause(self, seconds: float) -> None:
        """Wait until something is made or wished for."""
        with self._changed:
            if not self._closed:
                self._changed.wait(seconds)

    def begin(self, keys: Iterable[Key]) -> Key | None:
        """The first of them that nobody has made or makes, for whoever makes it; None where there is none."""
        with self._changed:
            free = (key for key in keys if key not in self._done and key not in self._being_made)
            return self._take(next(free, None))

    def _wished(self) -> Key | None:
        return next((key for key in reversed(self._wishes) if key not in self._being_made), None)

    def _take(self, key: Key | None) -> Key | None:
        if key is not None:
            self._being_made.add(key)
        return key

    def put(self, key: Key, made: Sheet | Exception) -> None:
        """Keep what was made, or why it could not be."""
        with self._changed:
            self._wishes.pop(key, None)
            if key in self._being_made:  # else it was outdated meanwhile
                self._done.add(key)
            self._being_made.discard(key)
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

    def kept(self, view: str) -> list[tuple[int, Sheet]]:
        """Updates and Sheets of a view that there are, rising."""
        with self._changed:
            return sorted(((key[1], made) for key, made in self._kept.items() if key[0] == view), key=lambda p: p[0])

    def made(self, view: str) -> list[int]:
        """Updates of which a view was ever made, rising."""
        with self._changed:
            return sorted({update for name, update in (self._done | self._kept.keys()) if name == view})

    def has(self, key: Key) -> bool:
        """Whether a Sheet is made and kept."""
        with self._changed:
            return key in self._kept

    def n_done(self, view: str) -> int:
        """Checkpoints of which it was tried to make a view."""
        with self._changed:
            return sum(name == view for name, _ in self._done)

    def outdate(self, views: Collection[str]) -> None:
        """Everything of some views is to be made again; until then the old stays."""
        with self._changed:
            self._done = {key for key in self._done if key[0] not in views}
            self._being_made = {key for key in self._being_made if key[0] not in views}

    def close(self) -> None:
        """Let everybody go who waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
