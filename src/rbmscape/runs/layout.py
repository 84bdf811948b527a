"""Names and formats of the files in a run's directory, in one place.

``config.json`` the recipe, the data's fingerprint and the engine; ``metrics.jsonl`` one line a checkpoint;
``checkpoints/update-00001200.safetensors`` the models; ``state.safetensors`` what a resumed run needs; ``audit.json``
what speaks for and against the finished training; ``lock``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rbmscape.errors import DiskError, FormatError, RunNotFoundError

__all__ = [
    "CHECKPOINT_FORMAT",
    "RUNG_FORMAT",
    "SCHEMA",
    "STATE_FORMAT",
    "RunLayout",
    "check_schema",
    "parse_metrics",
    "read_json",
]

SCHEMA: Final = 1
CHECKPOINT_FORMAT: Final = "rbmscape-checkpoint"
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
    """Parse a JSON object from a file.

    Raises
    ------
    DiskError : the file cannot be read
    FormatError : it is not a JSON object
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DiskError(f"{path} could not be read ({error.strerror or error}); check that it exists") from error
    except ValueError as error:
        raise FormatError(f"{path} is not valid JSON ({error}); restore it from a copy") from error
    if not isinstance(content, dict):
        raise FormatError(f"{path} holds a {type(content).__name__}, not a JSON object; restore it from a copy")
    return content


def check_schema(found: Mapping[str, Any], expected_format: str, path: Path) -> None:
    """Refuse files of another kind or of a newer release.

    Raises
    ------
    FormatError : the format's name differs or its schema is newer than this release
    """
    if found.get("format") != expected_format:
        raise FormatError(f"{path} is a {found.get('format', 'file of unknown kind')!r}, not a {expected_format!r}")
    schema = str(found.get("schema", ""))
    if not schema.isdigit() or int(schema) > SCHEMA:
        raise FormatError(f"{path} has schema {schema!r}, this release reads up to {SCHEMA}; update rbmscape")


def parse_metrics(path: Path) -> list[dict[str, Any]]:
    """Lines of metrics.jsonl in the order of their updates; a line torn by a crash is left out, of two the last counts.

    Raises
    ------
    FormatError : a line other than the last cannot be parsed
    """
    if not path.is_file():
        return []
    rows: dict[int, dict[str, Any]] = {}
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            rows[int(row["update"])] = row
        except (ValueError, KeyError, TypeError) as error:
            if number < len(lines):
                raise FormatError(f"line {number} of {path} is damaged ({error}); remove that line") from error
    return [rows[update] for update in sorted(rows)]
