r"""Gaps in the spectra of trained weights, and what makes them (arXiv:2503.21536, section 6).

The paper finds no singular value in [33, 35] and leaves that unexplained.  Here the largest singular values of every
run are followed along training.  One isolated mode above a dense bulk leaves a gap whose place moves with the time at
which one stops; ``uniform`` says how nearly the first mode acts on all hidden units alike.  Singular values are in
k_B T at beta = 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from rbmscape.errors import InputError
from rbmscape.figures.datasets import provenance_attrs
from rbmscape.figures.material import RunKey
from rbmscape.figures.spec import Count, FigureOptions, FigureSpec
from rbmscape.figures.style import PAGE_WIDTH, colour, legend_below, new_figure, print_style

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rbmscape.figures.material import Material
    from rbmscape.model.rbm import RBM
    from rbmscape.runs.run import Run

__all__ = ["SPEC", "WINDOW", "Options", "alt_text", "compute", "draw", "empty_share", "for_study"]

WINDOW = (33.0, 35.0)
"""The paper's gap."""
_SHOWN = 10


class Options(FigureOptions):
    """What a plan may choose for it.

    Parameters
    ----------
    window : the interval that is asked about
    n_checkpoints : at most so many of each run: its first, and the others spread evenly in updates up to its last
    n_values : singular values kept
    """

    window: tuple[float, float] = WINDOW
    n_checkpoints: Count = 8
    n_values: Count = 30


SPEC = FigureSpec(
    title="Gaps in the spectrum",
    caption=(
        "The ten largest singular values along training for every recipe (thick: the first), one replica a size; "
        "shaded: the interval from 33 to 35, where the paper found none."
    ),
    reading=(
        "A gap is a distance between neighbouring lines that stays. One isolated line on top is a mode that the "
        "optimiser has made; the shaded interval is where the paper saw nothing."
    ),
    order=230,
    cost=lambda scene, options: (
        scene.base(1.0) + options.n_checkpoints * scene.factors(0.5 * scene.runs / len(scene.hidden))
    ),
    options=Options,
)


def for_study(material: Material) -> xr.Dataset:
    """Every run of the study, all recipes."""
    return compute(material.runs, **material.settings)


def compute(runs: Mapping[RunKey, Run], **options: Any) -> xr.Dataset:
    """Largest singular values and gaps along training.

    Parameters
    ----------
    runs : key to run
    **options : of `Options`

    Returns
    -------
    Dataset over (run, checkpoint, rank): ``singular_value``; over (run, checkpoint): ``update``, ``epoch``, ``above``
    and ``inside`` (numbers of singular values beyond and in the window), ``empty`` (1 where values lie beyond it and
    below it and none in it, 0 where some lie in it, NaN where none lies beyond), ``chance`` (share of the windows as
    wide between the twentieth largest value and the largest that are empty), ``isolation``
    λ_1/λ_2, ``gap_low``, ``gap_high`` (the widest gap between neighbours) and ``uniform``

    Raises
    ------
    InputError : no run, or a window that is none
    """
    import xarray as xr

    asked = Options(**options)
    if not runs or not 0.0 < asked.window[0] < asked.window[1]:
        raise InputError(
            f"gaps are sought in at least one run and a window (low, high), found {len(runs)}, {asked.window}"
        )
    parts = []
    for run in runs.values():
        picks = _checkpoints(run, asked.n_checkpoints)
        rows = [_one_checkpoint(run.load(update, averaged=False), asked.window, asked.n_values) for update in picks]
        one = xr.concat(rows, "checkpoint").assign_coords(checkpoint=np.arange(len(picks)))
        parts.append(
            one.assign(
                update=("checkpoint", np.asarray(picks, dtype=float), {"units": "updates"}),
                epoch=("checkpoint", np.asarray(picks) / run.updates_per_epoch, {"units": "epochs"}),
            )
        )
    result = xr.concat(parts, "run", join="outer").assign_coords(
        recipe=("run", [key.recipe for key in runs]),
        hidden=("run", [key.hidden for key in runs]),
        replica=("run", [key.replica for key in runs]),
    )
    result.attrs = provenance_attrs(window_low=asked.window[0], window_high=asked.window[1])
    return result


def _checkpoints(run: Run, count: int) -> list[int]:
    """Updates nearest to evenly spread ones."""
    known = np.asarray(run.updates)
    wanted = np.linspace(known[0], known[-1], min(count, known.size))
    return [int(known[k]) for k in np.unique(np.abs(known[None] - wanted[:, None]).argmin(1))]


def _one_checkpoint(rbm: RBM, window: tuple[float, float], n_values: int) -> xr.Dataset:
    import xarray as xr

    values, uniform = _spectrum(rbm)
    low, high = window
    above, inside = int((values > high).sum()), int(((values >= low) & (values <= high)).sum())
    gaps = -np.diff(values)
    widest = int(gaps.argmax()) if gaps.size else 0
    numbers = {
        "above": (above, "modes"),
        "inside": (inside, "modes"),
        "empty": (float(inside == 0) if above and (values < low).any() else np.nan, "1"),
        "chance": (empty_share(values, high - low), "1"),
        "isolation": (values[0] / values[1] if values.size > 1 else np.nan, "1"),
        "gap_low": (values[widest + 1] if gaps.size else np.nan, "k_B T"),
        "gap_high": (values[widest] if gaps.size else np.nan, "k_B T"),
        "uniform": (uniform, "1"),
    }
    kept = values[:n_values]
    variables: dict[str, Any] = {name: ((), value, {"units": unit}) for name, (value, unit) in numbers.items()}
    variables["singular_value"] = (
        "rank", np.pad(kept, (0, n_values - kept.size), constant_values=np.nan), {"units": "k_B T"},
    )  # fmt: skip
    return xr.Dataset(variables)


def _spectrum(rbm: RBM) -> tuple[NDArray[np.float64], float]:
    """Singular values, falling, and |⟨V_1, 1⟩|/√M, from the smaller Gram matrix, which costs small values digits."""
    weights = rbm.weights.double()
    wide = rbm.n_hidden >= rbm.n_visible
    squares, vectors = torch.linalg.eigh(weights @ weights.mT if wide else weights.mT @ weights)
    values = squares.clamp_min(0.0).sqrt().flip(0)
    hidden = weights.mT @ vectors[:, -1] / values[0].clamp_min(1e-300) if wide else vectors[:, -1]
    return values.cpu().numpy(), float(hidden.sum().abs() / np.sqrt(rbm.n_hidden))


def empty_share(values: NDArray[np.float64], width: float, n_windows: int = 2001) -> float:
    """Share of windows of a width, inside the sparse top of a spectrum, in which no value lies.

    Parameters
    ----------
    values : (L,) falling
    width : of a window
    n_windows : windows tried, evenly spread between the twentieth largest value (or the smallest) and the largest

    Returns
    -------
    between 0 and 1; NaN where that range is narrower than a window
    """
    low, high = values[min(19, values.size - 1)], values[0]
    if high - low <= width:
        return float("nan")
    starts = np.linspace(low, high - width, n_windows)
    rising = values[::-1]
    count = np.searchsorted(rising, starts + width, side="right") - np.searchsorted(rising, starts, side="left")
    return float((count == 0).mean())


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """One panel a recipe: the largest singular values of its first run against epochs, the paper's window shaded."""
    recipes = list(dict.fromkeys(dataset.recipe.values.tolist()))
    columns = min(3, len(recipes))
    rows = -(-len(recipes) // columns)
    figure, axes = new_figure(
        rows, columns, size=(PAGE_WIDTH if columns > 1 else 4.6, 2.6 * rows), sharey=True, sharex=False
    )
    for panel in axes.ravel()[len(recipes) :]:
        panel.set_axis_off()
    for panel, recipe in zip(axes.ravel(), recipes, strict=False):
        runs = dataset.isel(run=np.flatnonzero(dataset.recipe.values == recipe))
        _draw_recipe(panel, runs, sorted(set(dataset.hidden.values.tolist())), dataset.attrs)
        panel.set_title(recipe)
    legend_below(figure, *axes.ravel()[: len(recipes)])
    for panel in axes[:, 0]:
        panel.set_ylabel("largest singular values ($k_BT$)")
    return figure


def _draw_recipe(panel: Axes, runs: xr.Dataset, sizes: list[int], attrs: Mapping[str, Any]) -> None:
    """One colour a size, the same in every panel."""
    low, high = float(attrs["window_low"]), float(attrs["window_high"])
    panel.axhspan(low, high, color="0.85", linewidth=0, label=f"λ from {low:g} to {high:g}, none in the paper")
    for hidden in sorted(set(runs.hidden.values.tolist())):
        index = sizes.index(hidden)
        one = runs.isel(run=int(np.flatnonzero(runs.hidden.values == hidden)[0])).isel(rank=slice(_SHOWN))
        lines = panel.plot(one.epoch, one.singular_value.transpose("checkpoint", "rank"), color=colour(index))
        for rank, line in enumerate(lines):
            line.set_linewidth(1.4 if rank == 0 else 0.5)
        lines[0].set_label(f"M = {hidden}")
    panel.set_xlabel("epochs")


def alt_text(dataset: xr.Dataset) -> str:
    """Last two largest values and the widest gap by recipe and size, in words."""
    parts = []
    for position in np.flatnonzero(dataset.replica.values == 0):
        run = dataset.isel(run=int(position))
        one = run.isel(checkpoint=int(np.flatnonzero(np.isfinite(run["update"].values))[-1]))
        first, second = (float(one.singular_value.isel(rank=k)) for k in (0, 1))
        parts.append(
            f"{one.recipe.item()}, M = {int(one.hidden)}: λ1 = {first:.1f}, λ2 = {second:.1f}, widest gap "
            f"{float(one.gap_low):.1f} to {float(one.gap_high):.1f}"
        )
    window = f"{dataset.attrs['window_low']:g} to {dataset.attrs['window_high']:g}"
    return (
        f"Line charts of the largest singular values against epochs with the window {window} shaded. At the end: "
        f"{'; '.join(parts)}."
    )
