r"""Replica exchange between models: along a training trajectory, or in temperature.

Every chain is a column of replicas, one on each rung of a `Ladder`.  A round draws the lowest rung afresh (it is
exactly solvable), moves the others by Gibbs steps, and exchanges neighbours r, r+1 with the Metropolis probability

``min(1, exp[F_r(v_r) + F_{r+1}(v_{r+1}) - F_r(v_{r+1}) - F_{r+1}(v_r)])``,

even pairs in even rounds, odd pairs in odd ones, which moves replicas ballistically (Syed et al., Journal of the Royal
Statistical Society B 84, 321, 2022).  Trajectory: Béreux, Decelle, Furtlehner and Seoane, arXiv:2405.15376.

The free energies of an exchange are also what Bennett's acceptance ratio between the rungs needs, so they are kept.
Shapes: states (n_rungs, n_chains, N); chains do not interact, so that their top states are independent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from operator import attrgetter

import numpy as np
import torch
from torch import Tensor

from rbmscape.checks import check_count
from rbmscape.errors import InputError
from rbmscape.kernels.interface import Annealer, RungBatch
from rbmscape.progress import Advance, AtMost, silent
from rbmscape.rng import Stream
from rbmscape.sampling.budget import FEWEST_ROUNDS
from rbmscape.sampling.ladder import Ladder, leading_modes
from rbmscape.sampling.rung_models import bound_rungs
from rbmscape.sampling.rungs import about_rungs, tail_doubts
from rbmscape.sampling.tempered import Tempered
from rbmscape.sampling.verdict import trace_diagnostics

__all__ = ["ONE_LOOK", "temper", "temper_until"]

Watch = Callable[[int, Tensor], None]
FIRST_ROUNDS = 64
BURN_IN = 0.5
ONE_LOOK = "only the last look found nothing, and the rounds were spent before a second one"


@dataclass(frozen=True, slots=True, eq=False)
class _Exchange:
    """What the exchanges of one pair of rungs in one round leave: F_r - F_{r+1} at the lower and the upper states."""

    gain: Tensor
    loss: Tensor


@dataclass(eq=False)
class _State:
    """What changes while the chains are advanced."""

    rungs: RungBatch  # models and states
    top: Tensor  # (n_chains, N) uint8, those of the last
    climbing: Tensor  # (n_rungs, n_chains) bool: the replica was fresh at the bottom after it last was at the top
    fresh: Tensor  # (n_rungs, n_chains) bool: the replica descends from a draw of the lowest rung in this run
    passages: Tensor
    start: Tensor  # (n_chains, 1 + k): what is traced, before the first round
    trace: list[Tensor]  # one (n_chains, 1 + k) a round
    rung_start: Tensor  # (n_rungs, n_chains, k): projections of all rungs, before the first round
    rung_trace: list[Tensor]  # the same after every other round
    exchanges: list[dict[int, _Exchange]]  # by the lower rung, one dictionary a round


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
    """Advance n_chains chains of replicas by a fixed number of rounds.

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
    state = machine.begin()
    machine.advance(state, n_rounds, progress, watch, None)
    return _result(state, int(burn_in * n_rounds))


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
    halfway: bool = True,
    every_rung: bool = False,
) -> Tempered:
    """Advance chains until nothing speaks against equilibrium in two looks in a row, or the budget is spent.

    The demands of `rbmscape.sampling.tempered` are looked at after 64, 96, 128, 192, 256, … rounds (without halfway
    after powers of 2 only), or from half of max_rounds on where that is 64 or less, each time with the first half of
    all rounds left out, and a last time after max_rounds: a single look may please by chance.  Arguments as in
    `temper`, with which a run of as many rounds agrees; watch_rungs is called as watch is, with the (n_rungs,
    n_chains, N) states of all rungs; enough may demand other things.  With every_rung each look judges all rungs, and
    not only the last one or one that the top rung may pass.
    """
    _check(n_chains, max_rounds, steps, BURN_IN)
    machine = _Machine(ladder, n_chains, stream, annealer, steps)
    progress(0, AtMost(max_rounds * machine.n_rungs * n_chains * steps))
    state = machine.begin()
    goal = FIRST_ROUNDS if max_rounds > FIRST_ROUNDS else max(FEWEST_ROUNDS, max_rounds // 2)
    pleased = False
    while True:
        machine.advance(state, goal, progress, watch, watch_rungs)
        result = _result(state, int(BURN_IN * goal), all_rungs=every_rung or goal == max_rounds)
        pleases = enough(result)
        if goal == max_rounds or (pleased and pleases):
            break
        pleased = pleases
        goal = min(_next_look(goal, halfway), max_rounds)
    return result if pleased or not pleases else replace(result, doubts=(ONE_LOOK,))


def _next_look(rounds: int, halfway: bool) -> int:
    """The next power of 2, or halfway to it."""
    power = 1 << (rounds.bit_length() - 1)
    return 2 * power if rounds > power or not halfway else 3 * power // 2


def _check(n_chains: int, n_rounds: int, steps: int, burn_in: float) -> None:
    check_count("n_chains", n_chains)
    check_count("n_rounds", n_rounds, FEWEST_ROUNDS)
    check_count("steps", steps)
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

    def begin(self) -> _State:
        """Chains that start from the ladder's states, each pilot taken at most once more often than any other."""
        n_states = self.ladder.start.shape[1]
        order = torch.from_numpy(self.stream.child("start").numpy().permutation(n_states))
        others = self.ladder.others
        n_others = 0 if others is None else self.n_chains // 2
        n_pilots = self.n_chains - n_others
        states = self.ladder.start[:, order.repeat(-(-n_pilots // n_states))[:n_pilots]].clone()
        if others is not None:
            picked = torch.arange(n_others, device=others.device) % others.shape[1]
            states = torch.cat((states, others[:, picked].to(states)), 1)
        flags = torch.zeros(self.n_rungs, self.n_chains, dtype=torch.bool, device=self.device)
        passages = torch.zeros(self.n_chains, dtype=torch.int64, device=self.device)
        rungs = bound_rungs(self.ladder.models, self.annealer, self.n_chains)
        rungs.load(states)
        (density,) = rungs.walk(self.streams, 0, 0, [(self.n_rungs - 1, self.n_rungs - 1)])
        first = self.observe(states[-1], density)
        return _State(rungs, states[-1], flags, flags.clone(), passages, first, [], self.projections(rungs), [], [])

    def advance(
        self, state: _State, goal: int, progress: Advance, watch: Watch | None, watch_rungs: Watch | None
    ) -> None:
        """Rounds until there were `goal`; see `temper_until`."""
        for number in range(len(state.trace), goal):
            self._round(state, number)
            if watch is not None:
                watch(number, state.top)
            if watch_rungs is not None:
                watch_rungs(number, state.rungs.states())
            progress(self.n_rungs * self.n_chains * self.steps)

    def _round(self, state: _State, number: int) -> None:
        """Gibbs steps of all replicas and the exchanges of every other pair."""
        pairs = range(number % 2, self.n_rungs - 1, 2)
        top = self.n_rungs - 1
        looks = [look for low in pairs for look in ((low, low), (low, low + 1), (low + 1, low + 1), (low + 1, low))]
        if (top, top) not in looks:
            looks.append((top, top))
        densities = state.rungs.walk(self.streams, 2 * number * self.steps, self.steps, looks)
        seen = dict(zip(looks, densities, strict=True))
        uniform = self.stream.child("exchange").uniform(number, self.n_rungs, self.n_chains, 0, self.device)
        state.exchanges.append(self._exchange(state, pairs, uniform, seen))
        self._mark(state)
        state.top = state.rungs.v(top).to(torch.uint8).clone()
        state.trace.append(self.observe(state.top, seen[top, top]))
        if number % 2:
            state.rung_trace.append(self.projections(state.rungs))

    def _exchange(
        self, state: _State, pairs: range, uniform: Tensor, seen: dict[tuple[int, int], Tensor]
    ) -> dict[int, _Exchange]:
        """Metropolis exchanges of rungs low and low + 1 for each low of `pairs`, all at once.

        seen : -F of the states of either rung, for its own model and for that of the other; for those of the highest
            rung and its own model it is afterwards that of the new states
        """
        if not pairs:
            return {}
        own_low, up, own_high, down = (
            torch.stack([seen[low + at, low + of] for low in pairs]) for at, of in ((0, 0), (0, 1), (1, 1), (1, 0))
        )
        gain, loss = up - own_low, own_high - down
        swap = torch.log(uniform[pairs.start : pairs.stop : 2].to(torch.float64)) < gain - loss
        state.rungs.exchange(pairs.start, swap)
        for flags in (state.climbing, state.fresh):
            low, high = flags[pairs.start : pairs.stop : 2], flags[pairs.start + 1 : pairs.stop + 1 : 2]
            low[swap], high[swap] = high[swap], low[swap]
        if pairs[-1] == self.n_rungs - 2:
            seen[self.n_rungs - 1, self.n_rungs - 1] = torch.where(swap[-1], up[-1], own_high[-1])
        return {low: _Exchange(gain[k], loss[k]) for k, low in enumerate(pairs)}

    def _mark(self, state: _State) -> None:
        """Count the replicas that arrive at the top; those at the bottom will be drawn afresh."""
        state.passages += state.climbing[-1]
        state.climbing[-1] = False
        state.climbing[0] = True
        state.fresh[0] = True

    def observe(self, v: Tensor, log_density: Tensor) -> Tensor:
        """(n_chains, 1 + k): what mixing is judged by."""
        return torch.cat((log_density[:, None], v.to(self.modes.dtype) @ self.modes), 1)

    def projections(self, rungs: RungBatch) -> Tensor:
        """(n_rungs, n_chains, k) float32: what the mixing of each rung is judged by."""
        return rungs.project(self.modes.to(torch.float32))


def _result(state: _State, burn_in: int, all_rungs: bool = True) -> Tempered:
    """Results without the first rounds; unless all rungs are to be judged, they are only if the top one may pass."""
    trace = torch.stack(state.trace[burn_in:], 1).cpu().numpy()
    kept = state.exchanges[burn_in:]
    pairs = range(len(state.climbing) - 1)
    gains, losses = (
        [torch.stack([getattr(found[pair], side) for found in kept if pair in found], 1) for pair in pairs]
        for side in ("gain", "loss")
    )
    accepted = [float(torch.exp((gain - loss).clamp(max=0.0)).mean()) for gain, loss in zip(gains, losses, strict=True)]
    start = state.start.cpu().numpy()
    ess, rhat, drift = trace_diagnostics(trace, start)
    forward, backward = (tuple(one.cpu().numpy() for one in side) for side in (gains, losses))
    result = Tempered(
        state.top.clone(),
        state.rungs.states(),
        np.array(accepted),
        state.passages.cpu().numpy(),
        float(state.fresh[-1].to(torch.float64).mean()),
        trace,
        ess,
        rhat,
        drift,
        forward,
        backward,
        len(state.trace),
        (),
        tuple(tail_doubts(trace, start, "the top rung")),
    )
    if result.about_top and not all_rungs:
        return result
    seen = torch.stack(state.rung_trace[burn_in // 2 :], 2).cpu().numpy().astype(np.float64)
    return replace(result, rung_doubts=about_rungs(seen, state.rung_start.cpu().numpy(), forward, backward))
