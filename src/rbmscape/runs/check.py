"""Whether a run's directory is what was written there: digests, names, counts, and whose files they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rbmscape.brief import OneLine
from rbmscape.errors import DamagedError, DiskError, FormatError
from rbmscape.files import TEMPORARY_SUFFIX, read_metadata, read_tensors
from rbmscape.runs.journal import Journal
from rbmscape.runs.layout import (
    CHECKPOINT_FORMAT,
    RUNG_FORMAT,
    STATE_FORMAT,
    RunLayout,
    check_origin,
    check_schema,
    read_json,
)
from rbmscape.runs.record import read_run_record

__all__ = ["Finding", "check_run", "is_whole", "missing_parts"]

Result = TypeVar("Result")


@dataclass(frozen=True, repr=False)
class Finding(OneLine):
    """Something in a directory that is not as it was written.

    Attributes
    ----------
    path : the file
    words : what is wrong and what to do, in one sentence
    harmless : whether nothing is lost by it
    """

    path: Path
    words: str
    harmless: bool = False

    def _headline(self) -> str:
        return self.words


def check_run(directory: Path) -> list[Finding]:
    """All that is wrong with a run's directory; every file is read once.

    Raises
    ------
    RunNotFoundError : it holds no run
    """
    layout = RunLayout(directory)
    layout.require()
    found: list[Finding] = []
    record = _tried(found, layout.config, lambda: _record(layout))
    run_id = record.get("run_id") if record is not None else None
    for update in layout.updates():
        _tensors(found, layout.checkpoint(update), CHECKPOINT_FORMAT, run_id, update)
    for path in sorted(layout.ladder.glob("*.safetensors")):
        _tensors(found, path, RUNG_FORMAT, run_id)
    states = [path for path in (layout.state, layout.former_state) if path.is_file()]
    reached = [_tensors(found, path, STATE_FORMAT, run_id) for path in states]
    _tried(found, layout.metrics, lambda: Journal.read(layout.metrics))
    found += missing_parts(layout)
    imported = record is not None and "imported" in record
    if layout.updates() and not any(update is not None for update in reached) and not states and not imported:
        found.append(Finding(layout.state, f"{layout.state} is missing; the run can be read but not resumed"))
    if layout.audit.is_file():
        _tried(found, layout.audit, lambda: read_json(layout.audit))
    for folder in (layout.root, layout.checkpoints, layout.ladder):
        found += [
            Finding(path, f"{path} was left by a process that was killed; the next resume removes it", harmless=True)
            for path in folder.glob(f".*{TEMPORARY_SUFFIX}")
        ]
    return found


def is_whole(directory: Path) -> bool:
    """Whether nothing is wrong with a run; also where there is none yet."""
    if not RunLayout(directory).config.is_file():
        return not RunLayout(directory).updates()
    return all(finding.harmless for finding in check_run(directory))


def _tried(found: list[Finding], path: Path, read: Callable[[], Result]) -> Result | None:
    """What is read, or None and a finding."""
    try:
        return read()
    except (DamagedError, DiskError, FormatError) as error:
        found.append(Finding(path, str(error)))
        return None


def _record(layout: RunLayout) -> dict[str, object]:
    return read_run_record(layout.config)


def _tensors(found: list[Finding], path: Path, kind: str, run_id: object, update: int | None = None) -> int | None:
    """The update that a file of tensors is of, where it is whole and says so."""

    def read() -> int | None:
        _, metadata = read_tensors(path)
        check_schema(metadata, kind, path)
        check_origin(metadata, None if run_id is None else str(run_id), path, update)
        return int(metadata["update"]) if metadata.get("update", "").isdigit() else None

    return _tried(found, path, read)


def missing_parts(layout: RunLayout) -> list[Finding]:
    """Checkpoints and lines of metrics that are not there although others tell of them; no tensors are read."""
    try:
        rows = {int(row["update"]) for row in Journal.read(layout.metrics).rows}
        states = [read_metadata(path) for path in (layout.state, layout.former_state) if path.is_file()]
    except (DamagedError, DiskError):
        return []  # whoever reads them hears of it
    reached = max((int(state["update"]) for state in states if state.get("update", "").isdigit()), default=-1)
    updates = layout.updates()
    absent = [layout.checkpoint(update) for update in sorted(rows - set(updates))]
    found = [Finding(path, f"{path} is missing, its metrics are there; restore it, or train again") for path in absent]
    for update in updates:
        if update not in rows and update <= reached:
            words = f"{layout.metrics} has no line for update {update}, whose checkpoint is there; restore the file"
            found.append(Finding(layout.metrics, words))
    return found
