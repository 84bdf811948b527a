"""What rules read from a study's single estimates of the likelihood: whose errors count, and which trainings are over.

An estimate can be trusted where it is an exact sum or where nothing spoke against its convergence.  Estimates by
annealing in one direction have no such verdict.  Curves are read from one estimator only, that of their last point.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from rbmscape.report.evidence import LIKELIHOOD, Evidence
from rbmscape.report.findings import MissingEvidenceError
from rbmscape.report.rules import in_words, mean_over
from rbmscape.stats import Estimate

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

__all__ = ["chosen", "curve", "estimates", "last_gain", "levelled_off", "trusted", "trusted_end"]

LAST_PART = 0.75
"""Where the last quarter of a training begins."""
TOLERANCE = 0.1
"""Nats of gain in that quarter that are not held against a training, as a bracket tolerates them."""


def estimates(evidence: Evidence, *columns: str) -> xr.Dataset:
    """All estimates; those that are not converged have no error, whatever was stored."""
    found = evidence.data(LIKELIHOOD, "log_likelihood", "stderr", *columns)
    return found.assign(stderr=found.stderr.where(found.converged != 0.0)) if "converged" in found else found


def chosen(evidence: Evidence) -> tuple[xr.Dataset, str]:
    """Estimates of the recipe that is nearest to the paper's, and its name."""
    found = estimates(evidence, "epoch")
    recipe = evidence.like_the_paper(found.recipe.values.tolist())
    return found.sel(recipe=recipe), recipe


def trusted(one: xr.Dataset) -> NDArray[np.bool_]:
    """Which of a run's estimates are exact or converged, (update,)."""
    sure = one.stderr.values == 0.0
    if "converged" in one:
        sure = sure | (one.converged.values == 1.0)
    return np.asarray(sure & np.isfinite(one.log_likelihood.values) & np.isfinite(one.stderr.values))


def curve(one: xr.Dataset) -> NDArray[np.int64]:
    """Places of the points of a run's curve: those with an error, by the estimator of the last of them."""
    known = np.isfinite(one.log_likelihood.values) & np.isfinite(one.stderr.values)
    if "estimator" in one and known.any():
        kind = one.estimator.values
        last = kind[np.flatnonzero(known)[-1]]
        known &= kind == last
    return np.flatnonzero(known)


def trusted_end(one: xr.Dataset) -> Estimate | None:
    """A run's last estimate; None where there is none, or where it is neither exact nor converged."""
    known = np.flatnonzero(np.isfinite(one.log_likelihood.values))
    if not known.size or not trusted(one)[known[-1]]:
        return None
    return Estimate(float(one.log_likelihood.values[known[-1]]), float(one.stderr.values[known[-1]]))


def last_gain(runs: xr.Dataset) -> Estimate | None:
    """Mean gain of replicas in the last quarter of their training; None where no run has two such points."""
    gains: list[tuple[float, float]] = []
    for replica in runs.replica.values:
        one = runs.sel(replica=replica)
        places = curve(one)
        if not places.size:
            continue
        epoch, value, error = (one[name].values[places] for name in ("epoch", "log_likelihood", "stderr"))
        before = np.flatnonzero(epoch <= LAST_PART * epoch[-1] + 1e-9)
        if before.size:
            start = before[-1]
            gains.append((value[-1] - value[start], math.hypot(error[start], error[-1])))
    return mean_over(*np.array(gains).T) if gains else None


def levelled_off(runs: xr.Dataset, sizes: list[int]) -> None:
    """Demand that training be over at all of these sizes: the last quarter gained less than its error, or 0.1 nats.

    Raises
    ------
    MissingEvidenceError : it still gained, or nothing is known about that quarter
    """
    going, unknown = [], []
    for size in sizes:
        gain = last_gain(runs.sel(hidden=size)) if size in runs.hidden.values else None
        if gain is None or not math.isfinite(gain.stderr):
            unknown.append(str(size))
        elif gain.value > max(gain.stderr, TOLERANCE):
            going.append(f"{gain} nats at M = {size}")
    if unknown:
        raise MissingEvidenceError(
            f"whether training has levelled off at M = {in_words(unknown)} is not known: no estimate with an error "
            "lies at the beginning and at the end of its last quarter"
        )
    if going:
        raise MissingEvidenceError(
            f"training has not levelled off: in its last quarter the likelihood still gains {in_words(going)}"
        )
