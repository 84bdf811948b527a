r"""The ladder that a training in equilibrium keeps, as the start of replica exchange.

Its rungs are frozen models of the training with states of each in equilibrium, so that no pilots have to climb, and
replicas need no time to forget where pilots stood.  Whether they are in equilibrium is not taken on trust: half of the
chains start elsewhere, fresh states have to come up from the lowest rung, and every rung is judged, as on any other
ladder (`rbmscape.sampling.tempering`).

Rungs lie closer for training than sampling needs them.  Of those whose exchanges with the last one would be accepted
with the target probability the highest is taken, by all pairs of states of both,
``⟨min(1, exp[F_r(v) + F_s(w) - F_r(w) - F_s(v)])⟩``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rbmscape.brief import OneLine
from rbmscape.kernels.interface import Annealer
from rbmscape.model.rbm import RBM
from rbmscape.model.trained import Trained
from rbmscape.progress import Advance, silent
from rbmscape.rng import Stream
from rbmscape.sampling.ladder import (
    TARGET_ACCEPTANCE,
    Ladder,
    choose_ladder,
    ladder_models,
    log_density,
    shortest_ladder,
)

__all__ = ["KeptLadder", "ladder_to", "models_of"]

MOST_STATES = 200
TOO_FAR = 0.1
"""Acceptance between neighbours below the target at which rungs are looked for anew, along the same models."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class KeptLadder(OneLine):
    """Models of a training with states of each in equilibrium.

    Attributes
    ----------
    models : lowest first, which has no weights; the last is the one that is wanted
    states : of each model (n, N) uint8 states, as many as there are
    """

    models: tuple[RBM, ...]
    states: tuple[Tensor, ...]

    def to(self, device: torch.device | str) -> KeptLadder:
        """The same on another device."""
        return replace(
            self,
            models=tuple(model.to(device=device) for model in self.models),
            states=tuple(states.to(device) for states in self.states),
        )

    def _headline(self) -> str:
        return f"{len(self.models)} models, {min(map(len, self.states))} states of each or more"


def models_of(run: Trained) -> KeptLadder | list[RBM]:
    """What to climb along to the model of a run: the ladder that its training kept, or else its checkpoints."""
    source: Any = run
    return source.path() if hasattr(source, "path") else list(run.models())


def ladder_to(
    rbm: RBM,
    models: Sequence[RBM] | KeptLadder | None,
    stream: Stream,
    annealer: Annealer,
    target: float = TARGET_ACCEPTANCE,
    progress: Advance = silent,
) -> Ladder:
    """The ladder on which replicas reach a model.

    Parameters
    ----------
    models : a kept ladder of this model; or earlier models of its training, first to last, itself perhaps the last; or
        None to temper in temperature
    target : acceptance of an exchange between neighbouring rungs

    Raises
    ------
    InputError : no models, or of different shapes
    LadderError : too many rungs would be needed
    """
    if isinstance(models, KeptLadder):
        found = _kept(models, annealer, target)
        return found or shortest_ladder(models.models, stream, annealer, target, models.models[0], progress)
    choose = choose_ladder if models is None else shortest_ladder
    return choose(ladder_models(rbm, models), stream, annealer, target, progress=progress)


def _kept(kept: KeptLadder, annealer: Annealer, target: float) -> Ladder | None:
    """As few of the rungs as the target allows, or None where neighbours are too far apart."""
    count = min(MOST_STATES, *map(len, kept.states))
    states = [_evenly(rows, count) for rows in kept.states]
    chosen, top = [0], len(kept.models) - 1
    while chosen[-1] < top:
        here = chosen[-1]
        acceptance = _acceptance(kept.models[here : here + 2], states[here : here + 2], annealer)
        if acceptance < target - TOO_FAR:
            return None
        following = here + 1
        while following < top and acceptance >= target:
            pair = (here, following + 1)
            acceptance = _acceptance([kept.models[k] for k in pair], [states[k] for k in pair], annealer)
            following += acceptance >= target
        chosen.append(following)
    models = tuple(kept.models[k] for k in chosen)
    return Ladder(models, tuple(float(k) for k in chosen), torch.stack([states[k] for k in chosen]))


def _evenly(rows: Tensor, count: int) -> Tensor:
    """So many of the rows, evenly spaced."""
    return rows[torch.from_numpy(np.linspace(0, len(rows) - 1, count).astype(np.int64)).to(rows.device)]


def _acceptance(models: Sequence[RBM], states: Sequence[Tensor], annealer: Annealer) -> float:
    """Mean acceptance of an exchange between two models, over all pairs of their states (n, N)."""
    low, high = (annealer.bind(model, len(states[0])) for model in models)
    gain, loss = (log_density(high, rows) - log_density(low, rows) for rows in states)
    return float(torch.exp((gain[:, None] - loss[None, :]).clamp(max=0.0)).mean())
