"""Exclusive use of a directory."""

from __future__ import annotations

from pathlib import Path

from rbmscape.errors import DiskError
from rbmscape.files import inode, operation, refused

__all__ = ["Lock"]


class Lock:
    """Exclusive use of a directory by a lock file, which must stay where it is.

    Parameters
    ----------
    path : the lock file
    """

    def __init__(self, path: Path) -> None:
        from filelock import FileLock

        self.path = path
        self._lock = FileLock(path)
        self._mark: tuple[int, int] | None = None

    def acquire(self) -> bool:
        """Take the lock, at once or not at all."""
        from filelock import Timeout

        try:
            with operation("lock", self.path):
                self._lock.acquire(timeout=0)
        except Timeout:
            return False
        except OSError as error:
            self._lock.release()
            raise refused(self.path, "written", error) from error
        self._mark = inode(self.path)
        return True

    def release(self) -> None:
        """Give it back."""
        self._lock.release()
        self._mark = None

    def check(self) -> None:
        """Refuse to go on where the lock file, or its directory, was removed or replaced: it protects nothing then.

        Raises
        ------
        DiskError : it is gone
        """
        if self._mark is not None and inode(self.path) != self._mark:
            raise DiskError(
                f"{self.path} was removed or replaced while it was in use; nothing more is written there, start again "
                "in another directory, or resume what is left"
            )
