"""Rows that are sampled: Gibbs chains with the known units held, and replica exchange where those do not agree.

A block of rows runs together, so many chains a row; chain c of row r is chain r C + c of the block.  Rows are judged
one by one, each on its own chains.  Shapes: (rows, chains, units).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.kernels.interface import Engine
from rbmscape.model.rbm import RBM
from rbmscape.model.trained import Trained
from rbmscape.progress import Advance
from rbmscape.rng import Stream
from rbmscape.sampling.budget import MAX_ROUNDS, affordable_rounds, round_cost
from rbmscape.sampling.clamped import ClampedAnnealer
from rbmscape.sampling.gibbs import random_start
from rbmscape.sampling.ladder import Ladder, choose_ladder, ladder_models, shortest_ladder
from rbmscape.sampling.rungs import about_differences, summary
from rbmscape.sampling.samples import ALONG_TRAINING, GIBBS, IN_TEMPERATURE
from rbmscape.sampling.tempered import MIN_ACCEPTANCE, MIN_PASSAGES, Tempered
from rbmscape.sampling.tempering import ONE_LOOK, temper_until
from rbmscape.sampling.verdict import EquilibriumVerdict, mixing_doubts, trace_diagnostics

__all__ = ["sampled_rows"]

_USUAL_RUNGS, _USEFUL_ROUNDS = 16, 64
"""What a budget must allow after Gibbs chains, or else these get all of it: shorter exchange leaves less."""
_EVERY = 4
_FEWEST_DRAWS, _MOST_DRAWS = 8, 64
_AVERAGED = 25_600


@dataclass(eq=False)
class Rows:
    """A block of rows, and what is found about them.

    Attributes
    ----------
    model : the model
    states, missing : (rows, N) uint8 and bool
    chains : of each row
    v, h : (rows, chains, N) and (rows, chains, M) uint8
    probability, stderr : (rows, N) float64
    verdicts, methods : of each row
    """

    model: RBM
    states: Tensor
    missing: Tensor
    chains: int
    v: Tensor = field(default_factory=lambda: torch.empty(0))
    h: Tensor = field(default_factory=lambda: torch.empty(0))
    probability: Tensor = field(default_factory=lambda: torch.empty(0))
    stderr: Tensor = field(default_factory=lambda: torch.empty(0))
    verdicts: list[EquilibriumVerdict] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)

    def part(self, indices: list[int]) -> Rows:
        """Some of the rows, nothing known of them yet."""
        return Rows(self.model, self.states[indices], self.missing[indices], self.chains)

    def replace(self, indices: list[int], other: Rows) -> None:
        """Take what was found about some of the rows."""
        for name in ("v", "h", "probability", "stderr"):
            getattr(self, name)[indices] = getattr(other, name)
        for place, index in enumerate(indices):
            self.verdicts[index], self.methods[index] = other.verdicts[place], other.methods[place]

    @property
    def n_chains(self) -> int:
        """Of all rows."""
        return len(self.states) * self.chains

    def clamp(self, engine: Engine) -> ClampedAnnealer:
        """What moves the chains of all rows."""
        held, free = (x.repeat_interleave(self.chains, 0) for x in (self.states, self.missing))
        return ClampedAnnealer(engine.annealer(), held, free)


def sampled_rows(
    rows: Rows,
    run: Trained | None,
    method: str,
    budget: float | None,
    stream: Stream,
    engine: Engine,
    advance: Advance,
) -> Rows:
    """The rows with samples, probabilities and verdicts.

    Parameters
    ----------
    run : along whose models replicas are exchanged; None for temperature
    method : ``"gibbs"``, ``"tempering"``, or ``"auto"`` for the first and then, where that is in doubt, the second
    budget : multiply-adds at most
    """
    if method == "tempering":
        return _temper(rows, run, budget, stream, engine, advance)
    shape = rows.model.n_visible, rows.model.n_hidden
    exchange = _USEFUL_ROUNDS * rows.chains * round_cost(_USUAL_RUNGS, *shape)  # of one row
    first = budget
    if budget is not None and method == "auto" and budget / 2 >= exchange * len(rows.states):
        first = budget / 2
    rounds = affordable_rounds(first, 1, rows.n_chains, rows.model, MAX_ROUNDS)
    single = Ladder((rows.model,), (0.0,), _fair_bits(rows, stream)[None])
    _run(rows, single, GIBBS, rounds, stream.child("gibbs"), engine, advance)
    doubtful = [place for place, verdict in enumerate(rows.verdicts) if not verdict.converged]
    if method == "gibbs" or not doubtful:
        return rows
    part, left = rows.part(doubtful), None
    if budget is not None:
        left = budget - rounds * rows.n_chains * round_cost(1, *shape)
        if left < exchange * len(doubtful):
            return rows
    rows.replace(doubtful, _temper(part, run, left, stream, engine, advance))
    return rows


def _fair_bits(rows: Rows, stream: Stream) -> Tensor:
    return random_start(rows.n_chains, rows.model.n_visible, stream, device=rows.model.device)


def _temper(
    rows: Rows, run: Trained | None, budget: float | None, stream: Stream, engine: Engine, advance: Advance
) -> Rows:
    """Replica exchange of all rows."""
    along = run is not None
    path = ladder_models(rows.model, None if run is None else list(run.models()))
    choose = shortest_ladder if along else choose_ladder
    ladder = choose(path, stream.child("ladder"), engine.annealer(), progress=advance)
    rounds = affordable_rounds(budget, len(ladder.models), rows.n_chains, rows.model)
    way = ALONG_TRAINING if along else IN_TEMPERATURE
    return _run(rows, ladder, way, rounds, stream.child("tempering"), engine, advance)


class _Recorder:
    """States of the top rung every few rounds, eight units a byte, and what rows are judged by."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.packed: list[NDArray[np.uint8]] = []
        self.verdicts: list[EquilibriumVerdict] = []
        self.before: list[EquilibriumVerdict] = []

    def watch(self, number: int, v: Tensor) -> None:
        """Called after every round."""
        if number % _EVERY == 0:
            self.packed.append(np.packbits(v.cpu().numpy(), axis=1))

    def enough(self, result: Tempered) -> bool:
        """Judge every row; whether none is in doubt."""
        shape = len(self.rows.states), self.rows.chains
        trace = result.trace.reshape(*shape, *result.trace.shape[1:])
        self.before = self.verdicts
        self.verdicts = [self._verdict(result, row, trace[row]) for row in range(shape[0])]
        return all(verdict.converged for verdict in self.verdicts)

    def in_two_looks(self) -> list[EquilibriumVerdict]:
        """The last verdicts; a row that only the last look pleased is in doubt, since one may please by chance."""
        passed_before = [verdict.converged for verdict in self.before] or [False] * len(self.verdicts)
        return [
            replace(verdict, objections=(ONE_LOOK,)) if verdict.converged and not before else verdict
            for verdict, before in zip(self.verdicts, passed_before, strict=True)
        ]

    def _verdict(self, result: Tempered, row: int, trace: NDArray[np.float64]) -> EquilibriumVerdict:
        chains = slice(row * self.rows.chains, (row + 1) * self.rows.chains)
        ess, r_hat, drift = trace_diagnostics(trace[:, 1:], trace[:, 0])
        found = mixing_doubts(ess, r_hat, drift)
        accepted = [
            float(np.exp(np.minimum(0.0, up[chains] - down[chains])).mean())
            for up, down in zip(result.forward, result.backward, strict=True)
        ]
        if accepted and min(accepted) < MIN_ACCEPTANCE:
            found.append(f"exchanges of rung {int(np.argmin(accepted))} are accepted with {min(accepted):.3f}")
        if accepted and result.passages[chains].mean() < MIN_PASSAGES:
            found.append(f"fresh states came {result.passages[chains].mean():.2f} times a chain")
        if not found:
            up, down = ([pair[chains] for pair in side] for side in (result.forward, result.backward))
            found += summary(about_differences(up, down))
        grounds = f"{len(accepted) + 1} rungs, {result.n_rounds} rounds, R-hat {r_hat:.3f}, {ess:.0f} independent draws"
        return EquilibriumVerdict(tuple(found), ess, r_hat, drift, grounds)


def _run(
    rows: Rows, ladder: Ladder, method: str, rounds: int, stream: Stream, engine: Engine, advance: Advance
) -> Rows:
    """Advance the chains until no row is in doubt, and summarise them."""
    recorder = _Recorder(rows)
    result = temper_until(
        ladder, rows.n_chains, stream, rows.clamp(engine), rounds, progress=advance, watch=recorder.watch,
        enough=recorder.enough,
    )  # fmt: skip
    rows.verdicts, rows.methods = recorder.in_two_looks(), [method] * len(rows.states)
    shape = len(rows.states), rows.chains
    sampler = engine.bind(rows.model, rows.n_chains)
    means = torch.zeros(rows.n_chains, rows.model.n_visible, dtype=torch.float64, device=rows.model.device)
    kept = _kept(recorder.packed, rows.n_chains)
    for number, packed in enumerate(kept):
        bits = np.unpackbits(packed, axis=1, count=rows.model.n_visible)
        sampler.v.copy_(torch.from_numpy(bits))
        sampler.sample_hidden(stream.child("hidden"), number + 1)
        means += rows.model.visible_probability(sampler.h.to(rows.model.dtype))
    means = (means / len(kept)).reshape(*shape, -1)
    rows.probability, rows.stderr = means.mean(1), means.std(1) / shape[1] ** 0.5
    sampler.v.copy_(result.v)
    sampler.sample_hidden(stream.child("hidden"), 0)
    rows.v, rows.h = (x.to(torch.uint8).reshape(*shape, -1) for x in (result.v, sampler.h))
    return rows


def _kept(packed: list[NDArray[np.uint8]], n_chains: int) -> list[NDArray[np.uint8]]:
    """Evenly spaced states of the second half."""
    later = packed[len(packed) // 2 :]
    count = min(len(later), max(_FEWEST_DRAWS, min(_MOST_DRAWS, _AVERAGED // n_chains)))
    return [later[(place * len(later)) // count] for place in range(count)]
