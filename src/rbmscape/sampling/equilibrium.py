"""Equilibrium samples of a trained model, with a verdict on whether they are: what figures and estimates start from.

Plain Gibbs chains of a trained model may stay in the mode they began in for as long as one can wait.  Replica exchange
along the checkpoints of the training (`rbmscape.sampling.tempering`) runs here until nothing speaks against
equilibrium, or until a budget is spent.

Where more samples are wanted than there are columns, these go on without the rungs that mix by Gibbs steps alone: once
there is equilibrium, the rungs below keep it up no better and cost most of the time (`benchmarks.tempering`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from rbmscape.checks import check_count
from rbmscape.errors import InputError
from rbmscape.kernels.floats.annealing import Annealer, annealer_for
from rbmscape.kernels.select import select_engine
from rbmscape.model.rbm import RBM
from rbmscape.rng import Stream
from rbmscape.sampling.ladder import Ladder, choose_ladder, floor_rung, ladder_models, shortest_ladder
from rbmscape.sampling.sample import Samples, drawn_hidden
from rbmscape.sampling.tempered import Tempered
from rbmscape.sampling.tempering import FEWEST_ROUNDS, Progress, temper, temper_until

__all__ = ["MAX_COLUMNS", "MAX_ROUNDS", "equilibrium_samples"]

MAX_COLUMNS = 200
MAX_ROUNDS = 1024


def equilibrium_samples(
    models: RBM | Sequence[RBM],
    n_samples: int = 200,
    seed: int = 0,
    budget: int = MAX_ROUNDS,
    *,
    engine: str = "auto",
    precision: str = "auto",
    progress: Progress | None = None,
) -> Samples:
    """Samples of the last of a training's models.

    Parameters
    ----------
    models : checkpoints of one training, first to last, as ``list(run.models())``; or a single model, which is tempered
        in temperature
    n_samples : how many; up to 200 come from as many independent columns of replicas, each 200 more from the same
        columns after as many rounds as there are between independent draws
    seed : key of all random numbers
    budget : rounds (a Gibbs step on each rung and an exchange) until equilibrium at most; fewer are made where fewer
        suffice
    progress : called with the number of replica-steps done since the last call

    Returns
    -------
    `Samples` whose ``tempered`` holds ``converged``, ``verdict`` (one sentence), ``objections``, ESS and R-hat

    Raises
    ------
    InputError : no models, different shapes, or a number out of range
    EngineError : engine or precision is not available on this machine
    """
    path = [models] if isinstance(models, RBM) else list(models)
    if not path:
        raise InputError("equilibrium samples need a model, found an empty sequence; pass the checkpoints of a run")
    n_samples = check_count("n_samples", n_samples)
    rbm, along = path[-1], len(path) > 1
    chosen = select_engine(engine, precision, rbm.device)
    annealer = annealer_for(chosen)
    stream = Stream(seed, "equilibrium")
    choose = shortest_ladder if along else choose_ladder
    ladder = choose(ladder_models(rbm, path if along else None), stream.child("ladder"), annealer)
    n_columns = min(n_samples, MAX_COLUMNS)
    tempered = temper_until(ladder, n_columns, stream.child("tempering"), annealer, budget, progress=progress)
    further = _further(ladder, tempered, -(-n_samples // n_columns) - 1, stream.child("further"), annealer, progress)
    v = torch.cat((tempered.v, *further))[:n_samples]
    method = "trajectory" if along else "tempering"
    return Samples(
        v, drawn_hidden(rbm, v, stream), seed, tempered.n_rounds, 1.0, method, chosen.name, annealer.name, tempered
    )


def _further(
    ladder: Ladder, tempered: Tempered, count: int, stream: Stream, annealer: Annealer, progress: Progress | None
) -> list[Tensor]:
    """So many times the columns again, (n_columns, N) each, from above the ladder's floor."""
    if count < 1:
        return []
    floor = floor_rung(ladder, tempered.states, stream.child("floor"), annealer)
    n_columns, n_draws, _ = tempered.trace.shape
    between = max(1, min(n_draws, math.ceil(n_columns * n_draws / max(1.0, tempered.ess))))
    found: dict[int, Tensor] = {}

    def watch(number: int, v: Tensor) -> None:
        if (number + 1) % between == 0:
            found[number] = v.clone()

    rounds = max(FEWEST_ROUNDS, count * between)
    temper(ladder.above(floor, tempered.states), n_columns, rounds, stream, annealer, progress=progress, watch=watch)
    return list(found.values())[:count]
