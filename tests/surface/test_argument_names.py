"""The page of argument names is the contract: every public argument stands there, and the order is kept."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

import rbmscape as rs

PAGE = Path(__file__).resolve().parents[2] / "docs" / "argument-names.md"
SUBJECT = {"rbm", "run", "models", "modes", "dataset", "datasets", "curves"}
DATA = {"data", "v", "h", "draws", "samples", "visible"}
LAST = {"engine": 1, "precision": 2, "progress": 3}


def documented() -> set[str]:
    """Names in the first column of the page's tables."""
    cells = re.findall(r"^\| ([^|]*`[^|]*) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def methods(kind: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    """A class's constructor, where users call it, and its public methods."""
    made_otherwise = issubclass(kind, BaseModel | Exception) or "open" in vars(kind)
    if not made_otherwise and "Parameters\n" in (kind.__doc__ or ""):
        yield kind.__name__, kind
    for name, value in vars(kind).items():
        if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, classmethod | staticmethod)):
            yield f"{kind.__name__}.{name}", getattr(kind, name)


def public() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Functions that can be imported from rbmscape itself, and the methods of its classes."""
    for name in rs.__all__:
        thing = getattr(rs, name)
        if inspect.isclass(thing):
            yield from methods(thing)
        elif callable(thing):
            yield name, thing


def arguments(function: Callable[..., Any]) -> list[inspect.Parameter]:
    return [one for one in inspect.signature(function).parameters.values() if one.name != "self"]


def test_every_public_argument_stands_on_the_page():
    used = {one.name: name for name, function in public() for one in arguments(function)}
    assert {f"{argument} of {name}" for argument, name in used.items() if argument not in documented()} == set()


def test_the_page_has_no_argument_that_nobody_takes():
    used = {one.name for _, function in public() for one in arguments(function)}
    assert documented() - used == set()


def analyses() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Functions of all modules that look at a model, a run or modes."""
    yield from public()
    for info in pkgutil.walk_packages(rs.__path__, "rbmscape."):
        if info.name.split(".")[1] in ("reciprocal", "diffusion", "symmetry", "model"):
            module = importlib.import_module(info.name)
            for name in getattr(module, "__all__", ()):
                function = getattr(module, name)
                if inspect.isfunction(function) and function.__module__ == info.name:
                    yield f"{info.name}.{name}", function


def rank(argument: inspect.Parameter) -> int:
    return 0 if argument.name in SUBJECT else 1 if argument.name in DATA else 2


def test_the_model_comes_first_then_its_data():
    """Data behind a reference belong to it; updates may stand with models or be an option."""
    wrong = []
    for name, function in analyses():
        positional = [one for one in arguments(function) if one.kind is one.POSITIONAL_OR_KEYWORD]
        names = [one.name for one in positional]
        pairs = zip(positional, [None, *names], strict=False)
        ranks = [rank(one) for one, before in pairs if before != "reference" and one.name != "updates"]
        if ranks != sorted(ranks):
            wrong.append(f"{name}({', '.join(names)})")
    assert wrong == []


def test_progress_comes_last_after_engine_and_precision():
    for name, function in analyses():
        named = [one.name for one in arguments(function) if one.kind is not one.VAR_KEYWORD]
        tail = [LAST.get(one, 0) for one in named]
        at = [place for place, one in enumerate(tail) if one]
        assert [tail[place] for place in at] == sorted(tail[place] for place in at), name
