"""Equilibrium samples of a trained model, with a verdict on whether they are: what figures and estimates start from.

Plain Gibbs chains of a trained model may stay in the mode they began in for as long as one can wait.  Replica exchange
along the checkpoints of the training (`rbmscape.sampling.tempering`) runs here until nothing speaks against
equilibrium, or until a budget is spent.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.errors import InputError
from rbmscape.kernels.annealing import annealer_for
from rbmscape.kernels.select import select_engine
from rbmscape.model.rbm import RBM
from rbmscape.rng import Stream
from rbmscape.sampling.ladder import choose_ladder, ladder_models, shortest_ladder
from rbmscape.sampling.sample import Samples, drawn_hidden
from rbmscape.sampling.tempering import BURN_IN, Progress, temper_until

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
    n_samples : how many; up to 200 come from as many independent columns of replicas, more from several rounds of them
    seed : key of all random numbers
    budget : rounds (a Gibbs step on each rung and an exchange) at most; fewer are made where fewer suffice
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
    if isinstance(n_samples, bool) or n_samples < 1:
        raise InputError(f"n_samples must be a positive integer, found {n_samples!r}; 200 is a usual value")
    rbm, along = path[-1], len(path) > 1
    chosen = select_engine(engine, precision, rbm.device)
    annealer = annealer_for(chosen)
    stream = Stream(seed, "equilibrium")
    choose = shortest_ladder if along else choose_ladder
    ladder = choose(ladder_models(rbm, path if along else None), stream.child("ladder"), annealer)
    kept = _Kept()
    n_columns = min(n_samples, MAX_COLUMNS)
    tempered = temper_until(
        ladder, n_columns, stream.child("tempering"), annealer, budget, progress=progress, watch=kept.add
    )
    v = kept.spread(n_samples, n_columns, rbm.n_visible).to(rbm.device)
    method = "trajectory" if along else "tempering"
    return Samples(
        v, drawn_hidden(rbm, v, stream), seed, tempered.n_rounds, 1.0, method, chosen.name, annealer.name, tempered
    )


class _Kept:
    """States of the top rung after every round, eight pixels a byte."""

    def __init__(self) -> None:
        self.rounds: list[NDArray[np.uint8]] = []

    def add(self, _number: int, v: Tensor) -> None:
        self.rounds.append(np.packbits(v.cpu().numpy(), axis=1))

    def spread(self, n_samples: int, n_columns: int, n_visible: int) -> Tensor:
        """(n_samples, n_visible) uint8: the last round, and others evenly spread over the rounds after burn-in."""
        first, last = int(BURN_IN * len(self.rounds)), len(self.rounds) - 1
        count = -(-n_samples // n_columns)
        numbers = np.linspace(last, first, count).round().astype(int) if count > 1 else np.array([last])
        states = [np.unpackbits(self.rounds[number], axis=1, count=n_visible) for number in numbers]
        return torch.from_numpy(np.concatenate(states)[:n_samples])
