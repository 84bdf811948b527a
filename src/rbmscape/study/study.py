"""`run_study` and `open_study`: the two ways to a study's results."""

from __future__ import annotations

import os
import platform
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import torch

import rbmscape
from rbmscape.arguments import checked
from rbmscape.brief import OneLine
from rbmscape.data.dataset import Dataset
from rbmscape.data.describe import first_concerns
from rbmscape.errors import ConfigError, StudyError
from rbmscape.figures.datasets import read_dataset
from rbmscape.figures.material import RunKey
from rbmscape.figures.registry import FigureEntry
from rbmscape.progress import Progress
from rbmscape.runs.run import Run
from rbmscape.study.config import StudyConfig
from rbmscape.study.context import StudyContext
from rbmscape.study.execute import HerePool, Outcome, Pool, execute
from rbmscape.study.graph import TaskGraph, build_graph, source_of_samples
from rbmscape.study.needs import check_needs
from rbmscape.study.plan import check_plan
from rbmscape.study.progress import StudyReporter, make_reporter
from rbmscape.study.sources import present_sources
from rbmscape.study.store import StudyStore

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["Study", "open_study", "run_study"]


class Study(OneLine):
    """A study's directory, opened for reading; files are read when they are asked for.

    Attributes
    ----------
    directory : where it lies
    config : its plan
    info : versions, machine, data and times, as recorded in study.json
    outcome : what became of its tasks when `run_study` did them; of none where it was only opened
    """

    def __init__(self, directory: str | os.PathLike[str], outcome: Outcome | None = None) -> None:
        self._store = StudyStore(directory)
        self.info: dict[str, Any] = self._store.read()
        self.config = StudyConfig.from_mapping(self.info["config"])
        self.directory = self._store.directory
        self.outcome = outcome or Outcome((), ())
        self._context = StudyContext(self.config, self._store)

    def _headline(self) -> str:
        sizes = ", ".join(map(str, self.config.hidden))
        return f"{str(self.directory)!r}, M = {sizes}, {self.config.replicas} replicas, {len(self.runs)} runs"

    @property
    def runs(self) -> dict[RunKey, Run]:
        """The runs that have begun, by recipe, size and replica."""
        return self._context.runs()

    def result_names(self) -> tuple[str, ...]:
        """Analyses and figures that have left their Dataset so far."""
        folders = (self._store.results, self._store.figures)
        return tuple(sorted({path.stem for folder in folders for path in folder.glob("*.nc")}))

    @checked
    def result(self, name: str) -> xr.Dataset:
        """Dataset of an analysis, for example ``result("likelihood")``, or of a figure.

        Where a figure shows an analysis of the same name, the analysis is returned.

        Raises
        ------
        StudyError : the study has no such result (yet)
        """
        for folder in (self._store.results, self._store.figures):
            path = folder / f"{name}.nc"
            if path.is_file():
                self._store.check_result(path)
                return read_dataset(path)
        known = ", ".join(self.result_names()) or "none yet"
        raise StudyError(f"{self.directory} has no result {name!r}; it has {known}")

    @checked
    def table(self, name: str) -> pd.DataFrame:
        """A result in long format: one row a number, with its coordinates, ``variable``, ``value`` and ``units``.

        Raises
        ------
        StudyError : the study has no such result (yet)
        """
        from rbmscape.study.tables import long_table

        return long_table(self.result(name))

    def graph(self) -> TaskGraph:
        """All tasks of the plan, done or not."""
        check_plan(self.config, self._context.dataset)
        return build_graph(self.config, self._context.dataset)

    def records(self) -> dict[str, dict[str, Any]]:
        """What is recorded of every finished task: its seconds and its outcome."""
        found = {task.name: self._store.record(task) for task in self.graph()}
        return {name: record for name, record in found.items() if record is not None}

    @checked
    def figures(self, kind: Literal["png", "pdf", "nc"] = "png") -> list[tuple[FigureEntry, Path]]:
        """The figures that are there, with the path of their pictures or of their data, in the plan's order."""
        pairs = [(entry, self._store.figures / f"{entry.stem}.{kind}") for entry in self.config.figure_entries]
        return [(entry, path) for entry, path in pairs if path.is_file()]


@checked
def open_study(directory: str | os.PathLike[str]) -> Study:
    """Open a study's directory, finished or not.

    Raises
    ------
    StudyError : the directory holds no study
    FormatError : its study.json is damaged or of a newer release
    """
    return Study(directory)


@checked
def run_study(
    config: StudyConfig,
    directory: str | os.PathLike[str],
    overwrite: bool = False,
    progress: Progress | StudyReporter = True,
    workers: int | None = None,
    scheduler: str | None = None,
) -> Study:
    """Do what is not yet done of a study.

    Parameters
    ----------
    config : the plan
    directory : of the study; a study that is there is continued, whatever was interrupted
    overwrite : start again from nothing
    progress : show progress on the console, or a `rbmscape.progress.Reporter` that counts finished tasks, or a
        `StudyReporter` that hears of each
    workers : processes on this machine that share its cores; by default one task at a time, in this process
    scheduler : address of a Dask scheduler instead, whose workers see the directory under the same path

    Returns
    -------
    The study; what became of its tasks is its ``outcome``, where failures of single tasks are listed, not raised

    Raises
    ------
    StudyError : the directory holds another study or other files, or no scheduler answers
    RunLockedError : another process works on it
    DataError, ConfigError : the data or the plan cannot be used
    DiskError : results cannot be written
    KeyboardInterrupt : Ctrl-C; the same call continues
    """
    if workers is not None and (scheduler is not None or workers < 1):
        raise ConfigError(f"give a number of workers from 1 on, or a scheduler, not {workers!r} and {scheduler!r}")
    dataset = config.data.load()
    check_plan(config, dataset)
    check_needs(config, dataset, Path(directory), here=scheduler is None)
    graph = build_graph(config, dataset)
    reporter = make_reporter(progress)
    with ExitStack() as stack:
        cluster = cluster_pool(scheduler, directory)  # before anything is written
        if cluster is not None:
            stack.callback(cluster.close)
        store = stack.enter_context(StudyStore(directory))
        store.begin(config, dataset_record(dataset, previous_start(store, overwrite)), overwrite=overwrite)
        context = StudyContext(config, store)
        context.__dict__["dataset"] = dataset
        store.forget_samples(but=context.samples_folder(source_of_samples(present_sources())).name)
        outcome = execute(graph, store, cluster or pool_here(context, reporter, workers), reporter)
        store.remove_locks()
    return Study(directory, outcome)


def cluster_pool(scheduler: str | None, directory: str | os.PathLike[str]) -> Pool | None:
    """The workers of a Dask scheduler; None without one.

    Raises
    ------
    StudyError : none answers
    """
    if scheduler is None:
        return None
    from rbmscape.study.cluster import DaskPool

    return DaskPool(Path(directory), scheduler)


def pool_here(context: StudyContext, reporter: StudyReporter, workers: int | None) -> Pool:
    """So many worker processes, or one task at a time in this process."""
    if workers is None:
        return HerePool(context, reporter)
    from rbmscape.study.local import LocalPool

    return LocalPool(context.store.directory, workers)


def previous_start(store: StudyStore, overwrite: bool) -> str:
    """When the study that is there was begun; now, where there is none."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return str(store.read().get("created", now)) if store.exists and not overwrite else now


LOOKED_AT: Final = 20_000
"""Training samples from which facts about data are taken."""


def _facts(dataset: Dataset) -> dict[str, Any]:
    """What a reader of the report should know of the data, and what in them deserves a second look."""
    means = np.asarray(dataset.train[:LOOKED_AT]).mean(0)
    return {
        "share_of_ones": float(means.mean()),
        "n_constant": int(((means == 0.0) | (means == 1.0)).sum()),
        "columns": None if dataset.columns is None else list(dataset.columns),
        "concerns": list(first_concerns(dataset)),
    }


def dataset_record(dataset: Dataset, created: str) -> dict[str, Any]:
    """What study.json says beside the plan."""
    return {
        "created": created,
        "data": {
            "name": dataset.name,
            "fingerprint": dataset.fingerprint,
            "n_train": len(dataset.train),
            "n_test": len(dataset.test),
            "n_visible": dataset.n_visible,
            "image_shape": dataset.image_shape,
            **_facts(dataset),
        },
        "versions": {
            "rbmscape": rbmscape.__version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}",
            "threads": torch.get_num_threads(),
        },
    }
