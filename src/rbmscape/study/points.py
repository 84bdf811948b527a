"""One estimate of the log-likelihood, as a row of plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rbmscape.data.dataset import Dataset
from rbmscape.likelihood.bracket import likelihood_bracket
from rbmscape.likelihood.estimate import log_likelihood
from rbmscape.runs.run import Run

__all__ = ["likelihood_point"]


def likelihood_point(
    run: Run, update: int, dataset: Dataset, method: str, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Mean log-likelihood of the test data under one checkpoint of a run.

    Parameters
    ----------
    run, update : which model
    dataset : the data of the run
    method : "exact", "ais" or "bracket"; a bracket starts from the earlier checkpoints
    options : of `rbmscape.log_likelihood` or `rbmscape.likelihood_bracket`

    Returns
    -------
    ``update``, ``epoch``, ``method``, ``value``, ``stderr`` and ``spread`` in nats, ``ess`` (None where it is not
    known); of a bracket also ``lower``, ``upper``, their standard errors, and ``converged``, 1 or 0
    """
    model, bounds = run.load(update), dict[str, Any]()
    if method == "bracket":
        earlier = [run.load(before) for before in run.updates if before < update]
        bracket = likelihood_bracket(model, dataset, models=earlier or None, **options)
        estimate = bracket.best
        bounds = {"lower": bracket.lower.value, "upper": bracket.upper.value, "converged": float(bracket.converged)}
        bounds |= {"lower_stderr": bracket.lower.stderr, "upper_stderr": bracket.upper.stderr}
    else:
        estimate = log_likelihood(model, dataset, method=method, **options)
    return {
        "update": update,
        "epoch": update / run.updates_per_epoch,
        "method": method,
        "value": estimate.value,
        "stderr": estimate.stderr,
        "ess": None if np.isnan(estimate.ess) else estimate.ess,
        "spread": estimate.spread,
        **bounds,
    }
