"""One generated state, projected onto twelve energy landscapes around its picture (arXiv:2503.21536, figure 1, right).

Modes are numbered from 1 in pictures and data, as in the paper.  Energies are in k_B T at beta = 1, coordinates are
dimensionless.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from rbmscape.errors import InputError
from rbmscape.figures.datasets import provenance_attrs
from rbmscape.figures.landscape_panels import draw_landscape, energy_bar, landscape_variables, point_style, saddle_style
from rbmscape.figures.mosaic import fold, is_image, show_states
from rbmscape.figures.samples import verdict
from rbmscape.figures.spec import Count, FigureOptions, FigureSpec
from rbmscape.figures.style import PAGE_WIDTH, legend_below, new_figure, print_style
from rbmscape.reciprocal.modes import Modes
from rbmscape.sampling.samples import Samples

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rbmscape.data.dataset import Dataset
    from rbmscape.figures.analysis import Subject
    from rbmscape.figures.material import Material

__all__ = ["PAPER_MODES", "SPEC", "Options", "alt_text", "chosen_modes", "compute", "draw", "for_model", "for_study"]

PAPER_MODES = (1, 2, 3, 4, 20, 30, 50, 100, 200, 300, 498, 500)
CLOCKWISE = ((0, 0), (0, 1), (0, 2), (0, 3), (1, 3), (2, 3), (3, 3), (3, 2), (3, 1), (3, 0), (2, 0), (1, 0))
NEIGHBOURS = 5


class Options(FigureOptions):
    """What a plan may choose for it.

    Parameters
    ----------
    modes : mode numbers, from 1, at most twelve; the paper's by default
    wanted_label : take the first state whose nearest test samples mostly have this label
    """

    modes: tuple[Count, ...] | None = None
    wanted_label: int | str | None = 3


SPEC = FigureSpec(
    title="A generated image on the energy landscapes",
    caption=(
        "A generated state (of digits the first whose nearest test images are mostly threes, else the first of all; "
        "white is 1) and its position, black pentagon, in the energy landscapes of twelve modes, clockwise from the "
        "upper left corner, as on the right of the paper's figure 1. Magenta star: saddle point (hollow, with its "
        "coordinates, where it lies outside); white lines: principal axes u, along which the energy falls, and w."
    ),
    reading=(
        "The pentagon beside a line u lies in the valley of that mode; one close to the star is undecided in it. In "
        "modes of small singular value all states lie in a cloud, and the landscape says nothing."
    ),
    printed=("One generated three on the landscapes 1, 2, 3, 4, 20, 30, 50, 100, 200, 300, 498 and 500."),
    order=20,
    paper="1, right",
    samples="main",
    analysis=(),
    cost=lambda scene, _: scene.base(2.0) + scene.factors(1),
    options=Options,
)


def for_study(material: Material) -> xr.Dataset:
    """A generated 3 of the size nearest to the paper's, M = 500."""
    options = {"wanted_label": 3, **material.settings}
    samples = material.samples(material.run()).at()
    return compute(samples, material.dataset, seed=material.seed, **options)


def for_model(subject: Subject) -> xr.Dataset:
    """The first sample of the subject, or with digits the first 3."""
    return compute(subject.samples, subject.dataset, image_shape=subject.image_shape, wanted_label=3, seed=subject.seed)


def chosen_modes(n_paired: int, count: int = 12) -> tuple[int, ...]:
    """Mode numbers (from 1): the paper's where there are 500 modes or more, else as many spread logarithmically."""
    if n_paired >= PAPER_MODES[-1] and count == len(PAPER_MODES):
        return PAPER_MODES
    if n_paired <= count:
        return tuple(range(1, n_paired + 1))
    numbers = {round(float(n)) for n in np.geomspace(1, n_paired, count)}
    free = (n for n in range(1, n_paired + 1) if n not in numbers)
    while len(numbers) < count:
        numbers.add(next(free))
    return tuple(sorted(numbers))


def compute(
    samples: Samples,
    dataset: Dataset | None = None,
    image_shape: tuple[int, int] | None = None,
    seed: int = 0,
    **options: Any,
) -> xr.Dataset:
    """Landscapes of twelve modes and one state on them.

    Parameters
    ----------
    samples : of the model, to choose from
    dataset : labels and image shape come from here; may be absent
    image_shape : (height, width) where there is no data set
    **options : of `Options`

    Returns
    -------
    ``state`` (unit), and per panel the landscape and the state's ``point_x``, ``point_y``

    Raises
    ------
    InputError : a mode that has no landscape
    """
    import xarray as xr

    asked = Options(**options)
    rbm, states = samples.model, samples.all
    space = Modes.of(rbm)
    numbers = chosen_modes(space.n_paired) if asked.modes is None else tuple(asked.modes)
    if not numbers or len(numbers) > len(CLOCKWISE):
        raise InputError(f"between one and twelve modes fit around the picture, found {len(numbers)}")
    index, label = _pick(states[0].cpu().numpy(), dataset, asked.wanted_label)
    visible, hidden = (layer[index : index + 1] for layer in states)
    point = space.project(visible, hidden)
    shape = image_shape or (dataset.image_shape if dataset is not None else None) or (0, 0)
    columns = torch.as_tensor([n - 1 for n in numbers], device=space.device)
    return xr.Dataset(
        {
            **landscape_variables(space, numbers, [point]),
            "state": ("unit", visible[0].cpu().numpy(), {"units": "1", "long_name": "generated binary state"}),
            "point_x": ("panel", point.x[0, columns].cpu().numpy(), {"units": "1"}),
            "point_y": ("panel", point.y[0, columns].cpu().numpy(), {"units": "1"}),
        },
        attrs=provenance_attrs(seed=seed, height=shape[0], width=shape[1], n_hidden=rbm.n_hidden, label=label)
        | dict(samples.facts),
    )


def _pick(states: NDArray[Any], dataset: Dataset | None, wanted: Any) -> tuple[int, str | None]:
    """Index of the first state that looks like the wanted class, by vote of its nearest labelled test samples."""
    if wanted is None or dataset is None or dataset.test_labels is None or len(dataset.test) < NEIGHBOURS:
        return 0, None
    reference = dataset.test.astype(np.float32)
    drawn = states.astype(np.float32)
    distance = drawn.sum(axis=1)[:, None] + reference.sum(axis=1)[None, :] - 2.0 * drawn @ reference.T
    nearest = np.argpartition(distance, NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS]
    votes = (dataset.test_labels[nearest].astype(str) == str(wanted)).mean(axis=1)
    best = int(np.argmax(votes))
    return best, str(wanted) if votes[best] > 0.5 else None


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """Panels clockwise from the upper left corner, the picture of the state in the middle."""
    figure, axes = new_figure(4, 4, size=(PAGE_WIDTH, PAGE_WIDTH + 0.9))
    for panel in axes.ravel():
        panel.set_axis_off()
    for index, place in enumerate(CLOCKWISE[: dataset.sizes["panel"]]):
        panel = axes[place]
        panel.set_axis_on()
        one = dataset.isel(panel=index)
        draw_landscape(panel, one, np.array([[float(one.point_x), float(one.point_y)]]))
        panel.plot(float(one.point_x), float(one.point_y), **point_style())
    for panel in axes[1:3, 1:3].ravel():
        panel.remove()
    middle = figure.add_subplot(axes[0, 0].get_gridspec()[1:3, 1:3])
    _draw_state(middle, dataset)
    middle.plot([], [], label="saddle point", **saddle_style())
    middle.plot([], [], label="generated state", **point_style())
    shown = [panel for panel in figure.axes if panel.axison]
    energy_bar(figure, shown)
    legend_below(figure, middle)
    return figure


def _draw_state(panel: Axes, dataset: xr.Dataset) -> None:
    height, width = int(dataset.attrs["height"]), int(dataset.attrs["width"])
    state = dataset.state.values
    pictured = is_image((height, width))
    show_states(panel, state.reshape(height, width) if pictured else fold(state))
    panel.set_xticks([])
    panel.set_yticks([])
    panel.spines[:].set_visible(True)
    words = "generated state" if "label" not in dataset.attrs else f"generated {dataset.attrs['label']}"
    panel.set_title(words if pictured else f"{words}, its {state.size} units line by line")


def alt_text(dataset: xr.Dataset) -> str:
    """Distance of the state from each saddle, in words."""
    distance = np.hypot(dataset.point_x - dataset.saddle_x, dataset.point_y - dataset.saddle_y)
    parts = [f"mode {int(n)}: {float(d):.1f}" for n, d in zip(dataset["mode"], distance, strict=True)]
    return (
        f"A generated state in the middle and around it its position in the energy landscapes of "
        f"{dataset.sizes['panel']} modes; distance from the saddle point: {', '.join(parts)}. {verdict(dataset)}"
    )
