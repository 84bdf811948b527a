"""What a study is: data, sizes, replicas, recipes, how the likelihood is estimated, and which figures are drawn.

A `StudyConfig` is declarative and immutable: it can come from Python, from JSON or from a parsed TOML plan, and
everything that a study computes follows from it.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from rbmscape.arguments import checked
from rbmscape.checks import shown
from rbmscape.data.dataset import Dataset
from rbmscape.errors import ConfigError
from rbmscape.figures.material import DEFAULT_RECIPE, RunKey
from rbmscape.figures.registry import FigureEntry, select
from rbmscape.recipe import Recipe, nearest
from rbmscape.runs.config import TrainingConfig

__all__ = [
    "DataPlan",
    "LikelihoodMethod",
    "LikelihoodPlan",
    "Scope",
    "StudyConfig",
    "derived_seed",
    "fingerprint",
    "frozen",
]

PositiveInt = Annotated[int, Field(ge=1)]


def frozen(value: Any) -> Any:
    """Lists, also nested ones, as tuples, so that a plan equals itself after a journey through JSON."""
    if isinstance(value, Mapping):
        return {key: frozen(part) for key, part in value.items()}
    return tuple(frozen(part) for part in value) if isinstance(value, list | tuple) else value


Values = Annotated[dict[str, Any], AfterValidator(frozen)]


class _Plan(Recipe):
    """A part of a study's plan."""

    title = "the study plan"


class DataPlan(_Plan):
    """Which data set, as `rbmscape.load_dataset` takes it.

    Parameters
    ----------
    source : "mnist", "bars-and-stripes", "planted", or the path of a file
    options : keyword arguments of `rbmscape.load_dataset`, for example ``{"n_train": 2000}``
    """

    title = "the study plan's [data]"

    source: str = "mnist"
    options: Values = Field(default_factory=dict)

    def load(self) -> Dataset:
        """Load the data; errors as those of `rbmscape.load_dataset`, ConfigError for an unknown option."""
        from rbmscape.data.load import load_dataset

        known = [name for name in inspect.signature(load_dataset).parameters if name != "source"]
        for name in self.options:
            if name not in known:
                raise ConfigError(f"the study's data have no option {name!r}; {nearest(name, known, 'the options')}")
        try:
            return load_dataset(self.source, **self.options).complete("a study")
        except TypeError as error:
            raise ConfigError(f"the study's data options {sorted(self.options)} cannot be used: {error}") from error


class LikelihoodMethod(_Plan):
    """One way to estimate the test log-likelihood of a model.

    Parameters
    ----------
    method : "trajectory", one estimate for all checkpoints of a run from tempering along them, each with a verdict, see
        `rbmscape.likelihood.trajectory_log_partition`; "exact" (small models only) or "ais", see
        `rbmscape.log_likelihood`; or "bracket", both bounds and BAR's combination of them with starts tempered along
        the run, see `rbmscape.likelihood_bracket`
    n_betas : temperatures of the annealing; a bracket begins with so many
    n_chains : chains that are annealed, or exchanged along the run
    max_betas : a bracket's temperatures at most; by default 8 times those it begins with
    budget : multiply-adds at most in which a bracket tempers its starts, or a trajectory its rungs, see
        `rbmscape.sampling.budget`; fewer where they are in equilibrium sooner
    """

    title = "the study plan's [likelihood]"

    method: Literal["ais", "exact", "bracket", "trajectory"] = "ais"
    n_betas: PositiveInt = 500
    n_chains: PositiveInt = 250
    max_betas: PositiveInt | None = None
    budget: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _only_a_bracket_has_limits(self) -> Self:
        if self.max_betas is not None and (self.method != "bracket" or self.max_betas < self.n_betas):
            raise ValueError(
                f"max_betas = {self.max_betas} is for the method 'bracket' and at least n_betas = {self.n_betas}; "
                "leave it out or raise it"
            )
        if self.budget is not None and self.method not in ("bracket", "trajectory"):
            raise ValueError(f"budget = {self.budget:g} is for the methods 'bracket' and 'trajectory'; leave it out")
        return self

    def options(self) -> dict[str, Any]:
        """Keyword arguments of the function that estimates, beside the seed."""
        if self.method == "exact":
            return {}
        options: dict[str, Any] = {"n_chains": self.n_chains}
        if self.method != "trajectory":
            options["n_betas"] = self.n_betas
        if self.method == "bracket":
            options["max_betas"] = self.max_betas or 8 * self.n_betas
        return options if self.budget is None else options | {"budget": self.budget}


class LikelihoodPlan(LikelihoodMethod):
    """How the test log-likelihood is estimated at whole epochs that have a checkpoint.

    Parameters
    ----------
    n_checkpoints : at most this many checkpoints of a run, spread evenly and always with the last; 0 for all
    final : another, usually better way for the last checkpoint of every run; by default the same.  Beside a trajectory
        it can be a bracket only, whose bounds then stand beside the trajectory's own estimate.
    """

    n_checkpoints: Annotated[int, Field(ge=0)] = 0
    final: LikelihoodMethod | None = None

    @model_validator(mode="after")
    def _curves_are_of_one_kind(self) -> Self:
        if (
            self.final is not None
            and "trajectory" in (self.method, self.final.method)
            and (self.method != "trajectory" or self.final.method != "bracket")
        ):
            raise ValueError(
                f"final.method = {self.final.method!r} does not go with method = {self.method!r}: a trajectory "
                "estimates all checkpoints of a run at once, and a bracket alone can stand beside it; leave final out"
            )
        return self

    def updates(self, config: TrainingConfig, updates_per_epoch: int) -> tuple[int, ...]:
        """Updates at which the likelihood is estimated."""
        updates = [epoch * updates_per_epoch for epoch in config.epochs_with_checkpoint()]
        count = len(updates)
        if 0 < self.n_checkpoints < count:
            keep = {
                count - 1 - round(k * (count - 1) / max(1, self.n_checkpoints - 1)) for k in range(self.n_checkpoints)
            }
            updates = [updates[index] for index in sorted(keep)]
        return tuple(updates)

    def methods(self, config: TrainingConfig, updates_per_epoch: int) -> dict[int, LikelihoodMethod]:
        """Update to the method that estimates the likelihood there, one checkpoint at a time.

        With a trajectory that is the last one's bracket, if any.
        """
        updates = self.updates(config, updates_per_epoch)
        if self.method == "trajectory":
            return {} if self.final is None else {updates[-1]: self.final}
        return {update: self.final if self.final and update == updates[-1] else self for update in updates}


MOST_RUNS = 100_000
MOST_RECIPES = 1000


def _default_recipes() -> dict[str, dict[str, Any]]:
    return {DEFAULT_RECIPE: {}}


class Scope(_Plan):
    """For which runs a recipe is used.

    Parameters
    ----------
    hidden : sizes among those of the study; all by default
    replicas : at most this many of the study's replicas; all by default
    """

    title = "a scope of the study plan"

    hidden: tuple[PositiveInt, ...] | None = None
    replicas: PositiveInt | None = None


class StudyConfig(_Plan):
    """Sizes times replicas times recipes, and what is made of them.

    Parameters
    ----------
    name : what the report calls the study
    data : the data set
    hidden : sizes M of the hidden layer
    replicas : independently initialised and shuffled runs of each size and recipe
    recipes : name to `TrainingConfig` values; n_hidden and seed are set by the study
    scopes : recipe name to the sizes and replicas that it is used for, where not for all
    likelihood : how the log-likelihood is estimated
    figures : names of the figures, in the order of the report; None for all by default that so many sizes allow
    figure_options : figure name to keyword arguments of its ``compute``, for example
        ``{"gallery": {"n_samples": 20}}``
    slice_epochs : epochs that one task trains; by default about a minute's work; changing it never changes numbers
    seed : of everything random in the study
    ledger : whether the report judges the paper's claims; by default for the paper's data, MNIST

    Raises
    ------
    ConfigError : an unknown key (with the nearest valid one), a repeated size or an impossible value
    """

    name: str = "study"
    data: DataPlan = Field(default_factory=DataPlan)
    hidden: Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
    replicas: Annotated[int, Field(ge=1, le=MOST_RUNS)] = 2
    recipes: Annotated[dict[str, Values], Field(min_length=1, max_length=MOST_RECIPES)] = Field(
        default_factory=_default_recipes
    )
    scopes: dict[str, Scope] = Field(default_factory=dict)
    likelihood: LikelihoodPlan = Field(default_factory=LikelihoodPlan)
    figures: tuple[str, ...] | None = None
    figure_options: dict[str, Values] = Field(default_factory=dict)
    slice_epochs: PositiveInt | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    ledger: bool | None = None

    @field_validator("hidden")
    @classmethod
    def _sizes_differ(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(sizes)) != len(sizes):
            raise ValueError("each size must be listed once; ask for more replicas instead")
        return tuple(sorted(sizes))

    @model_validator(mode="after")
    def _recipes_are_recipes(self) -> Self:
        for name, recipe in self.recipes.items():
            taken = {"n_hidden", "seed"} & set(recipe)
            if taken:
                raise ValueError(f"recipe {name!r} sets {min(taken)!r}, which the study sets itself; leave it out")
            if not name or not all(letter.isalnum() or letter in "-_" for letter in name):
                raise ValueError(f"the recipe name {name!r} must be of letters, digits, - and _ only")
            TrainingConfig(**recipe)
        return self

    @model_validator(mode="after")
    def _scopes_fit(self) -> Self:
        for name, scope in self.scopes.items():
            if name not in self.recipes:
                raise ValueError(f"scope {name!r} belongs to no recipe; the recipes are {', '.join(self.recipes)}")
            foreign = sorted(set(scope.hidden or ()) - set(self.hidden))
            if foreign:
                raise ValueError(f"scope {name!r} has size {foreign[0]}, which is not one of the study's {self.hidden}")
        if next(iter(self.recipes)) in self.scopes:
            raise ValueError("the first recipe is used for all sizes and replicas; give scopes to later ones only")
        return self

    @classmethod
    @checked
    def from_mapping(cls, values: Mapping[str, Any]) -> StudyConfig:
        """From parsed JSON or TOML; ConfigError as for the class."""
        return cls(**dict(values))

    @property
    def reproduces_paper(self) -> bool:
        """Whether the study is about the paper's claims, which are judged in its report."""
        return self.data.source == "mnist" if self.ledger is None else self.ledger

    def replace(self, **changes: Any) -> StudyConfig:
        """Copy with some values changed, checked again."""
        return StudyConfig(**(self.model_dump() | changes))

    def run_keys(self) -> Iterator[RunKey]:
        """Every (recipe, size, replica), small sizes and first replicas first."""
        for recipe in self.recipes:
            scope = self.scopes.get(recipe, Scope())
            for hidden in self.hidden if scope.hidden is None else sorted(scope.hidden):
                for replica in range(min(self.replicas, scope.replicas or self.replicas)):
                    yield RunKey(recipe, hidden, replica)

    @checked
    def training(self, key: RunKey) -> TrainingConfig:
        """The complete recipe of one run; recipes of one size and replica share a seed, to be compared in pairs."""
        seed = derived_seed(self.seed, f"train/M{key.hidden}/r{key.replica}")
        return TrainingConfig(**self.recipes[key.recipe], n_hidden=key.hidden, seed=seed)

    @checked
    def training_values(self, recipe: str) -> dict[str, Any]:
        """All values of one recipe, defaults filled in, without those that the study sets."""
        if recipe not in self.recipes:
            raise ConfigError(f"there is no recipe {shown(recipe)}; {nearest(recipe, self.recipes, 'the recipes')}")
        config = TrainingConfig(**self.recipes[recipe])
        return config.model_dump(exclude={"n_hidden", "seed"})

    @property
    def figure_entries(self) -> tuple[FigureEntry, ...]:
        """The figures that are named, or all by default but those that compare more sizes than there are.

        Raises
        ------
        ConfigError : a figure that is named does not exist
        """
        found = select(self.figures)
        return (
            found
            if self.figures is not None
            else tuple(entry for entry in found if entry.spec.sizes <= len(self.hidden))
        )

    def conflict(self, other: StudyConfig) -> str | None:
        """What keeps two plans from sharing a directory, or None; sizes, replicas, analyses and figures may differ."""
        if self.data != other.data:
            return (
                f"its data are {other.data.source!r} {other.data.options}, not {self.data.source!r} {self.data.options}"
            )
        if self.seed != other.seed:
            return f"its seed is {other.seed}, not {self.seed}"
        for name in sorted(set(self.recipes) & set(other.recipes)):
            if TrainingConfig(**self.recipes[name]) != TrainingConfig(**other.recipes[name]):
                return f"its recipe {name!r} has other values"
        return None


def derived_seed(seed: int, purpose: str) -> int:
    """A 32-bit seed for one purpose, the first bytes of SHA-256 of both."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{purpose}".encode()).digest()[:4], "little")


def fingerprint(content: Any) -> str:
    """SHA-256 of a value's canonical JSON, 64 hexadecimal digits."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
