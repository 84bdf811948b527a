"""What a command will take, said before it begins where that is more than a minute: time, memory and disk.

Work, in steps of chains, updates of a training or rows of data, times what one of them takes, measured for a fraction
of a second with the very model on this machine as busy as it is now.  Work that no machine takes a minute for is not
measured.  While a command runs, `rbmscape.progress.ConsoleBar` shows the time left.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from rbmscape.progress import LONG, duration

if TYPE_CHECKING:
    from rbmscape.data.dataset import Dataset
    from rbmscape.figures.analysis import Subject
    from rbmscape.figures.registry import FigureEntry
    from rbmscape.figures.spec import FigureScene
    from rbmscape.model.rbm import RBM
    from rbmscape.runs.config import TrainingConfig
    from rbmscape.study.config import StudyConfig
    from rbmscape.study.search_config import SearchConfig

__all__ = [
    "announce",
    "announce_description",
    "announce_figures",
    "announce_likelihood",
    "announce_search",
    "announce_steps",
    "announce_study",
    "announce_tempering",
    "announce_training",
]

QUICK: Final = 1e10
"""Multiply-adds, or entries of data, that take less than a minute on the slowest of machines."""
QUICK_STUDY: Final = 60.0
"""Cost of a plan, in `rbmscape.study.graph.UNIT`, below which nobody waits for a calibration."""
_LOOKED_AT: Final = 20_000


def announce(
    seconds: float, memory: float = 0.0, disk: float = 0.0, place: Path | None = None, *, bound: bool = False
) -> None:
    """Say on stderr what a command will take, if that is more than a minute.

    Parameters
    ----------
    memory, disk : bytes
    place : where the disk is needed
    bound : whether it may well take less
    """
    if not seconds > LONG:
        return
    from rbmscape.memory import format_bytes, machine_memory

    there = machine_memory()
    may = "may take up to" if bound else "will take"
    words = [f"this {may} about {duration(seconds)} on this machine as it is now"]
    of = "" if there is None else f" of {format_bytes(there)}"
    words += [f"about {format_bytes(memory)}{of} of memory"] if memory else []
    words += [f"about {format_bytes(disk)} of disk{_free(place)}"] if disk else []
    typer.echo(", ".join(words), err=True)


def _free(place: Path | None) -> str:
    import shutil

    from rbmscape.memory import format_bytes
    from rbmscape.study.needs import existing_parent

    if place is None:
        return ""
    return f" ({format_bytes(shutil.disk_usage(existing_parent(place)).free)} free)"


def seconds_of_step(rbm: RBM, **how: Any) -> float:
    """Of one annealed chain at one temperature, which is a Gibbs step with its weight."""
    from rbmscape.study.estimate import seconds_of_annealing

    return seconds_of_annealing(rbm, **how)


def seconds_of_update(config: TrainingConfig, dataset: Dataset) -> float:
    """Of one update of a training."""
    from rbmscape.study.estimate import moved_chains, seconds_of_training

    update, sweep = seconds_of_training(config, dataset)
    return update + config.gibbs_steps * moved_chains(config) * sweep


def announce_steps(rbm: RBM, steps: float, n_states: int, *, rungs: int = 1, bound: bool = False, **how: Any) -> None:
    """Say what so many steps of chains take.

    Parameters
    ----------
    n_states : chains at once
    rungs : models at once
    bound : whether fewer steps may suffice
    **how : engine and precision
    """
    from rbmscape.sampling.budget import round_cost
    from rbmscape.study.needs import PROGRAM

    if steps * round_cost(1, rbm.n_visible, rbm.n_hidden) < QUICK:
        return
    memory = PROGRAM + _memory_of_rungs(rbm, rungs, n_states)
    announce(steps * seconds_of_step(rbm, **how), memory, bound=bound)


def _memory_of_rungs(rbm: RBM, rungs: int, n_states: int) -> int:
    """Bytes of the parameters and states of so many models at once."""
    from rbmscape.runs.needs import FLOAT

    return FLOAT * rungs * (rbm.n_visible * rbm.n_hidden + (1 + n_states) * (rbm.n_visible + rbm.n_hidden))


def announce_tempering(
    rbm: RBM,
    n_chains: int,
    n_models: int = 1,
    *,
    most: int | None = None,
    budget: float | None = None,
    every: bool = False,
    further: float = 0.0,
    **how: Any,
) -> None:
    """Say what replica exchange may take, whose ladder is not known before it stands.

    Parameters
    ----------
    n_models : checkpoints to climb along
    most : rounds at most; by default those of equilibrium samples
    budget : multiply-adds at most
    every : whether every checkpoint must be a rung
    further : steps of chains beside it
    """
    from rbmscape.sampling.budget import MAX_ROUNDS, round_cost
    from rbmscape.study.estimate import RUNGS, RUNGS_A_CHECKPOINT

    rungs = max(n_models, math.ceil(RUNGS_A_CHECKPOINT * math.sqrt(rbm.n_hidden) * n_models)) if every else RUNGS
    steps = float(rungs * n_chains * (MAX_ROUNDS if most is None else most))
    if budget is not None:
        steps = min(steps, budget / round_cost(1, rbm.n_visible, rbm.n_hidden))
    announce_steps(rbm, steps + further, n_chains, rungs=rungs, bound=True, **how)


def announce_likelihood(rbm: RBM, method: str, n_chains: int, n_betas: int, max_betas: int = 0, **how: Any) -> None:
    """Say what an estimate of ln Z may take.

    Parameters
    ----------
    method : of `rbmscape.log_partition`, or "bracket"
    max_betas : temperatures of a bracket at most
    """
    from rbmscape.likelihood.estimate import is_summable
    from rbmscape.sampling.equilibrium import MAX_CHAINS

    if method == "exact" or (method == "auto" and is_summable(rbm)):
        announce(_seconds_of_sum(rbm))
        return
    if method in ("auto", "ais"):
        announce_steps(rbm, float(n_chains * n_betas), n_chains, **how)
        return
    starts = min(n_chains, MAX_CHAINS)
    annealed = {"reverse_ais": starts * n_betas, "bar": (n_chains + starts) * n_betas}
    further = annealed.get(method, 2 * (n_chains + starts) * max_betas)
    announce_tempering(rbm, starts, further=float(further), **how)


def _seconds_of_sum(rbm: RBM, units: int = 12) -> float:
    """Of the sum over all states of the smaller layer, from one of fewer units; 0 for small models."""
    from rbmscape.model.exact import exact_log_partition
    from rbmscape.model.rbm import RBM

    smaller, larger = sorted((rbm.n_visible, rbm.n_hidden))
    if 2.0**smaller * larger < QUICK:
        return 0.0
    few = RBM.random(larger, units)
    exact_log_partition(few)
    began = time.perf_counter()
    exact_log_partition(few)
    return float((time.perf_counter() - began) * 2.0 ** (smaller - units))


def announce_training(config: TrainingConfig, dataset: Dataset, directory: Path, *, resume: bool) -> None:
    """Say what a training will take; of one that is continued, the rest of it."""
    from rbmscape.runs.run import Run
    from rbmscape.study.needs import disk_of_run, memory_of_training

    per_epoch = config.updates_per_epoch(len(dataset.train))
    is_there = resume and (directory / "config.json").is_file()
    left = config.epochs * per_epoch - (Run.open(directory).last_update if is_there else 0)
    chains = config.n_chains + min(config.batch_size, len(dataset.train))
    if left * (config.gibbs_steps + 4.0) * chains * dataset.n_visible * config.n_hidden < QUICK:
        return
    disk = disk_of_run(config, dataset.n_visible, per_epoch)
    announce(left * seconds_of_update(config, dataset), memory_of_training(config, dataset), disk, directory)


def announce_study(config: StudyConfig, directory: Path, workers: int | None, *, overwrite: bool) -> None:
    """Say what is left of a study, as ``--dry-run`` does; what speaks against it the study itself says."""
    from rbmscape.errors import RbmscapeError
    from rbmscape.study.graph import UNIT, build_graph
    from rbmscape.study.needs import disk_of_study, memory_of_process
    from rbmscape.study.store import StudyStore

    with suppress(RbmscapeError):
        dataset = config.data.load()
        store = StudyStore(directory)
        tasks = build_graph(config, dataset)
        left = [task.cost for task in tasks if overwrite or store.record(task) is None]
        if sum(left) < QUICK_STUDY * UNIT:
            return
        from rbmscape.study.dry_run import survey

        found = survey(config, directory, workers=workers, overwrite=overwrite)
        largest = max(config.run_keys(), key=lambda key: key.hidden)
        memory = (workers or 1) * memory_of_process(config, largest, dataset)
        announce(found.wall, memory, disk_of_study(config, dataset), directory)


def announce_search(config: SearchConfig, directory: Path, workers: int | None, *, overwrite: bool) -> None:
    """Say what a search may take, as ``--dry-run`` does; what speaks against it the search itself says."""
    from rbmscape.errors import RbmscapeError
    from rbmscape.study.search_survey import cost_of_search, survey_search

    with suppress(RbmscapeError):
        if cost_of_search(config) < QUICK_STUDY:
            return
        found = survey_search(config, directory, workers=workers, overwrite=overwrite)
        announce(found.wall, found.memory, found.disk, directory, bound=True)


def announce_figures(subject: Subject, entries: Sequence[FigureEntry], out: Path) -> dict[str, float]:
    """Say what the figures of one model and its equilibrium samples may take; returns the seconds of each figure.

    The samples are part of the first figure that shows them.
    """
    from rbmscape.sampling.budget import chains_in_memory
    from rbmscape.study.estimate import RUNGS, sampling_seconds
    from rbmscape.study.needs import FIGURE, PROGRAM, memory_of_modes

    made = [entry for entry in entries if not entry.missing(subject)]
    scene = scene_of(subject)
    seconds = {entry.name: entry.spec.cost(scene, entry.options({})[0]) for entry in made}
    memory = PROGRAM + memory_of_modes(subject.model.n_visible, subject.model.n_hidden)
    for entry in [entry for entry in made if entry.spec.samples][:1]:
        seconds[entry.name] += sampling_seconds(scene, subject.sampling, subject.model.n_hidden)
        chains = min(subject.sampling.get("n_chains", 1), chains_in_memory(RUNGS, subject.model.n_visible))
        memory += _memory_of_rungs(subject.model, RUNGS, chains)
    announce(sum(seconds.values()), memory, FIGURE * len(made), out, bound=True)
    return seconds


def scene_of(subject: Subject) -> FigureScene:
    """One run as a study of one size, with the speeds of this machine."""
    from rbmscape.figures.spec import FigureScene
    from rbmscape.study.estimate import REFERENCE_SVD, seconds_of_factorisation, svd_seconds

    model, yardstick = subject.model, seconds_of_factorisation()
    step = seconds_of_step(model)
    return FigureScene(
        n_visible=model.n_visible,
        hidden=(model.n_hidden,),
        main=model.n_hidden,
        replicas=1,
        runs=1,
        checkpoints=1 if subject.run is None else len(subject.run.updates),
        sweep=lambda _: step,
        annealing=lambda _: step,
        svd=lambda hidden: svd_seconds(yardstick, model.n_visible, hidden),
        slowness=yardstick / REFERENCE_SVD,
    )


def announce_description(dataset: Dataset) -> None:
    """Say what looking at large data will take, from a look at the first of their rows."""
    from dataclasses import replace

    from rbmscape.data.describe import describe
    from rbmscape.study.needs import PROGRAM

    rows = len(dataset.train) + len(dataset.test)
    if rows * dataset.n_visible < QUICK or len(dataset.train) <= _LOOKED_AT or dataset.has_missing:
        return
    plain: dict[str, Any] = dict.fromkeys(("train_labels", "test_labels", "train_weights", "test_weights"))
    few = replace(dataset, train=dataset.train[:_LOOKED_AT], test=dataset.test[:0], **plain)
    began = time.perf_counter()
    describe(few)
    seconds = (time.perf_counter() - began) * rows / _LOOKED_AT
    announce(seconds, PROGRAM + dataset.train.nbytes + dataset.test.nbytes)
