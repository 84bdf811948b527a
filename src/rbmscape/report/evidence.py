"""What the rules of the ledger judge from: a study's Datasets, its recipes, and the checks behind the errata."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from rbmscape.errors import StudyError
from rbmscape.report.findings import MissingEvidenceError
from rbmscape.runs.config import TrainingConfig
from rbmscape.runs.optimizers import OPTIMIZERS

if TYPE_CHECKING:
    import xarray as xr

    from rbmscape.report.findings import Check
    from rbmscape.study.study import Study

__all__ = ["LIKELIHOOD", "Evidence"]

LIKELIHOOD = "results/likelihood"
"""Name under which the single likelihood estimates are found; other names are those of figures."""

_SET_BY_STUDY = {"n_hidden", "seed"}
_FREE = {
    "method": {"method", "n_chains"},
    "weight_std": {"weight_std"},
    "optimizer": {"optimizer", "learning_rate", "schedule", "clip", "averaging"},
    "gradient": {"gradient"},
}
"""What may differ between recipes that are compared for one thing: the thing, and what belongs to it."""


class Evidence:
    """Datasets by name, recipes in the study's order, and facts about the data.

    Parameters
    ----------
    load : name of a figure, or `LIKELIHOOD`, to its Dataset; raises `MissingEvidenceError` where there is none
    recipes : name to training configuration, the main one first
    n_visible : units of the data
    n_train : training samples
    checks : key of an erratum to its check, for claims that an erratum settles
    """

    def __init__(
        self,
        load: Callable[[str], xr.Dataset],
        recipes: Mapping[str, TrainingConfig],
        n_visible: int,
        n_train: int,
        checks: Mapping[str, Check] | None = None,
    ) -> None:
        self._load = load
        self._known: dict[str, xr.Dataset] = {}
        self._used: set[str] = set()
        self.recipes = dict(recipes)
        self.n_visible = n_visible
        self.n_train = n_train
        self.checks: dict[str, Check] = dict(checks or {})

    @classmethod
    def of_study(
        cls, study: Study, done: Iterable[str] | None = None, failures: Mapping[str, str] | None = None
    ) -> Evidence:
        """Evidence of a study.

        Parameters
        ----------
        study : opened
        done : names of the finished tasks; figures that are not among them are of an earlier plan and do not count
        failures : task name to reason
        """
        names = set(study.records() if done is None else done)
        reasons = dict(failures or {})
        paths = {entry.name: path for entry, path in study.figures("nc") if f"compute/{entry.name}" in names}

        def load(name: str) -> xr.Dataset:
            import xarray as xr

            if name == LIKELIHOOD:
                try:
                    return study.result("likelihood")
                except StudyError:
                    raise MissingEvidenceError("the study has no likelihood estimates") from None
            if name not in paths:
                reason = reasons.get(f"compute/{name}")
                because = f": {reason}" if reason else ""
                raise MissingEvidenceError(f"the study has no data of the figure {name!r}{because}")
            return xr.load_dataset(paths[name], engine="h5netcdf")

        config = study.config
        recipes = {name: TrainingConfig(**values) for name, values in config.recipes.items()}
        data = study.info["data"]
        return cls(load, recipes, int(data["n_visible"]), int(data["n_train"]))

    def data(self, name: str, *variables: str) -> xr.Dataset:
        """The Dataset of a figure, or `LIKELIHOOD`.

        Raises
        ------
        MissingEvidenceError : it is not there, or lacks one of the variables
        """
        if name not in self._known:
            self._known[name] = self._load(name)
        self._used.add(name)
        dataset = self._known[name]
        lacking = [variable for variable in variables if variable not in dataset]
        if lacking:
            raise MissingEvidenceError(f"the data of {name!r} have no {lacking[0]!r}")
        return dataset

    def forget_used(self) -> None:
        """Begin a new list of the Datasets that are asked for."""
        self._used.clear()

    def doubt(self) -> str:
        """What speaks against the equilibrium of the samples behind the Datasets asked for since then; or nothing."""
        parts = []
        for name in sorted(self._used):
            against, total = _not_equilibrated(self._known[name])
            if against:
                parts.append(f"of {name!r} at {against} of {total} models" if total > 1 else f"of {name!r}")
        return f"Samples {', '.join(parts)} are not shown to be in equilibrium." if parts else ""

    def check(self, key: str) -> Check:
        """The check of an erratum; `MissingEvidenceError` where it was not done."""
        if key not in self.checks:
            raise MissingEvidenceError(f"the check {key!r} was not done")
        return self.checks[key]

    @cached_property
    def main(self) -> str:
        """The study's first recipe, which its figures show."""
        return next(iter(self.recipes))

    def like_the_paper(self, among: Iterable[str] | None = None) -> str:
        """The recipe nearest to the paper's (plain gradient, Adam, PCD) among some; else the first of them."""
        names = [name for name in self.recipes if among is None or name in set(among)]
        if not names:
            raise MissingEvidenceError("the data hold none of the study's recipes")
        for name in names:
            config = self.recipes[name]
            if (config.gradient, config.optimizer, config.method) == ("plain", "adam", "pcd"):
                return name
        return names[0]

    def describe(self, recipe: str) -> str:
        """A recipe's name and what it is."""
        config = self.recipes[recipe]
        steps = f"{config.method.upper() if config.method != 'rdm' else 'Rdm'}-{config.gibbs_steps}"
        how = f"{OPTIMIZERS[config.optimizer].label} {config.learning_rate:g}, {steps}, {config.epochs} epochs"
        return f"{recipe}: {config.gradient} gradient, {how}"

    def updates_per_epoch(self, recipe: str) -> int:
        """Parameter updates in one pass over the data."""
        return self.recipes[recipe].updates_per_epoch(self.n_train)

    def siblings(self, first: str, second: str) -> Iterator[tuple[str, str]]:
        """Pairs of recipes that differ in nothing but their methods, the given two."""
        for one, left in self.recipes.items():
            for other, right in self.recipes.items():
                if (left.method, right.method) == (first, second) and self.alike(one, other, "method"):
                    yield one, other

    def differ_in(self, what: str, among: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Pairs of some recipes that differ in one number alone, the one with the smaller number first."""
        names = [name for name in self.recipes if name in set(among)]
        for one in names:
            for other in names:
                smaller, larger = (getattr(self.recipes[name], what) for name in (one, other))
                if smaller < larger and self.alike(one, other, what):
                    yield one, other

    def alike(self, one: str, other: str, but_for: str) -> bool:
        """Whether two recipes agree in all but one thing ("method", "optimizer", "gradient", "weight_std")."""
        free = _FREE[but_for] | _SET_BY_STUDY
        left, right = (self.recipes[name].model_dump(exclude=free) for name in (one, other))
        return left == right

    def equilibrium(self, name: str, last: bool = True) -> None:
        """Demand that nothing speaks against the equilibrium of a figure's samples.

        Parameters
        ----------
        name : of the figure
        last : ask about its last model only

        Raises
        ------
        MissingEvidenceError : something does, or they are judged of no model
        """
        dataset = self.data(name)
        if "samples_equilibrated" in dataset:
            fine = np.asarray(dataset["samples_equilibrated"].values, dtype=float)
            fine = fine[..., -1:] if last else fine
            doubtful, total = int((fine == 0).sum()), int(np.isfinite(fine).sum())
        else:
            doubtful, total = int(not dataset.attrs.get("samples_equilibrated", 0)), 1
        if doubtful or not total:
            objections = str(dataset.attrs.get("samples_objections", ""))
            why = f": {objections}" if objections else ""
            raise MissingEvidenceError(f"the samples of {name!r} that decide are not shown to be in equilibrium{why}")


def _not_equilibrated(dataset: xr.Dataset) -> tuple[int, int]:
    """Number of models whose samples are in doubt, and of models that were sampled."""
    if "samples_equilibrated" in dataset:
        fine = np.asarray(dataset["samples_equilibrated"].values, dtype=float)
        known = fine[np.isfinite(fine)]
        return int((known == 0).sum()), known.size
    return int(not dataset.attrs.get("samples_equilibrated", 1)), 1
