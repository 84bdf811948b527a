"""What a finished training is worth, in a few seconds: did its chains mix, and does it beat models without any.

Cheap metrics can look healthy while a training has failed.  Three things tell: whether chains as long as the training's
forget where they began (`rbmscape.mixing_report`), the log-likelihood by a short annealing, and what independent units
and a mixture of products reach on the same rows (`rbmscape.likelihood.baselines`).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from rbmscape.brief import OneLine
from rbmscape.data.dataset import Binary, Dataset
from rbmscape.data.kinds import MISSING
from rbmscape.files import write_text
from rbmscape.likelihood.baselines import Baselines, baselines
from rbmscape.likelihood.estimate import (
    LogPartition,
    log_likelihood,
    log_partition,
    mean_and_error,
    with_both_errors,
)
from rbmscape.likelihood.rows import log_probability
from rbmscape.model.rbm import RBM
from rbmscape.reciprocal.mixing import FACTORS, mixing_report
from rbmscape.runs.layout import RunLayout
from rbmscape.runs.run import Run
from rbmscape.stats import Estimate

__all__ = [
    "TrainingAudit",
    "audit_model",
    "audit_training",
    "can_be_audited",
    "few_known",
    "has_wide_gaps",
    "is_audited",
    "is_judgeable",
    "known_log_likelihood",
    "ladder_estimate",
    "row_stderr",
    "save_audit",
]

CHAINS: Final = 200
WORK: Final = 3e11
"""Multiply-adds that the chains of the mixing report may take: a few seconds on a few cores."""
HOW: Final = {"exact": "exact", "ladder": "by the training's ladder", "ais": "by annealing, an upper bound"}
ROWS_A_BLOCK: Final = 5000
SIGMAS: Final = 4.0
NEGLIGIBLE: Final = 0.1
"""Nats below a baseline that are no finding."""
MIXING_CURE: Final = (
    "its samples and likelihood depend on the number of steps: train with method 'ptt', more Gibbs steps or a smaller "
    "learning rate, and judge it with rbmscape.likelihood_bracket"
)
LADDER: Final = "the ladder of the training says"
LADDER_CURE: Final = "take more chains or a smaller learning rate"
WORSE_CURE: Final = "training went wrong or was too short: take a smaller learning rate, method 'ptt' or more epochs"
SHORT_CURE: Final = "training was too short or the model is too small: take more epochs, smaller batches or more units"
GAPS_CURE: Final = "training went wrong or was too short: take a smaller learning rate or more epochs"
ROWS_WITH_GAPS: Final = 500
GAPS_WORK: Final = 2e9
"""Terms of the sums over what is missing in those rows that are added up in passing."""


@dataclass(frozen=True, slots=True, repr=False)
class TrainingAudit(OneLine):
    """Findings of `audit_training`; likelihoods are mean log-likelihoods of the scored rows in nats.

    Attributes
    ----------
    update : of the model
    log_likelihood : with the error of ln Z; of `audit_training` exact for small models, of "ptt" by its ladder, else by
        a short annealing, whose bound is an upper one
    method : how ln Z was found
    rows : standard error of the mean over the rows as a sample of all that could be
    baselines : of independent units and of a mixture of products on the same rows
    in_equilibrium : whether chains as long as the training's forget their start; of "ptt" whether its ladder says so;
        None where nothing is known of the training
    mixing : the same in a sentence
    cure : what helps a model that is worse than a baseline
    """

    update: int
    log_likelihood: Estimate
    method: str
    rows: float
    baselines: Baselines
    in_equilibrium: bool | None = None
    mixing: str = ""
    cure: str = WORSE_CURE

    @property
    def findings(self) -> tuple[str, ...]:
        """What speaks against the training, each in a sentence with its remedy; empty where nothing does."""
        found = []
        value, error = self.log_likelihood.value, SIGMAS * self.log_likelihood.stderr
        for name, other in (
            ("independent units", self.baselines.independent),
            (f"a mixture of {self.baselines.n_products} products", self.baselines.mixture),
        ):
            if value + max(error + 2.0 * other.stderr, NEGLIGIBLE) < other.value:
                found.append(f"the model is worse than {name} ({value:.1f} against {other.value:.1f}): {self.cure}")
                break
        if self.in_equilibrium is False:
            found.append(f"{self.mixing}: {LADDER_CURE if self.mixing.startswith(LADDER) else MIXING_CURE}")
        return tuple(found)

    def _headline(self) -> str:
        count = len(self.findings)
        verdict = f"{count} finding{'s' * (count > 1)} against it" if count else "nothing speaks against it"
        return f"{verdict}, log-likelihood {self.log_likelihood!s}, {self.baselines._headline()}"

    def lines(self) -> list[tuple[str, str]]:
        """Names and values for a table, the findings last."""
        how = HOW.get(self.method, self.method)
        value = with_both_errors(self.log_likelihood, self.rows)
        return [("log-likelihood", f"{value} nats a sample, {how}"), *self.comparison()]

    def comparison(self) -> list[tuple[str, str]]:
        """The baselines for a table, and the findings."""
        found = self.baselines
        return [
            ("independent units", f"{found.independent} nats a sample"),
            (f"{found.n_products} products", f"{found.mixture} nats a sample"),
            *(("caution", finding) for finding in self.findings),
        ]

    def record(self) -> dict[str, Any]:
        """All of it in JSON types."""

        def plain(estimate: Estimate) -> dict[str, float]:
            return {"value": estimate.value, "stderr": estimate.stderr}

        return {
            "update": self.update,
            "log_likelihood": plain(self.log_likelihood) | {"method": self.method, "row_stderr": self.rows},
            "independent_units": plain(self.baselines.independent),
            "mixture_of_products": plain(self.baselines.mixture) | {"n_products": self.baselines.n_products},
            "in_equilibrium": self.in_equilibrium,
            "mixing": self.mixing,
            "findings": list(self.findings),
        }


def audit_training(run: Run, data: Dataset, update: int = -1, *, seed: int = 0) -> TrainingAudit:
    """Judge a run at one of its checkpoints; the work is bounded, about ten seconds for M = 500.

    Parameters
    ----------
    run : it should be complete
    data : what it was trained on; its test rows are scored, or its training rows where there are none; of rows with
        missing entries at most 500, evenly spaced
    update : checkpoint
    seed : of everything random
    """
    rbm, reached = run.load(update), run.updates[-1] if update == -1 else update
    row = _ladder_row(run, reached)
    if row:
        log_z = LogPartition(row["log_partition"], row["log_partition_stderr"], method="ladder")
    else:
        log_z = log_partition(rbm, "auto", data=data, n_chains=CHAINS, n_betas=1000, seed=seed)
    if data.has_missing:
        data = replace(data.repeated(), test=_few(data))
        value = known_log_likelihood(rbm, data, log_z)
    else:
        value = log_likelihood(rbm, data, partition=log_z)
    return audit_model(rbm, data, value, log_z.method, run=run, update=reached, seed=seed)


def known_log_likelihood(rbm: RBM, data: Dataset, log_z: LogPartition) -> LogPartition:
    """Mean ln p of what is known of the scored rows, by their weights, with the errors of sums and of the rows."""
    found = log_probability(rbm, data, partition=log_z)
    mean, (_, rows) = found.mean, mean_and_error(found.value, found.weights)
    return replace(log_z, value=mean.value, stderr=mean.stderr, rows=rows)


def few_known(data: Dataset) -> Dataset:
    """At most `ROWS_WITH_GAPS` of the training rows, each as often as it counts, evenly spaced."""
    plain = data.repeated()
    return replace(plain, train=_spaced(plain.train), test=plain.test[:0], train_labels=None, test_labels=None)


def _few(data: Dataset) -> Binary:
    """At most `ROWS_WITH_GAPS` of the rows to be scored, evenly spaced."""
    return _spaced(_scored(data.repeated()))


def _spaced(rows: Binary) -> Binary:
    return np.asarray(rows)[np.linspace(0, len(rows) - 1, min(len(rows), ROWS_WITH_GAPS)).astype(np.intp)]


def _scored(data: Dataset) -> Binary:
    return data.test if len(data.test) else data.train


def audit_model(
    rbm: RBM, data: Dataset, value: Estimate, method: str, *, run: Run | None = None, update: int = -1, seed: int = 0
) -> TrainingAudit:
    """Judge a model whose log-likelihood is known, and its training where its run is given.

    Parameters
    ----------
    data : its test rows are scored, or its training rows where there are none
    value : the mean log-likelihood of those rows, with the error of ln Z, and with that of the rows where some have
        missing entries
    method : how it was found
    run : the training, if the data are those that it saw
    update : the model's checkpoint
    seed : of everything random
    """
    data = data.repeated()
    rows = _scored(data)
    error = getattr(value, "rows", 0.0) if data.has_missing else row_stderr(rbm, rows)
    in_equilibrium, mixing = None, ""
    if run is not None and not data.has_missing:
        in_equilibrium, mixing = _equilibrium(run, rbm, data, update, seed)
    cure = GAPS_CURE if data.has_missing else WORSE_CURE
    if run is not None and run.config.method == "ptt":
        cure = SHORT_CURE
    known = baselines(data, rows, seed=seed)
    return TrainingAudit(update, value, method, error, known, in_equilibrium, mixing, cure)


def ladder_estimate(run: Run, update: int) -> LogPartition | None:
    """ln Z of a checkpoint by the ladder of its training, with what speaks against it; None where there is none."""
    row = _ladder_row(run, update)
    if not row:
        return None
    found = LogPartition(
        row["log_partition"], row["log_partition_stderr"], method="ladder", n_chains=run.config.n_chains,
        overlap=row["log_partition_overlap"],
    )  # fmt: skip
    return found if row["converged"] else found.doubted((row["verdict"],))


def _ladder_row(run: Run, update: int) -> dict[str, Any]:
    """Metrics of a checkpoint of "ptt", which has likelihood and verdict from the training's ladder; else nothing."""
    row = next((row for row in run.rows if row["update"] == update), {})
    known = row.get("converged") is not None and row.get("log_partition") is not None
    return row if known else {}


def _equilibrium(run: Run, rbm: RBM, data: Dataset, update: int, seed: int) -> tuple[bool, str]:
    """Whether the training was in equilibrium, and the sentence that says so.

    The mixing report goes as far as the work allows, and to the training's own length always.
    """
    row = _ladder_row(run, update)
    if row:
        return bool(row["converged"]), f"{LADDER}: {row['verdict']}"
    step = 4.0 * CHAINS * rbm.n_visible * rbm.n_hidden * run.config.gibbs_steps
    factors = [factor for factor in FACTORS if factor == 1 or factor * step <= WORK]
    found = mixing_report(run, data, update, n_chains=CHAINS, factors=factors, seed=seed)
    return found.in_equilibrium, found.sentence


def save_audit(run: Run, audit: TrainingAudit) -> None:
    """Write it into the run's directory, from where `rbmscape.Run.audit` reads it."""
    write_text(RunLayout(run.directory).audit, json.dumps(audit.record(), indent=2) + "\n")


def is_judgeable(run: Run) -> bool:
    """Whether there is a finished training."""
    return run.is_complete and run.last_update > 0


def can_be_audited(run: Run, data: Dataset) -> bool:
    """Whether the training is finished, and what is missing in its rows is summed out in seconds."""
    return is_judgeable(run) and not has_wide_gaps(run, data)


def has_wide_gaps(run: Run, data: Dataset) -> bool:
    """Whether the sums over what is missing in rows take more than seconds."""
    if not data.has_missing:
        return False
    gaps, n_hidden = np.asarray(_few(data) == MISSING).sum(1).astype(np.float64), float(run.config.n_hidden)
    return float((np.exp2(np.minimum(gaps, n_hidden)) * np.maximum(gaps, n_hidden)).sum()) > GAPS_WORK


def is_audited(run: Run) -> bool:
    """Whether the run's last model has been judged."""
    known = run.audit
    return known is not None and known["update"] == run.last_update


def row_stderr(rbm: RBM, rows: Tensor | Binary) -> float:
    """Standard error of the mean of -F(v) over rows as a sample of all that could be, in nats; 0 for a single row."""
    blocks = (rows[start : start + ROWS_A_BLOCK] for start in range(0, len(rows), ROWS_A_BLOCK))
    values = torch.cat([rbm.free_energy(block).to("cpu", torch.float64) for block in blocks])
    return float(values.std()) / math.sqrt(len(values)) if len(values) > 1 else 0.0
