"""How far training breaks rotational symmetry (arXiv:2503.21536, figure 4).

Divergence of the weights' histogram from that of rotated weights against the size of the hidden layer, with the level
of untrained matrices; the histograms themselves; and the divergence along training: when the symmetry breaks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from rbmscape.errors import InputError
from rbmscape.figures.along_training import updates_axis
from rbmscape.figures.datasets import provenance_attrs
from rbmscape.figures.spec import Count, FigureOptions, FigureScene, FigureSpec
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
from rbmscape.reciprocal.modes import Modes
from rbmscape.symmetry.divergence import BINS, distances, entry_histograms, null_divergences, rotation_divergence
from rbmscape.symmetry.rotations import Planes, rotated_weights

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rbmscape.figures.material import Material
    from rbmscape.model.rbm import RBM
    from rbmscape.runs.run import Run

__all__ = ["SPEC", "Options", "alt_text", "compute", "draw", "for_study"]

FloatArray = NDArray[np.float64]


UNITS = {
    "nat": (
        "divergence", "stderr", "mean", "bar", "null_mean", "null_sd", "haar_mean", "haar_sd", "shuffled", "along",
        "along_stderr", "kl_forward", "kl_backward",
    ),
    "1": (
        "kolmogorov_smirnov", "energy_distance", "null_ks_mean", "null_ks_sd", "excess", "ks_excess", "weight",
        "density_before", "density_after",
    ),
    "updates": ("update",),
    "epochs": ("epoch",),
}  # fmt: skip


class Options(FigureOptions):
    """What a plan may choose for it.

    Parameters
    ----------
    n_null : untrained matrices of each size, as many with the singular values of the first replica between random
        vectors, and shuffled ones of it
    n_rotations : see `rbmscape.symmetry.divergence.rotation_divergence`, as for ``planes`` and ``bins``
    n_along : at most this many checkpoints of a run, evenly spread in their order; 0 for all
    planes : which planes are turned
    bins : of the histograms
    """

    n_null: Count = 16
    n_rotations: Count = 4
    n_along: Annotated[int, Field(ge=0)] = 0
    planes: Planes = "axes"
    bins: Count = BINS


def _cost(scene: FigureScene, options: Options) -> float:
    along = min(options.n_along or scene.checkpoints, scene.checkpoints)
    count = (scene.replicas * (1 + along) + 3 * options.n_null) * (1 + options.n_rotations)
    return sum(scene.factors(0.35 * count, hidden) for hidden in scene.hidden)


SPEC = FigureSpec(
    title="Rotational symmetry and its breaking",
    caption=(
        "Jensen-Shannon divergence between the histograms of the weights before and after random rotations of their "
        "singular vectors, as in the paper's figure 4: against the size of the hidden layer with the level of "
        "untrained matrices and of shuffled entries, and along training; and the histograms of one replica. Bars are "
        "standard deviations over replicas (with one replica, the estimate's standard error)."
    ),
    reading=(
        "Points at the level of untrained matrices are still symmetric under rotations of the singular vectors; the "
        "higher above it, the more the weights depend on their basis, that is, on pixels. Shuffled entries keep the "
        "values and lose the structure."
    ),
    printed=(
        "The divergence against M, means of five replicas, with one dashed level of an untrained machine of M = 500, "
        "and the histograms of one replica."
    ),
    order=70,
    paper="4",
    analysis=("run", "data"),
    cost=_cost,
    options=Options,
)


def for_study(material: Material) -> xr.Dataset:
    """Data of the figure for every size and replica of the main recipe."""
    runs = {hidden: material.replicas(hidden) for hidden in material.hidden()}
    return compute(runs, seed=material.seed, **material.settings)


def compute(runs: Mapping[int, Sequence[Run]], seed: int = 0, **options: Any) -> xr.Dataset:
    """Divergences of trained models and of matrices that learned nothing.

    Parameters
    ----------
    runs : hidden units to replicas
    seed : of all rotations
    **options : of `Options`

    Returns
    -------
    Dataset over (hidden, replica), (hidden, bin) and (hidden, checkpoint); divergences in nats

    Raises
    ------
    InputError : no run
    """
    import xarray as xr

    asked = Options(**options)
    if not runs:
        raise InputError("the divergence needs at least one trained run, found none")
    sizes = sorted(runs)
    parts = []
    for hidden in sizes:
        how = {"n_rotations": asked.n_rotations, "planes": asked.planes, "n_bins": asked.bins, "seed": seed}
        parts.append(
            xr.merge(
                [
                    _replicas(runs[hidden], how),
                    _nulls(runs[hidden][0].load(), asked.n_null, asked.planes, asked.bins, seed),
                    _densities(runs[hidden][0].load(), asked.planes, asked.bins, seed),
                    _along(runs[hidden][0], asked.n_along, how),
                ]
            )
        )
    result = xr.concat(parts, "hidden", join="outer").assign_coords(hidden=sizes)
    result = result.assign(
        excess=(result.divergence - result.null_mean) / result.null_sd,
        ks_excess=(result.kolmogorov_smirnov - result.null_ks_mean) / result.null_ks_sd,
    )
    for unit, names in UNITS.items():
        for name in names:
            result[name].attrs["units"] = unit
    result["excess"].attrs["long_name"] = "null standard deviations above the untrained level"
    result.attrs = provenance_attrs(
        seed=seed, planes=asked.planes, bins=asked.bins, n_null=asked.n_null, n_rotations=asked.n_rotations
    )
    return result


def _replicas(runs: Sequence[Run], options: Mapping[str, Any]) -> xr.Dataset:
    """Divergence of the last checkpoint of each replica, their mean and its bar."""
    import xarray as xr

    rows, differences = [], []
    for run in runs:
        rbm = run.load()
        modes = Modes.of(rbm)
        rows.append(rotation_divergence(rbm, modes=modes, **options))
        turned = rotated_weights(rbm, options["seed"], options["planes"], modes=modes)
        differences.append(distances(rbm.weights, turned, options["n_bins"]))
    values = np.array([row.value for row in rows])
    bar = values.std(ddof=1) if values.size > 1 else rows[0].stderr
    return xr.Dataset(
        {
            "divergence": ("replica", values),
            "stderr": ("replica", [row.stderr for row in rows]),
            "kolmogorov_smirnov": ("replica", [d.kolmogorov_smirnov for d in differences]),
            "energy_distance": ("replica", [d.energy_distance for d in differences]),
            "kl_forward": ("replica", [d.kl_forward for d in differences]),
            "kl_backward": ("replica", [d.kl_backward for d in differences]),
            "mean": ((), float(values.mean())),
            "bar": ((), float(bar)),
        },
        coords={"replica": np.arange(values.size)},
    )


def _nulls(rbm: RBM, n_null: int, planes: Planes, bins: int, seed: int) -> xr.Dataset:
    import xarray as xr

    random = null_divergences(rbm, "random", n_null, seed, planes, n_bins=bins)
    shuffled = null_divergences(rbm, "shuffled", max(2, n_null // 4), seed, planes, n_bins=bins)
    haar = null_divergences(rbm, "haar", n_null, seed, planes, n_bins=bins)
    unbinned = null_divergences(rbm, "random", n_null, seed, planes, statistic="kolmogorov_smirnov")
    return xr.Dataset(
        {
            "null_mean": random.mean,
            "null_sd": random.std,
            "haar_mean": haar.mean,
            "haar_sd": haar.std,
            "shuffled": shuffled.mean,
            "null_ks_mean": unbinned.mean,
            "null_ks_sd": unbinned.std,
        }
    )


def _densities(rbm: RBM, planes: Planes, bins: int, seed: int) -> xr.Dataset:
    import xarray as xr

    edges, before, after = entry_histograms(rbm.weights, rotated_weights(rbm, seed, planes), bins)
    width = np.diff(edges)
    total = rbm.weights.numel()
    return xr.Dataset(
        {
            "weight": ("bin", 0.5 * (edges[1:] + edges[:-1])),
            "density_before": ("bin", before.sum(0) / (total * width)),
            "density_after": ("bin", after.sum(0) / (total * width)),
        }
    )


def _along(run: Run, n_along: int, options: Mapping[str, Any]) -> xr.Dataset:
    """Divergence at the checkpoints of one run."""
    import xarray as xr

    updates = np.asarray(run.updates)
    if 0 < n_along < updates.size:
        updates = updates[np.unique(np.linspace(0, updates.size - 1, n_along).round().astype(int))]
    found = [rotation_divergence(run.load(int(update)), **{**options, "n_rotations": 2}) for update in updates]
    return xr.Dataset(
        {
            "along": ("checkpoint", [x.value for x in found]),
            "along_stderr": ("checkpoint", [x.stderr for x in found]),
            "update": ("checkpoint", updates.astype(np.float64)),
            "epoch": ("checkpoint", updates / run.updates_per_epoch),
        },
        coords={"checkpoint": np.arange(len(found))},
    )


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """Divergence against size, against updates, and the densities of up to four sizes."""
    sizes = dataset.hidden.values[:4]
    columns = max(2, len(sizes))
    figure, axes = new_figure(2, columns, size=(PAGE_WIDTH, 4.9))
    grid = axes[0, 0].get_gridspec()
    for panel in axes[0]:
        panel.remove()
    split = columns // 2
    against_size = figure.add_subplot(grid[0, :split])
    along = figure.add_subplot(grid[0, split:])
    for panel in axes[1, len(sizes) :]:
        panel.remove()
    _draw_sizes(against_size, dataset)
    _draw_along(along, dataset)
    for index, hidden in enumerate(sizes):
        _draw_density(axes[1, index], dataset.sel(hidden=hidden))
    axes[1, 0].set_ylabel("density")
    legend_below(figure, against_size, along, axes[1, 0])
    panel_letters([against_size, along, *axes[1, : len(sizes)]])
    return figure


def _draw_sizes(panel: Axes, dataset: xr.Dataset) -> None:
    hidden = dataset.hidden.values
    panel.errorbar(
        hidden, dataset["mean"], dataset["bar"], color=colour(0), marker="o", linestyle="none", label="trained"
    )
    panel.plot(hidden, dataset.shuffled, color=colour(4), marker="^", linestyle="none", label="entries shuffled")
    if "haar_mean" in dataset:
        panel.errorbar(
            hidden, dataset.haar_mean, dataset.haar_sd, color=colour(2), marker="s", linestyle="none", mfc="white",
            label="same spectrum, random vectors",
        )  # fmt: skip
    panel.errorbar(
        hidden,
        dataset.null_mean,
        dataset.null_sd,
        color="black",
        linestyle="--",
        marker="_",
        label="untrained",
    )
    log_axis(panel)
    log_axis(panel, "x")
    panel.set_xticks(hidden, [str(size) for size in hidden])
    panel.set_xticks([], minor=True)
    panel.set_xlabel("hidden units M")
    panel.set_ylabel("Jensen-Shannon\ndivergence (nats)")


def _draw_along(panel: Axes, dataset: xr.Dataset) -> None:
    for index, hidden in enumerate(dataset.hidden.values):
        size = dataset.sel(hidden=hidden)
        known = np.isfinite(size.along.values)
        panel.errorbar(
            size["update"].values[known],
            size.along.values[known],
            size.along_stderr.values[known],
            color=colour(index),
            marker=marker(index),
            label=f"M = {hidden}",
        )
        level, sd = float(size.null_mean), float(size.null_sd)
        panel.axhspan(max(level - 2 * sd, level / 2), level + 2 * sd, color=colour(index), alpha=0.2, linewidth=0)
    updates_axis(panel, dataset["update"].values, "updates (bands: untrained, ± 2 sd)")
    log_axis(panel)
    panel.set_ylabel("divergence (nats)")


def _draw_density(panel: Axes, size: xr.Dataset) -> None:
    panel.plot(size.weight, size.density_before, color=colour(0), linewidth=0.8, label="density of W")
    panel.plot(size.weight, size.density_after, color=colour(1), linewidth=0.8, label="of rotated W")
    log_axis(panel)
    panel.set_xlabel("weight")
    panel.set_title(f"M = {int(size.hidden)}", loc="right")


def alt_text(dataset: xr.Dataset) -> str:
    """The divergence of every size with its distance from the untrained level."""
    parts = []
    for hidden in dataset.hidden.values:
        size = dataset.sel(hidden=hidden)
        excess = float(size.excess.mean("replica"))
        distance = f"{excess:.0f} standard deviations above" if math.isfinite(excess) else "not compared with"
        parts.append(
            f"with {hidden} hidden units {float(size['mean']):.2g} nats, {distance} the untrained level of "
            f"{float(size.null_mean):.2g} (by Kolmogorov-Smirnov {float(size.ks_excess.mean('replica')):.0f})"
        )
    return f"Jensen-Shannon divergence between weights and rotated weights: {'; '.join(parts)}."
