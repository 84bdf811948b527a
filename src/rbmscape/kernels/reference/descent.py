r"""From the gradient to the next parameters in precision ``fixed``, in plain torch: what every device has to return.

Penalties, centring (Montavon and Müller 2012), clipping, the optimiser's step (equation 13 of arXiv:2503.21536) and the
running average.  Every operation is one of float32 and is rounded by itself; nothing is fused.  Sums do not depend on
their order, or have one:

- those over rows and columns of the centred gradient ``∂W_c``, which the biases need, are of integers in units of
  2**-38;
- the squared length for clipping is of integers in units of 2**-40 within a tile of 64 by 64 weights, where a square
  beyond 1024 counts as 1024; the totals of the tiles, row by row, and those of blocks of 256 biases, visible and hidden
  ones in turn, are added in float64 `by_halves`.

So a training gives the same bits on processors and on graphics processors, for any number of threads and programs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from rbmscape.kernels.interface import Gradient

__all__ = [
    "BIASES",
    "CARRIED",
    "SQUARE_UNIT",
    "SUM_UNIT",
    "TILE",
    "DescentRule",
    "Numbers",
    "ReferenceDescent",
    "by_halves",
    "coefficients",
]

SUM_UNIT: Final = 2.0**38
SQUARE_UNIT: Final = 2.0**40
LARGEST_SQUARE: Final = 1024.0
TILE: Final = 64
BIASES: Final = 256

CARRIED: Final[Mapping[str, tuple[str, ...]]] = {
    "sgd": (),
    "momentum": ("momentum_buffer",),
    "nesterov": ("momentum_buffer",),
    "adam": ("exp_avg", "exp_avg_sq"),
    "rmsprop": ("square_avg",),
}
"""Rules of the optimiser, and what each carries from one update to the next, by the names of `torch.optim`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DescentRule:
    """What a recipe says of the way from the gradient to the parameters; see `rbmscape.TrainingConfig`.

    Attributes
    ----------
    optimizer : a key of `CARRIED`
    centered, averaged : whether
    longest : gradients that are longer are shortened to this; 0 clips nothing
    l1, l2, momentum, epsilon : numbers
    beta1, beta2 : of Adam; of RMSprop the second alone, the share of the old mean square
    """

    optimizer: str = "sgd"
    centered: bool = True
    averaged: bool = False
    momentum: float = 0.0
    longest: float = 0.0
    l1: float = 0.0
    l2: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8


@dataclass(frozen=True, slots=True)
class Numbers:
    """What differs between updates: step, square root of Adam's second correction, weight of the running average."""

    step: float
    root: float = 1.0
    weight: float = 1.0


def coefficients(rule: DescentRule) -> tuple[float, float, float, float, float]:
    """Momentum, 1 - β of the mean, β and 1 - β of the mean square, ε: each is rounded to float32 once."""
    return rule.momentum, 1.0 - rule.beta1, rule.beta2, 1.0 - rule.beta2, rule.epsilon


def by_halves(terms: Tensor) -> Tensor:
    """Sum of (n,) numbers: padded with zeros to a power of two, the upper half is added to the lower until one is left.

    Returns
    -------
    () in their dtype
    """
    length = 1 << max(0, len(terms) - 1).bit_length()
    terms = torch.nn.functional.pad(terms, (0, length - len(terms)))
    while len(terms) > 1:
        terms = terms[: len(terms) // 2] + terms[len(terms) // 2 :]
    return terms[0]


class ReferenceDescent:
    """Plain torch on any device.

    Parameters
    ----------
    rule : of the recipe
    parameters : W (N, M), a (N,), b (M,) float32, moved in place
    average : their running average, moved in place; the parameters themselves where there is none
    visible_offset : (N,) float32 μ, share of the training rows in which a unit is active

    Attributes
    ----------
    slots : by name, for each of the three parameters what the optimiser carries; zeros at first
    """

    def __init__(
        self, rule: DescentRule, parameters: list[Tensor], average: list[Tensor], visible_offset: Tensor
    ) -> None:
        self.rule, self.visible_offset = rule, visible_offset
        self._parameters, self._average = parameters, average
        self.slots = {name: [torch.zeros_like(one) for one in parameters] for name in CARRIED[rule.optimizer]}

    def forget(self) -> None:
        """Let the optimiser begin anew."""
        for slot in self.slots.values():
            for one in slot:
                one.zero_()

    def move(self, gradient: Gradient, hidden_offset: Tensor, numbers: Numbers) -> None:
        """One update.

        Parameters
        ----------
        gradient : of the mean log-likelihood; overwritten
        hidden_offset : (M,) float32 λ, mean of the hidden means over the data
        numbers : of this update
        """
        squares = self._finish(gradient, hidden_offset)
        factor = -1.0
        if self.rule.longest > 0.0:
            length, longest = np.float32(math.sqrt(squares)), np.float32(self.rule.longest)
            factor = -float(longest / length) if length > longest else -1.0
        for place, ascent in enumerate(gradient.tensors):
            self._step(place, ascent, factor, numbers)

    def _finish(self, gradient: Gradient, hidden_offset: Tensor) -> float:
        """Penalties and centring, in place; the squared length where the rule clips."""
        rows, columns, tiles = self._finish_weights(gradient, hidden_offset)
        if self.rule.centered:
            gradient.visible_bias.sub_((rows.to(torch.float64) / SUM_UNIT).to(torch.float32))
            gradient.hidden_bias.sub_((columns.to(torch.float64) / SUM_UNIT).to(torch.float32))
        if self.rule.longest <= 0.0:
            return 0.0
        blocks = max(-(-len(one) // BIASES) for one in gradient.tensors[1:])
        biases = [
            torch.nn.functional.pad(one.to(torch.float64).square(), (0, blocks * BIASES - len(one)))
            for one in gradient.tensors[1:]
        ]
        shares = [by_halves(one[k * BIASES : (k + 1) * BIASES]) for k in range(blocks) for one in biases]
        return float(by_halves(torch.cat((tiles.to(torch.float64).flatten() / SQUARE_UNIT, torch.stack(shares)))))

    def _finish_weights(self, gradient: Gradient, hidden_offset: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """∂W_c in place; sums over rows (N,) and columns (M,), and squares of tiles, all int64 in their units."""
        ascent, weights, rule = gradient.weights, self._parameters[0], self.rule
        ascent.sub_(weights.sign().mul_(rule.l1))
        ascent.sub_(weights * rule.l2)
        rows, columns = (torch.zeros(n, dtype=torch.int64, device=ascent.device) for n in ascent.shape)
        if rule.centered:
            mu, mean = self.visible_offset, hidden_offset
            ascent.sub_(mu[:, None] * gradient.hidden_bias)
            ascent.sub_(gradient.visible_bias[:, None] * mean)
            wide = ascent.to(torch.float64)
            rows = torch.round(wide * mean.to(torch.float64) * SUM_UNIT).to(torch.int64).sum(1)
            columns = torch.round(wide * mu.to(torch.float64)[:, None] * SUM_UNIT).to(torch.int64).sum(0)
        squares = ascent.to(torch.float64).square().clamp_(max=LARGEST_SQUARE)
        units = torch.round(squares * SQUARE_UNIT).to(torch.int64)
        down, across = (-(-n // TILE) for n in units.shape)
        padded = torch.nn.functional.pad(units, (0, across * TILE - units.shape[1], 0, down * TILE - units.shape[0]))
        return rows, columns, padded.view(down, TILE, across, TILE).sum((1, 3))

    def _step(self, place: int, ascent: Tensor, factor: float, numbers: Numbers) -> None:
        """The optimiser's step of one of the three parameters, and its average."""
        value, average, rule = self._parameters[place], self._average[place], self.rule
        carried = [slot[place] for slot in self.slots.values()]
        value.sub_(_direction(rule, ascent.mul_(factor), carried, numbers).mul_(numbers.step))
        if rule.averaged:
            weight = np.float32(numbers.weight)
            change = value - average
            if weight < 0.5:
                average.add_(change.mul_(float(weight)))
            else:
                torch.sub(value, change.mul_(float(np.float32(1.0) - weight)), out=average)


def _direction(rule: DescentRule, descent: Tensor, carried: list[Tensor], numbers: Numbers) -> Tensor:
    """What is multiplied by the step and taken off the parameters; `carried` is moved on."""
    if rule.optimizer == "adam":
        first, second = carried
        first.add_((descent - first).mul_(1.0 - rule.beta1))
        _mean_square(second, descent, rule.beta2)
        root = torch.tensor(numbers.root, dtype=torch.float32, device=second.device)
        return first / (_root(second) / root).add_(rule.epsilon)
    if rule.optimizer == "rmsprop":
        (second,) = carried
        _mean_square(second, descent, rule.beta2)
        return descent / _root(second).add_(rule.epsilon)
    if rule.optimizer == "sgd":
        return descent
    (buffer,) = carried
    buffer.mul_(rule.momentum).add_(descent)
    return descent + buffer * rule.momentum if rule.optimizer == "nesterov" else buffer.clone()


def _mean_square(second: Tensor, descent: Tensor, beta: float) -> None:
    second.mul_(beta).add_(descent.square().mul_(1.0 - beta))


def _root(x: Tensor) -> Tensor:
    """Square root of float32, rounded once: by float64, since float32's own is not always the nearest number."""
    return x.to(torch.float64).sqrt().to(torch.float32)
