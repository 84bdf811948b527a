"""One mode's energy landscape over the x y plane with states on it (arXiv:2503.21536, figures 1 right and 2)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from rbmscape.brief import OneLine
from rbmscape.errors import InputError
from rbmscape.reciprocal.coordinates import Coordinates
from rbmscape.reciprocal.modes import Modes
from rbmscape.reciprocal.rotation import AXES

__all__ = ["Landscape", "landscape"]

FloatArray = NDArray[np.float64]
MARGIN = 0.12  # of the extent of what must be visible


@dataclass(frozen=True, eq=False, repr=False)
class Landscape(OneLine):
    """E_i over a rectangle of the x y plane.

    Attributes
    ----------
    mode : index i, from 0
    singular_value : λ_i
    x, y : (n_grid,) axes of the grid
    energy : (n_grid, n_grid) E_i (equation 16) at [y, x], k_B T at beta = 1
    saddle : (2,) (x0_i, y0_i); NaN for a flat mode
    saddle_energy : E_i at the saddle; NaN for a flat mode
    axis_u, axis_w : (2,) unit vectors of the principal axes: E_i falls along u and rises along w (equation 18)
    """

    mode: int
    singular_value: float
    x: FloatArray
    y: FloatArray
    energy: FloatArray
    saddle: FloatArray
    saddle_energy: float
    axis_u: FloatArray
    axis_w: FloatArray

    def _headline(self) -> str:
        x0, y0 = self.saddle
        return (
            f"mode {self.mode}, singular value {self.singular_value:.4g}, saddle ({x0:.4g}, {y0:.4g}) at energy "
            f"{self.saddle_energy:.4g}, {self.x.size} x {self.y.size} grid"
        )


def landscape(modes: Modes, mode: int, points: list[Coordinates] | None = None, n_grid: int = 101) -> Landscape:
    """Energy of one paired mode on a grid that shows its saddle, the random states' mean ± 3 sd, and the points.

    A saddle farther from the points than five times their extent (or absent, for a flat mode) does not widen the grid.

    Parameters
    ----------
    mode : index below min(N, M)
    points : states that must be inside
    n_grid : grid points an axis

    Raises
    ------
    InputError : the mode has no partner, or the grid is smaller than 2 x 2
    """
    if not 0 <= mode < modes.n_paired:
        raise InputError(f"a landscape needs a mode from 0 to {modes.n_paired - 1}, found {mode}")
    if n_grid < 2:
        raise InputError(f"n_grid must be at least 2, found {n_grid}")
    saddle = np.array([float(modes.saddle_x[mode]), float(modes.saddle_y[mode])])
    mean = modes.random_state_mean()
    axes = []
    for axis, name in enumerate("xy"):
        centre = float(getattr(mean, name)[mode])
        values = [np.array([centre - 1.5, centre + 1.5])]
        values += [getattr(c, name)[..., mode].reshape(-1).cpu().numpy() for c in points or []]
        axes.append(_axis(np.concatenate(values), saddle[axis], n_grid))
    grid_x, grid_y = np.meshgrid(*axes)
    return Landscape(
        mode=mode,
        singular_value=float(modes.singular_values[mode]),
        x=axes[0],
        y=axes[1],
        energy=modes.mode_energy(mode, torch.from_numpy(grid_x), torch.from_numpy(grid_y)).cpu().numpy(),
        saddle=saddle,
        saddle_energy=float(modes.saddle_energy[mode]),
        axis_u=np.array(AXES["u"]),
        axis_w=np.array(AXES["w"]),
    )


def _axis(values: FloatArray, saddle: float, n_grid: int) -> FloatArray:
    low, high = float(values.min()), float(values.max())
    extent = high - low
    if math.isfinite(saddle) and low - 5.0 * extent <= saddle <= high + 5.0 * extent:
        low, high = min(low, saddle), max(high, saddle)
    margin = MARGIN * (high - low)
    return np.linspace(low - margin, high + margin, n_grid)
