r"""ln Z along a training: carried from model to model with the samples at hand.

Two ways.  `trajectory_log_partition` tempers along the checkpoints (`rbmscape.sampling.tempering`); the exchanges
already evaluate each state under the neighbouring models, so that Bennett's acceptance ratio gives
``ln Z_{r+1} - ln Z_r`` for every pair of rungs, and the sum from the exactly solvable lowest rung gives a whole curve
of ln Z for the price of the samples.  `OnlineLogPartition` does the same during training, from checkpoint to
checkpoint, with the training's own chains; it inherits their disequilibrium.

Errors.  BAR solves ``Σ_c g_c(L) = 0``, ``g_c = Σ_k σ(x_ck - L) - σ(L - y_ck)``, c the independent chains.  The
influence of a chain on L is ``g_c / D``, ``D = Σ σ(1-σ)``; influences of all pairs below a rung are added *before*
they are squared, so that correlations in time and between rungs are in the error.

Rounded weights.  Where the sampler rounds weights, ratios are those of rounded models; the mean of
``exp(F_rounded - F)`` over the last states of the chains leads from each to the model itself.  For 100 hidden units
on MNIST that is up to 0.07 nats.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.brief import OneLine
from rbmscape.checks import check_count
from rbmscape.errors import InputError
from rbmscape.kernels.interface import Annealer, Engine
from rbmscape.kernels.select import select_engine
from rbmscape.likelihood.bar import overlap, solve
from rbmscape.likelihood.bridge import bridge
from rbmscape.likelihood.estimate import MIN_OVERLAP, UNSEEN, LogPartition, log_partition
from rbmscape.likelihood.path import rounding
from rbmscape.model.rbm import RBM
from rbmscape.progress import Progress, reporting
from rbmscape.rng import Stream
from rbmscape.sampling.budget import affordable_rounds
from rbmscape.sampling.equilibrate import Machine, equilibrate
from rbmscape.sampling.ladder import TARGET_ACCEPTANCE, choose_ladder
from rbmscape.sampling.origins import binary_rows
from rbmscape.sampling.tempered import Tempered

__all__ = ["LogPartitionCurve", "OnlineLogPartition", "trajectory_log_partition"]

FloatArray = NDArray[np.float64]
N_CHAINS = 100
MAX_ROUNDS = 4096


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LogPartitionCurve(OneLine):
    """ln Z of each model of a sequence.

    Attributes
    ----------
    log_partitions : one estimate a model, ``method`` "trajectory", ``overlap`` the smallest below it; without an error
        (NaN) where something speaks against it
    objections : for each model, what speaks against its estimate, on the top rung or on any up to its own; empty if
        nothing does
    positions : (n_rungs,) where the rungs lie, see `rbmscape.sampling.ladder.Ladder`
    tempered : the samples; its top rung is the last model
    """

    log_partitions: tuple[LogPartition, ...]
    objections: tuple[tuple[str, ...], ...]
    positions: tuple[float, ...]
    tempered: Tempered

    @property
    def converged(self) -> tuple[bool, ...]:
        """For each model, whether nothing speaks against its estimate."""
        return tuple(not found for found in self.objections)

    def _headline(self) -> str:
        fine, count = sum(self.converged), len(self.log_partitions)
        first, last = self.log_partitions[0], self.log_partitions[-1]
        return f"ln Z of {count} models from {first} to {last}, nothing speaks against {fine} of them"


def trajectory_log_partition(
    models: Sequence[RBM],
    n_chains: int = N_CHAINS,
    n_rounds: int | None = None,
    seed: int = 0,
    *,
    others: Tensor | Any | None = None,
    budget: float | None = None,
    target: float = TARGET_ACCEPTANCE,
    engine: str | Engine = "auto",
    precision: str = "auto",
    progress: Progress = False,
) -> LogPartitionCurve:
    """ln Z of every model of a training, first to last, from one run of tempering along it.

    Parameters
    ----------
    models : two or more models of one shape, in the order of training; the first ones should be weakly coupled
    n_chains : independent chains of replicas
    n_rounds : by default as many as it takes until nothing speaks against equilibrium of any rung or the budget is
        spent.  The ladder has all models for rungs, so that it is longer than that of `rbmscape.equilibrium_samples`,
        and the time of a passage grows as the square of its length.
    others : (n, N) states that may have weight, such as data or the chains of the training, entries 0 or 1; some of the
        chains start from them, see `rbmscape.sampling.origins`
    budget : multiply-adds at most, see `rbmscape.sampling.budget`; by default 4096 rounds at most
    target : acceptance of exchanges, which sets how many models are interpolated
    progress : show a bar, or a reporter that counts Gibbs steps of replicas

    Returns
    -------
    LogPartitionCurve

    Raises
    ------
    InputError : fewer than two models, different shapes, or numbers out of range
    """
    models = list(models)
    if len(models) < 2:
        raise InputError(
            f"a trajectory needs at least two models, found {len(models)}; "
            "train with more checkpoints or use likelihood_bracket for a single model"
        )
    n_chains = check_count("n_chains", n_chains, 2)  # one chain has no error
    stream = Stream(seed, "trajectory")
    chosen = select_engine(engine, precision, models[-1].device)
    annealer = chosen.annealer()
    known = None if others is None else binary_rows(models[-1], others, "others")
    with reporting(progress, "replica exchange") as advance:
        ladder = choose_ladder(
            models, stream.child("ladder"), annealer, target, keep=range(len(models)), progress=advance
        )
        fixed = n_rounds is not None
        most = affordable_rounds(budget, len(ladder.models), n_chains, models[-1], MAX_ROUNDS)
        machine = Machine(chosen, annealer, precision)
        tempered, ladder, annealer = equilibrate(
            ladder, n_chains, most if n_rounds is None else n_rounds, stream, machine,
            known=known, fixed=fixed, progress=advance,
        )  # fmt: skip
    estimates = _along(ladder.models, tempered, annealer)
    at_models = [ladder.positions.index(float(k)) for k in range(len(models))]
    doubts = _objections(estimates, tempered, at_models)
    judged = tuple(estimates[rung].doubted(words) for rung, words in zip(at_models, doubts, strict=True))
    return LogPartitionCurve(judged, doubts, ladder.positions, tempered)


def _along(models: Sequence[RBM], tempered: Tempered, annealer: Annealer) -> list[LogPartition]:
    """ln Z of every rung: the sum of the ratios below it, and a last one from its rounded weights to itself."""
    softplus = torch.nn.functional.softplus
    value = float(softplus(models[0].visible_bias).sum() + softplus(models[0].hidden_bias).sum())
    n_chains = tempered.v.shape[0]
    influence, smallest = np.zeros(n_chains), 1.0
    estimates = [LogPartition(value, 0.0, method="exact", n_chains=n_chains)]
    rungs = zip(models[1:], tempered.states[1:], tempered.forward, tempered.backward, strict=True)
    for model, states, ahead, back in rungs:
        ratio, share, common = _pair(ahead, back)
        value += ratio
        influence += share
        smallest = min(smallest, common)
        last_ratio, last_share = _mean_weight(rounding(model, annealer.bind(model), states))
        stderr = float(np.sqrt(np.square(influence + last_share).sum() * n_chains / (n_chains - 1)))
        stderr = math.hypot(stderr, UNSEEN / tempered.ess)
        spread = float(max(ahead.std(), back.std()))
        estimates.append(
            LogPartition(
                value + last_ratio, stderr, math.nan, "trajectory", spread, n_chains, len(estimates) + 1, smallest
            )
        )
    return estimates


def _mean_weight(log_weights: Tensor) -> tuple[float, FloatArray]:
    """ln of the mean weight of the chains, and the influence of each chain on it."""
    value = float(torch.logsumexp(log_weights, 0)) - math.log(len(log_weights))
    share = (torch.exp(log_weights - value) - 1.0) / len(log_weights)
    return value, share.cpu().numpy()


def _pair(ahead: FloatArray, back: FloatArray) -> tuple[float, FloatArray, float]:
    """BAR of one pair of rungs: value, influence of each chain, overlap."""
    from scipy.special import expit

    x, y = ahead.ravel(), back.ravel()
    value = solve(x, y)
    forward, backward = expit(ahead - value), expit(value - back)
    steepness = float((forward * (1.0 - forward)).sum() + (backward * (1.0 - backward)).sum())
    share = (forward.sum(1) - backward.sum(1)) / steepness
    return value, share, overlap(x, y, value)


def _objections(
    estimates: Sequence[LogPartition], tempered: Tempered, rungs: Sequence[int]
) -> tuple[tuple[str, ...], ...]:
    """For the estimate at each of these rungs, what speaks against the top rung, and against any rung up to it."""
    found = []
    for rung in rungs:
        doubts = [*tempered.about_top, *(words for below in tempered.rung_doubts[: rung + 1] for words in below)]
        shared = estimates[rung].overlap
        if shared < MIN_OVERLAP:
            doubts.append(f"two neighbouring rungs overlap by {shared:.3f} only (at least {MIN_OVERLAP})")
        found.append(tuple(doubts))
    return tuple(found)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class OnlineLogPartition(OneLine):
    """A running ln Z that follows a training from checkpoint to checkpoint.

    `start` it with the untrained model and `update` it with the model and the chains at each checkpoint; each call
    returns a new state.  The chains must be (close to) samples of the model they come with; what they are short of
    equilibrium goes into ln Z and is not in the error.

    Attributes
    ----------
    rbm, states : the model ln Z belongs to, and (n, N) samples of it
    log_partition : running estimate; its ``overlap`` is the smallest so far, below 0.03 it has lost the track
    updates : how often it was updated
    seed : key of all random numbers
    """

    rbm: RBM
    states: Tensor
    log_partition: LogPartition
    updates: int = 0
    seed: int = 0

    @classmethod
    def start(
        cls,
        rbm: RBM,
        states: Tensor,
        data: Tensor | None = None,
        seed: int = 0,
        engine: str | Engine = "auto",
        precision: str = "auto",
    ) -> OnlineLogPartition:
        """Begin with a weakly coupled model, whose ln Z short annealing gives; arguments as in `log_partition`."""
        first = log_partition(
            rbm, "ais", data=data, n_chains=100, n_betas=200, seed=seed, engine=engine, precision=precision
        )
        return cls(rbm, states, first, 0, seed)

    def update(
        self, rbm: RBM, states: Tensor, engine: str | Engine = "auto", precision: str = "auto"
    ) -> OnlineLogPartition:
        """Carry ln Z to the next model with samples of both.

        Parameters
        ----------
        rbm : the next model
        states : (n, N) samples of it, entries 0 or 1
        """
        annealer = select_engine(engine, precision, rbm.device).annealer()
        stream = Stream(self.seed, "online").child(str(self.updates))
        ratio = bridge(self.rbm, rbm, self.states, states, stream, annealer)
        old = self.log_partition
        shared = ratio.overlap if math.isnan(old.overlap) else min(old.overlap, ratio.overlap)
        new = LogPartition(
            old.value + ratio.value,
            math.hypot(old.stderr, ratio.stderr),
            method="online",
            n_chains=len(states),
            overlap=shared,
        )
        return OnlineLogPartition(rbm, states.clone(), new, self.updates + 1, self.seed)
