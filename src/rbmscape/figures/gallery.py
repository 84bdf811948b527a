"""Samples of trained models beside data: what the numbers look like.

States are (group, sample, unit) uint8; the first group is data.  Data that are no images are drawn as rows of dots.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from rbmscape.errors import InputError, ShapeError
from rbmscape.figures.datasets import provenance_attrs
from rbmscape.figures.mosaic import column_names, columns_attr, draw_row, is_image, name_units
from rbmscape.figures.samples import shared_facts, verdict
from rbmscape.figures.spec import Count, FigureOptions, FigureSpec
from rbmscape.figures.style import PAGE_WIDTH, new_figure, print_style
from rbmscape.rng import Stream
from rbmscape.sampling.samples import Samples

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from rbmscape.data.dataset import Dataset
    from rbmscape.figures.material import Material

__all__ = ["SPEC", "Options", "alt_text", "compute", "draw", "for_study"]


class Options(FigureOptions):
    """What a plan may choose for it.

    Parameters
    ----------
    n_samples : pictures of each model, each from a column of its own
    """

    n_samples: Count = 12


SPEC = FigureSpec(
    title="Samples",
    caption=(
        "Test data, and equilibrium samples of the trained models (replica exchange along the training); white is 1. "
        "Data that are no images stand one a line."
    ),
    reading=(
        "Samples should look like data and differ from each other. Many alike, or none of some class, mean that "
        "chains or model have lost states; the verdict in the title says whether they are in equilibrium."
    ),
    order=200,
    samples="sizes",
    cost=lambda scene, _: scene.base(0.5) + 0.01 * sum(scene.factors(1, hidden) for hidden in scene.hidden),
    options=Options,
)


def for_study(material: Material) -> xr.Dataset:
    """Samples of the first replica of every size, of the model that training delivered."""
    samples = {f"M = {size}": material.samples(material.run(size)).at() for size in material.hidden()}
    return compute(samples, material.dataset, seed=material.seed, **material.settings)


def compute(samples: Mapping[str, Samples], dataset: Dataset, seed: int = 0, **options: Any) -> xr.Dataset:
    """The first samples of every model and as many test samples.

    Parameters
    ----------
    samples : label to samples of a model
    dataset : data of the same width, for comparison and for the shape of images
    seed : of the choice of data
    **options : of `Options`

    Returns
    -------
    ``state`` over (group, sample, unit), entries 0 and 1, and over group what is known about equilibrium (NaN for the
    data); attributes ``height`` and ``width`` are 0 where the data are no images

    Raises
    ------
    InputError : more samples are asked for than there are
    ShapeError : a model has another number of visible units than the data
    """
    import xarray as xr

    asked = Options(**options)
    fewest = min((len(found.v) for found in samples.values()), default=asked.n_samples)
    if asked.n_samples > fewest:
        raise InputError(f"a gallery shows 1 to {fewest} of these samples, found n_samples={asked.n_samples}")
    for label, found in samples.items():
        if found.model.n_visible != dataset.n_visible:
            raise ShapeError(
                f"{label} has {found.model.n_visible} visible units but the data {dataset.n_visible}; "
                "show it beside the data it was trained on"
            )
    pool = dataset.test if len(dataset.test) else dataset.train
    random = Stream(seed, "gallery/data").numpy()
    picks = random.choice(len(pool), size=asked.n_samples, replace=asked.n_samples > len(pool))
    groups = [np.asarray(pool[picks])]
    groups += [found.v[: asked.n_samples].cpu().numpy() for found in samples.values()]
    height, width = dataset.image_shape or (0, 0)
    units = {"samples_r_hat": "1", "samples_ess": "draws", "samples_equilibrated": "1"}
    known = {name: ("group", [np.nan, *(float(found.facts[name]) for found in samples.values())], {"units": unit})
             for name, unit in units.items()}  # fmt: skip
    return xr.Dataset(
        {
            "state": (("group", "sample", "unit"), np.stack(groups), {"units": "1", "long_name": "binary state"}),
            **known,
        },
        coords={"group": ["data", *samples]},
        attrs=provenance_attrs(
            seed=seed, height=height, width=width, data=dataset.name, columns=columns_attr(dataset.columns)
        )
        | shared_facts(list(samples.values())),
    )


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """One row of pictures a group."""
    states = dataset.state.values
    n_groups, n_samples, _ = states.shape
    shape = (int(dataset.attrs["height"]), int(dataset.attrs["width"]))
    pictured = is_image(shape)
    row = PAGE_WIDTH / n_samples * shape[0] / shape[1] * 0.88 if pictured else 0.4 + 0.05 * n_samples
    figure, axes = new_figure(n_groups, 1, size=(PAGE_WIDTH, row * n_groups + (0.1 if pictured else 0.8)))
    for panel, group, label in zip(axes[:, 0], states, dataset.group.values, strict=True):
        draw_row(panel, group, shape, str(label))
    if not pictured:
        name_units(axes[-1, 0], states.shape[-1], column_names(dataset))
    return figure


def alt_text(dataset: xr.Dataset) -> str:
    """What the rows are, and how many units are on in each."""
    fractions = dataset.state.mean(("sample", "unit"))
    parts = [
        f"{group}: {100 * float(value):.0f} % of units on"
        for group, value in zip(dataset.group.values, fractions.values, strict=True)
    ]
    pictured = is_image((int(dataset.attrs["height"]), int(dataset.attrs["width"])))
    kind = "binary pictures" if pictured else "binary states, one a line"
    return (
        f"Rows of {dataset.sizes['sample']} {kind}, white for 1, test data first and then samples of each model "
        f"({'; '.join(parts)}). {verdict(dataset)}"
    )
