"""The tasks of a study and what each depends on.

A `Task` is plain data: its kind, its parameters, the tasks whose results it reads, and a fingerprint of all that its
result follows from (its own parameters and, through theirs, everything upstream).  What was done with the same
fingerprint is not done again.  Being plain data, a task can be sent to another process, which looks its function up
by kind.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from rbmscape.data.dataset import Dataset
from rbmscape.errors import ConfigError
from rbmscape.figures.material import RunKey, main_size
from rbmscape.figures.registry import FigureEntry, select
from rbmscape.study.config import LikelihoodMethod, StudyConfig, derived_seed, fingerprint

__all__ = ["Task", "TaskGraph", "build_graph"]

# Raise a number when the function of that kind would give another result for the same parameters.
VERSIONS = {"train": 1, "collect-training": 1, "likelihood": 1, "collect-likelihood": 1, "samples": 1, "figure": 1}


UNIT: Final = 1e11
"""Costs are multiplications of training; so many take about a second, as long as a task's own beginning and end."""
SLOWER: Final = 4
"""Times that annealing takes for the same multiplications."""
SAMPLES_COST: Final = 30 * UNIT
FIGURE_COST: Final = 5 * UNIT


@dataclass(frozen=True, slots=True)
class Task:
    """One resumable piece of work.

    Attributes
    ----------
    name : unique in the study, for example ``likelihood/M0500-r0/720``
    kind : which function does it
    parameters : JSON values that the function needs
    needs : names of the tasks that must be done before
    fingerprint : of everything that the result follows from
    outputs : files or folders that it leaves, relative to the study's directory
    cost : rough amount of work, for progress; any unit, the same for all tasks
    """

    name: str
    kind: str
    parameters: Mapping[str, Any]
    needs: tuple[str, ...]
    fingerprint: str
    outputs: tuple[str, ...]
    cost: float = 1.0


@dataclass
class TaskGraph:
    """Tasks in an order in which they can be done."""

    tasks: dict[str, Task] = field(default_factory=dict)

    def add(
        self,
        name: str,
        kind: str,
        parameters: Mapping[str, Any],
        *,
        needs: Iterable[str] = (),
        outputs: Iterable[str] = (),
        cost: float = 1.0,
        identity: Mapping[str, Any] | None = None,
    ) -> str:
        """Append a task whose needs are already in the graph; returns its name.

        ``identity`` is what the result follows from, where that is less than all parameters and needs.
        """
        needed = tuple(needs)
        upstream = {} if identity is not None else {other: self.tasks[other].fingerprint for other in needed}
        content = dict(parameters if identity is None else identity)
        mark = fingerprint({"kind": kind, "version": VERSIONS[kind], "parameters": content, "needs": upstream})
        self.tasks[name] = Task(name, kind, parameters, needed, mark, tuple(outputs), cost)
        return name

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks.values())

    def __len__(self) -> int:
        return len(self.tasks)

    def urgency(self) -> dict[str, float]:
        """Task to the cost of the longest way from its beginning to the end of the study."""
        after: dict[str, float] = {}
        for task in reversed(list(self)):
            whole = after[task.name] = after.get(task.name, 0.0) + task.cost
            for name in task.needs:
                after[name] = max(after.get(name, 0.0), whole)
        return after


@dataclass(frozen=True, slots=True)
class _Trained:
    """The tasks that train one run: the update that each reaches, rising, to its name."""

    slices: Mapping[int, str]

    @property
    def whole(self) -> str:
        """Name of the task after which the run is complete."""
        return list(self.slices.values())[-1]

    def until(self, update: int) -> str:
        """Name of the first task after which the run has this update."""
        return next(name for reached, name in self.slices.items() if reached >= update)


def build_graph(config: StudyConfig, dataset: Dataset) -> TaskGraph:
    """Every task of a study: train each run in slices, estimate its likelihoods, collect them, draw the figures.

    Raises
    ------
    ConfigError : a figure of the plan does not exist
    """
    graph = TaskGraph()
    entries = select(config.figures)
    trained = {key: _add_training(graph, config, key, dataset) for key in config.run_keys()}
    whole = tuple(run.whole for run in trained.values())
    graph.add("results/training", "collect-training", {}, needs=whole, outputs=("results/training.nc",), cost=UNIT)
    if any("likelihood" in entry.spec.results for entry in entries) or config.figures is None:
        _add_likelihoods(graph, config, trained, dataset)
    for entry in entries:
        samples = _add_samples(graph, config, entry, trained)
        _add_figure(graph, config, entry, (*whole, *samples))
    return graph


def _add_samples(
    graph: TaskGraph, config: StudyConfig, entry: FigureEntry, trained: Mapping[RunKey, _Trained]
) -> list[str]:
    """Tasks that make the samples of a figure, shared with other figures; returns their names.

    A figure that finds none of the samples that it asks for makes its own.
    """
    main, recipe = main_size(config.hidden), next(iter(config.recipes))
    if entry.spec.samples == "sizes":
        keys = [RunKey(recipe, hidden, 0) for hidden in config.hidden]
    elif entry.spec.samples == "replicas":
        keys = [RunKey(recipe, main, replica) for replica in range(config.replicas)]
    else:
        keys = [RunKey(recipe, main, 0)] if entry.spec.samples == "main" else []
    sampling = dict(config.figure_options.get(entry.name, {}).get("sampling", {}))
    mark = f"-{fingerprint(sampling)[:8]}" if sampling else ""
    names = [f"samples/{key}{mark}" for key in keys]
    for key, name in zip(keys, names, strict=True):
        if name not in graph.tasks:
            parameters = {"recipe": key.recipe, "hidden": key.hidden, "replica": key.replica}
            parameters |= {"seed": config.seed, "sampling": sampling}
            graph.add(name, "samples", parameters, needs=(trained[key].whole,), cost=SAMPLES_COST)
    return names


def _add_training(graph: TaskGraph, config: StudyConfig, key: RunKey, dataset: Dataset) -> _Trained:
    recipe = config.training(key)
    per_epoch = recipe.updates_per_epoch(len(dataset.train))
    parameters = {"recipe": key.recipe, "hidden": key.hidden, "replica": key.replica, "data": dataset.fingerprint}
    parameters["config"] = recipe.model_dump(mode="json")
    outputs = (f"runs/{key}/config.json", f"runs/{key}/state.safetensors")
    ends = [*range(config.slice_epochs, recipe.epochs, config.slice_epochs), recipe.epochs]
    slices: dict[int, str] = {}
    for begin, end in itertools.pairwise([0, *ends]):
        updates = (end - begin) * per_epoch
        cost = UNIT + updates * (recipe.gibbs_steps + 4.0) * recipe.n_chains * dataset.n_visible * key.hidden
        name = f"train/{key}" if end == recipe.epochs else f"train/{key}/{end * per_epoch}"
        place = {"from_update": begin * per_epoch, "until_update": end * per_epoch}
        slices[end * per_epoch] = graph.add(
            name,
            "train",
            parameters | place,
            needs=[*slices.values()][-1:],
            outputs=outputs,
            cost=cost,
            identity=parameters,  # wherever a run is cut, it is the same run
        )
    return _Trained(slices)


def _add_likelihoods(
    graph: TaskGraph, config: StudyConfig, trained: Mapping[RunKey, _Trained], dataset: Dataset
) -> None:
    points = []
    for key, run in trained.items():
        recipe = config.training(key)
        methods = config.likelihood.methods(recipe, recipe.updates_per_epoch(len(dataset.train)))
        for update, method in methods.items():
            parameters = {"recipe": key.recipe, "hidden": key.hidden, "replica": key.replica, "update": update}
            parameters |= {"method": method.method, "options": method.options()}
            parameters["seed"] = derived_seed(config.seed, f"likelihood/M{key.hidden}/r{key.replica}/{update}")
            file = f"results/likelihood/{key}-{update:08d}.json"
            name, needs = f"likelihood/{key}/{update}", (run.until(update),)
            cost = _likelihood_cost(method, key, dataset)
            points.append(graph.add(name, "likelihood", parameters, needs=needs, outputs=(file,), cost=cost))
    graph.add(
        "results/likelihood", "collect-likelihood", {}, needs=points, outputs=("results/likelihood.nc",), cost=UNIT
    )


def _likelihood_cost(method: LikelihoodMethod, key: RunKey, dataset: Dataset) -> float:
    """Of every sample, and of the chains at every temperature; a bracket goes there and back, twice and more."""
    passes = {"exact": 0, "ais": 1, "bracket": 12}[method.method]
    sweeps = SLOWER * passes * method.n_betas * method.n_chains + len(dataset.test)
    return 0.1 * UNIT + float(sweeps * dataset.n_visible * key.hidden)


def source_hash(module: str) -> str:
    """SHA-256 of a module's source."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ConfigError(f"there is no module {module}")
    return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()


def _add_figure(graph: TaskGraph, config: StudyConfig, entry: FigureEntry, trained: tuple[str, ...]) -> None:
    parameters = {
        "name": entry.name,
        "source": source_hash(entry.module),
        "seed": config.seed,
        "options": dict(config.figure_options.get(entry.name, {})),
    }
    needs = (*trained, *(f"results/{result}" for result in entry.spec.results))
    outputs = tuple(f"figures/{entry.stem}.{suffix}" for suffix in ("png", "pdf", "nc"))
    graph.add(f"figure/{entry.name}", "figure", parameters, needs=needs, outputs=outputs, cost=FIGURE_COST)
