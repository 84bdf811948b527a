"""Chains of a model that stands still, until they are in equilibrium by measurement, and what is collected from them.

A round offers every chain a state of the reservoir below (`exchange`) and moves it by a Gibbs step.  There are more and
more rounds, at least twice as many each time, until nothing speaks against equilibrium in their second half
(`rbmscape.sampling.verdict`) and there were 20 times as many as the integrated autocorrelation time of the slowest of
ln w, which is the difference of the free energies, and the leading modes, within groups.  What that half has seen,
spaced by that time or more, is the new reservoir.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.kernels.interface import BoundPath
from rbmscape.rng import Stream
from rbmscape.sampling.verdict import mixing_doubts, trace_diagnostics
from rbmscape.training.ladder.exchange import draw_partners, make_offer
from rbmscape.training.ladder.groups import split
from rbmscape.training.ladder.machine import Machine
from rbmscape.training.ladder.rungs import Rung

__all__ = ["MULTIPLE", "Thermal", "thermalise", "within_groups"]

FloatArray = NDArray[np.float64]
FIRST_ROUNDS = 96
MULTIPLE = 20.0
SPARE = 1.1


@dataclass(frozen=True, slots=True, eq=False)
class Thermal:
    """Chains and reservoir of the model, and what is known about them.

    Attributes
    ----------
    chains : (C, N) last states
    states : (G, n, N) collected
    above : (G, n) their ln w
    below : (G, m) ln w of the reservoir below
    rounds : how many there were
    autocorrelation : integrated autocorrelation time of the slowest quantity, in rounds
    acceptance : mean acceptance over the judged rounds
    doubts : what speaks against equilibrium
    """

    chains: Tensor
    states: Tensor
    above: Tensor
    below: Tensor
    rounds: int
    autocorrelation: float
    acceptance: float
    doubts: tuple[str, ...]


@dataclass(slots=True, eq=False)
class _Walk:
    """What changes from round to round."""

    chains: Tensor
    log_weight: Tensor
    trace: list[Tensor] = field(default_factory=list)
    acceptance: list[float] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Kept:
    """States and their ln w, (G, C // G) of a round each."""

    states: list[Tensor] = field(default_factory=list)
    weights: list[Tensor] = field(default_factory=list)

    def add(self, walk: _Walk, n_groups: int) -> None:
        """Keep where the chains are."""
        self.states.append(split(walk.chains, n_groups))
        self.weights.append(split(walk.log_weight, n_groups))

    @property
    def tensors(self) -> tuple[Tensor, Tensor]:
        """(G, n, N) states and (G, n) ln w."""
        return torch.cat(self.states, 1), torch.cat(self.weights, 1)


def thermalise(
    machine: Machine,
    model: BoundPath,
    below: Rung,
    chains: Tensor,
    modes: Tensor,
    draws: int,
    max_rounds: int,
    stream: Stream,
) -> Thermal:
    """Bring chains (C, N) to equilibrium of a model and collect `draws` states of each, fewer in too few rounds.

    Parameters
    ----------
    model : prepared by the machine
    below : the rung whose reservoir is offered
    modes : (N, k) directions whose projections are watched
    max_rounds : rounds, at most; at least twice the draws
    stream : of this thermalisation alone
    """
    reservoir = machine.log_densities(below.flat, model)[0].reshape(below.log_density.shape) - below.log_density
    own, there = machine.log_densities(chains, model, below.prepared)
    walk = _Walk(chains.clone(), own - there)
    start = _observe(walk, modes).cpu().numpy()
    round_ = _Round(machine, model, below, reservoir, modes, stream)
    goal = min(FIRST_ROUNDS, max_rounds)
    while True:
        judged, kept = goal - goal // 2, _Kept()
        while len(walk.trace) < goal:
            round_(walk)
            late = len(walk.trace) - goal // 2
            if late * draws // judged > max(0, late - 1) * draws // judged:
                kept.add(walk, reservoir.shape[0])
        seen = within_groups(torch.stack(walk.trace[-judged:], 1), reservoir.shape[0])
        ess, r_hat, drift = trace_diagnostics(seen, start)
        time = seen.shape[0] * seen.shape[1] / ess if ess > 0.0 else math.inf
        doubts = mixing_doubts(ess, r_hat, drift, "the new rung")
        if goal < MULTIPLE * time:
            doubts.append(
                f"thermalised for {goal} rounds, {goal / time:.1f} autocorrelation times (wanted {MULTIPLE:g})"
            )
        if not doubts or goal == max_rounds:
            break
        goal = min(max(2 * goal, math.ceil(min(SPARE * MULTIPLE * time, max_rounds))), max_rounds)
    acceptance = sum(walk.acceptance[-judged:]) / judged
    return Thermal(walk.chains, *kept.tensors, reservoir, goal, time, acceptance, tuple(doubts))


@dataclass(frozen=True, slots=True, eq=False)
class _Round:
    machine: Machine
    model: BoundPath
    below: Rung
    reservoir: Tensor
    modes: Tensor
    stream: Stream

    def __call__(self, walk: _Walk) -> None:
        """Offers, then a Gibbs step, in place."""
        number = len(walk.trace)
        generator = self.stream.numpy(number)
        partner = draw_partners(len(walk.chains), self.reservoir, generator)
        offer = make_offer(walk.log_weight, self.reservoir.reshape(-1)[partner], generator)
        walk.chains[offer.taken] = self.below.flat[partner[offer.taken]]
        walk.chains, (own, there) = self.machine.walk(
            self.model, walk.chains, self.stream.child("gibbs"), 2 * number, 1, self.model, self.below.prepared
        )
        walk.log_weight = own - there
        walk.trace.append(_observe(walk, self.modes))
        walk.acceptance.append(offer.acceptance)


def within_groups(trace: Tensor, n_groups: int) -> FloatArray:
    """A trace (C, T, k) as ranks within each group of chains, in (0, 1), equal values with their mean rank.

    Groups are offered different states, so that their distributions differ for ever: that is their error, and no
    memory.  Aligned means would not do where some groups have a rare mode and others lack it, since what looks at
    ranks then finds chains of one group above those of another however well they move.
    """
    from scipy.stats import rankdata

    values = trace.cpu().numpy()
    ranks = np.empty(values.shape)
    for group in range(n_groups):
        part = values[group::n_groups]
        flat = part.reshape(-1, part.shape[-1])
        ranks[group::n_groups] = ((rankdata(flat, axis=0) - 0.5) / len(flat)).reshape(part.shape)
    return ranks


def _observe(walk: _Walk, modes: Tensor) -> Tensor:
    """(C, 1 + k): ln w and the projections on the modes."""
    return torch.cat((walk.log_weight[:, None], walk.chains.to(modes.dtype) @ modes), 1)
