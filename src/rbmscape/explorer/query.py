"""What the page asks for: the words after ``?``, each checked where it is read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from rbmscape.errors import InputError

__all__ = ["Query"]

MOST_WORDS = 30
_DIGITS = 40  # beyond the ends of whatever is asked for, and within what can be written in a message


@dataclass(frozen=True, slots=True)
class Query:
    """Names and values as they came.

    Attributes
    ----------
    words : sorted pairs, each name once
    """

    words: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Query:
        """From the part of a URL after the question mark.

        Raises
        ------
        InputError : it is not a list of names with values, or one too long
        """
        try:
            pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=MOST_WORDS)
        except ValueError as error:
            raise InputError(f"the question could not be read ({error}); reload the page") from error
        return cls(tuple(sorted(dict(pairs).items())))

    def get(self, name: str, default: str = "") -> str:
        """A value as it came."""
        return dict(self.words).get(name, default)

    def without(self, *names: str) -> Query:
        """The same without some words."""
        return Query(tuple(pair for pair in self.words if pair[0] not in names))

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number between two ends.

        Raises
        ------
        InputError : it is something else
        """
        text = self.get(name, str(default))
        try:
            value = int(text[:_DIGITS])
        except ValueError:
            raise InputError(f"{name} must be a whole number, found {text[:40]!r}") from None
        return int(_between(name, value, low, high))

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """A finite number between two ends.

        Raises
        ------
        InputError : it is something else
        """
        text = self.get(name, str(default))
        try:
            value = float(text)
        except ValueError:
            raise InputError(f"{name} must be a number, found {text[:40]!r}") from None
        if not math.isfinite(value):
            raise InputError(f"{name} must be a finite number, found {text[:40]!r}")
        return float(_between(name, value, low, high))

    def choice(self, name: str, known: Sequence[str]) -> str:
        """One of some words, by default the first.

        Raises
        ------
        InputError : it is another
        """
        text = self.get(name, known[0])
        if text not in known:
            raise InputError(f"{name} must be one of {', '.join(known)}, found {text[:40]!r}")
        return text


def _between(name: str, value: Any, low: float, high: float) -> Any:
    if not low <= value <= high:
        raise InputError(f"{name} must be from {low:g} to {high:g}, found {value:g}")
    return value
