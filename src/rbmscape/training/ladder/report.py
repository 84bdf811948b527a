"""The log-likelihood of a checkpoint's model by the ladder, with its error and its verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from rbmscape.likelihood.path import log_weight, rounding
from rbmscape.model.rbm import RBM
from rbmscape.rng import Stream
from rbmscape.training.ladder.audit import Blind, blind_doubts, scout
from rbmscape.training.ladder.climb import Climb
from rbmscape.training.ladder.link import group_error
from rbmscape.training.ladder.machine import Machine
from rbmscape.training.ladder.verdict import entropy_bound, ladder_doubts

__all__ = ["Report", "report"]

CERTAIN = 4.0
SCOUTS = 256


@dataclass(frozen=True, slots=True)
class Report:
    """What is known about a checkpoint's model.

    Attributes
    ----------
    train, test : mean log-likelihood, nats a sample (None without test data)
    log_partition, stderr : ln Z, and the error of all three
    overlap : the smallest of two neighbouring rungs
    rounds, autocorrelation : of the thermalisation at the model
    blind : fractions of scouts that found what the ladder does not know
    doubts : what speaks against the estimate
    """

    train: float
    test: float | None
    log_partition: float
    stderr: float
    overlap: float
    rounds: int
    autocorrelation: float
    blind: Blind
    doubts: tuple[str, ...]

    def metrics(self) -> dict[str, Any]:
        """As a line of metrics.jsonl has it."""
        return {
            "log_likelihood_train": self.train,
            "log_likelihood_test": self.test,
            "log_likelihood": self.train if self.test is None else self.test,
            "log_partition": self.log_partition,
            "log_partition_stderr": self.stderr,
            "log_partition_overlap": self.overlap,
            "thermalisation_rounds": self.rounds,
            "autocorrelation_rounds": self.autocorrelation,
            "blind_data": self.blind.data,
            "blind_fresh": self.blind.fresh,
            "converged": not self.doubts,
            "verdict": "; ".join(self.doubts) if self.doubts else "nothing speaks against equilibrium",
        }


def report(
    machine: Machine, found: Climb, model: RBM, data: Tensor, train: Tensor, test: Tensor, stream: Stream
) -> Report:
    """Judge a climb to a checkpoint's model.

    Parameters
    ----------
    data : (k, N) some of the training data, from which the audit starts
    train, test : (n, N), (m, N) rows to score; the test set may be empty
    """
    top, last = found.ladder.top, found.stages[-1]
    log_weights = rounding(model, top.prepared, top.flat).reshape(top.log_density.shape).cpu().numpy()
    ratio, share = _mean_weight(log_weights)
    log_z = found.ladder.log_partition + ratio
    stderr = max(found.ladder.stderr, group_error(found.ladder.influence + share))
    scores, excess = [], -np.inf
    for rows in (train, test):
        scores.append(float(log_weight(model, rows).mean()) - log_z if len(rows) else None)
        if scores[-1] is not None:
            excess = max(excess, scores[-1] - CERTAIN * stderr - entropy_bound(rows))
    blind = scout(machine, top.prepared, found.ladder, found.chains, data, SCOUTS, last.rounds, stream)
    doubts = [*found.doubts, *ladder_doubts(found.ladder, stderr, excess), *blind_doubts(blind)]
    assert scores[0] is not None
    overlap = min(link.overlap for link in found.ladder.links)
    return Report(
        scores[0],
        scores[1],
        log_z,
        stderr,
        overlap,
        last.rounds,
        last.autocorrelation,
        blind,
        tuple(dict.fromkeys(doubts)),
    )


def _mean_weight(
    log_weights: np.ndarray[Any, np.dtype[np.float64]],
) -> tuple[float, np.ndarray[Any, np.dtype[np.float64]]]:
    """ln of the mean weight (G, n), and the influence of each group on it."""
    from rbmscape.stats import log_mean_exp

    value = float(log_mean_exp(log_weights.ravel()))
    return value, (np.exp(log_weights - value) - 1.0).sum(1) / log_weights.size
