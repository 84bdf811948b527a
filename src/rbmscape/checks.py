"""Checks of arguments at the public edge, each of which says what was found and what to pass instead."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from rbmscape.errors import InputError, ShapeError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "check_batches",
    "check_choice",
    "check_count",
    "check_mode",
    "check_positive",
    "check_width",
    "in_short",
    "is_among",
    "is_complex",
    "is_number",
    "is_whole",
    "shown",
    "suggestion",
]


_LONGEST: Final = 120
_BEYOND: Final = 2**63


def in_short(words: object) -> str:
    """The first line of what another library says, or its kind where it says nothing, cut to fit into a sentence.

    Letters that a terminal would obey are written as question marks.
    """
    line = next(iter(str(words).splitlines()), "") or type(words).__name__
    line = "".join(letter if letter.isprintable() else "?" for letter in line[: 2 * _LONGEST]).rstrip(".")
    return line if len(line) <= _LONGEST else line[:_LONGEST] + "..."


def shown(value: object) -> str:
    """A value as a message quotes it: its repr in one line, cut where it is long."""
    try:
        return in_short(repr(value))
    except Exception:  # noqa: BLE001, whatever somebody's repr does; Python's own fails for integers of 5000 digits
        return f"a {type(value).__name__}"


def is_whole(value: object) -> bool:
    """Whether a value is a whole number of any numeric type; True and False are none."""
    if isinstance(value, bool | str | bytes):
        return False
    try:
        return getattr(value, "ndim", 0) == 0 and bool(int(value) == value)  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return False


def is_number(value: object) -> bool:
    """Whether a value is a real number of any numeric type; True, False and words are none."""
    if isinstance(value, bool | str | bytes):
        return False
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return False
    return getattr(value, "ndim", 0) == 0 and not is_complex(value)


def is_complex(value: object) -> bool:
    """Whether a number has an imaginary part, also where that is 0."""
    kind = getattr(value, "dtype", None)
    return isinstance(value, complex) or getattr(kind, "kind", "") == "c" or bool(getattr(kind, "is_complex", False))


def check_positive(name: str, value: float) -> float:
    """Return value as a float, or raise InputError unless it is finite and above zero."""
    if not is_number(value):
        raise InputError(f"{name} must be a number above 0, found {shown(value)}; pass for example {name}=1.0")
    number = float(value)
    if not (math.isfinite(number) and number > 0.0):
        raise InputError(f"{name} must be finite and above 0, found {number:g}; pass for example {name}=1.0")
    return number


def check_count(name: str, value: int, least: int = 1) -> int:
    """Return value as an int, or raise InputError unless it is a whole number >= least."""
    if not is_whole(value) or not least <= int(value) < _BEYOND:
        raise InputError(
            f"{name} must be a whole number of at least {least}, found {shown(value)}; pass {name}={least} or more"
        )
    return int(value)


def is_among(value: object, choices: Iterable[str]) -> bool:
    """Whether a value is a word, and one of these."""
    return isinstance(value, str) and value in choices


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> str:
    """Return value, or raise InputError unless it is one of the choices."""
    if not isinstance(value, str) or value not in choices:
        raise InputError(f"{name} must be one of {', '.join(choices)}, found {shown(value)}; choose one of these")
    return value


def check_mode(mode: int, n_modes: int) -> int:
    """Return a mode index counted from 0, or raise InputError unless it exists."""
    if not is_whole(mode) or not 0 <= mode < n_modes:
        raise InputError(f"mode {shown(mode)} does not exist, this model has {n_modes} modes; pass 0 to {n_modes - 1}")
    return int(mode)


def suggestion(wrong: object, valid: Iterable[object], otherwise: str) -> str:
    """Cure for an unknown name: the nearest valid one, or the sentence ``otherwise`` where none is near."""
    near = difflib.get_close_matches(str(wrong), [str(name) for name in valid], n=1)
    return f"did you mean {near[0]!r}?" if near else otherwise


def check_batches(v: Tensor, h: Tensor) -> None:
    """Raise ShapeError unless the axes before the last one broadcast against each other."""
    pairs = zip(reversed(v.shape[:-1]), reversed(h.shape[:-1]), strict=False)
    if not all(one == other or 1 in (one, other) for one, other in pairs):
        found = f"{tuple(v.shape)} and {tuple(h.shape)}"
        raise ShapeError(f"batch axes of v and h must fit each other, found shapes {found}; give as many of both")


def check_width(name: str, array: Tensor, width: int) -> Tensor:
    """Return the tensor, or raise ShapeError unless its last axis has the given length."""
    if array.ndim < 1 or array.shape[-1] != width:
        raise ShapeError(
            f"{name} needs a last axis of length {width}, found shape {tuple(array.shape)}; pass (..., {width})"
        )
    return array
