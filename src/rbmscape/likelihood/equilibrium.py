"""Equilibrated samples of a model, by tempering along its training or in temperature.

Reverse annealing bounds ln Z only if its starts are equilibrated, so the samples come with what speaks against that.
Without earlier models the ladder is that of plain temperature, all parameters scaled by beta from 0 to 1.  It is
longer than one along the annealing path would be, but starts from *all* states alike: a mode that the base of the
annealing path suppresses, and that both directions would then miss together, shows up as a gap between them.
"""

from __future__ import annotations

from collections.abc import Sequence

from rbmscape.kernels.annealing import annealer_for
from rbmscape.kernels.select import select_engine
from rbmscape.likelihood.path import AnnealingPath
from rbmscape.model.rbm import RBM
from rbmscape.rng import Stream
from rbmscape.sampling.ladder import Ladder, choose_ladder, ladder_models, shortest_ladder
from rbmscape.sampling.tempering import Progress, Tempered, temper

__all__ = ["equilibrium_ladder", "equilibrium_samples"]

ROUNDS_PER_RUNG = 20
MIN_ROUNDS = 200
MAX_CHAINS = 200


def equilibrium_ladder(
    path: AnnealingPath,
    stream: Stream,
    models: Sequence[RBM] | None = None,
    engine: str = "auto",
    precision: str = "auto",
    target: float = 0.5,
) -> Ladder:
    """Rungs along the training where earlier models are given, else in temperature.

    Parameters
    ----------
    models : earlier models of the same training, first to last; the path's own model may be the last of them

    Raises
    ------
    InputError : an empty sequence, or models of another shape
    """
    rbm = path.rbm
    annealer = annealer_for(select_engine(engine, precision, rbm.device))
    rungs = ladder_models(rbm, models)
    if models is None:
        return choose_ladder(rungs, stream.child("ladder"), annealer, target)
    return shortest_ladder(rungs, stream.child("ladder"), annealer, target, path.model_at(0.0))


def equilibrium_samples(
    path: AnnealingPath,
    n_chains: int,
    stream: Stream,
    models: Sequence[RBM] | None = None,
    engine: str = "auto",
    precision: str = "auto",
    *,
    n_rounds: int | None = None,
    ladder: Ladder | None = None,
    progress: Progress | None = None,
) -> Tempered:
    """n_chains independent samples of the path's model.

    Parameters
    ----------
    n_rounds : rounds of tempering; by default 20 for each rung and at least 200, usually enough for a few passages
    ladder : from `equilibrium_ladder`, to use it again

    Returns
    -------
    `Tempered`, whose `objections` say what speaks against equilibrium
    """
    chosen = ladder or equilibrium_ladder(path, stream, models, engine, precision)
    rounds = n_rounds or max(MIN_ROUNDS, ROUNDS_PER_RUNG * len(chosen.models))
    annealer = annealer_for(select_engine(engine, precision, path.rbm.device))
    return temper(chosen, n_chains, rounds, stream.child("tempering"), annealer, progress=progress)
