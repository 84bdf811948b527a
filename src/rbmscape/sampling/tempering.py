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

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.errors import InputError
from rbmscape.kernels.annealing import Annealer, PathParameters, PathWorkspace
from rbmscape.rng import Stream
from rbmscape.sampling.diagnostics import effective_sample_size, r_hat
from rbmscape.sampling.ladder import Ladder, annealer_parameters

__all__ = ["Tempered", "temper"]

FloatArray = NDArray[np.float64]
Progress = Callable[[int], None]
N_MODES = 4
MAX_R_HAT = 1.2  # many short columns: 1 / (R² - 1) is the number of independent draws in half a column
MAX_DRIFT = 4.0
MIN_ACCEPTANCE = 0.05
MIN_PASSAGES = 1.0


@dataclass(frozen=True, slots=True)
class Tempered:
    """Samples of every rung and what is known about them.

    Attributes
    ----------
    v : (n_chains, N) uint8, last states on the top rung; one independent column each
    states : (n_rungs, n_chains, N) uint8, last states on all rungs
    acceptance : (n_rungs - 1,) mean acceptance of the exchanges between rungs r and r + 1
    passages : (n_chains,) how often a fresh draw of the lowest rung has climbed to the top of this column
    renewed : fraction of the columns whose top state descends from such a draw made during the run
    trace : (n_chains, n_draws, 1 + k) after burn-in: free energy and k leading modes of the top state, round by round
    ess, r_hat : the worst over these quantities of their effective sample size (all columns) and R-hat
    drift : largest change of their means over the columns between the first and the last third of the trace, in
        standard errors; the columns are independent, so that it is normal in equilibrium
    forward, backward : for each pair of rungs, (n_chains, n_kept) values of F_r - F_{r+1} at states of the lower and
        of the upper rung
    n_rounds : rounds made
    """

    v: Tensor
    states: Tensor
    acceptance: FloatArray
    passages: NDArray[np.int64]
    renewed: float
    trace: FloatArray
    ess: float
    r_hat: float
    drift: float
    forward: tuple[FloatArray, ...]
    backward: tuple[FloatArray, ...]
    n_rounds: int

    @property
    def objections(self) -> tuple[str, ...]:
        """Why the samples may not be equilibrated; empty if nothing speaks against them."""
        found = []
        if np.isnan(self.r_hat):
            found.append("the states on the top rung never changed")
        elif self.r_hat > MAX_R_HAT:
            found.append(f"R-hat of the top rung is {self.r_hat:.3f}, above {MAX_R_HAT}")
        if self.drift > MAX_DRIFT:
            found.append(f"the top rung still drifts, by {self.drift:.1f} standard errors during the recorded rounds")
        if self.acceptance.size and self.acceptance.min() < MIN_ACCEPTANCE:
            worst = int(self.acceptance.argmin())
            found.append(
                f"exchanges between rungs {worst} and {worst + 1} are accepted with probability "
                f"{self.acceptance[worst]:.3f}, below {MIN_ACCEPTANCE}"
            )
        if self.passages.mean() < MIN_PASSAGES:
            found.append(
                f"fresh states reached the top {self.passages.mean():.2f} times a chain, fewer than {MIN_PASSAGES:g}"
            )
        return tuple(found)


@dataclass
class _Columns:
    """What changes while the columns are advanced."""

    states: Tensor
    climbing: Tensor  # (n_rungs, n_chains) bool: the replica was fresh at the bottom after it last was at the top
    fresh: Tensor  # (n_rungs, n_chains) bool: the replica descends from a draw of the lowest rung in this run
    passages: Tensor
    accepted: list[list[float]]
    forward: list[list[Tensor]]
    backward: list[list[Tensor]]


def temper(
    ladder: Ladder,
    n_chains: int,
    n_rounds: int,
    stream: Stream,
    annealer: Annealer,
    steps: int = 1,
    burn_in: float = 0.5,
    progress: Progress | None = None,
    watch: Callable[[int, Tensor], None] | None = None,
) -> Tempered:
    """Advance n_chains columns of replicas.

    Parameters
    ----------
    n_rounds : rounds of Gibbs steps and exchanges
    steps : Gibbs steps of each replica in a round
    burn_in : fraction of the rounds of which nothing is recorded
    progress : called with the number of replica-steps done since the last call
    watch : called after every round with its number and the (n_chains, N) states of the top rung

    Raises
    ------
    InputError : no chains, fewer than 16 rounds, no steps, or an impossible burn-in
    """
    _check(n_chains, n_rounds, steps, burn_in)
    machine = _Machine(ladder, n_chains, stream, annealer, steps)
    columns = machine.begin()
    first_recorded = int(burn_in * n_rounds)
    trace = []
    for number in range(n_rounds):
        top_energy = machine.round(columns, number, record=number >= first_recorded)
        if number >= first_recorded:
            trace.append(machine.observe(columns.states[-1], top_energy))
        if watch is not None:
            watch(number, columns.states[-1])
        if progress is not None:
            progress(len(ladder.models) * n_chains * steps)
    return _result(columns, torch.stack(trace, 1).cpu().numpy(), n_rounds)


def _check(n_chains: int, n_rounds: int, steps: int, burn_in: float) -> None:
    if n_chains < 1:
        raise InputError(f"n_chains must be at least 1, found {n_chains}; 500 is a usual value")
    if n_rounds < 16:
        raise InputError(f"tempering needs at least 16 rounds, found {n_rounds}; some hundred are usual")
    if steps < 1:
        raise InputError(f"tempering needs at least one Gibbs step a round, found {steps}")
    if not 0.0 <= burn_in <= 0.75:
        raise InputError(f"burn_in must lie in [0, 0.75], found {burn_in}; it is a fraction of the rounds")


class _Machine:
    """Models, buffers and randomness of one run."""

    def __init__(self, ladder: Ladder, n_chains: int, stream: Stream, annealer: Annealer, steps: int) -> None:
        self.ladder, self.stream, self.annealer, self.steps = ladder, stream, annealer, steps
        self.n_chains, self.n_rungs = n_chains, len(ladder.models)
        self.params: list[PathParameters] = [annealer_parameters(annealer, model) for model in ladder.models]
        self.streams = [stream.child(f"rung/{rung}") for rung in range(self.n_rungs)]
        top = ladder.models[-1]
        self.workspace: PathWorkspace = annealer.workspace(n_chains, top.n_visible, top.n_hidden)
        self.device = top.device
        self.modes = _leading_modes(top.weights)

    def begin(self) -> _Columns:
        """Columns that start from the ladder's pilot states, in an order of their own on each rung."""
        picks = self.stream.child("start").numpy().integers(self.ladder.start.shape[1], size=self.n_chains)
        states = self.ladder.start[:, torch.from_numpy(picks)].clone()
        flags = torch.zeros(self.n_rungs, self.n_chains, dtype=torch.bool, device=self.device)
        pairs = self.n_rungs - 1
        return _Columns(
            states,
            flags,
            flags.clone(),
            torch.zeros(self.n_chains, dtype=torch.int64, device=self.device),
            [[] for _ in range(pairs)],
            [[] for _ in range(pairs)],
            [[] for _ in range(pairs)],
        )

    def round(self, columns: _Columns, number: int, record: bool) -> Tensor:
        """One round; returns -F of the top states before the exchange."""
        own = torch.stack([self._move(columns, rung, number) for rung in range(self.n_rungs)])
        uniform = self.stream.child("exchange").uniform(number, self.n_rungs, self.n_chains, 0, self.device)
        for pair in range(number % 2, self.n_rungs - 1, 2):
            self._exchange(columns, pair, own, uniform[pair], record)
        self._mark(columns)
        return own[-1]

    def _move(self, columns: _Columns, rung: int, number: int) -> Tensor:
        """Gibbs steps of one rung, on the lowest, without weights, fresh draws; returns -F of the new states."""
        params, ws, stream = self.params[rung], self.workspace, self.streams[rung]
        result = torch.zeros(self.n_chains, dtype=torch.float64, device=self.device)
        self.annealer.load(params, ws, columns.states[rung])
        for step in range(number * self.steps, (number + 1) * self.steps):
            self.annealer.step(params, ws, result, 1.0, 1.0, stream, 2 * step)
        columns.states[rung] = ws.v.to(torch.uint8)
        result.zero_()
        self.annealer.weigh(params, ws, result, 0.0, 1.0)
        return result

    def _log_density(self, rung: int, v: Tensor) -> Tensor:
        result = torch.zeros(self.n_chains, dtype=torch.float64, device=self.device)
        self.annealer.load(self.params[rung], self.workspace, v)
        self.annealer.weigh(self.params[rung], self.workspace, result, 0.0, 1.0)
        return result

    def _exchange(self, columns: _Columns, low: int, own: Tensor, uniform: Tensor, record: bool) -> None:
        high = low + 1
        gain = self._log_density(high, columns.states[low]) - own[low]
        loss = own[high] - self._log_density(low, columns.states[high])
        swap = torch.log(uniform.to(torch.float64)) < gain - loss
        for flags in (columns.states, columns.climbing, columns.fresh):
            flags[low, swap], flags[high, swap] = flags[high, swap], flags[low, swap]
        if record:
            columns.accepted[low].append(float(torch.exp((gain - loss).clamp(max=0.0)).mean()))
            columns.forward[low].append(gain)
            columns.backward[low].append(loss)

    def _mark(self, columns: _Columns) -> None:
        """Count the replicas that arrive at the top; those at the bottom will be drawn afresh."""
        columns.passages += columns.climbing[-1]
        columns.climbing[-1] = False
        columns.climbing[0] = True
        columns.fresh[0] = True

    def observe(self, v: Tensor, log_density: Tensor) -> Tensor:
        """(n_chains, 1 + k): what mixing is judged by."""
        return torch.cat((log_density[:, None], v.to(self.modes.dtype) @ self.modes), 1)


def _leading_modes(weights: Tensor) -> Tensor:
    """(N, k) leading left singular vectors of W, float64; their signs do not matter here."""
    matrix = weights.to(torch.float64)
    vectors: Tensor = torch.linalg.eigh(matrix @ matrix.T)[1]
    return vectors[:, -N_MODES:]


def _result(columns: _Columns, trace: FloatArray, n_rounds: int) -> Tempered:
    ess, rhat = (np.asarray(value) for value in (effective_sample_size(trace), r_hat(trace)))
    passages = columns.passages.cpu().numpy()
    return Tempered(
        columns.states[-1].clone(),
        columns.states,
        np.array([np.mean(values) for values in columns.accepted]),
        passages,
        float(columns.fresh[-1].to(torch.float64).mean()),
        trace,
        float(np.min(ess, where=~np.isnan(ess), initial=np.inf)) if np.isfinite(ess).any() else float("nan"),
        float(np.max(rhat, where=~np.isnan(rhat), initial=0.0)) if not np.isnan(rhat).all() else float("nan"),
        _drift(trace),
        tuple(torch.stack(values, 1).cpu().numpy() for values in columns.forward),
        tuple(torch.stack(values, 1).cpu().numpy() for values in columns.backward),
        n_rounds,
    )


def _drift(trace: FloatArray) -> float:
    """Largest change between the thirds of a trace (n_chains, n_draws, k), in standard errors over the chains."""
    third = trace.shape[1] // 3
    change = trace[:, -third:].mean(1) - trace[:, :third].mean(1)
    if len(change) < 2:
        return 0.0
    error = change.std(0, ddof=1) / np.sqrt(len(change))
    return float(np.max(np.abs(change.mean(0)) / np.where(error > 0.0, error, np.inf)))
