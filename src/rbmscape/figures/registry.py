"""The figures there are: every module of this folder that declares a `FigureSpec`, and those that a plan names.

A figure of this folder is called by its module's name, ``gallery``.  One of somebody else is called by the path of its
module, ``my_package.my_figure``, or ``my_figures:MAP`` where the spec is not called ``SPEC``.  Names are found by
looking at the files; a module is imported when its figure is asked for, and Matplotlib when it is drawn.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from rbmscape.errors import ConfigError, InputError
from rbmscape.figures.spec import FigureOptions, FigureSpec, Need
from rbmscape.recipe import nearest
from rbmscape.sampling.sequence import sequence_settings

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from rbmscape.figures.analysis import Subject
    from rbmscape.figures.material import Material

__all__ = ["FigureEntry", "all_figures", "figure_names", "in_order", "select"]

_FOLDER = "rbmscape.figures"
_DECLARED = re.compile(r"^SPEC\b.*=", re.MULTILINE)
_FUNCTIONS = ("for_study", "draw", "alt_text")


@dataclass(frozen=True, slots=True)
class FigureEntry:
    """One figure that was found.

    Attributes
    ----------
    name : its key in a plan
    module : full name of the module with its functions
    spec : what it says about itself
    """

    name: str
    module: str
    spec: FigureSpec

    @property
    def stem(self) -> str:
        """Name of its files without suffix."""
        return self.name.replace(":", ".")

    def options(self, values: Mapping[str, Any]) -> tuple[FigureOptions, dict[str, Any]]:
        """A plan's values for it, checked: its own options, and those of its equilibrium samples (``sampling``).

        Raises
        ------
        ConfigError : an option that does not exist (with the nearest one that does) or an impossible value
        """
        own = dict(values)
        sampling = own.pop("sampling", {}) if self.spec.samples else {}
        if not isinstance(sampling, Mapping):
            raise ConfigError(
                f"sampling of the figure {self.name!r} must be a table, found {sampling!r}; see figure_options"
            )
        if own and not self.spec.options.model_fields:
            raise ConfigError(f"the figure {self.name!r} has no options, found {next(iter(own))!r}; leave it out")
        try:
            sequence_settings(sampling)
        except InputError as error:
            raise ConfigError(f"the figure {self.name!r}: {error}") from None
        return self.spec.options(**own), dict(sampling)

    def compute(self, material: Material) -> xr.Dataset:
        """Data of the figure, from a study."""
        return cast("xr.Dataset", self._function("for_study")(material))

    def missing(self, subject: Subject) -> tuple[Need, ...]:
        """What an analysis of the subject lacks for it."""
        there = {"run": subject.run is not None, "data": subject.dataset is not None}
        return tuple(need for need in self.spec.analysis or () if not there[need])

    def analyse(self, subject: Subject) -> xr.Dataset:
        """Data of the figure, from one model, or from its run as the only one of a study."""
        if hasattr(import_module(self.module), "for_model"):
            return cast("xr.Dataset", self._function("for_model")(subject))
        return self.compute(subject.as_study())

    def draw(self, dataset: xr.Dataset) -> Figure:
        """Picture of its data."""
        return cast("Figure", self._function("draw")(dataset))

    def alt_text(self, dataset: xr.Dataset) -> str:
        """What the picture shows, in words."""
        return str(self._function("alt_text")(dataset))

    def _function(self, name: str) -> Callable[..., Any]:
        return cast("Callable[..., Any]", getattr(import_module(self.module), name))


@cache
def figure_names() -> tuple[str, ...]:
    """Names of the figures of this folder, by alphabet; nothing is imported."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return tuple(file.stem for file in files if _DECLARED.search(file.read_text(encoding="utf-8")))


@cache
def all_figures() -> tuple[FigureEntry, ...]:
    """The figures of this folder, in the order of the report."""
    return in_order(_entry(name) for name in figure_names())


def in_order(entries: Iterable[FigureEntry]) -> tuple[FigureEntry, ...]:
    """As they stand in the report."""
    return tuple(sorted(entries, key=lambda entry: (entry.spec.order, entry.name)))


def select(names: Iterable[str] | None = None) -> tuple[FigureEntry, ...]:
    """Figures by name, in the given order; for None those of this folder that are made by default, as in the report.

    Raises
    ------
    ConfigError : there is no such figure (with the nearest name), or a module that is no figure or cannot be imported
    """
    if names is None:
        return tuple(entry for entry in all_figures() if entry.spec.default)
    return tuple(_entry(name) for name in names)


@cache
def _entry(name: str) -> FigureEntry:
    if name in figure_names():
        module, attribute = f"{_FOLDER}.{name}", "SPEC"
    elif "." in name or ":" in name:
        module, _, attribute = name.partition(":")
    else:
        raise ConfigError(f"there is no figure {name!r}; {nearest(name, figure_names(), 'the figures')}")
    found = _imported(name, module)
    spec = getattr(found, attribute or "SPEC", None)
    if not isinstance(spec, FigureSpec):
        raise ConfigError(
            f"the module of the figure {name!r} has no FigureSpec called {attribute or 'SPEC'}; declare one, see "
            "rbmscape.figures.spec"
        )
    lacking = [function for function in _FUNCTIONS if not callable(getattr(found, function, None))]
    if lacking:
        raise ConfigError(f"the module of the figure {name!r} has no function {lacking[0]}; see rbmscape.figures.spec")
    return FigureEntry(name, module, spec)


def _imported(name: str, module: str) -> ModuleType:
    try:
        return import_module(module)
    except Exception as error:  # whatever somebody's module does when it is imported
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigError(
            f"the figure {name!r} cannot be imported ({reason}); install its package or put its folder on PYTHONPATH"
        ) from error
