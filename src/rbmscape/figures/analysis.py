"""What `rbmscape analyze` makes its figures of: one model, and the run and the data that it may come with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rbmscape.brief import OneLine
from rbmscape.data.dataset import Dataset
from rbmscape.errors import InputError
from rbmscape.model.rbm import RBM
from rbmscape.reciprocal.modes import Modes
from rbmscape.runs.run import Run
from rbmscape.runs.samples import RunSamples, model_samples, run_samples
from rbmscape.sampling.samples import Samples

if TYPE_CHECKING:
    import xarray as xr

    from rbmscape.figures.material import Material

__all__ = ["Subject"]


@dataclass(frozen=True, repr=False, eq=False)
class Subject(OneLine):
    """The model that is analysed, and what is known about it; what several figures need is computed once.

    Attributes
    ----------
    model : the model
    run : the run it belongs to; None for a single model
    dataset : its data, each row as often as it counts; None where there are none
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

    def __post_init__(self) -> None:
        """Take weights of rows as numbers of them, and refuse data with missing entries."""
        if self.dataset is not None:
            object.__setattr__(self, "dataset", self.dataset.complete("a figure"))

    def _headline(self) -> str:
        known = [name for name, part in (("its run", self.run), ("data", self.dataset)) if part is not None]
        return f"{self.name!r}, {self.model}, with {' and '.join(known) or 'nothing else'}"

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
    def samples(self) -> Samples:
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
