"""The functions that do a study's tasks, one a kind.

Each takes the study's directory and configuration and a task, writes the task's outputs, and returns a few facts for
its record.  Each may be killed at any instant and done again: outputs appear whole, training resumes where it stood.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rbmscape.data.dataset import Dataset
from rbmscape.errors import StudyError
from rbmscape.figures.material import Material, RunKey
from rbmscape.files import write_text
from rbmscape.runs.config import TrainingConfig
from rbmscape.runs.run import Run
from rbmscape.study.collect import likelihood_dataset, training_dataset
from rbmscape.study.config import StudyConfig
from rbmscape.study.graph import Task
from rbmscape.study.progress import StudyReporter
from rbmscape.study.store import StudyStore

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["RUNNERS", "Workshop", "run_task"]


@dataclass
class Workshop:
    """What every task of a study finds: the plan, the directory, and the data, loaded when first used."""

    config: StudyConfig
    store: StudyStore

    @classmethod
    def open(cls, directory: str) -> Workshop:
        """Of a study that has begun, perhaps on another machine.

        Raises
        ------
        StudyError : the directory is not there, or its data are others here
        """
        store = StudyStore(directory)
        if not store.exists:
            raise StudyError(
                f"the worker on {platform.node()} does not see the study at {directory}; "
                "keep it where all machines find it under the same path"
            )
        record = store.read()
        shop = cls(StudyConfig.from_mapping(record["config"]), store)
        if shop.dataset.fingerprint != record["data"]["fingerprint"]:
            raise StudyError(
                f"the worker on {platform.node()} finds other data under {shop.config.data.source!r} than the study "
                "began with; keep the same file on all machines"
            )
        return shop

    @cached_property
    def dataset(self) -> Dataset:
        """The study's data."""
        return self.config.data.load()

    def result(self, name: str) -> xr.Dataset:
        """A Dataset of ``results/``, in memory."""
        import xarray as xr

        return xr.load_dataset(self.store.results / f"{name}.nc", engine="h5netcdf")

    def runs(self) -> dict[RunKey, Run]:
        """All runs of the plan that exist."""
        found = {key: self.store.runs / str(key) for key in self.config.run_keys()}
        return {key: Run.open(path) for key, path in found.items() if (path / "config.json").is_file()}


def run_task(shop: Workshop, task: Task, reporter: StudyReporter) -> dict[str, Any]:
    """Do one task; returns the facts for its record."""
    return RUNNERS[task.kind](shop, task, reporter)


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


def _train(shop: Workshop, task: Task, reporter: StudyReporter) -> dict[str, Any]:
    """Train one run for a slice of its epochs, from where it stands."""
    from rbmscape.training.train import train

    directory = shop.store.runs / str(RunKey(**_key_values(task)))
    config = TrainingConfig.from_mapping(task.parameters["config"])
    watcher, until = _TrainingWatcher(task, reporter), task.parameters["until_update"]
    run = train(shop.dataset, config, directory, resume=True, progress=watcher, until_update=until)
    last = run.rows[-1]
    return {"seconds": last["seconds"], "updates": last["update"], "updates_per_second": last["updates_per_second"]}


def _key_values(task: Task) -> dict[str, Any]:
    return {name: task.parameters[name] for name in ("recipe", "hidden", "replica")}


def _likelihood(shop: Workshop, task: Task, reporter: StudyReporter) -> dict[str, Any]:
    """Mean test log-likelihood of one checkpoint, where the plan says so with both bounds."""
    from rbmscape.likelihood.bracket import likelihood_bracket
    from rbmscape.likelihood.estimate import log_likelihood

    parameters = task.parameters
    key = RunKey(**_key_values(task))
    run = Run.open(shop.store.runs / str(key))
    model = run.load(parameters["update"])
    options, began = dict(parameters["options"]), time.perf_counter()
    if parameters["method"] != "exact":
        options |= {"seed": parameters["seed"], "progress": _Counter(task, reporter, options)}
    bounds: dict[str, Any] = {}
    if parameters["method"] == "bracket":
        earlier = [run.load(update) for update in run.updates if update < parameters["update"]]
        bracket = likelihood_bracket(model, shop.dataset, models=earlier or None, **options)
        estimate = bracket.best
        bounds = {"lower": bracket.lower.value, "upper": bracket.upper.value, "converged": float(bracket.converged)}
        bounds |= {"lower_stderr": bracket.lower.stderr, "upper_stderr": bracket.upper.stderr}
    else:
        estimate = log_likelihood(model, shop.dataset, method=parameters["method"], **options)
    row = _key_values(task) | {
        "update": parameters["update"],
        "epoch": parameters["update"] / run.updates_per_epoch,
        "value": estimate.value,
        "stderr": estimate.stderr,
        "ess": None if np.isnan(estimate.ess) else estimate.ess,
        "spread": estimate.spread,
        "method": parameters["method"],
        "seed": parameters["seed"],
        "seconds": time.perf_counter() - began,
        **bounds,
    }
    write_text(shop.store.directory / task.outputs[0], json.dumps(row) + "\n")
    return {"value": estimate.value, "stderr": estimate.stderr}


class _Counter:
    """Counts annealed chain-steps and passes the fraction on."""

    def __init__(self, task: Task, reporter: StudyReporter, options: Mapping[str, Any]) -> None:
        self._task, self._reporter = task, reporter
        self._done, self._total = 0, max(1, options["n_betas"] * options["n_chains"])

    def __call__(self, steps: int) -> None:
        self._done += steps
        self._reporter.advance(self._task, min(1.0, self._done / self._total), "annealing")


def _collect_training(shop: Workshop, task: Task, reporter: StudyReporter) -> dict[str, Any]:
    """Metrics of all checkpoints of all runs as one Dataset."""
    began = time.perf_counter()
    dataset = training_dataset(shop.runs())
    _write_result(shop, task, dataset, time.perf_counter() - began)
    reporter.advance(task, 1.0)
    return {"runs": len(task.needs)}


def _collect_likelihood(shop: Workshop, task: Task, reporter: StudyReporter) -> dict[str, Any]:
    """One Dataset over (recipe, hidden, replica, update) from the single estimates."""
    files = [shop.store.results / "likelihood" / _point_file(name) for name in task.needs]
    rows = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    dataset = likelihood_dataset(rows)
    dataset.attrs |= {"n_test": len(shop.dataset.test), **_plan_attrs(shop.config)}
    _write_result(shop, task, dataset, sum(float(row.get("seconds", 0.0)) for row in rows))
    reporter.advance(task, 1.0)
    return {"points": len(rows)}


def _write_result(shop: Workshop, task: Task, dataset: xr.Dataset, seconds: float) -> None:
    from rbmscape.figures.datasets import write_dataset
    from rbmscape.study.provenance import result_attrs

    dataset.attrs |= result_attrs(shop, task, seconds)
    write_dataset(dataset, shop.store.directory / task.outputs[0])


def _point_file(name: str) -> str:
    _, key, update = name.split("/")
    return f"{key}-{int(update):08d}.json"


def _plan_attrs(config: StudyConfig) -> dict[str, str | int]:
    plan = config.likelihood
    attrs: dict[str, str | int] = {"method": plan.method, **plan.options()}
    if plan.final is not None:
        final = {"method": plan.final.method, **plan.final.options()}
        attrs |= {f"final_{name}": value for name, value in final.items()}
    return attrs


def _samples(shop: Workshop, task: Task, reporter: StudyReporter) -> dict[str, Any]:
    """Equilibrium samples of every checkpoint of a run, kept for the figures."""
    from rbmscape.runs.samples import run_samples

    run = Run.open(shop.store.runs / str(RunKey(**_key_values(task))))
    found = run_samples(run, seed=task.parameters["seed"], cache=_samples_folder(shop), **task.parameters["sampling"])
    reporter.advance(task, 1.0)
    return dict(found.facts)


def _samples_folder(shop: Workshop) -> Path:
    return shop.store.results / "samples"


def _figure(shop: Workshop, task: Task, reporter: StudyReporter) -> dict[str, Any]:
    """Compute a figure's data, draw and save it."""
    from rbmscape.figures.registry import select
    from rbmscape.figures.style import save
    from rbmscape.runs.samples import run_samples
    from rbmscape.study.provenance import result_attrs

    (entry,) = select([task.parameters["name"]])
    sampler = partial(run_samples, cache=_samples_folder(shop))
    options, sampling = entry.options(task.parameters["options"])
    material = Material(shop.dataset, shop.runs(), shop.result, shop.config.seed, options, sampling, sampler)
    began = time.perf_counter()
    dataset = entry.compute(material)
    dataset.attrs |= result_attrs(shop, task, time.perf_counter() - began)
    reporter.advance(task, 0.8)
    save(entry.draw(dataset), dataset, shop.store.figures, entry.stem)
    return {"alt_text": entry.alt_text(dataset)}


RUNNERS: Mapping[str, Callable[[Workshop, Task, StudyReporter], dict[str, Any]]] = {
    "train": _train,
    "collect-training": _collect_training,
    "likelihood": _likelihood,
    "collect-likelihood": _collect_likelihood,
    "samples": _samples,
    "figure": _figure,
}
