"""What the benchmarks share: a table on the terminal and a JSON file with the machine and the numbers."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

import rbmscape
from rbmscape.machine import machine

RESULTS = Path(__file__).parent / "results"


def parser(description: str | None) -> argparse.ArgumentParser:
    """Options that every benchmark takes."""
    options = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--threads", type=int, default=0, help="torch threads; 0 leaves the default")
    options.add_argument("--rounds", type=int, default=15, help="timings of each task")
    options.add_argument("--out", type=Path, default=RESULTS, help="directory for the JSON file")
    return options


def start(threads: int) -> dict[str, Any]:
    """Set the number of threads and describe the machine before anything loads it."""
    if threads:
        torch.set_num_threads(threads)
    return machine()


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    table = Table(title=title)
    for column in columns:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row))
    Console(width=140).print(table)


def save(name: str, directory: Path, where: dict[str, Any], content: dict[str, Any]) -> Path:
    """Write <name>.json with the date, the versions and the machine."""
    directory.mkdir(parents=True, exist_ok=True)
    record = {
        "benchmark": name,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "rbmscape": rbmscape.__version__,
        "machine": where,
        **content,
    }
    path = directory / f"{name}.json"
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return path
