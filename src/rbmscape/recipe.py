"""Plans and recipes: immutable, checked when they are made, and refused in one sentence that names the cure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from rbmscape.errors import ConfigError

__all__ = ["Recipe", "nearest"]


class Recipe(BaseModel):
    """Base of everything a user configures.

    Attributes
    ----------
    title : what messages call it

    Raises
    ------
    ConfigError : an unknown key (with the nearest valid one) or an impossible value
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    title: ClassVar[str] = "the configuration"

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigError(_explain(error, type(self))) from None


def nearest(word: int | str, known: Iterable[str], what: str) -> str:
    """The cure for a mistyped word: the nearest known one, or all of them."""
    names = list(known)
    near = difflib.get_close_matches(str(word), names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"{what} are {', '.join(names)}"


def _explain(error: ValidationError, recipe: type[Recipe]) -> str:
    """One sentence for what pydantic refused first, unknown keys before all else."""
    first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    inner = first.get("ctx", {}).get("error")
    if isinstance(inner, ConfigError):  # of a recipe within this one, which has said it all
        return str(inner)
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"{recipe.title} has no key {key!r}; {nearest(key, recipe.model_fields, 'the keys there')}"
    if first["type"] == "missing":
        return f"{recipe.title} lacks {key!r}; add it"
    reason = first["msg"].removeprefix("Value error, ")
    where = f"{recipe.title}'s {key} cannot be {first['input']!r}" if key else f"{recipe.title} cannot be used"
    return f"{where}: {reason[:1].lower()}{reason[1:]}"
