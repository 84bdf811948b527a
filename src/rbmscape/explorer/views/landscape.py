"""Energy of single modes over their x y plane, with states on it (arXiv:2503.21536, figures 1 and 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rbmscape.explorer.encode import Sheet
from rbmscape.explorer.scene import Scene, sample_facts
from rbmscape.figures.landscape_panels import landscape_variables
from rbmscape.sampling.sample import sample

if TYPE_CHECKING:
    from rbmscape.explorer.query import Query
    from rbmscape.explorer.subject import Subject

__all__ = ["prepare", "show"]

MOST_MODES = 16
N_GRID = 41


def prepare(scene: Scene) -> Sheet:
    """Landscapes of the first modes over panel, with ``points`` and ``samples``, μ, and the axes u and w."""
    modes = scene.modes
    count = min(MOST_MODES, modes.n_paired)
    states = {"samples": modes.project(scene.samples.v[:, : modes.n_visible], scene.samples.h)}
    if scene.points is not None:
        rows = len(scene.points.v)
        given = sample(scene.model, n_chains=rows, n_steps=0, seed=0, start=scene.points.v)
        states["points"] = modes.project(given.v, given.h)
    variables: dict[str, Any] = landscape_variables(modes, range(1, count + 1), list(states.values()), N_GRID)
    for name, found in states.items():
        row = "point" if name == "points" else "chain"
        for axis in "xy":
            variables[f"{name}_{axis}"] = ((row, "panel"), _numbers(getattr(found, axis)[:, :count]), {"units": "1"})
    mean = modes.random_state_mean()
    for axis in "xy":
        variables[f"mu_{axis}"] = ("panel", _numbers(getattr(mean, axis)[:count]), {"units": "1"})
    if scene.points is not None:
        variables["label"] = ("point", scene.points.labels.astype(np.float32), {"units": "1"})
    names = [] if scene.points is None else list(scene.points.names)
    return Sheet(variables, attrs=sample_facts(scene.samples) | {"classes": names})


def _numbers(values: torch.Tensor) -> Any:
    return values.cpu().numpy().astype(np.float32)


def show(subject: Subject, query: Query) -> Sheet:
    """The landscape of one mode, numbered from 1."""
    whole = subject.frame("landscape", query.whole("update", -1, -1, 2**60))
    return whole.at("panel", query.whole("mode", 1, 1, len(whole["mode"])) - 1)
