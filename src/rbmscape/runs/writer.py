"""A run's directory as the trainer sees it: locked, every file written whole, nothing overwritten unasked."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from torch import Tensor

from rbmscape.digests import bytes_digest, with_digest
from rbmscape.errors import ConfigError, DamagedError, DamagedFileWarning, FormatError, RunExistsError, RunLockedError
from rbmscape.files import (
    TEMPORARY_SUFFIX,
    make_directory,
    read_tensors,
    remove_file,
    remove_tree,
    rename,
    sweep,
    write_tensors,
    write_text,
)
from rbmscape.locks import Lock
from rbmscape.model.rbm import named_columns
from rbmscape.runs.config import TrainingConfig, recorded_config
from rbmscape.runs.journal import Journal
from rbmscape.runs.layout import (
    CHECKPOINT_FORMAT,
    RUN_FORMAT,
    RUNG_FORMAT,
    SCHEMA,
    STATE_FORMAT,
    RunLayout,
    check_origin,
    check_schema,
)
from rbmscape.runs.record import read_run_record

__all__ = ["RunWriter", "arithmetic", "discard_run", "latest_state", "same_numbers"]

ARITHMETICS: Final = ("torch", "exact")
"""In which parameters are moved (`rbmscape.training.descent`)."""


_held: set[tuple[int, Path]] = set()
"""Directories that are locked by this process, to tell its own threads from other processes in a message."""


def arithmetic(record: Mapping[str, Any]) -> str:
    """In which a run's parameters are moved; runs of releases that did not say it had torch's.

    Raises
    ------
    FormatError : one that this release does not know
    """
    found = str(record.get("arithmetic", ARITHMETICS[0]))
    if found not in ARITHMETICS:
        raise FormatError(
            f"a run was begun in the arithmetic {found!r} and this release knows {', '.join(ARITHMETICS)}; update "
            "rbmscape to continue it, or train again with overwrite=True (--overwrite)"
        )
    return found


def same_numbers(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether a run that was begun with one record's engine may go on with another's: it gives the same bits."""
    if arithmetic(one) != arithmetic(other):
        return False
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
        make_directory(self.layout.root)
        self._lock = Lock(self.layout.lock)
        self._run_id: str | None = None
        self._names: dict[str, str] = {}

    def __enter__(self) -> Self:
        if not self._lock.acquire():
            holder = "thread of this process" if (os.getpid(), self.layout.root) in _held else "process"
            raise RunLockedError(
                f"{self.layout.directory} is in use by another {holder}; wait for it to end or choose another directory"
            )
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
            self.clear()
            self._run_id, self._names = _identity(record), _names_of(record)
            return self._write_record(dict(record) | {"run_id": self._run_id})
        if not resume:
            raise RunExistsError(
                f"{self.layout.directory} already holds a run; pass resume=True (--resume) to continue it, "
                f"overwrite=True (--overwrite) to replace it, or choose another directory"
            )
        found = read_run_record(self.layout.config)
        if "imported" in found:
            raise ConfigError(
                f"{self.layout.directory} was trained by {found['imported'].get('tool')}, whose random numbers cannot "
                "be continued; choose another directory"
            )
        self._check_same(found, record)
        self._run_id, self._names = found.get("run_id"), _names_of(found)
        if found["config"] != record["config"]:
            kept = {name: found[name] for name in ("engine", "precision", "run_id", "init") if name in found}
            return self._write_record(dict(record) | kept)
        return found

    def _refuse_strangers(self) -> None:
        """Never mix a run with files that are not a run's."""
        parts = ("config", "metrics", "checkpoints", "state", "former_state", "ladder", "audit", "lock")
        known = {getattr(self.layout, name) for name in parts}
        strangers = [p for p in self.layout.root.iterdir() if p not in known and not p.name.endswith(TEMPORARY_SUFFIX)]
        if strangers:
            raise RunExistsError(
                f"{self.layout.directory} holds other files ({strangers[0].name}); choose an empty or new directory"
            )

    def _remove_unfinished(self) -> None:
        """Files that a killed process was still writing; nobody else writes here while the lock is held."""
        for directory in (self.layout.root, self.layout.checkpoints, self.layout.ladder):
            sweep(directory)

    def clear(self) -> None:
        """Remove a run, its record last, so that a half-cleared directory is still known as a run's."""
        layout = self.layout
        for folder in (layout.checkpoints, layout.ladder):
            remove_tree(folder)
        for path in (layout.metrics, layout.state, layout.former_state, layout.audit, layout.config):
            remove_file(path)

    def _write_record(self, record: Mapping[str, Any]) -> dict[str, Any]:
        full = with_digest({"format": RUN_FORMAT, "schema": SCHEMA} | dict(record))
        self._lock.check()
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
                f"resume with the same recipe (more epochs only with schedule='constant'), or go on from this run in "
                f"another directory: train(..., init=run) (--init {self.layout.directory})"
            )

    def _write(self, path: Path, tensors: Mapping[str, Tensor], kind: str, **facts: str) -> None:
        """One file of the run, which says what it is and whose."""
        own = {} if self._run_id is None else {"run_id": self._run_id}
        self._lock.check()
        write_tensors(path, tensors, {"format": kind, "schema": str(SCHEMA)} | own | facts)

    def _read(self, path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, str]]:
        tensors, metadata = read_tensors(path)
        check_schema(metadata, kind, path)
        check_origin(metadata, self._run_id, path)
        return tensors, metadata

    def write_checkpoint(self, update: int, epoch: float, tensors: Mapping[str, Tensor]) -> None:
        """Keep the model after ``update`` updates."""
        path = self.layout.checkpoint(update)
        self._write(path, tensors, CHECKPOINT_FORMAT, update=str(update), epoch=repr(epoch), **self._names)

    def read_metrics(self) -> list[dict[str, Any]]:
        """What `append_metrics` has added so far."""
        return Journal.read(self.layout.metrics).by_update()

    def append_metrics(self, row: Mapping[str, Any]) -> None:
        """Add one line, unless the update already has one (a resumed run repeats the updates after its last state)."""
        journal = Journal.read(self.layout.metrics)
        if all(known["update"] != row["update"] for known in journal.rows):
            self._lock.check()
            journal.append(self.layout.metrics, row)

    def write_state(self, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
        """Replace what a resumed run starts from; the one before is kept until the next."""
        self._lock.check()
        if self.layout.state.is_file():
            rename(self.layout.state, self.layout.former_state)
        self._write(self.layout.state, tensors, STATE_FORMAT, **metadata)

    def write_rung(self, number: int, tensors: Mapping[str, Tensor]) -> None:
        """Keep a frozen model; written before the state that knows of it, and the same when that is repeated."""
        self._write(self.layout.rung(number), tensors, RUNG_FORMAT, rung=str(number))

    def write_reported(self, tensors: Mapping[str, Tensor]) -> None:
        """Replace the last checkpoint's model with its equilibrium states, the last rung of the ladder."""
        self._write(self.layout.reported, tensors, RUNG_FORMAT)

    def read_rungs(self) -> list[dict[str, Tensor]]:
        """The frozen models, lowest first."""
        found: list[dict[str, Tensor]] = []
        while (path := self.layout.rung(len(found))).is_file():
            found.append(self._read(path, RUNG_FORMAT)[0])
        return found

    def read_state(self) -> tuple[dict[str, Tensor], dict[str, str]] | None:
        """What `write_state` wrote last, or None before the first; the one before where the last is damaged.

        Raises
        ------
        DamagedError : both are
        """
        return latest_state(self.layout, self._run_id)


def discard_run(directory: str | os.PathLike[str]) -> None:
    """Remove a run's files, while nobody else writes to it.

    Raises
    ------
    RunLockedError : somebody does
    """
    with RunWriter(directory) as writer:
        writer.clear()


def latest_state(layout: RunLayout, run_id: str | None) -> tuple[dict[str, Tensor], dict[str, str]] | None:
    """The last state that is whole, or None where there is none yet; says so where it is not the last.

    Raises
    ------
    DamagedError : there are states, and none is whole
    """
    damage: DamagedError | None = None
    for path in (layout.state, layout.former_state):
        if not path.is_file():
            continue
        try:
            tensors, metadata = read_tensors(path)
            check_schema(metadata, STATE_FORMAT, path)
            check_origin(metadata, run_id, path)
        except DamagedError as error:
            damage = damage or error
            continue
        if damage is not None:
            words = f"{damage}; {path.name}, the state at update {metadata.get('update')}, is taken in its place"
            warnings.warn(words, DamagedFileWarning, stacklevel=2)
        return tensors, metadata
    if damage is not None:
        raise damage
    return None


def _names_of(record: Mapping[str, Any]) -> dict[str, str]:
    """Names of the visible units, for the files of models."""
    return named_columns(record.get("data", {}).get("columns"))


def _identity(record: Mapping[str, Any]) -> str:
    """What tells a run's files from those of others: all that its numbers follow from.

    Runs that have the same are equal to the last bit, and so are their files.
    """
    names = ("config", "data", "engine", "precision", "imported")
    parts = {name: record[name] for name in names if name in record} | {
        "version": record.get("versions", {}).get("rbmscape")
    }
    return bytes_digest(json.dumps(parts, sort_keys=True).encode())[:16]
