"""The ladder as named tensors: models one file a rung, everything that changes in the run's state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, fields
from typing import Final

import numpy as np
import torch
from torch import Tensor

from rbmscape.errors import FormatError
from rbmscape.model.rbm import PARAMETER_NAMES, RBM
from rbmscape.runs.ladder import COUNTERS, PREFIX, states_name
from rbmscape.training.ladder.control import Rate
from rbmscape.training.ladder.groups import pack, unpack
from rbmscape.training.ladder.link import Link
from rbmscape.training.ladder.machine import Machine
from rbmscape.training.ladder.rungs import Ladder, Rung

__all__ = ["ladder_tensors", "model_tensors", "rate_tensor", "read_ladder", "read_rate", "reported_tensors"]

_VECTORS: Final = ("score", "slope", "live_score", "live_slope")
_NUMBERS: Final = tuple(field.name for field in fields(Link) if field.name not in _VECTORS)


def model_tensors(rung: Rung) -> dict[str, Tensor]:
    """Parameters of a rung, which never change."""
    return {name: getattr(rung.model, name) for name in PARAMETER_NAMES}


def reported_tensors(rung: Rung) -> dict[str, Tensor]:
    """The reported model of a checkpoint as the last rung of its ladder: parameters, reservoir (packed bits), -F."""
    return model_tensors(rung) | {"states": pack(rung.states), "log_density": rung.log_density}


def ladder_tensors(ladder: Ladder) -> dict[str, Tensor]:
    """Reservoirs (packed bits), their -F, the links and the counters."""
    tensors = {COUNTERS: torch.tensor([ladder.sweeps, *(rung.update for rung in ladder.rungs)])}
    for number, rung in enumerate(ladder.rungs):
        tensors[states_name(number)] = pack(rung.states)
        tensors[f"{PREFIX}{number}.log_density"] = rung.log_density
    for number, link in enumerate(ladder.links):
        vectors = np.stack([getattr(link, name) for name in _VECTORS])
        numbers = [float(getattr(link, name)) for name in _NUMBERS]
        tensors[f"{PREFIX}{number}.link_groups"] = torch.from_numpy(vectors)
        tensors[f"{PREFIX}{number}.link_numbers"] = torch.tensor(numbers, dtype=torch.float64)
    return tensors


def read_ladder(machine: Machine, tensors: Mapping[str, Tensor], models: Sequence[Mapping[str, Tensor]]) -> Ladder:
    """What `ladder_tensors` and `model_tensors` had.

    Parameters
    ----------
    models : one of `model_tensors` a rung; more than the state knows of are left out

    Raises
    ------
    FormatError : something is missing
    """
    try:
        sweeps, *updates = (int(number) for number in tensors[COUNTERS])
        rungs = []
        for number, update in enumerate(updates):
            if number >= len(models):
                raise FormatError(
                    f"the saved state has {len(updates)} rungs, of which only {len(models)} models were found; "
                    "restore the folder 'ladder', or train again with overwrite=True (--overwrite)"
                )
            model = RBM(*(models[number][name] for name in PARAMETER_NAMES))
            states = unpack(tensors[states_name(number)], model.n_visible).to(model.device)
            density = tensors[f"{PREFIX}{number}.log_density"].to(model.device)
            rungs.append(Rung(model, machine.prepare(model), states, density, update))
        links = [_read_link(tensors, number) for number in range(len(updates) - 1)]
    except KeyError as error:
        raise FormatError(
            f"the saved state lacks {error}, which method 'ptt' needs; train again with overwrite=True (--overwrite)"
        ) from error
    return Ladder(tuple(rungs), tuple(links), sweeps)


def _read_link(tensors: Mapping[str, Tensor], number: int) -> Link:
    vectors = dict(zip(_VECTORS, tensors[f"{PREFIX}{number}.link_groups"].cpu().numpy().copy(), strict=True))
    numbers = dict(zip(_NUMBERS, tensors[f"{PREFIX}{number}.link_numbers"].tolist(), strict=True))
    return Link(**vectors, **(numbers | {"sweeps": int(numbers["sweeps"])}))


def rate_tensor(rate: Rate, acceptance: float) -> dict[str, Tensor]:
    """State of the controller, and the last acceptance."""
    return {PREFIX + "rate": torch.tensor([*map(float, astuple(rate)), acceptance], dtype=torch.float64)}


def read_rate(tensors: Mapping[str, Tensor]) -> tuple[Rate, float]:
    """What `rate_tensor` had."""
    factor, *counts, acceptance = tensors[PREFIX + "rate"].tolist()
    return Rate(factor, *map(int, counts)), acceptance
