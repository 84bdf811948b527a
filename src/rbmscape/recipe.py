"""Plans and recipes: immutable, checked when they are made, and refused in one sentence that names the cure."""

from __future__ import annotations

import difflib
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from rbmscape.errors import ConfigError

__all__ = ["Recipe"]


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


def _explain(error: ValidationError, recipe: type[Recipe]) -> str:
    """One sentence for what pydantic refused first, unknown keys before all else."""
    first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    inner = first.get("ctx", {}).get("error")
    if isinstance(inner, ConfigError):  # of a recipe within this one, which has said it all
        return str(inner)
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _known_keys(recipe, first["loc"])
        near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
        cure = f"did you mean {near[0]!r}?" if near else f"the keys there are {', '.join(known)}"
        return f"{recipe.title} has no key {key!r}; {cure}"
    if first["type"] == "missing":
        return f"{recipe.title} lacks {key!r}; add it"
    reason = first["msg"].removeprefix("Value error, ")
    where = f"{recipe.title}'s {key} cannot be {first['input']!r}" if key else f"{recipe.title} cannot be used"
    return f"{where}: {reason[:1].lower()}{reason[1:]}"


def _known_keys(recipe: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Keys of the (nested) recipe in which the refused key stood."""
    for part in location[:-1]:
        field = recipe.model_fields.get(str(part))
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            break
        recipe = field.annotation
    return list(recipe.model_fields)
