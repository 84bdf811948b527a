"""A run's directory as the trainer sees it: locked, every file written whole, nothing overwritten unasked."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout
from torch import Tensor

from rbmscape.errors import ConfigError, DiskError, RunExistsError, RunLockedError
from rbmscape.files import TEMPORARY_SUFFIX, read_tensors, write_tensors, write_text
from rbmscape.runs.config import TrainingConfig, recorded_config
from rbmscape.runs.layout import (
    CHECKPOINT_FORMAT,
    RUN_FORMAT,
    RUNG_FORMAT,
    SCHEMA,
    STATE_FORMAT,
    RunLayout,
    check_schema,
    parse_metrics,
    read_json,
)

__all__ = ["RunWriter", "same_numbers"]


_held: set[tuple[int, Path]] = set()
"""Directories that are locked by this process, to tell its own threads from other processes in a message."""


def same_numbers(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether a run that was begun with one record's engine may go on with another's: it draws the same states."""
    if one["precision"] == other["precision"] == "fixed":
        return {one["engine"], other["engine"]} <= {"cpu", "cuda"} or one["engine"] == other["engine"]
    return (one["precision"], one["engine"]) == (other["precision"], other["engine"])


class RunWriter:
    """Exclusive access to one run's directory; a context manager that holds the lock.

    Parameters
    ----------
    directory : where the run lies or will lie

    Raises
    ------
    RunLockedError : another process, or another thread of this one, writes to it
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.layout = RunLayout(Path(directory))
        try:
            self.layout.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DiskError(
                f"{self.layout.directory} could not be made ({error.strerror or error}); choose another directory"
            ) from error
        self._lock = FileLock(self.layout.lock)

    def __enter__(self) -> Self:
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            holder = "thread of this process" if (os.getpid(), self.layout.root) in _held else "process"
            raise RunLockedError(
                f"{self.layout.directory} is in use by another {holder}; wait for it to end or choose another directory"
            ) from None
        _held.add((os.getpid(), self.layout.root))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _held.discard((os.getpid(), self.layout.root))
        self._lock.release()

    @property
    def exists(self) -> bool:
        """Whether the directory already holds a run."""
        return self.layout.config.is_file()

    def begin(self, record: Mapping[str, Any], *, resume: bool, overwrite: bool) -> dict[str, Any]:
        """Start a new run or check that an existing one may be continued; returns the record that holds.

        Raises
        ------
        RunExistsError : there is a run already and neither resume nor overwrite was asked for
        ConfigError : the run to be resumed has another recipe or other data
        """
        if not self.exists:
            self._refuse_strangers()
        self._remove_unfinished()
        if not self.exists or overwrite:
            self._clear()
            return self._write_record(record)
        if not resume:
            raise RunExistsError(
                f"{self.layout.directory} already holds a run; pass resume=True (--resume) to continue it, "
                f"overwrite=True (--overwrite) to replace it, or choose another directory"
            )
        found = read_json(self.layout.config)
        check_schema(found, RUN_FORMAT, self.layout.config)
        if "imported" in found:
            raise ConfigError(
                f"{self.layout.directory} was trained by {found['imported'].get('tool')}, whose random numbers cannot "
                "be continued; choose another directory"
            )
        self._check_same(found, record)
        if found["config"] != record["config"]:
            return self._write_record(dict(record) | {"engine": found["engine"], "precision": found["precision"]})
        return found

    def _refuse_strangers(self) -> None:
        """Never mix a run with files that are not a run's."""
        parts = ("config", "metrics", "checkpoints", "state", "ladder", "audit", "lock")
        known = {getattr(self.layout, name) for name in parts}
        strangers = [p for p in self.layout.root.iterdir() if p not in known and not p.name.endswith(TEMPORARY_SUFFIX)]
        if strangers:
            raise RunExistsError(
                f"{self.layout.directory} holds other files ({strangers[0].name}); choose an empty or new directory"
            )

    def _remove_unfinished(self) -> None:
        """Files that a killed process was still writing; nobody else writes here while the lock is held."""
        for directory in (self.layout.root, self.layout.checkpoints, self.layout.ladder):
            for path in directory.glob(f".*{TEMPORARY_SUFFIX}"):
                path.unlink(missing_ok=True)

    def _clear(self) -> None:
        self.layout.config.unlink(missing_ok=True)
        self.layout.metrics.unlink(missing_ok=True)
        self.layout.state.unlink(missing_ok=True)
        self.layout.audit.unlink(missing_ok=True)
        for folder in (self.layout.checkpoints, self.layout.ladder):
            shutil.rmtree(folder, ignore_errors=True)

    def _write_record(self, record: Mapping[str, Any]) -> dict[str, Any]:
        full = {"format": RUN_FORMAT, "schema": SCHEMA} | dict(record)
        write_text(self.layout.config, json.dumps(full, indent=2) + "\n")
        return full

    def _check_same(self, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        if found["data"]["fingerprint"] != wanted["data"]["fingerprint"]:
            raise ConfigError(
                f"{self.layout.directory} was trained on {found['data']['name']!r} with other contents than the given "
                f"{wanted['data']['name']!r}; resume with the same data or choose another directory"
            )
        old, new = (recorded_config(record["config"]) for record in (found, wanted))
        differing = [key for key in TrainingConfig.model_fields if getattr(old, key) != getattr(new, key)]
        if same_numbers(found, wanted):
            differing = [key for key in differing if key not in ("engine", "precision")]
        longer = differing == ["epochs"] and new.epochs > old.epochs and new.schedule == "constant"
        if differing and not longer:
            key = differing[0]
            raise ConfigError(
                f"{self.layout.directory} was trained with {key}={getattr(old, key)!r}, not {getattr(new, key)!r}; "
                f"resume with the same recipe (more epochs only with schedule='constant') or choose another directory"
            )

    def write_checkpoint(self, update: int, epoch: float, tensors: Mapping[str, Tensor]) -> None:
        """Keep the model after ``update`` updates."""
        metadata = {"format": CHECKPOINT_FORMAT, "schema": str(SCHEMA), "update": str(update), "epoch": repr(epoch)}
        write_tensors(self.layout.checkpoint(update), tensors, metadata)

    def read_metrics(self) -> list[dict[str, Any]]:
        """What `append_metrics` has added so far."""
        return parse_metrics(self.layout.metrics)

    def append_metrics(self, row: Mapping[str, Any]) -> None:
        """Add one line, unless the update already has one (a resumed run repeats the updates after its last state)."""
        try:
            rows = self.read_metrics()
            if any(known["update"] == row["update"] for known in rows):
                return
            content = self.layout.metrics.read_text(encoding="utf-8") if self.layout.metrics.is_file() else ""
            if content and not content.endswith("\n"):
                write_text(self.layout.metrics, "".join(json.dumps(known) + "\n" for known in rows))
            with open(self.layout.metrics, "a", encoding="utf-8") as handle:
                handle.write(json.dumps(dict(row)) + "\n")
                handle.flush()
                os.fsync(handle.fileno())
        except OSError as error:
            raise DiskError(
                f"{self.layout.metrics} could not be written ({error.strerror or error}); free some space and resume"
            ) from error

    def write_state(self, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
        """Replace what a resumed run starts from."""
        write_tensors(self.layout.state, tensors, {"format": STATE_FORMAT, "schema": str(SCHEMA)} | dict(metadata))

    def write_rung(self, number: int, tensors: Mapping[str, Tensor]) -> None:
        """Keep a frozen model; written before the state that knows of it, and the same when that is repeated."""
        metadata = {"format": RUNG_FORMAT, "schema": str(SCHEMA), "rung": str(number)}
        write_tensors(self.layout.rung(number), tensors, metadata)

    def write_reported(self, tensors: Mapping[str, Tensor]) -> None:
        """Replace the last checkpoint's model with its equilibrium states, the last rung of the ladder."""
        write_tensors(self.layout.reported, tensors, {"format": RUNG_FORMAT, "schema": str(SCHEMA)})

    def read_rungs(self) -> list[dict[str, Tensor]]:
        """The frozen models, lowest first."""
        found: list[dict[str, Tensor]] = []
        while (path := self.layout.rung(len(found))).is_file():
            tensors, metadata = read_tensors(path)
            check_schema(metadata, RUNG_FORMAT, path)
            found.append(tensors)
        return found

    def read_state(self) -> tuple[dict[str, Tensor], dict[str, str]] | None:
        """What `write_state` wrote last, or None before the first."""
        if not self.layout.state.is_file():
            return None
        tensors, metadata = read_tensors(self.layout.state)
        check_schema(metadata, STATE_FORMAT, self.layout.state)
        return tensors, metadata
