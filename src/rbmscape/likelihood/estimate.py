r"""ln Z and log-likelihoods with their errors: one entry for all methods (arXiv:2503.21536, section 2, figure 1 left).

========  ======================================================================================================
exact     sum over the smaller layer, up to 2^25 states
ais       annealing from the base to the model; in expectation a lower bound on ln Z
reverse   annealing from samples of the model to the base (``reverse_ais``); an upper bound if they are equilibrated
bar       Bennett's combination of both, with half their distance in its error
========  ======================================================================================================

For the log-likelihood ``mean(-F(v)) - ln Z`` the bounds change places.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.arguments import checked
from rbmscape.arrays import in_order
from rbmscape.checks import check_choice, check_count
from rbmscape.data.packed import PackedBits
from rbmscape.data.weighting import as_weights
from rbmscape.errors import DataError, InputError
from rbmscape.kernels.interface import Engine
from rbmscape.kernels.select import select_engine
from rbmscape.likelihood.annealing import Annealed, anneal, anneal_back
from rbmscape.likelihood.bar import bennett
from rbmscape.likelihood.equilibrium import reverse_starts
from rbmscape.likelihood.path import AnnealingPath, log_weight, pilot_states
from rbmscape.likelihood.schedules import Schedule, make_schedule
from rbmscape.memory import check_memory
from rbmscape.model.exact import exact_log_partition
from rbmscape.model.rbm import RBM
from rbmscape.model.trained import one_model
from rbmscape.progress import Advance, AtMost, Progress, reporting
from rbmscape.rng import Stream
from rbmscape.sampling.equilibrate import Machine
from rbmscape.sampling.equilibrium import MAX_CHAINS
from rbmscape.sampling.kept import KeptLadder
from rbmscape.sampling.origins import binary_rows, some_rows
from rbmscape.stats import Estimate, bootstrap_stderr, kish_ess, log_mean_exp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rbmscape.data.dataset import Dataset

__all__ = [
    "METHODS",
    "LogPartition",
    "forward_estimate",
    "log_likelihood",
    "log_partition",
    "reverse_estimate",
    "scored_weights",
]

FloatArray = NDArray[np.float64]
METHODS = ("auto", "exact", "ais", "reverse_ais", "bar")
BASE_ROWS = 20_000
EXACT_WORK = 5e8
"""Terms that ``auto`` sums exactly at most: states of the smaller layer times units of the larger, 15 nanoseconds each
on one core; eight seconds, for an answer without error where annealing takes half a second for a bound."""
MIN_OVERLAP = 0.03
UNSEEN = 1.5
"""Standard error of ln Z from modes that n independent draws do not show, times n."""


@dataclass(frozen=True, slots=True, repr=False)
class LogPartition(Estimate):
    """An estimate of ln Z or of a log-likelihood that also says how it was made.

    Attributes
    ----------
    value, stderr, ess : as in `Estimate`; the error is a bootstrap over chains, the ess that of the weights, Kish's
        (Σw)²/Σw² (for BAR that of the direction with fewer)
    method : one of ``exact``, ``ais``, ``reverse_ais``, ``bar``
    spread : standard deviation of the log weights; far above 1 the mean hangs on few chains
    n_chains, n_betas : chains in each direction, and temperatures
    overlap : of both directions, see `rbmscape.likelihood.bar`; NaN without two directions
    rows : of a log-likelihood, the standard error of the mean over the scored rows as a sample of all that could be,
        which is no part of ``stderr``; 0 for ln Z
    objections : what speaks against it, a clause each; where there is something, ``stderr`` is NaN, since what was seen
        to be wrong has no error that could be believed
    """

    method: str = "exact"
    spread: float = 0.0
    n_chains: int = 0
    n_betas: int = 0
    overlap: float = math.nan
    objections: tuple[str, ...] = ()
    rows: float = 0.0

    @property
    def converged(self) -> bool:
        """Whether nothing speaks against it; not that it is right, see `rbmscape.likelihood_bracket`."""
        return not self.objections

    def doubted(self, objections: Sequence[str]) -> LogPartition:
        """The same with objections, and without an error where there are any."""
        return replace(self, objections=tuple(objections), stderr=math.nan if objections else self.stderr)

    def __str__(self) -> str:
        if self.rows:
            return with_both_errors(self, self.rows)
        return f"about {self.value:.4g}, not converged" if self.objections else Estimate.__str__(self)

    def _headline(self) -> str:
        doubts = f": {'; '.join(self.objections)}" if self.objections else ""
        return f"{Estimate._headline(self)}, {self.method}{doubts}"


@checked
def log_partition(
    rbm: RBM,
    method: str = "auto",
    *,
    data: Dataset | Tensor | Any | None = None,
    n_chains: int = 500,
    n_betas: int = 1000,
    seed: int = 0,
    schedule: Schedule = "adaptive",
    starts: Tensor | Any | None = None,
    models: Sequence[RBM] | KeptLadder | None = None,
    budget: float | None = None,
    engine: str | Engine = "auto",
    precision: str = "auto",
    progress: Progress = False,
) -> LogPartition:
    """ln Z = ln Σ_{v,h} exp(-E(v, h)) of a model.

    Parameters
    ----------
    method : see the table above; ``auto`` is ``exact`` where that takes seconds (18 units in the smaller layer for 784
        in the larger, 20 for 400), else ``ais``
    data : (n, N) zeros and ones, or a `Dataset` (its training data), to which the base of the path is fitted; without
        data short Gibbs chains of the model serve
    n_chains : annealed chains; backward at most 200 unless `starts` are given, since tempering is costly
    n_betas : temperatures, unless `schedule` gives them
    seed : key of all random numbers
    schedule : ``adaptive``, ``uniform``, ``piecewise``, or increasing values from 0 to 1
    starts : (n, N) samples of the model for the reverse direction, trusted to be independent and equilibrated; without
        them `rbmscape.likelihood.equilibrium` makes them by tempering
    models : earlier models of the same training, first to last, or the ladder that it kept, for that tempering; else it
        runs in temperature
    budget : multiply-adds of that tempering at most, see `rbmscape.sampling.budget`; by default 1024 rounds at most
    engine, precision : see `rbmscape.kernels.select.select_engine`
    progress : show a bar, or a reporter that counts steps of annealed chains

    Returns
    -------
    LogPartition; only ``exact`` is free of error.  One direction alone says nothing about its own bias (in expectation
    ``ais`` is at most ln Z): see `rbmscape.likelihood_bracket`.  An estimate that something speaks against has
    ``objections`` and no error.

    Raises
    ------
    InputError : unknown method or schedule, no chains, or too many units for ``exact``
    ShapeError, DataError : data or starts that do not fit the model or are not binary
    EngineError : engine or precision is not available on this machine
    """
    rbm = one_model(rbm, "log_partition")
    check_choice("method", method, METHODS)
    n_chains = check_count("n_chains", n_chains)
    starts = None if starts is None else binary_rows(rbm, starts, "starts")
    if method == "auto":
        method = "exact" if is_summable(rbm) else "ais"
    if method == "exact":
        return LogPartition(exact_log_partition(rbm), 0.0)
    check_memory(16.0 * (check_count("n_chains", n_chains) + n_betas), f"{n_chains} chains", "take fewer")
    stream = Stream(seed, "likelihood")
    chosen = select_engine(engine, precision, rbm.device)
    annealer, path = chosen.annealer(), fitted_path(rbm, data, stream.child("base"), chosen)
    temperatures = make_schedule(schedule, path, n_betas, stream.child("schedule"), annealer)
    n_starts = min(n_chains, MAX_CHAINS) if starts is None else len(binary_rows(rbm, starts, "starts"))
    annealed = {"ais": n_chains, "reverse_ais": n_starts, "bar": n_chains + n_starts}[method]
    forward = backward = None
    doubts: tuple[str, ...] = ()
    with reporting(progress, "annealing", annealed * (len(temperatures) - 1)) as advance:
        if method != "reverse_ais":
            forward = anneal(path, temperatures, n_chains, stream.child("forward"), annealer, advance)
        if method != "ais":
            machine = Machine(chosen, annealer, precision)
            samples, doubts = _reverse_starts(path, starts, models, n_chains, stream, machine, budget, data, advance)
            advance(0, AtMost(len(samples) * (len(temperatures) - 1)))
            backward = anneal_back(path, temperatures, samples, stream.child("backward"), annealer, advance)
    found = _summary(forward, backward, len(temperatures), stream)
    if found.overlap < MIN_OVERLAP:
        doubts += (f"overlap of both directions {found.overlap:.3f} (at least {MIN_OVERLAP})",)
    return found.doubted(doubts)


@checked
def log_likelihood(
    rbm: RBM,
    data: Dataset | Tensor | Any,
    method: str = "auto",
    *,
    partition: Estimate | None = None,
    weights: Any = None,
    **options: Any,
) -> LogPartition:
    """Mean of ln p(v) = -F(v) - ln Z over samples, in nats a sample.

    Parameters
    ----------
    data : (n, N) zeros and ones, or a `Dataset`, of which the test data are scored (the training data if there are
        none) and the base is fitted to the training data
    method, options : as in `log_partition`
    partition : a known estimate of ln Z, instead of a new one
    weights : (n,) how much each row counts; those of a `Dataset` by default

    Returns
    -------
    LogPartition with two errors: ``stderr`` is that of ln Z, ``rows`` that of the mean over the rows as a sample of all
    that could be; the latter is none of the mean over *these* rows

    Raises
    ------
    as `log_partition`
    """
    rbm = one_model(rbm, "log_likelihood")
    log_z = partition if partition is not None else log_partition(rbm, method, data=data, **options)
    values = log_weight(rbm, scored_data(rbm, data))
    counted = scored_weights(data) if weights is None else as_weights(weights, len(values), "weights")
    return shifted(log_z, *mean_and_error(values, counted))


def scored_weights(data: Any) -> FloatArray | None:
    """Weights of the rows of `scored_data`; None where all count alike."""
    if not hasattr(data, "train"):
        return None
    weights: FloatArray | None = data.test_weights if len(data.test) else data.train_weights
    return weights


def mean_and_error(log_weights: Tensor, weights: FloatArray | None = None) -> tuple[float, float]:
    """Mean of -F(v) over rows, and its standard error as that of a sample of all that could be; 0 for a single row.

    With weights the mean is weighted, and there are as many rows as Kish's (Σw)²/Σw² says.
    """
    count = float(len(log_weights))
    if weights is None:
        return float(log_weights.mean()), float(log_weights.std()) / math.sqrt(count) if count > 1 else 0.0
    shares = torch.from_numpy(weights / weights.sum()).to(log_weights.device)
    mean, count = float((shares * log_weights).sum()), float(1.0 / shares.square().sum())
    variance = float((shares * (log_weights - mean).square()).sum())
    return mean, math.sqrt(variance / (count - 1.0)) if count > 1.0 else 0.0


def shifted(log_z: Estimate, mean_log_weight: float, rows: float = 0.0) -> LogPartition:
    """``mean(-F) - ln Z`` with everything that is known about ln Z, and the error of the mean over the rows."""
    value = mean_log_weight - log_z.value
    if not isinstance(log_z, LogPartition):
        return LogPartition(value, log_z.stderr, log_z.ess, method="given", rows=rows)
    return replace(log_z, value=value, rows=rows)


def with_both_errors(estimate: Estimate, rows: float) -> str:
    """A log-likelihood with the error of ln Z, where it has one, and that of the finite set of rows."""
    if not rows:
        return str(estimate)
    if math.isnan(estimate.stderr):
        return f"about {estimate.value:.4g}, not converged, ± {_error(rows)} (rows)"
    number = str(Estimate(estimate.value, estimate.stderr or rows)).split(" ± ")[0]
    of_z = f" ± {_error(estimate.stderr)} (ln Z)" if estimate.stderr else ""
    return f"{number}{of_z} ± {_error(rows)} (rows)"


def _error(stderr: float) -> str:
    """Two digits, and all those before the point."""
    return f"{stderr:.2g}" if not stderr >= 100.0 else f"{stderr:.0f}"


def summing_terms(n_visible: int, n_hidden: int) -> float:
    """Terms of an exact sum: states of the smaller layer times units of the larger."""
    return 2.0 ** min(n_visible, n_hidden) * max(n_visible, n_hidden)


def summing_work(rbm: RBM) -> float:
    """Terms of the exact sum of a model."""
    return summing_terms(rbm.n_visible, rbm.n_hidden)


def is_summable(rbm: RBM) -> bool:
    """Whether ``auto`` sums over all states of the smaller layer."""
    return summing_work(rbm) <= EXACT_WORK


def base_data(rbm: RBM, data: Any) -> Tensor | None:
    """What the base is fitted to: the training part of a Dataset, the rows of an array, or nothing.

    Of rows that are kept packed since they are many or wide, the first 20 000 are enough for means; rows with missing
    entries do not serve.
    """
    if data is None or getattr(data, "has_missing", False):
        return None
    data = in_order(data, rbm.columns, "data")
    rows = data.train if hasattr(data, "train") else data
    return binary_rows(rbm, rows[:BASE_ROWS] if isinstance(rows, PackedBits) else rows, "data")


def fitted_path(rbm: RBM, data: Any, stream: Stream, engine: Engine) -> AnnealingPath:
    """Path whose base fits `base_data`, or short chains of the model where there are none."""
    rows = base_data(rbm, data)
    return AnnealingPath.fit(rbm, pilot_states(rbm, stream, engine) if rows is None else rows)


def scored_data(rbm: RBM, data: Any) -> Tensor:
    """What is scored: the test part of a Dataset if it has one, else its training part; or the rows of an array."""
    if data is None:
        raise InputError("log_likelihood needs data to score, found None; pass an array of zeros and ones or a Dataset")
    data = in_order(data, rbm.columns, "data")
    if hasattr(data, "train"):
        if data.has_missing:
            raise DataError(
                f"{data.name} has missing entries; log_probability(rbm, dataset) sums them out, and its mean is the "
                "log-likelihood"
            )
        data = data.test if len(data.test) else data.train
    return binary_rows(rbm, data, "data")


def given_rows(rbm: RBM, data: Any) -> Tensor | None:
    """Rows of an array or a Dataset for `rbmscape.sampling.origins`, thousands of each part at most."""
    if data is None:
        return None
    data = in_order(data, rbm.columns, "data")
    parts = (data.train, data.test) if hasattr(data, "train") else (data,)
    few = [some_rows(part) if isinstance(part, PackedBits) else part for part in parts if len(part)]
    return torch.cat([some_rows(binary_rows(rbm, part, "data")) for part in few])


def _reverse_starts(
    path: AnnealingPath,
    starts: Any,
    models: Sequence[RBM] | KeptLadder | None,
    n_chains: int,
    stream: Stream,
    machine: Machine,
    budget: float | None,
    data: Any,
    advance: Advance,
) -> tuple[Tensor, tuple[str, ...]]:
    if starts is not None:
        return binary_rows(path.rbm, starts, "starts"), ()
    n_starts, known = min(n_chains, MAX_CHAINS), given_rows(path.rbm, data)
    source = stream.child("equilibrium")
    tempered = reverse_starts(path, n_starts, source, machine, models, known=known, budget=budget, progress=advance)
    return tempered.v, tempered.objections


def forward_estimate(annealed: Annealed, generator: np.random.Generator, n_betas: int) -> LogPartition:
    """ln mean w with a bootstrap error: in expectation a lower bound on ln Z."""
    x = annealed.log_weights
    stderr = bootstrap_stderr(x, log_mean_exp, generator) if x.size > 1 else math.nan
    return LogPartition(float(log_mean_exp(x)), stderr, kish_ess(x), "ais", float(np.std(x)), x.size, n_betas)


def reverse_estimate(annealed: Annealed, generator: np.random.Generator, n_betas: int) -> LogPartition:
    """-ln mean(1/w) with a bootstrap error: in expectation an upper bound on ln Z, if the starts were equilibrated."""
    mirrored = forward_estimate(Annealed(-annealed.log_weights, annealed.v, annealed.spread), generator, n_betas)
    return LogPartition(
        -mirrored.value, mirrored.stderr, mirrored.ess, "reverse_ais", mirrored.spread, mirrored.n_chains, n_betas
    )


def _summary(forward: Annealed | None, backward: Annealed | None, n_betas: int, stream: Stream) -> LogPartition:
    generator = stream.child("bootstrap").numpy()
    if backward is None:
        assert forward is not None
        return forward_estimate(forward, generator, n_betas)
    if forward is None:
        return reverse_estimate(backward, generator, n_betas)
    return bar_estimate(forward, backward, generator, n_betas)


def bar_estimate(forward: Annealed, backward: Annealed, generator: np.random.Generator, n_betas: int) -> LogPartition:
    """Bennett's combination of both directions.

    Its error is that of the bootstrap, half the distance between the two bounds, and what the reverse starts may have
    missed, added in quadrature.  Chains that miss a part of the model, and few chains that carry all the weight, set
    the bounds apart, and no resampling of the same chains shows it (`benchmarks/calibration.py`: the bootstrap alone
    missed one exact value in seven).  A mode of the weight w is in none of n draws with the probability exp(-n w), so
    that with 95 % confidence what n draws miss is less than 3/n.
    """
    x, y = forward.log_weights, backward.log_weights
    both = bennett(x, y, generator)
    apart = float(log_mean_exp(x)) + float(log_mean_exp(-y))
    ess = min(kish_ess(x), kish_ess(-y))
    spread = max(float(np.std(x)), float(np.std(y)))
    stderr = math.hypot(both.stderr, apart / 2.0, UNSEEN / y.size)
    return LogPartition(both.value, stderr, ess, "bar", spread, min(x.size, y.size), n_betas, both.overlap)
