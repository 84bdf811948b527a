"""Frozen models with their reservoirs, and ln Z along them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.kernels.interface import BoundPath
from rbmscape.model.rbm import RBM
from rbmscape.rng import Stream
from rbmscape.training.ladder.link import Link, group_error
from rbmscape.training.ladder.machine import Machine

__all__ = ["Ladder", "Rung", "base_ladder", "base_model", "extended"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Rung:
    """A frozen model.

    Attributes
    ----------
    model : its parameters
    prepared : the same for the machine
    states : (G, n, N) uint8 reservoir
    log_density : (G, n) float64 -F of the reservoir's states, in the machine's numbers
    update : the training's update after which it was frozen
    """

    model: RBM
    prepared: BoundPath
    states: Tensor
    log_density: Tensor
    update: int

    @property
    def flat(self) -> Tensor:
        """(G n, N) states, group after group."""
        return self.states.reshape(-1, self.states.shape[-1])

    def with_states(self, machine: Machine, states: Tensor) -> Rung:
        """The rung with another reservoir (G, n, N)."""
        density = machine.log_densities(states.reshape(-1, states.shape[-1]), self.prepared)[0]
        return replace(self, states=states, log_density=density.reshape(states.shape[:2]))


@dataclass(frozen=True, slots=True)
class Ladder:
    """Rungs from independent units on, and the links between neighbours.

    Attributes
    ----------
    rungs : lowest first; the first has no weights
    links : one between each rung and the next
    sweeps : sweeps of all rungs so far
    """

    rungs: tuple[Rung, ...]
    links: tuple[Link, ...]
    sweeps: int = 0

    @property
    def top(self) -> Rung:
        """The newest rung."""
        return self.rungs[-1]

    @property
    def n_groups(self) -> int:
        """Independent groups of states."""
        return int(self.top.states.shape[0])

    @property
    def log_partition(self) -> float:
        """ln Z of the newest rung in the machine's numbers."""
        base = self.rungs[0].model
        softplus = torch.nn.functional.softplus
        start = (softplus(bias.to(torch.float64)).sum() for bias in (base.visible_bias, base.hidden_bias))
        return sum(float(part) for part in start) + math.fsum(link.value for link in self.links)

    @property
    def influence(self) -> FloatArray:
        """(G,) influence of each group on `log_partition`."""
        return np.sum([link.influence for link in self.links], axis=0) if self.links else np.zeros(self.n_groups)

    @property
    def stderr(self) -> float:
        """Standard error of `log_partition`, with all correlations within groups.

        It never falls along the ladder.  Where the weight of a mode swings to and fro, the influences of what is wrong
        with it cancel to first order, by far more than the errors themselves do.
        """
        if not self.links:
            return 0.0
        along = np.cumsum([link.influence for link in self.links], axis=0)
        return max(group_error(influence) for influence in along)


def base_model(model: RBM) -> RBM:
    """Independent units close to a weakly coupled model: its visible biases with the mean input of free hidden units.

    To first order in W, F(v) = -(a + W σ(b))·v - Σ softplus(b).
    """
    visible = model.visible_bias + model.weights @ torch.sigmoid(model.hidden_bias)
    return RBM(torch.zeros_like(model.weights), visible, model.hidden_bias)


def base_ladder(machine: Machine, model: RBM, n_groups: int, size: int, stream: Stream) -> Ladder:
    """A ladder of the lowest rung alone, its reservoir (G, size) of exact independent samples."""
    prepared = machine.prepare(model)
    uniform = stream.uniform(0, n_groups * size, model.n_visible, 0, model.device)
    states = (uniform < torch.sigmoid(model.visible_bias)).to(torch.uint8).reshape(n_groups, size, -1)
    return Ladder((Rung(model, prepared, states, torch.empty(0), 0).with_states(machine, states),), ())


def extended(ladder: Ladder, rung: Rung, link: Link, keep: int) -> Ladder:
    """The ladder with one more rung; the reservoir of the last one is thinned to `keep` states a group."""
    last = ladder.top
    size = last.states.shape[1]
    if size > keep:
        picks = torch.arange(keep) * size // keep
        last = replace(last, states=last.states[:, picks].clone(), log_density=last.log_density[:, picks].clone())
    return Ladder((*ladder.rungs[:-1], last, rung), (*ladder.links, link), ladder.sweeps)
