"""What was opened: a run, a study with its runs, a model, or a training that is going on here."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rbmscape.errors import InputError, RbmscapeError, RunNotFoundError
from rbmscape.explorer.frames import NotReadyError
from rbmscape.explorer.registry import all_views
from rbmscape.explorer.subject import Subject
from rbmscape.model.rbm import RBM
from rbmscape.runs.run import Run

if TYPE_CHECKING:
    from rbmscape.study.study import Study

__all__ = ["Catalogue", "open_path"]

SECONDS_TO_END = 30.0
LEDGER = Path("results") / "claims.json"


class Catalogue:
    """Subjects by the names that the page calls them.

    Parameters
    ----------
    title : of the page
    find : names to runs or models, asked again whenever the page looks, since a study may grow
    study : where the ledger is read from; None where there is no study
    ended : is set when the catalogue is closed

    Attributes
    ----------
    title, study : the same
    threads : that compute for it and end by themselves once it is closed
    """

    def __init__(
        self,
        title: str,
        find: Callable[[], Mapping[str, Run | RBM]],
        study: Path | None = None,
        ended: threading.Event | None = None,
    ) -> None:
        self.title = title
        self.study = study
        self._find = find
        self._ended = ended or threading.Event()
        self._subjects: dict[str, Subject] = {}
        self._lock = threading.Lock()
        self.threads: list[threading.Thread] = []

    def names(self) -> tuple[str, ...]:
        """What can be looked at now; what is gone, or was begun anew, is forgotten."""
        with self._lock:
            found = self._find()
            for name in [name for name, one in self._subjects.items() if found.get(name) is not one.opened]:
                threading.Thread(target=self._subjects.pop(name).close, daemon=True).start()
            for name in found:
                if name not in self._subjects:
                    self._subjects[name] = Subject(found[name], name)
            return tuple(found)

    def subject(self, name: str) -> Subject:
        """One of them, the first for an empty name.

        Raises
        ------
        NotReadyError : no run has begun
        InputError : there is none of that name
        """
        names = self.names()
        if not names:
            raise NotReadyError("no run has begun yet; the first one appears here by itself")
        if name and name not in names:
            raise InputError(f"there is no run {name[:80]!r} here (any more); the first is {names[0]!r}")
        with self._lock:
            return self._subjects[name or names[0]]

    def warm(self) -> None:
        """Load what the first page needs before somebody asks."""
        with suppress(RbmscapeError):
            self.subject("").preparation.warm()

    def summary(self, name: str) -> dict[str, Any]:
        """What the page has to know before it draws anything."""
        subject = self.subject(name)
        run = subject.run
        updates = subject.updates
        per_epoch = 1 if run is None else run.updates_per_epoch
        preparation = subject.preparation
        subject.begin()
        return {
            "title": self.title,
            "names": list(self.names()),
            "name": subject.name,
            "kind": "model" if run is None else "run",
            "recipe": "" if run is None else f"{run.config.method.upper()}-{run.config.gibbs_steps}",
            "data": "" if run is None else str(run.data["name"]),
            "updates": list(updates),
            "epochs": [update / per_epoch for update in updates],
            "complete": run is None or run.is_complete,
            "total_epochs": 0 if run is None else run.config.epochs,
            "prepared": preparation.prepared,
            "generation": preparation.generation,
            "stage": preparation.stage,
            "problem": preparation.problem,
            "no_data": subject.no_data,
            "n_visible": subject.n_visible,
            "n_hidden": subject.n_hidden,
            "image_shape": subject.image_shape,
            "columns": subject.columns,
            "views": list(all_views()),
            "has_ledger": self.study is not None,
            "ledger": 0 if self.study is None else _changed(self.study / LEDGER),
        }

    def ledger(self) -> dict[str, Any]:
        """The claims that the study's report has judged.

        Raises
        ------
        InputError : there is no study
        NotReadyError : it has no report yet
        """
        if self.study is None:
            raise InputError("claims are judged for studies; open a study's directory to see its ledger")
        path = self.study / LEDGER
        if not path.is_file():
            raise NotReadyError("this study has no report yet; its claims appear here when it is written")
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(
                f"the study's claims could not be read ({error}); let the study write them again"
            ) from error
        return record if isinstance(record, dict) else {}

    def close(self) -> None:
        """Stop everything that is computed in the background."""
        self._ended.set()
        for subject in self._subjects.values():
            subject.close()
        for thread in self.threads:
            thread.join(SECONDS_TO_END)


def open_path(path: str | os.PathLike[str]) -> Catalogue:
    """A run's or a study's directory, or a model's file.

    Raises
    ------
    RunNotFoundError : there is nothing that can be shown
    FormatError, StudyError : what is there is damaged
    """
    place = Path(path)
    if not place.exists():
        raise RunNotFoundError(f"there is no run, study or model {place}; give a directory or a .safetensors file")
    if not place.is_dir():
        rbm = RBM.load(place)
        return Catalogue(place.name, lambda: {place.name: rbm})
    if (place / "study.json").is_file():
        from rbmscape.study.study import open_study

        return of_study(open_study(place))
    if not (place / "config.json").is_file():
        raise RunNotFoundError(
            f"{place} holds no run (no config.json) and no study (no study.json); give a directory of either"
        )
    return of_run(Run.open(place))


def of_run(run: Run) -> Catalogue:
    """One run."""
    name = run.directory.resolve().name
    return Catalogue(name, lambda: {name: run})


def of_study(study: Study) -> Catalogue:
    """All runs of a study that can be read, those that begin later included."""
    places = {str(key): Path(study.directory) / "runs" / str(key) for key in study.config.run_keys()}
    opened: dict[str, tuple[int, Run]] = {}

    def find() -> dict[str, Run | RBM]:
        for name, place in places.items():
            stamp = _changed(place / "config.json")
            if not stamp:
                opened.pop(name, None)
            elif name not in opened or opened[name][0] != stamp:
                with suppress(RbmscapeError, OSError):
                    opened[name] = stamp, Run.open(place)
        return {name: opened[name][1] for name in places if name in opened}

    return Catalogue(str(study.config.name), find, Path(study.directory))


def _changed(path: Path) -> int:
    """When a file was written, in nanoseconds; 0 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
