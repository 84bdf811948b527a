"""All writing goes through `rbmscape.files`, so that what is tested there holds everywhere."""

from __future__ import annotations

import ast
import errno
from pathlib import Path

import pytest

from rbmscape import files
from rbmscape.errors import DiskError

SOURCE = Path(files.__file__).parent
METHODS = {
    "unlink",
    "rmdir",
    "mkdir",
    "touch",
    "symlink_to",
    "hardlink_to",
    "rename",
    "replace",
    "write_text",
    "write_bytes",
}
FUNCTIONS = {
    "os.replace", "os.rename", "os.remove", "os.unlink", "os.makedirs", "os.mkdir", "os.rmdir", "os.truncate",
    "shutil.rmtree", "shutil.move", "shutil.copy", "shutil.copyfile", "shutil.copytree",
    "tempfile.NamedTemporaryFile", "tempfile.TemporaryFile", "tempfile.mkstemp", "FileLock", "filelock.FileLock",
}  # fmt: skip
ALLOWED = {
    ("locks.py", "FileLock"): "the lock itself, with a step around it",
    ("runs/temporary.py", "shutil.rmtree"): "removes a temporary directory that nobody else knows of",
    ("runs/samples.py", "FileLock"): "waits for another process, which a run's lock does not",
    ("study/tasks.py", "FileLock"): "the same",
    ("study/local.py", "open"): "what worker processes say, which they write themselves",
}
"""Where else files are touched, and why."""


def writes(tree):
    """Names of calls that write, remove, rename or lock."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        mode = next((k.value for k in node.keywords if k.arg == "mode"), node.args[1] if len(node.args) > 1 else None)
        if name == "open" and isinstance(mode, ast.Constant) and set(str(mode.value)) & set("wax+"):
            yield "open"
        if name in FUNCTIONS:
            yield name
        if isinstance(node.func, ast.Attribute) and node.func.attr in METHODS and name not in FUNCTIONS:
            owner = node.func.value
            plain = node.func.attr in ("rename", "replace")  # strings, recipes and tables have these as well
            if not plain or (isinstance(owner, ast.Name) and owner.id in ("path", "target", "temporary", "place")):
                yield f".{node.func.attr}"


def test_nothing_else_writes():
    found = {
        (path.relative_to(SOURCE).as_posix(), name)
        for path in SOURCE.rglob("*.py")
        if path.name != "files.py" or path.parent != SOURCE
        for name in writes(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert found == set(ALLOWED)


def test_the_search_finds_what_it_should():
    code = "open(p, 'w'); path.unlink(); os.replace(a, b); shutil.rmtree(a); x.mkdir(); open(p, 'rb'); a.replace(b, c)"
    assert list(writes(ast.parse(code))) == ["open", ".unlink", "os.replace", "shutil.rmtree", ".mkdir"]


@pytest.mark.parametrize(
    ("number", "cure"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EIO, "check the disk"),
        (errno.EROFS, "choose a place that can be written to"),
        (errno.EACCES, "check the permissions"),
    ],
)
@pytest.mark.parametrize("operation", ["open", "write", "flush", "rename", "sync"])
def test_errors_say_what_to_do(monkeypatch, tmp_path, number, cure, operation):
    def fail(name, _path):
        if name == operation:
            raise OSError(number, "it failed")

    monkeypatch.setattr(files, "step", fail)
    target = tmp_path / "a.json"
    target.write_text("before")
    with pytest.raises(DiskError, match=rf"a\.json could not be written \(it failed\); {cure}"):
        files.write_text(target, "after")
    assert target.read_text() == ("after" if operation == "sync" else "before")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
