"""Executes the notebooks of docs/notebooks from top to bottom in a kernel, and compares or writes their outputs.

Words of an output must be those that are stored; numbers may differ by a share of themselves, as on the pages of
scripts/tutorials.py.  Of pictures and cards only that they are there is compared.  A cell with the tag ``live`` shows
what exists while its kernel runs, so that its output is not stored.

    python scripts/notebooks.py --write [NAME ...]     # outputs of all notebooks, or of these, as they are now
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from tutorials import agrees

__all__ = ["compared", "executed", "notebooks"]

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "notebooks"
TIMEOUT = 300


def notebooks() -> list[Path]:
    """All notebooks."""
    return sorted(FOLDER.glob("*.ipynb"))


def executed(path: Path, folder: str | Path) -> nbformat.NotebookNode:
    """The notebook with the outputs that it has now; an error of a cell is raised.

    Parameters
    ----------
    folder : the kernel's working directory
    """
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=TIMEOUT, kernel_name="python3", record_timing=False, coalesce_streams=True
    )
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}  # pictures stay inline
    return client.execute(cwd=str(folder), env=environment)


def is_live(cell: nbformat.NotebookNode) -> bool:
    """Whether a cell's output ends with its kernel."""
    return "live" in cell.metadata.get("tags", ())


def compared(stored: nbformat.NotebookNode, found: nbformat.NotebookNode) -> Iterator[tuple[str, str]]:
    """Source of each cell whose outputs are stored, and how those found differ; nothing if they agree."""
    for before, after in zip(stored.cells, found.cells, strict=True):
        if before.cell_type == "code" and not is_live(before):
            yield before.source, _difference(before.outputs, after.outputs)


def _difference(stored: list[nbformat.NotebookNode], found: list[nbformat.NotebookNode]) -> str:
    kinds = [[(one.output_type, *sorted(one.get("data", ()))) for one in outputs] for outputs in (stored, found)]
    if kinds[0] != kinds[1]:
        return f"outputs {kinds[1]} in the place of {kinds[0]}"
    return next(filter(None, map(_difference_of_one, stored, found)), "")


def _difference_of_one(stored: nbformat.NotebookNode, found: nbformat.NotebookNode) -> str:
    return agrees(_plain(stored), _plain(found))


def _plain(output: nbformat.NotebookNode) -> str:
    """Its text without what belongs to one execution: addresses, folders, speed and time."""
    text = output.get("text") or output.get("data", {}).get("text/plain", "")
    text = re.sub(r"/tmp/\S+?(?=[':])| at 0x[0-9a-f]+", "", text)
    return re.sub(r"\S+ updates/s|\S+ left|[▁-█]+", "", text)


def write(path: Path) -> None:
    """Store the outputs at hand in a notebook."""
    with tempfile.TemporaryDirectory() as folder:
        notebook = executed(path, folder)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        if cell.cell_type == "code" and is_live(cell):
            cell.outputs = []
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    nbformat.write(notebook, path)


def main() -> None:
    """Write the notebooks that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", required=True)
    parser.add_argument("names", nargs="*")
    wanted = parser.parse_args().names
    for path in notebooks():
        if not wanted or path.stem in wanted:
            write(path)


if __name__ == "__main__":
    main()
