"""Left singular vectors and the data's principal components along training (arXiv:2503.21536, sections 5 and 6).

One column a recipe: overlaps ``|U_i · P_i|`` of the first modes with the principal components of the data, and the
largest singular values, whose isolated top depends on the optimiser.  Adam's first steps are ±η whatever the size of
the gradient.  While all hidden units are still alike its sign depends on the pixel alone: they make one mode that is
uniform over the *hidden* units, isolated above the random bulk, and no principal component (dotted line).  That holds
early only: what is measured is until which update mode 1 is nearer to the uniform vector than to component 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rbmscape.errors import InputError
from rbmscape.figures.along_training import epochs_above, updates_axis
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
from rbmscape.reciprocal.modes import Modes
from rbmscape.symmetry.principal import (
    PrincipalComponents,
    align_with_components,
    principal_components,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rbmscape.data.dataset import Dataset
    from rbmscape.figures.material import Material
    from rbmscape.runs.run import Run

__all__ = ["EARLY", "SPEC", "Options", "alt_text", "compute", "draw", "for_study"]

_MOST_COLUMNS = 4
EARLY = 60
"""Updates in which the modes are asked to be principal components."""


class Options(FigureOptions):
    """What a plan may choose for it.

    Parameters
    ----------
    n_components : modes and components
    n_values : singular values
    """

    n_components: Count = 3
    n_values: Count = 10


SPEC = FigureSpec(
    title="Modes and principal components",
    caption=(
        "Overlap of the first left singular vectors with the principal components of the data, and the largest "
        "singular values, against updates, for every recipe of the study. The dashed line is the threshold λ = 4."
    ),
    reading=(
        "An overlap near 1 is a mode that has become the principal component of its rank; one that falls again has "
        "moved on to what components do not tell. A dotted curve near 1 is a first mode that is uniform over the "
        "hidden units."
    ),
    order=260,
    analysis=("run", "data"),
    cost=lambda scene, _: scene.base(1.5) + scene.runs / len(scene.hidden) * scene.checkpoints * scene.factors(1),
    options=Options,
)


def for_study(material: Material) -> xr.Dataset:
    """Data of the figure for every recipe of the study, at the size nearest to the paper's 500."""
    hidden = material.run().config.n_hidden
    recipes = dict.fromkeys(key.recipe for key in material.runs if key.hidden == hidden)
    runs = {recipe: material.replicas(hidden, recipe) for recipe in recipes}
    return compute(runs, material.dataset, **material.settings)


def compute(runs: Mapping[str, Sequence[Run]], dataset: Dataset, **options: Any) -> xr.Dataset:
    """Overlaps and singular values at every checkpoint of every run; exact to rounding.

    Parameters
    ----------
    runs : label of the recipe to replicas
    dataset : the data that they were trained on
    **options : of `Options`

    Returns
    -------
    Dataset over (recipe, replica, checkpoint, ...): ``overlap`` and ``overlap_uncentred`` (mode i with component i,
    centred and not), ``matched`` (each component's best partner, stable under crossings), ``subspace`` (first k
    modes and components), ``uniform`` (overlap of the modes' hidden vectors V_i with the vector of equal entries),
    ``singular_value``; over (recipe, replica): ``best_update`` before `EARLY` at which the smallest of the overlaps is
    largest, ``best_overlap`` that smallest one, and ``uniform_until``, the last update at which mode 1 overlaps more
    with equal hidden entries than with component 1 (NaN for never)

    Raises
    ------
    InputError : no run
    """
    import xarray as xr

    asked = Options(**options)
    if not runs or any(len(replicas) == 0 for replicas in runs.values()):
        raise InputError("the alignment along training needs at least one run of each recipe, found none")
    components = {
        centred: principal_components(dataset.train, asked.n_components, centred=centred) for centred in (True, False)
    }
    parts = []
    for replicas in runs.values():
        found = [_one_run(run, components, asked.n_values) for run in replicas]
        parts.append(xr.concat(found, "replica", join="outer").assign_coords(replica=np.arange(len(found))))
    result = xr.concat(parts, "recipe", join="outer").assign_coords(recipe=list(runs))
    result.attrs = provenance_attrs(data=dataset.name, n_hidden=next(iter(runs.values()))[0].config.n_hidden)
    return result


def _one_run(run: Run, components: Mapping[bool, PrincipalComponents], n_values: int) -> xr.Dataset:
    import xarray as xr

    rows: dict[str, list[np.ndarray]] = {}
    for update in run.updates:
        modes = Modes.of(run.load(update, averaged=False))
        centred = align_with_components(modes, components[True])
        uncentred = align_with_components(modes, components[False])
        count = centred.overlaps.shape[1]
        uniform = modes.right[:, :count].sum(0).abs().cpu().numpy() / np.sqrt(modes.n_hidden)
        columns = {
            "overlap": np.diagonal(centred.overlaps),
            "overlap_uncentred": np.diagonal(uncentred.overlaps),
            "matched": centred.matched,
            "subspace": centred.subspace,
            "uniform": uniform,
            "singular_value": modes.singular_values[:n_values].cpu().numpy(),
        }
        for name, values in columns.items():
            rows.setdefault(name, []).append(np.asarray(values))
    data = {
        name: (("checkpoint", "rank" if name == "singular_value" else "mode"), np.stack(values), {"units": "1"})
        for name, values in rows.items()
    }
    updates, overlap = np.asarray(run.updates, dtype=np.float64), np.stack(rows["overlap"])
    best = int(np.argmax(np.where(updates < EARLY, overlap.min(1), -1.0)))
    uniform = np.flatnonzero(np.stack(rows["uniform"])[:, 0] > overlap[:, 0])
    return xr.Dataset(data, coords={"checkpoint": np.arange(len(run.updates))}).assign(
        update=("checkpoint", updates, {"units": "updates"}),
        epoch=("checkpoint", np.asarray(run.epochs), {"units": "epochs"}),
        best_update=((), updates[best], {"units": "updates"}),
        best_overlap=((), float(overlap[best].min()), {"units": "1"}),
        uniform_until=((), updates[uniform[-1]] if uniform.size else np.nan, {"units": "updates"}),
    )


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """A column a recipe: overlaps above, singular values below; the first replica is drawn strongly, others thinly."""
    recipes = dataset.recipe.values
    columns = min(_MOST_COLUMNS, len(recipes))
    blocks = -(-len(recipes) // columns)
    width = min(PAGE_WIDTH, 1.4 + 2.4 * columns)
    figure, axes = new_figure(2 * blocks, columns, size=(width, 0.5 + 4.0 * blocks), sharey="row")
    for panel in axes.ravel():
        panel.set_visible(False)
    shown = []
    for place, recipe in enumerate(recipes):
        pair = axes[2 * (place // columns) : 2 * (place // columns) + 2, place % columns]
        _draw_recipe(pair, dataset.sel(recipe=recipe))
        pair[0].set_title(str(recipe), loc="right")
        if place % columns == 0:
            pair[0].set_ylabel("overlap")
            pair[1].set_ylabel("singular value λ ($k_BT$)")
        shown += list(pair)
    legend_below(figure, shown[0])
    panel_letters(shown)
    return figure


def _draw_recipe(pair: Any, chosen: xr.Dataset) -> None:
    """Overlaps above, singular values below."""
    for panel in pair:
        panel.set_visible(True)
    _draw_overlaps(pair[0], chosen)
    _draw_values(pair[1], chosen)
    one = chosen.isel(replica=0)
    updates_axis(pair[0], chosen["update"].values, None)
    pair[0].tick_params(labelbottom=False)
    epochs_above(pair[0], one["update"].values, one.epoch.values)
    updates_axis(pair[1], chosen["update"].values)


def _draw_overlaps(panel: Axes, recipe: xr.Dataset) -> None:
    for replica in recipe.replica.values:
        one = recipe.sel(replica=replica)
        known = np.isfinite(one["update"].values)
        updates, strong = one["update"].values[known], replica == recipe.replica.values[0]
        for mode in range(recipe.sizes["mode"]):
            panel.plot(
                updates,
                one.overlap.values[known, mode],
                color=colour(mode),
                marker=marker(mode) if strong else None,
                linewidth=1.2 if strong else 0.4,
                label=f"mode {mode + 1}, component {mode + 1}" if strong else None,
            )
        panel.plot(
            updates,
            one.uniform.values[known, 0],
            color="black",
            linestyle=":",
            linewidth=1.2 if strong else 0.4,
            label="mode 1, uniform hidden units" if strong else None,
        )
    panel.axhline(0.9, color="0.6", linewidth=0.6)
    panel.set_ylim(-0.06, 1.06)


def _draw_values(panel: Axes, recipe: xr.Dataset) -> None:
    one = recipe.isel(replica=0)
    known = np.isfinite(one["update"].values)
    for rank in range(recipe.sizes["rank"]):
        panel.plot(
            one["update"].values[known],
            one.singular_value.values[known, rank],
            color=colour(rank) if rank < recipe.sizes["mode"] else "0.7",
            linewidth=1.2 if rank < recipe.sizes["mode"] else 0.6,
        )
    panel.axhline(4.0, color="black", linestyle="--", linewidth=0.8)
    log_axis(panel)


def alt_text(dataset: xr.Dataset) -> str:
    """Overlaps early in training, how long mode 1 is uniform, and the last two singular values, for every recipe."""
    parts = []
    for recipe in dataset.recipe.values:
        one = dataset.sel(recipe=recipe).isel(replica=0)
        known = np.flatnonzero(np.isfinite(one["update"].values))
        at = int(np.flatnonzero(one["update"].values == float(one.best_update))[0])
        overlaps = ", ".join(f"{x:.2f}" for x in one.overlap.values[at])
        until = float(one.uniform_until)
        uniform = (
            f"mode 1 is nearer to equal hidden entries than to component 1 up to update {until:.0f}"
            if np.isfinite(until)
            else "mode 1 is never nearer to equal hidden entries than to component 1"
        )
        last = one.singular_value.values[known[-1]]
        parts.append(
            f"{recipe}: before update {EARLY} the overlaps are largest at update {float(one.best_update):.0f} "
            f"({overlaps}), {uniform}, singular values end at {last[0]:.1f} and {last[1]:.1f}"
        )
    return f"Overlap of the first modes with principal components and singular values: {'; '.join(parts)}."
