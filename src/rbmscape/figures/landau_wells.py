"""The Landau free energy of the first modes along training (arXiv:2503.21536, section 5.3; beyond its figures).

Above: f_1(z) of equation 55 at a few checkpoints with all its wells, the marginal potential of independent bits with
the activities of the data, each from its minimum among the places that bit states can reach, which are shaded, and the
density of equilibrium samples.  Below: positions of the
minima against updates, and the curvature Λ + 2Θ of the first modes, which is negative where the symmetric part of f
is a double well, with the other coordinates held (s² = 0) and averaged over (s² = ¼).
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rbmscape.diffusion.mode_potential import mode_potential
from rbmscape.diffusion.reference import reference_point
from rbmscape.figures.along_training import updates_axis
from rbmscape.figures.checkpoints import check_checkpoints
from rbmscape.figures.datasets import provenance_attrs
from rbmscape.figures.samples import verdict
from rbmscape.figures.spec import Count, FigureOptions, FigureSpec
from rbmscape.figures.style import (
    PAGE_WIDTH,
    colour,
    goes_on,
    legend_below,
    marker,
    new_figure,
    panel_letters,
    print_style,
    symlog_axis,
)
from rbmscape.runs.samples import RunSamples
from rbmscape.sampling.sample import sample
from rbmscape.symmetry.landau import DEFAULT_FLUCTUATION, Landau, landau_modes, reachable_range
from rbmscape.symmetry.order import potential_of_mean_force
from rbmscape.symmetry.transitions import critical_update, follow_modes, mode_coordinates

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rbmscape.data.dataset import Dataset
    from rbmscape.diffusion.mode_potential import ModePotential
    from rbmscape.figures.material import Material
    from rbmscape.model.rbm import RBM
    from rbmscape.reciprocal.modes import Modes
    from rbmscape.runs.run import Run

__all__ = ["SPEC", "Options", "alt_text", "compute", "draw", "for_study"]

FloatArray = NDArray[np.float64]
FLUCTUATIONS = (0.0, DEFAULT_FLUCTUATION, 1.0)
"""Others held; averaged over with the variance of equation 46; with the one that the paper writes."""
CAUSES = ("both", "growth alone", "shift alone")
"""Growth of -λ/2 and shift of μ, which section 5.3 names as what breaks the symmetry together."""
ENERGY = {"units": "k_B T at beta = 1"}
UPDATES = {"units": "updates"}
N_GRID = 401
MARGIN = 0.3
"""Room beside wells and samples, as a share of what they span."""
MODE_COLOURS = (3, 4, 5, 7)
"""Beside the colours of the curves."""
DRAWN = 2
"""Curves that are drawn, of `FLUCTUATIONS`."""
BINS = 30
N_DATA = 5000


class Options(FigureOptions):
    """What a plan may choose for it.

    Parameters
    ----------
    n_modes : modes by singular value at the last checkpoint
    n_shown : checkpoints whose curves are shown: log-spaced ones about the one where the well becomes a double well
    """

    n_modes: Count = 4
    n_shown: Count = 4


SPEC = FigureSpec(
    title="Landau free energy along training",
    caption=(
        "Landau free energy of the first mode (equation 55) with the other coordinates held (s² = 0) and averaged "
        "over (s² = ¼), the marginal potential about the data's activities, and the density of equilibrium samples at "
        "four checkpoints; its minima, and the curvature of the first modes, against updates. Bit states exist in the "
        "shaded range only."
    ),
    reading=(
        "Where a curve has one minimum the mode is symmetric, where it has two it is broken; the difference of their "
        "depths is the explicit breaking. Outside the shaded range the curve has no states and no meaning."
    ),
    order=240,
    samples="main",
    analysis=("run", "data"),
    cost=lambda scene, _: scene.base(2.0) + scene.checkpoints * scene.factors(2.5),
    options=Options,
)


def for_study(material: Material) -> xr.Dataset:
    """Data of the figure for the size nearest to the paper's 500."""
    run = material.run()
    return compute(run, material.dataset, material.samples(run), **material.settings)


def compute(run: Run, dataset: Dataset, samples: RunSamples, **options: Any) -> xr.Dataset:
    """Landau free energies at every checkpoint, and the potential of mean force of the first mode at a few of them.

    Parameters
    ----------
    run : a run with three checkpoints or more
    dataset : its data, for the activities behind the marginal potential
    samples : of its checkpoints
    **options : of `Options`

    Returns
    -------
    ``curvature``, ``double_well`` and ``wells`` (minima that bit states can reach) over (fluctuation, update, mode),
    ``minimum`` over (fluctuation, update, well), ``reach`` over (update, mode, end), ``mu`` and ``singular_value`` over
    (update, mode), ``critical_update`` over (fluctuation, mode), ``cause_wells`` (reachable minima of the first mode at
    the last checkpoint with the λ of the first one, or with μ at the saddle) over (fluctuation, cause);
    ``free_energy`` over (fluctuation, shown, point), ``marginal`` over (shown, point) and ``mean_force`` with its error
    over (shown, bin), ``data_mean|sd`` and ``samples_mean|sd|stderr`` of u of the first mode over shown

    Raises
    ------
    MissingInputError : the run has fewer than three checkpoints
    """
    import xarray as xr

    asked = Options(**options)
    check_checkpoints(run, "Landau's free energy")
    updates = np.asarray(run.updates)
    modes_kept = min(asked.n_modes, run.config.n_hidden, int(run.data["n_visible"]))
    curves = np.empty((len(FLUCTUATIONS), updates.size, modes_kept), dtype=object)
    loaders = [partial(run.load, int(update), averaged=False) for update in updates]
    followed = dict(follow_modes(loaders))
    reach = np.empty((updates.size, modes_kept, 2))
    for position, modes in followed.items():
        rbm = loaders[position]()
        reach[position] = [reachable_range(modes, mode) for mode in range(modes_kept)]
        for index, fluctuation in enumerate(FLUCTUATIONS):
            curves[index, position] = landau_modes(rbm, range(modes_kept), fluctuation=fluctuation, modes=modes)
    result = _along(curves, updates).merge(_reached(curves, reach)).merge(_causes(curves[:, :, 0], reach[-1, 0]))
    shown = _shown(updates, result.curvature.values[0, :, 0], asked.n_shown)
    parts = []
    for k in shown:
        found = samples.at(int(updates[k]))
        data = reference_point(found.model, "data", dataset.train[:N_DATA])
        parts.append(
            _at(
                list(curves[:, k, 0]),
                mode_potential(followed[k], 0, data),
                mode_coordinates(followed[k], found.draws, [0])[0][..., 0],
                (reach[k, 0, 0], reach[k, 0, 1]),
            ).merge(_data_along(found.model, followed[k], _scored(dataset)))
        )
    result = result.merge(xr.concat(parts, "shown").assign_coords(shown=updates[shown]))
    result.attrs = provenance_attrs(n_hidden=run.config.n_hidden)
    return result.merge(samples.along(), combine_attrs="no_conflicts")


def _along(curves: NDArray[np.object_], updates: NDArray[np.int64]) -> xr.Dataset:
    """Curvatures, wells and critical updates from (fluctuation, update, mode) curves."""
    import xarray as xr

    curvature = np.vectorize(lambda f: f.curvature, otypes=[float])(curves)
    minima = np.full((*curves.shape[:2], 2), np.nan)
    for place in np.ndindex(*curves.shape[:2]):
        found = curves[place][0].minima()
        minima[place][: found.size] = found
    critical = [[critical_update(updates, -c, 0.0) for c in series.T] for series in curvature]
    return xr.Dataset(
        {
            "curvature": (("fluctuation", "update", "mode"), curvature, ENERGY),
            "double_well": (
                ("fluctuation", "update", "mode"),
                np.vectorize(lambda f: f.is_double_well, otypes=[bool])(curves),
            ),
            "minimum": (("fluctuation", "update", "well"), minima, {"units": "1"}),
            "critical_update": (("fluctuation", "mode"), [[e.value for e in row] for row in critical], UPDATES),
            "critical_stderr": (("fluctuation", "mode"), [[e.stderr for e in row] for row in critical], UPDATES),
        },
        coords={"fluctuation": list(FLUCTUATIONS), "update": updates, "mode": np.arange(curves.shape[2])},
    )


def _reached(curves: NDArray[np.object_], reach: FloatArray) -> xr.Dataset:
    """What bit states can reach, and the minima there."""
    import xarray as xr

    wells, mu, stiffness = np.empty(curves.shape), np.empty(curves.shape), np.empty(curves.shape)
    for place in np.ndindex(*curves.shape):
        curve: Any = curves[place]
        wells[place] = curve.minima_within(*reach[place[1:]]).size
        mu[place], stiffness[place] = curve.mu, curve.stiffness
    return xr.Dataset(
        {
            "wells": (("fluctuation", "update", "mode"), wells, {"units": "wells"}),
            "reach": (("update", "mode", "end"), reach, {"units": "1"}),
            "mu": (("update", "mode"), mu[0], {"units": "1"}),
            "singular_value": (("update", "mode"), -stiffness[0], ENERGY),
        }
    )


def _causes(first_mode: NDArray[np.object_], reach: FloatArray) -> xr.Dataset:
    """Reachable minima of the last checkpoint's curve, and with one of its two causes taken away."""
    import xarray as xr

    half = (reach[1] - reach[0]) / 2
    wells = np.empty((len(FLUCTUATIONS), len(CAUSES)))
    for index, curves in enumerate(first_mode):
        last: Landau = curves[-1]
        variants: dict[str, tuple[Landau, tuple[float, float]]] = {
            "both": (last, (reach[0], reach[1])),
            "growth alone": (replace(last, mu=0.0), (-half, half)),
            "shift alone": (replace(last, stiffness=curves[0].stiffness), (reach[0], reach[1])),
        }
        wells[index] = [curve.minima_within(*ends).size for curve, ends in (variants[cause] for cause in CAUSES)]
    return xr.Dataset(
        {"cause_wells": (("fluctuation", "cause"), wells, {"units": "wells"})}, coords={"cause": list(CAUSES)}
    )


def _scored(dataset: Dataset) -> NDArray[np.uint8]:
    return (dataset.test if len(dataset.test) else dataset.train)[:N_DATA]


def _data_along(rbm: RBM, modes: Modes, points: NDArray[np.uint8]) -> xr.Dataset:
    """Mean and standard deviation of the data's u of the first mode, h drawn from p(h | v)."""
    import xarray as xr

    drawn = sample(rbm, n_chains=len(points), n_steps=0, start=points)
    u = modes.project(drawn.v, drawn.h).u[:, 0].cpu().numpy()
    unit = {"units": "1"}
    return xr.Dataset({"data_mean": ((), float(u.mean()), unit), "data_sd": ((), float(u.std()), unit)})


def _shown(updates: NDArray[np.int64], curvature: FloatArray, count: int) -> list[int]:
    """Positions of checkpoints spread about the first with negative curvature, the last one among them."""
    negative = np.flatnonzero(curvature < 0)
    turn = int(negative[0]) if negative.size else updates.size - 1
    steps = [turn - 3, turn, turn + 2, updates.size - 1] if count == 4 else np.linspace(0, updates.size - 1, count)
    return sorted({int(min(max(step, 0), updates.size - 1)) for step in steps})


def _at(curves: Sequence[Landau], marginal: ModePotential, draws: FloatArray, reach: tuple[float, float]) -> xr.Dataset:
    """Curves and potential of mean force of the first mode at one checkpoint, from their minima in reach."""
    import xarray as xr

    force = potential_of_mean_force(draws, BINS)
    wells = np.concatenate([curve.minima() for curve in curves[:DRAWN]])
    low, high = min(draws.min(), wells.min()), max(draws.max(), wells.max())
    z = np.linspace(low - MARGIN * (high - low), high + MARGIN * (high - low), N_GRID)
    values = np.stack([curve.value(z) for curve in curves])
    inside = (z >= reach[0]) & (z <= reach[1])
    lowest = values[:, inside].min(1, keepdims=True)
    law = np.asarray(marginal(z))
    law = np.where(np.isfinite(law), law, np.nan)
    return xr.Dataset(
        {
            "z": ("point", z, {"units": "1"}),
            "free_energy": (("fluctuation", "point"), values - lowest, ENERGY),
            "marginal": ("point", law - np.nanmin(law), ENERGY),
            "bin_centre": ("bin", force.centres, {"units": "1"}),
            "mean_force": ("bin", force.value - np.nanmin(force.value), ENERGY),
            "mean_force_stderr": ("bin", force.stderr, ENERGY),
            "samples_mean": ((), float(draws.mean()), {"units": "1"}),
            "samples_sd": ((), float(draws.std()), {"units": "1"}),
            "samples_stderr": ((), float(draws.mean(1).std(ddof=1) / math.sqrt(len(draws))), {"units": "1"}),
        },
        coords={"fluctuation": list(FLUCTUATIONS)},
    )


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """Curves at a few checkpoints above, minima and curvatures along training below."""
    count = dataset.sizes["shown"]
    figure, axes = new_figure(2, max(2, count), size=(PAGE_WIDTH, 4.9))
    grid = axes[0, 0].get_gridspec()
    for panel in [*axes[0, count:], *axes[1]]:
        panel.remove()
    halves = grid[1, :].subgridspec(1, 2)
    below = [figure.add_subplot(halves[0, k]) for k in range(2)]
    for index in range(count):
        at = dataset.isel(shown=index)
        _draw_curves(axes[0, index], at, dataset.reach.sel(update=int(at.shown)).values[0])
    axes[0, 0].set_ylabel("$f_1(z)$ ($k_BT$)")
    _draw_minima(below[0], dataset)
    _draw_curvatures(below[1], dataset)
    legend_below(figure, axes[0, 0], *below)
    panel_letters([*axes[0, :count], *below])
    return figure


def _draw_curves(panel: Axes, at: xr.Dataset, reach: FloatArray) -> None:
    z = at.z.values
    panel.axvspan(max(reach[0], z[0]), min(reach[1], z[-1]), color="0.93", linewidth=0, zorder=0, label="reachable")
    for index, fluctuation in enumerate(_fluctuations(at)):
        goes_on(*panel.plot(z, at.free_energy[index], color=colour(index), label=f"$f_1$, {_words(fluctuation)}"))
    goes_on(*panel.plot(z, at.marginal, color=colour(2), linestyle="--", label="marginal, data"))
    low, high = _heights(at)
    panel.set_ylim(low, high)
    panel.set_xlim(z[0], z[-1])
    density = np.exp(-np.nan_to_num(at.mean_force.values, nan=np.inf))
    panel.fill_between(
        at.bin_centre, low, low + 0.4 * (high - low) * density / density.max(), color="black", alpha=0.35, linewidth=0,
        step="mid", label="density of samples",
    )  # fmt: skip
    panel.set_xlabel("$z_1 = u_1$")
    panel.set_title(f"update {int(at.shown)}", loc="right")


def _heights(at: xr.Dataset) -> tuple[float, float]:
    """Limits that hold every well and what lies between them, and some k_B T of the slopes."""
    curves = at.free_energy.values[:DRAWN]
    low = min(0.0, float(curves.min()))
    tops = [_between_wells(curve) for curve in curves]
    high = 1.3 * max(*tops, float(np.nanmax(at.mean_force)), 0.2 * -low)
    return low - 0.06 * (high - low), high


def _between_wells(curve: FloatArray) -> float:
    """Height of the top between two minima, or 0."""
    inner = np.flatnonzero((curve[1:-1] >= curve[:-2]) & (curve[1:-1] >= curve[2:]))
    return float(curve[1 + inner].max()) if inner.size else 0.0


def _words(fluctuation: float) -> str:
    return f"$s^2 = {fluctuation:g}$"


def _fluctuations(dataset: xr.Dataset) -> FloatArray:
    """Variances s² of the curves that are drawn."""
    return np.asarray(dataset.fluctuation.values[:DRAWN], dtype=np.float64)


def _draw_minima(panel: Axes, dataset: xr.Dataset) -> None:
    updates, reach = dataset["update"].values, dataset.reach.values[:, 0]
    for index, fluctuation in enumerate(_fluctuations(dataset)):
        for well in range(2):
            panel.plot(
                updates,
                dataset.minimum.values[index, :, well],
                color=colour(index),
                marker=marker(index),
                label=f"minima, {_words(fluctuation)}" if well == 0 else None,
            )
    low, high = panel.get_ylim()
    panel.fill_between(updates, np.maximum(reach[:, 0], low), np.minimum(reach[:, 1], high), color="0.93", zorder=0)
    panel.set_ylim(low, high)
    panel.axhline(0.0, color="black", linestyle="--", linewidth=0.8)
    updates_axis(panel, updates)
    panel.set_ylabel("minima of $f_1$")


def _draw_curvatures(panel: Axes, dataset: xr.Dataset) -> None:
    for mode in dataset["mode"].values:
        for index, style in enumerate(("-", ":")):
            panel.plot(
                dataset["update"],
                dataset.curvature.sel(mode=mode).values[index],
                color=colour(MODE_COLOURS[int(mode) % len(MODE_COLOURS)]),
                linestyle=style,
                label=f"mode {mode + 1}" if index == 0 else None,
            )
    panel.axhline(0.0, color="black", linestyle="--", linewidth=0.8)
    updates_axis(panel, dataset["update"].values, "updates (dotted: $s^2 = 1/4$)")
    symlog_axis(panel, 10.0)
    panel.set_ylabel("curvature $\\Lambda + 2\\Theta$ ($k_BT$)")


def alt_text(dataset: xr.Dataset) -> str:
    """Where the wells of the first modes become double wells."""
    parts = []
    for mode in dataset["mode"].values:
        held, averaged = (float(dataset.critical_update[k].sel(mode=mode)) for k in range(2))
        words = [f"{x:.0f}" if math.isfinite(x) else "none" for x in (held, averaged)]
        parts.append(f"mode {mode + 1} at update {words[0]} ({words[1]} with averaged fluctuations)")
    return (
        f"Landau free energy of the first modes; the single well becomes a double well: {'; '.join(parts)}. "
        f"{verdict(dataset)}"
    )
