r"""Parallel tempering of the reservoirs between fixed models: what keeps, repairs and measures the ladder.

In a sweep each rung moves as many states as an old reservoir has by one Gibbs step (of a larger one the next in turn;
on the lowest rung these are fresh independent draws), and neighbours r, r+1 exchange with probability
``min(1, exp[F_r(v_r) + F_{r+1}(v_{r+1}) - F_r(v_{r+1}) - F_{r+1}(v_r)])``, even pairs in even sweeps, odd ones in odd
sweeps, as in `rbmscape.sampling.tempering`; here who meets whom is drawn anew within each group.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rbmscape.rng import Stream
from rbmscape.training.ladder.link import Link, add_sweep
from rbmscape.training.ladder.machine import Machine
from rbmscape.training.ladder.rungs import Ladder, Rung

__all__ = ["sweep"]


@dataclass(slots=True, eq=False)
class _Moving:
    """The states of one rung that take part: where they stand, (G, w, N), and their -F here and at the partner."""

    rows: Tensor
    states: Tensor
    own: Tensor
    other: Tensor | None


def sweep(machine: Machine, ladder: Ladder, window: int, stream: Stream) -> Ladder:
    """The ladder after one more sweep.

    Parameters
    ----------
    window : states of each group and rung that move; at most the smallest reservoir
    stream : of all sweeps; the ladder's number of sweeps keys the draws
    """
    number = ladder.sweeps
    pairs = range(number % 2, len(ladder.rungs) - 1, 2)
    partner = {low: low + 1 for low in pairs} | {low + 1: low for low in pairs}
    moving = [_moved(machine, ladder, rung, partner.get(rung), window, stream) for rung in range(len(ladder.rungs))]
    links = list(ladder.links)
    for low in pairs:
        links[low] = _exchange(moving[low], moving[low + 1], links[low], stream.child(f"pair/{low}"), number)
    rungs = tuple(_written(rung, part) for rung, part in zip(ladder.rungs, moving, strict=True))
    return Ladder(rungs, tuple(links), number + 1)


def _moved(machine: Machine, ladder: Ladder, rung: int, partner: int | None, window: int, stream: Stream) -> _Moving:
    here, number = ladder.rungs[rung], ladder.sweeps
    n_groups, size = here.states.shape[:2]
    rows = (torch.arange(window) + number * window) % size
    picked = here.states[:, rows].reshape(n_groups * window, -1)
    looks = [here.prepared] + ([] if partner is None else [ladder.rungs[partner].prepared])
    states, densities = machine.walk(here.prepared, picked, stream.child(f"rung/{rung}"), 2 * number, 1, *looks)
    own, *other = (density.reshape(n_groups, window) for density in densities)
    return _Moving(rows, states.reshape(n_groups, window, -1), own, other[0] if other else None)


def _exchange(low: _Moving, high: _Moving, link: Link, stream: Stream, number: int) -> Link:
    """Exchange in place, and the link with what the free energies say."""
    assert low.other is not None
    assert high.other is not None
    n_groups, window = low.own.shape
    generator = stream.numpy(number)
    turn = (torch.arange(window) + int(generator.integers(window))) % window
    high.rows, high.states, high.own, high.other = (
        high.rows[turn],
        high.states[:, turn],
        high.own[:, turn],
        high.other[:, turn],
    )
    gain, loss = low.other - low.own, high.own - high.other
    uniform = torch.from_numpy(generator.random((n_groups, window))).to(gain.device)
    swap = torch.log(uniform) < gain - loss
    link = add_sweep(link, gain, loss)
    low.states[swap], high.states[swap] = high.states[swap], low.states[swap]
    low.own, high.own = torch.where(swap, high.other, low.own), torch.where(swap, low.other, high.own)
    return link


def _written(rung: Rung, part: _Moving) -> Rung:
    states, density = rung.states.clone(), rung.log_density.clone()
    states[:, part.rows], density[:, part.rows] = part.states, part.own
    return replace(rung, states=states, log_density=density)
