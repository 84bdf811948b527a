r"""How probable a row is, how much more or less probable its neighbours are, and how it compares with others.

``ln p(v) = -F(v) - ln Z``: the first term is exact for every row, the second has one error that is common to all rows.
It cancels in whatever compares rows: a flip of unit i changes ln p by

``(1 - 2 v_i) a_i + Σ_j ln[σ(-x_j) + σ(x_j) exp((1 - 2 v_i) W_ij)]``,  ``x = b + Wᵀv``,

which costs one pass over W for all N flips of a row.  Rows with missing entries have the probability of what is known,
see `rbmscape.model.missing`.  Shapes: v is (..., N), results (...,) or (..., N), float64.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.arguments import checked
from rbmscape.arrays import in_order
from rbmscape.brief import OneLine
from rbmscape.data.kinds import MISSING, has_missing
from rbmscape.data.packed import PackedBits, row_blocks
from rbmscape.errors import DataError, InputError
from rbmscape.likelihood.estimate import log_partition
from rbmscape.model.arrays import Arrays
from rbmscape.model.missing import PartialRows, conditional_model, partial_rows
from rbmscape.model.rbm import RBM
from rbmscape.model.trained import Trained, one_model
from rbmscape.stats import Estimate

if TYPE_CHECKING:
    from rbmscape.data.dataset import Dataset

__all__ = ["AnomalyScores", "LogProbability", "anomaly_scores", "flip_differences", "log_probability"]

_ROWS_A_BLOCK: Final = 8192
_VALUES_A_BLOCK: Final = 1 << 25  # of float64 states: a quarter of a gigabyte
_ENTRIES_A_BLOCK: Final = 1 << 22  # of (row, unit, hidden unit), which bounds memory and stays near the processor
_LARGEST_EXPONENT: Final = 700.0


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LogProbability(OneLine):
    """ln p of rows, in nats.

    Attributes
    ----------
    value : (...,) float64
    log_partition : the estimate of ln Z in all of them; its error moves all values alike
    row_stderr : (...,) of what else is estimated; 0 for complete rows, and where missing entries were summed out
    weights : (n,) of the rows of a `Dataset`, which its mean counts; None where all count alike
    """

    value: Tensor
    log_partition: Estimate
    row_stderr: Tensor
    weights: NDArray[np.float64] | None = None

    @property
    def common_stderr(self) -> float:
        """Error of ln Z, common to all rows."""
        return self.log_partition.stderr

    @property
    def mean(self) -> Estimate:
        """Mean over the rows by their weights, with the error of ln Z and of what else is estimated."""
        shares = torch.full(self.value.shape, 1.0 / max(1, self.value.numel()), dtype=torch.float64)
        if self.weights is not None:
            shares = torch.from_numpy(self.weights / self.weights.sum())
        own = float((shares * self.row_stderr.cpu()).square().sum().sqrt())
        value = float((shares * self.value.cpu()).sum())
        return Estimate(value, math.hypot(self.common_stderr, own), self.log_partition.ess)

    def _headline(self) -> str:
        return f"{self.value.numel()} rows, mean {self.mean!s} nats, ln Z {self.log_partition!s}"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AnomalyScores(OneLine):
    """How improbable rows are beside others; nothing in it depends on ln Z.

    Attributes
    ----------
    excess : (...,) mean ln p of the reference less ln p(v), in nats
    p_value : (...,) share of the reference and the row itself that is no more probable, at least 1/(n + 1); a row like
        the reference has any value in (0, 1] with equal chance, if the model was not trained on the reference
    n_reference : rows of the reference
    """

    excess: Tensor
    p_value: Tensor
    n_reference: int

    def _headline(self) -> str:
        return f"{self.excess.numel()} rows beside {self.n_reference}, smallest p-value {float(self.p_value.min()):.2g}"


@checked
def log_probability(
    rbm: RBM | Trained,
    v: Dataset | Arrays,
    method: str = "auto",
    *,
    partition: Estimate | None = None,
    **options: Any,
) -> LogProbability:
    """ln p(v) = -F(v) - ln Z of each row.

    Parameters
    ----------
    rbm : the model, or a run
    v : (..., N) entries 0 or 1; of rows with NaN (or masked) entries the known ones are scored, the others summed out;
        or a `Dataset`, whose test rows (if any) are meant
    method, options : of ln Z, as in `rbmscape.log_partition`
    partition : a known estimate of ln Z, instead of a new one

    Returns
    -------
    LogProbability: exact but for ln Z, whose error is common to all rows.  Missing entries are summed out exactly where
    a row lacks at most 16 of them or the hidden layer has at most 16 units; else that is estimated as ln Z is, row by
    row.

    Raises
    ------
    DataError, ShapeError : rows that do not fit the model or are not binary
    InputError, EngineError : as `rbmscape.log_partition`
    """
    model = rbm.load() if isinstance(rbm, Trained) else one_model(rbm, "log_probability")
    if partition is not None and not isinstance(partition, Estimate):
        raise InputError(
            f"partition must be an Estimate, found {type(partition).__name__}; pass rbmscape.log_partition(rbm), or "
            "rbmscape.Estimate(value, 0.0) for a known number"
        )
    given, marks, weights = _scored(in_order(v, model.columns, "v"))
    log_z = log_partition(model, method, **options) if partition is None else partition
    if isinstance(given, PackedBits):
        return _of_packed(model, given, log_z, weights)
    rows = partial_rows(model, given, marks, where="v")
    value = minus_free_energy(model, rows.states)
    stderr = torch.zeros_like(value)
    inner = {name: given for name, given in options.items() if name not in ("data", "starts", "models", "progress")}
    for index in torch.nonzero(rows.incomplete).flatten().tolist():
        marginal = _log_marginal(model, rows, index, inner)
        value[index], stderr[index] = marginal.value, marginal.stderr
    return LogProbability((value - log_z.value).reshape(rows.shape), log_z, stderr.reshape(rows.shape), weights)


def _scored(v: Any) -> tuple[Any, Any, NDArray[np.float64] | None]:
    """Rows, marks of missing entries, and weights, of rows or of the scored part of a Dataset."""
    if not hasattr(v, "train"):
        return v, None, None
    rows, weights = (v.test, v.test_weights) if len(v.test) else (v.train, v.train_weights)
    return rows, rows == MISSING if has_missing(rows) else None, weights


def _of_packed(rbm: RBM, bits: PackedBits, log_z: Estimate, weights: NDArray[np.float64] | None) -> LogProbability:
    """The same of rows that are written out a block at a time."""
    value = torch.cat(
        [minus_free_energy(rbm, partial_rows(rbm, bits[block], where="v").states) for block in row_blocks(bits.shape)]
    )
    return LogProbability(value - log_z.value, log_z, torch.zeros_like(value), weights)


def _log_marginal(rbm: RBM, rows: PartialRows, index: int, options: dict[str, Any]) -> Estimate:
    """ln Σ exp(-F) over the missing entries of a row."""
    model, bias = conditional_model(rbm, rows.states[index], rows.missing[index])
    found = log_partition(model, "auto", **options)
    return Estimate(found.value + bias, found.stderr, found.ess)


def minus_free_energy(rbm: RBM, states: Tensor) -> Tensor:
    """-F(v) of rows (n, N) in float64 and in blocks; (n,) on the model's device, exact."""
    double = rbm.to(dtype=torch.float64)
    n_rows = max(1, min(_ROWS_A_BLOCK, _VALUES_A_BLOCK // rbm.n_visible))
    found = [-double.free_energy(block.to(rbm.device)) for block in torch.split(states, n_rows)]
    return torch.cat(found) if found else torch.zeros(0, dtype=torch.float64, device=rbm.device)


def flip_differences(rbm: RBM | Trained, v: Arrays) -> Tensor:
    """ln p(v with unit i flipped) - ln p(v) for all units of each row: what every single mutation does.

    Parameters
    ----------
    rbm : the model, or a run
    v : (..., N) entries 0 or 1

    Returns
    -------
    (..., N) nats, float64, exact; one pass over the weights for each row, without ln Z

    Raises
    ------
    DataError, ShapeError : rows that do not fit the model, are not binary, or have missing entries
    """
    model = rbm.load() if isinstance(rbm, Trained) else one_model(rbm, "flip_differences")
    rows = partial_rows(model, v, where="v")
    if bool(rows.missing.any()):
        raise DataError("v has missing entries, which cannot be flipped; draw them with conditional_samples first")
    double = model.to(dtype=torch.float64)
    exponentials = None
    if float(double.weights.abs().amax()) < _LARGEST_EXPONENT:
        exponentials = torch.stack((double.weights.exp(), (-double.weights).exp()))
    found = torch.empty(rows.states.shape, dtype=torch.float64, device=model.device)
    for place, states in zip(_blocks(len(found), double), _split(rows.states, double), strict=True):
        found[place] = _flips(double, states, exponentials)
    return found.reshape(*rows.shape, model.n_visible)


def _rows_together(rbm: RBM) -> int:
    return max(1, _ENTRIES_A_BLOCK // (rbm.n_visible * rbm.n_hidden))


def _blocks(n_rows: int, rbm: RBM) -> Iterator[slice]:
    size = _rows_together(rbm)
    return (slice(first, first + size) for first in range(0, n_rows, size))


def _split(states: Tensor, rbm: RBM) -> Iterator[Tensor]:
    return iter(torch.split(states, _rows_together(rbm))) if len(states) else iter(())


def _flips(rbm: RBM, states: Tensor, exponentials: Tensor | None) -> Tensor:
    """All flips of a block of rows (n, N); exponentials : (2, N, M) exp(W) and exp(-W), where they are finite."""
    fields = rbm.hidden_field(states)[:, None]
    sign = 1.0 - 2.0 * states.to(torch.float64)
    if exponentials is None:
        softplus = torch.nn.functional.softplus
        change = softplus(fields + sign[..., None] * rbm.weights) - softplus(fields)
    else:
        factor = torch.where(states[..., None] == 0, exponentials[0], exponentials[1])
        change = factor.mul_(torch.sigmoid(fields)).add_(torch.sigmoid(-fields)).log_()
    return sign * rbm.visible_bias + change.sum(-1)


def anomaly_scores(rbm: RBM | Trained, v: Arrays, data: Dataset | Arrays) -> AnomalyScores:
    """How improbable rows are beside rows that are known to be ordinary.

    Parameters
    ----------
    rbm : the model, or a run
    v : (..., N) entries 0 or 1
    data : (n, N) ordinary rows, best ones that the model was not trained on; or a `Dataset`, whose test rows are meant,
        if it has any

    Returns
    -------
    AnomalyScores, exact for this reference

    Raises
    ------
    DataError, ShapeError : rows that do not fit the model, are not binary, or have missing entries
    """
    model = rbm.load() if isinstance(rbm, Trained) else one_model(rbm, "anomaly_scores")
    ordinary: Any = in_order(data, model.columns, "data")
    if hasattr(ordinary, "train"):
        ordinary = ordinary.test if len(ordinary.test) else ordinary.train
    rows, reference = partial_rows(model, v, where="v"), partial_rows(model, ordinary, where="data")
    for name, given in (("v", rows), ("data", reference)):
        if bool(given.missing.any()) or not len(given.states):
            raise DataError(f"{name} must be complete rows, found missing entries or no row; leave those rows out")
    value, known = minus_free_energy(model, rows.states), minus_free_energy(model, reference.states).sort().values
    p_value = (torch.searchsorted(known, value, right=True) + 1).to(torch.float64) / (len(known) + 1)
    return AnomalyScores((known.mean() - value).reshape(rows.shape), p_value.reshape(rows.shape), len(known))
