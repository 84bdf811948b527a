"""The public edge: plain arguments are what their annotations say, or are refused in one sentence.

Whole numbers, numbers, truth values, words, paths, and the package's own classes are looked at by `checked`; arrays are
looked at where they are converted, and ranges where they mean something.
"""

from __future__ import annotations

import functools
import inspect
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, ParamSpec, TypeVar

from rbmscape.checks import check_choice, is_among, is_number, is_whole, shown
from rbmscape.errors import InputError

__all__ = ["checked", "checked_path"]

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_ELSEWHERE: Final = ("self", "mode", "callbacks")
"""A mode is looked at where it is known how many there are, callbacks where their methods are."""
_LARGEST: Final = 2**64
_LONGEST_WORD: Final = 4000
_LONGEST_NAME: Final = 255
_PATH: Final = "os.PathLike[str]"
_PAIR: Final = "tuple[int, int]"
_LIST: Final = re.compile(r"(?:Sequence|Iterable)\[.*\]|" + re.escape(_PAIR))


class _Rule(NamedTuple):
    """What an argument may be: names of kinds, and an example."""

    kinds: tuple[str, ...]
    example: str


def _word(value: object) -> bool:
    if not isinstance(value, str) or len(value) > _LONGEST_WORD:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _path(value: object) -> bool:
    if not isinstance(value, str | os.PathLike):
        return False
    words = os.fspath(value)
    fits = isinstance(words, str) and _word(words) and "\0" not in words and bool(words)
    return fits and all(len(os.fsencode(part)) <= _LONGEST_NAME for part in words.split(os.sep))


_PLAIN: Final[dict[str, tuple[str, Callable[[Any], bool]]]] = {
    "int": ("a whole number", lambda value: is_whole(value) and abs(int(value)) < _LARGEST),
    "float": ("a number", lambda value: is_number(value) and not math.isnan(float(value))),
    "bool": ("True or False", lambda value: isinstance(value, bool) or type(value).__name__ == "bool_"),
    "None": ("None", lambda value: value is None),
    "str": ("a word", _word),
    _PATH: ("a path", _path),
    "Mapping": ("a table", lambda value: isinstance(value, Mapping)),
}
"""By annotation: how messages call it, and whether a value is one."""

_OWN: Final = {
    "RBM": "an RBM; make one with rbmscape.RBM(weights, visible_bias, hidden_bias) or run.load()",
    "Modes": "modes; pass rbmscape.Modes.of(rbm)",
    "Coordinates": "coordinates; pass those of modes.project(v, h)",
    "Dataset": "a data set; make one with rbmscape.load_dataset or Dataset.from_array",
    "Estimate": "an estimate; pass the result of rbmscape.log_partition",
    "SizeCurve": "a curve; pass that of rbmscape.measured_curve",
    "LinearGrowth": "a growth; pass that of rbmscape.linear_growth(data)",
    "StudyConfig": "a StudyConfig; make one with rbmscape.StudyConfig(...)",
    "SearchConfig": "a SearchConfig; make one with rbmscape.SearchConfig(...)",
    "TrainingConfig": "a TrainingConfig; make one with rbmscape.TrainingConfig(...)",
    "RunKey": "a key of study.runs",
    "Generator": "a generator; pass numpy.random.default_rng(seed)",
    "Run": "a run; pass rbmscape.Run.open(directory)",
    "LogPartition": "a result of rbmscape.log_partition",
}
"""The package's classes: what messages call them, and where they come from."""


def _is_one(kind: str, value: object) -> bool:
    if kind in _PLAIN:
        return _PLAIN[kind][1](value)
    return any(one.__name__ == kind for one in type(value).__mro__)


def checked(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """A public function that refuses plain arguments of another kind than their annotation says.

    Whole numbers and numbers of NumPy and torch reach it as those of Python.

    Parameters
    ----------
    function : whose annotations are words, as with ``from __future__ import annotations``

    Raises
    ------
    InputError : by the function: an argument is of another kind
    """
    signature = inspect.signature(function)
    names = tuple(signature.parameters)
    rules = dict(_rules(signature))

    @functools.wraps(function)
    def wrapper(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        given = [_taken(rules[name], name, value) if name in rules else value for name, value in zip(names, args)]  # noqa: B905
        given += args[len(given) :]
        named = {name: _taken(rules[name], name, value) if name in rules else value for name, value in kwargs.items()}
        return function(*given, **named)  # type: ignore[arg-type]

    return wrapper


def _rules(signature: inspect.Signature) -> Iterator[tuple[str, _Rule]]:
    for name, parameter in signature.parameters.items():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL) or name in _ELSEWHERE:
            continue
        kinds = tuple(_kind(part) for part in _parts(str(parameter.annotation)))
        if all(kind in _PLAIN or kind in _OWN or _LIST.fullmatch(kind) or _is_literal(kind) for kind in kinds):
            has_example = parameter.default not in (parameter.empty, None)
            yield name, _Rule(kinds, f"{name}={parameter.default!r}" if has_example else "")


def _parts(annotation: str) -> list[str]:
    """The alternatives of an annotation; a bar in brackets belongs to what is in a list."""
    found = [""]
    for letter in annotation:
        if letter == "|" and found[-1].count("[") == found[-1].count("]"):
            found.append("")
        else:
            found[-1] += letter
    return [part.strip() for part in found]


def _kind(annotation: str) -> str:
    """The word for it in the tables: without the module, and for a mapping without what is in it."""
    plain = annotation.partition("[")[0] if annotation.startswith("Mapping[") else annotation
    return plain if plain in (_PATH, _PAIR) or "[" in plain else plain.rpartition(".")[2]


def _taken(rule: _Rule, name: str, value: Any) -> Any:
    """The value, as Python's own number where it is one.

    Raises
    ------
    InputError : it is of none of the kinds
    """
    words = next((_words(kind) for kind in rule.kinds if _is_literal(kind)), ())
    if is_among(value, words):
        return value
    if words and not {*rule.kinds} & {"int", "float"} and not (value is None and "None" in rule.kinds):
        return check_choice(name, value, words)
    listed = next((kind for kind in rule.kinds if _LIST.fullmatch(kind)), None)
    if listed is not None and not (value is None and "None" in rule.kinds):
        inside = listed.partition("[")[2][:-1]
        return _pair(name, value) if listed == _PAIR else _listed(inside, name, value)
    hidden = {"str"} if _PATH in rule.kinds else set()
    kinds = [kind for kind in rule.kinds if not _is_literal(kind) and kind not in hidden]
    found = next((kind for kind in kinds if _is_one(kind, value)), None)
    if found is None:
        raise InputError(_refusal(rule, kinds, name, value))
    return int(value) if found == "int" else float(value) if found == "float" else value


def _refusal(rule: _Rule, kinds: list[str], name: str, value: object) -> str:
    wanted = [kind for kind in kinds if kind != "None"]
    own = [kind for kind in wanted if kind in _OWN]
    words = type(value).__name__ if own else shown(value)
    if "RBM" in own and {"load", "models", "dataset"} <= set(dir(type(value))):
        return f"{name} must be an RBM, found a run; pass run.load(), or run.load(update) for a checkpoint"
    if own:
        what = " or ".join(_OWN[kind].partition("; ")[0] for kind in own)
        return f"{name} must be {what}, found {words}; {_OWN[own[0]].partition('; ')[2] or 'pass one'}"
    what = " or ".join(_PLAIN[kind][0] for kind in wanted)
    cure = f"pass for example {rule.example}" if rule.example else "leave it out" if "None" in kinds else "pass one"
    return f"{name} must be {what}, found {words}; {cure}"


def _is_literal(kind: str) -> bool:
    return kind.startswith("Literal[")


def _words(kind: str) -> tuple[str, ...]:
    """What an annotation allows by its words."""
    return tuple(word.strip("\"' ") for word in kind.partition("[")[2][:-1].split(","))


def _listed(kind: str, name: str, value: Any) -> Any:
    """Something of several parts, each of a known kind; what can be gone through only once becomes a list.

    Raises
    ------
    InputError : it has no parts, or one is of another kind
    """
    if isinstance(value, str | bytes | Mapping) or not hasattr(value, "__iter__"):
        raise InputError(f"{name} must be a list, found {shown(value)}; pass one, for example in [...]")
    if hasattr(value, "ndim"):
        if value.ndim != 1:
            raise InputError(f"{name} must be a list, found an array of {value.ndim} axes; pass one with one axis")
        value = value.tolist() if kind in _PLAIN else list(value)
    parts = value if isinstance(value, Sequence) else list(value)
    inner = tuple(_kind(part) for part in _parts(kind))
    if all(one in _PLAIN or one in _OWN for one in inner):
        for number, part in enumerate(parts):
            _taken(_Rule(inner, ""), f"{name}[{number}]", part)
    return parts


def _pair(name: str, value: Any) -> tuple[int, int]:
    parts = _listed("int", name, value)
    if len(parts) != 2:
        raise InputError(f"{name} must be two whole numbers, found {shown(value)}; pass for example {name}=(28, 28)")
    return int(parts[0]), int(parts[1])


def checked_path(name: str, value: Any) -> Any:
    """The path, if it is one.

    Raises
    ------
    InputError : it is none, or no system has such names
    """
    return _taken(_Rule((_PATH,), ""), name, value)
