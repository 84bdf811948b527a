"""Equilibrated samples of a model, by tempering along its training or in temperature.

Reverse annealing bounds ln Z only if its starts are equilibrated, so the samples come with what speaks against that.
Without earlier models the ladder is that of plain temperature, all parameters scaled by beta from 0 to 1.  It is
longer than one along the annealing path would be, but starts from *all* states alike: a mode that the base of the
annealing path suppresses, and that both directions would then miss together, shows up as a gap between them.
"""

from __future__ import annotations

from collections.abc import Sequence

from rbmscape.kernels.interface import Annealer
from rbmscape.likelihood.path import AnnealingPath
from rbmscape.model.rbm import RBM
from rbmscape.progress import Advance, silent
from rbmscape.rng import Stream
from rbmscape.sampling.budget import affordable_rounds
from rbmscape.sampling.ladder import TARGET_ACCEPTANCE, Ladder, choose_ladder, ladder_models, shortest_ladder
from rbmscape.sampling.tempered import Tempered
from rbmscape.sampling.tempering import temper, temper_until

__all__ = ["equilibrium_ladder", "reverse_starts"]


def equilibrium_ladder(
    path: AnnealingPath,
    stream: Stream,
    annealer: Annealer,
    models: Sequence[RBM] | None = None,
    target: float = TARGET_ACCEPTANCE,
) -> Ladder:
    """Rungs along the training where earlier models are given, else in temperature.

    Parameters
    ----------
    models : earlier models of the same training, first to last; the path's own model may be the last of them

    Raises
    ------
    InputError : an empty sequence, or models of another shape
    """
    rungs = ladder_models(path.rbm, models)
    if models is None:
        return choose_ladder(rungs, stream.child("ladder"), annealer, target)
    return shortest_ladder(rungs, stream.child("ladder"), annealer, target, path.model_at(0.0))


def reverse_starts(
    path: AnnealingPath,
    n_chains: int,
    stream: Stream,
    annealer: Annealer,
    models: Sequence[RBM] | None = None,
    *,
    n_rounds: int | None = None,
    budget: float | None = None,
    ladder: Ladder | None = None,
    progress: Advance = silent,
) -> Tempered:
    """n_chains independent samples of the path's model.

    Parameters
    ----------
    n_rounds : rounds of tempering; by default until nothing speaks against equilibrium or the budget is spent
    budget : multiply-adds at most, see `rbmscape.sampling.budget`
    ladder : from `equilibrium_ladder`, to use it again

    Returns
    -------
    `Tempered`, whose `objections` say what speaks against equilibrium
    """
    chosen = ladder or equilibrium_ladder(path, stream, annealer, models)
    tempering = stream.child("tempering")
    if n_rounds is not None:
        return temper(chosen, n_chains, n_rounds, tempering, annealer, progress=progress)
    most = affordable_rounds(budget, len(chosen.models), n_chains, path.rbm)
    return temper_until(chosen, n_chains, tempering, annealer, most, progress=progress)
