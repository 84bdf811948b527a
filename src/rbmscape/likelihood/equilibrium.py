"""Equilibrated samples of a model, by tempering along its training or in temperature.

Reverse annealing bounds ln Z only if its starts are equilibrated, so the samples come with what speaks against that.
The ladder never begins at the base of the annealing path, which fits the scored data: a mode that this base suppresses
would then be missed by both directions together.  It begins at independent units of the first model, or without earlier
models at all states alike (plain temperature, all parameters scaled by beta from 0 to 1), so that such a mode shows up
as a gap between both directions.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from rbmscape.likelihood.path import AnnealingPath
from rbmscape.model.rbm import RBM
from rbmscape.progress import Advance, silent
from rbmscape.rng import Stream
from rbmscape.sampling.budget import affordable_rounds
from rbmscape.sampling.equilibrate import Machine, equilibrate
from rbmscape.sampling.kept import KeptLadder, ladder_to
from rbmscape.sampling.tempered import Tempered

__all__ = ["reverse_starts"]


def reverse_starts(
    path: AnnealingPath,
    n_chains: int,
    stream: Stream,
    machine: Machine,
    models: Sequence[RBM] | KeptLadder | None = None,
    *,
    known: Tensor | None = None,
    n_rounds: int | None = None,
    budget: float | None = None,
    progress: Advance = silent,
) -> Tempered:
    """n_chains independent samples of the path's model.

    Parameters
    ----------
    models : earlier models of the same training, first to last, the path's own perhaps the last of them; or the ladder
        that the training kept
    known : (n, N) states that may have weight, such as data and chains of the training; see `rbmscape.sampling.origins`
    n_rounds : rounds of tempering; by default until nothing speaks against equilibrium or the budget is spent
    budget : multiply-adds at most, see `rbmscape.sampling.budget`

    Returns
    -------
    `Tempered`, whose `objections` say what speaks against equilibrium

    Raises
    ------
    InputError : an empty sequence, or models of another shape
    """
    ladder = ladder_to(path.rbm, models, stream.child("ladder"), machine.annealer, progress=progress)
    most = n_rounds if n_rounds is not None else affordable_rounds(budget, len(ladder.models), n_chains, path.rbm)
    fixed = n_rounds is not None
    return equilibrate(ladder, n_chains, most, stream, machine, known=known, fixed=fixed, progress=progress)[0]
