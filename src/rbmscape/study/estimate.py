"""What a study would take: a few seconds of calibration on this machine, scaled up task by task.

For each size one parameter update and one temperature of annealing are timed, and one factorisation serves as the
yardstick of everything else.  Estimates, not promises: a machine that is busy now, or then, changes them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import torch

from rbmscape.data.dataset import Dataset
from rbmscape.figures.material import RunKey, main_size
from rbmscape.figures.registry import select
from rbmscape.figures.spec import FigureScene
from rbmscape.kernels.select import best_device, select_engine
from rbmscape.model.rbm import RBM
from rbmscape.runs.config import TrainingConfig
from rbmscape.sampling.budget import round_cost
from rbmscape.sampling.sequence import BUDGET
from rbmscape.study.config import StudyConfig
from rbmscape.study.graph import Task, TaskGraph

__all__ = [
    "REFERENCE_SVD",
    "RUNGS",
    "RUNGS_A_CHECKPOINT",
    "Speeds",
    "measure_speeds",
    "moved_chains",
    "sampling_seconds",
    "seconds_of_annealing",
    "seconds_of_factorisation",
    "seconds_of_tasks",
    "seconds_of_training",
    "svd_seconds",
    "wall_seconds",
]

REFERENCE_SVD: Final = 0.20
"""Seconds of `rbmscape.Modes.of` for N = 784, M = 500 on a quiet core of an AMD EPYC (Zen 4), on which the constants of
all costs were measured."""

SECONDS_A_PROBE: Final = 0.4
SECONDS_OF_A_GLANCE: Final = 0.1
PROBE_TEMPERATURES: Final = (8, 40)
PROBE_CHAINS: Final = 100
PROBE_RATE: Final = 1e-12
PROBE_STEPS: Final = 5
CHECKPOINT: Final = 0.25
"""Seconds of a checkpoint's metrics and files, at the reference speed."""
PICTURE: Final = 1.0
"""Seconds in which a figure is drawn and saved, at the reference speed."""
START: Final = 1.0
"""Seconds in which a process first loads its compiled kernels and figures its libraries."""


@dataclass(frozen=True)
class Speeds:
    """What one step costs on this machine, in seconds.

    Attributes
    ----------
    update : size to what an update takes beside its Gibbs sweeps
    sweep : size to a Gibbs sweep of one chain
    annealing : size to one temperature of one annealed chain
    yardstick : `rbmscape.Modes.of` for N = 784, M = 500
    """

    update: Mapping[int, float]
    sweep: Mapping[int, float]
    annealing: Mapping[int, float]
    yardstick: float

    @property
    def slowness(self) -> float:
        """How many times longer than the machine of the constants this one takes now."""
        return self.yardstick / REFERENCE_SVD


def measure_speeds(config: StudyConfig, dataset: Dataset) -> Speeds:
    """Time one update and one temperature for every size, with as many threads as torch has now."""
    sizes = {key.hidden: config.training(key) for key in reversed(list(config.run_keys()))}
    update, sweep, annealing = {}, {}, {}
    for hidden, recipe in sizes.items():
        update[hidden], sweep[hidden] = seconds_of_training(recipe, dataset)
        annealing[hidden] = _time_annealing(dataset, hidden)
    return Speeds(update, sweep, annealing, seconds_of_factorisation(1))


def _probe(function: Callable[[], Any], seconds: float | None = None) -> float:
    """Seconds of one call, after one that is not counted: the mean over so many seconds, by default half of one."""
    seconds = SECONDS_A_PROBE if seconds is None else seconds
    function()
    calls, began = 0, time.perf_counter()
    while calls == 0 or time.perf_counter() - began < seconds:
        function()
        calls += 1
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return (time.perf_counter() - began) / calls


def seconds_of_training(recipe: TrainingConfig, dataset: Dataset) -> tuple[float, float]:
    """Seconds of an update beside its sweeps, and of a sweep of one chain.

    A probe of a small model makes more updates than its recipe has, with which it might diverge; steps of no size
    take as long.
    """
    from rbmscape.training.trainer import Trainer

    engine = select_engine(recipe.engine, recipe.precision, best_device(recipe.engine, recipe.precision))
    still = recipe.replace(learning_rate=PROBE_RATE)
    short, long = (_probe(Trainer(dataset, still.replace(gibbs_steps=k), engine).step) for k in (1, PROBE_STEPS))
    sweep = max(0.1 * long / PROBE_STEPS, (long - short) / (PROBE_STEPS - 1))
    return max(0.0, short - sweep), sweep / max(1, min(moved_chains(recipe), recipe.n_chains))


def moved_chains(recipe: TrainingConfig) -> int:
    """Chains that one update moves."""
    return recipe.batch_size if recipe.method == "cd" else recipe.n_chains


def _time_annealing(dataset: Dataset, hidden: int) -> float:
    """Seconds of one temperature of one chain of a model of this size."""
    rbm = RBM.random(dataset.n_visible, hidden, std=0.05)
    return seconds_of_annealing(rbm, None, data=torch.from_numpy(dataset.train[:1000]))


def seconds_of_annealing(rbm: RBM, seconds: float | None = SECONDS_OF_A_GLANCE, **options: Any) -> float:
    """Seconds of one temperature of one chain: the difference of a longer and a shorter annealing.

    Parameters
    ----------
    seconds : of each measurement, None for half of one
    **options : data, engine and precision, of `rbmscape.log_partition`
    """
    from rbmscape.likelihood.estimate import log_partition

    def anneal(n_betas: int) -> None:
        log_partition(rbm, "ais", n_chains=PROBE_CHAINS, n_betas=n_betas, schedule="uniform", **options)

    few, many = PROBE_TEMPERATURES
    short, long = (_probe(partial(anneal, n_betas), seconds) for n_betas in PROBE_TEMPERATURES)
    return max(0.1 * long / many, (long - short) / (many - few)) / PROBE_CHAINS


def seconds_of_factorisation(parts: int = 2) -> float:
    """Seconds of `rbmscape.Modes.of` for N = 784, M = 500, from layers that are so many times smaller."""
    from rbmscape.reciprocal.modes import Modes

    rbm = RBM.random(784 // parts, 500 // parts)
    return _probe(lambda: Modes.of(rbm), None if parts == 1 else SECONDS_OF_A_GLANCE) * parts**3


def svd_seconds(yardstick: float, n_visible: int, hidden: int) -> float:
    """Seconds of `rbmscape.Modes.of`, from those for N = 784, M = 500."""
    small, large = sorted((n_visible, hidden))
    work = small * small * large + 0.5 * large**3 * (large > small) * 0.3
    return yardstick / (784 * 500**2) * work + 0.001


def seconds_of_tasks(graph: TaskGraph, config: StudyConfig, dataset: Dataset, speeds: Speeds) -> dict[str, float]:
    """Task to roughly how long it takes in a process with the threads that the speeds were measured with."""
    scene = _scene(config, dataset, speeds)
    return {task.name: _seconds(task, dataset, speeds, scene) for task in graph}


def _seconds(task: Task, dataset: Dataset, speeds: Speeds, scene: FigureScene) -> float:
    if task.kind == "train":
        return _training_seconds(task, dataset, speeds)
    if task.kind == "likelihood":
        return _likelihood_seconds(task, dataset, speeds)
    if task.kind == "samples":
        return sampling_seconds(scene, task.parameters["sampling"], int(task.parameters["hidden"]))
    if task.kind == "compute":
        (entry,) = select([task.parameters["name"]])
        return entry.spec.cost(scene, entry.options(task.parameters["options"])[0])
    return (PICTURE if task.kind == "figure" else 0.5) * speeds.slowness


def _training_seconds(task: Task, dataset: Dataset, speeds: Speeds) -> float:
    recipe = TrainingConfig.from_mapping(task.parameters["config"])
    per_epoch = recipe.updates_per_epoch(len(dataset.train))
    end = int(task.parameters["until_update"])
    begin = int(task.parameters["from_update"])
    update = speeds.update[recipe.n_hidden] + recipe.gibbs_steps * moved_chains(recipe) * speeds.sweep[recipe.n_hidden]
    kept = sum(begin < at <= end for at in recipe.checkpoint_updates(per_epoch))
    return START + (end - begin) * update + kept * CHECKPOINT * speeds.slowness


def _likelihood_seconds(task: Task, dataset: Dataset, speeds: Speeds) -> float:
    hidden = int(task.parameters["hidden"])
    options: Mapping[str, float] = task.parameters["options"]
    count = len(task.parameters["seeds"])
    scoring = 2.0 * len(dataset.test) * speeds.sweep[hidden] * count
    if task.parameters["method"] == "trajectory":
        sweeps = options.get("budget", BUDGET) / (2.0 * dataset.n_visible * hidden)
        return 1.0 + scoring + OVERRUN * sweeps * speeds.annealing[hidden]
    if task.parameters["method"] == "exact":
        return 0.1 + scoring
    one = speeds.annealing[hidden] * options["n_chains"] * count
    if task.parameters["method"] == "ais":
        return 0.1 + scoring + one * options["n_betas"]
    levels = 2.0 * (options["n_betas"] + options["max_betas"])  # the hopeless skip those between
    round_of_all = options["n_chains"] * round_cost(RUNGS, dataset.n_visible, hidden)
    rounds = min(ROUNDS, options.get("budget", math.inf) / round_of_all)
    return 0.1 + scoring + one * (levels + ROUND * rounds)


ROUNDS_OF_SAMPLES: Final = 20_000.0
"""Sweeps of one chain a checkpoint that equilibrium samples take where their budget allows more."""
OVERRUN: Final = 4.0
"""Budgets that they may take at most."""
RUNGS_A_CHECKPOINT: Final = 0.23
"""Rungs a checkpoint of a ladder through all of them, times √M; runs of the quick profile, with 22 checkpoints, had
about 5 √M rungs."""
LADDER: Final = 2560.0
"""Sweeps of one chain that the choice of a rung takes: about twenty of 128 pilots."""


def sampling_seconds(scene: FigureScene, options: Mapping[str, Any], hidden: int) -> float:
    """Equilibrium samples of all checkpoints of one run."""
    budget = float(options.get("budget", BUDGET))
    sweeps = min(budget / (2.0 * scene.n_visible * hidden), ROUNDS_OF_SAMPLES * scene.checkpoints)
    rungs = RUNGS_A_CHECKPOINT * math.sqrt(hidden) * scene.checkpoints
    return scene.base(1.0) + (OVERRUN * sweeps + LADDER * rungs) * scene.annealing(hidden)


RUNGS: Final = 30
"""Of the ladder on which a bracket tempers its starts, about."""
ROUND: Final = 20.0
"""Annealing steps of a chain that a round of that tempering takes, where a step costs less."""
ROUNDS: Final = 400
"""Rounds that a bracket's tempering takes where the plan sets no limit; often it stops sooner."""


def _scene(config: StudyConfig, dataset: Dataset, speeds: Speeds) -> FigureScene:
    keys = list(config.run_keys())
    main = next(iter(config.recipes))
    first = config.training(RunKey(main, config.hidden[0], 0))
    per_epoch = first.updates_per_epoch(len(dataset.train))
    return FigureScene(
        n_visible=dataset.n_visible,
        hidden=config.hidden,
        main=main_size(config.hidden),
        replicas=config.replicas,
        runs=len(keys),
        checkpoints=len(first.checkpoint_updates(per_epoch)),
        sweep=speeds.sweep.__getitem__,
        annealing=speeds.annealing.__getitem__,
        svd=partial(svd_seconds, speeds.yardstick, dataset.n_visible),
        slowness=speeds.slowness,
    )


def wall_seconds(graph: TaskGraph, seconds: Mapping[str, float], done: Collection[str], workers: int) -> float:
    """Time until all is done: the work shared out, or the longest chain of tasks that wait for each other.

    Parameters
    ----------
    seconds : of every task
    done : tasks that are done already
    workers : processes
    """
    chain: dict[str, float] = {}
    for task in graph:
        own = 0.0 if task.name in done else seconds[task.name]
        chain[task.name] = own + max((chain[need] for need in task.needs), default=0.0)
    total = sum(seconds[task.name] for task in graph if task.name not in done)
    return max(total / workers, max(chain.values(), default=0.0))
