r"""Where saddle, random states and data lie, for every size and replica (arXiv:2503.21536, sections 3 and 5.3).

Numbers behind four statements: that data surround the saddle points before training and stay near them after it, that
μ, the centre of random states, nears the data as the hidden layer grows, that it falls on the saddle where M = N, and
that the first mode's free energy becomes a double well at every size.  Each run is looked at in three stages:
``weights`` (its initial weights without any bias, as in the paper's figure 2), ``initial`` (its first checkpoint) and
``trained`` (its last one).  Coordinates are dimensionless, energies in k_B T at beta = 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rbmscape.errors import InputError
from rbmscape.figures.datasets import provenance_attrs
from rbmscape.figures.material import RunKey
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
from rbmscape.model.rbm import RBM
from rbmscape.reciprocal.modes import Modes
from rbmscape.rng import Stream
from rbmscape.sampling.sample import sample
from rbmscape.symmetry.landau import landau, reachable_range

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from rbmscape.data.dataset import Dataset
    from rbmscape.figures.material import Material
    from rbmscape.runs.run import Run

__all__ = ["SPEC", "STAGES", "Options", "alt_text", "compute", "draw", "for_study"]

STAGES = ("weights", "initial", "trained")
NEAR = 3.0
"""A saddle is near the data where their mean lies within this many of their standard deviations from it."""
FLUCTUATIONS = (0.0, 0.25, 1.0)
_STEP = 1.0  # the energy is of second order, so that any step gives its curvature exactly


class Options(FigureOptions):
    """What a plan may choose for it.

    Parameters
    ----------
    n_modes : modes by singular value that are kept singly
    n_data : samples, at most
    """

    n_modes: Count = 8
    n_data: Count = 2000


SPEC = FigureSpec(
    title="Saddles, random states and data",
    caption=(
        "Left: distance of the test data from the saddle points in standard deviations of the data, median over all "
        "modes, for every replica (dashed: 3). Right: u of the first mode after training: saddle, centre μ of random "
        "states, and mean and standard deviation of the test data, by size of the hidden layer."
    ),
    reading=(
        "Left, points above the dashed line are data that lie far from their saddles. Right, see whether μ and the "
        "data lie on the same side of the saddle, and how that changes with size."
    ),
    order=220,
    cost=lambda scene, _: scene.base(1.0) + sum(scene.factors(3 * scene.replicas, hidden) for hidden in scene.hidden),
    options=Options,
)


def for_study(material: Material) -> xr.Dataset:
    """Every run of the study."""
    return compute(material.runs, material.dataset, seed=material.seed, **material.settings)


def compute(runs: Mapping[RunKey, Run], dataset: Dataset, seed: int = 0, **options: Any) -> xr.Dataset:
    """Positions and distances in every run.

    Parameters
    ----------
    runs : key to run
    dataset : its test data (training data where there are none) are projected, with h drawn from p(h | v)
    seed : of their choice and of h
    **options : of `Options`

    Returns
    -------
    Dataset over (run, stage, mode): ``distance``, of the data's mean from the saddle in units of the data's standard
    deviation (both over the plane of x and y), ``random_u|w`` (μ), ``data_u|w`` with ``data_u|w_sd``, all measured
    from the saddle, ``singular_value``; over (run, stage), of all paired modes, ``median_distance`` and ``near`` (share
    closer than three deviations); of the first mode over (run, stage, fluctuation) ``double_well``, 1 where its free
    energy has two minima that bit states can reach; over run ``update`` and ``epoch`` of the trained model and relative
    errors of equations 15, 16 and 19 for the trained model, from its energy (3) alone: ``sum_error`` (sum over modes
    against the energy of the data), ``saddle_error`` (energy at all saddles), ``curvature_error`` (second differences
    along u and w against ∓λ)

    Raises
    ------
    InputError : no run
    """
    import xarray as xr

    asked = Options(**options)
    if not runs:
        raise InputError("saddle and data positions need at least one run, found none")
    pool = dataset.test if len(dataset.test) else dataset.train
    points = pool[Stream(seed, "figures/centres").numpy().permutation(len(pool))[: asked.n_data]]
    parts = [_one_run(run, points, asked.n_modes, seed) for run in runs.values()]
    result = xr.concat(parts, "run", join="outer").assign_coords(
        recipe=("run", [key.recipe for key in runs]),
        hidden=("run", [key.hidden for key in runs]),
        replica=("run", [key.replica for key in runs]),
        stage=list(STAGES),
        fluctuation=list(FLUCTUATIONS),
    )
    result.attrs = provenance_attrs(
        seed=seed, n_data=len(points), n_visible=dataset.n_visible, main_recipe=next(iter(runs)).recipe
    )
    return result


def _one_run(run: Run, points: NDArray[Any], n_modes: int, seed: int) -> xr.Dataset:
    import xarray as xr

    first, last = run.load(run.updates[0], averaged=False), run.load()
    bare = RBM(first.weights, torch.zeros_like(first.visible_bias), torch.zeros_like(first.hidden_bias))
    stages = xr.concat([_one_stage(model, points, n_modes, seed) for model in (bare, first, last)], "stage")
    errors = _identity_errors(last, points[:200], n_modes, seed)
    return stages.assign({name: ((), value, {"units": "1"}) for name, value in errors.items()}).assign(
        update=((), float(run.last_update), {"units": "updates"}),
        epoch=((), run.last_update / run.updates_per_epoch, {"units": "epochs"}),
    )


def _one_stage(rbm: RBM, points: NDArray[Any], n_modes: int, seed: int) -> xr.Dataset:
    import xarray as xr

    modes = Modes.of(rbm)
    drawn = sample(rbm, n_chains=len(points), n_steps=0, seed=seed, start=points)
    data, mu = modes.project(drawn.v, drawn.h), modes.random_state_mean()
    count, kept = modes.n_paired, min(n_modes, modes.n_paired)
    along_x, along_y = data.x[:, :count] - modes.saddle_x, data.y[:, :count] - modes.saddle_y
    offset = torch.hypot(along_x.mean(0), along_y.mean(0))
    distance = offset / torch.hypot(along_x.std(0), along_y.std(0)).clamp_min(1e-12)
    distance = distance[~modes.flat]
    columns = {
        "distance": distance[:kept],
        "random_u": mu.u[:kept],
        "random_w": mu.w[:kept],
        "data_u": data.u[:, :kept].mean(0),
        "data_w": data.w[:, :kept].mean(0),
        "data_u_sd": data.u[:, :kept].std(0),
        "data_w_sd": data.w[:, :kept].std(0),
        "singular_value": modes.singular_values[:kept],
    }
    reach = reachable_range(modes, 0)
    curves = [landau(rbm, 0, fluctuation=s2, modes=modes) for s2 in FLUCTUATIONS]
    wells = [curve.minima_within(*reach).size == 2 for curve in curves]
    units = {"singular_value": "k_B T"}
    found = xr.Dataset(
        {name: ("mode", _padded(values, n_modes), {"units": units.get(name, "1")}) for name, values in columns.items()}
    )
    return found.assign(
        median_distance=((), float(distance.median()), {"units": "1"}),
        near=((), float((distance < NEAR).double().mean()), {"units": "1"}),
        double_well=("fluctuation", np.asarray(wells, dtype=float), {"units": "1"}),
    )


def _padded(values: torch.Tensor, length: int) -> NDArray[np.float64]:
    """NaN where a small model has fewer modes or flat ones."""
    array = values.double().cpu().numpy()
    return np.pad(array, (0, length - array.size), constant_values=np.nan)


def _identity_errors(rbm: RBM, points: NDArray[Any], n_modes: int, seed: int) -> dict[str, float]:
    """Relative errors of the sum over modes, of the energy at the saddles and of the curvatures along u and w."""
    exact = rbm.to(dtype=torch.float64)
    modes = Modes.of(exact)
    drawn = sample(rbm, n_chains=len(points), n_steps=0, seed=seed, start=points)
    total = exact.energy(drawn.v, drawn.h)
    summed = modes.mode_energies(modes.project(drawn.v, drawn.h)).sum(-1)
    errors = {"sum_error": float(((summed - total).abs() / total.abs().clamp_min(1.0)).max())}
    centre = torch.zeros(rbm.n_visible + rbm.n_hidden, dtype=torch.float64, device=modes.device)
    at_saddle = _energy_at(exact, modes, centre)
    expected = float(modes.saddle_energy.sum())
    errors["saddle_error"] = abs(at_saddle - expected) / max(1.0, abs(expected))
    worst = 0.0
    for mode in range(min(n_modes, modes.n_paired)):
        for place, sign in ((mode, -1.0), (modes.n_paired + mode, 1.0)):
            step = torch.zeros_like(centre)
            step[place] = _STEP
            second = _energy_at(exact, modes, step) + _energy_at(exact, modes, -step) - 2.0 * at_saddle
            exact_value = sign * float(modes.singular_values[mode])
            worst = max(worst, abs(second / _STEP**2 - exact_value) / max(1.0, abs(exact_value)))
    return errors | {"curvature_error": worst}


def _energy_at(rbm: RBM, modes: Modes, z: torch.Tensor) -> float:
    """Energy (3) of the point with reciprocal coordinates z; NaN where a flat mode has no saddle."""
    v, h = modes.restore(modes.from_z(z))
    return float(rbm.energy(v, h)) if bool(torch.isfinite(v).all() & torch.isfinite(h).all()) else math.nan


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """Distances of all modes by stage, and the first mode's three positions by size, for the main recipe."""
    main = dataset.isel(run=np.flatnonzero(dataset.recipe.values == dataset.attrs["main_recipe"]))
    figure, axes = new_figure(1, 2, size=(PAGE_WIDTH, 3.0))
    _draw_distances(axes[0, 0], main)
    _draw_positions(axes[0, 1], main.sel(stage="trained").isel(mode=0))
    legend_below(figure, *axes[0])
    panel_letters(axes)
    return figure


_APART = 0.08  # logarithmic distance between replicas
LABELS = {"weights": "initial weights, no biases", "initial": "initial weights and biases", "trained": "trained"}


def _draw_distances(panel: Axes, main: xr.Dataset) -> None:
    for index, stage in enumerate(STAGES):
        one = main.sel(stage=stage)
        panel.plot(
            _beside(one), one.median_distance, marker(index), color=colour(index), linestyle="none", label=LABELS[stage]
        )
    panel.axhline(NEAR, color="0.4", linestyle="--", linewidth=0.7)
    log_axis(panel, "x")
    log_axis(panel)
    _label_sizes(panel, main)
    panel.set_ylabel("data from the saddle (sd)")
    panel.set_title("median over modes", fontsize=8)


def _beside(runs: xr.Dataset) -> NDArray[np.float64]:
    """Sizes of the hidden layer, those of replicas moved apart."""
    replica = runs.replica.values
    return np.asarray(runs.hidden.values * np.exp(_APART * (replica - replica.max() / 2)))


def _label_sizes(panel: Axes, runs: xr.Dataset) -> None:
    sizes = sorted(set(runs.hidden.values.tolist()))
    panel.set_xticks(sizes, [str(size) for size in sizes])
    panel.set_xticks([], minor=True)
    panel.set_xlabel("hidden units M")


def _draw_positions(panel: Axes, one: xr.Dataset) -> None:
    sign = np.where(one.data_u.values < 0, -1.0, 1.0)
    for index, (name, label) in enumerate({"random_u": "μ (random states)", "data_u": "test data"}.items()):
        error = one.data_u_sd if name == "data_u" else None
        panel.errorbar(
            _beside(one), sign * one[name], yerr=error, color=colour(index), marker=marker(index), linestyle="none",
            label=label, alpha=0.8,
        )  # fmt: skip
    panel.axhline(0.0, color="0.4", linestyle="--", linewidth=0.7, label="saddle")
    log_axis(panel, "x")
    _label_sizes(panel, one)
    panel.set_ylabel("u of the first mode, trained")


def alt_text(dataset: xr.Dataset) -> str:
    """Distances and the first mode's positions by size, in words."""
    main = dataset.isel(run=np.flatnonzero(dataset.recipe.values == dataset.attrs["main_recipe"]))
    parts = []
    for hidden in sorted(set(main.hidden.values.tolist())):
        one = main.isel(run=np.flatnonzero(main.hidden.values == hidden))
        distance = [f"{float(one.median_distance.sel(stage=stage).mean()):.1f}" for stage in STAGES]
        first = one.sel(stage="trained").isel(mode=0)
        parts.append(
            f"M = {hidden}: {' / '.join(distance)}; in the trained model the first mode's data lie "
            f"{float(abs(first.data_u).mean()):.1f} and the centre of random states "
            f"{float(abs(first.random_u).mean()):.1f} from the saddle along u"
        )
    return (
        "Median distance of the test data from the saddle points in standard deviations (initial weights without "
        f"biases / with biases / trained), and positions along the first mode. {'. '.join(parts)}."
    )
