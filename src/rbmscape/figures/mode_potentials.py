r"""One-dimensional effective potentials against the measured density of a mode (arXiv:2503.21536, eqs. 29-31, 39).

For modes 1, 2, 3 and one of the bulk: -(1/β) ln P(u_i) of equilibrium samples with error bars; the harmonic expansion
(39) that makes the bosons; U_eff along the mode with all others at activities ½ (slice); with the others integrated out
over fair bits (marginal); and with the others relaxed to the minimum of U_eff (lower envelope of the branches found).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from rbmscape.diffusion.mode_potential import mode_potential
from rbmscape.diffusion.reference import Reference, reference_point
from rbmscape.diffusion.relaxed_potential import relaxed_potential
from rbmscape.errors import InputError
from rbmscape.figures.datasets import provenance_attrs
from rbmscape.figures.samples import verdict
from rbmscape.figures.spec import Count, FigureOptions, FigureSpec
from rbmscape.figures.style import PAGE_WIDTH, colour, goes_on, legend_below, new_figure, panel_letters, print_style
from rbmscape.reciprocal.modes import Modes
from rbmscape.runs.samples import RunSamples
from rbmscape.sampling.samples import Samples
from rbmscape.symmetry.order import MeanForce, potential_of_mean_force
from rbmscape.symmetry.transitions import mode_coordinates

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rbmscape.figures.analysis import Subject
    from rbmscape.figures.material import Material
    from rbmscape.runs.run import Run

__all__ = ["CURVES", "SPEC", "Options", "alt_text", "compute", "draw", "for_model", "for_study", "of_run"]

CURVES = {
    "harmonic": "harmonic (39), activities ½",
    "slice": "slice, activities ½",
    "marginal_uniform": "marginal, activities ½",
    "relaxed": "$U_{eff}$, other modes relaxed",
}
_HIGHEST = 12.0


class Options(FigureOptions):
    """What a plan may choose for it.

    Parameters
    ----------
    mode_indices : from 0; by default 0, 1, 2 and L // 2, as far as they exist
    n_bins : of the histogram
    n_points : of the curves
    n_starts : samples from which the relaxation of the other modes starts
    beta : inverse temperature
    """

    mode_indices: tuple[Annotated[int, Field(ge=0)], ...] | None = None
    n_bins: Count = 24
    n_points: Count = 241
    n_starts: Count = 16
    beta: Annotated[float, Field(gt=0)] = 1.0


SPEC = FigureSpec(
    title="Effective potentials of single modes",
    caption=(
        "Potential along u of modes 1, 2, 3 and one of the bulk, at the first checkpoint beyond λ = 4 and at the "
        "last: harmonic (equation 39), with the others held, integrated out, or relaxed; points are -ln P of "
        "equilibrium samples with standard errors."
    ),
    reading=(
        "The curve on which the points lie is the right potential. Harmonic curves that bend down are modes that need "
        "the full constraint."
    ),
    order=280,
    samples="main",
    analysis=(),
    cost=lambda scene, _: scene.base(12.0) + scene.factors(20),
    options=Options,
)


def for_study(material: Material) -> xr.Dataset:
    """Data of the figure for two checkpoints of the size nearest to the paper's 500, see `of_run`."""
    run = material.run()
    return of_run(run, material.samples(run), **material.settings)


def for_model(subject: Subject) -> xr.Dataset:
    """Data of the figure for one model, with the samples that all its figures share, or for its run."""
    if subject.run is not None:
        return of_run(subject.run, subject.all_samples)
    return compute(subject.samples)


def of_run(run: Run, samples: RunSamples, **options: Any) -> xr.Dataset:
    """`compute` for the first checkpoint with λ_1 > 4 and for the model that the run delivers.

    Parameters
    ----------
    run, samples : trained run and the samples of its checkpoints
    **options : of `compute`
    """
    import torch
    import xarray as xr

    last = samples.updates[-1]
    tops = ((u, float(torch.linalg.matrix_norm(run.load(u, averaged=False).weights, 2))) for u in samples.updates)
    first = next((update for update, top in tops if top > 4), last)
    parts = [compute(samples.at(), label=f"update {last}", **options)]
    if first != last:
        parts.insert(0, compute(samples.at(first), label=f"update {first}", **options))
    return xr.concat(parts, "model", combine_attrs="override").assign_attrs(parts[-1].attrs)


def compute(samples: Samples, label: str = "model", **options: Any) -> xr.Dataset:
    """Potentials and measured potential of mean force of some modes.

    Parameters
    ----------
    samples : of the model, 100 states or more; errors come from the spread of the independent columns
    label : name of the model in the picture
    **options : of `Options`

    Returns
    -------
    Dataset with an axis model of length 1: ``measured``, ``measured_stderr`` and ``relaxed`` over (mode, bin) at
    ``bin_centre``; the other curves over (mode, point) at ``z``; all in k_B T at beta = 1 with their minimum at 0;
    ``curvature`` over mode, U'' of the harmonic expansion; ``distance_<curve>`` over mode, total variation between
    exp(-βU) of a curve and the histogram, ``distance_gaussian`` of the best potential of second order (the Gaussian
    with the samples' mean and width), and ``distance_noise``, half of that between the histograms of two halves of the
    chains

    Raises
    ------
    InputError : fewer than 100 samples, or no such mode
    """
    import xarray as xr

    asked = Options(**options)
    rbm, count = samples.model, samples.draws.v.shape[:2].numel()
    if count < 100:
        raise InputError(f"a measured potential needs at least 100 samples, found {count}; draw more")
    modes = Modes.of(rbm)
    mode_indices = asked.mode_indices
    if mode_indices is None:
        usable = modes.n_paired - int(modes.flat.sum())
        mode_indices = tuple(dict.fromkeys(i for i in (0, 1, 2, usable // 2) if i < usable))
    u = mode_coordinates(modes, samples.draws, mode_indices)[0]
    uniform = reference_point(rbm, "uniform")
    starts = samples.v[: asked.n_starts].double()
    parts = []
    for position, i in enumerate(mode_indices):
        edges = _edges(u[..., position], asked.n_bins)
        envelope = relaxed_potential(rbm, modes, i, (edges[1:] + edges[:-1]) / 2, starts, "u", asked.beta)
        force = potential_of_mean_force(u[..., position], asked.n_bins, asked.beta, (edges[0], edges[-1]))
        one = _one_mode(modes, i, force, edges, envelope, uniform, asked.n_points, asked.beta)
        parts.append(one.merge(_fair(u[..., position], edges)))
    attrs = provenance_attrs(beta=asked.beta, n_samples=count, n_hidden=rbm.n_hidden) | dict(samples.facts)
    joined = xr.concat(parts, "mode").assign_coords(mode=list(mode_indices))
    return joined.expand_dims(model=[label]).assign_attrs(attrs)


def _one_mode(
    modes: Modes,
    mode: int,
    force: MeanForce,
    edges: np.ndarray,
    envelope: np.ndarray,
    uniform: Reference,
    n_points: int,
    beta: float,
) -> xr.Dataset:
    import xarray as xr

    potentials: dict[str, Any] = {
        "slice": mode_potential(modes, mode, uniform, "u", "slice", beta),
        "marginal_uniform": mode_potential(modes, mode, uniform, "u", "marginal", beta),
    }
    centre = potentials["slice"].reference
    singular_value = float(modes.singular_values[mode])
    potentials["harmonic"] = lambda z: -singular_value / 2 * z**2 + 2 * (z - centre) ** 2 / beta
    low, high = edges[0], edges[-1]
    ends = potentials["marginal_uniform"].domain
    reach = max(abs(low - centre), abs(high - centre), 1.5) * 1.5
    z = np.linspace(max(ends[0] + 1e-6, centre - reach), min(ends[1] - 1e-6, centre + reach), n_points)
    counts = force.counts
    variables: dict[str, Any] = {
        "bin_centre": ("bin", force.centres, {"units": "1"}),
        "measured": ("bin", force.value - np.nanmin(force.value), {"units": "k_B T"}),
        "measured_stderr": ("bin", force.stderr, {"units": "k_B T"}),
        "z": ("point", z, {"units": "1"}),
        "curvature": ((), 4 / beta - singular_value, {"units": "k_B T"}),
    }
    for name, potential in potentials.items():
        value = np.asarray(potential(z))
        finite = np.isfinite(value)
        variables[name] = ("point", value - value[finite].min(), {"units": "k_B T"})
        variables[f"distance_{name}"] = ((), _distance(potential, edges, counts, beta), {"units": "1"})
    weight = np.exp(-beta * np.nan_to_num(envelope, nan=np.inf))
    variables["relaxed"] = ("bin", envelope, {"units": "k_B T"})
    variables["distance_relaxed"] = ((), _total_variation(weight, counts), {"units": "1"})
    return xr.Dataset(variables)


def _fair(u: np.ndarray, edges: np.ndarray) -> xr.Dataset:
    """The best that a second order can do, and the samples' own noise; u is (n_chains, n_draws)."""
    import xarray as xr
    from scipy.special import ndtr

    counts = np.histogram(u, edges)[0]
    inside = u[(u >= edges[0]) & (u <= edges[-1])]
    gaussian = np.diff(ndtr((edges - inside.mean()) / max(float(inside.std()), 1e-12)))
    halves = [np.histogram(u[first::2], edges)[0] for first in (0, 1)]
    unit = {"units": "1"}
    return xr.Dataset(
        {
            "distance_gaussian": ((), _total_variation(gaussian, counts), unit),
            "distance_noise": ((), 0.5 * _total_variation(halves[0], halves[1]), unit),
        }
    )


def _edges(u: np.ndarray, n_bins: int) -> np.ndarray:
    low, high = np.quantile(u, [0.002, 0.998])
    return np.linspace(low - 0.02 * (high - low), high + 0.02 * (high - low), n_bins + 1)


def _total_variation(weight: np.ndarray, counts: np.ndarray) -> float:
    total = weight.sum()
    return float(0.5 * np.abs((weight / total if total > 0 else weight) - counts / counts.sum()).sum())


def _distance(potential: Any, edges: np.ndarray, counts: np.ndarray, beta: float) -> float:
    """Total variation over the histogram's range, between its frequencies and those of exp(-βU)."""
    fine = edges[:-1, None] + np.diff(edges)[:, None] * (np.arange(8) + 0.5) / 8
    value = np.asarray(potential(fine))
    weight = (
        np.exp(-beta * (value - value[np.isfinite(value)].min())).sum(1) if np.isfinite(value).any() else np.ones(1)
    )
    return _total_variation(weight, counts)


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """One row a model, one panel a mode."""
    n_models, n_modes = dataset.sizes["model"], dataset.sizes["mode"]
    figure, axes = new_figure(n_models, n_modes, size=(PAGE_WIDTH, 2.0 * n_models + 0.6))
    for row, label in zip(axes, dataset["model"].values, strict=True):
        for panel, mode in zip(row, dataset["mode"].values, strict=True):
            _draw_mode(panel, dataset.sel(model=label, mode=mode))
            panel.set_title(f"mode {mode + 1}", fontsize=8)
        row[0].set_ylabel(f"{label}\npotential ($k_BT$)")
    legend_below(figure, axes[0, 0])
    panel_letters(axes)
    return figure


def _draw_mode(panel: Axes, one: xr.Dataset) -> None:
    for index, (name, label) in enumerate(CURVES.items()):
        style = (":", "--", "-.", "-")[index]
        place = one["bin_centre"] if name == "relaxed" else one["z"]
        goes_on(*panel.plot(place, one[name], color=colour(index), linestyle=style, label=label))
    seen = np.isfinite(one["measured"].values)
    panel.errorbar(
        one["bin_centre"].values[seen],
        one["measured"].values[seen],
        one["measured_stderr"].values[seen],
        color="black",
        marker="o",
        markersize=2.5,
        linestyle="none",
        label="samples, -ln P",
    )
    panel.set_ylim(-0.5, max(_HIGHEST, 1.1 * float(np.nanmax(one["measured"].values + one["measured_stderr"].values))))
    panel.set_xlabel("u")


def alt_text(dataset: xr.Dataset) -> str:
    """Distance of the potentials from the measured density, mode by mode."""
    parts = []
    for label in dataset["model"].values:
        for mode in dataset["mode"].values:
            one = dataset.sel(model=label, mode=mode)
            parts.append(
                f"{label}, mode {mode + 1}: {float(one['distance_harmonic']):.2f} harmonic, "
                f"{float(one['distance_slice']):.2f} slice, "
                f"{float(one['distance_marginal_uniform']):.2f} marginal over fair bits, "
                f"{float(one['distance_relaxed']):.2f} with the others relaxed"
            )
    words = "; ".join(parts)
    return f"Total variation between exp(-βU) and the density of samples along u: {words}. {verdict(dataset)}"
