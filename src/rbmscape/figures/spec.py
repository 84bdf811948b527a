"""What a figure says about itself: words, place, needs, cost and options.

A figure is a module with a `FigureSpec` called ``SPEC`` and three functions::

    for_study(material: Material) -> xarray.Dataset      # picks runs, calls the module's own compute
    draw(dataset: xarray.Dataset) -> matplotlib Figure   # from the Dataset alone
    alt_text(dataset: xarray.Dataset) -> str             # what the picture shows, in words, from its numbers

and perhaps a fourth, ``for_model(subject: Subject)``, the data of one model for `rbmscape analyze`.  ``for_study`` and
``for_model`` may raise a `rbmscape.errors.RbmscapeError` where the material cannot show what the figure is about; the
study goes on and the report says why the figure is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from rbmscape.recipe import Recipe

__all__ = ["Count", "FigureOptions", "FigureScene", "FigureSpec", "Need", "SampleNeed"]

Count = Annotated[int, Field(ge=1)]
"""A whole number from 1 on."""

Need: TypeAlias = Literal["run", "data"]
SampleNeed: TypeAlias = Literal["main", "sizes", "replicas"]

LAST = 1000


class FigureOptions(Recipe):
    """What a plan may choose for a figure; each figure lists its own in a subclass, which its ``compute`` reads.

    Raises
    ------
    ConfigError : an option that does not exist (with the nearest one that does) or an impossible value
    """

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        cls.title = f"the figure {cls.__module__.rpartition('.')[2]}"


@dataclass(frozen=True)
class FigureScene:
    """What a figure's cost depends on beside its options.

    Attributes
    ----------
    n_visible, hidden : N, and the sizes of the main recipe
    main : the size that single-size figures show
    replicas : of the main recipe
    runs : of all recipes
    checkpoints : of a run of the main recipe
    sweep, annealing : size to seconds of a Gibbs sweep of one chain, and of one that is tempered
    svd : size to seconds of `rbmscape.Modes.of`
    slowness : this machine's time for constants over the reference's, a quiet core of an AMD EPYC (Zen 4)
    """

    n_visible: int
    hidden: tuple[int, ...]
    main: int
    replicas: int
    runs: int
    checkpoints: int
    sweep: Callable[[int], float]
    annealing: Callable[[int], float]
    svd: Callable[[int], float]
    slowness: float

    def base(self, seconds: float) -> float:
        """What takes so many seconds on the machine of the constants."""
        return seconds * self.slowness

    def chains(self, count: float, steps: float, hidden: int | None = None) -> float:
        """Seconds of Gibbs sampling; short batches of chains cost as much as about 60."""
        return max(60.0, count) * steps * self.sweep(hidden or self.main)

    def factors(self, count: float = 1.0, hidden: int | None = None) -> float:
        """Seconds of factorisations."""
        return count * self.svd(hidden or self.main)

    def following(self, hidden: int | None = None) -> float:
        """Seconds in which the modes of every checkpoint of a run are found and followed."""
        return self.checkpoints * self.factors(2, hidden)


Cost: TypeAlias = Callable[[FigureScene, Any], float]


def _unknown(scene: FigureScene, _options: FigureOptions) -> float:
    return scene.base(10.0)


@dataclass(frozen=True, slots=True)
class FigureSpec:
    """What is known of a figure before it is made.

    Attributes
    ----------
    title : heading in the report
    caption : what is drawn, in one or two sentences, with the paper's figure number where there is one
    reading : how to read it: what to look for, and what follows from it
    printed : what the paper's figure of that number shows, where there is one
    order : place in the report and among the tasks, rising; figures with the same one stand by name
    paper : number of the paper's figure that it shows, for example "3 a-d"; empty for a figure beyond the paper
    results : results of the study that it reads (``material.result(name)``)
    samples : the equilibrium samples that it shows, made beforehand and shared: of the first replica of the "main"
        size, of the first replica of all "sizes", or of all "replicas" of the main size; None for none
    analysis : what `rbmscape analyze` must have beside a model to make it; None for a figure of studies only
    cost : roughly the seconds that it takes beside its samples, from a scene and its options
    options : what a plan may choose
    default : whether plans, and `rbmscape analyze`, that name no figures make it
    sizes : of the hidden layer that a plan must have; one that has fewer and names no figures does without it
    """

    title: str
    caption: str = field(repr=False)
    reading: str = field(default="", repr=False)
    printed: str = field(default="", repr=False)
    order: int = LAST
    paper: str = ""
    results: tuple[str, ...] = ()
    samples: SampleNeed | None = None
    analysis: tuple[Need, ...] | None = None
    cost: Cost = field(default=_unknown, repr=False)
    options: type[FigureOptions] = FigureOptions
    default: bool = True
    sizes: int = 1

    @property
    def section(self) -> str:
        """Heading of the report under which it stands."""
        return "The paper's figures" if self.paper else "Beyond the paper"
