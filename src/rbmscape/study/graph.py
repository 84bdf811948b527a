"""The tasks of a study and what each depends on.

A `Task` is plain data: its kind, its parameters, the tasks whose results it reads, and a fingerprint of all that its
result follows from: its parameters, the code that does it (`rbmscape.study.sources`) and, through theirs, everything
upstream.  What was done with the same fingerprint is not done again.  Being plain data, a task can be sent to another
process, which looks its function up by kind.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from rbmscape.data.dataset import Dataset
from rbmscape.figures.material import RunKey, main_size
from rbmscape.figures.registry import FigureEntry
from rbmscape.study.config import LikelihoodMethod, StudyConfig, derived_seed, fingerprint
from rbmscape.study.sources import CONTRACT, Sources, present_sources

__all__ = [
    "Task",
    "TaskGraph",
    "build_graph",
    "build_quality_graph",
    "build_rung_graph",
    "points_file",
    "source_of_samples",
]

FORMAT: Final = 2
"""Raised when tasks of another release would not be understood."""

UNIT: Final = 1e11
"""Costs are multiplications of training; so many take about a second, as long as a task's own beginning and end."""
SLOWER: Final = 4
"""Times that annealing takes for the same multiplications."""
SAMPLES_COST: Final = 30 * UNIT
QUALITY_COST: Final = 10 * UNIT
SLICE: Final = 60 * UNIT
"""Training that one task does at most, where the plan does not say how many epochs."""
POINTS: Final = 10 * UNIT
"""Likelihoods that one task estimates, unless a single one costs more."""
COMPUTE_COST: Final = 5 * UNIT


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
        version: int = FORMAT,
    ) -> str:
        """Append a task whose needs are already in the graph; returns its name.

        ``identity`` is what the result follows from, where that is less than all parameters and needs; ``version`` is
        that of the code, where its source is not among the parameters.
        """
        needed = tuple(needs)
        upstream = {} if identity is not None else {other: self.tasks[other].fingerprint for other in needed}
        content = dict(parameters if identity is None else identity)
        mark = fingerprint({"kind": kind, "version": version, "parameters": content, "needs": upstream})
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


@dataclass(frozen=True, eq=False)
class _Plan:
    """What the tasks of a study follow from, and the graph that they are added to."""

    graph: TaskGraph
    config: StudyConfig
    dataset: Dataset
    sources: Sources


def build_graph(config: StudyConfig, dataset: Dataset, sources: Sources | None = None) -> TaskGraph:
    """Every task of a study: train each run in slices, estimate its likelihoods, collect them, draw the figures.

    Parameters
    ----------
    sources : of the code that does them; by default that of this process

    Raises
    ------
    ConfigError : a figure of the plan does not exist
    """
    plan = _Plan(TaskGraph(), config, dataset, sources or present_sources())
    entries = config.figure_entries
    trained = {key: _add_training(plan, key) for key in config.run_keys()}
    whole = tuple(run.whole for run in trained.values())
    _add_result(plan, "training", whole)
    if any("likelihood" in entry.spec.results for entry in entries) or config.figures is None:
        _add_likelihoods(plan, trained)
        _add_baselines(plan)
        if not config.reproduces_paper:
            _add_quality(plan, trained)
    for entry in entries:
        _add_figure(plan, entry, (*whole, *_add_samples(plan, entry, trained)))
    return plan.graph


def build_rung_graph(
    config: StudyConfig,
    dataset: Dataset,
    keys: Iterable[RunKey],
    epochs: int,
    likelihood: LikelihoodMethod | None = None,
    sources: Sources | None = None,
) -> TaskGraph:
    """Tasks of some runs up to an epoch: the training so far, and the likelihood of the model there.

    Parameters
    ----------
    likelihood : how it is estimated; by default exactly where that takes seconds, else by a bracket
    """
    plan = _Plan(TaskGraph(), config, dataset, sources or present_sources())
    source = plan.sources.of_module("rbmscape.study.points")
    for key in keys:
        run = _add_training(plan, key, epochs)
        update = list(run.slices)[-1]
        method = likelihood or LikelihoodMethod(method=_with_verdict(dataset.n_visible, key.hidden))
        seed = derived_seed(config.seed, f"likelihood/M{key.hidden}/r{key.replica}/{update}")
        parameters = {"recipe": key.recipe, "hidden": key.hidden, "replica": key.replica, "source": source}
        parameters |= {"method": method.method, "options": method.options(), "seeds": {str(update): seed}}
        name = f"likelihood/{key}/{update}"
        outputs, cost = (points_file(name),), _likelihood_cost(method, key, dataset)
        plan.graph.add(name, "likelihood", parameters, needs=(run.whole,), outputs=outputs, cost=cost)
    return plan.graph


def build_quality_graph(
    config: StudyConfig, dataset: Dataset, key: RunKey, sources: Sources | None = None
) -> TaskGraph:
    """One task: what a trained run is like beside its likelihood."""
    plan = _Plan(TaskGraph(), config, dataset, sources or present_sources())
    values = config.training(key).model_dump(mode="json")
    _add_quality_of(plan, key, (), {"config": values, "data": dataset.fingerprint})
    return plan.graph


def _with_verdict(n_visible: int, n_hidden: int) -> Literal["exact", "bracket"]:
    from rbmscape.likelihood.estimate import EXACT_WORK, summing_terms

    return "exact" if summing_terms(n_visible, n_hidden) <= EXACT_WORK else "bracket"


def source_of_samples(sources: Sources) -> str:
    """Fingerprint of the code that draws equilibrium samples."""
    return sources.of_module("rbmscape.runs.samples")


def _add_result(plan: _Plan, name: str, needs: Iterable[str]) -> None:
    """Collect single numbers in one Dataset."""
    source = {"source": plan.sources.of_module("rbmscape.study.collect")}
    outputs = (f"results/{name}.nc",)
    plan.graph.add(f"results/{name}", f"collect-{name}", source, needs=needs, outputs=outputs, cost=UNIT)


def _add_samples(plan: _Plan, entry: FigureEntry, trained: Mapping[RunKey, _Trained]) -> list[str]:
    """Tasks that make the samples of a figure, shared with other figures; returns their names.

    A figure that finds none of the samples that it asks for makes its own.
    """
    config = plan.config
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
        if name not in plan.graph.tasks:
            parameters = {"recipe": key.recipe, "hidden": key.hidden, "replica": key.replica}
            parameters |= {"seed": config.seed, "sampling": sampling, "source": source_of_samples(plan.sources)}
            plan.graph.add(name, "samples", parameters, needs=(trained[key].whole,), cost=SAMPLES_COST)
    return names


def _add_training(plan: _Plan, key: RunKey, epochs: int | None = None) -> _Trained:
    """The slices of a run, up to an epoch or to its end."""
    config, dataset = plan.config, plan.dataset
    contract = plan.sources.number("rbmscape.training", CONTRACT)
    recipe = config.training(key)
    per_epoch = recipe.updates_per_epoch(len(dataset.train))
    parameters = {"recipe": key.recipe, "hidden": key.hidden, "replica": key.replica, "data": dataset.fingerprint}
    parameters["config"] = recipe.model_dump(mode="json")
    outputs = (f"runs/{key}/config.json", f"runs/{key}/state.safetensors")
    epoch_cost = per_epoch * (recipe.gibbs_steps + 4.0) * recipe.n_chains * dataset.n_visible * key.hidden
    length = config.slice_epochs or max(1, int(SLICE // epoch_cost))
    last = recipe.epochs if epochs is None else epochs
    ends = [*range(length, last, length), last]
    slices: dict[int, str] = {}
    for begin, end in itertools.pairwise([0, *ends]):
        cost = UNIT + (end - begin) * epoch_cost
        name = f"train/{key}" if end == recipe.epochs else f"train/{key}/{end * per_epoch}"
        place = {"from_update": begin * per_epoch, "until_update": end * per_epoch, "contract": contract}
        slices[end * per_epoch] = plan.graph.add(
            name,
            "train",
            parameters | place,
            needs=[*slices.values()][-1:],
            outputs=outputs,
            cost=cost,
            identity=parameters,  # wherever a run is cut, it is the same run
            version=contract,
        )
    return _Trained(slices)


def _add_likelihoods(plan: _Plan, trained: Mapping[RunKey, _Trained]) -> None:
    config, dataset = plan.config, plan.dataset
    source, points = plan.sources.of_module("rbmscape.study.points"), []
    for key, run in trained.items():
        per_epoch = config.training(key).updates_per_epoch(len(dataset.train))
        common = {"recipe": key.recipe, "hidden": key.hidden, "replica": key.replica, "source": source}
        for method, updates in _groups(plan, key, run, per_epoch):
            place = f"likelihood/M{key.hidden}/r{key.replica}"
            seeds = {str(update): derived_seed(config.seed, f"{place}/{update}") for update in updates}
            part = "trajectory" if method.method == "trajectory" else str(updates[-1])
            parameters = common | {"method": method.method, "options": method.options(), "seeds": seeds}
            name, needs = f"likelihood/{key}/{part}", (run.until(updates[-1]),)
            outputs, cost = (points_file(name),), len(updates) * _likelihood_cost(method, key, dataset)
            points.append(plan.graph.add(name, "likelihood", parameters, needs=needs, outputs=outputs, cost=cost))
    _add_result(plan, "likelihood", points)


def _add_baselines(plan: _Plan) -> None:
    """What models without hidden structure are worth, to see whether training was worth it."""
    parameters = {"data": plan.dataset.fingerprint, "seed": plan.config.seed}
    parameters["source"] = plan.sources.of_module("rbmscape.likelihood.baselines")
    plan.graph.add("results/baselines", "baselines", parameters, outputs=("results/baselines.nc",), cost=2 * UNIT)


def _add_quality(plan: _Plan, trained: Mapping[RunKey, _Trained]) -> None:
    """What the first replica of every recipe and size is like beside its likelihood."""
    for key, run in trained.items():
        if key.replica == 0:
            _add_quality_of(plan, key, (run.whole,))


def _add_quality_of(plan: _Plan, key: RunKey, needs: Iterable[str], more: Mapping[str, Any] | None = None) -> None:
    parameters = {"recipe": key.recipe, "hidden": key.hidden, "replica": key.replica}
    parameters |= {"source": plan.sources.of_module("rbmscape.runs.quality"), "seed": plan.config.seed} | dict(
        more or {}
    )
    plan.graph.add(f"quality/{key}", "quality", parameters, needs=needs, cost=QUALITY_COST)


def points_file(name: str) -> str:
    """Where the task of this name leaves its estimates."""
    _, key, part = name.split("/")
    return f"results/likelihood/{key}-{part.zfill(8)}.json"


def _groups(plan: _Plan, key: RunKey, run: _Trained, per_epoch: int) -> Iterator[tuple[LikelihoodMethod, list[int]]]:
    """The estimates of a run, those together that one task makes: of one slice of training, and cheap."""
    likelihood, recipe = plan.config.likelihood, plan.config.training(key)
    if likelihood.method == "trajectory":
        yield likelihood, list(likelihood.updates(recipe, per_epoch))
    group: list[int] = []
    last: tuple[LikelihoodMethod, str] | None = None
    for update, method in likelihood.methods(recipe, per_epoch).items():
        room = max(1, int(POINTS // _likelihood_cost(method, key, plan.dataset)))
        if last is not None and (last != (method, run.until(update)) or len(group) >= room):
            yield last[0], group
            group = []
        last = (method, run.until(update))
        group.append(update)
    if last is not None:
        yield last[0], group


def _likelihood_cost(method: LikelihoodMethod, key: RunKey, dataset: Dataset) -> float:
    """Of every sample, and of the chains at every temperature; a bracket goes there and back, twice and more."""
    if method.method == "trajectory":
        return method.budget or SAMPLES_COST
    passes = {"exact": 0, "ais": 1, "bracket": 12}[method.method]
    sweeps = SLOWER * passes * method.n_betas * method.n_chains + len(dataset.test)
    return 0.1 * UNIT + float(sweeps * dataset.n_visible * key.hidden)


def _add_figure(plan: _Plan, entry: FigureEntry, needs: tuple[str, ...]) -> None:
    """Two tasks: the data follow from what the module computes with, the picture from them and the whole module."""
    parameters = {
        "name": entry.name,
        "source": plan.sources.of_functions(entry.module, "for_study", "Options"),
        "samples": source_of_samples(plan.sources),
        "seed": plan.config.seed,
        "options": dict(plan.config.figure_options.get(entry.name, {})),
    }
    needed = (*needs, *(f"results/{result}" for result in entry.spec.results))
    data = (f"figures/{entry.stem}.nc",)
    computed = plan.graph.add(
        f"compute/{entry.name}", "compute", parameters, needs=needed, outputs=data, cost=COMPUTE_COST
    )
    looks = {"name": entry.name, "source": plan.sources.of_module(entry.module)}
    pictures = tuple(f"figures/{entry.stem}.{suffix}" for suffix in ("png", "pdf"))
    plan.graph.add(f"figure/{entry.name}", "figure", looks, needs=(computed,), outputs=pictures, cost=UNIT)
