"""What a study would do and take, without doing it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from rbmscape.errors import StudyError
from rbmscape.memory import format_bytes
from rbmscape.study.config import StudyConfig
from rbmscape.study.estimate import measure_speeds, seconds_of_tasks, wall_seconds
from rbmscape.study.graph import TaskGraph, build_graph
from rbmscape.study.local import usable_cores
from rbmscape.study.needs import disk_of_study, existing_parent, memory_of_process
from rbmscape.study.plan import check_plan
from rbmscape.study.store import StudyStore

__all__ = ["Survey", "survey", "with_threads"]


@dataclass(frozen=True)
class Survey:
    """A study before it runs.

    Attributes
    ----------
    graph : its tasks
    done : names of those that are done already
    seconds : task to what it takes in one process, estimated
    wall : seconds until all is done, estimated
    threads : of each process
    memory, disk, free : needed memory and disk, and what is free on that disk, in words
    """

    graph: TaskGraph
    done: set[str]
    seconds: Mapping[str, float]
    wall: float
    threads: int
    memory: str
    disk: str
    free: str


def survey(config: StudyConfig, directory: Path, *, workers: int | None, overwrite: bool) -> Survey:
    """Tasks, what is done of them, and estimates; nothing is written.

    Raises
    ------
    ConfigError, DataError : the plan or the data cannot be used
    StudyError : the directory holds another study
    """
    dataset = config.data.load()
    check_plan(config, dataset)
    store, graph = StudyStore(directory), build_graph(config, dataset)
    if store.exists and not overwrite:
        reason = config.conflict(StudyConfig.from_mapping(store.read()["config"]))
        if reason:
            raise StudyError(f"{directory} holds another study ({reason}); choose another directory")
    done = set() if overwrite else {task.name for task in graph if store.record(task) is not None}
    threads = torch.get_num_threads() if workers is None else max(1, usable_cores() // workers)
    with with_threads(threads):
        speeds = measure_speeds(config, dataset)
    seconds = seconds_of_tasks(graph, config, dataset, speeds)
    largest = max(config.run_keys(), key=lambda key: key.hidden)
    return Survey(
        graph,
        done,
        seconds,
        wall_seconds(graph, seconds, done, workers or 1),
        threads,
        format_bytes((workers or 1) * memory_of_process(config, largest, dataset)),
        format_bytes(disk_of_study(config, dataset)),
        format_bytes(shutil.disk_usage(existing_parent(directory)).free),
    )


@contextmanager
def with_threads(count: int) -> Iterator[None]:
    """With so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
