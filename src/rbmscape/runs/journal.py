"""``metrics.jsonl``: one line a checkpoint, each with a digest of itself and of all lines before it.

A line that was changed, lost or moved is noticed when the file is read.  Only the end of the last line may be missing,
as after a crash in the middle of writing it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rbmscape.brief import OneLine
from rbmscape.digests import line_digest
from rbmscape.errors import DamagedError, DiskError
from rbmscape.files import append_line, write_text
from rbmscape.runs.record import is_row

__all__ = ["Journal", "parse_metrics"]

CHECK: Final = "check"


@dataclass(frozen=True, eq=False, repr=False)
class Journal(OneLine):
    """The whole lines of a file.

    Attributes
    ----------
    rows : in the order of their lines, without their digests
    lines : as they stand in the file
    digest : of the last line; empty before the first and in files of older releases
    torn : whether the file ends in the middle of a line
    """

    rows: tuple[dict[str, Any], ...]
    lines: tuple[str, ...]
    digest: str
    torn: bool

    def _headline(self) -> str:
        return f"{len(self.rows)} lines{', the last one torn' if self.torn else ''}"

    @classmethod
    def read(cls, path: Path) -> Journal:
        """The file; empty where there is none.

        Raises
        ------
        DamagedError : a line is not what was written, or one is missing
        DiskError : the file cannot be read
        """
        rows: list[dict[str, Any]] = []
        digest, torn = "", False
        lines, is_ended = _lines(path)
        for number, line in enumerate(lines, start=1):
            row = _row(line)
            if row is None and number == len(lines) and not is_ended:
                torn = True
                break
            found = None if row is None else row.pop(CHECK, None)
            if row is None or (found is None and digest) or (found is not None and found != line_digest(digest, row)):
                raise DamagedError(
                    f"line {number} of {path} is not what was written; restore the file from a copy, or train again "
                    "with overwrite=True"
                )
            digest = found or ""
            rows.append(row)
        return cls(tuple(rows), tuple(lines[: len(rows)]), digest, torn)

    def append(self, path: Path, row: Mapping[str, Any]) -> None:
        """Add a line behind these; what is left of a torn one goes.

        Raises
        ------
        DiskError : the file cannot be written
        """
        plain = json.loads(json.dumps(dict(row)))
        line = json.dumps(plain | {CHECK: line_digest(self.digest, plain)})
        if self.torn:
            write_text(path, "".join(known + "\n" for known in (*self.lines, line)))
        else:
            append_line(path, line)

    def by_update(self) -> list[dict[str, Any]]:
        """Rows in the order of their updates; of two of the same update the later line counts."""
        last = {int(row["update"]): row for row in self.rows}
        return [last[update] for update in sorted(last)]


def _lines(path: Path) -> tuple[list[str], bool]:
    """Lines of the file, and whether the last one is ended."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return [], True
    except OSError as error:
        raise DiskError(f"{path} could not be read ({error.strerror or error}); check its permissions") from error
    text = content.decode("utf-8", errors="replace")
    return text.removesuffix("\n").split("\n") if text else [], text.endswith("\n")


def _row(line: str) -> dict[str, Any] | None:
    """The row of a line, or None where it is none."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) and is_row(row) else None


def parse_metrics(path: Path) -> list[dict[str, Any]]:
    """Rows of metrics.jsonl in the order of their updates; a line torn by a crash is left out, of two the last counts.

    Raises
    ------
    DamagedError : another line cannot be read, is not what was written, or is missing
    """
    return Journal.read(path).by_update()
