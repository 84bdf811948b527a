"""Phase transitions of the first modes along training (arXiv:2503.21536, sections 5.3 and 6; beyond its figures).

Dressed singular values at the model's own activities, which predict the transition of a mode where they reach 1; the
fluctuations along the dressed modes in units of independent bits', whose rise measures it; the Binder cumulant, which
measures it for modes that biases leave symmetric; and the critical updates, predicted and measured, over replicas.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.linalg import eigvalsh

from rbmscape.diffusion.bosons import dressed_weights
from rbmscape.diffusion.reference import reference_point
from rbmscape.errors import InputError
from rbmscape.figures.along_training import updates_axis
from rbmscape.figures.checkpoints import check_checkpoints
from rbmscape.figures.datasets import provenance_attrs
from rbmscape.figures.samples import shared_facts, verdict
from rbmscape.figures.spec import Count, FigureOptions, FigureSpec
from rbmscape.figures.style import (
    PAGE_WIDTH,
    colour,
    legend_below,
    log_axis,
    marker,
    new_figure,
    panel_letters,
    print_style,
)
from rbmscape.runs.samples import RunSamples
from rbmscape.stats import Estimate
from rbmscape.symmetry.order import CRITICAL_BINDER
from rbmscape.symmetry.transitions import (
    critical_fluctuations,
    critical_update,
    over_replicas,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rbmscape.data.dataset import Dataset
    from rbmscape.figures.material import Material, RunKey
    from rbmscape.model.rbm import RBM
    from rbmscape.runs.run import Run

__all__ = ["SPEC", "Options", "alt_text", "compute", "draw", "for_study", "of_all_runs"]

N_DATA = 2000


class Options(FigureOptions):
    """What a plan may choose for it.

    Parameters
    ----------
    n_modes : dressed modes, in the order of their dressed values at each checkpoint
    """

    n_modes: Count = 4


SPEC = FigureSpec(
    title="Transitions of the first modes",
    caption=(
        "Dressed singular values d at the model's own activities, with 1 - 1/R (crosses) that equals d in Gaussian "
        "theory; the fluctuations R along the dressed modes in units of independent bits' with their critical size "
        "(dashed); Binder cumulants; and critical updates: predicted where d is 1, measured where R is critical. Bars "
        "are standard errors, over replicas where there are several."
    ),
    reading=(
        "A mode orders where its d crosses 1, or where its R crosses the dashed size. Crosses that leave the line of "
        "d show where Gaussian theory ends."
    ),
    order=250,
    samples="replicas",
    analysis=("run", "data"),
    cost=lambda scene, _: (
        scene.base(2.0) + scene.replicas * scene.following() + scene.factors(0.3 * scene.runs * scene.checkpoints)
    ),
    options=Options,
)


def for_study(material: Material) -> xr.Dataset:
    """Data of the figure for all replicas of the size nearest to the paper's 500."""
    runs = material.replicas(material.run().config.n_hidden)
    found = compute(runs, [material.samples(run) for run in runs], **material.settings)
    return found.merge(of_all_runs(material.runs, material.dataset))


def compute(runs: Sequence[Run], samples: Sequence[RunSamples], **options: Any) -> xr.Dataset:
    """Order parameters and dressed singular values of the first modes at every checkpoint.

    Parameters
    ----------
    runs : replicas with the same checkpoints
    samples : of the checkpoints of each
    **options : of `Options`

    Returns
    -------
    Dataset over (replica, update, mode): ``singular_value``, ``dressed``, ``ratio`` (fluctuations along the dressed
    mode over those of independent bits), ``critical_ratio`` and ``binder``, with errors; over (replica, mode) critical
    updates with errors, ``predicted`` (dressed value 1), ``measured`` (critical ratio) and ``binder_crossing``, and
    over mode the means of the first two over replicas

    Raises
    ------
    InputError : no run, or replicas with different checkpoints
    MissingInputError : a run has fewer than three checkpoints
    """
    import xarray as xr

    asked = Options(**options)
    updates = _common_updates(runs)
    kept = min(asked.n_modes, runs[0].config.n_hidden, int(runs[0].data["n_visible"]))
    parts = []
    for of_run in samples:
        one = _one_run(of_run, updates, kept)
        parts.append(one.assign(_critical(one, updates)).merge(of_run.along(), combine_attrs="drop_conflicts"))
    result = xr.concat(parts, "replica").assign_coords(update=list(updates), mode=np.arange(kept))
    for name in ("predicted", "measured"):
        means = [_over_replicas(result, name, mode) for mode in range(kept)]
        result[f"{name}_mean"] = ("mode", [mean.value for mean in means], {"units": "updates"})
        result[f"{name}_mean_stderr"] = ("mode", [mean.stderr for mean in means], {"units": "updates"})
    result.attrs = provenance_attrs(critical_binder=CRITICAL_BINDER, n_hidden=runs[0].config.n_hidden)
    result.attrs |= shared_facts([found.at(updates[-1]) for found in samples])
    return result


def of_all_runs(runs: Mapping[RunKey, Run], dataset: Dataset) -> xr.Dataset:
    """Update at which the largest singular value dressed by the data's activities reaches 1, for every run of a study.

    Returns
    -------
    Dataset over run: ``critical`` with ``critical_stderr`` (updates; NaN where it is not reached), ``weight_std``;
    coordinates ``run_recipe``, ``run_hidden``, ``run_replica``
    """
    import xarray as xr

    found = []
    for run in runs.values():
        tops = [_top_dressed(run.load(update, averaged=False), dataset) for update in run.updates]
        found.append(critical_update(run.updates, tops, 1.0))
    return xr.Dataset(
        {
            "critical": ("run", [one.value for one in found], {"units": "updates"}),
            "critical_stderr": ("run", [one.stderr for one in found], {"units": "updates"}),
            "weight_std": ("run", [run.config.weight_std for run in runs.values()], {"units": "k_B T"}),
        },
        coords={
            "run_recipe": ("run", [key.recipe for key in runs]),
            "run_hidden": ("run", [key.hidden for key in runs]),
            "run_replica": ("run", [key.replica for key in runs]),
        },
    )


def _top_dressed(rbm: RBM, dataset: Dataset) -> float:
    """Largest singular value dressed by the data's activities, from the smaller Gram matrix."""
    point = reference_point(rbm, "data", dataset.train[:N_DATA])
    weights = dressed_weights(rbm, point.visible_variance, point.hidden_variance)
    gram = weights @ weights.mT if rbm.n_hidden >= rbm.n_visible else weights.mT @ weights
    last = len(gram) - 1
    return math.sqrt(float(eigvalsh(gram.cpu().numpy(), subset_by_index=[last, last])[0]))


def _common_updates(runs: Sequence[Run]) -> tuple[int, ...]:
    if not runs:
        raise InputError("transitions along training need at least one run, found none")
    updates = runs[0].updates
    check_checkpoints(runs[0], "a transition")
    if any(run.updates != updates for run in runs):
        raise InputError("replicas must have checkpoints at the same updates; train them with one recipe")
    return updates


def _one_run(samples: RunSamples, updates: Sequence[int], kept: int) -> xr.Dataset:
    """Singular values, dressed ones, and moments along the dressed modes at every checkpoint of one run."""
    import xarray as xr

    names = ("singular_value", "dressed", "critical_ratio", "ratio", "ratio_stderr", "binder", "binder_stderr")
    values = {name: np.empty((len(updates), kept)) for name in names}
    for position, update in enumerate(updates):
        at = samples.at(update)
        rbm = at.model
        found = critical_fluctuations(rbm, at.draws, kept)
        values["singular_value"][position] = torch.linalg.svdvals(rbm.weights.double()).cpu().numpy()[:kept]
        values["dressed"][position] = found.dressed
        values["critical_ratio"][position] = found.critical_ratio
        for name, estimates in (
            ("ratio", [order.susceptibility for order in found.orders]),
            ("binder", [order.binder for order in found.orders]),
        ):
            values[name][position] = [estimate.value for estimate in estimates]
            values[f"{name}_stderr"][position] = [estimate.stderr for estimate in estimates]
    return xr.Dataset({name: (("update", "mode"), array, {"units": "1"}) for name, array in values.items()})


def _critical(one: xr.Dataset, updates: Sequence[int]) -> dict[str, Any]:
    """Predicted and measured critical update of every mode of one run."""
    columns: dict[str, list[float]] = {}
    for mode in range(one.sizes["mode"]):
        at = one.isel(mode=mode)
        excess, relative = np.log(at.ratio.values / at.critical_ratio.values), at.ratio_stderr.values / at.ratio.values
        found = {
            "predicted": critical_update(updates, at.dressed.values, 1.0),
            "measured": critical_update(updates, excess, 0.0, relative),
            "binder_crossing": critical_update(updates, at.binder.values, CRITICAL_BINDER, at.binder_stderr.values),
        }
        for name, estimate in found.items():
            columns.setdefault(name, []).append(estimate.value)
            columns.setdefault(f"{name}_stderr", []).append(estimate.stderr)
    return {name: ("mode", np.array(column), {"units": "updates"}) for name, column in columns.items()}


def _over_replicas(result: xr.Dataset, name: str, mode: int) -> Estimate:
    values, errors = result[name].values[:, mode], result[f"{name}_stderr"].values[:, mode]
    return over_replicas([Estimate(float(v), float(e)) for v, e in zip(values, errors, strict=True)])


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """Dressed values, susceptibility, Binder cumulant, and critical updates by mode."""
    figure, axes = new_figure(2, 2, size=(PAGE_WIDTH, 5.2))
    panels = axes.ravel()
    for mode in dataset["mode"].values:
        _draw_mode(panels[:3], dataset.sel(mode=mode), int(mode))
    panels[0].axhline(1.0, color="black", linestyle="--", linewidth=0.8)
    panels[0].set_ylabel("dressed singular value d (1)")
    words = "(a) 1 - 1/R of the samples, equal to d in Gaussian theory"
    panels[0].plot([], [], "x", color="0.3", linestyle="none", label=words)
    panels[1].plot([], [], "--", color="0.3", linewidth=0.8, label="(a) to (c): critical value")
    log_axis(panels[1])
    panels[1].set_ylabel("fluctuation ratio R")
    panels[2].set_ylabel("Binder cumulant")
    panels[2].axhline(dataset.attrs["critical_binder"], color="black", linestyle="--", linewidth=0.8)
    for panel in panels[:3]:
        updates_axis(panel, dataset["update"].values)
    _draw_critical(panels[3], dataset)
    legend_below(figure, *panels)
    panel_letters(axes)
    return figure


def _draw_mode(panels: Any, one: xr.Dataset, mode: int) -> None:
    """One mode in the three panels against updates, replicas as thin lines behind their mean."""
    updates = one["update"].values
    for panel, name in zip(panels, ("dressed", "ratio", "binder"), strict=True):
        series = one[name].values
        for single in series if len(series) > 1 else ():
            panel.plot(updates, single, color=colour(mode), linewidth=0.4, alpha=0.6)
        panel.plot(updates, series.mean(0), color=colour(mode), marker=marker(mode), label=f"mode {mode + 1}")
        if name == "dressed":
            panel.plot(updates, 1 - 1 / one.ratio.values.mean(0), color=colour(mode), marker="x", linestyle="none")
        if name == "ratio":
            panel.plot(updates, one.critical_ratio.values.mean(0), color=colour(mode), linestyle="--", linewidth=0.8)
        if f"{name}_stderr" in one and len(series) == 1:
            panel.errorbar(updates, series[0], one[f"{name}_stderr"].values[0], color=colour(mode), linestyle="none")


def _draw_critical(panel: Axes, dataset: xr.Dataset) -> None:
    modes = dataset["mode"].values + 1
    labels = {"predicted": "(d) predicted, d = 1", "measured": "(d) measured, R critical"}
    for index, (name, label) in enumerate(labels.items()):
        panel.errorbar(
            modes + 0.12 * (index - 0.5),
            dataset[f"{name}_mean"],
            dataset[f"{name}_mean_stderr"],
            color=colour(index),
            marker=marker(index),
            linestyle="none",
            label=label,
        )
    panel.set_xticks(modes)
    panel.set_xlabel("mode")
    panel.set_ylabel("critical update")
    panel.set_ylim(bottom=0)
    if not np.isfinite(dataset.predicted_mean.values).any() and not np.isfinite(dataset.measured_mean.values).any():
        panel.annotate("no mode is critical in all replicas", (0.5, 0.5), xycoords="axes fraction", ha="center")
        panel.set_yticks([])


def alt_text(dataset: xr.Dataset) -> str:
    """Critical updates of every mode."""
    parts = []
    for mode in dataset["mode"].values:
        at = dataset.sel(mode=mode)
        words = [
            str(Estimate(float(at[f"{name}_mean"]), float(at[f"{name}_mean_stderr"])))
            if math.isfinite(float(at[f"{name}_mean"]))
            else "not reached"
            for name in ("predicted", "measured")
        ]
        parts.append(f"mode {mode + 1}: predicted {words[0]}, measured {words[1]}")
    critical = "; ".join(parts)
    count = dataset.sizes["replica"]
    return f"Critical updates of the first modes over {count} replica(s): {critical}. {verdict(dataset)}"
