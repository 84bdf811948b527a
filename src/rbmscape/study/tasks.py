"""The functions that do a study's tasks, one a kind.

Each takes the study's directory and configuration and a task, writes the task's outputs, and returns a few facts for
its record.  Each may be killed at any instant and done again: outputs appear whole, training resumes where it stood.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from rbmscape.data.dataset import Dataset
from rbmscape.figures.material import Material, RunKey
from rbmscape.files import write_text
from rbmscape.runs.config import TrainingConfig
from rbmscape.runs.run import Run
from rbmscape.study.config import StudyConfig
from rbmscape.study.graph import Task
from rbmscape.study.progress import StudyReporter
from rbmscape.study.store import StudyStore

if TYPE_CHECKING:
    import xarray as xr

    from rbmscape.training.progress import TrainingStatus

__all__ = ["RUNNERS", "Workshop", "run_task"]


@dataclass
class Workshop:
    """What every task of a study finds: the plan, the directory, and the data, loaded when first used."""

    config: StudyConfig
    store: StudyStore

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

    def start(self, status: TrainingStatus) -> None:
        self.advance(status)

    def advance(self, status: TrainingStatus) -> None:
        fraction = status.update / max(1, status.total_updates)
        self.reporter.advance(self.task, fraction, f"epoch {status.epoch:.1f} of {status.epochs}")

    def checkpoint(self, status: TrainingStatus) -> None:
        self.advance(status)

    def stop(self) -> None:
        """Nothing to close: the study's reporter goes on."""


def _train(shop: Workshop, task: Task, reporter: StudyReporter) -> dict[str, Any]:
    """Train one run to its end, from where it stands."""
    from rbmscape.training.train import train

    directory = shop.store.runs / str(RunKey(**_key_values(task)))
    config = TrainingConfig.from_mapping(task.parameters["config"])
    run = train(shop.dataset, config, directory, resume=True, progress=_TrainingWatcher(task, reporter))
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
    options = dict(parameters["options"])
    if parameters["method"] != "exact":
        options |= {"seed": parameters["seed"], "progress": _Counter(task, reporter, options)}
    bounds: dict[str, Any] = {}
    if parameters["method"] == "bracket":
        earlier = [run.load(update) for update in run.updates if update < parameters["update"]]
        bracket = likelihood_bracket(
            model, shop.dataset, models=earlier or None, max_betas=8 * options["n_betas"], **options
        )
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


def _collect_likelihood(shop: Workshop, task: Task, reporter: StudyReporter) -> dict[str, Any]:
    """One Dataset over (recipe, hidden, replica, update) from the single estimates."""
    from rbmscape.figures.style import provenance_attrs, write_dataset

    files = [shop.store.results / "likelihood" / _point_file(name) for name in task.needs]
    rows = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    dataset = likelihood_dataset(rows)
    dataset.attrs |= provenance_attrs(seed=shop.config.seed, source=f"study {shop.config.name}")
    dataset.attrs |= {"data": shop.dataset.name, "n_test": len(shop.dataset.test), **_plan_attrs(shop.config)}
    write_dataset(dataset, shop.store.directory / task.outputs[0])
    reporter.advance(task, 1.0)
    return {"points": len(rows)}


def _point_file(name: str) -> str:
    _, key, update = name.split("/")
    return f"{key}-{int(update):08d}.json"


def _plan_attrs(config: StudyConfig) -> dict[str, str | int]:
    plan = config.likelihood
    attrs: dict[str, str | int] = {"method": plan.method}
    return attrs if plan.method == "exact" else attrs | {"n_betas": plan.n_betas, "n_chains": plan.n_chains}


_BOUNDS = {"lower": "nat", "upper": "nat", "lower_stderr": "nat", "upper_stderr": "nat", "converged": "1"}
"""Variables of a bracket and their units."""


def likelihood_dataset(rows: list[dict[str, Any]]) -> xr.Dataset:
    """Single estimates as a Dataset over (recipe, hidden, replica, update); NaN where there is none."""
    import xarray as xr

    axes = {name: sorted({row[name] for row in rows}) for name in ("recipe", "hidden", "replica", "update")}
    shape = tuple(len(values) for values in axes.values())
    names = {name: name for name in ("stderr", "ess", "spread", "epoch")} | {"value": "log_likelihood"}
    names |= {name: name for name in _BOUNDS if any(name in row for row in rows)}
    arrays = {name: np.full(shape, np.nan) for name in names}
    for row in rows:
        place = tuple(axes[name].index(row[name]) for name in axes)
        for name, array in arrays.items():
            array[place] = np.nan if row.get(name) is None else row[name]
    units = {"value": "nat", "stderr": "nat", "ess": "chains", "spread": "nat", "epoch": "epochs"} | _BOUNDS
    variables = {names[name]: (tuple(axes), array, {"units": units[name]}) for name, array in arrays.items()}
    return xr.Dataset(variables, coords=axes)


def _figure(shop: Workshop, task: Task, reporter: StudyReporter) -> dict[str, Any]:
    """Compute a figure's data, draw and save it."""
    from rbmscape.figures.equilibrium import run_samples
    from rbmscape.figures.registry import select
    from rbmscape.figures.style import save

    (entry,) = select([task.parameters["name"]])
    sampler = partial(run_samples, cache=shop.store.results / "samples")
    options = task.parameters["options"]
    material = Material(shop.dataset, shop.runs(), shop.result, shop.config.seed, options, sampler)
    dataset = entry.compute(material)
    reporter.advance(task, 0.8)
    save(entry.draw(dataset), dataset, shop.store.figures, entry.name)
    return {"alt_text": entry.alt_text(dataset)}


RUNNERS: Mapping[str, Callable[[Workshop, Task, StudyReporter], dict[str, Any]]] = {
    "train": _train,
    "likelihood": _likelihood,
    "collect-likelihood": _collect_likelihood,
    "figure": _figure,
}
