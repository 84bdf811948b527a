"""Where a result comes from: versions, seed, configuration, data, hardware and wall time, as attributes of netCDF."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from rbmscape.figures.datasets import provenance_attrs
from rbmscape.machine import machine
from rbmscape.study.config import fingerprint

if TYPE_CHECKING:
    from rbmscape.study.context import StudyContext
    from rbmscape.study.graph import Task

__all__ = ["result_attrs"]


def result_attrs(context: StudyContext, task: Task, seconds: float) -> dict[str, str | float]:
    """Attributes of the Dataset that a task leaves.

    Parameters
    ----------
    seconds : wall time of the computation

    Returns
    -------
    What `rbmscape.figures.datasets.provenance_attrs` says, and ``study``, ``data``, ``data_fingerprint``,
    ``configuration_hash`` (SHA-256 of the plan), ``task_fingerprint`` (SHA-256 of everything that the result follows
    from), ``processor``, ``gpu``, ``threads``, ``wall_time_seconds``
    """
    here = machine()
    return provenance_attrs(
        seed=context.config.seed,
        study=context.config.name,
        data=context.dataset.name,
        data_fingerprint=context.dataset.fingerprint,
        configuration_hash=fingerprint(context.config.model_dump(mode="json")),
        task_fingerprint=task.fingerprint,
        processor=str(here["processor"]),
        gpu=str(here["gpu"] or "none"),
        threads=torch.get_num_threads(),
        wall_time_seconds=round(seconds, 3),
    )
