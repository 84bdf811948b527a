"""Finite-size scaling of the first transition, and the critical update against the size of the hidden layer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rbmscape.data.dataset import Dataset
from rbmscape.data.sizes import rescaled, subsampled
from rbmscape.diffusion.cascade import cascade
from rbmscape.diffusion.curie_weiss import CurieWeiss
from rbmscape.errors import InputError
from rbmscape.figures.datasets import provenance_attrs
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
from rbmscape.runs.schedule import exposure
from rbmscape.stats import Estimate
from rbmscape.symmetry.growth import linear_growth
from rbmscape.symmetry.scaling import (
    Scaling,
    SizeCurve,
    finite_size_scaling,
    measured_curve,
    mode_model,
    predicted_critical_exposure,
    size_trend,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rbmscape.figures.material import Material
    from rbmscape.runs.run import Run

__all__ = ["SPEC", "Options", "alt_text", "compute", "draw", "for_study"]

OFFSETS = np.linspace(-2.0, 1.0, 7)
"""(d - 1)√n of the models."""


class Options(FigureOptions):
    """What a plan may choose for it.

    Parameters
    ----------
    sides : sizes of the data: side of the rescaled images, or numbers of units that are drawn where there are none
    n_chains, burn_in, n_draws, thin : Gibbs chains at each model
    """

    sides: tuple[int, ...] = (8, 12, 16, 20, 28)
    n_chains: Count = 200
    burn_in: Count = 200
    n_draws: Count = 10
    thin: Count = 10


SPEC = FigureSpec(
    title="Finite-size scaling of the first transition",
    caption=(
        "Fluctuations along the data's first mode, alone in models that take it through its transition at the data's "
        "activities, for data of several sizes: R/√n against (d - 1)√n, and the bipartite Curie-Weiss model (line), "
        "which has two equal wells; the dressed value at which the Binder cumulant is critical, against 1/n (line: "
        "Curie-Weiss, exact); and learning rate times critical update of the study's runs against the size of their "
        "hidden layer, predicted and measured."
    ),
    reading=(
        "Points of all sizes on one curve are a collapse; where they leave it the transition is not that of two equal "
        "wells. A falling line in the last panel says that larger layers break the symmetry earlier."
    ),
    order=480,
    cost=lambda scene, options: scene.base(
        2.0 + 3e-10 * len(OFFSETS) * options.n_chains * (options.burn_in + options.n_draws * options.thin)
        * sum(min(side**2, scene.n_visible) ** 2 for side in options.sides)
    ),
    options=Options,
    default=False,
)  # fmt: skip


def for_study(material: Material) -> xr.Dataset:
    """All runs of the main recipe."""
    runs = [run for key, run in material.runs.items() if key.recipe == material.main_recipe]
    return compute(runs, material.dataset, seed=material.seed, **material.settings)


def compute(runs: list[Run], dataset: Dataset, seed: int = 0, **options: Any) -> xr.Dataset:
    """Scaling of the data's first mode over sizes, and critical updates over hidden layers and replicas.

    Parameters
    ----------
    runs : of one recipe; those of an optimiser without a flow time are left out of the critical updates
    dataset : images, or other data
    seed : of chains and choices of units
    **options : of `Options`

    Returns
    -------
    Dataset over (size, point): ``dressed``, ``ratio``, ``binder`` with errors; over size: ``units`` (n), ``crossing``
    with ``crossing_stderr``, ``exact_crossing``; over run: ``hidden``, ``critical`` with ``critical_stderr``,
    ``predicted`` in units of learning rate times updates; attributes with the exponent and the trend against ln M

    Raises
    ------
    InputError : fewer than two sizes of data
    UnresolvedError : no critical point in the range of the models
    """
    import xarray as xr

    asked = Options(**options)
    draws = asked.model_dump(exclude={"sides"})
    curves = [_curve(_sized(dataset, side, seed), seed, draws) for side in sorted(set(asked.sides))]
    found = finite_size_scaling(curves, seed)
    rows = _critical(runs, dataset)
    trend = _trend(rows)
    pair = ("size", "point")
    ordered = sorted(curves, key=lambda curve: curve.size)
    columns = ("dressed", "ratio", "ratio_stderr", "binder", "binder_stderr")
    numbers = np.asarray(rows, dtype=np.float64).reshape(-1, 4)
    return xr.Dataset(
        {name: (pair, np.stack([getattr(curve, name) for curve in ordered]), {"units": "1"}) for name in columns}
        | {
            "units": ("size", found.sizes, {"units": "1"}),
            "crossing": ("size", [one.value for one in found.binder_crossings], {"units": "1"}),
            "crossing_stderr": ("size", [one.stderr for one in found.binder_crossings], {"units": "1"}),
            "exact_crossing": ("size", [_exact_crossing(size) for size in found.sizes], {"units": "1"}),
            "hidden": ("run", numbers[:, 0], {"units": "units"}),
            "critical": ("run", numbers[:, 1], {"units": "η updates"}),
            "critical_stderr": ("run", numbers[:, 2], {"units": "η updates"}),
            "predicted": ("run", numbers[:, 3], {"units": "η updates"}),
        },
        attrs=provenance_attrs(seed=seed) | _facts(found, trend),
    )


def _facts(found: Scaling, trend: Estimate) -> dict[str, float]:
    return {
        "critical_value": found.critical.value,
        "critical_value_stderr": found.critical.stderr,
        "exponent": found.ratio_exponent.value,
        "exponent_stderr": found.ratio_exponent.stderr,
        "trend": trend.value,
        "trend_stderr": trend.stderr,
    }


def _sized(dataset: Dataset, side: int, seed: int) -> Dataset:
    """The data at another size, without units that hardly ever change."""
    if dataset.image_shape is not None:
        shape = (min(side, dataset.image_shape[0]), min(side, dataset.image_shape[1]))
        smaller = rescaled(dataset, shape)
    else:
        smaller = subsampled(dataset, min(side, dataset.n_visible), seed)
    moving = (smaller.mean > 0.01) & (smaller.mean < 0.99)
    if moving.sum() < 2:
        raise InputError(f"data of size {side} have {int(moving.sum())} units that change; choose larger sizes")
    return Dataset(smaller.name, np.ascontiguousarray(smaller.train[:, moving]), smaller.test[:0, moving])


def _curve(dataset: Dataset, seed: int, draws: dict[str, int]) -> SizeCurve:
    """Models of the first mode with as many hidden units, through the transition."""
    growth = linear_growth(dataset.train, 1)
    size = 2 / float((growth.directions[:, 0] ** 4).sum() + 1 / dataset.n_visible)
    dressed = 1 + OFFSETS / math.sqrt(size)
    models = [mode_model(growth, dataset.n_visible, float(d)) for d in dressed]
    return measured_curve(models, size, dressed, seed, **draws)


def _exact_crossing(size: float) -> float:
    """d at which the Curie-Weiss model of this size has the critical Binder cumulant."""
    from scipy.optimize import brentq

    from rbmscape.symmetry.order import CRITICAL_BINDER

    n = max(2, round(size))
    return float(brentq(lambda d: CurieWeiss(n, n, d).moments()[1] - CRITICAL_BINDER, 0.3, 2.0, xtol=1e-6))


def _critical(runs: list[Run], dataset: Dataset) -> list[tuple[float, float, float, float]]:
    """M, ηt at which the first dressed value crosses 1 with the error of its checkpoints, and the prediction."""
    growth = linear_growth(dataset.train, 1)
    rows = []
    for run in runs:
        try:
            spent = exposure(run.config, run.updates, run.config.epochs * run.updates_per_epoch)
        except InputError:
            continue
        models = ((update, run.load(update, averaged=False)) for update in run.updates)
        table = cascade(models, "data", data=dataset.train[:2000], n_modes=1).dressed[:, 0]
        above = np.flatnonzero(table >= 1)
        if not above.size or not above[0]:
            continue
        k = int(above[0])
        share = (1 - table[k - 1]) / (table[k] - table[k - 1])
        time = spent[k - 1] + share * (spent[k] - spent[k - 1])
        width = float(spent[k] - spent[k - 1]) / math.sqrt(12)
        started = float(predicted_critical_exposure(growth, run.config.n_hidden, run.config.weight_std or 1e-12)[0])
        rows.append((float(run.config.n_hidden), float(time), width, started))
    return rows


def _trend(rows: list[tuple[float, float, float, float]]) -> Estimate:
    try:
        return size_trend([(hidden, Estimate(time, width)) for hidden, time, width, _ in rows])
    except InputError:
        return Estimate(math.nan, math.nan)


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """Collapse, crossings, critical updates."""
    figure, axes = new_figure(1, 3, size=(PAGE_WIDTH, 3.0))
    for index in range(dataset.sizes["size"]):
        one = dataset.isel(size=index)
        root = math.sqrt(float(one.units))
        axes[0, 0].errorbar(
            (one.dressed - 1) * root, one.ratio / root, one.ratio_stderr / root, color=colour(index),
            marker=marker(index), linestyle="none", label=f"n = {float(one.units):.0f}",
        )  # fmt: skip
    grid = np.linspace(OFFSETS[0], OFFSETS[-1], 40)
    exact = [CurieWeiss(400, 400, 1 + x / 20).moments()[0] / 20 for x in grid]
    axes[0, 0].plot(grid, exact, color="black", linewidth=0.9, label="exact or predicted")
    axes[0, 0].set_xlabel("(d - 1)√n")
    axes[0, 0].set_ylabel("R/√n")
    log_axis(axes[0, 0])
    inverse = 1 / dataset.units.values
    axes[0, 1].errorbar(
        inverse, dataset.crossing, dataset.crossing_stderr, marker="o", color="#0072B2", linestyle="none"
    )
    axes[0, 1].plot(inverse, dataset.exact_crossing, color="black", linewidth=0.9)
    axes[0, 1].set_xlim(-0.06 * inverse.max(), 1.06 * inverse.max())
    axes[0, 1].set_xlabel("1/n")
    axes[0, 1].set_ylabel("d where Binder is critical")
    _draw_updates(axes[0, 2], dataset)
    legend_below(figure, *axes[0])
    panel_letters(axes)
    return figure


def _draw_updates(panel: Axes, dataset: xr.Dataset) -> None:
    panel.set_xlabel("hidden units M")
    panel.set_ylabel("η × critical update")
    if not dataset.sizes["run"]:
        panel.annotate("no run crosses d = 1", (0.5, 0.5), xycoords="axes fraction", ha="center")
        return
    order = np.argsort(dataset.hidden.values)
    panel.errorbar(
        dataset.hidden, dataset.critical, dataset.critical_stderr, color="#0072B2", marker="o", linestyle="none",
        label="measured in training",
    )  # fmt: skip
    panel.plot(dataset.hidden.values[order], dataset.predicted.values[order], "x-", color="black")
    log_axis(panel, "x")
    highest = max(float(np.nanmax(dataset.critical + dataset.critical_stderr)), float(np.nanmax(dataset.predicted)))
    panel.set_ylim(0, 1.1 * highest)


def alt_text(dataset: xr.Dataset) -> str:
    """Critical value, exponent and trend."""
    attrs = dataset.attrs
    critical = Estimate(attrs["critical_value"], attrs["critical_value_stderr"])
    exponent = Estimate(attrs["exponent"], attrs["exponent_stderr"])
    words = f"{dataset.sizes['size']} sizes cross at the dressed value {critical}, with the exponent {exponent}"
    if math.isfinite(attrs["trend"]):
        trend = Estimate(attrs["trend"], attrs["trend_stderr"])
        words += f"; learning rate times critical update changes with ln M at the rate {trend}"
    return f"Finite-size scaling of the data's first mode: {words}."
