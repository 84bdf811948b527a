"""What a search would do and take, without doing it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from rbmscape.figures.material import RunKey
from rbmscape.memory import format_bytes
from rbmscape.study.candidates import Candidate, read_score, survivors
from rbmscape.study.dry_run import with_threads
from rbmscape.study.estimate import measure_speeds, seconds_of_tasks
from rbmscape.study.graph import UNIT, TaskGraph
from rbmscape.study.local import usable_cores
from rbmscape.study.needs import disk_of_study, existing_parent, memory_of_process
from rbmscape.study.plan import check_plan
from rbmscape.study.search import check_place, rung_graph, rungs_of
from rbmscape.study.search_config import Rung, SearchConfig
from rbmscape.study.store import StudyStore

__all__ = ["RungEstimate", "SearchSurvey", "cost_of_search", "survey_search"]


@dataclass(frozen=True)
class RungEstimate:
    """One rung before it runs: candidates, those of them that are done, and the seconds that are left."""

    rung: Rung
    done: int
    seconds: float


@dataclass(frozen=True)
class SearchSurvey:
    """A search before it runs.

    Attributes
    ----------
    rungs : one after the other
    wall : seconds until all is done, at most, estimated
    threads : of each process
    memory, disk : bytes
    needed, on_disk, free : memory, disk, and what is free on that disk, in words
    """

    rungs: tuple[RungEstimate, ...]
    wall: float
    threads: int
    memory: float
    disk: float
    needed: str
    on_disk: str
    free: str


def survey_search(config: SearchConfig, directory: Path, *, workers: int | None, overwrite: bool) -> SearchSurvey:
    """Rungs, what is done of them, and estimates; nothing is written.

    Which candidates go on is not known before, so that the largest ones are counted.

    Raises
    ------
    ConfigError, DataError : the plan or the data cannot be used
    StudyError : the directory holds another search
    """
    study = config.study()
    dataset = study.data.load()
    check_plan(study, dataset)
    check_place(directory, config, overwrite=overwrite)
    threads = torch.get_num_threads() if workers is None else max(1, usable_cores() // workers)
    with with_threads(threads):
        speeds = measure_speeds(study, dataset)
    store, found, before = StudyStore(directory / "candidates"), list[RungEstimate](), dict[str, float]()
    wall = 0.0
    for rung, keys, graph in _graphs(config, None if overwrite else store):
        seconds = seconds_of_tasks(graph, study, dataset, speeds)
        left = {task.name for task in graph if overwrite or store.record(task) is None}
        own = {key: sum(seconds[name] for name in left if _is_of(name, key)) for key in keys}
        rest = {key: max(0.0, own[key] - before.get(str(key), 0.0)) for key in keys}
        done = sum(not any(_is_of(name, key) for name in left) for key in keys)
        found.append(RungEstimate(rung, done, sum(rest.values())))
        wall += max(sum(rest.values()) / (workers or 1), max(rest.values(), default=0.0))
        before = {str(key): _training(graph, key, left, seconds) for key in keys}
    memory = (workers or 1) * memory_of_process(study, max(study.run_keys(), key=lambda key: key.hidden), dataset)
    disk = disk_of_study(study, dataset)
    free = shutil.disk_usage(existing_parent(directory)).free
    return SearchSurvey(
        tuple(found), wall, threads, memory, disk, format_bytes(memory), format_bytes(disk), format_bytes(free)
    )


def cost_of_search(config: SearchConfig) -> float:
    """Rough work of all rungs in `rbmscape.study.graph.UNIT`, about a second of a fast machine each."""
    return sum(task.cost for _, _, graph in _graphs(config, None) for task in graph) / UNIT


def _graphs(config: SearchConfig, store: StudyStore | None) -> Iterator[tuple[Rung, list[RunKey], TaskGraph]]:
    """The tasks of each rung: of those that go on, where they are known, else of the largest candidates."""
    study = config.study()
    dataset = study.data.load()
    keys = sorted(config.named(), key=lambda key: -key.hidden)
    for rung in rungs_of(config):
        keys = keys[: rung.places]
        graph = rung_graph(config, dataset, keys, rung)
        yield rung, keys, graph
        if store is not None and all(store.record(task) is not None for task in graph):
            ends = {key: rung.epochs * study.training(key).updates_per_epoch(len(dataset.train)) for key in keys}
            scored = [Candidate(key, {}, 0, rung.epochs, read_score(store, key, ends[key])) for key in keys]
            keys = [one.key for one in survivors(scored, len(scored))]


def _is_of(name: str, key: RunKey) -> bool:
    return f"/{key}" in name and (name.endswith(f"/{key}") or f"/{key}/" in name)


def _training(graph: TaskGraph, key: RunKey, left: set[str], seconds: dict[str, float]) -> float:
    """Seconds of what is left of a run's training, which a later rung need not do again."""
    tasks = [task.name for task in graph if task.kind == "train" and _is_of(task.name, key)]
    return sum(seconds[name] for name in tasks if name in left)
