"""One model and one set of chains as a batch of one."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from typing import Any

import torch

from rbmscape.kernels.cuda.models import Models, Shape, States, numbers_of
from rbmscape.kernels.interface import Parameters
from rbmscape.rng import Stream

__all__ = ["bound_models", "launching_on", "point", "round_one"]


def launching_on(device: torch.device) -> AbstractContextManager[Any]:
    """Where kernels are launched: on the device of the tensors, which need not be the current one."""
    return torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext()


def bound_models(exact: Parameters) -> Models:
    """A batch of one model, not rounded yet."""
    return Models(Shape(1, *exact.weights.shape), exact.weights.device)


def round_one(models: Models, exact: Parameters) -> None:
    """Round the parameters of a batch of one."""
    models.round(exact.weights[None], exact.visible_bias[None], exact.hidden_bias[None])


def point(states: States, stream: Stream, draw: int, first_chain: int) -> None:
    """The numbers that the next launch draws with."""
    states.numbers.copy_(torch.tensor([numbers_of(stream, draw, first_chain)]))
