"""Did you mean ...: the nearest valid name for a mistyped one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["suggestion"]


def suggestion(wrong: str, valid: Iterable[str], otherwise: str) -> str:
    """Cure for an unknown name: the nearest valid one, or the sentence ``otherwise`` where none is near."""
    near = difflib.get_close_matches(wrong, list(valid), n=1)
    return f"did you mean {near[0]!r}?" if near else otherwise
