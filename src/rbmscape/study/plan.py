"""Plans as files: TOML in, `StudyConfig` out, and what can only be checked beside the data and the figures."""

from __future__ import annotations

import tomllib
from pathlib import Path
from shlex import quote
from typing import Any, Final

from rbmscape.arguments import checked_path
from rbmscape.data.dataset import Dataset
from rbmscape.errors import ConfigError, DiskError
from rbmscape.figures.registry import figure_names
from rbmscape.model.exact import MAX_ENUMERATED_UNITS
from rbmscape.recipe import nearest
from rbmscape.study.config import StudyConfig
from rbmscape.study.search_config import SearchConfig

__all__ = ["check_plan", "read_plan", "read_search_plan"]

_LARGEST: Final = 1_000_000
"""Bytes of a plan; one with a hundred recipes has some thousands."""


def read_plan(path: Path) -> StudyConfig:
    """A plan from a TOML file; a data file that is named relatively lies beside the plan.

    Raises
    ------
    DiskError : the file cannot be read
    ConfigError : it is not TOML, has more than a megabyte, an unknown key (with the nearest valid one) or an
        impossible value
    """
    values = _parsed(path)
    if isinstance(values.get("search"), dict):
        raise ConfigError(f"{path} is the plan of a search; carry it out with rbmscape search {quote(str(path))}")
    try:
        return StudyConfig.from_mapping(values)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def read_search_plan(path: Path) -> SearchConfig:
    """A search's plan from a TOML file, as `read_plan` reads one of a study.

    Raises
    ------
    DiskError : the file cannot be read
    ConfigError : it is not TOML, has an unknown key (with the nearest valid one) or an impossible value
    """
    values = _parsed(path)
    if "search" not in values:
        raise ConfigError(f"{path} has no [search] with lists of values to choose among; add it, or use rbmscape study")
    try:
        return SearchConfig.from_mapping(values)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _parsed(path: Path) -> dict[str, Any]:
    """The values of a plan, with its name and the place of its data."""
    if path.suffix.lower() != ".toml":
        raise ConfigError(f"a plan is a .toml file, found {path}; give a plan or the directory of a study")
    try:
        if (size := path.stat().st_size) > _LARGEST:
            raise ConfigError(f"the plan {path} has {size} bytes, plans have at most {_LARGEST}; make it shorter")
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DiskError(f"the plan {path} could not be read ({error.strerror or error}); check the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"the plan {path} is no valid TOML: {error}; correct it there") from error
    data = values.get("data")
    if isinstance(data, dict) and isinstance(data.get("source"), str):
        beside = path.parent / checked_path("source", data["source"])
        if beside.is_file():
            values["data"] = data | {"source": str(beside.resolve())}
    return {"name": path.stem} | values


def check_plan(config: StudyConfig, dataset: Dataset) -> None:
    """Refuse what would only fail after hours.

    Raises
    ------
    ConfigError : a figure or an option of a figure does not exist, there are no test data, or a model is too large to
        be summed exactly
    """
    entries = config.figure_entries
    if not len(dataset.test):
        raise ConfigError(f"the data {dataset.name!r} have no test samples, which a study needs; set some aside")
    planned = {entry.name: entry for entry in entries}
    for name, options in config.figure_options.items():
        if name in planned:
            planned[name].options(options)
        elif name not in figure_names():
            known = sorted({*figure_names(), *planned})
            raise ConfigError(f"the plan has options for a figure {name!r}; {nearest(name, known, 'the figures')}")
    plan = config.likelihood
    ways = {plan.method, plan.final.method if plan.final else plan.method}
    smaller = min(dataset.n_visible, max(config.hidden))
    if "exact" in ways and smaller > MAX_ENUMERATED_UNITS:
        raise ConfigError(
            f"the likelihood of M = {max(config.hidden)} and {dataset.n_visible} visible units cannot be summed "
            f'exactly (the smaller layer has {smaller} units, at most {MAX_ENUMERATED_UNITS}); use method = "bracket"'
        )
