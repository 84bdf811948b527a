"""A study's directory: the plan, what is done, and who may write.

``study.json`` the plan and the data's fingerprint; ``runs/`` one run directory a (size, replica); ``results/*.nc``;
``figures/*.{png,pdf,nc}``; ``report.html``; ``tasks/`` one small record a finished task; ``workers.log`` what worker
processes of this machine had to say; ``lock``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from types import TracebackType
from typing import Any, Final, Self

from rbmscape.digests import is_untouched, with_digest
from rbmscape.errors import DamagedError, RunLockedError, StudyError
from rbmscape.files import (
    file_digest,
    make_directory,
    remove_file,
    remove_tree,
    sweep,
    write_text,
)
from rbmscape.locks import Lock
from rbmscape.runs.check import is_whole
from rbmscape.runs.layout import check_schema, read_json
from rbmscape.study.config import StudyConfig
from rbmscape.study.graph import Task

__all__ = ["STUDY_FORMAT", "StudyStore"]

STUDY_FORMAT: Final = "rbmscape-study"
SCHEMA: Final = 1
CONTENTS: Final = ("study.json", "runs", "results", "figures", "tasks", "report.html", "workers.log", "lock")


def read_record(path: Path) -> dict[str, Any] | None:
    """A task's record; None where there is none, or one that is damaged."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    fine = isinstance(record, dict) and {"fingerprint", "outcome"} <= record.keys() and is_untouched(record)
    return record if fine else None


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
        self._lock = Lock(self.directory / "lock")
        self._whole: dict[Path, bool] = {}

    def __enter__(self) -> Self:
        make_directory(self.directory)
        if not self._lock.acquire():
            raise RunLockedError(
                f"{self.directory} is in use by another process; wait for it to end or choose another directory"
            )
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
        if not isinstance(record.get("config"), dict) or not isinstance(record.get("data", {}), dict):
            raise DamagedError(f"{self.plan} is no whole record of a study; restore it from a copy")
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
        for folder in (self.directory, self.results, self.figures, self._tasks, *self.results.glob("*/")):
            sweep(folder)
        full = with_digest(
            {"format": STUDY_FORMAT, "schema": SCHEMA, "config": config.model_dump(mode="json")} | dict(record)
        )
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
            remove_tree(folder)
        remove_file(self.report)
        remove_file(self.worker_log)
        remove_file(self.plan)  # last, so that a half-cleared directory is still known as a study's

    def record(self, task: Task) -> dict[str, Any] | None:
        """What `finish` recorded of this very task (same fingerprint, outputs as they were written), or None."""
        record = read_record(self._record_path(task))
        if record is None or record["fingerprint"] != task.fingerprint:
            return None
        if task.kind == "train":
            return record if self.is_whole(self.directory / task.outputs[0]) else None
        digests = record.get("outputs", {})
        return record if all(self._is_right(name, digests.get(name)) for name in task.outputs) else None

    def is_whole(self, record: Path) -> bool:
        """Whether the run with this config.json is undamaged; looked at once."""
        if record not in self._whole:
            self._whole[record] = is_whole(record.parent)
        return self._whole[record]

    def _is_right(self, name: str, digest: str | None) -> bool:
        path = self.directory / name
        return path.exists() and (digest is None or path.is_dir() or file_digest(path) == digest)

    def damaged(self) -> list[Path]:
        """Results and figures that are not what their tasks wrote; all are made again by running the study."""
        records = [read_record(path) for path in sorted(self._tasks.glob("*.json"))]
        outputs = {name: digest for record in records if record for name, digest in record.get("outputs", {}).items()}
        return [self.directory / name for name, digest in sorted(outputs.items()) if not self._is_right(name, digest)]

    def check_result(self, path: Path) -> None:
        """Refuse a result that is not what its task wrote.

        Raises
        ------
        DamagedError : it is damaged
        """
        if path in self.damaged():
            raise DamagedError(
                f"{path} is not what was written; compute it again with rbmscape study {quote(str(self.directory))}"
            )

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
                remove_tree(path) if path.is_dir() and not path.is_symlink() else remove_file(path)

    def remove_locks(self) -> None:
        """Remove the locks of single samples and runs; for who holds the study's when nobody works on it any more."""
        for path in (*self.samples.glob("*/*.lock"), *self.runs.glob(".*.lock")):
            remove_file(path)

    def finish(self, task: Task, seconds: float, outcome: Mapping[str, Any]) -> None:
        """Record that a task is done, after its outputs are on the disk."""
        record = {"task": task.name, "fingerprint": task.fingerprint, "seconds": seconds, "outcome": dict(outcome)}
        files = [name for name in task.outputs if task.kind != "train" and (self.directory / name).is_file()]
        record["outputs"] = {name: file_digest(self.directory / name) for name in files}
        write_text(self._record_path(task), json.dumps(with_digest(record)) + "\n")

    def note_error(self, task: Task, words: str) -> str:
        """Keep a traceback beside the records; returns the file's name relative to the study."""
        path = self._record_path(task).with_suffix(".error.txt")
        write_text(path, words)
        return str(path.relative_to(self.directory))

    def _record_path(self, task: Task) -> Path:
        return self._tasks / f"{task.name.replace('/', '.')}.json"


def _without_rounds(record: dict[str, Any]) -> dict[str, Any]:
    """Plans of 0.1.0 limited a bracket's tempering in rounds, which are no budget: without them, the general limit."""
    likelihood = record["config"].get("likelihood")
    final = likelihood.get("final") if isinstance(likelihood, dict) else None
    for part in (likelihood, final):
        if isinstance(part, dict):
            part.pop("max_rounds", None)
    return record
