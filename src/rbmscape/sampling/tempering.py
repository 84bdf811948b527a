r"""Replica exchange between models: along a training trajectory, or in temperature.

Every chain is a column of replicas, one on each rung of a `Ladder`.  A round draws the lowest rung afresh (it is
exactly solvable), moves the others by Gibbs steps, and exchanges neighbours r, r+1 with the Metropolis probability

``min(1, exp[F_r(v_r) + F_{r+1}(v_{r+1}) - F_r(v_{r+1}) - F_{r+1}(v_r)])``,

even pairs in even rounds, odd pairs in odd ones, which moves replicas ballistically (Syed et al., Journal of the Royal
Statistical Society B 84, 321, 2022).  Trajectory: Béreux, Decelle, Furtlehner and Seoane, arXiv:2405.15376.

The free energies of an exchange are also what Bennett's acceptance ratio between the rungs needs, so they are kept.
Shapes: states (n_rungs, n_chains, N); columns do not interact, so that the n_chains top states are independent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
import torch
from torch import Tensor

from rbmscape.errors import InputError
from rbmscape.kernels.interface import Annealer, BoundPath
from rbmscape.progress import Advance, silent
from rbmscape.rng import Stream
from rbmscape.sampling.budget import FEWEST_ROUNDS
from rbmscape.sampling.ladder import Ladder, leading_modes
from rbmscape.sampling.tempered import Tempered
from rbmscape.sampling.verdict import trace_diagnostics

__all__ = ["temper", "temper_until"]

Watch = Callable[[int, Tensor], None]
FIRST_ROUNDS = 64
BURN_IN = 0.5


@dataclass(frozen=True, slots=True)
class _Exchange:
    """What the exchanges of one pair of rungs in one round leave: F_r - F_{r+1} at the lower and the upper states."""

    gain: Tensor
    loss: Tensor


@dataclass
class _Columns:
    """What changes while the columns are advanced."""

    rungs: list[BoundPath]  # model and states of each rung
    top: Tensor  # (n_chains, N) uint8, those of the last
    climbing: Tensor  # (n_rungs, n_chains) bool: the replica was fresh at the bottom after it last was at the top
    fresh: Tensor  # (n_rungs, n_chains) bool: the replica descends from a draw of the lowest rung in this run
    passages: Tensor
    start: Tensor  # (n_chains, 1 + k): what is traced, before the first round
    trace: list[Tensor]  # one (n_chains, 1 + k) a round
    exchanges: list[dict[int, _Exchange]]  # by the lower rung, one dictionary a round

    def states(self) -> Tensor:
        """(n_rungs, n_chains, N) uint8."""
        return torch.stack([rung.v.to(torch.uint8) for rung in self.rungs])


def temper(
    ladder: Ladder,
    n_chains: int,
    n_rounds: int,
    stream: Stream,
    annealer: Annealer,
    steps: int = 1,
    burn_in: float = BURN_IN,
    progress: Advance = silent,
    watch: Watch | None = None,
) -> Tempered:
    """Advance n_chains columns of replicas by a fixed number of rounds.

    Parameters
    ----------
    n_rounds : rounds of Gibbs steps and exchanges
    steps : Gibbs steps of each replica in a round
    burn_in : fraction of the rounds that is left out of all results
    progress : called with the number of replica-steps done since the last call
    watch : called after every round with its number and the (n_chains, N) states of the top rung

    Raises
    ------
    InputError : no chains, fewer than 16 rounds, no steps, or an impossible burn-in
    """
    _check(n_chains, n_rounds, steps, burn_in)
    machine = _Machine(ladder, n_chains, stream, annealer, steps)
    columns = machine.begin()
    machine.advance(columns, n_rounds, progress, watch, None)
    return _result(columns, int(burn_in * n_rounds))


def temper_until(
    ladder: Ladder,
    n_chains: int,
    stream: Stream,
    annealer: Annealer,
    max_rounds: int,
    steps: int = 1,
    progress: Advance = silent,
    watch: Watch | None = None,
    watch_rungs: Watch | None = None,
    enough: Callable[[Tempered], bool] = attrgetter("converged"),
) -> Tempered:
    """Advance columns until nothing speaks against equilibrium or the budget is spent.

    The demands of `rbmscape.sampling.tempered` are looked at after 64, 128, 256, … rounds, each time with the first
    half of all rounds left out, and a last time after max_rounds.  Arguments as in `temper`, with which a run
    of as many rounds agrees; watch_rungs is called as watch is, with the (n_rungs, n_chains, N) states of all rungs;
    enough may demand more than equilibrium of the top rung.
    """
    _check(n_chains, max_rounds, steps, BURN_IN)
    machine = _Machine(ladder, n_chains, stream, annealer, steps)
    columns = machine.begin()
    goal = min(FIRST_ROUNDS, max_rounds)
    while True:
        machine.advance(columns, goal, progress, watch, watch_rungs)
        result = _result(columns, int(BURN_IN * goal))
        if goal == max_rounds or enough(result):
            return result
        goal = min(2 * goal, max_rounds)


def _check(n_chains: int, n_rounds: int, steps: int, burn_in: float) -> None:
    if n_chains < 1:
        raise InputError(f"n_chains must be at least 1, found {n_chains}; 500 is a usual value")
    if n_rounds < FEWEST_ROUNDS:
        raise InputError(f"tempering needs at least {FEWEST_ROUNDS} rounds, found {n_rounds}; some hundred are usual")
    if steps < 1:
        raise InputError(f"tempering needs at least one Gibbs step a round, found {steps}")
    if not 0.0 <= burn_in <= 0.75:
        raise InputError(f"burn_in must lie in [0, 0.75], found {burn_in}; it is a fraction of the rounds")


class _Machine:
    """Models, buffers and randomness of one run."""

    def __init__(self, ladder: Ladder, n_chains: int, stream: Stream, annealer: Annealer, steps: int) -> None:
        self.ladder, self.stream, self.annealer, self.steps = ladder, stream, annealer, steps
        self.n_chains, self.n_rungs = n_chains, len(ladder.models)
        self.streams = [stream.child(f"rung/{rung}") for rung in range(self.n_rungs)]
        top = ladder.models[-1]
        self.device = top.device
        self.modes = leading_modes(top.weights)

    def begin(self) -> _Columns:
        """Columns that start from the ladder's states, each taken at most once more often than any other."""
        n_states = self.ladder.start.shape[1]
        order = torch.from_numpy(self.stream.child("start").numpy().permutation(n_states))
        states = self.ladder.start[:, order.repeat(-(-self.n_chains // n_states))[: self.n_chains]].clone()
        flags = torch.zeros(self.n_rungs, self.n_chains, dtype=torch.bool, device=self.device)
        passages = torch.zeros(self.n_chains, dtype=torch.int64, device=self.device)
        rungs = [self.annealer.bind(model, self.n_chains) for model in self.ladder.models]
        for rung, v in zip(rungs, states, strict=True):
            rung.load(v)
        first = self.observe(states[-1], rungs[-1].log_density())
        return _Columns(rungs, states[-1], flags, flags.clone(), passages, first, [], [])

    def advance(
        self, columns: _Columns, goal: int, progress: Advance, watch: Watch | None, watch_rungs: Watch | None
    ) -> None:
        """Rounds until there were `goal`; see `temper_until`."""
        for number in range(len(columns.trace), goal):
            self._round(columns, number)
            if watch is not None:
                watch(number, columns.top)
            if watch_rungs is not None:
                watch_rungs(number, columns.states())
            progress(self.n_rungs * self.n_chains * self.steps)

    def _round(self, columns: _Columns, number: int) -> None:
        """Gibbs steps of all replicas and the exchanges of every other pair."""
        pairs = range(number % 2, self.n_rungs - 1, 2)
        partners = {pair: pair + 1 for pair in pairs} | {pair + 1: pair for pair in pairs}
        seen = [self._move(columns, rung, number, partners.get(rung)) for rung in range(self.n_rungs)]
        uniform = self.stream.child("exchange").uniform(number, self.n_rungs, self.n_chains, 0, self.device)
        found: dict[int, _Exchange] = {}
        top = seen[-1][0]
        for pair in pairs:
            found[pair], upper = self._exchange(columns, pair, uniform[pair], seen[pair], seen[pair + 1])
            if pair == self.n_rungs - 2:
                top = upper
        columns.exchanges.append(found)
        self._mark(columns)
        columns.top = columns.rungs[-1].v.to(torch.uint8)
        columns.trace.append(self.observe(columns.top, top))

    def _move(self, columns: _Columns, rung: int, number: int, partner: int | None) -> tuple[Tensor, Tensor]:
        """Gibbs steps of one rung; on the lowest, where that has no weights, fresh draws.

        Returns -F of the new states for this rung's model and for the partner's; both are needed for an exchange only,
        and the first at the top as well, else they are empty.
        """
        own = columns.rungs[rung]
        for step in range(number * self.steps, (number + 1) * self.steps):
            own.move(self.streams[rung], 2 * step)
        is_looked_at = partner is not None or rung == self.n_rungs - 1
        return (
            own.log_density() if is_looked_at else torch.empty(0),
            torch.empty(0) if partner is None else columns.rungs[partner].on(own).log_density(),
        )

    def _exchange(
        self, columns: _Columns, low: int, uniform: Tensor, lower: tuple[Tensor, Tensor], upper: tuple[Tensor, Tensor]
    ) -> tuple[_Exchange, Tensor]:
        """Metropolis exchange of rungs low and low + 1; also returns -F of the new states of the upper rung.

        lower, upper : -F of the states of either rung, for its own model and for that of the other
        """
        high = low + 1
        (own_low, up), (own_high, down) = lower, upper
        gain, loss = up - own_low, own_high - down
        swap = torch.log(uniform.to(torch.float64)) < gain - loss
        columns.rungs[low].exchange(columns.rungs[high], swap)
        for flags in (columns.climbing, columns.fresh):
            flags[low, swap], flags[high, swap] = flags[high, swap], flags[low, swap]
        return _Exchange(gain, loss), torch.where(swap, up, own_high)

    def _mark(self, columns: _Columns) -> None:
        """Count the replicas that arrive at the top; those at the bottom will be drawn afresh."""
        columns.passages += columns.climbing[-1]
        columns.climbing[-1] = False
        columns.climbing[0] = True
        columns.fresh[0] = True

    def observe(self, v: Tensor, log_density: Tensor) -> Tensor:
        """(n_chains, 1 + k): what mixing is judged by."""
        return torch.cat((log_density[:, None], v.to(self.modes.dtype) @ self.modes), 1)


def _result(columns: _Columns, burn_in: int) -> Tempered:
    """Results without the first rounds."""
    trace = torch.stack(columns.trace[burn_in:], 1).cpu().numpy()
    kept = columns.exchanges[burn_in:]
    pairs = range(len(columns.rungs) - 1)
    gains, losses = (
        [torch.stack([getattr(found[pair], side) for found in kept if pair in found], 1) for pair in pairs]
        for side in ("gain", "loss")
    )
    accepted = [float(torch.exp((gain - loss).clamp(max=0.0)).mean()) for gain, loss in zip(gains, losses, strict=True)]
    ess, rhat, drift = trace_diagnostics(trace, columns.start.cpu().numpy())
    return Tempered(
        columns.top.clone(),
        columns.states(),
        np.array(accepted),
        columns.passages.cpu().numpy(),
        float(columns.fresh[-1].to(torch.float64).mean()),
        trace,
        ess,
        rhat,
        drift,
        tuple(gain.cpu().numpy() for gain in gains),
        tuple(loss.cpu().numpy() for loss in losses),
        len(columns.trace),
    )
