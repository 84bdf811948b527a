"""Panels that show the energy of one mode over its x y plane; shared by the figures with landscapes.

Energies are in k_B T at beta = 1, coordinates dimensionless, modes numbered from 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rbmscape.reciprocal.coordinates import Coordinates
from rbmscape.reciprocal.landscape import landscape
from rbmscape.reciprocal.modes import Modes

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_landscape", "energy_bar", "landscape_variables", "point_style", "saddle_style"]

MAGENTA = "#CC3399"
N_LEVELS = 14
_ENERGY, _ALPHA = "cividis", 0.75


def saddle_style() -> dict[str, Any]:
    """Magenta star."""
    return {
        "marker": "*", "color": MAGENTA, "markersize": 10, "linestyle": "none", "markeredgecolor": "black",
        "markeredgewidth": 0.5, "zorder": 6,
    }  # fmt: skip


def point_style() -> dict[str, Any]:
    """Black pentagon."""
    return {
        "marker": "p", "color": "black", "markersize": 7, "linestyle": "none", "markeredgecolor": "white",
        "markeredgewidth": 0.5, "zorder": 7,
    }  # fmt: skip


def landscape_variables(
    modes: Modes, numbers: Sequence[int], points: list[Coordinates], n_grid: int = 61
) -> dict[str, Any]:
    """Variables of a Dataset over (panel, grid_y, grid_x) for modes numbered from 1."""
    panels = [landscape(modes, number - 1, points, n_grid) for number in numbers]

    def stack(name: str) -> Any:
        return np.stack([getattr(panel, name) for panel in panels])

    saddles = stack("saddle")
    energy = {"units": "k_B T", "long_name": "energy of the mode, E_i"}
    return {
        "mode": ("panel", np.asarray(numbers, dtype=np.int64), {"long_name": "mode number, from 1"}),
        "grid_x_value": (("panel", "grid_x"), stack("x"), {"units": "1", "long_name": "x_i"}),
        "grid_y_value": (("panel", "grid_y"), stack("y"), {"units": "1", "long_name": "y_i"}),
        "energy": (("panel", "grid_y", "grid_x"), stack("energy"), energy),
        "singular_value": ("panel", stack("singular_value"), {"units": "k_B T"}),
        "saddle_x": ("panel", saddles[:, 0], {"units": "1"}),
        "saddle_y": ("panel", saddles[:, 1], {"units": "1"}),
        "saddle_energy": ("panel", stack("saddle_energy"), {"units": "k_B T"}),
    }


def draw_landscape(panel: Axes, one: xr.Dataset, avoid: NDArray[Any], principal_axes: bool = True) -> None:
    """Contours of one panel's E_i, its saddle, and its principal axes u and w; a rim star where the saddle is outside.

    Parameters
    ----------
    avoid : (n, 2) points that the names of the axes keep away from, beside the saddle
    """
    x, y, energy = one.grid_x_value.values, one.grid_y_value.values, one.energy.values
    if float(np.ptp(energy)) > 0.0:
        panel.contourf(x, y, energy, levels=N_LEVELS, cmap=_ENERGY, alpha=_ALPHA)
        panel.contour(x, y, energy, levels=N_LEVELS, colors="black", linewidths=0.25, linestyles="solid", alpha=0.5)
    panel.set_xlim(float(x[0]), float(x[-1]))
    panel.set_ylim(float(y[0]), float(y[-1]))
    number, value = int(one["mode"]), float(one.singular_value)
    span = f"{energy.min():.3g} to {energy.max():.3g} $k_BT$".replace("-", "−")
    panel.set_title(f"i = {number}, λ = {value:.3g}\n{span}", pad=4, fontsize=7)
    panel.set_xlabel("$x_i$", labelpad=0)
    panel.set_ylabel("$y_i$", labelpad=0)
    saddle = float(one.saddle_x), float(one.saddle_y)
    if not np.isfinite(saddle).all():
        panel.text(0.5, 0.03, "flat: no saddle", transform=panel.transAxes, ha="center", fontsize=6.5)
        return
    if x[0] <= saddle[0] <= x[-1] and y[0] <= saddle[1] <= y[-1]:
        panel.plot(*saddle, **saddle_style())
    else:
        _point_to(panel, saddle, avoid)
    if principal_axes:
        _principal_axes(panel, saddle, np.vstack([avoid, saddle]))


def _point_to(panel: Axes, saddle: tuple[float, float], avoid: NDArray[Any]) -> None:
    """Star at the rim, and the saddle's coordinates in the corner that is freest, where it lies far outside."""
    (left, right), (low, high) = panel.get_xlim(), panel.get_ylim()
    rim_x, rim_y = 0.04 * (right - left), 0.04 * (high - low)
    place = (
        float(np.clip(saddle[0], left + rim_x, right - rim_x)),
        float(np.clip(saddle[1], low + rim_y, high - rim_y)),
    )
    panel.plot(*place, clip_on=False, **(saddle_style() | {"fillstyle": "none", "markeredgecolor": MAGENTA}))
    words = f"saddle ({saddle[0]:.3g}, {saddle[1]:.3g})"
    busy = (np.vstack([avoid, place]) - [left, low]) / [right - left, high - low]
    corners = np.array([[0.25, 0.03], [0.75, 0.03], [0.25, 0.97], [0.75, 0.97]])
    x, y = corners[np.abs((corners[:, None] - busy[None]) * [0.5, 1.0]).max(2).min(1).argmax()]
    panel.text(
        0.03 if x < 0.5 else 0.97, y, words, transform=panel.transAxes, fontsize=5.5, color="black",
        ha="left" if x < 0.5 else "right", va="bottom" if y < 0.5 else "top",
        bbox={"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 1},
    )  # fmt: skip


def energy_bar(figure: Figure, panels: Sequence[Axes]) -> None:
    """What the colours say: each panel goes from its lowest to its highest energy, which its title names."""
    from matplotlib.cm import ScalarMappable

    bar = figure.colorbar(
        ScalarMappable(cmap=_ENERGY), ax=list(panels), orientation="horizontal", shrink=0.3, aspect=30, pad=0.01,
        alpha=_ALPHA, ticks=[0.0, 1.0], label="$E_i$ of each panel, in $k_BT$ above it",
    )  # fmt: skip
    bar.set_ticklabels(["lowest", "highest"])


def _principal_axes(panel: Axes, saddle: tuple[float, float], avoid: NDArray[Any]) -> None:
    """Lines through the saddle along u (energy falls, solid) and w (energy rises, dashed), if they cross the panel."""
    (left, right), (low, high) = panel.get_xlim(), panel.get_ylim()
    for slope, style, name in ((1.0, "-", "u"), (-1.0, "--", "w")):
        xs = np.linspace(left, right, 200)
        ys = saddle[1] + slope * (xs - saddle[0])
        inside = (ys >= low) & (ys <= high)
        if np.count_nonzero(inside) < 2:
            continue
        panel.plot(xs[inside], ys[inside], style, color="white", linewidth=0.8, zorder=3)
        size = np.array([right - left, high - low])
        line = np.stack([xs[inside], ys[inside]], axis=1)
        free = np.minimum(line - [left, low], [right, high] - line).min(axis=1) > 0.06 * size.min()
        room = np.linalg.norm((line[:, None] - avoid[None]) / size, axis=2).min(axis=1)
        end = np.flatnonzero(inside)[int(np.argmax(np.where(free, room, -1.0)))]
        panel.text(xs[end], ys[end], name, fontsize=7, color="white", fontweight="bold", ha="center", va="center",
                   zorder=8, path_effects=_outline())  # fmt: skip


def _outline() -> list[Any]:
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=1.5, foreground="black")]
