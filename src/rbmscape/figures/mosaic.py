"""Binary or grey pictures side by side: rows of a grid of states, with grey lines between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from rbmscape.brief import printable

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = [
    "column_names",
    "columns_attr",
    "draw_row",
    "fold",
    "is_image",
    "mosaic",
    "name_units",
    "shortened",
    "show_states",
]

BETWEEN = 0.5  # grey, halfway between the two states
_THINNEST, _LONGEST = 2, 6
_ROOM = 0.12  # inches
_MOST_NAMES = 60


def is_image(shape: tuple[int, int]) -> bool:
    """Whether states of this (height, width) are seen as pictures: not as the bar code that a single row would be.

    (0, 0) stands for data that are no images.
    """
    return min(shape) >= _THINNEST and max(shape) <= _LONGEST * min(shape)


def show_states(panel: Axes, picture: NDArray[Any], aspect: Literal["equal", "auto"] = "equal") -> None:
    """States or probabilities as grey levels, in every figure alike: white is 1, black is 0."""
    panel.imshow(picture, cmap="gray", vmin=0, vmax=1, aspect=aspect)


def fold(state: NDArray[Any]) -> NDArray[np.float64]:
    """One state of units that are no image, line by line as a nearly square picture; grey where it ends early."""
    width = max(1, int(np.ceil(np.sqrt(state.size))))
    rows = -(-state.size // width)
    padded = np.full(rows * width, BETWEEN)
    padded[: state.size] = state
    return padded.reshape(rows, width)


def column_names(dataset: xr.Dataset) -> list[str]:
    """Names of the data's columns behind a figure, from the attribute that `columns_attr` makes; none if unknown."""
    words = str(dataset.attrs.get("columns", ""))
    return words.split("\n") if words else []


def columns_attr(columns: Sequence[str] | None) -> str | None:
    """The names as an attribute of a figure's Dataset, or None."""
    return "\n".join(printable(name.replace("\n", " ")) for name in columns) if columns else None


def shortened(name: str, length: int = 20) -> str:
    """A name of a unit as a picture writes it, with its end left out where it is long; a dollar sign is no formula."""
    kept = name if len(name) <= length else f"{name[: length - 1]}…"
    return kept.replace("$", r"\$")


def name_units(panel: Axes, count: int, columns: Sequence[str]) -> None:
    """Names of the units, those of the data's columns where they are known and few, along the horizontal axis."""
    if len(columns) == count <= _MOST_NAMES:
        panel.set_xticks(range(count), [shortened(name) for name in columns])
        panel.tick_params(axis="x", rotation=90, labelsize=min(7.0, 330.0 / count), length=2)
        panel.set_xlabel("")
        return
    panel.set_xlabel("visible unit")


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
        show_states(panel, mosaic(states, shape, len(states)))
        panel.set_anchor("E")
        engine = panel.get_figure().get_layout_engine()  # type: ignore[union-attr]
        if engine is not None:
            engine.set(w_pad=_ROOM)  # type: ignore[call-arg]  # labels follow a panel of fixed shape that moves
    else:
        show_states(panel, states, "auto")
    panel.set_ylabel(label, rotation=0, ha="right", va="center")
    panel.set_xticks([])
    panel.set_yticks([])
    for spine in panel.spines.values():
        spine.set_visible(False)
