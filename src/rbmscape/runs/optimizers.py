"""The update rules that a recipe can name.

One line of `OPTIMIZERS` serves the configuration and the command line, the trainer, the estimates of disk and memory,
and the report: adding a rule of `torch.optim` is adding a line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    import torch

__all__ = ["OPTIMIZERS", "Optimizer", "OptimizerName"]


@dataclass(frozen=True, slots=True)
class Optimizer:
    """An update rule, and what others need to know of it.

    Attributes
    ----------
    label : what reports call it
    rule : name of its class in `torch.optim`
    learning_rate : step size of a recipe that gives none
    state : recipe to how many tensors of the parameters' shapes the rule carries from one update to the next
    options : recipe to keyword arguments of the class, beside the learning rate
    momentum : momentum of a recipe that gives none; None where the rule takes none
    """

    label: str
    rule: str
    learning_rate: float
    state: Callable[[Any], int]
    options: Callable[[Any], dict[str, Any]]
    momentum: float | None = None

    def make(self, parameters: list[torch.Tensor], config: Any) -> torch.optim.Optimizer:
        """The rule of `torch.optim` for some parameters, with the values of a recipe."""
        from torch import optim

        rule: Callable[..., torch.optim.Optimizer] = getattr(optim, self.rule)
        return rule(parameters, lr=config.learning_rate, **self.options(config))


OPTIMIZERS: Final[Mapping[str, Optimizer]] = {
    "sgd": Optimizer(
        "SGD", "SGD", 0.8, lambda c: int(c.momentum > 0), lambda c: {"momentum": c.momentum}, momentum=0.0
    ),
    "nesterov": Optimizer(
        "Nesterov", "SGD", 0.08, lambda _: 1, lambda c: {"momentum": c.momentum, "nesterov": True}, momentum=0.9
    ),
    "adam": Optimizer("Adam", "Adam", 1e-3, lambda _: 2, lambda c: {"betas": c.adam_betas, "fused": True}),
    "rmsprop": Optimizer("RMSprop", "RMSprop", 1e-3, lambda _: 1, lambda _: {}),
}
"""Step sizes: 0.8 is the best one measured for clipped SGD (`benchmarks/recipes.py`); Nesterov's is 0.8 (1 - 0.9),
which moves as far in the long run; those of Adam and RMSprop are the usual ones and were not tuned."""

if TYPE_CHECKING:
    OptimizerName = str
else:
    OptimizerName = Literal[tuple(OPTIMIZERS)]
