"""A study's directory: the plan, what is done, and who may write.

``study.json`` the plan and the data's fingerprint; ``runs/`` one run directory a (size, replica); ``results/*.nc``;
``figures/*.{png,pdf,nc}``; ``report.html``; ``tasks/`` one small record a finished task; ``workers.log`` what worker
processes of this machine had to say; ``lock``.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from filelock import FileLock, Timeout

from rbmscape.errors import DiskError, RunLockedError, StudyError
from rbmscape.files import write_text
from rbmscape.runs.layout import check_schema, read_json
from rbmscape.study.config import StudyConfig
from rbmscape.study.graph import Task

__all__ = ["STUDY_FORMAT", "StudyStore"]

STUDY_FORMAT: Final = "rbmscape-study"
SCHEMA: Final = 1
CONTENTS: Final = ("study.json", "runs", "results", "figures", "tasks", "report.html", "workers.log", "lock")


def read_record(path: Path) -> dict[str, Any] | None:
    """A task's record; None where there is none, or one that a crash of the file system tore."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return record if isinstance(record, dict) and {"fingerprint", "outcome"} <= record.keys() else None


class StudyStore:
    """Names and records in one study's directory.

    Parameters
    ----------
    directory : where the study lies or will lie
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)
        self.plan = self.directory / "study.json"
        self.runs = self.directory / "runs"
        self.results = self.directory / "results"
        self.samples = self.results / "samples"
        self.figures = self.directory / "figures"
        self.report = self.directory / "report.html"
        self.worker_log = self.directory / "workers.log"
        self._tasks = self.directory / "tasks"
        self._lock = FileLock(self.directory / "lock")

    def __enter__(self) -> Self:
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout:
            raise RunLockedError(
                f"{self.directory} is in use by another process; wait for it to end or choose another directory"
            ) from None
        except OSError as error:
            raise DiskError(
                f"{self.directory} could not be made ({error.strerror or error}); choose another directory"
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    @property
    def exists(self) -> bool:
        """Whether the directory holds a study."""
        return self.plan.is_file()

    def read(self) -> dict[str, Any]:
        """Content of study.json.

        Raises
        ------
        StudyError : the directory holds no study
        FormatError : the file is damaged or of a newer release
        """
        if not self.exists:
            raise StudyError(f"{self.directory} holds no study (there is no study.json); give the directory of a study")
        record = read_json(self.plan)
        check_schema(record, STUDY_FORMAT, self.plan)
        return _without_rounds(record)

    def begin(self, config: StudyConfig, record: Mapping[str, Any], *, overwrite: bool) -> None:
        """Start a new study, or check that the one that is there may be continued with this plan.

        Raises
        ------
        StudyError : the directory holds another study or other files
        """
        if self.exists and not overwrite:
            reason = config.conflict(StudyConfig.from_mapping(self.read()["config"]))
            if reason:
                raise StudyError(
                    f"{self.directory} holds another study ({reason}); choose another directory, or pass --overwrite "
                    "to start it again from nothing"
                )
        else:
            self._refuse_strangers()
            self._clear()
        full = {"format": STUDY_FORMAT, "schema": SCHEMA, "config": config.model_dump(mode="json")} | dict(record)
        write_text(self.plan, json.dumps(full, indent=2) + "\n")

    def _refuse_strangers(self) -> None:
        strangers = [
            p.name for p in self.directory.iterdir() if p.name not in CONTENTS and not p.name.endswith(".part")
        ]
        if strangers or (not self.exists and any((self.directory / name).exists() for name in CONTENTS[1:-1])):
            found = strangers[0] if strangers else "files of a study without its study.json"
            raise StudyError(
                f"{self.directory} holds other files ({found}), which a study would mix with; "
                "choose an empty or new directory"
            )

    def _clear(self) -> None:
        for folder in (self._tasks, self.runs, self.results, self.figures):
            shutil.rmtree(folder, ignore_errors=True)
        self.report.unlink(missing_ok=True)
        self.worker_log.unlink(missing_ok=True)
        self.plan.unlink(missing_ok=True)  # last, so that a half-cleared directory is still known as a study's

    def record(self, task: Task) -> dict[str, Any] | None:
        """What `finish` recorded of this very task (same fingerprint, outputs still there), or None."""
        record = read_record(self._record_path(task))
        same = record is not None and record["fingerprint"] == task.fingerprint
        return record if same and all((self.directory / name).exists() for name in task.outputs) else None

    def outcomes(self, name: str) -> list[dict[str, Any]]:
        """What is recorded of a task and of its slices, whatever code did them."""
        beginning = name.replace("/", ".")
        paths = [self._tasks / f"{beginning}.json", *self._tasks.glob(f"{beginning}.*.json")]
        records = [read_record(path) for path in paths]
        return [record["outcome"] for record in records if record is not None]

    def forget_samples(self, but: str) -> None:
        """Remove the samples that other code drew: all but one folder."""
        for path in self.samples.glob("*"):
            if path.name != but:
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def finish(self, task: Task, seconds: float, outcome: Mapping[str, Any]) -> None:
        """Record that a task is done, after its outputs are on the disk."""
        record = {"task": task.name, "fingerprint": task.fingerprint, "seconds": seconds, "outcome": dict(outcome)}
        write_text(self._record_path(task), json.dumps(record) + "\n")

    def note_error(self, task: Task, words: str) -> str:
        """Keep a traceback beside the records; returns the file's name relative to the study."""
        path = self._record_path(task).with_suffix(".error.txt")
        write_text(path, words)
        return str(path.relative_to(self.directory))

    def _record_path(self, task: Task) -> Path:
        return self._tasks / f"{task.name.replace('/', '.')}.json"


def _without_rounds(record: dict[str, Any]) -> dict[str, Any]:
    """Plans of 0.1.0 limited a bracket's tempering in rounds, which are no budget: without them, the general limit."""
    likelihood = record["config"].get("likelihood", {})
    for part in (likelihood, likelihood.get("final") or {}):
        part.pop("max_rounds", None)
    return record
