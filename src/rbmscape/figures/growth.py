"""Growth of the first modes in the linear regime: what a run did, and what its data's covariance predicts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from rbmscape.figures.along_training import updates_axis
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
from rbmscape.symmetry.growth import linear_growth, measured_growth

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from rbmscape.data.dataset import Dataset
    from rbmscape.figures.material import Material
    from rbmscape.runs.run import Run

__all__ = ["SPEC", "Options", "alt_text", "compute", "draw", "for_study"]


class Options(FigureOptions):
    """What a plan may choose for it.

    Parameters
    ----------
    n_modes : eigenvectors of the data's covariance, fastest first
    """

    n_modes: Count = 4


SPEC = FigureSpec(
    title="Growth in the linear regime",
    caption=(
        "Amplitude of the weights along the leading eigenvectors of the data's covariance without its diagonal (dots), "
        "with the law exp(η e t/4) that is exact for small weights (lines; crosses: a mode has fallen a tenth "
        "behind it); and measured rates against predicted ones. Clipped gradients grow more slowly."
    ),
    reading=(
        "Dots on a line grow as the linear theory says; where they fall behind (crosses), the mode has left the "
        "linear regime. Right, points on the diagonal agree."
    ),
    order=400,
    analysis=("run", "data"),
    cost=lambda scene, _: scene.base(3.0) + 0.3 * scene.following(),
    options=Options,
    default=False,
)


def for_study(material: Material) -> xr.Dataset:
    """The run of the size nearest to the paper's, M = 500."""
    return compute(material.run(), material.dataset, **material.settings)


def compute(run: Run, dataset: Dataset, **options: Any) -> xr.Dataset:
    """Amplitudes at every checkpoint, and growth rates.

    Parameters
    ----------
    run : trained by SGD
    dataset : the data that it was trained on
    **options : of `Options`

    Returns
    -------
    Dataset over (update, mode): ``amplitude`` and ``law``; over mode: ``rate`` with ``rate_stderr`` and ``predicted``
    in 1/(unit of learning rate times updates), ``left`` in updates; over update: ``dressed``

    Raises
    ------
    InputError : the run was trained by an optimiser without a flow time
    MissingInputError : too few checkpoints with small weights
    """
    import xarray as xr

    asked = Options(**options)
    config = run.config
    spent = exposure(config, run.updates, config.epochs * run.updates_per_epoch)
    growth = linear_growth(dataset.train, min(asked.n_modes, dataset.n_visible))
    models = [partial(run.load, update, averaged=False) for update in run.updates]
    found = measured_growth(models, run.updates, spent, growth, batch_size=config.batch_size, n_chains=config.n_chains)
    start = np.nanargmax(np.isfinite(found.amplitudes[:, 0]))
    law = found.amplitudes[start] * np.exp(np.outer(spent - spent[start], found.predicted))
    rate_units = {"units": "1/(η updates)"}
    return xr.Dataset(
        {
            "amplitude": (("update", "mode"), found.amplitudes, {"units": "k_B T"}),
            "law": (("update", "mode"), law, {"units": "k_B T"}),
            "dressed": ("update", found.dressed, {"units": "1"}),
            "rate": ("mode", [rate.value for rate in found.rates], rate_units),
            "rate_stderr": ("mode", [rate.stderr for rate in found.rates], rate_units),
            "predicted": ("mode", found.predicted, rate_units),
            "left": ("mode", found.left, {"units": "updates"}),
        },
        coords={"update": list(run.updates), "mode": np.arange(len(found.predicted))},
        attrs=provenance_attrs(learning_rate=config.learning_rate, clip=config.clip, n_hidden=config.n_hidden),
    )


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """Amplitudes with their laws; measured against predicted rates."""
    figure, axes = new_figure(1, 2, size=(PAGE_WIDTH, 2.9))
    updates = dataset["update"].values
    top = float(dataset.amplitude.max()) * 2
    for mode in dataset["mode"].values:
        one = dataset.sel(mode=mode)
        axes[0, 0].plot(updates, one.amplitude, marker(int(mode)), color=colour(int(mode)), label=f"mode {mode + 1}")
        law = np.where(one.law.values < top, one.law.values, np.nan)
        axes[0, 0].plot(updates, law, color=colour(int(mode)), linewidth=0.9)
        if np.isfinite(one.left):
            axes[0, 0].plot(one.left, np.interp(one.left, updates, one.amplitude), "kx", markersize=6)
        axes[0, 1].errorbar(
            one.predicted,
            one.rate,
            one.rate_stderr,
            color=colour(int(mode)),
            marker=marker(int(mode)),
            linestyle="none",
        )
    log_axis(axes[0, 0])
    updates_axis(axes[0, 0], updates)
    axes[0, 0].set_ylabel("amplitude of the mode")
    legend_below(figure, axes[0, 0])
    rates = np.concatenate([dataset.predicted.values, dataset.rate.values])
    ends = [min(0.0, 1.1 * float(np.nanmin(rates))), 1.1 * float(np.nanmax(rates))]
    axes[0, 1].plot(ends, ends, color="black", linewidth=0.8, linestyle="--")
    axes[0, 1].set_xlabel("predicted rate e/4 (1/ηt)")
    axes[0, 1].set_ylabel("measured rate (1/ηt)")
    panel_letters(axes)
    return figure


def alt_text(dataset: xr.Dataset) -> str:
    """Rates of every mode."""
    parts = []
    for mode in dataset["mode"].values:
        one = dataset.sel(mode=mode)
        rate = Estimate(float(one.rate), float(one.rate_stderr))
        left = f", leaves the law at update {float(one.left):.0f}" if np.isfinite(one.left) else ""
        parts.append(f"mode {mode + 1}: {rate} against {float(one.predicted):.4g}{left}")
    return f"Growth rates of the first modes in units of learning rate times updates: {'; '.join(parts)}."
