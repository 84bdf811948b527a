"""Equilibrium samples of a trained model, with a verdict on whether they are: what figures and estimates start from.

Plain Gibbs chains of a trained model may stay in the mode they began in for as long as one can wait.  Replica exchange
along the checkpoints of the training (`rbmscape.sampling.tempering`) runs here until nothing speaks against
equilibrium, or until a budget is spent.

Where more samples are wanted than there are chains, these go on without the rungs that mix by Gibbs steps alone: once
there is equilibrium, the rungs below keep it up no better and cost most of the time (`benchmarks.tempering`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rbmscape.arguments import checked
from rbmscape.checks import check_count
from rbmscape.errors import InputError
from rbmscape.kernels.interface import Annealer, Engine
from rbmscape.kernels.select import select_engine
from rbmscape.memory import check_memory
from rbmscape.model.rbm import RBM
from rbmscape.model.trained import Trained, one_model
from rbmscape.progress import Advance, Progress, reporting
from rbmscape.rng import Stream
from rbmscape.sampling.budget import FEWEST_ROUNDS, affordable_rounds, chains_in_memory
from rbmscape.sampling.draws import Draws, drawn_hidden
from rbmscape.sampling.equilibrate import Machine, equilibrate
from rbmscape.sampling.kept import KeptLadder, ladder_to, models_of
from rbmscape.sampling.ladder import Ladder, floor_rung
from rbmscape.sampling.origins import binary_rows, known_states
from rbmscape.sampling.samples import ALONG_TRAINING, IN_TEMPERATURE, Samples
from rbmscape.sampling.tempered import Tempered
from rbmscape.sampling.tempering import temper

__all__ = ["MAX_CHAINS", "equilibrium_samples"]

MAX_CHAINS = 200
"""Chains that are tempered together; replicas cost a rung each, so that more samples come from longer chains."""


@checked
def equilibrium_samples(
    models: RBM | Sequence[RBM] | KeptLadder | Trained,
    n_samples: int = 200,
    seed: int = 0,
    *,
    others: Tensor | Any | None = None,
    budget: float | None = None,
    engine: str | Engine = "auto",
    precision: str = "auto",
    progress: Progress = False,
) -> Samples:
    """Samples of the last of a training's models.

    Parameters
    ----------
    models : a run, on whose own ladder replicas are exchanged where its training kept one ("ptt"), else along its
        checkpoints; or checkpoints of one training, first to last; or a single model, which is tempered in temperature
    n_samples : how many; up to 200 come from as many independent chains (of wide models from fewer, whose states take
        half a gigabyte), each as many more from the same chains after as many rounds as there are between independent
        draws
    seed : key of all random numbers
    others : (n, N) states that may have weight, such as data or the chains of a training, entries 0 or 1; some of the
        chains start from them.  By default a run's own data and chains.
    budget : multiply-adds until equilibrium at most, see `rbmscape.sampling.budget`; fewer are made where fewer
        suffice, and without a budget 1024 rounds at most
    progress : show a bar, or a reporter that counts Gibbs steps of replicas

    Returns
    -------
    `Samples`, whose ``verdict`` says in one sentence what speaks against equilibrium.  ``converged`` promises that
    nothing was found to speak against it on any rung, also not that half of the chains began elsewhere (see
    `rbmscape.sampling.origins`); a mode that neither these states nor the ladder lead to is not seen by anything.

    Raises
    ------
    InputError : no models, different shapes, or a number out of range
    EngineError : engine or precision is not available on this machine
    """
    path, rbm = _path(models)
    known = known_states(models) if others is None else binary_rows(rbm, others, "others")
    n_samples = check_count("n_samples", n_samples)
    check_memory(2 * n_samples * (rbm.n_visible + rbm.n_hidden), f"{n_samples} samples", "draw fewer at a time")
    chosen = select_engine(engine, precision, rbm.device)
    annealer = chosen.annealer()
    stream = Stream(seed, "equilibrium")
    n_chains = min(n_samples, MAX_CHAINS)
    with reporting(progress, "replica exchange") as advance:
        ladder = ladder_to(rbm, path, stream.child("ladder"), annealer, progress=advance)
        n_chains = min(n_chains, chains_in_memory(len(ladder.models), rbm.n_visible))
        rounds = affordable_rounds(budget, len(ladder.models), n_chains, rbm)
        machine = Machine(chosen, annealer, precision)
        tempered, ladder, annealer = equilibrate(
            ladder, n_chains, rounds, stream, machine, known=known, progress=advance
        )
        more = -(-n_samples // n_chains) - 1
        further = _further(ladder, tempered, more, stream.child("further"), annealer, advance)
    v = torch.cat((tempered.v, *further))[:n_samples]
    how: dict[str, str | float] = {
        "samples_method": IN_TEMPERATURE if path is None else ALONG_TRAINING,
        "samples_chains": n_chains,
        "samples_rungs": len(ladder.models),
        "samples_rounds": tempered.n_rounds,
        "samples_passages": float(tempered.passages.mean()),
        "samples_seed": stream.seed,
        "samples_engine": chosen.name,
        "samples_precision": annealer.name,
    }
    return Samples(rbm, Draws(v[:, None], drawn_hidden(rbm, v, stream)[:, None]), how, tempered.verdict, tempered)


def _path(models: RBM | Sequence[RBM] | KeptLadder | Trained) -> tuple[list[RBM] | KeptLadder | None, RBM]:
    """The models to climb along, None for temperature, and the wanted model."""
    if isinstance(models, RBM):
        return None, models
    found = models_of(models) if isinstance(models, Trained) else models
    if isinstance(found, KeptLadder):
        return found, found.models[-1]
    try:
        given = list(found)
    except TypeError:  # nothing to go through
        given = [one_model(models, "equilibrium_samples")]
    path = [one_model(model, "equilibrium_samples") for model in given]
    if not path:
        raise InputError("equilibrium samples need a model, found an empty sequence; pass the checkpoints of a run")
    return path if len(path) > 1 else None, path[-1]


def _further(
    ladder: Ladder, tempered: Tempered, count: int, stream: Stream, annealer: Annealer, advance: Advance
) -> list[Tensor]:
    """So many times the chains again, (n_chains, N) each, from above the ladder's floor."""
    if count < 1:
        return []
    floor = floor_rung(ladder, tempered.states, stream.child("floor"), annealer)
    n_chains, n_draws, _ = tempered.trace.shape
    between = max(1, min(n_draws, math.ceil(n_chains * n_draws / max(1.0, tempered.ess))))
    found: dict[int, Tensor] = {}

    def watch(number: int, v: Tensor) -> None:
        if (number + 1) % between == 0:
            found[number] = v.clone()

    rounds = max(FEWEST_ROUNDS, count * between)
    temper(ladder.above(floor, tempered.states), n_chains, rounds, stream, annealer, progress=advance, watch=watch)
    return list(found.values())[:count]
