"""Readers of all formats get files that are right, odd and damaged, and answer with a result or one sentence.

``RBMSCAPE_FUZZ=20000 pytest tests/fuzz`` tries so many inputs a format.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from inputs import FORMATS, one
from trial import faults

import rbmscape.data.readers

COUNT = int(os.environ.get("RBMSCAPE_FUZZ", "100"))
CORPUS = Path(__file__).parent / "corpus"
LIMIT = max(300, COUNT)


def try_content(name: str, content: bytes, place: Path) -> object:
    path = place / f"input{FORMATS[name].ending}"
    path.write_bytes(content)
    return FORMATS[name].read(path)


def try_input(key: tuple[str, int], place: Path) -> object:
    name, number = key
    return try_content(name, one(name, number), place)


def try_file(path: Path, place: Path) -> object:
    return try_content(path.parent.name.replace("-", " "), path.read_bytes(), place)


def count_of(name: str) -> int:
    """Whole directories take longer to read than files, and get fewer of the inputs."""
    return COUNT // FORMATS[name].cost


@pytest.mark.timeout(LIMIT)
@pytest.mark.parametrize("name", FORMATS)
def test_a_reader_answers_whatever_is_in_a_file(name):
    found = faults(try_input, [(name, number) for number in range(count_of(name))])
    assert found == {}


def test_what_once_was_a_fault_is_none():
    """Files on which a reader ended in a traceback, or asked for a petabyte."""
    past = sorted(path for path in CORPUS.rglob("*") if path.is_file())
    assert len(past) > 20
    assert faults(try_file, past) == {}


def test_every_ending_that_is_read_is_tried():
    assert set(rbmscape.data.readers.FORMATS) <= {form.ending for form in FORMATS.values()} | {".hdf5"}
