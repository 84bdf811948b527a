"""Trainings of other tools as runs: every checkpoint of a file, in a directory that all analyses take."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import rbmscape
from rbmscape.data.dataset import Dataset
from rbmscape.errors import ConfigError, DataError, RunExistsError
from rbmscape.model.rbm import PARAMETER_NAMES, RBM
from rbmscape.progress import Progress, reporting
from rbmscape.runs.config import TrainingConfig
from rbmscape.runs.run import Run
from rbmscape.runs.temporary import Keeper, temporary_directory
from rbmscape.runs.writer import RunWriter

__all__ = ["History", "as_run"]


@dataclass(frozen=True, eq=False)
class History:
    """The saved models of a training.

    Parameters
    ----------
    tool : that made it
    models : by their updates, ascending
    seconds : training time until each update, None where it is not known
    recipe : what is known of the training, by the names of `TrainingConfig`
    chains : (n_chains, N) states of the chains where training stopped, or None
    """

    tool: str
    models: Mapping[int, RBM]
    seconds: Mapping[int, float | None]
    recipe: Mapping[str, Any]
    chains: NDArray[Any] | None


def as_run(
    history: History,
    source: str,
    dataset: Dataset | None = None,
    directory: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    progress: Progress = False,
) -> Run:
    """Write the checkpoints of a training as a run, and open it.

    Parameters
    ----------
    history : the models
    source : the file they come from
    dataset : what they were trained on, if it is at hand; evaluation and analysis then find it by themselves
    directory : where the run is kept; by default a temporary one that vanishes with the returned run
    progress : show a bar, or a reporter that counts checkpoints

    Raises
    ------
    DataError : data of another width than the models
    RunExistsError : the directory holds a run and ``overwrite`` was not asked for
    """
    rbm = next(iter(history.models.values()))
    if dataset is not None and dataset.n_visible != rbm.n_visible:
        raise DataError(
            f"{dataset.name} has {dataset.n_visible} columns but the models of {source} {rbm.n_visible} visible units; "
            "pass the data that they were trained on"
        )
    if directory is not None:
        _write(history, source, dataset, Path(directory), progress, overwrite=overwrite)
        return Run.open(directory)
    with temporary_directory() as place:
        _write(history, source, dataset, place, progress, overwrite=False)
    return Run(place, Keeper(place))


def _write(
    history: History, source: str, dataset: Dataset | None, directory: Path, progress: Progress, *, overwrite: bool
) -> None:
    record = _record(history, source, dataset)
    per_epoch = int(record["updates_per_epoch"])
    with RunWriter(directory) as writer, reporting(progress, "checkpoints", len(history.models)) as advance:
        if writer.exists and not overwrite:
            raise RunExistsError(
                f"{directory} already holds a run; choose another directory or pass overwrite=True (--overwrite)"
            )
        writer.begin(record, resume=False, overwrite=overwrite)
        for update, rbm in history.models.items():
            tensors = dict(zip(PARAMETER_NAMES, (rbm.weights, rbm.visible_bias, rbm.hidden_bias), strict=True))
            writer.write_checkpoint(update, update / per_epoch, tensors)
            writer.append_metrics(
                {"update": update, "epoch": update / per_epoch, "seconds": history.seconds.get(update)}
            )
            advance(1)
        if history.chains is not None:
            chains = torch.from_numpy(np.asarray(history.chains) > 0.5).to(torch.uint8)
            writer.write_state({"chains": chains}, {"update": str(max(history.models)), "seconds": "0.0"})


def _record(history: History, source: str, dataset: Dataset | None) -> dict[str, Any]:
    """What config.json says of the run; values of the recipe that the file does not tell are our defaults."""
    last, rbm = max(history.models), next(iter(history.models.values()))
    known = {name: value for name, value in history.recipe.items() if _is_possible(name, value)}
    recipe = {"method": "pcd", "n_hidden": rbm.n_hidden, "averaging": 0, **known}
    if history.chains is not None:
        recipe["n_chains"] = len(history.chains)
    config = TrainingConfig(**recipe)
    per_epoch = config.updates_per_epoch(len(dataset.train)) if dataset is not None else 1
    config = config.replace(epochs=max(1, -(-last // per_epoch)))
    return {
        "config": config.model_dump(mode="json"),
        "data": {
            "name": dataset.name if dataset is not None else f"data of {Path(source).name}",
            "fingerprint": dataset.fingerprint if dataset is not None else "unknown",
            "n_visible": rbm.n_visible,
            "n_train": len(dataset.train) if dataset is not None else 0,
            "n_test": len(dataset.test) if dataset is not None else 0,
            "image_shape": dataset.image_shape if dataset is not None else None,
            "origin": dataset.origin if dataset is not None else None,
        }
        | ({} if dataset is None or dataset.columns is None else {"columns": list(dataset.columns)}),
        "engine": history.tool,
        "precision": "unknown",
        "updates_per_epoch": per_epoch,
        "imported": {"tool": history.tool, "file": Path(source).name, "recipe": dict(history.recipe)},
        "versions": {"rbmscape": rbmscape.__version__, "python": platform.python_version()},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _is_possible(name: str, value: Any) -> bool:
    """Whether a value of the recipe is one that we know; other tools write 0 for what they do not know."""
    try:
        TrainingConfig(**{name: value})
    except ConfigError:
        return False
    return True
