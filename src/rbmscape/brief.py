"""One line for every result: what `repr` shows of it, with its error and its verdict, never a whole array."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["LONGEST", "OneLine", "in_brief", "printable"]

LONGEST: Final = 180
"""Characters at most of the line between the parentheses."""


class OneLine:
    """Base of models and results; a subclass says in `_headline` what matters most.

    By default these are its fields, arrays as their shapes.  Dataclasses leave it its place with ``repr=False``, and
    those that hold arrays compare by identity with ``eq=False``.
    """

    __slots__ = ()

    def _headline(self) -> str:
        fields = {name: getattr(self, name) for name in getattr(self, "__dataclass_fields__", ())}
        return ", ".join(f"{name} {in_brief(value)}" for name, value in fields.items() if value is not None)

    def __repr__(self) -> str:
        headline = " ".join(self._headline().split())
        if len(headline) > LONGEST:
            headline = headline[: LONGEST - 1].rsplit(",", 1)[0].rstrip() + ", …"
        return f"{type(self).__name__}({headline})"


def in_brief(value: Any) -> str:
    """A value in a few characters: numbers to four digits, estimates with their error, arrays as their shapes."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        sizes = tuple(int(size) for size in value.shape)
        return f"{value:.4g}" if not sizes else " x ".join(map(str, sizes)) if len(sizes) > 1 else f"({sizes[0]},)"
    if hasattr(value, "stderr") and not isinstance(value.stderr, type) and not hasattr(value.stderr, "shape"):
        return str(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple | dict | set | frozenset) and (len(value) > 3 or any(map(_is_large, value))):
        return f"of {len(value)}"
    return str(value)


def _is_large(part: Any) -> bool:
    return not isinstance(part, bool | int | float | str | None)


def printable(text: str) -> str:
    """The text with control characters spelled out, so that names from files cannot steer a terminal."""
    return "".join(letter if letter.isprintable() or letter == "\n" else repr(letter)[1:-1] for letter in text)
