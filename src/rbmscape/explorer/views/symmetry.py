"""One well becomes two: Landau's free energy of a mode, the measured density beside it, and u_1, w_1 along training
(arXiv:2503.21536, section 5.3, equation 55, and figure 8).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rbmscape.diffusion.mode_potential import mode_potential
from rbmscape.diffusion.reference import Reference
from rbmscape.errors import InputError
from rbmscape.explorer.encode import Sheet
from rbmscape.explorer.scene import Scene, sample_facts
from rbmscape.symmetry.landau import Landau, landau_modes, reachable_range
from rbmscape.symmetry.transitions import critical_update

if TYPE_CHECKING:
    from rbmscape.explorer.query import Query
    from rbmscape.explorer.subject import Subject

__all__ = ["USES_ALL", "prepare", "show"]

USES_ALL = True
FloatArray = NDArray[np.float64]
MOST_MODES = 8
N_GRID = 121
MOST_MARGINALS = 2  # an integral of all other bits at every point of the grid
N_BINS = 40
FLUCTUATIONS = (0.0, 0.25)
ENERGY = {"units": "k_B T"}


def prepare(scene: Scene) -> Sheet:
    """Free energies, densities and means of the first modes over panel (modes that have a saddle)."""
    kept = scene.kept(MOST_MODES)
    if not kept:
        return Sheet({})
    curves = [landau_modes(scene.model, kept, fluctuation=s, modes=scene.modes) for s in FLUCTUATIONS]
    states = {"samples": scene.modes.project(*scene.samples.all)}
    if scene.points is not None:
        states["data"] = scene.modes.project(scene.points.v)
    panels = []
    for place, mode in enumerate(kept):
        of_mode = {
            name: (found.u[:, mode].cpu().numpy(), found.w[:, mode].cpu().numpy()) for name, found in states.items()
        }
        panels.append(_panel(scene, mode, [pair[place] for pair in curves], of_mode, scene.reference))
    stacked = {
        name: (("panel", *axes), np.stack([one[name][1] for one in panels]), attrs)
        for name, (axes, _, attrs) in panels[0].items()
    }
    return Sheet(stacked, {"panel": ("panel", np.array(kept))}, sample_facts(scene.samples))


def _panel(
    scene: Scene,
    mode: int,
    curves: list[Landau],
    states: dict[str, tuple[FloatArray, FloatArray]],
    point: Reference | None,
) -> dict[str, tuple[tuple[str, ...], Any, dict[str, str]]]:
    """One mode: f over the whole range that bits reach, its minima there, and what was measured."""
    low, high = reachable_range(scene.modes, mode)
    grid = np.linspace(low, high, N_GRID)
    minima = np.full((len(curves), 2), np.nan)
    for row, curve in enumerate(curves):
        found = curve.minima_within(low, high)
        minima[row, : found.size] = found
    edges = {axis: _edges([both[place] for both in states.values()]) for place, axis in enumerate("uw")}
    variables: dict[str, Any] = {
        "z": (("point",), grid, {"units": "1"}),
        "free_energy": (("fluctuation", "point"), np.stack([curve.value(grid) for curve in curves]), ENERGY),
        "minimum": (("fluctuation", "well"), minima, {"units": "1"}),
        "curvature": (("fluctuation",), [curve.curvature for curve in curves], ENERGY),
        "mu": ((), curves[0].mu, {"units": "1"}),
        "singular_value": ((), -curves[0].stiffness, ENERGY),
    }
    for axis, of_axis in edges.items():
        variables[f"{axis}_edge"] = (("edge",), of_axis, {"units": "1"})
    if point is not None:
        values = mode_potential(scene.modes, mode, point)(grid) if mode < MOST_MARGINALS else np.full(N_GRID, np.nan)
        variables["marginal"] = (("point",), values, ENERGY)
    for name, both in states.items():
        for axis, values in zip("uw", both, strict=True):
            density = np.histogram(values, edges[axis], density=True)[0]
            variables[f"{name}_{axis}_density"] = (("bin",), density, {"units": "1"})
            variables[f"{name}_{axis}_mean"] = ((), float(values.mean()), {"units": "1"})
            variables[f"{name}_{axis}_sd"] = ((), float(values.std()), {"units": "1"})
    return variables


def _edges(values: list[FloatArray]) -> FloatArray:
    both = np.concatenate(values)
    low, high = float(both.min()), float(both.max())
    margin = 0.05 * (high - low) + 1e-6
    return np.linspace(low - margin, high + margin, N_BINS + 1)


def show(subject: Subject, query: Query) -> Sheet:
    """Free energy and density of one mode at one checkpoint, and its means at all that are prepared.

    Raises
    ------
    InputError : the mode has no singular value, or is none of the first
    """
    mode = query.whole("mode", 1, 1, MOST_MODES) - 1
    here = _of_mode(subject.frame("symmetry", query.whole("update", -1, -1, 2**60)), mode)
    if here is None:
        raise InputError(f"mode {mode + 1} has no singular value at this checkpoint, so it has no wells; take another")
    rows = [(update, of) for update, one in subject.frames("symmetry") if (of := _of_mode(one, mode)) is not None]
    updates = np.array([update for update, _ in rows], float)
    endings = ("_mean", "_sd", "_density", "_edge")
    names = [name for name in here.variables if name.endswith(endings) or name in ("mu", "singular_value")]
    along: dict[str, Any] = {
        f"along_{name}": (("at", *here.axes(name)), np.array([one[name] for _, one in rows]), here.variables[name][2])
        for name in names
    }
    curvature = np.array([one["curvature"] for _, one in rows])
    along["along_curvature"] = (("at", "fluctuation"), curvature, ENERGY)
    along["critical_update"] = ("fluctuation", [_critical(updates, column) for column in curvature.T])
    coords = {**here.coords, "at": ("at", updates), "fluctuation": ("fluctuation", list(FLUCTUATIONS))}
    return Sheet({**here.variables, **along}, coords, here.attrs)


def _of_mode(frame: Sheet, mode: int) -> Sheet | None:
    """The panel of a mode; None where it has no saddle."""
    kept = frame["panel"].tolist() if frame.coords else []
    return frame.at("panel", kept.index(mode)) if mode in kept else None


def _critical(updates: FloatArray, curvature: FloatArray) -> float:
    """Update at which the curvature falls below 0 for good; NaN where it does not."""
    return critical_update(updates.astype(int).tolist(), -curvature, 0.0).value if len(updates) >= 3 else float("nan")
