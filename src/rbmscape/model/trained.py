"""What models know of a run: that it gives its models and data.  `rbmscape.Run` does; so may anything else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol, runtime_checkable

from rbmscape.errors import InputError
from rbmscape.model.rbm import RBM

__all__ = ["Trained", "listed_models", "one_model"]


@runtime_checkable
class Trained(Protocol):
    """A training whose models and data can be loaded."""

    def load(self) -> RBM:
        """The model that it delivers."""

    def models(self) -> Iterator[RBM]:
        """The models of all its checkpoints, in order of training; the last one is what `load` gives."""

    def dataset(self) -> Any:
        """What it was trained on, a `rbmscape.Dataset`."""


def one_model(given: object, function: str) -> RBM:
    """The model that was given to a function that wants one.

    Raises
    ------
    InputError : a run, or no model at all
    """
    if isinstance(given, RBM):
        return given
    if isinstance(given, Trained):
        raise InputError(
            f"{function} takes a model, found a run; pass run.load(), or run.load(update) for a checkpoint"
        )
    raise InputError(f"{function} takes an RBM, found {type(given).__name__}; make one with rbmscape.RBM or RBM.load")


def listed_models(models: object) -> list[RBM]:
    """Several models, from whatever gives them one after another.

    Raises
    ------
    InputError : nothing that does, or one that is no RBM
    """
    if isinstance(models, str | bytes) or not isinstance(models, Iterable) or getattr(models, "ndim", 1) == 0:
        raise InputError(f"models must be several RBMs, found {type(models).__name__}; pass run.models() or a list")
    return [one_model(model, "a list of models") for model in models]
