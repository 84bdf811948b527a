"""Hysteresis along the first mode: loops of a field that turns it over, and their area along training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rbmscape.diffusion.hysteresis import hysteresis
from rbmscape.errors import UnresolvedError
from rbmscape.figures.along_training import updates_axis
from rbmscape.figures.checkpoints import spread_updates
from rbmscape.figures.datasets import provenance_attrs
from rbmscape.figures.spec import Count, FigureOptions, FigureSpec
from rbmscape.figures.style import PAGE_WIDTH, SEQUENTIAL, legend_below, new_figure, panel_letters, print_style

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from rbmscape.figures.material import Material
    from rbmscape.runs.run import Run

__all__ = ["SPEC", "Options", "alt_text", "compute", "draw", "for_study"]


class Options(FigureOptions):
    """What a plan may choose for it.

    Parameters
    ----------
    mode : index of the mode, of each checkpoint's own
    n_checkpoints : at most so many, evenly spaced in ln(1 + update)
    n_fields : fields of a branch
    """

    mode: int = 0
    n_checkpoints: Count = 8
    n_fields: Count = 61


SPEC = FigureSpec(
    title="Hysteresis along the first mode",
    caption=(
        "Mean-field magnetisation along the leading mode while a field turns it over and back, at checkpoints from "
        "dark (early) to bright (late); and against updates the area of the loop and the fields at which it jumps. "
        "Loops that are open where the field is zero have two states between which chains have to climb a barrier."
    ),
    reading=(
        "A loop that opens from nothing is a continuous transition; one that is wide at once is a jump, at which "
        "tempering fails."
    ),
    order=420,
    analysis=("run", "data"),
    cost=lambda scene, options: scene.base(1.5e-2 * options.n_checkpoints * options.n_fields) + scene.factors(8),
    options=Options,
    default=False,
)


def for_study(material: Material) -> xr.Dataset:
    """The run of the size nearest to the paper's, M = 500."""
    return compute(material.run(), **material.settings)


def compute(run: Run, **options: Any) -> xr.Dataset:
    """Loops of some checkpoints, each over fields that close it.

    Parameters
    ----------
    **options : of `Options`

    Returns
    -------
    Dataset over (update, step): ``field``, ``up``, ``down``; over update: ``area``, ``jump_up``, ``jump_down``,
    ``unconverged``

    Raises
    ------
    UnresolvedError : no field turns the mode at any checkpoint
    """
    import xarray as xr

    asked = Options(**options)
    rows, updates = [], []
    for update in spread_updates(run, asked.n_checkpoints):
        try:
            rows.append(hysteresis(run.load(update, averaged=False), asked.mode, n_fields=asked.n_fields))
        except UnresolvedError:
            continue
        updates.append(update)
    if not rows:
        raise UnresolvedError(f"no field turns mode {asked.mode} of {run.directory} at any checkpoint; take another")
    pair = ("update", "step")
    return xr.Dataset(
        {
            "field": (pair, np.stack([one.fields for one in rows]), {"units": "k_B T a unit"}),
            "up": (pair, np.stack([one.up for one in rows]), {"units": "1"}),
            "down": (pair, np.stack([one.down for one in rows]), {"units": "1"}),
            "area": ("update", [one.area.value for one in rows], {"units": "k_B T a unit"}),
            "jump_up": ("update", [_where(one.jump_up) for one in rows], {"units": "k_B T a unit"}),
            "jump_down": ("update", [_where(one.jump_down) for one in rows], {"units": "k_B T a unit"}),
            "open": ("update", [int(one.is_open) for one in rows], {"units": "1"}),
            "unconverged": ("update", [one.unconverged for one in rows], {"units": "fields"}),
        },
        coords={"update": updates},
        attrs=provenance_attrs(mode=asked.mode, n_hidden=run.config.n_hidden),
    )


def _where(jump: Any) -> float:
    return float(jump.field.value) if abs(jump.size) > 0.1 else math.nan


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """Loops; area and jumps against updates."""
    import matplotlib

    figure, axes = new_figure(1, 2, size=(PAGE_WIDTH, 3.4))
    shades = matplotlib.colormaps[SEQUENTIAL](np.linspace(0.0, 0.9, dataset.sizes["update"]))
    for shade, update in zip(shades, dataset["update"].values, strict=True):
        one = dataset.sel(update=update)
        axes[0, 0].plot(one.field, one.up, color=shade, linewidth=1.0, label=f"update {update}")
        axes[0, 0].plot(one.field, one.down, color=shade, linewidth=1.0)
    axes[0, 0].axvline(0.0, color="grey", linewidth=0.6)
    axes[0, 0].set_xlabel("field along the mode ($k_BT$ a unit)")
    axes[0, 0].set_ylabel("magnetisation along the mode")
    updates = dataset["update"].values
    axes[0, 1].plot(updates, dataset.area, "o-", color="black", label="area")
    axes[0, 1].plot(updates, dataset.jump_up, "^", color="#0072B2", label="jump up")
    axes[0, 1].plot(updates, dataset.jump_down, "v", color="#D55E00", label="jump down")
    axes[0, 1].axhline(0.0, color="grey", linewidth=0.6)
    updates_axis(axes[0, 1], updates)
    axes[0, 1].set_ylabel("area, field of the jumps ($k_BT$ a unit)")
    legend_below(figure, *axes[0])
    panel_letters(axes)
    return figure


def alt_text(dataset: xr.Dataset) -> str:
    """When the loop opens and how large it is at the end."""
    opened = dataset["update"].values[dataset.open.values == 1]
    words = f"opens between checkpoints up to update {opened[0]}" if opened.size else "is closed at all checkpoints"
    return (
        f"Hysteresis of mode {int(dataset.attrs['mode']) + 1}: the loop {words}; its area at the last checkpoint is "
        f"{float(dataset.area[-1]):.3g}, and {int(dataset.unconverged.sum())} fields did not converge."
    )
