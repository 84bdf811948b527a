"""The figures that a study can draw: one line a figure.

A registered module has three functions::

    for_study(material: Material) -> xarray.Dataset      # picks runs, calls the module's own compute
    draw(dataset: xarray.Dataset) -> matplotlib Figure
    alt_text(dataset: xarray.Dataset) -> str             # what the picture shows, in words, from its numbers

It may raise a `rbmscape.errors.RbmscapeError` where the material cannot show what the figure is about; the study goes
on and the report says why the figure is missing.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rbmscape.errors import ConfigError

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from rbmscape.figures.material import Material

__all__ = ["FIGURES", "FigureEntry", "select"]


@dataclass(frozen=True, slots=True)
class FigureEntry:
    """One figure.

    Attributes
    ----------
    name : of its files and its key in a study plan
    title : heading in the report
    caption : what is drawn, in one or two sentences, with the paper's figure number where there is one
    needs : results of the study that it reads (``material.result(name)``)
    module : where its functions are; by default ``rbmscape.figures.<name>``
    """

    name: str
    title: str
    caption: str
    needs: tuple[str, ...] = ()
    module: str = ""

    @property
    def home(self) -> str:
        """Full name of the module."""
        return self.module or f"rbmscape.figures.{self.name}"

    def compute(self, material: Material) -> xr.Dataset:
        """Data of the figure."""
        return cast("xr.Dataset", self._function("for_study")(material))

    def draw(self, dataset: xr.Dataset) -> Figure:
        """Picture of those data."""
        return cast("Figure", self._function("draw")(dataset))

    def alt_text(self, dataset: xr.Dataset) -> str:
        """What the picture shows, in words."""
        return str(self._function("alt_text")(dataset))

    def source_hash(self) -> str:
        """SHA-256 of the module's source, so that a figure is made again when its code changes."""
        spec = find_spec(self.home)
        if spec is None or spec.origin is None:
            raise ConfigError(f"the figure {self.name!r} has no module {self.home}; correct the registry")
        return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()

    def _function(self, name: str) -> Callable[..., Any]:
        return cast("Callable[..., Any]", getattr(import_module(self.home), name))


FIGURES: tuple[FigureEntry, ...] = (
    FigureEntry(
        "likelihood",
        "Log-likelihood of the test data during training",
        "Mean log-likelihood of the test data against epochs for each size of the hidden layer, as on the left of the "
        "paper's figure 1. Points are means over replicas, thin lines single replicas, bars the standard deviation "
        "over replicas (with one replica, the estimate's own standard error).",
        needs=("likelihood",),
    ),
    FigureEntry(
        "gallery",
        "Samples",
        "Test data, and Gibbs samples of the trained models, each from its own chain that started from random bits.",
    ),
)
"""In the order of the report.  A new figure is one more entry here."""


def select(names: Iterable[str] | None = None) -> tuple[FigureEntry, ...]:
    """Entries by name, in the given order; all for None.

    Raises
    ------
    ConfigError : there is no such figure (with the nearest name that exists)
    """
    if names is None:
        return FIGURES
    known = {entry.name: entry for entry in FIGURES}
    chosen = []
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            cure = f"did you mean {near[0]!r}?" if near else f"the figures are {', '.join(known)}"
            raise ConfigError(f"there is no figure {name!r}; {cure}")
        chosen.append(known[name])
    return tuple(chosen)
