"""Chains of a model that stands still, until they are in equilibrium by measurement, and what is collected from them.

A round offers every chain a state of the reservoir below (`exchange`) and moves it by Gibbs steps.  The rounds are
doubled until nothing speaks against equilibrium (`rbmscape.sampling.verdict`) and there were 20 times as many as the
integrated autocorrelation time of the slowest of ln w, which is the difference of the free energies, and the leading
modes; then states are collected, spaced by that time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from rbmscape.kernels.interface import BoundPath
from rbmscape.rng import Stream
from rbmscape.sampling.verdict import mixing_doubts, trace_diagnostics
from rbmscape.training.ladder.exchange import draw_partners, make_offer
from rbmscape.training.ladder.groups import split
from rbmscape.training.ladder.machine import Machine
from rbmscape.training.ladder.rungs import Rung

__all__ = ["MULTIPLE", "Thermal", "thermalise"]

FIRST_ROUNDS = 32
MULTIPLE = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class Thermal:
    """Chains and reservoir of the model, and what is known about them.

    Attributes
    ----------
    chains : (C, N) last states
    states : (G, n, N) collected, None where nothing was to be collected
    below : (G, m) ln w of the reservoir below
    above : (G, n) ln w of the collected states
    rounds : rounds made before collecting
    autocorrelation : integrated autocorrelation time of the slowest quantity, in rounds
    acceptance : mean acceptance over the judged rounds
    doubts : what speaks against equilibrium
    """

    chains: Tensor
    states: Tensor
    below: Tensor
    above: Tensor
    rounds: int
    autocorrelation: float
    acceptance: float
    doubts: tuple[str, ...]


@dataclass(slots=True, eq=False)
class _Walk:
    """What changes from round to round."""

    chains: Tensor
    log_weight: Tensor
    trace: list[Tensor]
    acceptance: list[float]


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
    """Bring chains (C, N) to equilibrium of a model and collect `draws` states of each.

    Parameters
    ----------
    model : prepared by the machine
    below : the rung whose reservoir is offered
    modes : (N, k) directions whose projections are watched
    max_rounds : rounds before collecting, at most
    stream : of this thermalisation alone
    """
    reservoir = machine.log_densities(below.flat, model)[0].reshape(below.log_density.shape) - below.log_density
    own, there = machine.log_densities(chains, model, below.prepared)
    walk = _Walk(chains.clone(), own - there, [], [])
    start = _observe(walk, modes).cpu().numpy()
    round_ = _Round(machine, model, below, reservoir, modes, stream)
    goal = min(FIRST_ROUNDS, max_rounds)
    while True:
        while len(walk.trace) < goal:
            round_(walk)
        kept = torch.stack(walk.trace[goal // 2 :], 1).cpu().numpy()
        ess, r_hat, drift = trace_diagnostics(kept, start)
        time = kept.shape[0] * kept.shape[1] / ess if ess > 0.0 else math.inf
        doubts = mixing_doubts(ess, r_hat, drift, "the new rung")
        if goal < MULTIPLE * time:
            doubts.append(
                f"thermalised for {goal} rounds, {goal / time:.1f} autocorrelation times (wanted {MULTIPLE:g})"
            )
        if not doubts or goal == max_rounds:
            break
        goal = min(2 * goal, max_rounds)
    acceptance = sum(walk.acceptance[goal // 2 :]) / (goal - goal // 2)
    states, above = _collected(walk, round_, draws, max(1, round(min(time, goal / MULTIPLE))), reservoir.shape[0])
    return Thermal(walk.chains, states, reservoir, above, goal, time, acceptance, tuple(doubts))


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


def _observe(walk: _Walk, modes: Tensor) -> Tensor:
    """(C, 1 + k): ln w and the projections on the modes."""
    return torch.cat((walk.log_weight[:, None], walk.chains.to(modes.dtype) @ modes), 1)


def _collected(walk: _Walk, round_: _Round, draws: int, spacing: int, n_groups: int) -> tuple[Tensor, Tensor]:
    """States and their ln w, (G, draws · C // G) each."""
    states, weights = [split(walk.chains, n_groups)], [split(walk.log_weight, n_groups)]
    for _ in range(draws - 1):
        for _ in range(spacing):
            round_(walk)
        states.append(split(walk.chains, n_groups))
        weights.append(split(walk.log_weight, n_groups))
    return torch.cat(states, 1), torch.cat(weights, 1)
