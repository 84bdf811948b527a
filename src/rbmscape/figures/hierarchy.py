"""What rotating modes does to samples (arXiv:2503.21536, figure 6), and how global or local it is.

Three rows of pictures: the last sampling step as it is, with modes 1 and 2 turned by π, and with ten turns by π among
the modes after the fifth; then pixels changed, area and connectedness of the change against the mode index.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from rbmscape.errors import InputError
from rbmscape.figures.datasets import provenance_attrs
from rbmscape.figures.mosaic import draw_row, is_image
from rbmscape.figures.samples import sampled, verdict
from rbmscape.figures.spec import Count, FigureOptions, FigureSpec
from rbmscape.figures.style import PAGE_WIDTH, colour, legend_below, log_axis, new_figure, panel_letters, print_style
from rbmscape.reciprocal.modes import Modes
from rbmscape.rng import Stream
from rbmscape.sampling.sample import sample
from rbmscape.sampling.samples import Samples
from rbmscape.symmetry.classes import ImageClasses, class_changes
from rbmscape.symmetry.hierarchy import (
    ModeEffect,
    RotatedSamples,
    hierarchy_profile,
    mode_effect,
    mode_rotation,
    random_mode_rotation,
    rotated_samples,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

    from rbmscape.data.dataset import Dataset
    from rbmscape.figures.analysis import Subject
    from rbmscape.figures.material import Material
    from rbmscape.model.rbm import RBM
    from rbmscape.stats import Estimate
    from rbmscape.symmetry.rotations import Rotation

__all__ = ["SPEC", "Options", "alt_text", "compute", "draw", "for_model", "for_study"]

QUANTITIES = ("pixels_changed", "area", "connected", "connected_random", "spread")
GROUPS = ("samples", "modes 1 and 2", "later modes")


class Options(FigureOptions):
    """What a plan may choose for it.

    Parameters
    ----------
    n_pictures : samples that are shown, at most
    n_rotations : turns by π of the third group of pictures, at most as many as there are planes
    first_mode : these turns are in random planes of modes from this index on
    indices : modes i of the planes (i, i + 1) whose effect is measured; by default log-spaced
    """

    n_pictures: Count = 10
    n_rotations: Count = 10
    first_mode: Annotated[int, Field(ge=0)] = 5
    indices: tuple[Annotated[int, Field(ge=0)], ...] | None = None


SPEC = FigureSpec(
    title="Hierarchy of modes",
    caption=(
        "Samples, the same with modes 1 and 2 turned by π, and with ten turns by π among the modes after the fifth, "
        "as in the paper's figure 6; below, what a turn by π of modes i and i + 1 changes: number of pixels, share of "
        "the largest connected patch (beside as many pixels in random places) and of the bounding box, and the "
        "number of pixels that share the change. Bars are standard errors over independent samples."
    ),
    reading=(
        "Turns of the first modes should change many pixels over the whole image, turns of later ones few; whether "
        "these are local is told by their patch against that of as many random pixels."
    ),
    printed=(
        "Samples, the same after a turn by π that concerns the two leading modes, and after ten turns that concern "
        "later ones; no numbers."
    ),
    order=90,
    paper="6",
    samples="main",
    analysis=(),
    cost=lambda scene, _: scene.base(4.0) + scene.factors(12),
    options=Options,
)


def for_study(material: Material) -> xr.Dataset:
    """Data of the figure for the size nearest to the paper's 500."""
    samples, dataset = material.samples(material.run()).at(), material.dataset
    return compute(samples, dataset.image_shape, dataset, material.seed, **material.settings)


def for_model(subject: Subject) -> xr.Dataset:
    """Data of the figure for one model."""
    return compute(subject.samples, subject.image_shape, subject.dataset, subject.seed)


def compute(
    samples: Samples,
    image_shape: tuple[int, int] | None = None,
    dataset: Dataset | None = None,
    seed: int = 0,
    **options: Any,
) -> xr.Dataset:
    """Samples before and after rotations, and the effect of every mode.

    Parameters
    ----------
    samples : of a trained model; its hidden states, one a column, are those of the last sampling step
    image_shape : height and width of the images; None for data that are no images
    dataset : the model's data; the rotations are applied to the hidden states of its test images as well, and with
        labels the share of images whose class they change is counted
    seed : of planes and last steps
    **options : of `Options`

    Returns
    -------
    ``state`` over (group, sample, unit); the quantities of `rbmscape.symmetry.hierarchy.ModeEffect` and their errors
    over mode (index from 0) and over group (rotation of the pictures, printed formula and without its pixel factor);
    with data the same from h given test images, with names that begin with ``images_``, and with labels
    ``class_changed`` and ``class_random`` (as many units flipped in random places) over rotation, and as an attribute
    ``class_accuracy`` of the classifier on the test data

    Raises
    ------
    InputError : fewer than two samples, or a model with too few modes for the rotations
    """
    asked = Options(**options)
    if len(samples.h) < 2:
        raise InputError(f"the figure needs 2 samples or more, found {len(samples.h)}; draw more")
    rbm = samples.model
    modes = Modes.of(rbm)
    h = samples.h
    chosen = _log_spaced(modes.n_paired - 1) if asked.indices is None else np.asarray(asked.indices)
    effects = hierarchy_profile(rbm, modes, h, chosen.tolist(), image_shape, seed=seed)
    later = range(min(asked.first_mode, modes.n_paired - 2), modes.n_paired)
    n_rotations = min(asked.n_rotations, math.comb(len(later), 2))  # small models have fewer planes
    rotations = [
        mode_rotation(modes.n_visible, [(0, 1)]),
        random_mode_rotation(modes.n_visible, later, n_rotations, seed=seed),
    ]
    classes = _classes(dataset)
    drawn, groups = _of_rotations(rbm, modes, h, rotations, image_shape, classes, seed)
    states = np.stack([x.cpu().numpy()[: asked.n_pictures] for x in (drawn[0].before, drawn[0].after, drawn[1].after)])
    result = _table(effects, "mode").assign_coords(mode=chosen).merge(groups)
    if dataset is not None:
        images = _given_images(rbm, dataset, len(h), seed)
        _, of_images = _of_rotations(rbm, modes, images, rotations, image_shape, classes, seed)
        profile = _table(hierarchy_profile(rbm, modes, images, chosen.tolist(), image_shape, seed=seed), "mode")
        result = result.merge(_prefixed(of_images.merge(profile), "images"))
    result = result.assign(
        state=(("group", "sample", "unit"), states, {"units": "1"}),
        singular_value=("mode", modes.singular_values.cpu().numpy()[chosen], {"units": "k_B T at beta = 1"}),
    ).assign_coords(group=list(GROUPS), rotation=list(GROUPS[1:]))
    height, width = image_shape or (0, 0)
    result.attrs = provenance_attrs(seed=seed, n_samples=len(h), n_rotations=n_rotations, height=height, width=width)
    if classes is not None and dataset is not None and dataset.test_labels is not None:
        result.attrs["class_accuracy"] = classes.accuracy(dataset.test, dataset.test_labels)
    return sampled(result, samples)


def _of_rotations(
    rbm: RBM,
    modes: Modes,
    h: Tensor,
    rotations: Sequence[Rotation],
    image_shape: tuple[int, int] | None,
    classes: ImageClasses | None,
    seed: int,
) -> tuple[list[RotatedSamples], xr.Dataset]:
    """The last step with and without the printed formula's pixel factor, and what the rotations change."""
    import xarray as xr

    drawn = [rotated_samples(rbm, modes, h, rotation, seed=seed) for rotation in rotations]
    without = [rotated_samples(rbm, modes, h, rotation, pixels=False, seed=seed) for rotation in rotations]
    result = xr.Dataset()
    for name, groups in (("printed", drawn), ("modes_only", without)):
        of_group = _table([mode_effect(x, image_shape, seed) for x in groups], "rotation")
        result = result.merge(_prefixed(of_group, name))
    for name, pair in zip(("class_changed", "class_random"), _class_columns(classes, drawn, seed), strict=False):
        result[name] = ("rotation", [one.value for one in pair], {"units": "1"})
        result[f"{name}_stderr"] = ("rotation", [one.stderr for one in pair], {"units": "1"})
    return drawn, result


def _class_columns(
    classes: ImageClasses | None, drawn: Sequence[RotatedSamples], seed: int
) -> tuple[tuple[Estimate, ...], ...]:
    """Changed classes of every rotation, and of as many random flips; nothing where there are no classes."""
    return () if classes is None else tuple(zip(*(class_changes(one, classes, seed) for one in drawn), strict=True))


def _prefixed(dataset: xr.Dataset, prefix: str) -> xr.Dataset:
    return dataset.rename({name: f"{prefix}_{name}" for name in dataset.data_vars})


def _classes(dataset: Dataset | None) -> ImageClasses | None:
    """A classifier of the data's labels; None without labels of two kinds."""
    if dataset is None or dataset.train_labels is None or len(np.unique(dataset.train_labels)) < 2:
        return None
    return ImageClasses.fit(dataset.train, dataset.train_labels)


def _given_images(rbm: RBM, dataset: Dataset, count: int, seed: int) -> Tensor:
    """Hidden states given test images (training ones where there are none), each once."""
    pool = dataset.test if len(dataset.test) else dataset.train
    rows = pool[Stream(seed, "figures/hierarchy").numpy().permutation(len(pool))[: max(2, count)]]
    return sample(rbm, n_chains=len(rows), n_steps=0, seed=seed, start=rows).h


def _log_spaced(count: int, points: int = 24) -> NDArray[np.int64]:
    """Different indices from 0 to count - 1, dense at the beginning."""
    return np.unique(np.round(np.geomspace(1, count, points)).astype(np.int64) - 1)


def _table(effects: Sequence[ModeEffect], axis: str) -> xr.Dataset:
    """Values and standard errors of every quantity along one axis."""
    import xarray as xr

    units = {"pixels_changed": "pixels", "spread": "pixels"}
    columns = {}
    for name in QUANTITIES:
        estimates = [getattr(effect, name) for effect in effects]
        attrs = {"units": units.get(name, "1")}
        columns[name] = (axis, np.array([e.value for e in estimates]), attrs)
        columns[f"{name}_stderr"] = (axis, np.array([e.stderr for e in estimates]), attrs)
    return xr.Dataset(columns)


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """States above, numbers below."""
    shape = (int(dataset.attrs["height"]), int(dataset.attrs["width"]))
    pictured, count = is_image(shape), dataset.sizes["sample"]
    row = PAGE_WIDTH * 0.85 / count * shape[0] / shape[1] if pictured else 0.3 + 0.04 * count
    figure, axes = new_figure(4, 1, size=(PAGE_WIDTH, 3 * row + 2.6), height_ratios=[row, row, row, 2.2])
    for panel, states, label in zip(axes[:3, 0], dataset.state.values, dataset.group.values, strict=True):
        words = str(label).replace(" and", "\nand").replace("later ", "later\n")
        draw_row(panel, states, shape, words)
    connected = bool(np.isfinite(dataset.connected.values).any())
    place = axes[3, 0].get_subplotspec().subgridspec(1, 3 if connected else 2)
    axes[3, 0].remove()
    panels = [figure.add_subplot(place[0, k]) for k in range(3 if connected else 2)]
    units = "pixels" if pictured else "units"
    _curve(panels[0], dataset, "pixels_changed", f"{units} changed", 0)
    _curve(panels[-1], dataset, "spread", f"{units} that share it", 0)
    if len(panels) == 3:
        _curve(panels[1], dataset, "connected", "largest connected part", 0, "change")
        _curve(panels[1], dataset, "connected_random", "largest connected part", 1, "as many at random")
        _curve(panels[1], dataset, "area", "share", 2, "bounding box / image")
        legend_below(figure, panels[1], title="middle panel")
    panel_letters(panels)
    return figure


def _curve(panel: Axes, dataset: xr.Dataset, name: str, ylabel: str, index: int, label: str = "") -> None:
    panel.errorbar(
        dataset["mode"].values + 1,
        dataset[name].values,
        dataset[f"{name}_stderr"].values,
        color=colour(index),
        marker="os^"[index],
        label=label,
    )
    log_axis(panel, "x")
    panel.set_xlabel("mode index")
    highest = float(np.nanmax(dataset[name].values + dataset[f"{name}_stderr"].values, initial=0.0))
    top = max(1.08 * highest, panel.get_ylim()[1] if index else 0.0) or 1.0
    panel.set_ylim(-0.06 * top, top)
    panel.set_ylabel(ylabel)


def alt_text(dataset: xr.Dataset) -> str:
    """Pixels changed by the first and the last modes."""
    first, last = dataset.isel(mode=0), dataset.isel(mode=-1)
    units = "pixels" if is_image((int(dataset.attrs["height"]), int(dataset.attrs["width"]))) else "units"
    return (
        f"Samples before and after rotations of modes. Turning modes 1 and 2 by half a turn changes "
        f"{float(first.pixels_changed):.0f} {units} of a sample on average, modes {int(last['mode']) + 1} and "
        f"{int(last['mode']) + 2} change {float(last.pixels_changed):.2g}; {int(dataset.attrs['n_rotations'])} turn(s) "
        f"among later modes change {float(dataset.printed_pixels_changed[1]):.0f}. {verdict(dataset)}"
    )
