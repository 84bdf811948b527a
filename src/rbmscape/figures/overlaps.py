"""Overlaps of replicas along training: distributions of visible and hidden layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rbmscape.figures.along_training import updates_axis
from rbmscape.figures.datasets import provenance_attrs
from rbmscape.figures.samples import verdict
from rbmscape.figures.spec import Count, FigureOptions, FigureSpec
from rbmscape.figures.style import (
    PAGE_WIDTH,
    SEQUENTIAL,
    colour,
    legend_below,
    log_axis,
    new_figure,
    panel_letters,
    print_style,
)
from rbmscape.symmetry.overlaps import layer_overlaps

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from rbmscape.figures.material import Material
    from rbmscape.runs.samples import RunSamples

__all__ = ["SPEC", "Options", "alt_text", "compute", "draw", "for_study"]

LAYERS = ("visible", "hidden")
SHOWN = 6


class Options(FigureOptions):
    """What a plan may choose for it.

    Parameters
    ----------
    n_bins : of the histograms
    """

    n_bins: Count = 61


SPEC = FigureSpec(
    title="Overlaps of replicas",
    caption=(
        "Distribution of the overlap of two independent equilibrium states, visible and hidden, at checkpoints from "
        "dark (early) to bright (late), and the mean square of the centred overlap times the number of units against "
        "updates: 1 for independent units, of the order of their number where there are several wells."
    ),
    reading=(
        "One narrow peak is one well; a second one, or a broad foot, is several. A mean square that grows with the "
        "number of units is order."
    ),
    order=450,
    samples="main",
    analysis=("run", "data"),
    cost=lambda scene, _: scene.base(2.0 + 0.05 * scene.checkpoints),
    options=Options,
    default=False,
)


def for_study(material: Material) -> xr.Dataset:
    """The run of the size nearest to the paper's, M = 500."""
    return compute(material.samples(material.run()), **material.settings)


def compute(samples: RunSamples, **options: Any) -> xr.Dataset:
    """Overlaps at every checkpoint.

    Parameters
    ----------
    samples : of the checkpoints; independent chains, whose last states are compared
    **options : of `Options`

    Returns
    -------
    Dataset over (layer, update, bin): ``density`` with ``density_stderr`` at ``overlap`` (layer, bin; NaN beyond the
    bins of the smaller layer); over (layer, update): ``mean``, ``square``, ``spread`` (changing units times ⟨q_c²⟩)
    with errors
    """
    import xarray as xr

    asked = Options(**options)
    names = ("mean", "square", "spread")
    values = {name: np.empty((2, len(samples.updates))) for name in (*names, *(f"{name}_stderr" for name in names))}
    density = np.full((2, 2, len(samples.updates), asked.n_bins + 1), np.nan)
    centres = np.full((2, asked.n_bins + 1), np.nan)
    for position, update in enumerate(samples.updates):
        at = samples.at(update)
        for layer, states in enumerate((at.v, at.h)):
            found = layer_overlaps(states, asked.n_bins)
            bins = found.density.size
            density[0, layer, position, :bins] = found.density
            density[1, layer, position, :bins] = found.density_stderr
            centres[layer, :bins] = (found.edges[1:] + found.edges[:-1]) / 2
            units = found.moving
            for name, estimate, scale in (
                ("mean", found.mean, 1), ("square", found.square, 1), ("spread", found.centred_square, units),
            ):  # fmt: skip
                values[name][layer, position] = scale * estimate.value
                values[f"{name}_stderr"][layer, position] = scale * estimate.stderr
    triple = ("layer", "update", "bin")
    variables: dict[str, Any] = {
        "overlap": (("layer", "bin"), centres, {"units": "1"}),
        "density": (triple, density[0], {"units": "1"}),
        "density_stderr": (triple, density[1], {"units": "1"}),
    }
    variables |= {name: (("layer", "update"), value, {"units": "1"}) for name, value in values.items()}
    result = xr.Dataset(variables, coords={"update": list(samples.updates), "layer": list(LAYERS)})
    result = result.merge(samples.along(), combine_attrs="no_conflicts")
    return result.assign_attrs(provenance_attrs() | dict(samples.facts))


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """Two panels of distributions, one of the spread."""
    import matplotlib

    figure, axes = new_figure(1, 3, size=(PAGE_WIDTH, 3.0))
    updates = dataset["update"].values
    shown = np.unique(np.linspace(0, updates.size - 1, min(SHOWN, updates.size)).round().astype(int))
    shades = matplotlib.colormaps[SEQUENTIAL](np.linspace(0.0, 0.9, shown.size))
    for panel, layer in zip(axes[0, :2], LAYERS, strict=True):
        one = dataset.sel(layer=layer)
        for shade, position in zip(shades, shown, strict=True):
            at = one.isel(update=position)
            panel.plot(one.overlap, at.density, color=shade, drawstyle="steps-mid", label=f"update {updates[position]}")
        panel.set_xlabel(f"overlap, {layer}")
        reach = 1.05 * max(1.0, float(np.abs(one.overlap).max()))
        panel.set_xlim(-reach, reach)
        panel.set_ylim(bottom=0)
    axes[0, 0].set_ylabel("density")
    for index, layer in enumerate(LAYERS):
        one = dataset.sel(layer=layer)
        look = {"color": colour(index), "marker": "os"[index], "label": layer}
        axes[0, 2].errorbar(updates, one.spread, one.spread_stderr, **look)
    axes[0, 2].axhline(1.0, color="black", linestyle="--", linewidth=0.8)
    log_axis(axes[0, 2])
    updates_axis(axes[0, 2], updates)
    axes[0, 2].set_ylabel("units × ⟨q²⟩, centred")
    legend_below(figure, axes[0, 0], axes[0, 2])
    panel_letters(axes)
    return figure


def alt_text(dataset: xr.Dataset) -> str:
    """Spread of both layers at the first and last checkpoint."""
    parts = [
        f"{layer} {float(dataset.spread.sel(layer=layer)[0]):.3g} to {float(dataset.spread.sel(layer=layer)[-1]):.3g}"
        for layer in LAYERS
    ]
    words = f"Units times the mean square of the centred overlap, from first to last checkpoint: {', '.join(parts)}."
    return f"{words} {verdict(dataset)}"
