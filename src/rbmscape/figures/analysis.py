"""What `rbmscape analyze` makes of one model or run: one line a figure.

A registered module has three functions::

    for_model(subject: Subject) -> xarray.Dataset
    draw(dataset: xarray.Dataset) -> matplotlib Figure
    alt_text(dataset: xarray.Dataset) -> str

A module without ``for_model`` is given the run as a study of one run (``for_study``); it then needs a run and data.
``for_model`` may raise a `rbmscape.errors.RbmscapeError` where the model cannot show what the figure is about; the
other figures are made all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from rbmscape.data.dataset import Dataset
from rbmscape.errors import InputError
from rbmscape.figures.entries import by_name
from rbmscape.model.rbm import RBM
from rbmscape.reciprocal.modes import Modes
from rbmscape.runs.run import Run
from rbmscape.runs.samples import ModelSamples, RunSamples, model_samples, run_samples

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from rbmscape.figures.material import Material

__all__ = ["ANALYSES", "AnalysisEntry", "Need", "Subject", "select"]

Need = Literal["run", "data"]


@dataclass(frozen=True)
class Subject:
    """The model that is analysed, and what is known about it; what several figures need is computed once.

    Attributes
    ----------
    model : the model
    run : the run it belongs to; None for a single model
    dataset : its data; None where there are none
    image_shape : (height, width) of a visible state, or None
    name : what pictures call it
    seed : of everything random
    update : the checkpoint of the run that the model is; -1 for the last
    sampling : options of `rbmscape.runs.samples.run_samples`
    """

    model: RBM
    run: Run | None = None
    dataset: Dataset | None = None
    image_shape: tuple[int, int] | None = None
    name: str = "model"
    seed: int = 0
    update: int = -1
    sampling: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def modes(self) -> Modes:
        """Singular modes of the model."""
        return Modes.of(self.model)

    @cached_property
    def all_samples(self) -> RunSamples:
        """Equilibrium samples of the run's checkpoints up to the model, or of the model alone."""
        if self.run is None:
            return model_samples(self.model, self.seed, **self.sampling)
        return run_samples(self.run, self.update, self.seed, **self.sampling)

    @property
    def samples(self) -> ModelSamples:
        """Equilibrium samples of the model."""
        return self.all_samples.at()

    @cached_property
    def untrained(self) -> RBM:
        """Model of the same size with fresh random weights and no biases, as before training."""
        std = 0.01 if self.run is None else self.run.config.weight_std
        fresh = RBM.random(self.model.n_visible, self.model.n_hidden, std or 0.01, self.seed)
        return fresh.to(device=self.model.device)

    def as_study(self) -> Material:
        """The run as the only one of a study, for figures that are made for studies.

        Raises
        ------
        InputError : there is no run, or there are no data
        """
        from rbmscape.figures.material import DEFAULT_RECIPE, Material, RunKey

        if self.run is None or self.dataset is None:
            raise InputError(f"{self.name} is not a run with its data; this figure needs both")
        key = RunKey(DEFAULT_RECIPE, self.model.n_hidden, 0)

        def sampler(run: Run, **_options: object) -> RunSamples:
            return self.all_samples if self.update == -1 else run_samples(run, seed=self.seed, **self.sampling)

        return Material(self.dataset, {key: self.run}, _no_result, self.seed, sampler=sampler)


def _no_result(name: str) -> xr.Dataset:
    raise InputError(f"a single run has no {name} of a study; reproduce or study computes it")


@dataclass(frozen=True, slots=True)
class AnalysisEntry:
    """One figure of an analysis.

    Attributes
    ----------
    name : of its files
    title : heading
    needs : "run" for a figure over training, "data" for one that shows data; left out where they are not there
    module : where its functions are; by default ``rbmscape.figures.<name>``
    """

    name: str
    title: str
    needs: tuple[Need, ...] = ()
    module: str = ""

    def missing(self, subject: Subject) -> tuple[Need, ...]:
        """What it needs and the subject has not."""
        there = {"run": subject.run is not None, "data": subject.dataset is not None}
        return tuple(need for need in self.needs if not there[need])

    def compute(self, subject: Subject) -> xr.Dataset:
        """Data of the figure."""
        module = self._module()
        if hasattr(module, "for_model"):
            result: xr.Dataset = module.for_model(subject)
        else:
            result = module.for_study(subject.as_study())
        return result

    def draw(self, dataset: xr.Dataset) -> Figure:
        """Picture of those data."""
        figure: Figure = self._module().draw(dataset)
        return figure

    def alt_text(self, dataset: xr.Dataset) -> str:
        """What the picture shows, in words."""
        return str(self._module().alt_text(dataset))

    def _module(self) -> Any:
        return import_module(self.module or f"rbmscape.figures.{self.name}")


ANALYSES: tuple[AnalysisEntry, ...] = (
    AnalysisEntry("spectrum", "Singular values against the random-matrix law"),
    AnalysisEntry("image_landscapes", "One generated state on twelve energy landscapes"),
    AnalysisEntry("landscapes", "Energy landscapes with data and samples"),
    AnalysisEntry("gaussianity", "Reciprocal variables of random states"),
    AnalysisEntry("evolution", "Modes during training", needs=("run",)),
    AnalysisEntry("bosons", "Boson frequencies and stability along training", needs=("run", "data")),
    AnalysisEntry("mode_potentials", "Effective potentials of single modes against samples"),
    AnalysisEntry("mode_diffusion", "Diffusion of one mode, Gaussian and confined"),
    AnalysisEntry("relaxation", "Relaxation rates against the boson spectrum", needs=("run", "data")),
    AnalysisEntry("diffused_images", "Confined diffusion decoded to pixels"),
    AnalysisEntry("rotational_symmetry", "Rotational symmetry and its breaking", needs=("run", "data")),
    AnalysisEntry("hierarchy", "Hierarchy of modes"),
    AnalysisEntry("symmetry_breaking", "The first mode along training", needs=("run", "data")),
    AnalysisEntry("landau_wells", "Landau free energy along training", needs=("run", "data")),
    AnalysisEntry("transitions", "Transitions of the first modes", needs=("run", "data")),
    AnalysisEntry("alignment", "Modes and principal components", needs=("run", "data")),
)
"""In the order in which they are made.  A new figure is one more entry here."""


def select(names: Iterable[str] | None = None) -> tuple[AnalysisEntry, ...]:
    """Entries by name, in the given order; all for None; a `ConfigError` where there is no such figure."""
    return by_name(ANALYSES, names)
