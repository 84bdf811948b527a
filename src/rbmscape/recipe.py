"""Plans and recipes: immutable, checked when they are made, and refused in one sentence that names the cure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from rbmscape.checks import in_short, shown, suggestion
from rbmscape.errors import ConfigError

__all__ = ["Recipe", "nearest", "plain_value"]

_PLACE: Final = "{parameters}"


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
            super().__init__(**{name: plain_value(value) for name, value in values.items()})
        except ValidationError as error:
            raise ConfigError(_explain(error, type(self))) from None

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        """Put the descriptions of the fields into the docstring, where it says ``{parameters}``."""
        super().__pydantic_init_subclass__(**options)
        if cls.__doc__ and _PLACE in cls.__doc__:
            cls.__doc__ = cls.__doc__.replace(_PLACE, _parameters(cls.model_fields))

    @classmethod
    def derived(cls) -> tuple[str, ...]:
        """Names of the values that follow from others where they are not given."""
        return tuple(name for name, field in cls.model_fields.items() if field.default_factory_takes_validated_data)

    def default_of(self, name: str) -> Any:
        """What a value would be if only the others were given."""
        others = {other: value for other, value in self if other != name}
        return type(self).model_fields[name].get_default(call_default_factory=True, validated_data=others)

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """What differs from the defaults, so that the text makes the same recipe again and fits a line."""
        return [(name, value) for name, value in self if value != self.default_of(name)]

    def __str__(self) -> str:
        return repr(self)


def plain_value(value: Any) -> Any:
    """Numbers and arrays of NumPy and torch as those of Python, which JSON and TOML can hold."""
    if isinstance(value, list | tuple):
        return tuple(plain_value(part) for part in value)
    try:
        return value.tolist() if hasattr(value, "tolist") else value
    except (RuntimeError, TypeError):  # a tensor without values, a class
        return value


def _parameters(fields: Mapping[str, FieldInfo]) -> str:
    """The docstring's section Parameters, in the indentation of a class."""
    lines = ["Parameters", "----------"]
    for name, field in fields.items():
        text = f"{name} : {_choices(field)}{field.description}"
        lines += textwrap.wrap(text, 114, subsequent_indent="    ", break_long_words=False)
    return "\n    ".join(lines)


def _choices(field: FieldInfo) -> str:
    """The words among which a value is chosen, if it is one of some."""
    if get_origin(field.annotation) is not Literal:
        return ""
    *words, last = (f'"{word}"' for word in get_args(field.annotation))
    return f"{', '.join(words)} or {last}. "


def nearest(word: int | str, known: Iterable[str], what: str) -> str:
    """The cure for a mistyped word: the nearest known one, or all of them."""
    names = list(known)
    return suggestion(word, names, f"{what} are {', '.join(names)}")


def _explain(error: ValidationError, recipe: type[Recipe]) -> str:
    """One sentence for what pydantic refused first, unknown keys before all else."""
    first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    inner = first.get("ctx", {}).get("error")
    if isinstance(inner, ConfigError):  # of a recipe within this one, which has said it all
        return str(inner)
    key = in_short(".".join(str(part) for part in first["loc"]))
    if first["type"] == "extra_forbidden":
        return f"{recipe.title} has no key {key!r}; {nearest(key, recipe.model_fields, 'the keys there')}"
    if first["type"] == "missing":
        return f"{recipe.title} lacks {key!r}; add it"
    reason = first["msg"].removeprefix("Value error, ")
    where = f"{recipe.title}'s {key} cannot be {shown(first['input'])}" if key else f"{recipe.title} cannot be used"
    return f"{where}: {reason[:1].lower()}{reason[1:]}"
