"""Which reader a model's file needs, told by its content; and the writers by the names of their formats."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from rbmscape.checks import in_short, suggestion
from rbmscape.errors import DiskError, FormatError, InputError
from rbmscape.files import read_tensors
from rbmscape.interop.hdf5 import is_hdf5, opened, read_array
from rbmscape.interop.imported import History
from rbmscape.interop.julia import is_julia_rbm, is_julia_weights, jl_bytes, read_jl, read_jld
from rbmscape.interop.named import model_of_arrays
from rbmscape.interop.rbms_file import is_rbms, rbms_bytes, read_rbms
from rbmscape.model.rbm import PARAMETER_NAMES, RBM

__all__ = ["FORMATS", "Saved", "format_of", "read_saved"]


@dataclass(frozen=True, eq=False)
class Saved:
    """What is written: models by their updates, what is known of their training, and its chains."""

    models: Mapping[int, RBM]
    recipe: Mapping[str, Any]
    chains: torch.Tensor | None

    @property
    def last(self) -> RBM:
        """The last model."""
        return list(self.models.values())[-1]


def read_saved(path: Path, update: int | None, *, transpose: bool | None, states: str) -> RBM | History:
    """The model in a file, or all updates of a training.

    Raises
    ------
    DiskError : no such file, or it cannot be read
    FormatError : no format that is known, a damaged file, or units that are not binary
    """
    head = _head(path)
    if is_hdf5(path):
        return _read_hdf5(path, update, transpose=transpose, states=states)
    if update is not None:
        raise InputError(f"{path} is a single model; update chooses among those of a training")
    arrays: Mapping[str, Any]
    if head.startswith(b"PK"):
        arrays = _read_npz(path) if _is_npz(path) else _read_pytorch(path)
    elif head.startswith(b"\x80"):
        arrays = _read_pytorch(path)
    elif head[8:9] == b"{":
        arrays, metadata = read_tensors(path)
        if metadata.get("format", "").startswith("rbmscape-"):
            return RBM.load(path)
    else:
        raise FormatError(f"{path} is in no format that is known here; {_known(path, head)}")
    return model_of_arrays(arrays, str(path), transpose=transpose, states=states)


def _head(path: Path) -> bytes:
    if path.is_dir():
        raise DiskError(f"{path} is a directory; give a model's file, or open a run with rbmscape.Run.open")
    if not path.is_file():
        raise DiskError(f"there is no file {path}; check the path")
    try:
        with open(path, "rb") as handle:
            return handle.read(16)
    except OSError as error:
        raise DiskError(f"{path} could not be read ({error.strerror or error}); check its permissions") from error


def _known(path: Path, head: bytes) -> str:
    if not head:
        return "it is empty, write it again"
    if path.suffix.lower() == ".bson":
        return "BSON of Julia holds code, save the arrays as JLD or HDF5 instead"
    return "give HDF5 (rbms, RestrictedBoltzmannMachines.jl, JLD), .npz, .safetensors or a state dict of PyTorch"


def _read_hdf5(path: Path, update: int | None, *, transpose: bool | None, states: str) -> RBM | History:
    with opened(path) as file:
        if is_rbms(file):
            return read_rbms(file, path, update, states=states)
        if update is not None:
            raise InputError(f"{path} is a single model; update chooses among those of a training")
        if is_julia_rbm(file):
            return read_jl(file, path)
        if is_julia_weights(path):
            return read_jld(file, path, states=states)
        arrays = {name: read_array(item, name, path) for name, item in file.items() if hasattr(item, "shape")}
    return model_of_arrays(arrays, str(path), transpose=transpose, states=states)


def _is_npz(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise FormatError(f"{path} is damaged ({in_short(error)}); write or copy it again") from error
    return bool(names) and all(name.endswith(".npy") for name in names)


def _read_npz(path: Path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # NumPy's reader raises a dozen kinds on damaged files
        raise FormatError(f"{path} is no whole .npz file of numbers ({in_short(error)}); write it again") from error


def _read_pytorch(path: Path) -> Mapping[str, Any]:
    """Tensors by name; the file is loaded with ``weights_only=True``, which runs nothing that is in it."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise FormatError(
            f"{path} holds objects that would run code when loaded, which is not done; save model.state_dict() instead"
        ) from error
    except Exception as error:  # PyTorch's reader raises a dozen kinds on damaged files
        raise FormatError(f"{path} is no whole file of PyTorch ({in_short(error)}); write it again") from error
    for name in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping):
        raise FormatError(
            f"{path} holds a {type(content).__name__}, not named tensors; save model.state_dict() instead"
        )
    return {str(name): value for name, value in content.items() if isinstance(value, torch.Tensor)}


def _arrays(saved: Saved) -> dict[str, torch.Tensor]:
    return {name: getattr(saved.last, name).detach().cpu().contiguous() for name in PARAMETER_NAMES}


def _npz_bytes(saved: Saved) -> bytes:
    content = io.BytesIO()
    arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in _arrays(saved).items()}
    np.savez(content, **arrays)
    return content.getvalue()


def _pytorch_bytes(saved: Saved) -> bytes:
    content = io.BytesIO()
    torch.save(_arrays(saved), content)
    return content.getvalue()


def _safetensors_bytes(saved: Saved) -> bytes:
    from safetensors.torch import save

    return save(_arrays(saved), metadata=saved.last.metadata)


FORMATS: Final[dict[str, tuple[tuple[str, ...], Callable[[Saved], bytes]]]] = {
    "rbmscape": ((".safetensors",), _safetensors_bytes),
    "rbms": ((".h5", ".hdf5"), lambda saved: rbms_bytes(saved.models, saved.recipe, saved.chains)),
    "julia": ((), lambda saved: jl_bytes(saved.last)),
    "npz": ((".npz",), _npz_bytes),
    "pytorch": ((".pt", ".pth"), _pytorch_bytes),
}
"""Formats that are written: the endings that stand for each, and what makes its content."""


def format_of(path: Path, name: str | None) -> str:
    """The format that is asked for, or that the file's ending stands for.

    Raises
    ------
    InputError : neither is known
    """
    if name is not None:
        if name not in FORMATS:
            raise InputError(f"format {name!r} is not known; {suggestion(name, FORMATS, 'use ' + ', '.join(FORMATS))}")
        return name
    ending = path.suffix.lower()
    found = next((known for known, (endings, _) in FORMATS.items() if ending in endings), None)
    if found is None:
        raise InputError(f"the ending of {path} stands for no format; pass format= one of {', '.join(FORMATS)}")
    return found
