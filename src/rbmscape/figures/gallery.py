"""Samples of trained models beside data: what the numbers look like.

States are (group, sample, unit) uint8; the first group is data.  Data that are no images are drawn as rows of dots.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rbmscape.errors import InputError, ShapeError
from rbmscape.figures.style import PAGE_WIDTH, new_figure, print_style, provenance_attrs
from rbmscape.rng import Stream
from rbmscape.sampling.sample import sample

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rbmscape.data.dataset import Dataset
    from rbmscape.figures.material import Material
    from rbmscape.model.rbm import RBM

__all__ = ["alt_text", "compute", "draw", "for_study"]


def for_study(material: Material) -> xr.Dataset:
    """Samples of the last checkpoint of the first replica of every size."""
    models = {f"M = {size}": material.run(size).load() for size in material.hidden()}
    return compute(models, material.dataset, seed=material.seed, **material.options)


def compute(
    models: Mapping[str, RBM],
    dataset: Dataset,
    n_samples: int = 12,
    n_steps: int = 2000,
    seed: int = 0,
) -> xr.Dataset:
    """Draw samples of every model and choose as many test samples.

    Parameters
    ----------
    models : label to model
    dataset : data of the same width, for comparison and for the shape of images
    n_samples : chains of each model, each started from random bits
    n_steps : Gibbs steps of each chain
    seed : of chains and choice

    Returns
    -------
    ``state`` over (group, sample, unit), entries 0 and 1; attributes ``height`` and ``width`` are 0 where the data are
    no images

    Raises
    ------
    InputError : fewer than one sample is asked for
    ShapeError : a model has another number of visible units than the data
    """
    import xarray as xr

    if n_samples < 1:
        raise InputError(f"a gallery needs at least one sample, found n_samples={n_samples}; ask for more")
    for label, model in models.items():
        if model.n_visible != dataset.n_visible:
            raise ShapeError(
                f"{label} has {model.n_visible} visible units but the data {dataset.n_visible}; "
                "show it beside the data it was trained on"
            )
    pool = dataset.test if len(dataset.test) else dataset.train
    picks = Stream(seed, "gallery/data").numpy().choice(len(pool), size=n_samples, replace=n_samples > len(pool))
    groups = [np.asarray(pool[picks])]
    for label, model in models.items():  # chains of different models must not share random numbers
        own_seed = int(Stream(seed, f"gallery/{label}").numpy().integers(2**63))
        states = sample(model, n_chains=n_samples, n_steps=n_steps, seed=own_seed).v
        groups.append(states.cpu().numpy())
    height, width = dataset.image_shape or (0, 0)
    return xr.Dataset(
        {"state": (("group", "sample", "unit"), np.stack(groups), {"units": "1", "long_name": "binary state"})},
        coords={"group": ["data", *models]},
        attrs=provenance_attrs(seed=seed, n_steps=n_steps, height=height, width=width, data=dataset.name),
    )


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """One row of pictures a group."""
    states = dataset.state.values
    n_groups, n_samples, _ = states.shape
    shape = (int(dataset.attrs["height"]), int(dataset.attrs["width"]))
    if 0 in shape:
        figure, axes = new_figure(n_groups, 1, size=(PAGE_WIDTH, 0.5 + 0.9 * n_groups))
        pictures = list(states)
    else:
        row = PAGE_WIDTH / n_samples * shape[0] / shape[1] * 0.95
        figure, axes = new_figure(n_groups, 1, size=(PAGE_WIDTH, row * n_groups + 0.1))
        pictures = [_mosaic(group, shape) for group in states]
    for panel, picture, label in zip(axes[:, 0], pictures, dataset.group.values, strict=True):
        _show(panel, picture, str(label), is_image=0 not in shape)
    return figure


def _mosaic(states: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    """(n, units) to (height, n·(width+gap)) with half-grey gaps between pictures."""
    gap = max(1, shape[1] // 14)
    padded = np.full((len(states), shape[0], shape[1] + gap), 0.5)
    padded[:, :, : shape[1]] = states.reshape(-1, *shape)
    return np.concatenate(list(padded), axis=1)[:, :-gap]


def _show(panel: Axes, picture: NDArray[Any], label: str, is_image: bool) -> None:
    panel.imshow(picture, cmap="gray", vmin=0, vmax=1, aspect="equal" if is_image else "auto")
    panel.set_ylabel(label, rotation=0, ha="right", va="center")
    panel.set_xticks([])
    panel.set_yticks([])
    for spine in panel.spines.values():
        spine.set_visible(False)


def alt_text(dataset: xr.Dataset) -> str:
    """What the rows are, and how many units are on in each."""
    fractions = dataset.state.mean(("sample", "unit"))
    parts = [
        f"{group}: {100 * float(value):.0f} % of units on"
        for group, value in zip(dataset.group.values, fractions.values, strict=True)
    ]
    return (
        f"Rows of {dataset.sizes['sample']} binary pictures, test data first and then samples of each model after "
        f"{dataset.attrs['n_steps']} Gibbs steps ({'; '.join(parts)})."
    )
