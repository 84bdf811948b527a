r"""The bracket: a lower and an upper bound on the log-likelihood, and a verdict on whether to believe them.

Forward annealing bounds ln Z from below and hence the log-likelihood from above; reverse annealing, started from
equilibrated samples, does the opposite (both in expectation; the gap between them is what cannot be resolved).  The
number of temperatures is doubled until both agree or the budget is spent; it is taken four times as large where the
weights are carried by so few chains that twice as many temperatures could not be enough.  A single direction can be
wrong by tens of nats with a small error bar, so the verdict asks for all of

1. the gap between the bounds is explained by their errors (or below the tolerance),
2. neither bound moved by more than its error (or the tolerance) when the temperatures were last multiplied,
3. the log weights of both directions overlap (BAR's overlap, at least 0.03),
4. the weights of each direction are carried by at least 30 chains, fewer give no reliable error,
5. nothing speaks against the equilibrium of the reverse starts.

Converged means that nothing speaks against the bracket.  Where something does, forward annealing's bound is all that is
left, and the combination of both has no error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.arguments import checked
from rbmscape.brief import OneLine
from rbmscape.checks import check_count
from rbmscape.errors import InputError
from rbmscape.kernels.interface import Annealer, Engine
from rbmscape.kernels.select import select_engine
from rbmscape.likelihood.annealing import Annealed, anneal, anneal_back
from rbmscape.likelihood.equilibrium import reverse_starts
from rbmscape.likelihood.estimate import (
    MIN_OVERLAP,
    LogPartition,
    bar_estimate,
    fitted_path,
    forward_estimate,
    given_rows,
    mean_and_error,
    reverse_estimate,
    scored_data,
    scored_weights,
    shifted,
)
from rbmscape.likelihood.path import AnnealingPath, log_weight
from rbmscape.likelihood.schedules import Schedule, make_schedule
from rbmscape.memory import check_memory
from rbmscape.model.rbm import RBM
from rbmscape.model.trained import Trained, listed_models, one_model
from rbmscape.progress import Advance, AtMost, Progress, reporting
from rbmscape.rng import Stream
from rbmscape.sampling.equilibrate import Machine
from rbmscape.sampling.equilibrium import MAX_CHAINS
from rbmscape.sampling.kept import KeptLadder, models_of
from rbmscape.sampling.origins import binary_rows, known_states

if TYPE_CHECKING:
    from rbmscape.data.dataset import Dataset

__all__ = ["Bracket", "likelihood_bracket"]

SIGMAS = 3.0
TOLERANCE = 0.1
MIN_CHAINS = 30.0


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Bracket(OneLine):
    """Bounds on the mean log-likelihood, in nats a sample.

    Attributes
    ----------
    lower, upper : from reverse and from forward annealing at the largest number of temperatures
    best : BAR's combination of both; half the gap is part of its error.  Where the bracket is not converged it has no
        error (NaN)
    converged : whether all the demands of this module's opening are met
    reasons : one sentence for each of them, met or not
    objections : those that are not met
    n_betas : temperatures at the end
    history : (n_betas, lower, upper) of each number of temperatures
    doubts : what speaks against the equilibrium of the reverse starts, without which the lower bound is none
    """

    lower: LogPartition
    upper: LogPartition
    best: LogPartition
    reasons: tuple[str, ...]
    objections: tuple[str, ...]
    n_betas: int
    history: tuple[tuple[int, LogPartition, LogPartition], ...]
    doubts: tuple[str, ...] = ()

    @property
    def converged(self) -> bool:
        """Whether nothing speaks against the bracket.

        That promises no more than it says.  A narrow mode that neither data and chains nor the parameters point to,
        and that no ladder leads to, is seen by none of the demands; how often that happens is measured in
        docs/quality.md.
        """
        return not self.objections

    @property
    def gap(self) -> float:
        """upper - lower in nats; may be slightly negative, by chance."""
        return self.upper.value - self.lower.value

    @checked
    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """From the lower end of the lower bound's interval to the upper end of the upper bound's.

        Where the bracket is not converged nothing is known of the lower end.  The upper one holds all the same: the
        mean weight of annealing is Z in expectation, so that it exceeds Z by a factor of c with the probability 1/c
        at most (Markov), and the log-likelihood is above the upper bound + ln c no more often.
        """
        if not 0.0 < level < 1.0:
            raise InputError(f"level must lie between 0 and 1, found {level}; pass for example level=0.95")
        if not self.converged:
            return -math.inf, self.upper.value - math.log1p(-level)
        lower, upper = self.lower.interval(level), self.upper.interval(level)
        return min(lower[0], upper[0]), max(lower[1], upper[1])

    def _headline(self) -> str:
        if not self.converged:
            return f"at most {self.upper}, NOT converged, {self._bounds()}"
        return f"{self.best}, converged, {self._bounds()}"

    def _bounds(self) -> str:
        return f"between {self.lower} and {self.upper}, gap {self.gap:.2f}"

    def __str__(self) -> str:
        if not self.converged:
            objections = "; ".join(self.objections)
            return f"at most {self.upper} ({self.best}; {self._bounds()}); NOT converged: {objections}"
        return f"{self.best} ({self._bounds()}); converged"


@checked
def likelihood_bracket(
    rbm: RBM | Trained,
    data: Dataset | Tensor | Any | None = None,
    n_chains: int = 500,
    n_betas: int = 1000,
    seed: int = 0,
    *,
    max_betas: int = 16000,
    tolerance: float = TOLERANCE,
    schedule: Schedule = "adaptive",
    models: Sequence[RBM] | KeptLadder | None = None,
    starts: Tensor | Any | None = None,
    n_rounds: int | None = None,
    budget: float | None = None,
    engine: str | Engine = "auto",
    precision: str = "auto",
    progress: Progress = False,
) -> Bracket:
    """Lower and upper bound on the mean log-likelihood, with a verdict.

    Parameters
    ----------
    rbm : the model; or a run, whose last model is bracketed with starts tempered on the ladder that its training kept
        ("ptt"), or else along its checkpoints
    data : (n, N) zeros and ones, or a `Dataset`: see `rbmscape.log_likelihood`; a run's own if left out
    n_chains : forward chains; backward ones are at most 200 unless `starts` are given, since tempering is costly
    n_betas, max_betas : temperatures to begin with and at most; a schedule given as values is used as it is, once
    tolerance : in nats; differences below it are not held against convergence
    schedule : as in `rbmscape.log_partition`
    models : earlier models of the same training, or the ladder that it kept, for tempering along it; without them in
        temperature
    starts : (n, N) samples of the model instead of tempering, trusted to be independent and equilibrated
    n_rounds : rounds of tempering; by default until nothing speaks against equilibrium or the budget is spent
    budget : multiply-adds of that tempering at most, see `rbmscape.sampling.budget`; by default 1024 rounds at most
    progress : show a bar, or a reporter that counts steps of chains

    Returns
    -------
    Bracket

    Raises
    ------
    as `rbmscape.log_partition`; InputError also where max_betas < n_betas or the tolerance is negative
    """
    n_chains, n_betas = check_count("n_chains", n_chains, 2), check_count("n_betas", n_betas, 2)
    _check(n_betas, max_betas, tolerance)
    check_memory(16.0 * (n_chains + n_betas), f"{n_chains} chains", "take fewer")
    if isinstance(rbm, Trained):
        model, data = rbm.load(), rbm.dataset() if data is None else data
        models = models_of(rbm) if models is None else models
    else:
        model = one_model(rbm, "likelihood_bracket")
    models = models if models is None or isinstance(models, KeptLadder) else listed_models(models)
    rows = scored_data(model, data)
    stream = Stream(seed, "bracket")
    chosen = select_engine(engine, precision, model.device)
    annealer, path = chosen.annealer(), fitted_path(model, data, stream.child("base"), chosen)
    temperatures = make_schedule(schedule, path, n_betas, stream.child("schedule"), annealer)
    with reporting(progress, "bracketing") as advance:
        limits: dict[str, Any] = {"n_rounds": n_rounds, "budget": budget}
        if starts is None:
            known = [states for states in (known_states(rbm), given_rows(model, data), rows) if states is not None]
            limits |= {"known": torch.cat([states.to(model.device) for states in known])}
        machine = Machine(chosen, annealer, precision)
        samples, doubts, origin = _starts(path, starts, n_chains, stream, models, machine, limits, advance)
        search = _Search(path, annealer, stream, n_chains, samples, tolerance, advance)
        search.run(temperatures, max_betas if isinstance(schedule, str) else len(temperatures))
        return search.bracket(mean_and_error(log_weight(model, rows), scored_weights(data)), doubts, origin)


def _starts(
    path: AnnealingPath,
    starts: Any,
    n_chains: int,
    stream: Stream,
    models: Sequence[RBM] | KeptLadder | None,
    machine: Machine,
    limits: Mapping[str, Any],
    advance: Advance,
) -> tuple[Tensor, tuple[str, ...], str]:
    """States to anneal back from, what speaks against their equilibrium, and where they come from."""
    if starts is not None:
        return binary_rows(path.rbm, starts, "starts"), (), "given by the caller and trusted"
    n_starts, source = min(n_chains, MAX_CHAINS), stream.child("equilibrium")
    tempered = reverse_starts(path, n_starts, source, machine, models, **limits, progress=advance)
    origin = f"tempering: R-hat {tempered.r_hat:.3f}, {tempered.passages.mean():.1f} fresh states a chain"
    return tempered.v, tempered.objections, origin


def _check(n_betas: int, max_betas: int, tolerance: float) -> None:
    if max_betas < n_betas:
        raise InputError(f"max_betas must be at least n_betas = {n_betas}, found {max_betas}")
    if not tolerance >= 0.0:
        raise InputError(f"tolerance must be a number of nats >= 0, found {tolerance}")


@dataclass
class _Level:
    """Both directions at one number of temperatures, as bounds on ln Z."""

    n_betas: int
    forward: Annealed
    backward: Annealed
    low: LogPartition
    high: LogPartition


class _Search:
    """Multiplies the temperatures until both directions agree with each other and with themselves."""

    def __init__(
        self,
        path: AnnealingPath,
        annealer: Annealer,
        stream: Stream,
        n_chains: int,
        samples: Tensor,
        tolerance: float,
        progress: Advance,
    ) -> None:
        self.path, self.annealer, self.stream = path, annealer, stream
        self.n_chains, self.samples, self.tolerance, self.progress = n_chains, samples, tolerance, progress
        self.levels: list[_Level] = []

    def run(self, temperatures: NDArray[np.float64], max_betas: int) -> None:
        """Levels of more and more temperatures; at least two where the budget allows."""
        self.progress(0, AtMost(2 * max_betas * (self.n_chains + len(self.samples))))
        self._level(temperatures)
        while 2 * len(temperatures) <= max_betas and (len(self.levels) < 2 or self._objections()):
            hopeless = 2.0 * self._carried() < MIN_CHAINS
            factor = 4 if hopeless and 4 * len(temperatures) <= max_betas else 2
            temperatures = _refined(temperatures, factor)
            self._level(temperatures)

    def _carried(self) -> float:
        """How many chains carry the weights of the last level in the direction with fewer."""
        return min(self.levels[-1].low.ess, self.levels[-1].high.ess)

    def _level(self, temperatures: NDArray[np.float64]) -> None:
        number, n = len(self.levels), len(temperatures)
        stream = self.stream.child(f"level/{number}")
        ahead = anneal(self.path, temperatures, self.n_chains, stream.child("forward"), self.annealer, self.progress)
        back = anneal_back(
            self.path, temperatures, self.samples, stream.child("backward"), self.annealer, self.progress
        )
        generator = stream.child("bootstrap").numpy()
        low, high = forward_estimate(ahead, generator, n), reverse_estimate(back, generator, n)
        self.levels.append(_Level(n, ahead, back, low, high))

    def _best(self) -> LogPartition:
        level = self.levels[-1]
        return bar_estimate(level.forward, level.backward, self.stream.child("bar").numpy(), level.n_betas)

    def _judge(self) -> list[tuple[bool, str]]:
        """Whether each demand is met, and a sentence about it."""
        level = self.levels[-1]
        judged = [self._gap(level), self._drift()]
        overlap = self._best().overlap
        judged.append((overlap >= MIN_OVERLAP, f"overlap of both directions {overlap:.3f} (at least {MIN_OVERLAP})"))
        ess = self._carried()
        judged.append(
            (
                ess >= MIN_CHAINS,
                f"the weights of one direction are carried by {ess:.1f} chains (at least {MIN_CHAINS:g})",
            )
        )
        return judged

    def _gap(self, level: _Level) -> tuple[bool, str]:
        gap = level.high.value - level.low.value
        error = SIGMAS * math.hypot(level.high.stderr, level.low.stderr)
        allowed = max(error, self.tolerance)
        limit = f"(at most {allowed:.3f}, {SIGMAS:g} errors or the tolerance)"
        if gap < -allowed:
            return False, (
                f"gap {gap:.3f} nats {limit}: the lower bound lies above the upper one, "
                "so that the reverse starts sit in another, lighter well than annealing finds"
            )
        return gap <= allowed, f"gap {gap:.3f} nats {limit}"

    def _drift(self) -> tuple[bool, str]:
        if len(self.levels) < 2:
            return False, "there was no second, larger number of temperatures, so that the bounds' drift is unknown"
        old, new = self.levels[-2:]
        worst, met = 0.0, True
        for before, after in ((old.low, new.low), (old.high, new.high)):
            moved = abs(after.value - before.value)
            met &= moved <= max(SIGMAS * math.hypot(before.stderr, after.stderr), self.tolerance)
            worst = max(worst, moved)
        return met, f"the bounds moved by {worst:.3f} nats from {old.n_betas} to {new.n_betas} temperatures"

    def _objections(self) -> list[str]:
        return [sentence for met, sentence in self._judge() if not met]

    def bracket(self, weight: tuple[float, float], doubts: Sequence[str], origin: str) -> Bracket:
        """The result for data whose mean of -F(v) is given, with the error of the finite set of rows."""
        level, judged = self.levels[-1], self._judge()
        starts = f"reverse starts: {origin}" if not doubts else f"reverse starts doubtful: {'; '.join(doubts)}"
        judged.append((not doubts, starts))
        against = tuple(sentence for met, sentence in judged if not met)
        return Bracket(
            shifted(level.high, *weight),
            shifted(level.low, *weight),
            shifted(self._best().doubted(against), *weight),
            tuple(sentence for _, sentence in judged),
            against,
            level.n_betas,
            tuple((one.n_betas, shifted(one.high, *weight), shifted(one.low, *weight)) for one in self.levels),
            tuple(doubts),
        )


def _refined(temperatures: NDArray[np.float64], factor: int) -> NDArray[np.float64]:
    """The same schedule with so many times as many temperatures."""
    old = np.linspace(0.0, 1.0, len(temperatures))
    return np.interp(np.linspace(0.0, 1.0, factor * len(temperatures)), old, temperatures)
