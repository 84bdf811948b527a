"""Entries of a registry by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from rbmscape.errors import ConfigError
from rbmscape.recipe import nearest

__all__ = ["by_name"]


class _Named(Protocol):
    @property
    def name(self) -> str: ...


Entry = TypeVar("Entry", bound=_Named)


def by_name(entries: tuple[Entry, ...], names: Iterable[str] | None) -> tuple[Entry, ...]:
    """Entries by name, in the given order; all for None.

    Raises
    ------
    ConfigError : there is no such figure (with the nearest name that exists)
    """
    if names is None:
        return entries
    known = {entry.name: entry for entry in entries}
    chosen = []
    for name in names:
        if name not in known:
            raise ConfigError(f"there is no figure {name!r}; {nearest(name, known, 'the figures')}")
        chosen.append(known[name])
    return tuple(chosen)
