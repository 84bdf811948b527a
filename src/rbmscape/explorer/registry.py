"""The views of the page, found in the folder ``views``."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rbmscape.errors import InputError
from rbmscape.explorer import views

if TYPE_CHECKING:
    from rbmscape.explorer.encode import Sheet
    from rbmscape.explorer.query import Query
    from rbmscape.explorer.scene import Scene

__all__ = ["View", "all_views", "find_view"]


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What one file of ``views`` has.

    Attributes
    ----------
    name : of the file
    show : what is looked at (a `Subject`) and the page's question to what the page draws
    uses_samples : whether what it keeps changes with better samples
    uses_all : whether it shows all checkpoints together
    prepare : what a view keeps of every checkpoint, made once, in the order of training; None where it keeps nothing
    """

    name: str
    show: Callable[[Any, Query], Sheet]
    uses_samples: bool
    uses_all: bool
    prepare: Callable[[Scene], Sheet] | None


@cache
def all_views() -> dict[str, View]:
    """Every view by its name."""
    found = {}
    for entry in pkgutil.iter_modules(views.__path__):
        module = import_module(f"{views.__name__}.{entry.name}")
        sampled, together = getattr(module, "USES_SAMPLES", True), getattr(module, "USES_ALL", False)
        found[entry.name] = View(entry.name, module.show, sampled, together, getattr(module, "prepare", None))
    return found


def find_view(name: str) -> View:
    """The view of that name.

    Raises
    ------
    InputError : there is none
    """
    found = all_views().get(name)
    if found is None:
        raise InputError(f"there is no view {name[:40]!r}; these are: {', '.join(all_views())}")
    return found
