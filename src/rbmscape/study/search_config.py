"""What a search is: data, a recipe, lists of values to choose among, and how the candidates are halved.

Successive halving (Karnin, Koren and Somekh, ICML 2013; Jamieson and Talwalkar, AISTATS 2016): all candidates are
trained for the epochs of the first rung, the best 1/η of them for η times as many, and so on, until at most η are
compared at full length.  Each rung goes on with the runs of the one before, in the schedule of the whole training.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from rbmscape.arguments import checked
from rbmscape.checks import check_count
from rbmscape.errors import ConfigError
from rbmscape.figures.material import RunKey
from rbmscape.recipe import Recipe, nearest
from rbmscape.runs.config import TrainingConfig
from rbmscape.study.config import DataPlan, LikelihoodMethod, LikelihoodPlan, StudyConfig, fingerprint, frozen

__all__ = ["Rung", "SearchConfig"]

SIZE = "hidden"
MOST_CANDIDATES = 10_000
_OWN = ("seed", "n_hidden", "checkpoint_epochs")
"""Values that the search sets itself."""
_LENGTH = ("epochs", "patience")
"""Values that say how long is trained, which the rungs do."""
WITH_VERDICT = ("exact", "bracket", "trajectory")


@dataclass(frozen=True, slots=True)
class Rung:
    """How far training goes, and how many candidates are trained so far at most.

    Attributes
    ----------
    epochs : of each candidate in all
    places : candidates
    """

    epochs: int
    places: int


class SearchConfig(Recipe):
    """Candidates, and how the best of them is found.

    Parameters
    ----------
    name : what the report calls the search
    data : the data set; its test data take no part in the search
    validation : part of the training data that is held out to judge candidates by
    search : names of `TrainingConfig` values, and ``hidden`` for the size, with the values to choose among; every
        combination is a candidate
    recipe : values of `TrainingConfig` that all candidates have, among them the epochs of the whole training
    factor : η, of which so many candidates one is trained on
    likelihood : how the log-likelihood of the held-out rows is estimated: "exact", "bracket" or "trajectory", whose
        estimates have a verdict on their convergence; by default exact where that takes seconds, else a bracket
    slice_epochs : epochs that one task trains at most; by default about a minute's work; changes no numbers
    seed : of everything random in the search

    Raises
    ------
    ConfigError : an unknown key, an empty list, a value that appears twice, fewer candidates than the factor or more
        than ten thousand, or a training too short for the rungs
    """

    title = "the search plan"

    name: str = "search"
    data: DataPlan = Field(default_factory=DataPlan)
    validation: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2
    search: Annotated[dict[str, tuple[Any, ...]], AfterValidator(frozen)]
    recipe: Annotated[dict[str, Any], AfterValidator(frozen)] = Field(default_factory=dict)
    factor: Annotated[int, Field(ge=2)] = 3
    likelihood: LikelihoodMethod | None = None
    slice_epochs: Annotated[int, Field(ge=1)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

    @field_validator("search", mode="before")
    @classmethod
    def _lists_of_known_values(cls, lists: Any) -> Any:
        if not isinstance(lists, Mapping) or not lists:
            raise ValueError("it holds lists of values to choose among, for example hidden = [64, 256]")
        known = [SIZE, *(name for name in TrainingConfig.model_fields if name not in (*_OWN, *_LENGTH))]
        for name, values in lists.items():
            if name not in known:
                raise ConfigError(f"the search plan's [search] has no key {name!r}; {nearest(name, known, 'the keys')}")
            if not isinstance(values, list | tuple) or not values:
                raise ValueError(f"{name} needs a list of at least one value")
            if len({repr(frozen(value)) for value in values}) < len(values):
                raise ValueError(f"{name} lists a value twice; leave one of them out")
        return lists

    @model_validator(mode="after")
    def _can_be_halved(self) -> Self:
        taken = {SIZE, *_OWN, *self.search} & set(self.recipe)
        if taken:
            name = min(taken)
            why = "is among [search] as well" if name in self.search else "the search sets itself"
            raise ValueError(f"[recipe] sets {name!r}, which {why}; leave it out there")
        if SIZE not in self.search:
            raise ValueError("[search] needs the size of the hidden layer; add for example hidden = [64, 256]")
        count = math.prod(len(values) for values in self.search.values())
        if count > MOST_CANDIDATES:
            raise ValueError(f"it has {count} candidates and may have {MOST_CANDIDATES}; list fewer values")
        if count < self.factor:
            raise ValueError(
                f"it has {count} candidate{'s' if count > 1 else ''}, fewer than the factor {self.factor} by which "
                "they are halved; list more values or lower the factor"
            )
        if self.likelihood is not None and self.likelihood.method not in WITH_VERDICT:
            raise ValueError(
                f"likelihood.method = {self.likelihood.method!r} has no verdict on its convergence; use one of "
                f"{', '.join(WITH_VERDICT)}"
            )
        for values in self.candidates():
            self._training(values)
        return self

    @classmethod
    @checked
    def from_mapping(cls, values: Mapping[str, Any]) -> SearchConfig:
        """From parsed JSON or TOML; ConfigError as for the class."""
        return cls(**dict(values))

    def replace(self, **changes: Any) -> SearchConfig:
        """Copy with some values changed, checked again."""
        return SearchConfig(**(self.model_dump() | changes))

    def candidates(self) -> list[dict[str, Any]]:
        """Values of each candidate, in the order of the lists."""
        return [dict(zip(self.search, values, strict=True)) for values in itertools.product(*self.search.values())]

    def _training(self, values: Mapping[str, Any]) -> TrainingConfig:
        own = {name: value for name, value in values.items() if name != SIZE}
        config = TrainingConfig(**(self.recipe | own), n_hidden=values[SIZE])
        if config.patience:
            raise ValueError("patience ends trainings by themselves, as the rungs do; leave it out")
        return config.replace(checkpoint_epochs=self._checkpoints(config))

    def _checkpoints(self, config: TrainingConfig) -> tuple[int, ...]:
        """The usual ones, and the ends of the rungs."""
        return tuple(sorted({*config.epochs_with_checkpoint(), *(rung.epochs for rung in self.rungs(config.epochs))}))

    @checked
    def rungs(self, epochs: int) -> tuple[Rung, ...]:
        """Epochs and places of each rung, for trainings of so many epochs in all.

        Raises
        ------
        InputError : no number of epochs
        ConfigError : so few epochs that two rungs would end at the same one
        """
        count, epochs = len(self.candidates()), check_count("epochs", epochs)
        halvings = max(0, math.ceil(math.log(count, self.factor) - 1e-9) - 1)
        if epochs < self.factor**halvings:
            raise ConfigError(
                f"{count} candidates and the factor {self.factor} make {halvings + 1} rungs, which take "
                f"{self.factor**halvings} epochs at least, found {epochs}; train longer or raise the factor"
            )
        places = count
        found = []
        for rung in range(halvings + 1):
            found.append(Rung(epochs // self.factor ** (halvings - rung), places))
            places = max(2, -(-places // self.factor))
        return tuple(found)

    def named(self) -> dict[RunKey, dict[str, Any]]:
        """Values of each candidate by the key of its run."""
        return {RunKey(self._recipe_name(values), values[SIZE], 0): values for values in self.candidates()}

    def _recipe_name(self, values: Mapping[str, Any]) -> str:
        """A name that follows from all values but the size."""
        return f"c{fingerprint(self._recipe(values))[:8]}"

    def _recipe(self, values: Mapping[str, Any]) -> dict[str, Any]:
        own = {name: value for name, value in values.items() if name != SIZE}
        return self.recipe | own | {"checkpoint_epochs": self._training(values).checkpoint_epochs}

    def study(self) -> StudyConfig:
        """The candidates as a study whose test data are the held-out rows."""
        recipes = {self._recipe_name(values): self._recipe(values) for values in self.candidates()}
        options = self.data.options | {"validation_fraction": self.validation}
        return StudyConfig(
            name=self.name,
            data=DataPlan(source=self.data.source, options=options),
            hidden=self.search[SIZE],
            replicas=1,
            recipes=recipes,
            likelihood=LikelihoodPlan(**(self.likelihood.model_dump() if self.likelihood else {})),
            figures=(),
            slice_epochs=self.slice_epochs,
            seed=self.seed,
            ledger=False,
        )
