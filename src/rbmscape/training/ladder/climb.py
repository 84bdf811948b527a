"""From the newest rung to a model: thermalise there, link both, and put rungs in between where they are too far apart.

A freeze is a climb of one stage to the present model; a checkpoint's ln Z is a climb to the reported one that is thrown
away.  Interpolated models ``(1-t) old + t new`` serve where the reservoir below is too thin for the new model, where
chains do not come to equilibrium there within some rounds, or where both directions of the link contradict each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rbmscape.kernels.interface import BoundPath
from rbmscape.likelihood.bracket import MIN_CHAINS, SIGMAS, TOLERANCE
from rbmscape.likelihood.estimate import MIN_OVERLAP
from rbmscape.model.interpolate import interpolated
from rbmscape.model.rbm import RBM
from rbmscape.rng import Stream
from rbmscape.sampling.ladder import leading_modes
from rbmscape.training.ladder.exchange import MAX_THIN, thinness
from rbmscape.training.ladder.link import Link, connect
from rbmscape.training.ladder.machine import Machine
from rbmscape.training.ladder.rungs import Ladder, Rung, extended
from rbmscape.training.ladder.thermalise import Thermal, thermalise

__all__ = ["Climb", "Effort", "climb", "link_doubts"]

SHORTEST = 1.0 / 64.0
LONG = 1.0 / 8.0
PATIENCE = 128


@dataclass(frozen=True, slots=True)
class Effort:
    """What a climb may cost.

    Attributes
    ----------
    size : states of each group in the new reservoir
    keep : states of each group that an older reservoir keeps, at most as many as a group has chains
    max_rounds : rounds of a thermalisation
    max_stages : rungs that a climb may add
    """

    size: int
    keep: int
    max_rounds: int = 1024
    max_stages: int = 32


@dataclass(frozen=True, slots=True, eq=False)
class Climb:
    """Where a climb ended.

    Attributes
    ----------
    ladder : up to the model
    chains : (C, N) of the model
    stages : what was measured on each new rung
    doubts : what speaks against them, in words
    """

    ladder: Ladder
    chains: Tensor
    stages: tuple[Thermal, ...]
    doubts: tuple[str, ...]


def climb(
    machine: Machine, ladder: Ladder, model: RBM, chains: Tensor, effort: Effort, stream: Stream, update: int
) -> Climb:
    """Climb from the newest rung to a model.

    Parameters
    ----------
    chains : (C, N) states close to the model
    stream : of this climb alone
    update : of the training, noted in the new rungs
    """
    modes = leading_modes(model.weights)
    draws = -(-effort.size // (len(chains) // ladder.n_groups))
    start, reached, step = ladder.top.model, 0.0, 1.0
    stages: list[Thermal] = []
    doubts: list[str] = []
    while reached < 1.0:
        if doubts:  # nothing that follows could be trusted
            step, target, prepared = 1.0 - reached, model, machine.prepare(model)
        else:
            step, target, prepared = _next(machine, ladder.top, start, model, reached, step)
        if step < SHORTEST or len(stages) == effort.max_stages:
            doubts.append(f"the model lies more than {len(stages)} rungs above the last one")
            step, target, prepared = 1.0 - reached, model, machine.prepare(model)
        reached = min(1.0, reached + step)
        here = stream.child(f"stage/{len(stages)}/{step}")
        last = step < LONG or len(stages) == effort.max_stages or bool(doubts)
        rounds = effort.max_rounds if last and not doubts else min(PATIENCE, effort.max_rounds)
        thermal = thermalise(machine, prepared, ladder.top, chains, modes, draws, rounds, here)
        link = connect(thermal.below, thermal.above)
        found = [*thermal.doubts, *link_doubts(link)]
        if found and not last:
            reached, step = reached - step, step / 2.0
            continue
        doubts += found
        rung = Rung(target, prepared, thermal.states, torch.empty(0), update).with_states(machine, thermal.states)
        ladder = extended(ladder, rung, link, effort.keep)
        chains = thermal.chains
        stages.append(thermal)
        step = 2.0 * step
    return Climb(ladder, chains, tuple(stages), tuple(doubts))


def _next(
    machine: Machine, below: Rung, start: RBM, model: RBM, reached: float, step: float
) -> tuple[float, RBM, BoundPath]:
    """The longest of the steps step, step/2, … on the line whose end the reservoir below can represent."""
    while True:
        step = min(step, 1.0 - reached)
        target = interpolated(start, model, min(1.0, reached + step))
        prepared = machine.prepare(target)
        log_weights = machine.log_densities(below.flat, prepared)[0] - below.log_density.reshape(-1)
        if thinness(log_weights) <= MAX_THIN or step < SHORTEST:
            return step, target, prepared
        step /= 2.0


def link_doubts(link: Link) -> list[str]:
    """What a link says against itself, in both directions."""
    found = []
    if link.overlap < MIN_OVERLAP:
        found.append(f"both directions overlap by {link.overlap:.3f}, less than {MIN_OVERLAP}")
    if link.ess < MIN_CHAINS:
        found.append(f"one direction rests on {link.ess:.1f} states, fewer than {MIN_CHAINS:g}")
    gap = link.forward - link.backward
    if abs(gap) > SIGMAS * link.one_sided_error + TOLERANCE:
        found.append(f"the ratio from below and that from above differ by {gap:.2f} ± {link.one_sided_error:.2f} nats")
    return found
