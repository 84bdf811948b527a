"""What every task of a study finds where it is done: the plan, the directory, the data and the runs."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from rbmscape.data.dataset import Dataset
from rbmscape.errors import StudyError
from rbmscape.figures.datasets import read_dataset
from rbmscape.figures.material import RunKey
from rbmscape.runs.run import Run
from rbmscape.study.config import StudyConfig
from rbmscape.study.store import StudyStore

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["StudyContext"]


@dataclass
class StudyContext:
    """What every task of a study finds: the plan, the directory, and the data, loaded when first used."""

    config: StudyConfig
    store: StudyStore

    @classmethod
    def open(cls, directory: str) -> StudyContext:
        """Of a study that has begun, perhaps on another machine.

        Raises
        ------
        StudyError : the directory is not there, or its data are others here
        """
        store = StudyStore(directory)
        if not store.exists:
            raise StudyError(
                f"the worker on {platform.node()} does not see the study at {directory}; "
                "keep it where all machines find it under the same path"
            )
        record = store.read()
        context = cls(StudyConfig.from_mapping(record["config"]), store)
        if context.dataset.fingerprint != record["data"]["fingerprint"]:
            raise StudyError(
                f"the worker on {platform.node()} finds other data under {context.config.data.source!r} than the study "
                "began with; keep the same file on all machines"
            )
        return context

    @cached_property
    def dataset(self) -> Dataset:
        """The study's data."""
        return self.config.data.load()

    def result(self, name: str) -> xr.Dataset:
        """A Dataset of ``results/``, in memory."""
        return read_dataset(self.store.results / f"{name}.nc")

    def runs(self) -> dict[RunKey, Run]:
        """All runs of the plan that exist."""
        found = {key: self.store.runs / str(key) for key in self.config.run_keys()}
        return {key: Run.open(path) for key, path in found.items() if (path / "config.json").is_file()}

    def samples_folder(self, source: str) -> Path:
        """Where the equilibrium samples are kept that code with this fingerprint draws."""
        return self.store.samples / source[:16]
