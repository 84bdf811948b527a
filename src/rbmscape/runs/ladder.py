"""The ladder that training in equilibrium kept with its last checkpoint, read for those who sample or measure.

The frozen models lie in files of their own, their reservoirs in the run's state, and the checkpoint's model with its
reservoir in one more file.  The ladder is that checkpoint's alone: of any other one nothing is known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from rbmscape.errors import DamagedError
from rbmscape.files import read_tensors
from rbmscape.model.rbm import PARAMETER_NAMES, RBM
from rbmscape.runs.layout import RUNG_FORMAT, RunLayout, check_origin, check_schema
from rbmscape.runs.writer import latest_state
from rbmscape.sampling.kept import KeptLadder

__all__ = ["COUNTERS", "PREFIX", "kept_ladder", "states_name"]

PREFIX: Final = "ladder."
COUNTERS: Final = PREFIX + "counters"
"""In a run's state: sweeps of the ladder, and the updates after which its rungs were frozen."""


def states_name(number: int) -> str:
    """In a run's state: the reservoir (G, n, ⌈N/8⌉) of a rung, packed bits."""
    return f"{PREFIX}{number}.states"


def kept_ladder(layout: RunLayout, run_id: str | None, update: int, model: RBM) -> KeptLadder | None:
    """The ladder that leads to a checkpoint's model, or None where training kept none, or that of another checkpoint.

    Parameters
    ----------
    layout : of the run's directory
    run_id : of the run
    update : of the checkpoint
    model : of the checkpoint, as the run delivers it

    Raises
    ------
    DamagedError : a file belongs to another run, is not whole, or does not fit the model
    """
    if not layout.reported.is_file():
        return None
    reported = _read(layout.reported, run_id)
    if not all(torch.equal(reported[name], getattr(model, name)) for name in PARAMETER_NAMES):
        return None
    found = latest_state(layout, run_id)
    if found is None or COUNTERS not in found[0]:
        return None
    state = found[0]
    below = [number for number, frozen in enumerate(state[COUNTERS].tolist()[1:]) if frozen <= update]
    models, states = [], []
    for number in below:
        path = layout.rung(number)
        models.append(_model(_read(path, run_id), model, path))
        states.append(_states(state, states_name(number), model, layout.state))
    return KeptLadder((*models, model), (*states, _states(reported, "states", model, layout.reported)))


def _read(path: Path, run_id: str | None) -> dict[str, Tensor]:
    tensors, metadata = read_tensors(path)
    check_schema(metadata, RUNG_FORMAT, path)
    check_origin(metadata, run_id, path)
    if missing := [name for name in PARAMETER_NAMES if name not in tensors]:
        raise DamagedError(f"{path} has no {missing[0]}; copy the run again")
    return tensors


def _model(tensors: Mapping[str, Tensor], like: RBM, path: Path) -> RBM:
    for name in PARAMETER_NAMES:
        found, wanted = tuple(tensors[name].shape), tuple(getattr(like, name).shape)
        if found != wanted:
            raise DamagedError(f"{path} has {name} of shape {found}, the run's models {wanted}; copy the run again")
    return RBM(*(tensors[name] for name in PARAMETER_NAMES))


def _states(tensors: Mapping[str, Tensor], name: str, model: RBM, path: Path) -> Tensor:
    """(n, N) uint8 states of a reservoir (G, n, ⌈N/8⌉) of packed bits."""
    packed = tensors.get(name)
    width = -(-model.n_visible // 8)
    if packed is None or packed.ndim != 3 or packed.shape[-1] != width or packed.dtype != torch.uint8:
        found = "none" if packed is None else f"shape {tuple(packed.shape)}"
        raise DamagedError(f"{path} has {name}: {found}, wanted rows of {width} bytes; copy the run again")
    bits = np.unpackbits(packed.flatten(0, 1).cpu().numpy(), axis=1, count=model.n_visible)
    return torch.from_numpy(bits)
