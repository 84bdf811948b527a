"""Memory, predicted by arithmetic before it is asked of the system."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from rbmscape.errors import InputError

__all__ = ["check_memory", "format_bytes", "machine_memory"]

_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def machine_memory() -> int | None:
    """Bytes that this process can have at most: the machine's, its container's, or those of its own limit.

    None where nobody tells.
    """
    known = [limit for limit in (_of_machine(), _of_limit()) if limit is not None]
    return min(known, default=None)


@cache
def _of_machine() -> int | None:
    try:
        known = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (ValueError, OSError, AttributeError):
        known = []
    for path in _LIMITS:
        try:
            words = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            continue
        known += [int(words)] if words.isdigit() else []
    return min(known, default=None)


def _of_limit() -> int | None:
    """What is left of the address space that was allowed to this process (``ulimit -v``)."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    except (ImportError, OSError, ValueError):
        return None
    return None if limit == resource.RLIM_INFINITY else max(0, limit - used)


def check_memory(needed: float, what: str, cure: str) -> None:
    """Refuse what cannot fit, before anything is allocated.

    Parameters
    ----------
    needed : bytes at least
    what : that needs them, at the beginning of a sentence
    cure : what to do

    Raises
    ------
    InputError : it is more than this machine has
    """
    there, needed = machine_memory(), float(needed)
    if there is not None and needed > there:
        raise InputError(
            f"{what} would need {format_bytes(needed)} of memory and this machine has {format_bytes(there)}; {cure}"
        )


def format_bytes(count: float) -> str:
    """In MB, GB or TB."""
    for unit, size in (("TB", 1e12), ("GB", 1e9)):
        if count >= size:
            return f"{min(count, 1e30) / size:.4g} {unit}" if count >= 1e15 else f"{count / size:.1f} {unit}"
    return f"{max(1, round(count / 1e6))} MB"
