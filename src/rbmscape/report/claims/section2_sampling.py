"""Claim of section 2 on Gibbs sampling: the longer the training, the more steps it takes to equilibrium."""

from __future__ import annotations

import numpy as np

from rbmscape.report.evidence import Evidence
from rbmscape.report.findings import Finding, MissingEvidenceError, Number, Verdict
from rbmscape.report.rules import in_words, normal_threshold
from rbmscape.report.verdicts import Claim
from rbmscape.stats import Estimate

__all__ = ["CLAIMS"]


def _steps_grow(evidence: Evidence) -> Finding:
    rates = evidence.data("relaxation", "gibbs", "gibbs_stderr", "update")
    value, error = rates.gibbs.values, rates.gibbs_stderr.values
    known = np.isfinite(value) & np.isfinite(error) & (error > 0) & (value > 0)
    places = np.flatnonzero(known.any(1))
    if places.size < 2:
        raise MissingEvidenceError("the relaxation of Gibbs sampling could be timed at fewer than two checkpoints")
    slowest = [int(np.where(known[k], value[k], np.inf).argmin()) for k in places]
    rate = np.array([value[k, mode] for k, mode in zip(places, slowest, strict=True)])
    spread = np.array([error[k, mode] for k, mode in zip(places, slowest, strict=True)])
    limit = normal_threshold(places.size, sides=1)
    change, own = np.diff(rate), np.hypot(spread[1:], spread[:-1])
    whole, whole_error = rate[0] - rate[-1], float(np.hypot(spread[0], spread[-1]))
    grows, back = whole > limit * whole_error, int((change > limit * own).sum())
    verdict = Verdict.FAILS if not grows else Verdict.PART if back else Verdict.HOLDS
    times = [Estimate(1.0 / r, s / r**2) for r, s in zip(rate, spread, strict=True)]
    updates = rates["update"].values[places]
    listed = in_words([f"{time} at update {int(at)}" for time, at in zip(times, updates, strict=True)])
    late = value.shape[0] - 1 - int(places[-1])
    unseen = f" At {late} later checkpoint(s) no mode relaxes within the chains." if late else ""
    words = f"Steps in which the slowest mode that could be timed relaxes: {listed}.{unseen}"
    numbers = tuple(
        Number.of(f"relaxation of the slowest mode, update {int(at)}", time, "steps")
        for time, at in zip(times, updates, strict=True)
    )
    return Finding(verdict, words, numbers, evidence.describe(evidence.main))


CLAIMS = (
    Claim(
        "gibbs-steps-grow", "2, before equation 13",
        "The longer a model is trained, the more Gibbs steps it takes to equilibrium.",
        "Steps in which the slowest mode relaxes, from autocorrelations at several checkpoints. Holds if they grow "
        "significantly from the first to the last checkpoint that could be timed and fall significantly between no "
        "neighbouring two, in part if they fall somewhere; fails if they do not grow. Normal test, 0.1 % false alarms "
        "over all checkpoints.",
        _steps_grow, "relaxation",
    ),
)  # fmt: skip
"""In the paper's order."""
