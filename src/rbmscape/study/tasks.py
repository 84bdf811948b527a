"""The functions that do a study's tasks, one a kind.

Each takes the study's directory and configuration and a task, writes the task's outputs, and returns a few facts for
its record.  Each may be killed at any instant and done again: outputs appear whole, training resumes where it stood.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from rbmscape.errors import DivergenceError, StudyError
from rbmscape.figures.datasets import read_dataset, write_dataset
from rbmscape.figures.material import Material, RunKey
from rbmscape.figures.registry import select
from rbmscape.files import write_text
from rbmscape.runs.check import is_whole
from rbmscape.runs.config import TrainingConfig
from rbmscape.runs.run import Run
from rbmscape.runs.writer import discard_run
from rbmscape.study.collect import likelihood_dataset, training_dataset
from rbmscape.study.config import StudyConfig
from rbmscape.study.context import StudyContext
from rbmscape.study.graph import QUALITY_COST, Task, points_file
from rbmscape.study.points import likelihood_point, likelihood_trajectory
from rbmscape.study.progress import StudyReporter
from rbmscape.study.provenance import result_attrs
from rbmscape.training import CONTINUED

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["RUNNERS", "run_task"]


def run_task(context: StudyContext, task: Task, reporter: StudyReporter) -> dict[str, Any]:
    """Do one task; returns the facts for its record."""
    return RUNNERS[task.kind](context, task, reporter)


@dataclass
class _TrainingWatcher:
    """Passes a training run's progress on to the study's reporter."""

    task: Task
    reporter: StudyReporter
    first: int | None = None

    def start(self, what: str, total: int | None) -> None:
        """Nothing to open: each advance tells where the run stands."""

    def advance(self, done: int, status: Any = None) -> None:  # noqa: ARG002 - the status tells where the run stands
        first = self.first = status.update if self.first is None else self.first
        fraction = (status.update - first) / max(1, self.task.parameters["until_update"] - first)
        self.reporter.advance(self.task, fraction, f"epoch {status.epoch:.1f} of {status.epochs}")

    def stop(self) -> None:
        """Nothing to close: the study's reporter goes on."""


def _train(context: StudyContext, task: Task, reporter: StudyReporter) -> dict[str, Any]:
    """Train one run for a slice of its epochs, from where it stands.

    Raises
    ------
    StudyError : the run was begun by code that trains with other numbers
    """
    key, contract = RunKey(**_key_values(task)), task.parameters["contract"]
    config = TrainingConfig.from_mapping(task.parameters["config"])
    known = {contract, *(CONTINUED if config.method != "ptt" else ())}
    if any(found.get("contract", 1) not in known for found in context.store.outcomes(f"train/{key}")):
        raise StudyError(
            f"the run {key} was trained by code whose numbers differ from today's; go on in another directory, or pass "
            "--overwrite to start the study again from nothing"
        )
    watcher, until = _TrainingWatcher(task, reporter), task.parameters["until_update"]
    run = _trained(context, key, config, watcher, until)
    last = run.rows[-1]
    facts = {name: last[name] for name in ("seconds", "updates_per_second")}
    return facts | {"updates": last["update"], "contract": contract}


def _trained(context: StudyContext, key: RunKey, config: TrainingConfig, watcher: _TrainingWatcher, until: int) -> Run:
    """The run, trained to an update; on a GPU together with its replicas, whose own tasks then find it done."""
    from filelock import FileLock

    from rbmscape.training.batch import can_batch
    from rbmscape.training.many import train_many
    from rbmscape.training.train import engine_for, train

    directory = context.store.runs / str(key)
    if not is_whole(directory):
        discard_run(directory)  # the same bits come out again
    alike = [one for one in context.config.run_keys() if (one.recipe, one.hidden) == (key.recipe, key.hidden)]
    if len(alike) > 1 and can_batch(config, engine_for(config, context.dataset, len(alike))):
        configs, places = (
            [context.config.training(one) for one in alike],
            [context.store.runs / str(one) for one in alike],
        )
        with FileLock(context.store.runs / f".{key.recipe}-{key.hidden}.lock"), suppress(DivergenceError):
            train_many(context.dataset, configs, places, resume=True, progress=watcher, until_update=until)
    return train(context.dataset, config, directory, resume=True, progress=watcher, until_update=until)


def _key_values(task: Task) -> dict[str, Any]:
    return {name: task.parameters[name] for name in ("recipe", "hidden", "replica")}


def _run(context: StudyContext, task: Task) -> Run:
    return Run.open(context.store.runs / str(RunKey(**_key_values(task))))


def _likelihood(context: StudyContext, task: Task, reporter: StudyReporter) -> dict[str, Any]:
    """Mean test log-likelihood of some checkpoints, where the plan says so with both bounds."""
    parameters, run, rows = task.parameters, _run(context, task), list[dict[str, Any]]()
    method, seeds = parameters["method"], {int(update): seed for update, seed in parameters["seeds"].items()}
    if method == "trajectory":
        began, last = time.perf_counter(), max(seeds)
        options = parameters["options"] | {"seed": seeds[last]}
        rows = likelihood_trajectory(run, list(seeds), context.dataset, options)
        rows = [row | {"seed": seeds[last], "seconds": (time.perf_counter() - began) / len(rows)} for row in rows]
    for number, (update, seed) in enumerate(seeds.items() if method != "trajectory" else ()):
        began, options = time.perf_counter(), dict(parameters["options"])
        if method != "exact":
            options |= {"seed": seed, "progress": _Counter(task, reporter, options, number, len(seeds))}
        point = likelihood_point(run, update, context.dataset, method, options)
        rows.append(point | {"seed": seed, "seconds": time.perf_counter() - began})
    lines = "".join(json.dumps(_key_values(task) | row) + "\n" for row in rows)
    write_text(context.store.directory / task.outputs[0], lines)
    return {"value": rows[-1]["value"], "stderr": rows[-1]["stderr"]}


class _Counter:
    """Counts annealed chain-steps of one of several estimates and passes the fraction on."""

    def __init__(
        self, task: Task, reporter: StudyReporter, options: Mapping[str, Any], number: int = 0, count: int = 1
    ) -> None:
        self._task, self._reporter = task, reporter
        self._total = count * max(1, options["n_betas"] * options["n_chains"])
        self._done = number * self._total // count

    def start(self, what: str, total: int | None) -> None:
        """See `rbmscape.progress.Reporter.start`."""

    def advance(self, done: int, status: Any = None) -> None:  # noqa: ARG002 - only the number counts
        """Pass the fraction on."""
        self._done += done
        self._reporter.advance(self._task, min(1.0, self._done / self._total), "annealing")

    def stop(self) -> None:
        """See `rbmscape.progress.Reporter.stop`."""


def _collect_training(context: StudyContext, task: Task, reporter: StudyReporter) -> dict[str, Any]:
    """Metrics of all checkpoints of all runs as one Dataset."""
    began = time.perf_counter()
    dataset = training_dataset(context.runs())
    _write_result(context, task, dataset, time.perf_counter() - began)
    reporter.advance(task, 1.0)
    return {"runs": len(task.needs)}


def _collect_likelihood(context: StudyContext, task: Task, reporter: StudyReporter) -> dict[str, Any]:
    """One Dataset over (recipe, hidden, replica, update) from the single estimates."""
    files = [context.store.directory / points_file(name) for name in task.needs]
    rows = [json.loads(line) for path in files for line in path.read_text(encoding="utf-8").splitlines()]
    dataset = likelihood_dataset(rows)
    dataset.attrs |= {"n_test": len(context.dataset.test), **_plan_attrs(context.config)}
    _write_result(context, task, dataset, sum(float(row.get("seconds", 0.0)) for row in rows))
    reporter.advance(task, 1.0)
    return {"points": len(rows)}


def _baselines(context: StudyContext, task: Task, reporter: StudyReporter) -> dict[str, Any]:
    """Log-likelihoods of independent units and of a mixture of products, fitted to the training data."""
    import xarray as xr

    from rbmscape.likelihood.baselines import baselines

    began = time.perf_counter()
    found = baselines(context.dataset, seed=context.config.seed)
    both, nats = (found.independent, found.mixture), {"units": "nat"}
    dataset = xr.Dataset(
        {
            "log_likelihood": ("baseline", [one.value for one in both], nats),
            "stderr": ("baseline", [one.stderr for one in both], nats),
        },
        coords={"baseline": ["independent", "mixture"]},
        attrs={"n_products": found.n_products},
    )
    _write_result(context, task, dataset, time.perf_counter() - began)
    reporter.advance(task, 1.0)
    return {"value": found.mixture.value, "stderr": found.mixture.stderr}


def _quality(context: StudyContext, task: Task, reporter: StudyReporter) -> dict[str, Any]:
    """Samples of a run beside data, copies, idle units; all of it is in the record."""
    from rbmscape.runs.quality import quality

    found = quality(_run(context, task), context.dataset, seed=task.parameters["seed"], budget=QUALITY_COST)
    reporter.advance(task, 1.0)
    return found.record()


def _write_result(context: StudyContext, task: Task, dataset: xr.Dataset, seconds: float) -> None:
    dataset.attrs |= result_attrs(context, task, seconds)
    write_dataset(dataset, context.store.directory / task.outputs[0])


def _plan_attrs(config: StudyConfig) -> dict[str, str | int]:
    plan = config.likelihood
    attrs: dict[str, str | int] = {"method": plan.method, **plan.options()}
    if plan.final is not None:
        final = {"method": plan.final.method, **plan.final.options()}
        attrs |= {f"final_{name}": value for name, value in final.items()}
    return attrs


def _samples(context: StudyContext, task: Task, reporter: StudyReporter) -> dict[str, Any]:
    """Equilibrium samples of every checkpoint of a run, kept for the figures."""
    from rbmscape.runs.samples import run_samples

    parameters = task.parameters
    folder = context.samples_folder(parameters["source"])
    found = run_samples(_run(context, task), seed=parameters["seed"], cache=folder, **parameters["sampling"])
    reporter.advance(task, 1.0)
    return dict(found.facts)


def _compute(context: StudyContext, task: Task, reporter: StudyReporter) -> dict[str, Any]:
    """The data of a figure."""
    from rbmscape.runs.samples import run_samples

    (entry,) = select([task.parameters["name"]])
    sampler = partial(run_samples, cache=context.samples_folder(task.parameters["samples"]))
    options, sampling = entry.options(task.parameters["options"])
    material = Material(
        context.dataset, context.runs(), context.result, context.config.seed, options, sampling, sampler
    )
    began = time.perf_counter()
    dataset = entry.compute(material)
    _write_result(context, task, dataset, time.perf_counter() - began)
    reporter.advance(task, 1.0)
    return {}


def _draw(context: StudyContext, task: Task, reporter: StudyReporter) -> dict[str, Any]:
    """The picture of a figure, from its data alone, and its words."""
    from rbmscape.figures.style import save_picture

    (entry,) = select([task.parameters["name"]])
    dataset = read_dataset(context.store.figures / f"{entry.stem}.nc")
    save_picture(entry.draw(dataset), context.store.figures, entry.stem)
    reporter.advance(task, 1.0)
    return {"alt_text": entry.alt_text(dataset)}


RUNNERS: Mapping[str, Callable[[StudyContext, Task, StudyReporter], dict[str, Any]]] = {
    "train": _train,
    "collect-training": _collect_training,
    "likelihood": _likelihood,
    "collect-likelihood": _collect_likelihood,
    "baselines": _baselines,
    "quality": _quality,
    "samples": _samples,
    "compute": _compute,
    "figure": _draw,
}
