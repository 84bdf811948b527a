r"""A ladder of models between independent units and the model that is to be sampled.

The rungs lie on the piecewise linear path through a sequence of models: the checkpoints of a training run (tempering
along the trajectory: Béreux, Decelle, Furtlehner and Seoane, arXiv:2405.15376), or only the two ends, which gives
ordinary tempering in temperature.  Below the first model comes one of independent units with its mean activities, so
that the lowest rung can be drawn exactly.

Each next rung is put where exchanges with the last one are accepted with a target probability: checkpoints are skipped
where they lie closer, interpolated models are inserted where they lie further apart.  With an acceptance of one half
and deterministic even-odd exchanges the time of a round trip is near its minimum (Syed, Bouchard-Côté, Deligiannidis
and Doucet, Journal of the Royal Statistical Society B 84, 321, 2022).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.brief import OneLine
from rbmscape.errors import InputError, LadderError
from rbmscape.kernels.interface import Annealer, BoundPath
from rbmscape.model.interpolate import interpolated
from rbmscape.model.rbm import RBM
from rbmscape.model.trained import one_model
from rbmscape.progress import Advance, silent
from rbmscape.rng import Stream
from rbmscape.sampling.rung_models import RungModels

__all__ = [
    "TARGET_ACCEPTANCE",
    "Ladder",
    "choose_ladder",
    "floor_rung",
    "independent_base",
    "independent_model",
    "ladder_models",
    "leading_modes",
    "log_density",
    "moved",
    "shortest_ladder",
]

TARGET_ACCEPTANCE = 0.35
"""Compared with 0.5, passages a second: a fifth more for all digits of MNIST (M = 500; 0.25 is no better), a quarter
fewer for the digits 0 and 1 alone, between which few replicas pass.  At M = 3000 there are a third fewer rungs."""
MAX_RUNGS = 400
_PILOT_CHAINS = 128
_PILOT_STEPS = 4
_TOLERANCE = 0.1
_ATTEMPTS = 8


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Ladder(OneLine):
    """Rungs from independent units (no weights) to the target.

    Attributes
    ----------
    models : the rungs, lowest first
    positions : where each lies: k + f is the fraction f of the way from given model k to given model k + 1; -1 is the
        rung of independent units
    start : (n_rungs, n_pilots, N) uint8 states near equilibrium of each rung, from which chains can start
    others : (n_rungs, n, N) uint8 states of other origins, from which half of the chains start, the first ones first;
        None where there are none, see `rbmscape.sampling.origins`
    """

    models: Sequence[RBM]
    positions: tuple[float, ...]
    start: Tensor
    others: Tensor | None = None

    def _headline(self) -> str:
        return f"{len(self.models)} rungs from {self.positions[0]:g} to {self.positions[-1]:g}"

    @property
    def top_states(self) -> Tensor:
        """(n, N) all states from which the top rung starts."""
        return self.start[-1] if self.others is None else torch.cat((self.start[-1], self.others[-1]))

    def above(self, rung: int, states: Tensor) -> Ladder:
        """The rungs from this one on, to start from other states (n_rungs, n, N) of the whole ladder.

        Its lowest rung is moved by Gibbs steps like the others.  That is enough where they mix well, see `floor_rung`,
        and saves the rungs below once chains on the whole ladder have brought equilibrium.
        """
        return Ladder(self.models[rung:], self.positions[rung:], states[rung:])


def independent_model(visible_mean: Tensor, hidden_mean: Tensor) -> RBM:
    """The RBM without weights whose units have the given mean activities (kept inside (0, 1))."""
    visible, hidden = (
        torch.logit(mean.to(torch.float64).clamp(1e-4, 1.0 - 1e-4)) for mean in (visible_mean, hidden_mean)
    )
    return RBM(torch.zeros(len(visible), len(hidden), device=visible.device, dtype=visible.dtype), visible, hidden)


def ladder_models(rbm: RBM, models: Sequence[RBM] | None) -> list[RBM]:
    """The path to climb to a model: along earlier models of its training, or in temperature from beta = 0.

    Parameters
    ----------
    models : earlier models, first to last (the model itself may be the last), or None

    Raises
    ------
    InputError : an empty sequence
    """
    if models is None:
        return [RBM(0.0 * rbm.weights, 0.0 * rbm.visible_bias, 0.0 * rbm.hidden_bias), rbm]
    if len(models) == 0:
        raise InputError("models is empty; pass the checkpoints of the training, or None to temper in temperature")
    for model in models:
        one_model(model, "tempering along the training")
    return [*(model for model in models if not _same(model, rbm)), rbm]


def _same(one: RBM, other: RBM) -> bool:
    return one.weights.shape == other.weights.shape and all(
        torch.equal(a, b.to(a.dtype))
        for a, b in (
            (one.weights, other.weights),
            (one.visible_bias, other.visible_bias),
            (one.hidden_bias, other.hidden_bias),
        )
    )


def log_density(path: BoundPath, v: Tensor) -> Tensor:
    """-F(v) in the annealer's precision; (n,) float64, for as many states as the path has chains."""
    path.load(v)
    return path.log_density()


def choose_ladder(
    models: Sequence[RBM],
    stream: Stream,
    annealer: Annealer,
    target: float = TARGET_ACCEPTANCE,
    keep: Sequence[int] = (),
    max_rungs: int | None = None,
    base: RBM | None = None,
    progress: Advance = silent,
) -> Ladder:
    """Rungs for a target acceptance on the path through the models.

    Parameters
    ----------
    models : one or more models of equal shape, the target last
    target : acceptance of an exchange between neighbouring rungs, in (0, 1)
    keep : indices of models that must be rungs; the last one always is
    max_rungs : give up beyond; 400 by default
    base : independent units (no weights) for the lowest rung; by default with the mean activities of the first model,
        as short chains from fair bits find them, which are right if that model is weakly coupled
    progress : hears of every rung, which counts nothing

    Raises
    ------
    InputError : no models, different shapes, or an impossible target
    LadderError : more than max_rungs rungs would be needed
    """
    return _climbed(models, stream, annealer, target, keep, max_rungs, base, progress).ladder()


def _climbed(
    models: Sequence[RBM],
    stream: Stream,
    annealer: Annealer,
    target: float,
    keep: Sequence[int] = (),
    max_rungs: int | None = None,
    base: RBM | None = None,
    progress: Advance = silent,
) -> _Climbed:
    """See `choose_ladder`."""
    _check(models, target)
    lowest = base if base is not None else independent_base(models[0], models[0], stream, annealer)
    climb = _Climb(models, lowest, stream, annealer, target, {*keep, len(models) - 1}, progress)
    return climb.climbed(max_rungs or MAX_RUNGS)


def shortest_ladder(
    models: Sequence[RBM],
    stream: Stream,
    annealer: Annealer,
    target: float = TARGET_ACCEPTANCE,
    base: RBM | None = None,
    progress: Advance = silent,
) -> Ladder:
    """The shortest of the ladders that go from independent units to a late, a middle and an early model of a training.

    Early in a training with a large learning rate the weights of the modes swing from checkpoint to checkpoint.  Rungs
    there are in favour of one mode, then of another, which replicas of the wrong kind do not pass although the mean
    acceptance is good.  Such a stretch is long, and a straight line from independent units to a later model avoids it.
    The visible activities of these units are always those of the very first model (or of `base`): chains of a later
    one would sit in some of its modes, and the others would never be found.  Arguments as in `choose_ladder`.
    """
    _check(models, target)
    best: _Climbed | None = None
    for start in sorted({len(models) * quarter // 4 for quarter in range(4)}, reverse=True):
        limit = MAX_RUNGS if best is None else len(best.models) - 1
        lowest = base if base is not None else independent_base(models[0], models[start], stream, annealer)
        with suppress(LadderError):
            best = _climbed(models[start:], stream, annealer, target, (), limit, lowest, progress)
    if best is not None:
        return best.ladder()
    return choose_ladder(models, stream, annealer, target, base=base, progress=progress)


def _check(models: Sequence[RBM], target: float) -> None:
    if not models:
        raise InputError("tempering needs at least one model, found none; pass the checkpoints of a run or the model")
    shapes = {tuple(model.weights.shape) for model in models}
    if len(shapes) > 1:
        raise InputError(f"tempering needs models of one shape, found {sorted(shapes)}; take the models of one run")
    if not 0.0 < target < 1.0:
        raise InputError(f"target acceptance must lie in (0, 1), found {target}; {TARGET_ACCEPTANCE} is a good value")


def independent_base(first: RBM, later: RBM, stream: Stream, annealer: Annealer) -> RBM:
    """Independent units: pixels as active as in short chains of `first`, hidden units as these make `later`'s.

    `first` must be weakly coupled, as the first model of a training is: short chains of a later one all fall into the
    same mode, and replicas that start there bring it to every rung long before they find the others.

    Means are those of the conditional probabilities, not of the drawn states: of 128 states of 784 pixels, most of
    which are hardly ever on, the noise alone would cost a rung and most of the error of the lowest ratios.
    """
    source = stream.child("base")
    v = (source.uniform(0, _PILOT_CHAINS, first.n_visible, 0, first.device) < 0.5).to(torch.uint8)
    steps = 25 * _PILOT_STEPS
    v = moved(annealer, first, v, steps, source, 1)
    h = source.uniform(1 + 2 * steps, _PILOT_CHAINS, first.n_hidden, 0, first.device) < first.hidden_probability(v)
    visible, hidden = first.visible_probability(h), later.hidden_probability(v)
    return independent_model(visible.mean(0), hidden.mean(0))


def moved(annealer: Annealer, rbm: RBM, v: Tensor, n_steps: int, stream: Stream, draw: int) -> Tensor:
    """States after Gibbs steps."""
    path = annealer.bind(rbm, v.shape[0])
    path.load(v)
    path.move(stream, draw, n_steps)
    return path.v.to(torch.uint8)


def _packed(states: Tensor) -> NDArray[np.uint8]:
    return np.packbits(states.cpu().numpy(), axis=1)


class _Climbed(NamedTuple):
    """A ladder whose pilots are kept a bit a unit; the last ones also as they are."""

    models: RungModels
    positions: tuple[float, ...]
    start: tuple[NDArray[np.uint8], ...]
    last: Tensor

    def ladder(self) -> Ladder:
        """With the pilots written out."""
        start = self.last.new_empty((len(self.start), *self.last.shape))
        for rung, bits in enumerate(self.start):
            start[rung] = torch.from_numpy(np.unpackbits(bits, axis=1, count=self.last.shape[1]))
        return Ladder(self.models, self.positions, start)


class _Climb:
    """Pilot chains that climb the path rung by rung and measure how far the next rung may be."""

    def __init__(
        self,
        models: Sequence[RBM],
        base: RBM,
        stream: Stream,
        annealer: Annealer,
        target: float,
        keep: set[int],
        progress: Advance,
    ) -> None:
        self.models, self.base, self.stream, self.annealer = models, base, stream, annealer
        self.target, self.keep, self.progress = target, sorted(keep), progress
        self.draws = 0

    def model_at(self, position: float) -> RBM:
        """The model at a position, see `Ladder`."""
        low = math.floor(position)
        fraction = position - low
        lower = self.base if low < 0 else self.models[low]
        return lower if fraction == 0.0 else interpolated(lower, self.models[low + 1], fraction)

    def climbed(self, max_rungs: int) -> _Climbed:
        """Climb from the base to the last model."""
        top = float(len(self.models) - 1)
        stream = self.stream.child("climb")
        v = (stream.uniform(0, _PILOT_CHAINS, self.base.n_visible, 0, self.base.device)) < torch.sigmoid(
            self.base.visible_bias
        )
        position, jump, states, model = -1.0, 1.0, v.to(torch.uint8), self.base
        self.draws = 1
        positions, start = [position], [_packed(states)]
        while position < top:
            if len(positions) >= max_rungs:
                raise LadderError(
                    f"tempering needs more than {max_rungs} rungs for an acceptance of {self.target}; "
                    "lower the target or give more checkpoints of the training"
                )
            position, jump, states = self._next(position, jump, states, model)
            self.progress(0)
            model = self.model_at(position)
            positions.append(position)
            start.append(_packed(states))
        return _Climbed(RungModels(self.model_at, positions), tuple(positions), tuple(start), states)

    def _next(self, position: float, jump: float, states: Tensor, model: RBM) -> tuple[float, float, Tensor]:
        """Next position, the jump to try first afterwards, and pilot states there."""
        limit = min(float(index) for index in self.keep if index > position)
        best: tuple[float, Tensor] | None = None
        for _ in range(_ATTEMPTS):
            candidate = min(position + jump, limit)
            advanced, acceptance = self._acceptance(model, self.model_at(candidate), states)
            reached = candidate == limit and acceptance >= self.target
            if acceptance >= self.target - _TOLERANCE:
                best = (candidate, advanced)
            jump = (candidate - position) * _correction(acceptance, self.target)
            if reached or abs(acceptance - self.target) <= _TOLERANCE:
                break
        if best is None:
            best = (candidate, advanced)
        return best[0], jump, best[1]

    def _acceptance(self, lower: RBM, upper: RBM, states: Tensor) -> tuple[Tensor, float]:
        """Pilot states at the upper model, and the mean acceptance of exchanges with the lower one.

        A few Gibbs steps do not bring pilots from mode to mode: each stands for as many samples of the upper model as
        the weight between both models says (annealed importance sampling).  Where few pilots carry the weights, that is
        noisy; the smaller of the means with and without weights counts, since a rung too many costs least.
        """
        stream = self.stream.child("climb")
        advanced = moved(self.annealer, upper, states, _PILOT_STEPS, stream, self.draws)
        self.draws += 2 * _PILOT_STEPS
        low, high = (self.annealer.bind(model, len(states)) for model in (lower, upper))
        gain = log_density(high, states) - log_density(low, states)
        loss = log_density(high, advanced) - log_density(low, advanced)
        accepted = torch.exp((gain[:, None] - loss).clamp(max=0.0)).mean(0)
        return advanced, min(float(accepted.mean()), float(accepted @ torch.softmax(gain, 0)))


def floor_rung(ladder: Ladder, states: Tensor, stream: Stream, annealer: Annealer, lag: int = 16) -> int:
    """The highest rung from which downwards all rungs mix by Gibbs steps alone.

    A rung mixes if over the chains the projections on each of the top model's four leading modes are correlated by less
    than 1/e with those `lag` steps later.

    Parameters
    ----------
    states : (n_rungs, n, N) states near equilibrium of each rung
    """
    modes = leading_modes(ladder.models[-1].weights)
    for rung, model in enumerate(ladder.models):
        later = moved(annealer, model, states[rung], lag, stream.child(f"floor/{rung}"), 0)
        before, after = (v.to(modes.dtype) @ modes for v in (states[rung], later))
        before, after = before - before.mean(0), after - after.mean(0)
        correlation = (before * after).mean(0) / (before.square().mean(0) * after.square().mean(0)).sqrt()
        if float(correlation.nan_to_num(1.0).max()) > math.exp(-1.0):
            return max(0, rung - 1)
    return len(ladder.models) - 1


def leading_modes(weights: Tensor, count: int = 4) -> Tensor:
    """(N, count) leading left singular vectors of W, the first one last, float64; their signs do not matter here.

    Of fewer than count singular values there are no more vectors.  The smaller Gram matrix is diagonalised.
    """
    matrix = weights.to(torch.float64)
    if matrix.shape[0] <= matrix.shape[1]:
        vectors: Tensor = torch.linalg.eigh(matrix @ matrix.T)[1]
        return vectors[:, -count:]
    right = torch.linalg.eigh(matrix.T @ matrix)[1][:, -count:]
    orthonormal: Tensor = torch.linalg.qr((matrix @ right).flip(1))[0]
    return orthonormal.flip(1)


def _correction(acceptance: float, target: float) -> float:
    """Factor for the jump, from acceptance = erfc(jump · const), which holds for normal energies."""
    from scipy.special import erfcinv

    measured = float(erfcinv(min(max(acceptance, 1e-6), 1.0 - 1e-3)))
    return float(np.clip(erfcinv(target) / measured, 0.2, 4.0))
