"""Files that are either there whole or not at all: a temporary name, a flush to the disk, a rename.

Everything that the package writes, removes, renames or locks goes through here, and calls `step` around each operation,
so that tests can stop it, or let it fail, at every one of them.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from rbmscape.checks import in_short
from rbmscape.digests import DIGEST, bytes_digest
from rbmscape.errors import DamagedError, DiskError

try:
    import fcntl
except ImportError:  # not a system of the kind of POSIX
    _HAS_LOCKS = False
else:
    _HAS_LOCKS = True

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "TEMPORARY_SUFFIX",
    "append_line",
    "atomic_file",
    "copy_tree",
    "file_digest",
    "inode",
    "make_directory",
    "operation",
    "read_metadata",
    "read_tensors",
    "refused",
    "remove_file",
    "remove_tree",
    "rename",
    "sweep",
    "sync_directory",
    "temporary_name",
    "write_bytes",
    "write_tensors",
    "write_text",
]

TEMPORARY_SUFFIX: Final = ".part"
_LONGEST_HEADER: Final = 100_000_000
_CURES: Final = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EROFS: "choose a place that can be written to",
    errno.EACCES: "check the permissions or choose another place",
    errno.EPERM: "check the permissions or choose another place",
    errno.EIO: "check the disk",
    errno.ENOTDIR: "choose another place",
    errno.ELOOP: "it is a symbolic link, which is not followed; remove it",
}


def step(operation: str, path: Path) -> None:
    """Called before and after every operation on files; does nothing, and tests put something else in its place.

    Parameters
    ----------
    operation : "open", "write", "flush", "rename", "sync", "append", "mkdir", "remove" or "lock", with "after " before
        it when it is done
    path : what it is about
    """


@contextlib.contextmanager
def operation(name: str, path: Path) -> Iterator[None]:
    """Something done to a file, with `step` before and after it."""
    step(name, path)
    yield
    step(f"after {name}", path)


def refused(path: Path, what: str, error: OSError) -> DiskError:
    """What is said where the system refuses something, with a cure."""
    cure = _CURES.get(error.errno or 0, "choose another place")
    return DiskError(f"{path} could not be {what} ({error.strerror or error}); {cure}")


def temporary_name(path: Path) -> Path:
    """Name beside ``path`` under which it is written before the rename; no two writers have the same."""
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")


def sync_directory(directory: Path) -> None:
    """Make the renames in a directory survive a loss of power, where the system can."""
    if os.name != "posix":
        return
    with operation("sync", directory):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def make_directory(directory: Path) -> None:
    """Make a directory and those above it.

    Raises
    ------
    DiskError : it cannot be made
    """
    if directory.is_dir():
        return
    try:
        with operation("mkdir", directory):
            directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise refused(directory, "made", error) from error


def rename(old: Path, new: Path) -> None:
    """Give a file another name, in the place of whatever has it.

    Raises
    ------
    DiskError : it cannot be renamed
    """
    try:
        with operation("rename", new):
            os.replace(old, new)
    except OSError as error:
        raise refused(new, "written", error) from error


def remove_file(path: Path) -> None:
    """Remove a file, or a symbolic link and not what it leads to; nothing where there is none.

    Raises
    ------
    DiskError : it cannot be removed
    """
    if not os.path.lexists(path):
        return
    try:
        with operation("remove", path):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise refused(path, "removed", error) from error


def remove_tree(directory: Path) -> None:
    """Remove a directory with all that is in it; nothing where there is none.

    Raises
    ------
    DiskError : something in it cannot be removed, or it is a symbolic link, behind which nothing is touched
    """
    if directory.is_symlink():
        raise DiskError(f"{directory} is a symbolic link, and what it leads to is not removed; remove the link by hand")
    if not directory.exists():
        return
    try:
        with operation("remove", directory):
            shutil.rmtree(directory)
    except OSError as error:
        raise refused(Path(error.filename or directory), "removed", error) from error


def copy_tree(source: Path, target: Path, *ignored: str) -> None:
    """Copy a directory, but for names of these patterns, to a place that is free; it is there whole or not at all.

    Raises
    ------
    DiskError : it cannot be written
    """
    fresh = target.with_name(f"{target.name}{TEMPORARY_SUFFIX}")
    remove_tree(fresh)
    try:
        with operation("copy", target):
            shutil.copytree(source, fresh, ignore=shutil.ignore_patterns(*ignored))
    except OSError as error:
        raise refused(target, "written", error) from error
    rename(fresh, target)


def sweep(directory: Path, name: str = "") -> None:
    """Remove what killed processes were still writing in a directory, all of it or what was to be one file."""
    for path in directory.glob(f".{glob.escape(name)}{'.' if name else ''}*{TEMPORARY_SUFFIX}"):
        _sweep(path)


def _sweep(temporary: Path) -> None:
    """Remove an unfinished file unless somebody holds it: the lock on an open file goes with the process that has it.

    It is held while it is removed, so that a writer who has just made it notices.
    """
    if not _HAS_LOCKS:
        remove_file(temporary)
        return
    try:
        descriptor = os.open(temporary, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:  # a link, or gone
        remove_file(temporary)
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return
    else:
        remove_file(temporary)
    finally:
        os.close(descriptor)


def inode(path: Path) -> tuple[int, int] | None:
    """Device and number of a regular file, or None where there is none."""
    try:
        found = path.stat(follow_symlinks=False)
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def _new_temporary(target: Path) -> tuple[int, Path]:
    """Descriptor and name of a new file beside the target, held so that nobody sweeps it."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    while True:
        temporary = temporary_name(target)
        descriptor = os.open(temporary, flags, 0o666)
        if _hold(descriptor) and inode(temporary):
            return descriptor, temporary
        os.close(descriptor)  # swept before it was held


def _hold(descriptor: int) -> bool:
    """Lock a new file until it is closed; False where somebody is about to sweep it."""
    if not _HAS_LOCKS:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a binary file that appears under its name only when the block ends without an error.

    Raises
    ------
    DiskError : the file cannot be written (full disk, missing rights, missing parent that cannot be made)
    """
    target, temporary, held = Path(path), None, None
    make_directory(target.parent)
    with contextlib.suppress(DiskError):
        sweep(target.parent, target.name)
    try:
        with operation("open", target):
            descriptor, temporary = _new_temporary(target)
        with os.fdopen(descriptor, "wb") as handle, operation("write", target):
            yield handle
            with operation("flush", target):
                handle.flush()
                os.fsync(handle.fileno())
            if _HAS_LOCKS:  # where there are none, no open file can be renamed
                held = os.dup(handle.fileno())  # and with it the lock, until the file has its name
        with operation("rename", target):
            os.replace(temporary, target)
        sync_directory(target.parent)
    except OSError as error:
        raise refused(target, "written", error) from error
    finally:
        if held is not None:
            os.close(held)
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a whole file atomically."""
    with atomic_file(path) as handle:
        handle.write(content)


def write_text(path: str | os.PathLike[str], content: str) -> None:
    """Write a whole UTF-8 text file atomically."""
    write_bytes(path, content.encode("utf-8"))


def append_line(path: Path, line: str) -> None:
    """Add a line to a text file and wait until it is on the disk.

    Raises
    ------
    DiskError : it cannot be written
    """
    try:
        with operation("append", path), open(path, "a", encoding="utf-8") as handle:
            handle.write(line + "\n")
            handle.flush()
            os.fsync(handle.fileno())
    except OSError as error:
        raise refused(path, "written", error) from error


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content.

    Raises
    ------
    DiskError : it cannot be read
    """
    try:
        return bytes_digest(path.read_bytes())
    except OSError as error:
        raise DiskError(f"{path} could not be read ({error.strerror or error}); check its permissions") from error


def write_tensors(path: str | os.PathLike[str], tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write named tensors and string metadata as one safetensors file, atomically.

    The same tensors and metadata give the same bytes; their digest stands in the metadata.
    """
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = memoryview(save(plain, metadata=dict(metadata) or None))
    size = int.from_bytes(content[:8], "little")
    header, data = json.loads(bytes(content[8 : 8 + size])), content[8 + size :]
    header["__metadata__"] = dict(metadata) | {DIGEST: bytes_digest(_plain_header(header), data)}
    ordered = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    ordered += b" " * (-len(ordered) % 8)
    with atomic_file(path) as handle:
        handle.write(len(ordered).to_bytes(8, "little"))
        handle.write(ordered)
        handle.write(data)


def _plain_header(header: Mapping[str, Any]) -> bytes:
    """The header of a safetensors file without its digest, always in the same order."""
    metadata = {name: value for name, value in (header.get("__metadata__") or {}).items() if name != DIGEST}
    return json.dumps(dict(header) | {"__metadata__": metadata}, sort_keys=True, separators=(",", ":")).encode()


def read_tensors(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file: parsed, never executed, and compared with its digest where it has one.

    Raises
    ------
    DiskError : the file does not exist or cannot be read
    DamagedError : it is not a whole safetensors file, or not what was written
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    source = Path(path)
    if not source.is_file():
        raise DiskError(f"{source} does not exist or is not a file; give the path of a .safetensors file")
    try:
        content = source.read_bytes()
        header, data = _parsed(content)
        tensors = load(content)
        metadata = {str(name): str(value) for name, value in (header.get("__metadata__") or {}).items()}
    except OSError as error:
        raise DiskError(f"{source} could not be read ({error.strerror or error}); check its permissions") from error
    except (SafetensorError, ValueError, RecursionError, AttributeError, TypeError, KeyError) as error:
        raise DamagedError(
            f"{source} is not a whole safetensors file ({in_short(error)}); write or copy it again"
        ) from error
    if metadata.get(DIGEST) not in (None, bytes_digest(_plain_header(header), data)):
        raise DamagedError(f"{source} is not what was written (its digest differs); write or copy it again")
    metadata.pop(DIGEST, None)
    return tensors, metadata


def read_metadata(path: Path) -> dict[str, str]:
    """Metadata of a safetensors file, from its header alone, whose digest is not looked at.

    Raises
    ------
    DiskError : it cannot be read
    DamagedError : it has no whole header
    """
    try:
        with open(path, "rb") as handle:
            size = min(_LONGEST_HEADER, int.from_bytes(handle.read(8), "little"))
            found = json.loads(handle.read(size)).get("__metadata__") or {}
            return {str(name): str(value) for name, value in found.items() if name != DIGEST}
    except OSError as error:
        raise DiskError(f"{path} could not be read ({error.strerror or error}); check its permissions") from error
    except (ValueError, RecursionError, AttributeError) as error:
        raise DamagedError(f"{path} is not a whole safetensors file; write or copy it again") from error


def _parsed(content: bytes) -> tuple[dict[str, Any], memoryview]:
    """Header and data of a safetensors file."""
    size = int.from_bytes(content[:8], "little")
    if len(content) < 8 or size > min(_LONGEST_HEADER, len(content) - 8):
        raise ValueError("it is cut off")
    header = json.loads(content[8 : 8 + size])
    if not isinstance(header, dict):
        raise ValueError("it has no header")  # noqa: TRY004, one kind for all damage
    return header, memoryview(content)[8 + size :]
