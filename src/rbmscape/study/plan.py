"""Plans as files: TOML in, `StudyConfig` out, and what can only be checked beside the data and the figures."""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from rbmscape.data.dataset import Dataset
from rbmscape.errors import ConfigError, DiskError
from rbmscape.figures.registry import FIGURES, FigureEntry, select
from rbmscape.model.exact import MAX_ENUMERATED_UNITS
from rbmscape.recipe import nearest
from rbmscape.study.config import StudyConfig

__all__ = ["check_plan", "figure_options", "read_plan"]

_OPTIONS_STAND_IN: Final = ("compute", "of_run", "run_evolution", "evolution")
"""Functions of a figure's module that the plan's options for it may reach."""

_SET_BY_THE_STUDY: Final = {"seed", "report", "progress"}


def read_plan(path: Path) -> StudyConfig:
    """A plan from a TOML file; a data file that is named relatively lies beside the plan.

    Raises
    ------
    DiskError : the file cannot be read
    ConfigError : it is not TOML, has an unknown key (with the nearest valid one) or an impossible value
    """
    if path.suffix.lower() != ".toml":
        raise ConfigError(f"a plan is a .toml file, found {path}; give a plan or the directory of a study")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DiskError(f"the plan {path} could not be read ({error.strerror or error}); check the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"the plan {path} is no valid TOML: {error}; correct it there") from error
    data = values.get("data")
    if isinstance(data, dict) and isinstance(data.get("source"), str):
        beside = path.parent / data["source"]
        if beside.is_file():
            values["data"] = data | {"source": str(beside.resolve())}
    try:
        return StudyConfig.from_mapping({"name": path.stem} | values)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def check_plan(config: StudyConfig, dataset: Dataset) -> None:
    """Refuse what would only fail after hours.

    Raises
    ------
    ConfigError : a figure or an option of a figure does not exist, there are no test data, or a model is too large to
        be summed exactly
    """
    entries = select(config.figures)
    if not len(dataset.test):
        raise ConfigError(f"the data {dataset.name!r} have no test samples, which a study needs; set some aside")
    known = {entry.name: entry for entry in FIGURES}
    for name, options in config.figure_options.items():
        if name not in known:
            raise ConfigError(f"the plan has options for a figure {name!r}; {nearest(name, known, 'the figures')}")
        if options and known[name] in entries:
            _check_options(known[name], options)
    plan = config.likelihood
    ways = {plan.method, plan.final.method if plan.final else plan.method}
    smaller = min(dataset.n_visible, max(config.hidden))
    if "exact" in ways and smaller > MAX_ENUMERATED_UNITS:
        raise ConfigError(
            f"the likelihood of M = {max(config.hidden)} and {dataset.n_visible} visible units cannot be summed "
            f'exactly (the smaller layer has {smaller} units, at most {MAX_ENUMERATED_UNITS}); use method = "bracket"'
        )


def _check_options(entry: FigureEntry, options: Mapping[str, Any]) -> None:
    known = figure_options(entry.name)
    for option, value in options.items():
        if option == "sampling":  # of the samples that figures share, not of this figure's compute
            check_sampling(entry.name, value)
        elif option not in known:
            raise ConfigError(
                f"the figure {entry.name!r} has no option {option!r}; {nearest(option, sorted(known), 'its options')}"
            )


def check_sampling(figure: str, options: object) -> None:
    """Refuse options of the samples that do not exist.

    Raises
    ------
    ConfigError : no mapping, an unknown option, or a value out of range
    """
    from rbmscape.errors import InputError
    from rbmscape.runs.samples import sampling_settings

    if not isinstance(options, Mapping):
        raise ConfigError(f"sampling of the figure {figure!r} must be a table, found {options!r}; see figure_options")
    try:
        sampling_settings(options)
    except InputError as error:
        raise ConfigError(f"the figure {figure!r}: {error}") from None


def figure_options(name: str) -> dict[str, Any]:
    """Options of a figure that a plan may set, with their defaults.

    Raises
    ------
    ConfigError : there is no such figure
    """
    (entry,) = select([name])
    direct = _functions(import_module(entry.home))
    functions = [*(one for function in direct for one in _functions(inspect.getmodule(function))), *direct]
    parameters = [one for function in functions for one in inspect.signature(function).parameters.values()]
    own = {
        one.name: one.default
        for one in parameters
        if one.default is not one.empty and one.name not in _SET_BY_THE_STUDY
    }
    return {"sampling": {}} | own  # of the equilibrium samples that figures share


def _functions(module: ModuleType | None) -> list[Callable[..., Any]]:
    return [getattr(module, name) for name in _OPTIONS_STAND_IN if hasattr(module, name)]
