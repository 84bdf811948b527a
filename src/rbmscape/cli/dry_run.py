"""What ``--dry-run`` shows: the tasks of a study, and roughly what they will take on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rbmscape.cli.tables import print_table
from rbmscape.progress import duration

if TYPE_CHECKING:
    from rbmscape.study.config import StudyConfig
    from rbmscape.study.graph import TaskGraph

__all__ = ["show_dry_run"]

_KINDS: Final = {
    "train": "train a slice of a run",
    "collect-training": "collect metrics",
    "likelihood": "likelihoods of a run",
    "collect-likelihood": "collect likelihoods",
    "baselines": "models without hidden units",
    "samples": "equilibrium samples of a run",
    "compute": "data of a figure",
    "figure": "picture of a figure",
}


def show_dry_run(config: StudyConfig, directory: Path, *, workers: int | None, overwrite: bool) -> None:
    """Print tasks by kind with what is done, and estimates of time, memory and disk; writes nothing.

    Raises
    ------
    ConfigError, DataError : the plan or the data cannot be used
    StudyError : the directory holds another study
    """
    from rbmscape.study.dry_run import survey

    found = survey(config, directory, workers=workers, overwrite=overwrite)
    rows = _rows(found.graph, found.seconds, found.done)
    print_table(f"Study {config.name!r} in {directory}", rows, ("tasks", "number", "done", "time left"))
    how = "one after the other" if workers is None else f"with {workers} worker processes"
    lines = [
        ("time", f"about {duration(found.wall)} {how} ({found.threads} threads each)"),
        ("memory", f"about {found.memory}"),
        ("disk", f"about {found.disk} in all, {found.free} free"),
    ]
    print_table("Estimates, from a calibration of a few seconds on this machine as busy as it is now", lines)


def _rows(graph: TaskGraph, seconds: Mapping[str, float], done: set[str]) -> list[tuple[str, str, str, str]]:
    rows = []
    for kind in dict.fromkeys(task.kind for task in graph):
        tasks = [task.name for task in graph if task.kind == kind]
        left = sum(seconds[name] for name in tasks if name not in done)
        ready = sum(name in done for name in tasks)
        rows.append((_KINDS.get(kind, kind), str(len(tasks)), str(ready), duration(left)))
    return rows
