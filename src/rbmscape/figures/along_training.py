"""Axes of training time, and the density of states along it; shared by the figures that follow a run.

Updates stand on an axis that is linear up to the first and logarithmic from there, because checkpoints do; epochs are
written above.  A density is a column a checkpoint, each in units of its own highest value, so that two wells are seen
as two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_density", "epochs_above", "updates_axis"]

FloatArray = NDArray[np.float64]
_ROOM = 0.18
"""Room on both sides for whole markers, in decades."""
_NICE = (0.001, 0.01, 0.1, 1, 10, 100, 1000)


def _position(updates: Any) -> FloatArray:
    """Places on the axis, in decades: u up to the first update, 1 + log10 u from there."""
    values = np.asarray(updates, dtype=np.float64)
    return np.where(values <= 1.0, values, 1.0 + np.log10(np.maximum(values, 1.0)))


def _update(position: FloatArray) -> FloatArray:
    """Inverse of `_position`."""
    return np.where(position <= 1.0, position, 10.0 ** (np.maximum(position, 1.0) - 1.0))


def updates_axis(panel: Axes, updates: Any, label: str | None = "updates") -> None:
    """Scale, limits and label of the horizontal axis, with the markers of the first and last checkpoint whole.

    Parameters
    ----------
    updates : those that are shown, NaN left out
    label : of the axis; None for a panel above another one
    """
    known = np.asarray(updates, dtype=np.float64)
    known = known[np.isfinite(known)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    panel.set_xscale("symlog", linthresh=1.0)
    panel.set_xlim(*_update(_position([low, high]) + np.array([-_ROOM, _ROOM])))
    top = int(np.ceil(np.log10(max(high, 1.0) + 1e-9)))
    ticks = [0.0, *(10.0**power for power in range(top + 1))]
    shown = [tick for tick in ticks if low <= tick <= max(high, 1.0)]
    panel.set_xticks(shown)
    panel.set_xticks([], minor=True)
    if label is not None:
        panel.set_xlabel(label)


def epochs_above(panel: Axes, updates: Any, epochs: Any) -> None:
    """Epochs along the upper edge of a panel whose lower edge is an `updates_axis` already."""
    updates, epochs = (np.asarray(values, dtype=np.float64) for values in (updates, epochs))
    last = int(np.nanargmax(updates))
    if not epochs[last] > 0.0:
        return
    rate, end = updates[last] / epochs[last], float(f"{epochs[last]:.3g}")
    ticks = [*(tick for tick in _NICE if tick * rate >= 1.0 and 2.0 * tick <= end), end]
    above = panel.twiny()
    above.set_xscale("symlog", linthresh=1.0)
    above.set_xlim(panel.get_xlim())
    above.set_xticks([tick * rate for tick in ticks], [f"{tick:g}" for tick in ticks])
    above.set_xticks([], minor=True)
    above.set_xlabel("epochs", labelpad=3)
    above.spines["top"].set_visible(True)


def draw_density(panel: Axes, updates: Any, edges: Any, density: Any, shade: str) -> None:
    """Columns of the density of states, white for none and the shade for each column's highest value.

    Parameters
    ----------
    updates : (T,), rising
    edges : (B + 1,) of the bins
    density : (T, B)
    """
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm

    place, height = _position(updates), np.asarray(density, dtype=np.float64)
    between = (place[1:] + place[:-1]) / 2
    sides = _update(np.concatenate([[place[0] - _ROOM], between, [place[-1] + _ROOM]]))
    share = height / np.maximum(height.max(1, keepdims=True), 1e-300)
    tint = LinearSegmentedColormap.from_list("density", ["white", shade])
    mesh = panel.pcolormesh(
        sides, edges, share.T, cmap=tint, norm=PowerNorm(0.6, 0.0, 1.0), rasterized=True, zorder=0.5
    )
    mesh.sticky_edges.y.clear()
