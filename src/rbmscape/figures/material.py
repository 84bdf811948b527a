"""What a figure of a study is computed from: runs by size and replica, their data, and results computed before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rbmscape.brief import OneLine
from rbmscape.data.dataset import Dataset
from rbmscape.errors import InputError
from rbmscape.figures.spec import FigureOptions
from rbmscape.runs.run import Run
from rbmscape.runs.samples import RunSamples, run_samples

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["DEFAULT_RECIPE", "Material", "RunKey", "main_size"]

DEFAULT_RECIPE = "recommended"
PAPER_SIZE = 500
"""Hidden units of the models in most of the paper's figures."""


def main_size(sizes: Iterable[int]) -> int:
    """The size that figures of one size show: the one nearest to the paper's, the first of two that are as near."""
    return min(sizes, key=lambda hidden: abs(hidden - PAPER_SIZE))


@dataclass(frozen=True, slots=True, order=True)
class RunKey:
    """Which run of a study; as text the name of its directory, without the recipe where that is the default one.

    Attributes
    ----------
    recipe : name of the training recipe
    hidden : hidden units M
    replica : number of the replica, from 0
    """

    recipe: str
    hidden: int
    replica: int

    def __str__(self) -> str:
        size = f"M{self.hidden:04d}-r{self.replica}"
        return size if self.recipe == DEFAULT_RECIPE else f"{self.recipe}-{size}"


@dataclass(frozen=True, repr=False, eq=False)
class Material(OneLine):
    """All that a figure may use.

    Attributes
    ----------
    dataset : what the runs were trained on
    runs : key to run, in the order of the plan; every run is complete
    result : name to the Dataset that an analysis of the study left, for example ``result("likelihood")``
    seed : of the study; derive others from it with `rbmscape.rng.Stream`
    options : what the plan chose for this figure
    sampling : options of `rbmscape.runs.samples.run_samples` for the samples that it shows
    sampler : makes the samples of a run; a study keeps them in its directory
    """

    dataset: Dataset
    runs: Mapping[RunKey, Run]
    result: Callable[[str], xr.Dataset]
    seed: int = 0
    options: FigureOptions = field(default_factory=FigureOptions)
    sampling: Mapping[str, Any] = field(default_factory=dict)
    sampler: Callable[..., RunSamples] = run_samples

    def _headline(self) -> str:
        sizes = ", ".join(map(str, self.hidden())) if self.runs else "none"
        return f"{len(self.runs)} runs, M = {sizes}, data {self.dataset.name!r}"

    @property
    def settings(self) -> dict[str, Any]:
        """The options as keyword arguments of the figure's ``compute``."""
        return dict(self.options)

    def samples(self, run: Run) -> RunSamples:
        """Equilibrium samples of all checkpoints of a run, the same for every figure with the same ``sampling``."""
        return self.sampler(run, seed=self.seed, **self.sampling)

    @property
    def main_recipe(self) -> str:
        """The recipe that the paper's figures show: the first of the plan."""
        return next(iter(self.runs)).recipe

    def hidden(self) -> tuple[int, ...]:
        """Sizes of the hidden layer under the main recipe, ascending."""
        return tuple(sorted({key.hidden for key in self.runs if key.recipe == self.main_recipe}))

    def replicas(self, hidden: int, recipe: str | None = None) -> tuple[Run, ...]:
        """Runs of one size, first replica first."""
        wanted = (recipe or self.main_recipe, hidden)
        found = tuple(run for key, run in sorted(self.runs.items()) if (key.recipe, key.hidden) == wanted)
        if not found:
            raise InputError(f"the study has no run with M = {hidden}; it has M = {', '.join(map(str, self.hidden()))}")
        return found

    def run(self, hidden: int | None = None, replica: int = 0) -> Run:
        """One run of the main recipe; without a size, the one that figures of one size show."""
        size = main_size(self.hidden()) if hidden is None else hidden
        return self.replicas(size)[replica]
