"""What follows the gradient in a parameter update: penalties, centring, clipping, optimiser, running average.

In precision ``fixed`` it is the arithmetic of `rbmscape.kernels.reference.descent`, which gives the same bits on every
device.  In the other precisions, and in runs that were begun before there was such a definition, it is torch's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, Protocol

import torch
from torch import Tensor

from rbmscape.kernels.interface import Engine, Gradient
from rbmscape.kernels.reference.descent import DescentRule, Numbers, ReferenceDescent
from rbmscape.runs.config import TrainingConfig
from rbmscape.runs.optimizers import OPTIMIZERS
from rbmscape.runs.schedule import averaging_weight
from rbmscape.training.gradient import center
from rbmscape.training.rows import Rows

__all__ = ["EXACT", "TORCH", "Descent", "arithmetic_of", "make_descent", "numbers_of", "rule_of", "visible_means"]

EXACT: Final = "exact"
TORCH: Final = "torch"
_MEAN_SQUARE: Final = 0.99
"""Share of the old mean square in RMSprop, that of `torch.optim`."""


def arithmetic_of(engine: Engine) -> str:
    """How a new run is moved that an engine trains, as its record says."""
    return EXACT if engine.precision == "fixed" else TORCH


def visible_means(train: Rows, dtype: torch.dtype) -> Tensor:
    """(N,) share of the rows in which a unit is active; of whole numbers, hence the same on every device."""
    active = train.sum(0, dtype=torch.int64).to(dtype)
    return active / torch.tensor(len(train), dtype=dtype, device=active.device)


def rule_of(config: TrainingConfig, longest: float) -> DescentRule:
    """What a recipe says of the way from the gradient to the parameters; `longest` see `longest_gradient`."""
    beta1, beta2 = config.adam_betas
    momentum = config.momentum if OPTIMIZERS[config.optimizer].momentum is not None else 0.0
    return DescentRule(
        optimizer="momentum" if config.optimizer == "sgd" and momentum else config.optimizer,
        centered=config.gradient == "centered",
        averaged=config.averaging > 0,
        momentum=momentum,
        longest=longest,
        l1=config.l1,
        l2=config.l2,
        beta1=beta1,
        beta2=_MEAN_SQUARE if config.optimizer == "rmsprop" else beta2,
    )


def numbers_of(config: TrainingConfig, rate: float, steps: int, update: int) -> Numbers:
    """What an update is made with.

    Parameters
    ----------
    rate : learning rate
    steps : the optimiser's, this one included
    update : number of finished updates, this one included
    """
    step, root = rate, 1.0
    if config.optimizer == "adam":
        first, second = (1.0 - beta**steps for beta in config.adam_betas)
        step, root = step / first, math.sqrt(second)
    return Numbers(step, root, averaging_weight(config.averaging, update) if config.averaging else 1.0)


class Descent(Protocol):
    """Moves parameters, their average and the optimiser's state in place."""

    def move(self, gradient: Gradient, hidden_offset: Tensor, rate: float, update: int) -> None:
        """The step that makes ``update`` finished updates: gradient of the log-likelihood, overwritten; (M,) λ."""

    def take_average(self, update: int) -> None:
        """The running average after the step, as far as `move` did not do it."""

    def forget(self) -> None:
        """Let the optimiser begin anew."""

    def state(self) -> dict[str, Tensor]:
        """What the optimiser carries, as ``optimizer.<parameter>.<name>``."""

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what `state` returned, among other tensors."""


def make_descent(
    config: TrainingConfig,
    engine: Engine,
    arithmetic: str,
    tensors: tuple[list[Tensor], list[Tensor]],
    visible_offset: Tensor,
    longest: float,
) -> Descent:
    """What moves parameters and their average, which are the parameters themselves where nothing is averaged.

    Parameters
    ----------
    arithmetic : `EXACT` or `TORCH`
    tensors : parameters and average
    visible_offset : (N,) μ of the centred gradient
    longest : length to which clipping shortens the gradient
    """
    if arithmetic == EXACT:
        kind = ReferenceDescent
        if engine.name == "cpu":
            from rbmscape.kernels.integers.descent import IntegerDescent

            kind = IntegerDescent
        return ExactDescent(config, kind(rule_of(config, longest), *tensors, visible_offset))
    return TorchDescent(config, tensors, visible_offset, longest)


class ExactDescent:
    """In the arithmetic that every device has; see `Descent`."""

    def __init__(self, config: TrainingConfig, kernel: ReferenceDescent) -> None:
        self._config, self._kernel, self._steps = config, kernel, 0

    def move(self, gradient: Gradient, hidden_offset: Tensor, rate: float, update: int) -> None:
        """See `Descent.move`."""
        self._steps += 1
        self._kernel.move(gradient, hidden_offset, numbers_of(self._config, rate, self._steps, update))

    def take_average(self, update: int) -> None:
        """Nothing is left to do."""

    def forget(self) -> None:
        """See `Descent.forget`."""
        self._steps = 0
        self._kernel.forget()

    def state(self) -> dict[str, Tensor]:
        """See `Descent.state`; nothing before the first step, as in `torch.optim`."""
        if not self._steps:
            return {}
        slots = self._kernel.slots.items()
        found = {f"optimizer.{place}.{name}": one for name, slot in slots for place, one in enumerate(slot)}
        if self._config.optimizer in ("adam", "rmsprop"):
            found |= {f"optimizer.{place}.step": torch.tensor(float(self._steps)) for place in range(3)}
        return found

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """See `Descent.restore`."""
        self.forget()
        for name, slot in self._kernel.slots.items():
            for place, one in enumerate(slot):
                if f"optimizer.{place}.{name}" in tensors:
                    one.copy_(tensors[f"optimizer.{place}.{name}"])
                    self._steps = max(1, int(tensors.get(f"optimizer.{place}.step", 1)))


class TorchDescent:
    """In torch's arithmetic, whose sums run in another order on another device; see `Descent`."""

    def __init__(
        self,
        config: TrainingConfig,
        tensors: tuple[list[Tensor], list[Tensor]],
        visible_offset: Tensor,
        longest: float,
    ) -> None:
        self._config, self._visible_offset, self._longest = config, visible_offset, longest
        self._parameters, self._average = tensors
        self._optimizer = OPTIMIZERS[config.optimizer].make(self._parameters, config)

    def move(self, gradient: Gradient, hidden_offset: Tensor, rate: float, update: int) -> None:  # noqa: ARG002
        """See `Descent.move`."""
        self._penalise(gradient)
        if self._config.gradient == "centered":
            center(gradient, self._visible_offset, hidden_offset)
        factor = -self._shortening(gradient)
        for value, ascent in zip(self._parameters, gradient.tensors, strict=True):
            value.grad = ascent.mul_(factor)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.step()

    def _penalise(self, gradient: Gradient) -> None:
        """Slope of -l1 Σ|W| - (l2/2) Σ W², part of ∂W before the biases are centred, which moves them with the weights.

        Without its share in the biases a penalty would shift the point where training ends: the model's means would
        miss those of the data by l2 W λ.
        """
        weights = self._parameters[0]
        if self._config.l1:
            gradient.weights.add_(weights.sign(), alpha=-self._config.l1)
        if self._config.l2:
            gradient.weights.add_(weights, alpha=-self._config.l2)

    def _shortening(self, gradient: Gradient) -> float:
        """What clipping multiplies the gradient by."""
        length = float(torch.nn.utils.get_total_norm(gradient.tensors)) if self._config.clip else 0.0
        return self._longest / length if length > self._longest else 1.0

    def take_average(self, update: int) -> None:
        """See `Descent.take_average`."""
        if self._config.averaging:
            weight = averaging_weight(self._config.averaging, update)
            for mean, value in zip(self._average, self._parameters, strict=True):
                mean.lerp_(value, weight)

    def forget(self) -> None:
        """See `Descent.forget`."""
        self._optimizer.state.clear()

    def state(self) -> dict[str, Tensor]:
        """See `Descent.state`."""
        return {
            f"optimizer.{number}.{slot}": value
            for number, slots in self._optimizer.state_dict()["state"].items()
            for slot, value in slots.items()
            if isinstance(value, Tensor)
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """See `Descent.restore`."""
        slots: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith("optimizer."):
                _, number, slot = name.split(".", 2)
                slots.setdefault(int(number), {})[slot] = value
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": slots, "param_groups": groups})
