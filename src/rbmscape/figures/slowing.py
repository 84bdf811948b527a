"""Relaxation of Gibbs sampling against the order of the first modes: slowing down through the transitions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rbmscape.diffusion.slowing import SlowModes, slow_modes, theory_rate
from rbmscape.figures.along_training import updates_axis
from rbmscape.figures.checkpoints import spread_updates
from rbmscape.figures.datasets import provenance_attrs
from rbmscape.figures.spec import Count, FigureOptions, FigureSpec
from rbmscape.figures.style import (
    PAGE_WIDTH,
    colour,
    goes_on,
    legend_below,
    log_axis,
    marker,
    new_figure,
    panel_letters,
    print_style,
)
from rbmscape.rng import Stream

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from rbmscape.data.dataset import Dataset
    from rbmscape.figures.material import Material
    from rbmscape.runs.run import Run
    from rbmscape.stats import Estimate

__all__ = ["SPEC", "Options", "alt_text", "compute", "draw", "for_study"]


class Options(FigureOptions):
    """What a plan may choose for it.

    Parameters
    ----------
    n_modes : leading dressed modes of each checkpoint
    n_checkpoints : at most so many, evenly spaced in ln(1 + update)
    n_chains, n_steps, burn_in : Gibbs chains, started from data
    """

    n_modes: Count = 2
    n_checkpoints: Count = 12
    n_chains: Count = 100
    n_steps: Count = 1000
    burn_in: Count = 300


SPEC = FigureSpec(
    title="Relaxation against order",
    caption=(
        "Relaxation time of Gibbs chains along the leading dressed modes against their dressed value d, one point a "
        "checkpoint and mode (arrows: longer than the chains can show), with -1/ln d² (dashed) and the exact bipartite "
        "Curie-Weiss model of as many units as the modes span (line); and the same against updates."
    ),
    reading=(
        "Points on the dashed curve are modes below their transition, near d = 1 they follow the line, and beyond it "
        "arrows say that chains no longer change wells."
    ),
    order=410,
    analysis=("run", "data"),
    cost=lambda scene, options: (
        scene.base(4.0)
        + options.n_checkpoints * (scene.chains(options.n_chains, options.n_steps + options.burn_in) + scene.factors(1))
    ),
    options=Options,
    default=False,
)


def for_study(material: Material) -> xr.Dataset:
    """The run of the size nearest to the paper's, M = 500."""
    return compute(material.run(), material.dataset, seed=material.seed, **material.settings)


def compute(run: Run, dataset: Dataset, seed: int = 0, **options: Any) -> xr.Dataset:
    """Dressed values and relaxation times at some checkpoints.

    Parameters
    ----------
    run, dataset : chains start from its training data
    **options : of `Options`

    Returns
    -------
    Dataset over (update, mode): ``dressed``, ``time`` = 1/rate with ``time_stderr`` (NaN where the chains are too
    short, so that it is above ``longest`` of the attributes), ``theory`` with the units of each mode; over grid:
    ``curve_dressed`` and ``curve_time`` of the Curie-Weiss model with the median of those units
    """
    import xarray as xr

    asked = Options(**options)
    picks = Stream(seed, "figures/slowing").numpy().permutation(len(dataset.train))[: asked.n_chains]
    updates = spread_updates(run, asked.n_checkpoints)
    kept = min(asked.n_modes, run.config.n_hidden, dataset.n_visible)
    found = [
        slow_modes(
            run.load(update, averaged=False), dataset.train[picks], kept, n_steps=asked.n_steps,
            burn_in=asked.burn_in, seed=seed,
        )
        for update in updates
    ]  # fmt: skip
    times = np.asarray([[_time(rate) for rate in one.rates] for one in found])
    units = np.median([[one.visible_units, one.hidden_units] for one in found], axis=(0, 2))
    grid = np.linspace(0.3, max(1.1, min(1.6, 1.1 * max(float(one.dressed[0]) for one in found))), 40)
    curve = [1 / theory_rate(d, *units) for d in grid]
    pair = ("update", "mode")
    return xr.Dataset(
        {
            "dressed": (pair, np.stack([one.dressed for one in found]), {"units": "1"}),
            "time": (pair, times[..., 0], {"units": "sweeps"}),
            "time_stderr": (pair, times[..., 1], {"units": "sweeps"}),
            "theory": (pair, np.stack([_theory(one) for one in found]), {"units": "sweeps"}),
            "curve_dressed": ("grid", grid, {"units": "1"}),
            "curve_time": ("grid", curve, {"units": "sweeps"}),
        },
        coords={"update": updates, "mode": np.arange(kept)},
        attrs=provenance_attrs(
            seed=seed, longest=found[0].longest, visible_units=float(units[0]), hidden_units=float(units[1])
        ),
    )


def _time(rate: Estimate | None) -> tuple[float, float]:
    """1/rate and its error; NaN where there is no rate, 0 where nothing is left after one sweep."""
    if rate is None:
        return math.nan, math.nan
    return (0.0, 0.0) if math.isinf(rate.value) else (1 / rate.value, rate.stderr / rate.value**2)


def _theory(one: SlowModes) -> np.ndarray[Any, np.dtype[np.float64]]:
    with np.errstate(divide="ignore"):
        return np.asarray(1 / one.theory)


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """Times against dressed values with the theory; times against updates."""
    figure, axes = new_figure(1, 2, size=(PAGE_WIDTH, 3.3), sharey=True)
    longest = dataset.attrs["longest"]
    below = np.linspace(0.2, 0.999, 200)
    theory = axes[0, 0].plot(
        below, -0.5 / np.log(below), color="black", linestyle="--", linewidth=0.9, label="-1/ln d²"
    )
    theory += axes[0, 0].plot(
        dataset.curve_dressed, dataset.curve_time, color="black", linewidth=0.9, label="Curie-Weiss, exact"
    )
    goes_on(*theory)
    for mode in dataset["mode"].values:
        one, shade = dataset.sel(mode=mode), colour(int(mode))
        seen = np.isfinite(one.time.values) & (one.time.values > 0)
        slow = np.isnan(one.time.values)
        for panel, x in ((axes[0, 0], one.dressed.values), (axes[0, 1], dataset["update"].values)):
            panel.errorbar(
                x[seen], one.time.values[seen], one.time_stderr.values[seen], color=shade, marker=marker(int(mode)),
                linestyle="none", label=f"mode {mode + 1}",
            )  # fmt: skip
            panel.plot(x[slow], np.full(slow.sum(), longest), linestyle="none", marker=r"$\uparrow$", color=shade)
    for panel in axes[0]:
        log_axis(panel)
        panel.set_ylim(0.12, 5 * longest)
    axes[0, 0].axvline(1.0, color="grey", linewidth=0.6)
    axes[0, 0].set_xlabel("dressed value d")
    axes[0, 0].set_ylabel("relaxation time in sweeps")
    updates_axis(axes[0, 1], dataset["update"].values)
    legend_below(figure, axes[0, 0])
    panel_letters(axes)
    return figure


def alt_text(dataset: xr.Dataset) -> str:
    """Longest measured time, and how many could not be measured."""
    times = dataset.time.values
    slow = int(np.isnan(times).sum())
    return (
        f"Relaxation times of Gibbs sampling along {dataset.sizes['mode']} mode(s) at {dataset.sizes['update']} "
        f"checkpoints: dressed values go up to {float(dataset.dressed.max()):.2f}, measured times to "
        f"{np.nanmax(times, initial=0.0):.3g} sweeps, and {slow} are longer than {dataset.attrs['longest']:.0f}."
    )
