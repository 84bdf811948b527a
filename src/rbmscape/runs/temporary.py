"""Runs without a directory of their own: kept as long as somebody holds them, in the process that trained them."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rbmscape.runs.layout import RunLayout

__all__ = ["Keeper", "temporary_directory"]


class Keeper:
    """Removes a directory when it is itself forgotten, or when the process that made it ends.

    Parameters
    ----------
    directory : what is removed
    """

    def __init__(self, directory: Path) -> None:
        self._end = weakref.finalize(self, _remove, directory, os.getpid())

    def release(self) -> None:
        """Leave the directory where it is: another process may have been told of it."""
        self._end.detach()


def _remove(directory: Path, process: int) -> None:
    if os.getpid() == process:  # not in a fork of the process that keeps it
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def temporary_directory() -> Iterator[Path]:
    """A new directory for a run; where the block fails it stays if there is a run in it, and else it goes."""
    place = Path(tempfile.mkdtemp(prefix="rbmscape-"))
    try:
        yield place
    except BaseException:
        if not RunLayout(place).config.is_file():
            shutil.rmtree(place, ignore_errors=True)
        raise
