"""Binary or grey pictures side by side: rows of a grid of states, with grey lines between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_row", "is_image", "mosaic"]

BETWEEN = 0.5  # grey, halfway between the two states


def is_image(shape: tuple[int, int]) -> bool:
    """Whether states of this (height, width) are pictures; (0, 0) stands for data that are none."""
    return 0 not in shape


def mosaic(states: NDArray[Any], shape: tuple[int, int], n_columns: int) -> NDArray[np.float64]:
    """(n, units) to one picture, row by row, with grey lines between and grey for places that stay empty.

    Parameters
    ----------
    states : (n, height·width) entries in [0, 1]
    shape : height and width
    n_columns : pictures a row
    """
    height, width = shape
    gap = max(1, min(height, width) // 14)
    n_rows = -(-len(states) // n_columns)
    cells = np.full((n_rows * n_columns, height + gap, width + gap), BETWEEN)
    cells[: len(states), :height, :width] = states.reshape(-1, height, width)
    rows = cells.reshape(n_rows, n_columns, height + gap, width + gap).transpose(0, 2, 1, 3)
    return np.asarray(rows.reshape(n_rows * (height + gap), n_columns * (width + gap))[:-gap, :-gap])


def draw_row(panel: Axes, states: NDArray[Any], shape: tuple[int, int], label: str) -> None:
    """One row of pictures (data that are no images as a raster, one state a line) with its label on the left."""
    if is_image(shape):
        panel.imshow(mosaic(states, shape, len(states)), cmap="gray", vmin=0, vmax=1)
        panel.set_anchor("E")
    else:
        panel.imshow(states, cmap="gray", vmin=0, vmax=1, aspect="auto")
    panel.set_ylabel(label, rotation=0, ha="right", va="center")
    panel.set_xticks([])
    panel.set_yticks([])
    for spine in panel.spines.values():
        spine.set_visible(False)
