"""Options of the command line that are made from the values of `TrainingConfig`.

Each has its sentence, choices, limits and default from there, so that a new value of the recipe is an option by itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar, get_args

import typer

from rbmscape.cli.options import parse_list
from rbmscape.runs.config import TrainingConfig

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

__all__ = ["option_name", "with_recipe_options"]

Command = TypeVar("Command", bound=Callable[..., Any])

SHORT: Final = {
    "n_hidden": "--hidden",
    "gibbs_steps": "--steps",
    "n_chains": "--chains",
    "visible_bias_init": "--visible-bias",
}
"""Options that do not have the name of their value."""


def option_name(name: str) -> str:
    """The option for a value of the recipe."""
    return SHORT.get(name, "--" + name.replace("_", "-"))


def with_recipe_options(command: Command) -> Command:
    """Give a command an option for each value of `TrainingConfig`, after its first parameter.

    The command receives them as keyword arguments with the names of the values; None stands for what was not given.
    """
    signature = inspect.signature(command, eval_str=True)
    first, *rest = (p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD)
    options = (_option(name, field) for name, field in TrainingConfig.model_fields.items())
    command.__signature__ = signature.replace(parameters=[first, *options, *rest])  # type: ignore[attr-defined]
    return command


def _option(name: str, field: FieldInfo) -> inspect.Parameter:
    """One value as a parameter that Typer understands."""
    word, more = option_name(name), dict[str, Any]()
    kind = field.annotation
    if field.examples:
        kind, more = str, {"parser": _list_parser(field), "metavar": ",".join([_number(field).__name__] * 2)}
    elif kind is bool:
        word += f"/--no-{name.replace('_', '-')}"
    for limit in field.metadata:
        more |= {side: getattr(limit, key) for key, side in (("ge", "min"), ("le", "max")) if hasattr(limit, key)}
    extra = field.json_schema_extra
    option = typer.Option(
        word,
        help=field.description,
        show_default=_shown(field),
        rich_help_panel=str(extra["group"]) if isinstance(extra, dict) else None,
        **more,
    )
    annotation = Annotated[kind | None, option]  # type: ignore[valid-type]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _list_parser(field: FieldInfo) -> Callable[[str], tuple[float, ...]]:
    """Reads several numbers with commas between them."""
    example = str((field.examples or [""])[0])
    return lambda text: parse_list(text, _number(field), example)


def _number(field: FieldInfo) -> type[float]:
    """The kind of number, int or float, of which a value has several."""
    return float if float in _leaves(field.annotation) else int


def _leaves(annotation: Any) -> Iterator[Any]:
    """An annotation and all that it is made of."""
    yield annotation
    for part in get_args(annotation):
        yield from _leaves(part)


def _shown(field: FieldInfo) -> str | bool:
    """How the default is shown; not where the sentence tells it."""
    value = field.get_default()
    if field.default_factory is not None or value is None or isinstance(value, bool):
        return False
    return ",".join(str(part) for part in value) if isinstance(value, tuple) else str(value)
