"""Files of the package rbms: one HDF5 file a training, with a group ``update_k`` for every saved update.

Read from its releases 0.5 and 0.6, and from older ones whose parameters lie in the groups themselves.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from rbmscape.errors import FormatError
from rbmscape.interop.hdf5 import read_array, read_text
from rbmscape.interop.imported import History
from rbmscape.interop.named import model_of_arrays
from rbmscape.model.rbm import RBM

__all__ = ["is_rbms", "rbms_bytes", "read_rbms"]

_UPDATE: Final = re.compile(r"(?:update|epoch)_(\d{1,15})")
_NAMES: Final = ("weight_matrix", "vbias", "hbias")
_BINARY: Final = "BBRBM"
_RECIPE: Final = {
    "batch_size": ("batch_size", int),
    "gibbs_steps": ("gibbs_steps", int),
    "learning_rate": ("learning_rate", float),
    "L1": ("l1", float),
    "L2": ("l2", float),
    "seed": ("seed", int),
}
"""Names of rbms, and of `TrainingConfig`."""


def is_rbms(file: Any) -> bool:
    """Whether an open HDF5 file has groups of updates with parameters."""
    return bool(_updates(file))


def _updates(file: Any) -> dict[int, Any]:
    """The group with the parameters of every update, ascending."""
    found = {}
    for name in file:
        match = _UPDATE.fullmatch(name)
        if match:
            group = file[name]
            found[int(match[1])] = group.get("params", group)
    return {update: found[update] for update in sorted(found) if "weight_matrix" in found[update]}


def read_rbms(file: Any, path: Path, update: int | None = None, *, states: str = "bits") -> History:
    """All updates of a file, or the one that is asked for (-1 for the last).

    Raises
    ------
    FormatError : units that are not binary, an update that is not there, damaged arrays
    """
    if "model_type" in file:
        kind = read_text(file["model_type"], "model_type", path)
        if kind != _BINARY:
            raise FormatError(
                f"{path} holds a model of kind {kind!r}; this package models binary units only ({_BINARY})"
            )
    groups = _updates(file)
    chosen = list(groups) if update is None else [list(groups)[-1] if update == -1 else update]
    if missing := [number for number in chosen if number not in groups]:
        near = min(groups, key=lambda known: abs(known - missing[0]))
        raise FormatError(f"{path} has no update {missing[0]}; the nearest is {near}")
    models = {number: _model(groups[number], f"{path}, update {number}", path, states) for number in chosen}
    chains = read_array(file["parallel_chains"], "parallel_chains", path) if "parallel_chains" in file else None
    seconds = {number: _seconds(file, number, path) for number in chosen}
    return History("rbms", models, seconds, _recipe(file, path), None if chains is None or not len(chains) else chains)


def _model(group: Any, where: str, path: Path, states: str) -> RBM:
    arrays = {name: read_array(group[name], name, path) for name in _NAMES}
    return model_of_arrays(arrays, where, transpose=False, states=states)


def _seconds(file: Any, update: int, path: Path) -> float | None:
    """Training time until an update, where the file has it."""
    group = file.get(f"update_{update}")
    if group is None or "time" not in group:
        return None
    value = read_array(group["time"], "time", path)
    return float(value.reshape(-1)[0]) if value.size == 1 else None


def _recipe(file: Any, path: Path) -> dict[str, Any]:
    """What the file says of the training, by our names."""
    if "hyperparameters" not in file:
        return {}
    group = file["hyperparameters"]
    return {
        ours: kind(read_array(group[theirs], theirs, path).reshape(-1)[0])
        for theirs, (ours, kind) in _RECIPE.items()
        if theirs in group
    }


def rbms_bytes(models: Mapping[int, RBM], recipe: Mapping[str, Any], chains: torch.Tensor | None) -> bytes:
    """A file that rbms opens, with one group an update.

    Parameters
    ----------
    models : by their updates
    recipe : values by our names; what rbms asks for and is not given is 0
    chains : (n_chains, N) states of the chains, or None
    """
    import h5py

    last = list(models.values())[-1]
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file["model_type"] = _BINARY
        file["parallel_chains"] = _float(chains if chains is not None else torch.empty(0, last.n_visible))
        hyper = file.create_group("hyperparameters")
        for theirs, (ours, kind) in _RECIPE.items():
            hyper[theirs] = kind(recipe.get(ours, 0))
        for update, rbm in models.items():
            group = file.create_group(f"update_{update}")
            params = group.create_group("params")
            for name, values in zip(_NAMES, (rbm.weights, rbm.visible_bias, rbm.hidden_bias), strict=True):
                params[name] = values.cpu().numpy()
                group[name] = params[name]
            group["time"] = 0.0
            group.create_group("flags")
    return content.getvalue()


def _float(states: torch.Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
    return states.cpu().to(torch.float32).numpy()
