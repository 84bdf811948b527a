"""Numbers for people: aligned tables on stdout, progress on stderr."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["print_table", "progress_bar", "write_json"]


def print_table(title: str, rows: Iterable[Sequence[str]], header: Sequence[str] = ()) -> None:
    """Print rows of text in columns; the first column is what the others are about."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_header=bool(header), pad_edge=False)
    body = [list(row) for row in rows]
    n_columns = max((len(row) for row in [list(header), *body]), default=1)
    for position in range(n_columns):
        table.add_column(header[position] if position < len(header) else "", overflow="fold")
    for row in body:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


@contextmanager
def progress_bar(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on stderr that vanishes when it is done, advanced by the function that is given; nothing off a terminal.

    ``total`` is None where it is not known beforehand.
    """
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.advance(task, done)


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
