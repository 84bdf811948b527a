"""A grid of binary states: pictures where the units have a height and a width, else a raster of one state a row."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rbmscape.errors import ShapeError
from rbmscape.figures.datasets import provenance_attrs
from rbmscape.figures.mosaic import is_image, mosaic
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
    shown = states[: MOST_PICTURES if image_shape else MOST_ROWS]
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
        return _raster(states)
    picture = mosaic(states, shape, _columns(len(states), shape))
    figure, axes = new_figure(size=(PAGE_WIDTH, PAGE_WIDTH * picture.shape[0] / picture.shape[1] + 0.05))
    panel = axes[0, 0]
    panel.imshow(picture, cmap="gray", vmin=0, vmax=1)
    panel.set_axis_off()
    return figure


def _raster(states: NDArray[Any]) -> Figure:
    height = min(8.0, 1.2 + 0.06 * len(states))
    figure, axes = new_figure(size=(PAGE_WIDTH, height))
    panel = axes[0, 0]
    panel.imshow(states, cmap="gray", vmin=0, vmax=1, aspect="auto")
    panel.set_xlabel("visible unit")
    panel.set_ylabel("sample")
    panel.spines[["top", "right"]].set_visible(True)
    return figure


def _columns(count: int, shape: tuple[int, int]) -> int:
    """Pictures a row that make the whole as square as possible."""
    height, width = (side + max(1, min(shape) // 14) for side in shape)
    return min(count, max(1, math.ceil(math.sqrt(count * height / width))))


def alt_text(dataset: xr.Dataset) -> str:
    """What the picture shows, in words."""
    kind = "a raster of binary states, one a row" if int(dataset.attrs["height"]) == 0 else "a grid of binary pictures"
    share = 100.0 * float(dataset.state.mean())
    return f"{dataset.sizes['sample']} samples as {kind}; {share:.0f} % of the units are on."
