"""Models of Julia: RestrictedBoltzmannMachines.jl in HDF5 (plain, centred, standardised), and weights in JLD files.

Julia stores arrays with their first axis fastest, so that in Python all axes come reversed: weights of shape
(visible..., hidden...) are read as (...hidden, ...visible).  Units on a grid are flattened with the first axis fastest.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rbmscape.data.hdf5 import own_values
from rbmscape.errors import FormatError
from rbmscape.interop.affine import Units, folded
from rbmscape.interop.hdf5 import read_array, read_text
from rbmscape.interop.named import model_of_arrays
from rbmscape.model.rbm import PARAMETER_NAMES, RBM

__all__ = ["is_julia_rbm", "is_julia_weights", "jl_bytes", "read_jl", "read_jld"]

VERSION_KEY: Final = "rbm_hdf5_file_format_version"
VERSION: Final = "1.0.0"
_STATES: Final = {"Binary": "bits", "Spin": "spins"}
_KINDS: Final = ("RBM", "CenteredRBM", "StandardizedRBM")
_JLD_NAMES: Final = (("w", "a", "b"), ("W", "a", "b"), PARAMETER_NAMES)


def is_julia_rbm(file: Any) -> bool:
    """Whether an open HDF5 file is one of RestrictedBoltzmannMachines.jl."""
    return "rbm_type" in file and "visible_par" in file


def read_jl(file: Any, path: Path) -> RBM:
    """The model of a file of RestrictedBoltzmannMachines.jl, its offsets and scales folded into plain parameters.

    Raises
    ------
    FormatError : layers that are not binary, an unknown version or kind, missing or damaged arrays
    """
    version = read_text(file[VERSION_KEY], VERSION_KEY, path) if VERSION_KEY in file else VERSION
    if version.split(".")[0] != VERSION.split(".")[0]:
        raise FormatError(f"{path} has version {version} of its format, this release reads {VERSION}; update rbmscape")
    kind = read_text(file["rbm_type"], "rbm_type", path)
    if kind not in _KINDS:
        raise FormatError(f"{path} holds a {kind!r}, which is not read; convert it to one of {', '.join(_KINDS)}")
    (a, visible), (b, hidden) = (_layer(file, path, layer) for layer in ("visible", "hidden"))
    weights = read_array(file["weights"], "weights", path)
    if weights.size != a.size * b.size:
        raise FormatError(
            f"{path}: weights of shape {weights.shape} do not fit {a.size} visible and {b.size} hidden units"
        )
    plain = kind == "RBM" and visible.states == hidden.states == "bits"
    upright = weights.reshape(b.size, a.size).T
    return folded(upright, a, b, None if plain else visible, None if plain else hidden)


def _layer(file: Any, path: Path, layer: str) -> tuple[NDArray[Any], Units]:
    """Biases of one layer, and what its units are."""
    kind = read_text(file[f"{layer}_type"], f"{layer}_type", path)
    if kind not in _STATES:
        raise FormatError(f"{path} has {layer} units of kind {kind!r}; this package models binary units only")
    bias = read_array(file[f"{layer}_par"], f"{layer}_par", path).reshape(-1)
    parts = {}
    for name in ("offset", "scale"):
        key = f"{name}_{layer[0]}"
        if key in file:
            parts[name] = read_array(file[key], key, path).astype(np.float64).reshape(-1)
    return bias, Units(_STATES[kind], **parts)


def jl_bytes(rbm: RBM) -> bytes:
    """A file that RestrictedBoltzmannMachines.jl (with its HDF5 package) reads."""
    import h5py

    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file[VERSION_KEY], file["rbm_type"] = VERSION, "RBM"
        file["weights"] = rbm.weights.cpu().numpy().T
        for layer, bias in (("visible", rbm.visible_bias), ("hidden", rbm.hidden_bias)):
            file[f"{layer}_par"] = bias.cpu().numpy()[:, None]
            file[f"{layer}_type"] = "Binary"
    return content.getvalue()


def is_julia_weights(path: Path) -> bool:
    """Whether a file begins as JLD and JLD2 files do."""
    with open(path, "rb") as handle:
        return b"Julia" in handle.read(64)


def read_jld(file: Any, path: Path, *, states: str = "bits") -> RBM:
    """The model in a JLD file: arrays w, a and b at the top, in a group, or as the fields of one struct.

    Raises
    ------
    FormatError : there are no such arrays
    """
    for place in _places(file):
        for names in _JLD_NAMES:
            found = _fields(file, place, names)
            if found is not None:
                arrays = {name: read_array(item, name, path) for name, item in zip(names, found, strict=True)}
                return model_of_arrays(arrays, str(path), transpose=True, states=states)
    raise FormatError(f"{path} holds no weights w with biases a and b; save them from Julia under these names")


def _places(file: Any) -> list[Any]:
    """The file, its groups, and its structs, top ones first."""
    import h5py

    places = [file]

    def note(_name: str, item: Any) -> None:
        if isinstance(item, h5py.Group) or (isinstance(item, h5py.Dataset) and item.dtype.names):
            places.append(item)

    file.visititems(note)
    return places


def _fields(file: Any, place: Any, names: tuple[str, ...]) -> tuple[Any, ...] | None:
    """The three data sets of these names, or None."""
    import h5py

    if isinstance(place, h5py.Group):
        return tuple(place[name] for name in names) if all(name in place for name in names) else None
    if not set(names) <= set(place.dtype.names):
        return None
    struct = own_values(place, "the struct", Path(file.filename)).reshape(-1)[0] if place.size else None
    references = [None if struct is None else struct[name] for name in names]
    if not all(isinstance(reference, h5py.Reference) and reference for reference in references):
        return None
    return tuple(file[reference] for reference in references)
