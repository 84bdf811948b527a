"""Estimates of the log-likelihood, as rows of plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from rbmscape.data.dataset import Dataset
from rbmscape.likelihood.bracket import likelihood_bracket
from rbmscape.likelihood.estimate import (
    LogPartition,
    log_likelihood,
    mean_and_error,
    scored_data,
    scored_weights,
    shifted,
)
from rbmscape.likelihood.path import log_weight
from rbmscape.likelihood.trajectory import trajectory_log_partition
from rbmscape.runs.run import Run

__all__ = ["ESTIMATORS", "likelihood_point", "likelihood_trajectory"]

ESTIMATORS: Final = ("exact", "ais", "bracket", "trajectory")
"""Methods, by the number that stands for them in a Dataset."""


def likelihood_point(
    run: Run, update: int, dataset: Dataset, method: str, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Mean log-likelihood of the test data under one checkpoint of a run.

    Parameters
    ----------
    run, update : which model
    dataset : the data of the run
    method : "exact", "ais" or "bracket"; a bracket starts along `rbmscape.Run.path`
    options : of `rbmscape.log_likelihood` or `rbmscape.likelihood_bracket`

    Returns
    -------
    ``update``, ``epoch``, ``method``, ``value``, ``stderr`` (of ln Z), ``row_stderr`` (of the mean over the rows as a
    sample of all that could be) and ``spread`` in nats, ``ess`` (None where it is not known); of a bracket also
    ``lower``, ``upper``, their standard errors, and 1 or 0 for ``converged``, ``bracketed`` (the same) and
    ``starts_equilibrated``
    """
    model, bounds = run.load(update), dict[str, Any]()
    if method == "bracket":
        path = run.path(update)
        is_single = isinstance(path, list) and len(path) == 1
        bracket = likelihood_bracket(model, dataset, models=None if is_single else path, **options)
        estimate = bracket.best
        bounds = {"lower": bracket.lower.value, "upper": bracket.upper.value, "converged": float(bracket.converged)}
        bounds |= {"bracketed": float(bracket.converged), "starts_equilibrated": float(not bracket.doubts)}
        bounds |= {"lower_stderr": bracket.lower.stderr, "upper_stderr": bracket.upper.stderr}
    else:
        estimate = log_likelihood(model, dataset, method=method, **options)
    return _row(run, update, method, estimate) | bounds


def likelihood_trajectory(
    run: Run, updates: Sequence[int], dataset: Dataset, options: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Mean log-likelihood of the test data under several checkpoints of a run, from one tempering along all of them.

    Parameters
    ----------
    run, updates : which models
    dataset : the data of the run
    options : of `rbmscape.likelihood.trajectory_log_partition`

    Returns
    -------
    A row a checkpoint, as from `likelihood_point`, with ``converged``, 1 or 0
    """
    known = [update for update in run.updates if update <= max(updates)]  # also of a run that went on
    models = list(run.models(known))
    curve = trajectory_log_partition(models, **options)
    rows = []
    for update in updates:
        place = known.index(update)
        model, log_partition = models[place], curve.log_partitions[place]
        scores = log_weight(model, scored_data(model, dataset))
        estimate = shifted(log_partition, *mean_and_error(scores, scored_weights(dataset)))
        found = _row(run, update, "trajectory", estimate)
        rows.append(found | {"converged": float(curve.converged[place])})
    return rows


def _row(run: Run, update: int, method: str, estimate: LogPartition) -> dict[str, Any]:
    return {
        "update": update,
        "epoch": update / run.updates_per_epoch,
        "method": method,
        "value": estimate.value,
        "stderr": None if np.isnan(estimate.stderr) else estimate.stderr,
        "ess": None if np.isnan(estimate.ess) else estimate.ess,
        "spread": estimate.spread,
        "row_stderr": estimate.rows,
    }
