"""Faults at every operation on files of a command, which are found from a trace of an undisturbed run.

A kill leaves the directory as it is at that instant, so one traced run gives the remains of a kill at each of its
operations: before it, after it, and in the middle of it.  A loss of power leaves what had been flushed: the content of
a file that was synced, under a name whose directory was synced afterwards.  Errors of the system are raised where the
operation stands, in another run for each.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from rbmscape import files
from rbmscape.cli.main import main
from rbmscape.digests import bytes_digest
from rbmscape.errors import RbmscapeError
from rbmscape.files import TEMPORARY_SUFFIX, read_tensors

ERRORS = (errno.EIO, errno.ENOSPC, errno.EROFS)

Tree = dict[str, bytes | None]
"""Names below a root with their content; None for a directory."""


def tree(root: Path) -> Tree:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() if path.is_file() else None for path in root.rglob("*")
    }


def put(root: Path, content: Tree) -> None:
    """Make a directory hold this and nothing else."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    for name in sorted(content):
        path = root / name
        if content[name] is None:
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content[name])


class Synced:
    """What a loss of power leaves at the least: nothing of a directory but what was there when it was synced."""

    def __init__(self, root: Path) -> None:
        self._root, self._kept = root, tree(root)

    def after(self, operation: str, path: Path) -> None:
        name = path.relative_to(self._root).as_posix()
        if operation == "append" and name in self._kept:
            self._kept[name] = path.read_bytes()
        if operation == "sync":
            inside = {one.relative_to(self._root).as_posix(): one for one in path.iterdir()}
            gone = [old for old in self._kept if Path(old).parent == Path(name) and old not in inside]
            for old in gone:
                self._kept = {one: c for one, c in self._kept.items() if one != old and not one.startswith(old + "/")}
            self._kept |= {one: at.read_bytes() if at.is_file() else None for one, at in inside.items()}

    def tree(self) -> Tree:
        """A name counts only where those of all directories above it do."""
        return {
            name: content
            for name, content in self._kept.items()
            if all(above.as_posix() in self._kept for above in Path(name).parents if above != Path())
        }


@dataclass
class Remains:
    """What a fault at one place leaves: of a ``kind`` at, or in the middle of, an operation on a file."""

    kind: str
    operation: str
    name: str
    content: Tree

    def __str__(self) -> str:
        return f"{self.kind}, {self.operation} {self.name}"


def halves(operation: str, path: Path, before: int) -> list[Path]:
    """Undo a part of an operation that is done, as if it had stopped in the middle; returns what was changed."""
    if operation == "flush":
        pattern = f".{path.name}.*{TEMPORARY_SUFFIX}"
        for part in path.parent.glob(pattern):
            os.truncate(part, part.stat().st_size // 2)
            return [part]
    if operation == "append":
        os.truncate(path, (before + path.stat().st_size) // 2)
        return [path]
    return []


@dataclass
class Trace:
    """Steps of a command, each with what a kill or a loss of power at it leaves."""

    root: Path
    steps: list[tuple[str, str]] = field(default_factory=list)
    remains: list[Remains] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._synced, self._sizes = Synced(self.root), dict[Path, int]()
        self._known: dict[bytes, bytes] = {}

    def __call__(self, operation: str, path: Path) -> None:
        path = Path(path)
        name = path.relative_to(self.root).as_posix()
        self.steps.append((operation, name))
        plain, done = operation.removeprefix("after "), operation.startswith("after ")
        now = self._same(tree(self.root))
        if not done:
            self._sizes[path] = path.stat().st_size if path.is_file() else 0
            if plain == "remove" and path.is_dir():
                gone = sorted(n for n, c in now.items() if n.startswith(name + "/") and c is not None)
                self._keep("middle", plain, name, {n: c for n, c in now.items() if n not in gone[: len(gone) // 2]})
        else:
            self._synced.after(plain, path)
            for torn in self._torn(plain, path, now):
                self._keep("middle", plain, name, torn)
        self._keep("kill", operation, name, now)
        self._keep("power", operation, name, self._same(self._synced.tree()))

    def _torn(self, operation: str, path: Path, now: Tree) -> Iterator[Tree]:
        name, before = path.relative_to(self.root).as_posix(), self._sizes[path]
        if operation == "append":
            whole = now[name]
            assert whole is not None
            yield now | {name: whole[: (before + len(whole)) // 2]}
        if operation == "flush":
            parts = [n for n in now if Path(n).parent == Path(name).parent and is_part_of(Path(n).name, path.name)]
            yield from (now | {n: (now[n] or b"")[: len(now[n] or b"") // 2]} for n in parts)
        if operation == "mkdir" and path.parent != self.root:
            yield {n: c for n, c in now.items() if n != name}

    def _keep(self, kind: str, operation: str, name: str, content: Tree) -> None:
        self.remains.append(Remains(kind, operation, name, content))

    def _same(self, content: Tree) -> Tree:
        """Equal contents once in memory."""
        return {n: None if c is None else self._known.setdefault(c, c) for n, c in content.items()}


def is_part_of(name: str, target: str) -> bool:
    return name.startswith(f".{target}.") and name.endswith(TEMPORARY_SUFFIX)


def failing(number: int, place: int, *, middle: bool) -> Callable[[str, Path], None]:
    """A step that raises an error of the system at one place, or in the middle of the operation that is done there."""
    count, before = 0, dict[Path, int]()

    def step(operation: str, path: Path) -> None:
        nonlocal count
        count += 1
        if not operation.startswith("after "):
            before[path] = path.stat().st_size if path.is_file() else 0
        if count == place:
            if middle:
                halves(operation.removeprefix("after "), path, before.get(path, 0))
            raise OSError(number, os.strerror(number))

    return step


class FailingOnce:
    """Raises an error of the system at the first operation that it has not yet refused."""

    def __init__(self, number: int) -> None:
        self._number, self.refused = number, set[tuple[str, str]]()

    def __call__(self, operation: str, path: Path) -> None:
        key = operation, re.sub(r"\d+-[0-9a-f]{8}\.part$", TEMPORARY_SUFFIX, str(path))
        if key not in self.refused:
            self.refused.add(key)
            raise OSError(self._number, os.strerror(self._number))


@contextlib.contextmanager
def stepping(step: Callable[[str, Path], None]) -> Iterator[None]:
    before, files.step = files.step, step
    try:
        yield
    finally:
        files.step = before


# What a directory says, times apart

_PART = re.compile(r"\.\d+-[0-9a-f]{8}\.part$")
_TIMES = ("seconds", "created", "updates_per_second", "digest", "check", "outputs", "time", "sampling_seconds")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items() if not _is_time(name)}
    return [_plain(part) for part in value] if isinstance(value, list) else value


def _documents(text: str) -> list[Any]:
    """Of a JSON file, or one a line."""
    try:
        return [json.loads(text)]
    except ValueError:
        return [json.loads(line) for line in text.splitlines()]


def _is_time(name: object) -> bool:
    return str(name) in _TIMES or "second" in str(name)


def _tensors(path: Path) -> bytes:
    tensors, metadata = read_tensors(path)
    parts = [
        f"{name} {one.dtype} {tuple(one.shape)}".encode() + one.numpy().tobytes()
        for name, one in sorted(tensors.items())
    ]
    return b"".join(parts) + json.dumps(_plain(metadata), sort_keys=True).encode()


def _dataset(path: Path) -> bytes:
    with xr.open_dataset(path, engine="h5netcdf") as dataset:
        names = sorted(name for name in dataset.variables if not _is_time(name))
        arrays = {name: np.asarray(dataset[name].values) for name in names}
        parts = [f"{name} {one.dtype} {one.shape}".encode() + _bytes(one) for name, one in arrays.items()]
        return b"".join(parts) + repr(sorted(_plain(dict(dataset.attrs)).items(), key=str)).encode()


def _bytes(array: np.ndarray) -> bytes:
    return repr(array.tolist()).encode() if array.dtype.kind in "OUM" else array.tobytes()


def _page(content: bytes) -> bytes:
    """The words of a report: its numbers, many of them times, and its pictures stand in files beside it."""
    text = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", content.decode())
    return re.sub(r"\d[\d.,:TZ+]*\s*(ms|s|min|h|seconds?|minutes?|hours?)?\b", "", text).encode()


def says(name: str, content: bytes, scratch: Path) -> str:
    """A digest of what a file says, times apart; of its bytes where it is none of the known kinds or damaged."""
    ending = Path(_PART.sub("", name)).suffix
    try:
        if ending in (".json", ".jsonl"):
            content = repr([_plain(one) for one in _documents(content.decode())]).encode()
        elif ending == ".html":
            content = _page(content)
        elif ending in (".safetensors", ".nc"):
            path = scratch / f"one{ending}"
            path.write_bytes(content)
            content = (_tensors if ending == ".safetensors" else _dataset)(path)
    except (RbmscapeError, ValueError, OSError):
        pass
    return bytes_digest(content)


class Reader:
    """Says what trees say; the same content is looked at once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, bytes], str] = {}

    def __call__(self, content: Tree) -> dict[str, str]:
        return {
            _PART.sub(TEMPORARY_SUFFIX, name): "" if c is None else self._one(name, c)
            for name, c in sorted(content.items())
        }

    def _one(self, name: str, content: bytes) -> str:
        key = Path(_PART.sub("", name)).suffix, content
        if key not in self._known:
            with tempfile.TemporaryDirectory() as scratch:
                self._known[key] = says(name, content, Path(scratch))
        return self._known[key]


def command(words: list[str]) -> tuple[int, str]:
    """Exit code and what stands on stderr."""
    said, out = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(out):
        code = main(words)
    return code, said.getvalue()
