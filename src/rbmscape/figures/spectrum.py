"""Distribution of the singular values of trained models, by size and training method (arXiv:2503.21536, figure 3 f).

Singular values are in units of k_B T at beta = 1.  Beside each stands the law of the random weights that training began
with; values above its Tracy-Widom threshold have left the bulk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rbmscape.errors import InputError
from rbmscape.figures.datasets import provenance_attrs
from rbmscape.figures.spec import Count, FigureOptions, FigureSpec
from rbmscape.figures.style import PAGE_WIDTH, colour, goes_on, legend_below, log_axis, new_figure, print_style
from rbmscape.model.rbm import RBM
from rbmscape.reciprocal.bulk import bulk_std, bulk_threshold
from rbmscape.reciprocal.marchenko_pastur import MarchenkoPastur

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rbmscape.figures.analysis import Subject
    from rbmscape.figures.material import Material

__all__ = [
    "SPEC",
    "Options",
    "alt_text",
    "compute",
    "draw",
    "for_model",
    "for_study",
    "panel_name",
    "spectrum_variables",
]


LAW_POINTS = 200


class Options(FigureOptions):
    """What a plan may choose for it.

    Parameters
    ----------
    n_bins : bins, common to all groups
    """

    n_bins: Count = 60


SPEC = FigureSpec(
    title="Singular values of trained models",
    caption=(
        "Distribution of singular values by training method and size of the hidden layer, replicas pooled, as in the "
        "paper's figure 3 f; ticks above mark single modes, dotted is the law of the initial weights, the numbers are "
        "those of modes outside its bulk."
    ),
    reading=(
        "What lies to the right of the dotted law has been learned. A gap between single ticks and the rest is an "
        "isolated mode; the same shape for two methods means that they learn as many modes."
    ),
    printed=("Spectra of trained machines by size and by training method; the methods are not named."),
    order=60,
    paper="3 f",
    analysis=(),
    cost=lambda scene, _: (
        scene.base(1.0) + sum(scene.factors(0.5 * scene.runs / len(scene.hidden), hidden) for hidden in scene.hidden)
    ),
    options=Options,
)


def for_study(material: Material) -> xr.Dataset:
    """All sizes and recipes of a study, replicas pooled."""
    groups: dict[tuple[str, int], list[RBM]] = {}
    for key, run in sorted(material.runs.items(), key=lambda item: (item[0].recipe != material.main_recipe, item[0])):
        groups.setdefault((panel_name(key.recipe, run.config.method), key.hidden), []).append(run.load())
    std = material.run().config.weight_std or None
    return compute(groups, weight_std=std, **material.settings)


def panel_name(recipe: str, method: str) -> str:
    """What a panel is called: the recipe, with the training method where that is not its name."""
    return recipe if recipe == method else f"{recipe} ({method})"


def for_model(subject: Subject) -> xr.Dataset:
    """The subject alone; for a single model the bulk's width is estimated from its median singular value."""
    method = "model" if subject.run is None else subject.run.config.method
    std = None if subject.run is None else subject.run.config.weight_std or None
    return compute({(method, subject.model.n_hidden): [subject.model]}, weight_std=std)


def compute(
    groups: Mapping[tuple[str, int], Sequence[RBM]], weight_std: float | None = None, **options: Any
) -> xr.Dataset:
    """Singular values and their histograms.

    Parameters
    ----------
    groups : (method, hidden units) to models, replicas of each other
    weight_std : standard deviation of the initial weights; None takes that of the bulk for each group from the
        median singular value
    **options : of `Options`

    Returns
    -------
    Dataset over group: ``method``, ``hidden``, ``singular_value`` (group, replica, order; NaN where absent),
    ``density`` (group, bin) over all replicas, ``threshold`` that a random matrix exceeds with probability 1 %,
    ``outside`` mean number of modes above it, ``law`` on ``law_at``, the Marchenko-Pastur density of width ``bulk_std``

    Raises
    ------
    InputError : no model
    """
    import xarray as xr

    if not groups or not all(groups.values()):
        raise InputError("a spectrum needs at least one model a group")
    return xr.Dataset(
        spectrum_variables(groups, weight_std, Options(**options).n_bins),
        coords={"method": ("group", [m for m, _ in groups]), "hidden": ("group", [h for _, h in groups])},
        attrs=provenance_attrs(bulk_std_given=weight_std is not None),
    )


def spectrum_variables(
    groups: Mapping[tuple[str, int], Sequence[RBM]], weight_std: float | None, n_bins: int = Options().n_bins
) -> dict[str, Any]:
    """Variables of the Dataset of `compute`."""
    spectra = {
        key: [torch.linalg.svdvals(model.weights.to(torch.float64)).cpu().numpy() for model in models]
        for key, models in groups.items()
    }
    replicas = max(len(values) for values in spectra.values())
    longest = max(values[0].size for values in spectra.values())
    table = np.full((len(spectra), replicas, longest), np.nan)
    laws = []
    for row, (key, values) in enumerate(spectra.items()):
        for replica, one in enumerate(values):
            table[row, replica, : one.size] = one
        n_visible = groups[key][0].n_visible
        std = weight_std if weight_std is not None else _estimated_std(values, n_visible, key[1])
        laws.append(MarchenkoPastur(n_visible, key[1], std))
    edges = np.linspace(0.0, 1.02 * max(float(np.nanmax(table)), 1e-12), n_bins + 1)
    densities = [np.histogram(row[np.isfinite(row)], edges, density=True)[0] for row in table]
    threshold = np.array([bulk_threshold(law) for law in laws])
    outside = (table > threshold[:, None, None]).sum(axis=2).sum(axis=1) / [len(values) for values in spectra.values()]
    energy: dict[str, Any] = {"units": "k_B T"}
    density: dict[str, Any] = {"units": "1 / k_B T"}
    grids = [np.linspace(*law.edges, LAW_POINTS) for law in laws]
    return {
        "singular_value": (("group", "replica", "order"), table, energy),
        "density": (("group", "bin"), np.stack(densities), density),
        "bin_edge": ("edge", edges, energy),
        "threshold": ("group", threshold, energy),
        "law_at": (("group", "grid"), np.stack(grids), energy),
        "law": (("group", "grid"), np.stack([law.pdf(g) for law, g in zip(laws, grids, strict=True)]), density),
        "bulk_std": ("group", [law.std for law in laws], energy),
        "outside": ("group", outside, {"units": "1"}),
        "replicas": ("group", [len(values) for values in spectra.values()], {"units": "1"}),
    }


def _estimated_std(values: Sequence[np.ndarray[Any, Any]], n_visible: int, n_hidden: int) -> float:
    try:
        return float(np.mean([bulk_std(one, n_visible, n_hidden) for one in values]))
    except InputError:  # mostly zero singular values: no bulk; any positive value leaves them inside
        return 1e-12


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """One panel a method, one histogram a size, ticks for single modes above."""
    methods = list(dict.fromkeys(dataset.method.values.tolist()))
    sizes = sorted(set(dataset.hidden.values.tolist()))
    columns = min(3, len(methods))
    rows = -(-len(methods) // columns)
    width = PAGE_WIDTH if columns > 1 else 4.6
    figure, axes = new_figure(rows, columns, size=(width, 2.9 * rows + 0.3))
    for panel in axes.ravel()[len(methods) :]:
        panel.set_axis_off()
    for panel, method in zip(axes.ravel(), methods, strict=False):
        one = dataset.isel(group=np.flatnonzero(dataset.method.values == method))
        _draw_method(panel, one, sizes)
        panel.set_title(str(method), pad=6.0 + 5.0 * len(sizes))
        _same_limits(panel, dataset)
    for panel in axes[:, 0]:
        panel.set_ylabel("density ($1/k_BT$)")
    legend_below(figure, *axes.ravel()[: len(methods)])
    return figure


def _same_limits(panel: Axes, dataset: xr.Dataset) -> None:
    """Limits that hold every bin of every panel, and room above for how many modes left the bulk."""
    edges, heights = dataset.bin_edge.values, np.concatenate([dataset.density.values, dataset.law.values], axis=None)
    positive = dataset.density.values[dataset.density.values > 0.0]
    low, high = (0.6 * positive.min(), 1.6 * heights.max()) if positive.size else (0.1, 1.0)
    log_axis(panel)
    panel.set_xlim(-0.03 * edges[-1], 1.03 * edges[-1])
    panel.set_ylim(low, high)


def _draw_method(panel: Axes, one: xr.Dataset, sizes: list[int]) -> None:
    edges = one.bin_edge.values
    for group in range(one.sizes["group"]):
        single = one.isel(group=group)
        index = sizes.index(int(single.hidden))
        panel.stairs(single.density.values, edges, color=colour(index), label=f"M = {int(single.hidden)}")
        words = f"{float(single.outside):.0f} outside the bulk" if group == 0 else f"{float(single.outside):.0f}"
        panel.text(0.98, 0.97 - 0.085 * group, words, transform=panel.transAxes, ha="right", va="top", fontsize=7,
                   color=colour(index))  # fmt: skip
        values = single.singular_value.values
        values = values[np.isfinite(values)]
        place = 1.03 + 0.035 * index
        panel.plot(values, np.full(values.size, place), "|", color=colour(index), markersize=3, markeredgewidth=0.5,
                   transform=panel.get_xaxis_transform(), clip_on=False)  # fmt: skip
        inside = single.law.values > 0.0
        goes_on(*panel.plot(single.law_at.values[inside], single.law.values[inside], ":", color=colour(index)))
    panel.plot([], [], ":", color="0.3", label="random weights")
    panel.set_xlabel("singular value λ ($k_BT$)")


def alt_text(dataset: xr.Dataset) -> str:
    """Largest values and numbers of modes outside the bulk, in words."""
    parts = []
    for group in range(dataset.sizes["group"]):
        one = dataset.isel(group=group)
        top = np.nanmax(one.singular_value.values)
        parts.append(
            f"{one.method.values}, M = {int(one.hidden)}: {float(one.outside):.0f} modes above the random bulk's edge "
            f"of {float(one.threshold):.3g}, the largest singular value is {top:.1f}"
        )
    return f"Histograms of singular values on a logarithmic scale. {'; '.join(parts)}."
