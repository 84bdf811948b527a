"""Numbers for people: aligned tables on stdout, and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rbmscape.brief import printable

__all__ = ["print_table", "write_json"]


def print_table(title: str, rows: Iterable[Sequence[str]], header: Sequence[str] = ()) -> None:
    """Print rows of text in columns; the first column is what the others are about."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(printable(title), style="table.title"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_header=bool(header),
        pad_edge=False,
    )
    body = [list(row) for row in rows]
    n_columns = max((len(row) for row in [list(header), *body]), default=1)
    for position in range(n_columns):
        name = header[position] if position < len(header) else ""
        table.add_column(Text(printable(name)), overflow="fold")
    for row in body:
        table.add_row(*(Text(printable(cell)) for cell in row))
    Console().print(table)


def write_json(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write numbers as JSON, NaN and infinities as null, the file whole or not at all."""
    from rbmscape.files import write_text

    write_text(Path(path), json.dumps(_plain(content), indent=2) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
