"""Memory and disk that a study needs, by arithmetic: parameters, chains, checkpoints, and what is kept beside."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from rbmscape.data.dataset import Dataset
from rbmscape.errors import ConfigError, DiskError
from rbmscape.figures.material import RunKey
from rbmscape.memory import format_bytes, machine_memory
from rbmscape.reciprocal.modes import MOST_COMPLETE
from rbmscape.runs.config import TrainingConfig
from rbmscape.runs.needs import FLOAT, n_parameters, training_memory
from rbmscape.runs.optimizers import OPTIMIZERS
from rbmscape.study.config import StudyConfig

__all__ = [
    "check_needs",
    "disk_of_run",
    "disk_of_study",
    "existing_parent",
    "memory_of_process",
    "memory_of_training",
]

PROGRAM: Final = 450 * 2**20
"""Interpreter, torch and the other libraries in one process."""
FIGURE: Final = 2 * 2**20
"""Picture, PDF and data of one figure, on average."""
FACTORS: Final = 6
"""Float64 matrices with a row a unit of the larger layer and a column a mode while a figure looks at modes: V, its
rotations, work space."""


def disk_of_run(recipe: TrainingConfig, n_visible: int, updates_per_epoch: int) -> int:
    """Bytes of a run's directory when it is complete."""
    model = FLOAT * n_parameters(n_visible, recipe.n_hidden)
    kept = 2 if recipe.averaging else 1
    state = model * (kept + OPTIMIZERS[recipe.optimizer].state(recipe)) + recipe.n_chains * n_visible
    return len(recipe.checkpoint_updates(updates_per_epoch)) * model * kept + state


def disk_of_study(config: StudyConfig, dataset: Dataset) -> int:
    """Bytes of a study's directory when it is complete."""
    figures = FIGURE * len(config.figure_entries)
    runs = 0
    for key in config.run_keys():
        recipe = config.training(key)
        runs += disk_of_run(recipe, dataset.n_visible, recipe.updates_per_epoch(len(dataset.train)))
    return runs + 2 * figures  # once more in the report


def memory_of_process(config: StudyConfig, key: RunKey, dataset: Dataset) -> int:
    """Bytes of a process that trains and looks at the models of one size."""
    figures = memory_of_modes(dataset.n_visible, key.hidden)
    return max(memory_of_training(config.training(key), dataset), PROGRAM + _copied(dataset) + figures)


def memory_of_modes(n_visible: int, hidden: int) -> int:
    """Bytes of a figure that looks at modes, of which `Modes.of` completes the bases up to 4096 units alone."""
    smaller, larger = sorted((n_visible, hidden))
    return FACTORS * 2 * FLOAT * larger * (larger if larger <= MOST_COMPLETE else smaller + 1)


def memory_of_training(recipe: TrainingConfig, dataset: Dataset) -> int:
    """Bytes of a process that trains a model."""
    return PROGRAM + _copied(dataset) + training_memory(recipe, dataset.n_visible, len(dataset.train))


def _copied(dataset: Dataset) -> int:
    return 2 * (dataset.train.nbytes + dataset.test.nbytes)


def existing_parent(directory: Path) -> Path:
    """The directory, or the nearest one above it that exists."""
    return next(path for path in (directory.absolute(), *directory.absolute().parents) if path.exists())


def check_needs(config: StudyConfig, dataset: Dataset, directory: Path, *, here: bool) -> None:
    """Refuse a study that this machine cannot hold.

    Parameters
    ----------
    here : whether models are trained on this machine

    Raises
    ------
    ConfigError : a size needs more memory than the machine has
    DiskError : the study needs more space than the disk has
    """
    largest = max(config.run_keys(), key=lambda key: key.hidden)
    memory, there = memory_of_process(config, largest, dataset), machine_memory()
    if here and there is not None and memory > there:
        raise ConfigError(
            f"M = {largest.hidden} needs about {format_bytes(memory)} of memory and this machine has "
            f"{format_bytes(there)}; choose smaller sizes or a larger machine"
        )
    place = existing_parent(directory)
    present = sum(path.stat().st_size for path in (directory / "runs").rglob("*") if path.is_file())
    disk, free = disk_of_study(config, dataset) - present, shutil.disk_usage(place).free
    if disk > free:
        raise DiskError(
            f"the study needs about {format_bytes(disk)} more on the disk of {place}, which has {format_bytes(free)} "
            "left; free some space, choose another place, or keep fewer checkpoints"
        )
