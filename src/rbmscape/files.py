"""Files that are either there whole or not at all: a temporary name, a flush to the disk, a rename."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from rbmscape.errors import DiskError, FormatError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "TEMPORARY_SUFFIX",
    "atomic_file",
    "read_tensors",
    "sync_directory",
    "temporary_name",
    "write_bytes",
    "write_tensors",
    "write_text",
]

TEMPORARY_SUFFIX = ".part"


def temporary_name(path: Path) -> Path:
    """Name beside ``path`` under which it is written before the rename."""
    return path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}")


def sync_directory(directory: Path) -> None:
    """Make the renames in a directory survive a loss of power, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a binary file that appears under its name only when the block ends without an error.

    Raises
    ------
    DiskError : the file cannot be written (full disk, missing rights, missing parent that cannot be made)
    """
    target = Path(path)
    temporary = temporary_name(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, target)
        sync_directory(target.parent)
    except OSError as error:
        raise DiskError(
            f"{target} could not be written ({error.strerror or error}); free some space or choose another place"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a whole file atomically."""
    with atomic_file(path) as handle:
        handle.write(content)


def write_text(path: str | os.PathLike[str], content: str) -> None:
    """Write a whole UTF-8 text file atomically."""
    write_bytes(path, content.encode("utf-8"))


def write_tensors(path: str | os.PathLike[str], tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write named tensors and string metadata as one safetensors file, atomically."""
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(path, save(plain, metadata=dict(metadata)))


def read_tensors(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file: parsed, never executed.

    Raises
    ------
    DiskError : the file does not exist or cannot be read
    FormatError : it is not a whole safetensors file
    """
    from safetensors import SafetensorError, safe_open

    source = Path(path)
    if not source.is_file():
        raise DiskError(f"{source} does not exist or is not a file; give the path of a .safetensors file")
    try:
        with safe_open(source, framework="pt") as handle:
            metadata = dict(handle.metadata() or {})
            return {name: handle.get_tensor(name) for name in handle.keys()}, metadata  # noqa: SIM118
    except SafetensorError as error:
        raise FormatError(f"{source} is not a whole safetensors file ({error}); write or copy it again") from error
    except OSError as error:
        raise DiskError(f"{source} could not be read ({error.strerror or error}); check its permissions") from error
