"""Energy landscapes of four modes with test data by class and Gibbs samples, untrained and trained
(arXiv:2503.21536, figure 2).

Modes are numbered from 1, energies in k_B T at beta = 1, coordinates dimensionless.  The untrained model has zero
biases, so that its saddles lie at the origin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from rbmscape.figures.datasets import provenance_attrs
from rbmscape.figures.landscape_panels import draw_landscape, energy_bar, landscape_variables, saddle_style
from rbmscape.figures.samples import verdict
from rbmscape.figures.spec import Count, FigureOptions, FigureSpec
from rbmscape.figures.style import CLASS_COLOURS, PAGE_WIDTH, marker, new_figure, print_style
from rbmscape.model.rbm import RBM
from rbmscape.reciprocal.coordinates import Coordinates
from rbmscape.reciprocal.modes import Modes
from rbmscape.rng import Stream
from rbmscape.sampling.draws import Draws
from rbmscape.sampling.sample import sample
from rbmscape.sampling.samples import Samples

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rbmscape.data.dataset import Dataset
    from rbmscape.figures.analysis import Subject
    from rbmscape.figures.material import Material

__all__ = ["SPEC", "Options", "alt_text", "compute", "draw", "for_model", "for_study"]

SAMPLES: dict[str, Any] = {"marker": "h", "facecolors": "none", "edgecolors": "black", "linewidths": 0.5}
"""Hollow, so that neither they nor the data hide each other."""
N_SAMPLES = 200
MOST_CLASSES = 10
"""Data with more classes are shown in one colour."""


class Options(FigureOptions):
    """What a plan may choose for it.

    Parameters
    ----------
    modes : mode numbers, from 1; by default 1, 2, 3 and the last but two
    n_points : how many data are shown
    """

    modes: tuple[Count, ...] | None = None
    n_points: Count = 500


SPEC = FigureSpec(
    title="Energy landscapes, untrained and trained",
    caption=(
        "Contours of the energy E_i over x_i and y_i for modes 1, 2, 3 and the last but two, as in the paper's figure "
        "2: test data coloured by class, equilibrium samples as hollow hexagons, the saddle point as a magenta star."
        " The untrained model has no biases, so that its saddles lie at the origin."
    ),
    reading=(
        "Untrained, data are a round cloud. Trained, compare the cloud with the axis u: data on both sides of the "
        "star are split by the mode, data on one side are not; samples should cover what data cover."
    ),
    printed=(
        "The same four modes, untrained on the left and trained on the right, with test data in colour and samples as "
        "grey hexagons."
    ),
    order=30,
    paper="2",
    samples="main",
    analysis=(),
    cost=lambda scene, _: scene.base(1.5) + scene.factors(2),
    options=Options,
)


def for_study(material: Material) -> xr.Dataset:
    """Random weights beside the trained model of the size nearest to the paper's, M = 500."""
    run = material.run()
    n_visible = material.dataset.n_visible
    fresh = RBM.random(n_visible, run.config.n_hidden, run.config.weight_std or 0.01, material.seed)
    samples = {"untrained": _independent(fresh, material.seed), "trained": material.samples(run).at()}
    return compute(samples, material.dataset, seed=material.seed, **material.settings)


def for_model(subject: Subject) -> xr.Dataset:
    """Random weights beside the subject."""
    samples = {"untrained": _independent(subject.untrained, subject.seed), "trained": subject.samples}
    return compute(samples, subject.dataset, seed=subject.seed)


def _independent(fresh: RBM, seed: int) -> Samples:
    """Samples of an untrained model: its units are so weakly coupled that Gibbs chains forget their start at once."""
    chains = sample(fresh, n_chains=N_SAMPLES, n_steps=100, seed=seed)
    return Samples(fresh, Draws(chains.v[:, None], chains.h[:, None]), {"samples_method": "Gibbs sampling"})


def default_modes(n_paired: int) -> tuple[int, ...]:
    """Mode numbers from 1: the first three and the last but two, as 1, 2, 3 and 498 of 500 in the paper."""
    return tuple(sorted({n for n in (1, 2, 3, n_paired - 2) if 1 <= n <= n_paired})) or (1,)


def compute(
    samples: Mapping[str, Samples], dataset: Dataset | None = None, seed: int = 0, **options: Any
) -> xr.Dataset:
    """Landscapes of some modes of some models, with states on them.

    Parameters
    ----------
    samples : label to samples of a model, all with the same numbers of units; one a column is shown
    dataset : test data (training data where there are none) to project; h is drawn from p(h | v)
    **options : of `Options`

    Returns
    -------
    Dataset over (model, panel): the landscape on its grid, ``points_x|y`` (point), ``samples_x|y`` (chain); ``label``
    (point) is the class of a data point, -1 where there are no classes
    """
    import xarray as xr

    asked = Options(**options)
    space = {name: Modes.of(found.model) for name, found in samples.items()}
    first = next(iter(space.values()))
    numbers = default_modes(first.n_paired) if asked.modes is None else tuple(asked.modes)
    points, labels, names = _data_points(dataset, asked.n_points, seed)
    n_samples = min(len(found.v) for found in samples.values())
    parts = []
    for name, found in samples.items():
        model = found.model
        states = {"samples": space[name].project(found.v[:n_samples], found.h[:n_samples])}
        if points is not None:
            with_hidden = sample(model, n_chains=len(points), n_steps=0, seed=seed, start=points)
            states["points"] = space[name].project(with_hidden.v, with_hidden.h)
        parts.append(_one_model(space[name], numbers, states))
    result = xr.concat(parts, dim="model").assign_coords(model=list(samples))
    if points is not None:
        result["label"] = ("point", labels, {"long_name": "class of the data point; -1 without classes"})
    facts = dict(list(samples.values())[-1].facts)
    return result.assign_attrs(provenance_attrs(seed=seed, n_hidden=first.n_hidden, classes=",".join(names)) | facts)


def _data_points(
    dataset: Dataset | None, n_points: int, seed: int
) -> tuple[NDArray[np.uint8] | None, NDArray[np.int64], list[str]]:
    """Randomly chosen test samples, the number of their class, and the classes' names."""
    if dataset is None:
        return None, np.empty(0, np.int64), []
    use_test = len(dataset.test) > 0
    pool, labels = (dataset.test, dataset.test_labels) if use_test else (dataset.train, dataset.train_labels)
    picks = Stream(seed, "figures/landscapes").numpy().permutation(len(pool))[:n_points]
    if labels is None:
        return pool[picks], np.full(len(picks), -1), []
    classes = np.unique(labels)
    if len(classes) > MOST_CLASSES:
        return pool[picks], np.full(len(picks), -1), []
    return pool[picks], np.searchsorted(classes, labels[picks]), [str(c) for c in classes]


def _one_model(modes: Modes, numbers: Sequence[int], states: Mapping[str, Coordinates]) -> xr.Dataset:
    import xarray as xr

    columns = torch.as_tensor([n - 1 for n in numbers], device=modes.device)
    variables: dict[str, Any] = landscape_variables(modes, numbers, list(states.values()))
    for name, coordinates in states.items():
        dimension = "point" if name == "points" else "chain"
        for axis in "xy":
            values = getattr(coordinates, axis)[:, columns].cpu().numpy().T
            variables[f"{name}_{axis}"] = (("panel", dimension), values, {"units": "1"})
    return xr.Dataset(variables)


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """A block of panels, two columns wide, for each model."""
    n_models, n_panels = dataset.sizes["model"], dataset.sizes["panel"]
    columns = min(2, n_panels)
    rows = -(-n_panels // columns)
    side = PAGE_WIDTH / (columns * n_models)
    figure, axes = new_figure(rows, columns * n_models, size=(PAGE_WIDTH, (side + 0.25) * rows + 1.0))
    for panel in axes.ravel():
        panel.set_axis_off()
    for m in range(n_models):
        one = dataset.isel(model=m)
        for k in range(n_panels):
            panel = axes[k // columns, columns * m + k % columns]
            panel.set_axis_on()
            _draw_panel(panel, one.isel(panel=k))
        corner = axes[0, columns * m]
        corner.annotate(
            str(one.model.values), xy=(0, 1), xytext=(0, 24), xycoords="axes fraction", textcoords="offset points",
            fontweight="bold",
        )  # fmt: skip
    energy_bar(figure, [panel for panel in axes.ravel() if panel.axison])
    _legend(figure, axes[0, 0], dataset)
    return figure


def _draw_panel(panel: Axes, one: xr.Dataset) -> None:
    names = ("samples", "points") if "points_x" in one else ("samples",)
    avoid = [np.column_stack([one[f"{name}_x"].values, one[f"{name}_y"].values]) for name in names]
    draw_landscape(panel, one, np.concatenate(avoid))
    panel.scatter(one.samples_x, one.samples_y, s=11, zorder=5, **SAMPLES)
    if "points_x" in one:
        labels = one.label.values
        for label in np.unique(labels):
            chosen = labels == label
            panel.scatter(
                one.points_x.values[chosen], one.points_y.values[chosen], s=5, linewidths=0, zorder=4,
                color=_class_colour(int(label)), marker=marker(max(int(label), 0)),
            )  # fmt: skip


def _class_colour(label: int) -> str:
    return CLASS_COLOURS[label] if label >= 0 else CLASS_COLOURS[0]


def _legend(figure: Figure, panel: Axes, dataset: xr.Dataset) -> None:
    handles: list[Any] = panel.plot([], [], label="saddle", **saddle_style())
    handles.append(panel.scatter([], [], s=20, label="samples", **SAMPLES))
    if "points_x" in dataset:
        names = [name for name in str(dataset.attrs["classes"]).split(",") if name]
        for index, name in enumerate(names or ["data"]):
            handles += panel.plot([], [], marker(index), color=_class_colour(index), label=name, markersize=4)
    figure.legend(handles=handles, loc="outside lower center", ncols=12, columnspacing=0.9, handletextpad=0.1)


def alt_text(dataset: xr.Dataset) -> str:
    """Where the states lie relative to the saddles, in words."""
    parts = []
    for name in dataset.model.values:
        one = dataset.sel(model=name)
        distance = np.hypot(one.samples_x.mean("chain") - one.saddle_x, one.samples_y.mean("chain") - one.saddle_y)
        values = ", ".join(
            f"{float(d):.1f} in mode {int(n)}" for n, d in zip(one["mode"].values, distance.values, strict=True)
        )
        parts.append(f"{name}: {values}")
    classes = len([name for name in str(dataset.attrs["classes"]).split(",") if name])
    shown = f"test data coloured by {classes} classes and " if classes else "test data and "
    return (
        f"Contour plots of the energy of single modes with {shown if 'points_x' in dataset else ''}samples of the "
        "model. "
        f"Distance of the samples' centre from the saddle point, {'; '.join(parts)}. {verdict(dataset)}"
    )
