"""Singular values against the law of random weights, outliers, dressed values, and the frequencies of bosons
(arXiv:2503.21536, equations 20, 40 and 44).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rbmscape.diffusion.bosons import curvature_matrix, dressed_singular_values
from rbmscape.diffusion.reference import reference_point
from rbmscape.explorer.scene import Scene
from rbmscape.figures import spectrum as figure

if TYPE_CHECKING:
    import xarray as xr

    from rbmscape.explorer.query import Query
    from rbmscape.explorer.subject import Subject

__all__ = ["USES_ALL", "USES_SAMPLES", "prepare", "show"]

USES_ALL = True
USES_SAMPLES = False

N_DATA = 2000
MOST_UNITS = 1600
UNIFORM_FREQUENCY = 2.0
UNIFORM_THRESHOLD = 4.0


def prepare(scene: Scene) -> xr.Dataset:
    """Spectrum and law of the printed figure; ``dressed`` over order, ``frequency`` over boson (ω < 0: unstable)."""
    group = {("model", scene.model.n_hidden): [scene.model]}
    result = figure.compute(group, weight_std=scene.weight_std).isel(group=0, replica=0, drop=True)
    values = result.singular_value.values
    variables: dict[str, Any] = {
        "frequency_uniform": ("order", UNIFORM_FREQUENCY * (1 - values / UNIFORM_THRESHOLD), {"units": "1"}),
        "random_edge": float(result.law_at.values[-1]),
    }
    if scene.dataset is not None:
        point = reference_point(scene.model, "data", scene.dataset.train[:N_DATA])
        variables["dressed"] = ("order", np.asarray(dressed_singular_values(scene.model, point)), {"units": "1"})
        if scene.model.n_visible + scene.model.n_hidden <= MOST_UNITS:
            found = torch.linalg.eigvalsh(curvature_matrix(scene.model, point)).cpu().numpy() / 2
            variables["frequency"] = ("boson", found, {"units": "1"})
    return result.reset_coords(drop=True).assign(variables).astype(np.float32).assign_attrs(update=scene.update)


def show(subject: Subject, query: Query) -> xr.Dataset:
    """The spectrum at one checkpoint, and the first singular values at all that are prepared."""
    here = subject.frame("spectrum", query.whole("update", -1, -1, 2**60))
    first = min(8, here.sizes["order"])
    rows = subject.frames("spectrum")
    along = {"along_singular_value": (("at", "rank"), np.array([one.singular_value.values[:first] for _, one in rows]))}
    if "dressed" in here:
        along["along_dressed"] = (("at", "rank"), np.array([one.dressed.values[:first] for _, one in rows]))
    return here.assign(along).assign_coords(at=[float(update) for update, _ in rows])
