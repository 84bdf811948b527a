"""`check`: whether the files of a run or of a study are what was written."""

from __future__ import annotations

import os
from pathlib import Path
from shlex import quote

from rbmscape.arguments import checked
from rbmscape.errors import DamagedError, RunNotFoundError
from rbmscape.runs.check import Finding, check_run
from rbmscape.study.store import StudyStore

__all__ = ["check"]


@checked
def check(directory: str | os.PathLike[str]) -> list[Finding]:
    """Compare every file of a run or of a study with its digest, its name, and the files beside it.

    Parameters
    ----------
    directory : of a run or of a study

    Returns
    -------
    What is wrong, one `Finding` with ``path``, ``words`` and ``harmless`` each; an empty list where all is as it was
    written.  Files of releases before the digests are only parsed and compared with one another.

    Raises
    ------
    RunNotFoundError : the directory holds neither
    """
    place = Path(directory)
    if (place / "config.json").is_file():
        return check_run(place)
    store = StudyStore(place)
    if not store.exists:
        raise RunNotFoundError(
            f"{place} holds neither a run (config.json) nor a study (study.json); give the directory of one"
        )
    found: list[Finding] = []
    try:
        store.read()
    except DamagedError as error:
        found.append(Finding(store.plan, str(error)))
    for path in store.damaged():
        gone = "is not what was written" if path.exists() else "is missing"
        found.append(Finding(path, f"{path} {gone}; rbmscape study {quote(str(place))} computes it again"))
    for run in sorted(store.runs.glob("*/config.json")):
        found += check_run(run.parent)
    return found
