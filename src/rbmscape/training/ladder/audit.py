r"""An audit that does not share the ladder's blindness: states from elsewhere that find what chains and ladder miss.

Reservoirs and chains that have lost a mode, or never had it, agree with each other.  Scouts start from training data,
from independent units and from fair bits, go through some Gibbs steps of the model, and are *blind spots* where

- the nearest known state, of the newest reservoir or a chain, is farther away than 99.5 % of the chains are from the
  nearest known state outside of their own group, and
- their free energy is not above that of 99 % of the chains: scouts that stand in a corner of no weight do not count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from rbmscape.kernels.interface import BoundPath
from rbmscape.rng import Stream
from rbmscape.training.ladder.machine import Machine
from rbmscape.training.ladder.rungs import Ladder

__all__ = ["Blind", "blind_doubts", "scout"]

MOST_DATA, MOST_FRESH = 0.03, 0.1
_SEEN, _LOW = 0.995, 0.01
_ROWS = 256


@dataclass(frozen=True, slots=True)
class Blind:
    """Fractions of the scouts from data and of those from elsewhere that found blind spots."""

    data: float
    fresh: float


def scout(
    machine: Machine,
    model: BoundPath,
    ladder: Ladder,
    chains: Tensor,
    data: Tensor,
    n_scouts: int,
    n_steps: int,
    stream: Stream,
) -> Blind:
    """Send out scouts.

    Parameters
    ----------
    model : where they walk
    ladder : whose newest reservoir is known
    chains : (C, N) uint8 of the model, known as well
    data : (n, N) training data, of which the first n_scouts serve
    n_scouts : from data, and as many from elsewhere, half of them from independent units and half from fair bits
    n_steps : Gibbs steps
    """
    base = torch.sigmoid(ladder.rungs[0].model.visible_bias)
    uniform = stream.child("start").uniform(0, n_scouts, len(base), 0, base.device)
    probability = torch.where((torch.arange(n_scouts) % 2 == 0)[:, None].to(base.device), base, 0.5)
    starts = torch.cat((data[:n_scouts], (uniform < probability).to(torch.uint8)))
    moved, (density,) = machine.walk(model, starts, stream.child("gibbs"), 0, n_steps, model)
    blind = _blind(moved, density, chains, machine.log_densities(chains, model)[0], ladder.top.states)
    n_data = len(starts) - n_scouts
    return Blind(float(blind[:n_data].mean()), float(blind[n_data:].mean()))


def _blind(states: Tensor, density: Tensor, chains: Tensor, own: Tensor, reservoir: Tensor) -> Tensor:
    """(n,) float64, 1 for each state in a blind spot."""
    n_groups, size, n_visible = reservoir.shape
    known = torch.cat((reservoir.reshape(-1, n_visible), chains)).to(torch.float32)
    number = torch.arange(len(chains))
    group = torch.cat((torch.arange(n_groups).repeat_interleave(size), number % n_groups)).to(chains.device)
    picks = (torch.arange(min(_ROWS, len(chains))) * len(chains) // min(_ROWS, len(chains))).to(chains.device)
    distance = _distances(chains[picks].to(torch.float32), known)
    distance[(picks % n_groups)[:, None] == group[None, :]] = math.inf
    limit = torch.quantile(distance.min(1).values, _SEEN)
    far = _distances(states.to(torch.float32), known).min(1).values > limit
    return (far & (density >= torch.quantile(own, _LOW))).to(torch.float64)


def _distances(one: Tensor, other: Tensor) -> Tensor:
    """(n, m) Hamming distances of rows of zeros and ones."""
    return one.sum(1)[:, None] + other.sum(1)[None, :] - 2.0 * (one @ other.T)


def blind_doubts(found: Blind, tolerance: float = 1.0) -> list[str]:
    """What speaks against a model and its ladder.

    Parameters
    ----------
    tolerance : factor on what is allowed, 3 % of the scouts from data and 10 % of the others
    """
    parts = (("the data", found.data, MOST_DATA), ("states from anywhere", found.fresh, MOST_FRESH))
    return [
        f"{share:.0%} of {who} stand, after Gibbs steps of the model, where the ladder has no states"
        for who, share, most in parts
        if share > tolerance * most
    ]
