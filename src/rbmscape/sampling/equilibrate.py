"""From a ladder to samples with a verdict: the steps that all who temper share.

Half of the columns start elsewhere (`rbmscape.sampling.origins`), the annealer is one whose rounding shifts no mode
(`rbmscape.sampling.rounded`), and in the end states that may matter are held against their probability
(`rbmscape.sampling.missed`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from rbmscape.kernels.interface import Annealer, Engine
from rbmscape.progress import Advance, silent
from rbmscape.rng import Stream
from rbmscape.sampling.ladder import Ladder
from rbmscape.sampling.missed import ladder_log_partition, missed_weight
from rbmscape.sampling.origins import from_elsewhere
from rbmscape.sampling.rounded import faithful_annealer
from rbmscape.sampling.tempered import Tempered
from rbmscape.sampling.tempering import temper, temper_until

__all__ = ["Machine", "equilibrate"]

_MOST_STARTS = 512


class Machine(NamedTuple):
    """What samples: an engine and its annealer, and whether another precision may be taken (``auto``)."""

    engine: Engine
    annealer: Annealer
    precision: str = "auto"


def equilibrate(
    ladder: Ladder,
    n_chains: int,
    rounds: int,
    stream: Stream,
    machine: Machine,
    *,
    known: Tensor | None = None,
    fixed: bool = False,
    progress: Advance = silent,
) -> tuple[Tempered, Ladder, Annealer]:
    """Temper on a ladder until nothing speaks against equilibrium.

    Parameters
    ----------
    rounds : at most, or exactly where they are fixed
    known : (n, N) states that may have weight, entries 0 or 1

    Returns
    -------
    The samples, whose ``doubts`` hold what the last of the checks found; the ladder and annealer that they come from
    """
    rbm = ladder.models[-1]
    ladder = from_elsewhere(ladder, known, stream, machine.annealer)
    annealer, doubts = faithful_annealer(rbm, ladder.top_states, machine.engine, machine.annealer, machine.precision)
    tempering = stream.child("tempering")
    if fixed:
        tempered = temper(ladder, n_chains, rounds, tempering, annealer, progress=progress)
    else:
        tempered = temper_until(ladder, n_chains, tempering, annealer, rounds, progress=progress)
    starts = ladder.top_states
    if known is not None and len(known):
        picked = stream.child("known").numpy().permutation(len(known))[:_MOST_STARTS]
        starts = torch.cat((starts, known[torch.from_numpy(picked)].to(starts)))
    log_z = ladder_log_partition(ladder, tempered)
    doubts += missed_weight(rbm, log_z, starts, tempered.v, stream, annealer)
    return replace(tempered, doubts=(*tempered.doubts, *doubts)), ladder, annealer
