r"""Signs of training out of equilibrium, checkpoint by checkpoint, alike for trainings of every method.

At each checkpoint chains make K, 2 K, 4 K, … Gibbs steps, K those of the training between two updates, from random
states and from data.  Looked at are

1. *two-body statistics*: how far the covariances C of chains from random states agree with those D of data,
   ``1 - [Σ (C_ij - D_ij)² - Σ C_ii C_jj / n] / Σ D_ij²`` over pairs of units, the second sum what n independent chains
   leave by chance.  A model that was trained out of equilibrium is best after about as many steps as its training made;
   the agreement rises above its final level and falls again (Decelle, Furtlehner and Seoane, arXiv:2105.13889);
2. *class shares* of these chains at the end, against those of data.  Classes are the labels (of the nearest class mean)
   or, without labels, the two sides of the data's first principal component;
3. *free energies* of the training's own chains and of training data, which differ where chains do not follow the model;
4. *autocorrelation time* of chains from data: the slowest of the leading modes, in Gibbs steps, and of a training in
   equilibrium that of its ladder, in rounds.

Errors of the first are jackknifed over blocks of chains, those of shares are binomial.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.arguments import checked
from rbmscape.brief import OneLine
from rbmscape.checks import check_count, shown
from rbmscape.errors import InputError
from rbmscape.kernels.interface import Engine
from rbmscape.kernels.select import select_engine
from rbmscape.likelihood.estimate import base_data
from rbmscape.model.rbm import RBM
from rbmscape.progress import Advance, Progress, reporting
from rbmscape.rng import Stream
from rbmscape.runs.run import Run
from rbmscape.sampling import gibbs
from rbmscape.sampling.diagnostics import effective_sample_size
from rbmscape.sampling.ladder import leading_modes
from rbmscape.stats import Estimate

if TYPE_CHECKING:
    import xarray as xr

    from rbmscape.data.dataset import Dataset

__all__ = ["LENGTHS", "TrainingSigns", "check_lengths", "rows_of", "training_signs"]

FloatArray = NDArray[np.float64]
LENGTHS = (1, 2, 4, 8, 16, 32, 64)
SIGMAS = 4.0
MOST_UNITS = 256
MOST_ROWS = 10_000
BLOCKS = 10
CLEAR_SHARE = 0.05
CLEAR_FALL = 0.05


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TrainingSigns(OneLine):
    """What `training_signs` saw; one entry a checkpoint.

    Attributes
    ----------
    updates, epochs : (c,) of the checkpoints
    steps : (l,) Gibbs steps of chains
    two_body : (c, l) agreement of their covariances with those of data: 1 where it is perfect, 0 where chains have none
    overshoot : its largest value less its last one, with a jackknife error, of each checkpoint
    shares : (c, k) of the classes among the chains at the end
    data_shares : (k,) among the data
    energy_gap : (c,) mean F of the training's chains less that of training data, as metrics have it; NaN if unknown
    autocorrelation : (c,) of chains from data, Gibbs steps; at least that where it is near the length of the chains
    ladder_autocorrelation : (c,) of the ladder of "ptt" in rounds; NaN for other methods
    n_chains : chains of each kind
    """

    updates: tuple[int, ...]
    epochs: tuple[float, ...]
    steps: tuple[int, ...]
    two_body: FloatArray
    overshoot: tuple[Estimate, ...]
    shares: FloatArray
    data_shares: FloatArray
    energy_gap: FloatArray
    autocorrelation: FloatArray
    ladder_autocorrelation: FloatArray
    n_chains: int

    @property
    def share_gap(self) -> FloatArray:
        """(c,) largest difference between a class's share among chains and among data."""
        return np.asarray(np.abs(self.shares - self.data_shares).max(1))

    @property
    def findings(self) -> tuple[str, ...]:
        """What the last checkpoint shows against equilibrium, a sentence each; empty where nothing does."""
        found, fall = [], self.overshoot[-1]
        if fall.value > max(SIGMAS * fall.stderr, CLEAR_FALL):
            best = self.steps[int(self.two_body[-1].argmax())]
            found.append(
                f"two-body statistics of chains from random states follow the data best after {best} Gibbs steps "
                f"(agreement {self.two_body[-1].max():.2f}) and less after {self.steps[-1]} "
                f"({self.two_body[-1, -1]:.2f})"
            )
        worst = int(np.abs(self.shares[-1] - self.data_shares).argmax())
        mine, wanted = float(self.shares[-1, worst]), float(self.data_shares[worst])
        error = math.sqrt(max(wanted * (1.0 - wanted), 0.25 / self.n_chains) / self.n_chains)
        if abs(mine - wanted) > max(SIGMAS * error, CLEAR_SHARE):
            found.append(
                f"class {worst} has {mine:.0%} of the chains from random states after {self.steps[-1]} Gibbs steps and "
                f"{wanted:.0%} of the data"
            )
        return tuple(found)

    def _headline(self) -> str:
        count = len(self.findings)
        last = f"{count} sign{'s' * (count > 1)} against equilibrium" if count else "nothing speaks against equilibrium"
        return f"{len(self.updates)} checkpoints; at update {self.updates[-1]}: {last}"

    def dataset(self) -> xr.Dataset:
        """All of it with named axes, for tables and figures."""
        import xarray as xr

        names = ("energy_gap", "autocorrelation", "ladder_autocorrelation", "share_gap")
        units = ("k_B T", "Gibbs steps", "rounds", "1")
        values: dict[str, Any] = {
            name: ("update", getattr(self, name), {"units": unit}) for name, unit in zip(names, units, strict=True)
        }
        values |= {
            "two_body": (("update", "step"), self.two_body, {"units": "1"}),
            "overshoot": ("update", np.array([one.value for one in self.overshoot]), {"units": "1"}),
            "overshoot_stderr": ("update", np.array([one.stderr for one in self.overshoot]), {"units": "1"}),
            "share": (("update", "class"), self.shares, {"units": "1"}),
            "data_share": ("class", self.data_shares, {"units": "1"}),
        }
        coords = {"update": list(self.updates), "epoch": ("update", list(self.epochs)), "step": list(self.steps)}
        return xr.Dataset(values, coords=coords, attrs={"n_chains": self.n_chains})


@checked
def training_signs(
    run: Run,
    data: Dataset | Tensor | Any | None = None,
    n_checkpoints: int = 8,
    n_chains: int = 200,
    factors: Sequence[int] = LENGTHS,
    seed: int = 0,
    engine: str | Engine = "auto",
    precision: str = "auto",
    progress: Progress = False,
) -> TrainingSigns:
    """Look at checkpoints of a run for signs of training out of equilibrium.

    Parameters
    ----------
    run : of any method
    data : what it was trained on; loaded again from where the run says they came if None
    n_checkpoints : how many, evenly spaced in their order, the last one among them
    n_chains : chains of each kind, at least 20
    factors : lengths of the chains in units of the training's, rising
    seed : of everything random
    engine, precision : see `rbmscape.sample`
    progress : see `rbmscape.progress`; counts chain-steps

    Raises
    ------
    InputError : fewer than 20 chains, no checkpoint, or factors that do not rise
    DataError : the data have missing entries, are not given and cannot be loaded, or have changed since
    """
    check_lengths(n_chains, factors, run.config.gibbs_steps)
    found = run.dataset() if data is None else data
    count = min(check_count("n_checkpoints", n_checkpoints), len(run.updates))
    picks = np.unique(np.linspace(len(run.updates) - 1, 0, count).round().astype(int))
    updates = tuple(run.updates[k] for k in picks)
    rows = rows_of(run.load(updates[-1]), found)[:MOST_ROWS]
    stream = Stream(seed, "signs")
    classes = _Classes(rows, getattr(found, "train_labels", None))
    pairs = _Pairs(rows, stream)
    metrics = {int(row["update"]): row for row in run.rows}
    steps = tuple(factor * run.config.gibbs_steps for factor in factors)
    seen = []
    with reporting(progress, "Gibbs steps", 2 * n_chains * steps[-1] * len(updates)) as advance:
        for update in updates:
            rbm = run.load(update)
            chosen = select_engine(engine, precision, rbm.device)
            source = stream.child(str(update))
            states = _from_random(rbm, n_chains, steps, source.child("random"), chosen, advance)
            time = _from_data(rbm, rows, n_chains, steps, source.child("data"), chosen, advance)
            seen.append((*pairs.compare(states), classes.shares(states[-1]), time))
    two_body, overshoot, shares, times = zip(*seen, strict=True)
    lines = [metrics.get(update, {}) for update in updates]
    gap = [_number(row, "free_energy_chains") - _number(row, "free_energy_train") for row in lines]
    return TrainingSigns(
        updates,
        tuple(update / run.updates_per_epoch for update in updates),
        steps,
        np.stack(two_body),
        overshoot,
        np.stack(shares),
        classes.of_data,
        np.array(gap),
        np.array(times),
        np.array([_number(row, "autocorrelation_rounds") for row in lines]),
        n_chains,
    )


def check_lengths(n_chains: int, factors: Sequence[int], training_steps: int) -> None:
    """Refuse too few chains, and lengths that do not rise.

    Raises
    ------
    InputError : see above
    """
    check_count("n_chains", n_chains, 20)
    if not factors or list(factors) != sorted(set(factors)) or factors[0] < 1:
        raise InputError(
            f"factors must be rising integers from 1 on, found {shown(list(factors))}; (1, 10, 100) is usual"
        )
    if training_steps < 1:
        raise InputError(f"training_steps must be positive, found {training_steps}")


def rows_of(rbm: RBM, data: Dataset | Tensor | Any) -> Tensor:
    """(n, N) rows of complete data, checked against the model.

    Raises
    ------
    DataError : missing entries
    """
    rows = base_data(rbm, data.complete("the mixing report") if hasattr(data, "complete") else data)
    assert rows is not None
    return rows


def _number(row: dict[str, Any], name: str) -> float:
    value = row.get(name)
    return math.nan if value is None else float(value)


def _from_random(
    rbm: RBM, n_chains: int, steps: Sequence[int], stream: Stream, engine: Engine, advance: Advance
) -> list[Tensor]:
    """(C, N) states of chains from fair bits after each number of steps."""
    sampler = gibbs.make_sampler(rbm, n_chains, stream, 1.0, engine)
    chains, kept = gibbs.init(gibbs.random_start(n_chains, rbm.n_visible, stream, 0, rbm.device)), []
    for length in steps:
        further = length - chains.steps
        chains, _info = gibbs.step(sampler, chains, further)
        kept.append(chains.v.clone())
        advance(n_chains * further)
    return kept


def _from_data(
    rbm: RBM, rows: Tensor, n_chains: int, steps: Sequence[int], stream: Stream, engine: Engine, advance: Advance
) -> float:
    """Integrated autocorrelation time of the slowest leading mode, in Gibbs steps, over chains of the last length."""
    picks = stream.numpy().choice(len(rows), n_chains, replace=n_chains > len(rows))
    sampler = gibbs.make_sampler(rbm, n_chains, stream, 1.0, engine)
    modes = leading_modes(rbm.weights)
    chains, trace, every = gibbs.init(rows[torch.from_numpy(picks)].to(rbm.device)), [], max(1, steps[-1] // 64)
    for _ in range(steps[-1] // every):
        chains, _info = gibbs.step(sampler, chains, every)
        trace.append(chains.v.to(modes.dtype) @ modes)
        advance(n_chains * every)
    if len(trace) < 4:
        return math.nan
    ess = effective_sample_size(torch.stack(trace, 1))
    known = ess[np.isfinite(ess)]
    return n_chains * len(trace) * every / float(known.min()) if known.size else math.inf


class _Pairs:
    """Covariances of pairs of units in data, to compare those of chains with."""

    def __init__(self, rows: Tensor, stream: Stream) -> None:
        units = stream.child("units").numpy().permutation(rows.shape[1])[:MOST_UNITS]
        self._units = torch.from_numpy(np.sort(units)).to(rows.device)
        self._upper = np.triu_indices(len(units), 1)
        self._wanted = self._covariances(rows)[0]

    def _covariances(self, states: Tensor) -> tuple[FloatArray, FloatArray]:
        """Of all pairs, and the products of both units' variances."""
        centred = states[:, self._units.to(states.device)].to(torch.float64)
        centred = centred - centred.mean(0)
        full = (centred.T @ centred / (len(centred) - 1)).cpu().numpy()
        variance = full.diagonal()
        return full[self._upper], np.outer(variance, variance)[self._upper]

    def _agreement(self, states: Tensor) -> float:
        found, product = self._covariances(states)
        apart = float(np.square(found - self._wanted).sum() - product.sum() / len(states))
        return 1.0 - apart / max(float(np.square(self._wanted).sum()), np.finfo(np.float64).tiny)

    def compare(self, states: Sequence[Tensor]) -> tuple[FloatArray, Estimate]:
        """(l,) agreement after each length, and the largest less the last."""
        values = np.array([self._agreement(one) for one in states])
        best, blocks = int(values.argmax()), np.arange(len(states[0])) % BLOCKS
        left_out = []
        for block in range(BLOCKS):
            kept = torch.from_numpy(np.flatnonzero(blocks != block)).to(states[0].device)
            left_out.append(self._agreement(states[best][kept]) - self._agreement(states[-1][kept]))
        error = math.sqrt((BLOCKS - 1) * float(np.var(left_out)))
        return values, Estimate(float(values[best] - values[-1]), error)


class _Classes:
    """Classes of states by the nearest mean of labelled data, or by the side of their first principal component."""

    def __init__(self, rows: Tensor, labels: Any) -> None:
        known = rows.to(torch.float64)
        if labels is None:
            centred = known - known.mean(0)
            side = centred @ torch.linalg.eigh(centred.T @ centred)[1][:, -1] > 0.0
            number = (side if 2 * int(side.sum()) <= len(side) else ~side).to(torch.int64)  # 0 has more data
        else:
            _, inverse = np.unique(np.asarray(labels)[: len(rows)], return_inverse=True)
            number = torch.from_numpy(inverse).to(rows.device)
        present = [known[number == label] for label in range(int(number.max()) + 1)]
        self._means = torch.stack([part.mean(0) for part in present])
        self.of_data = self.shares(rows)

    def shares(self, states: Tensor) -> FloatArray:
        """(k,) of the classes."""
        means = self._means.to(states.device)
        distance = means.square().sum(1) - 2.0 * states.to(torch.float64) @ means.T
        counts = torch.bincount(distance.argmin(1), minlength=len(means))
        return np.asarray((counts / len(states)).cpu().numpy(), dtype=np.float64)
