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
    moving = _moved(machine, ladder, partner, window, stream)
    links = list(ladder.links)
    for low in pairs:
        links[low] = _exchange(moving[low], moving[low + 1], links[low], stream.child(f"pair/{low}"), number)
    rungs = tuple(_written(rung, part) for rung, part in zip(ladder.rungs, moving, strict=True))
    return Ladder(rungs, tuple(links), number + 1)


def _moved(machine: Machine, ladder: Ladder, partner: dict[int, int], window: int, stream: Stream) -> list[_Moving]:
    """All rungs, moved together."""
    number, count, n_groups = ladder.sweeps, len(ladder.rungs), ladder.n_groups
    rows = [(torch.arange(window) + number * window) % rung.states.shape[1] for rung in ladder.rungs]
    picked = [rung.states[:, taken].flatten(0, 1) for rung, taken in zip(ladder.rungs, rows, strict=True)]
    looks = [(rung, model) for rung in range(count) for model in (rung, partner.get(rung)) if model is not None]
    streams = [stream.child(f"rung/{rung}") for rung in range(count)]
    prepared = [rung.prepared for rung in ladder.rungs]
    states, densities = machine.walk_rungs(prepared, torch.stack(picked), streams, 2 * number, looks)
    seen = {look: density.reshape(n_groups, window) for look, density in zip(looks, densities, strict=True)}
    return [
        _Moving(rows[rung], v.reshape(n_groups, window, -1), seen[rung, rung], seen.get((rung, partner.get(rung, -1))))
        for rung, v in enumerate(states)
    ]


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
