"""``rbmscape evaluate RUN --all``: the log-likelihoods of all checkpoints of a run, by one estimator."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rbmscape.cli.tables import print_table, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rbmscape.data.dataset import Dataset
    from rbmscape.likelihood.estimate import LogPartition
    from rbmscape.model.rbm import RBM
    from rbmscape.runs.run import Run

__all__ = ["evaluate_checkpoints"]

_PATIENCE = 4.0  # times as much as a single model may take


def evaluate_checkpoints(
    run: Run,
    dataset: Dataset,
    parts: Sequence[tuple[str, Dataset]],
    json_file: str | None,
    *,
    seed: int,
    engine: str,
    precision: str,
) -> None:
    """Print a line a checkpoint: training and test log-likelihood with both errors, and the verdict.

    Sums are exact where all of them together take seconds; else ln Z comes from one tempering along the training.  Of
    more than 4096 rows of a part, and of more than 500 where some have missing entries, as many are scored, evenly
    spaced; what is missing is summed out.
    """
    began, models = time.perf_counter(), list(run.models())
    method, log_z = _log_partitions(run, models, seed=seed, engine=engine, precision=precision)
    table, lines = [], []
    for update, model, estimate in zip(run.updates, models, log_z, strict=True):
        scores = {name: _score(model, part, estimate) for name, part in parts}
        epoch, verdict = update / run.updates_per_epoch, "; ".join(estimate.objections) or "nothing against it"
        table.append((str(update), f"{epoch:.3g}", *(str(score) for score in scores.values()), verdict))
        likelihoods = {name: _plain(score) | {"row_stderr": score.rows} for name, score in scores.items()}
        lines.append(
            {"update": update, "epoch": epoch, "log_partition": _plain(estimate), "log_likelihood": likelihoods}
            | {"converged": estimate.converged, "objections": estimate.objections}
        )
    seconds = time.perf_counter() - began
    how = "exact sums" if method == "exact" else "one tempering along the training"
    header = ("update", "epoch", *(f"{name}, nats a sample" for name, _ in parts), "verdict")
    print_table(
        f"Log-likelihoods of {len(models)} checkpoints on {dataset.name}: {how}, {seconds:.1f} s", table, header
    )
    if json_file is not None:
        facts = {"model": str(run.directory), "data": dataset.name, "data_fingerprint": dataset.fingerprint}
        write_json(json_file, facts | {"method": method, "seed": seed, "seconds": seconds, "checkpoints": lines})


def _log_partitions(run: Run, models: Sequence[RBM], **options: Any) -> tuple[str, Sequence[LogPartition]]:
    from rbmscape.cli.costs import announce_tempering
    from rbmscape.likelihood.estimate import EXACT_WORK, log_partition, summing_work
    from rbmscape.likelihood.trajectory import MAX_ROUNDS, N_CHAINS, trajectory_log_partition
    from rbmscape.sampling.origins import known_states

    how = {name: options[name] for name in ("engine", "precision")}
    if len(models) < 2 or len(models) * summing_work(models[-1]) <= _PATIENCE * EXACT_WORK:
        return "exact", [log_partition(model, "exact") for model in models]
    announce_tempering(models[-1], N_CHAINS, len(models), most=MAX_ROUNDS, every=True, **how)
    curve = trajectory_log_partition(models, others=known_states(run), progress=True, **options)
    return "trajectory", curve.log_partitions


def _score(model: RBM, part: Dataset, log_z: LogPartition) -> LogPartition:
    from rbmscape.likelihood.estimate import given_rows, log_likelihood
    from rbmscape.training.audit import few_known, known_log_likelihood

    if part.has_missing:
        return known_log_likelihood(model, few_known(part), log_z)
    return log_likelihood(model, given_rows(model, part.complete("--all").train), partition=log_z)


def _plain(estimate: LogPartition) -> dict[str, float]:
    return {"value": estimate.value, "stderr": estimate.stderr}
