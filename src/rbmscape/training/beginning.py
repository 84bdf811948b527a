"""Training that begins with a model: fine-tuning, and more epochs under a new schedule.

The new run has a recipe, a schedule, an optimiser and a directory of its own.  From a run it takes the model that
training delivered and the Markov chains, where it has any; from a model the parameters alone, and the chains begin with
data.  Training in equilibrium has to climb to the model first, along the checkpoints of its run or the ladder that this
kept, and makes its own chains on the way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from rbmscape.arrays import in_order
from rbmscape.data.dataset import Dataset
from rbmscape.errors import ConfigError, DataError, InputError, NoChainsError, ShapeError
from rbmscape.model.rbm import PARAMETER_NAMES, RBM
from rbmscape.runs.config import TrainingConfig
from rbmscape.runs.run import Run
from rbmscape.sampling.kept import KeptLadder

__all__ = ["Beginning", "beginning_of", "check_beginning", "check_record", "recipe_for", "to_climb"]


@dataclass(frozen=True, slots=True, eq=False)
class Beginning:
    """What a training begins with.

    Attributes
    ----------
    model : its parameters before the first update
    chains : (n, N) uint8 visible states of Markov chains, or None where they begin with data
    facts : what the run's record says of it: ``digest`` of the contents, and of a run ``directory`` and ``update``
    way : functions that load the models to climb along to this one, itself the last; empty for a model without a run
    """

    model: RBM
    chains: Tensor | None
    facts: dict[str, Any]
    way: tuple[Callable[[], RBM], ...] = ()

    def first_chains(self, n_chains: int) -> Tensor | None:
        """(n_chains, N), each of the known chains at most once more often than any other."""
        if self.chains is None:
            return None
        return self.chains[torch.arange(n_chains) % len(self.chains)]


def beginning_of(init: Run | RBM | None) -> Beginning | None:
    """What to begin with, from a run (its last checkpoint) or a model.

    Raises
    ------
    InputError : it is neither
    """
    if init is None:
        return None
    if isinstance(init, RBM):
        return Beginning(init, None, {"digest": _digest(init, None)})
    if not isinstance(init, Run):
        raise InputError(
            f"init must be a run or a model, found {type(init).__name__}; pass rbmscape.Run.open(directory)"
        )
    model = init.load()
    try:
        chains: Tensor | None = init.chains
    except NoChainsError:
        chains = None
    facts = {"digest": _digest(model, chains), "directory": str(init.directory), "update": init.last_update}
    return Beginning(model, chains, facts, _way(init))


def _way(run: Run) -> tuple[Callable[[], RBM], ...]:
    """Of the rungs of a kept ladder, or of the checkpoints of a run."""
    path = run.path() if run.config.method == "ptt" else None
    if isinstance(path, KeptLadder):
        return tuple(partial(path.models.__getitem__, number) for number in range(len(path.models)))
    return tuple(partial(run.load, update) for update in run.updates)


def _digest(model: RBM, chains: Tensor | None) -> str:
    mark = hashlib.sha256()
    for tensor in (*(getattr(model, name) for name in PARAMETER_NAMES), chains):
        if tensor is not None:
            mark.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
            mark.update(tensor.cpu().contiguous().numpy().tobytes())
    return mark.hexdigest()


def recipe_for(config: TrainingConfig | None, init: Run | RBM | None, dataset: Dataset) -> TrainingConfig:
    """The given recipe; a recipe that does not say how many hidden units takes those of the model.

    Without one it is the run's own, or the recommended one for the data.
    """
    if init is None:
        return TrainingConfig.recommended(dataset) if config is None else config
    n_hidden = init.n_hidden if isinstance(init, RBM) else init.config.n_hidden
    if config is None:
        return (
            init.config
            if isinstance(init, Run)
            else TrainingConfig.recommended(dataset, n_hidden=n_hidden, method="pcd")
        )
    return config if "n_hidden" in config.model_fields_set else config.replace(n_hidden=n_hidden)


def check_beginning(begin: Beginning | None, dataset: Dataset, config: TrainingConfig) -> None:
    """Refuse a model that does not fit the data and the recipe.

    Raises
    ------
    ShapeError : another number of units
    DataError : columns in another order, or that the model does not know
    ConfigError : method "ptt" and a model without a run, to which nothing leads from independent units
    """
    if begin is None:
        return
    found, wanted = tuple(begin.model.weights.shape), (dataset.n_visible, config.n_hidden)
    if found != wanted:
        raise ShapeError(
            f"init has {found[0]} visible and {found[1]} hidden units, the data and the recipe {wanted[0]} and "
            f"{wanted[1]}; train on data of the same width with n_hidden={found[1]}"
        )
    if in_order(dataset, begin.model.columns, dataset.name) is not dataset:
        raise DataError(
            f"{dataset.name} has the columns of the model to begin with in another order; give them in the order "
            "that it was trained on"
        )
    if config.method == "ptt" and not begin.way:
        raise ConfigError(
            "method 'ptt' climbs from independent units to a trained model along the checkpoints of its run, found a "
            "model alone; pass the run (rbmscape.Run.open), go on with method='pcd', or train from the start"
        )


def to_climb(begin: Beginning | None, config: TrainingConfig, *, is_begun: bool) -> Beginning | None:
    """The beginning, without a way to climb where none is needed: by other methods, and once a state has the ladder."""
    if begin is None or (config.method == "ptt" and not is_begun):
        return begin
    return replace(begin, way=())


def check_record(record: Mapping[str, Any], begin: Beginning | None, place: str, *, has_state: bool) -> None:
    """Refuse to resume a run with another beginning than it had.

    Raises
    ------
    ConfigError : the beginning differs, or is needed again because the run was killed before its first state
    """
    known = record.get("init")
    if begin is None:
        if known is not None and not has_state:
            where = f", for example rbmscape.Run.open({known['directory']!r})" if "directory" in known else ""
            raise ConfigError(
                f"{place} began with a model and was stopped before its first state; pass init again{where}"
            )
        return
    if known is None or known["digest"] != begin.facts["digest"]:
        found = "with another model than init" if known is not None else "with an untrained model, not with init"
        raise ConfigError(f"{place} began {found}; leave init out to resume it, or choose another directory")
