"""Names and formats of the files in a run's directory, in one place.

``config.json`` the recipe, the data's fingerprint and the engine; ``metrics.jsonl`` one line a checkpoint;
``checkpoints/update-00001200.safetensors`` the models; ``state.safetensors`` what a resumed run needs, and
``state-before.safetensors`` the one before it; ``audit.json`` what speaks for and against the finished training;
``lock``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rbmscape.checks import shown
from rbmscape.digests import DIGEST, is_untouched
from rbmscape.errors import DamagedError, DiskError, FormatError, RunNotFoundError
from rbmscape.model.rbm import CHECKPOINT_FORMAT, RUN_SCHEMA

__all__ = [
    "CHECKPOINT_FORMAT",
    "RUNG_FORMAT",
    "SCHEMA",
    "STATE_FORMAT",
    "RunLayout",
    "check_origin",
    "check_schema",
    "read_json",
]

SCHEMA: Final = RUN_SCHEMA
STATE_FORMAT: Final = "rbmscape-state"
RUNG_FORMAT: Final = "rbmscape-rung"
RUN_FORMAT: Final = "rbmscape-run"


class RunLayout:
    """Where everything of one run lies.

    Parameters
    ----------
    directory : the run's directory; it need not exist

    Attributes
    ----------
    directory : as it was given, for messages
    root, config, metrics, checkpoints, state, audit, lock : absolute paths, which a change of the working directory
        does not move
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        self.root = self.directory.absolute()
        self.config = self.root / "config.json"
        self.metrics = self.root / "metrics.jsonl"
        self.checkpoints = self.root / "checkpoints"
        self.state = self.root / "state.safetensors"
        self.former_state = self.root / "state-before.safetensors"
        self.ladder = self.root / "ladder"
        self.audit = self.root / "audit.json"
        self.lock = self.root / "lock"

    def checkpoint(self, update: int) -> Path:
        """File of the checkpoint after ``update`` parameter updates."""
        return self.checkpoints / f"update-{update:08d}.safetensors"

    def rung(self, number: int) -> Path:
        """File of a frozen model of method "ptt", numbered from the lowest rung on."""
        return self.ladder / f"rung-{number:04d}.safetensors"

    @property
    def reported(self) -> Path:
        """The last checkpoint's model with equilibrium states, the last rung of the ladder of method "ptt"."""
        return self.ladder / "reported.safetensors"

    def updates(self) -> tuple[int, ...]:
        """Updates that have a checkpoint, ascending."""
        names = self.checkpoints.glob("update-*.safetensors")
        numbers = (name.stem.removeprefix("update-") for name in names)
        return tuple(sorted(int(number) for number in numbers if number.isdigit()))

    def require(self) -> None:
        """Refuse a directory that holds no run.

        Raises
        ------
        RunNotFoundError : there is no config.json
        """
        if not self.config.is_file():
            raise RunNotFoundError(
                f"{self.directory} holds no run (there is no config.json); give the directory that training wrote"
            )


def read_json(path: Path) -> dict[str, Any]:
    """Parse a JSON object from a file, and compare it with its digest where it has one.

    Raises
    ------
    DiskError : the file cannot be read
    DamagedError : it is not a JSON object, or not what was written
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DiskError(f"{path} could not be read ({error.strerror or error}); check that it exists") from error
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"{path} is not valid JSON ({error}); restore it from a copy") from error
    if not isinstance(content, dict):
        raise DamagedError(f"{path} holds a {type(content).__name__}, not a JSON object; restore it from a copy")
    if not is_untouched(content):
        raise DamagedError(
            f"{path} is not what was written (its digest differs); restore it from a copy, or remove its entry "
            f"{DIGEST!r} where the change was meant"
        )
    content.pop(DIGEST, None)
    return content


def check_schema(found: Mapping[str, Any], expected_format: str, path: Path) -> None:
    """Refuse files of another kind or of a newer release.

    Raises
    ------
    FormatError : the format's name differs or its schema is newer than this release
    """
    if found.get("format") != expected_format:
        raise FormatError(
            f"{path} is a {shown(found.get('format', 'file of unknown kind'))}, not a {expected_format!r}"
        )
    schema = str(found.get("schema", ""))
    if not schema.isdigit() or int(schema) > SCHEMA:
        raise FormatError(f"{path} has schema {shown(schema)}, this release reads up to {SCHEMA}; update rbmscape")


def check_origin(metadata: Mapping[str, str], run_id: str | None, path: Path, update: int | None = None) -> None:
    """Refuse a file that was moved here from another run, or from another update.

    Raises
    ------
    DamagedError : it is another one's
    """
    found = metadata.get("run_id")
    if None not in (found, run_id) and found != run_id:
        raise DamagedError(f"{path} belongs to another run than the config.json beside it; copy the run again")
    if update is not None and metadata.get("update", str(update)) != str(update):
        raise DamagedError(f"{path} holds update {metadata['update']}, which is not its name; copy the run again")
