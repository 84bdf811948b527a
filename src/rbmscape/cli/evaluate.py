"""``rbmscape evaluate RUN|MODEL``: the log-likelihood with its error.

It is exact for small models, by the ladder of a training in equilibrium, else by annealing.
"""

from __future__ import annotations

import math
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rbmscape.cli.options import (
    BestOption,
    DeviceOption,
    DigitsOption,
    Engine,
    EngineOption,
    ImageShapeOption,
    JsonOption,
    KeyOption,
    LabelsOption,
    MissingOption,
    NTestOption,
    NTrainOption,
    NVisibleOption,
    OverwriteOption,
    Precision,
    PrecisionOption,
    StatesOption,
    TestFractionOption,
    TestOption,
    ThresholdOption,
    UpdateOption,
    WeightsOption,
    data_options,
)
from rbmscape.cli.tables import print_table, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rbmscape.cli.models import OpenModel
    from rbmscape.data.dataset import Dataset
    from rbmscape.likelihood.bracket import Bracket
    from rbmscape.likelihood.estimate import LogPartition
    from rbmscape.model.rbm import RBM
    from rbmscape.sampling.kept import KeptLadder
    from rbmscape.stats import Estimate
    from rbmscape.training.audit import TrainingAudit

__all__ = ["evaluate"]

_FEW_CHAINS = 30.0


class Method(StrEnum):
    """Of estimating ln Z."""

    AUTO = "auto"
    EXACT = "exact"
    AIS = "ais"
    REVERSE_AIS = "reverse_ais"
    BAR = "bar"
    BRACKET = "bracket"


def evaluate(
    model: Annotated[str, typer.Argument(help="Directory of a run, or a model's .safetensors file.")],
    data: Annotated[
        str | None, typer.Option(help="Data set or file to judge by; by default what the run was trained on.")
    ] = None,
    method: Annotated[
        Method,
        typer.Option(
            help="Of ln Z: auto is exact for small models, else by the ladder that ptt kept, else ais; bracket gives "
            "both bounds."
        ),
    ] = Method.AUTO,
    chains: Annotated[int, typer.Option(help="Annealed chains.", min=2)] = 500,
    betas: Annotated[int, typer.Option(help="Temperatures.", min=2)] = 1000,
    seed: Annotated[int, typer.Option(help="Of all random numbers.", min=0)] = 0,
    update: UpdateOption = -1,
    best: BestOption = False,
    all_checkpoints: Annotated[
        bool, typer.Option("--all", help="A line for every checkpoint of a run, all by one estimator.")
    ] = False,
    json_file: JsonOption = None,
    per_row: Annotated[
        str | None,
        typer.Option(help="The log-probability of every row goes to this CSV file.", metavar="FILE"),
    ] = None,
    overwrite: OverwriteOption = False,
    engine: EngineOption = Engine.AUTO,
    precision: PrecisionOption = Precision.AUTO,
    device: DeviceOption = "auto",
    threshold: ThresholdOption = None,
    test: TestOption = None,
    test_fraction: TestFractionOption = None,
    labels: LabelsOption = None,
    weights: WeightsOption = None,
    states: StatesOption = None,
    missing: MissingOption = None,
    key: KeyOption = None,
    image_shape: ImageShapeOption = None,
    digits: DigitsOption = None,
    n_train: NTrainOption = None,
    n_visible: NVisibleOption = None,
    n_test: NTestOption = None,
    data_seed: Annotated[
        int | None, typer.Option(help="Of the split into training and test data.", rich_help_panel="Data")
    ] = None,
) -> None:
    """Mean log-likelihood of training and test data, in nats a sample, with its errors.

    Beside it stand independent units and a mixture of products, and whether the training was in equilibrium.
    """
    from rbmscape.cli.costs import announce_likelihood
    from rbmscape.cli.models import check_absent, open_model
    from rbmscape.cli.per_row import write_per_row
    from rbmscape.likelihood.estimate import log_partition
    from rbmscape.training.audit import row_stderr

    loading = data_options(
        threshold=threshold, test=test, test_fraction=test_fraction, labels=labels, key=key, image_shape=image_shape,
        digits=digits, n_train=n_train, n_test=n_test, n_visible=n_visible, seed=data_seed, weights=weights,
        states=states, missing=missing,
    )  # fmt: skip
    table = [] if per_row is None else [Path(per_row)]
    check_absent(table, overwrite=overwrite)
    opened = open_model(model, update, device, best=best)
    dataset, names = _data(opened, data, loading)
    sides = zip(names, ("train", "test"), strict=True)
    parts = [(name, part) for name, side in sides if len((part := dataset.part(side)).train)]
    how: dict[str, Any] = {"seed": seed, "engine": engine.value, "precision": precision.value}
    if all_checkpoints:
        _every(opened, dataset, parts, json_file, method, table, **how)
        return
    if method is Method.BRACKET:
        if table:
            raise typer.BadParameter("--per-row needs one value of ln Z; take --method bar, ais or exact instead")
        _bracket(opened, dataset, parts, json_file, n_chains=chains, n_betas=betas, **how)
        return
    began = time.perf_counter()
    log_z = _by_ladder(opened) if method is Method.AUTO else None
    if log_z is None:
        announce_likelihood(opened.rbm, method.value, chains, betas, engine=engine.value, precision=precision.value)
        log_z = log_partition(
            opened.rbm, method.value, data=dataset, n_chains=chains, n_betas=betas, models=_ladder_of(opened, method),
            progress=True, **how,
        )  # fmt: skip
    scores = {part: _mean(opened.rbm, rows, log_z) for part, rows in parts}
    audit = _audit(opened, dataset, list(scores.values())[-1], log_z.method, seed)
    errors = {part: score.rows for part, score in scores.items()}
    if not dataset.has_missing:
        errors = {part: row_stderr(opened.rbm, rows.complete(part).train) for part, rows in parts}
    seconds = time.perf_counter() - began
    if json_file is not None:
        numbers = _numbers(opened, dataset, log_z, scores, errors)
        write_json(json_file, numbers | {"audit": audit.record(), "seed": seed, "seconds": seconds})
    for path in table:
        write_per_row(path, opened.rbm, parts, log_z)
    _show(opened, dataset, log_z, scores, errors, audit, seconds)


def _by_ladder(opened: OpenModel) -> LogPartition | None:
    """ln Z of a model too large to be summed from the ladder of its training, which measured it there."""
    from rbmscape.likelihood.estimate import is_summable
    from rbmscape.training.audit import ladder_estimate

    return None if opened.run is None or is_summable(opened.rbm) else ladder_estimate(opened.run, opened.update)


def _ladder_of(opened: OpenModel, method: Method) -> KeptLadder | None:
    """The ladder that the training kept with the model, for the methods that start from samples of it."""
    from rbmscape.sampling.kept import KeptLadder

    path = opened.path if method in (Method.REVERSE_AIS, Method.BAR) else None
    return path if isinstance(path, KeptLadder) else None


def _every(
    opened: OpenModel,
    dataset: Dataset,
    parts: Sequence[tuple[str, Dataset]],
    json_file: str | None,
    method: Method,
    table: list[Path],
    **options: Any,
) -> None:
    """All checkpoints of a run."""
    from rbmscape.cli.checkpoints import evaluate_checkpoints
    from rbmscape.errors import InputError

    if opened.run is None:
        raise InputError(f"{opened.name} is a single model; --all lists the checkpoints of a run's directory")
    if method is not Method.AUTO or table:
        given = "--per-row" if table else f"--method {method.value}"
        raise typer.BadParameter(f"--all judges every checkpoint by one estimator of its own; leave {given} out")
    evaluate_checkpoints(opened.run, dataset, parts, json_file, **options)


def _audit(opened: OpenModel, dataset: Dataset, value: Estimate, method: str, seed: int) -> TrainingAudit:
    """Baselines beside the likelihood, and whether the training was in equilibrium where its data are these."""
    from rbmscape.training.audit import audit_model

    run = opened.run
    if run is not None and run.data["fingerprint"] != dataset.fingerprint:
        run = None
    return audit_model(opened.rbm, dataset, value, method, run=run, update=opened.update, seed=seed)


def _bracket(
    opened: OpenModel, dataset: Dataset, parts: Sequence[tuple[str, Dataset]], json_file: str | None, **options: Any
) -> None:
    """Both bounds on the test log-likelihood and whether to believe them."""
    from rbmscape.cli.costs import announce_likelihood
    from rbmscape.likelihood.bracket import likelihood_bracket

    began, most = time.perf_counter(), max(16_000, options["n_betas"])
    announce_likelihood(opened.rbm, "bracket", max_betas=most, **{k: v for k, v in options.items() if k != "seed"})
    found = likelihood_bracket(opened.rbm, dataset, models=opened.path, max_betas=most, progress=True, **options)
    audit = _audit(opened, dataset, found.best, "bracket", options["seed"])
    seconds = time.perf_counter() - began
    scores = _bounds(opened.rbm, parts, found)
    names = {"lower": "lower bound", "upper": "upper bound", "best": "both combined"}
    lines = [
        ("model", f"{opened.name}, {opened.rbm.n_visible} visible and {opened.rbm.n_hidden} hidden units"),
        *(
            (f"{part}, {names[name]}", f"{bound} nats a sample")
            for part, bounds in scores.items()
            for name, bound in bounds.items()
        ),
        ("verdict", "converged: nothing speaks against it" if found.converged else "not converged"),
        *(("", reason) for reason in found.reasons),
        *audit.comparison(),
        ("time", f"{seconds:.1f} s"),
    ]
    if json_file is not None:
        plain = {
            part: {
                name: {"value": bound.value, "stderr": bound.stderr, "row_stderr": bound.rows}
                for name, bound in bounds.items()
            }
            for part, bounds in scores.items()
        }
        verdict = {"converged": found.converged, "gap": found.gap, "reasons": found.reasons, "n_betas": found.n_betas}
        facts = {
            "model": opened.name,
            "method": "bracket",
            "data": dataset.name,
            "seed": options["seed"],
            "seconds": seconds,
        }
        facts |= {"data_fingerprint": dataset.fingerprint, "log_likelihood": plain, "audit": audit.record()}
        write_json(json_file, facts | verdict)
    print_table(f"Log-likelihood on {dataset.name}", lines)


def _bounds(rbm: RBM, parts: Sequence[tuple[str, Dataset]], found: Bracket) -> dict[str, dict[str, LogPartition]]:
    """Lower bound, upper bound and both combined on each part of the data, of which the bracket scored the last."""
    from dataclasses import replace

    from rbmscape.training.audit import row_stderr

    free = {name: _mean(rbm, rows, replace(found.best, value=0.0, rows=0.0)).value for name, rows in parts}
    scored = free[list(free)[-1]]
    bounds = {"lower": found.lower, "upper": found.upper, "best": found.best}
    rows = {name: row_stderr(rbm, part.complete(name).train) for name, part in parts}
    return {
        part: {name: replace(one, value=one.value + mean - scored, rows=rows[part]) for name, one in bounds.items()}
        for part, mean in free.items()
    }


def _data(opened: OpenModel, data: str | None, loading: dict[str, Any]) -> tuple[Dataset, tuple[str, str]]:
    """What is scored, and what its two parts are called."""
    from rbmscape.data.load import is_file, load_dataset
    from rbmscape.errors import InputError

    if data is not None:
        found = opened.ordered(load_dataset(data, **loading))
        is_trained_on = opened.run is not None and opened.run.data["fingerprint"] == found.fingerprint
        if is_trained_on or not is_file(data) or {"test", "test_fraction"} & set(loading):
            return found, ("train", "test")
        return _held_out(opened, opened.ordered(load_dataset(data, **loading, test_fraction=0)))
    if opened.run is None:
        raise InputError(f"{opened.name} is a single model that knows no data; name them with --data")
    if loading:
        raise typer.BadParameter(f"--{next(iter(loading)).replace('_', '-')} needs --data, which it applies to")
    return opened.run.dataset(), ("train", "test")


def _held_out(opened: OpenModel, rows: Dataset) -> tuple[Dataset, tuple[str, str]]:
    """All rows of a file that the model was not trained on, beside its training data where they can be had."""
    from dataclasses import replace

    from rbmscape.errors import RbmscapeError

    if len(rows.test):
        return rows, ("train", "test")
    try:
        known = None if opened.run is None else opened.run.dataset()
    except RbmscapeError:
        known = None
    if known is None or known.n_visible != rows.n_visible:
        return rows, ("data", "")
    weights: dict[str, Any] = {"train_weights": known.train_weights, "test_weights": rows.train_weights}
    together = replace(rows, train=known.train, train_labels=None, test=rows.train, test_labels=None, **weights)
    return together, ("train", "data")


def _mean(rbm: RBM, rows: Dataset, log_z: LogPartition) -> LogPartition:
    """Mean over all rows by their weights, missing entries summed out; the error is that of ln Z and of such sums."""
    from rbmscape.training.audit import known_log_likelihood

    return known_log_likelihood(rbm, rows, log_z)


def _show(
    opened: OpenModel,
    dataset: Dataset,
    log_z: LogPartition,
    scores: dict[str, LogPartition],
    errors: dict[str, float],
    audit: TrainingAudit,
    seconds: float,
) -> None:
    from rbmscape.likelihood.estimate import with_both_errors

    how = "exact, by enumeration"
    if log_z.method == "ladder":
        how = f"the ladder of the training, {log_z.n_chains} chains"
    elif log_z.method != "exact":
        bound = " (in expectation an upper bound on the log-likelihood)" if log_z.method == "ais" else ""
        effort = f"{log_z.n_chains} chains, {log_z.n_betas} temperatures, {log_z.ess:.0f} effective chains"
        how = f"{log_z.method}{bound}, {effort}"
    lines = [
        ("model", f"{opened.name}, {opened.rbm.n_visible} visible and {opened.rbm.n_hidden} hidden units"),
        ("ln Z", str(log_z)),
        *(
            (f"{part} log-likelihood", f"{with_both_errors(score, errors[part])} nats a sample")
            for part, score in scores.items()
        ),
        ("method", how),
        *(("caution", objection) for objection in log_z.objections),
        *audit.comparison(),
        ("time", f"{seconds:.1f} s"),
    ]
    if math.isfinite(log_z.ess) and log_z.ess < _FEW_CHAINS:
        lines.append(("caution", "few chains carry the estimate; raise --betas and --chains"))
    print_table(f"Log-likelihood on {dataset.name}", lines)


def _numbers(
    opened: OpenModel,
    dataset: Dataset,
    log_z: LogPartition,
    scores: dict[str, LogPartition],
    errors: dict[str, float],
) -> dict[str, Any]:
    def plain(estimate: LogPartition) -> dict[str, float]:
        return {"value": estimate.value, "stderr": estimate.stderr}

    return {
        "model": opened.name,
        "n_visible": opened.rbm.n_visible,
        "n_hidden": opened.rbm.n_hidden,
        "data": dataset.name,
        "data_fingerprint": dataset.fingerprint,
        "method": log_z.method,
        "n_chains": log_z.n_chains,
        "n_betas": log_z.n_betas,
        "ess": log_z.ess,
        "log_partition": plain(log_z),
        "log_likelihood": {part: plain(score) | {"row_stderr": errors[part]} for part, score in scores.items()},
    }
