"""A grid of binary states: pictures where the units have a height and a width, else a raster of one state a row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rbmscape.errors import ShapeError
from rbmscape.figures.datasets import provenance_attrs
from rbmscape.figures.mosaic import column_names, is_image, mosaic, name_units, show_states
from rbmscape.figures.style import PAGE_WIDTH, new_figure, print_style

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["alt_text", "compute", "draw"]

MOST_PICTURES = 400
MOST_ROWS = 200


def compute(states: NDArray[Any], image_shape: tuple[int, int] | None = None, **facts: Any) -> xr.Dataset:
    """Choose the first states that fit into one figure.

    Parameters
    ----------
    states : (n, n_visible) entries 0 and 1
    image_shape : (height, width) with height·width = n_visible, or None for data that are no images
    facts : how the states were made, kept as attributes

    Returns
    -------
    ``state`` over (sample, unit); attributes ``height`` and ``width`` are 0 for data that are no images

    Raises
    ------
    ShapeError : not one row a state, no states, or an image shape of another size
    """
    import xarray as xr

    if states.ndim != 2 or states.size == 0:
        raise ShapeError(f"a grid needs states of shape (samples, units), found {states.shape}; pass at least one row")
    height, width = image_shape or (0, 0)
    if image_shape is not None and height * width != states.shape[1]:
        raise ShapeError(
            f"image_shape {height}x{width} does not fit {states.shape[1]} units; pass one with that product"
        )
    shown = states[: MOST_PICTURES if is_image((height, width)) else MOST_ROWS]
    return xr.Dataset(
        {"state": (("sample", "unit"), np.asarray(shown, dtype=np.uint8), {"units": "1", "long_name": "binary state"})},
        attrs=provenance_attrs(height=height, width=width, n_samples=len(states), **facts),
    )


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """White is 1, black is 0; pictures are separated by grey."""
    states = dataset.state.values
    shape = (int(dataset.attrs["height"]), int(dataset.attrs["width"]))
    if not is_image(shape):
        return _raster(states, column_names(dataset))
    picture = mosaic(states, shape, _columns(len(states), shape))
    figure, axes = new_figure(size=(PAGE_WIDTH, PAGE_WIDTH * picture.shape[0] / picture.shape[1] + 0.05))
    panel = axes[0, 0]
    show_states(panel, picture)
    panel.set_axis_off()
    return figure


def _raster(states: NDArray[Any], columns: Sequence[str]) -> Figure:
    height = min(8.0, 1.2 + 0.06 * len(states))
    figure, axes = new_figure(size=(PAGE_WIDTH, height))
    panel = axes[0, 0]
    show_states(panel, states, "auto")
    name_units(panel, states.shape[1], columns)
    panel.locator_params(axis="y", integer=True)
    panel.set_ylabel("sample")
    panel.spines[["top", "right"]].set_visible(True)
    return figure


def _columns(count: int, shape: tuple[int, int]) -> int:
    """Pictures a row that make the whole as square as possible."""
    height, width = (side + max(1, min(shape) // 14) for side in shape)
    return min(count, max(1, math.ceil(math.sqrt(count * height / width))))


def alt_text(dataset: xr.Dataset) -> str:
    """What the picture shows, in words."""
    pictured = is_image((int(dataset.attrs["height"]), int(dataset.attrs["width"])))
    kind = "a grid of binary pictures" if pictured else "a raster of binary states, one a row"
    share = 100.0 * float(dataset.state.mean())
    return f"{dataset.sizes['sample']} samples as {kind}, white for 1; {share:.0f} % of the units are on."
