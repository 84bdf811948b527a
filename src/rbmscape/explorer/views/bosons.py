"""Frequencies of the bosons (arXiv:2503.21536, equation 40), which the view of the spectrum shows when they are there:
they are the eigenvalues of a matrix over all units, and take longer than everything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rbmscape.diffusion.bosons import curvature_matrix
from rbmscape.explorer.encode import Sheet
from rbmscape.explorer.scene import Scene

if TYPE_CHECKING:
    from rbmscape.explorer.query import Query
    from rbmscape.explorer.subject import Subject

__all__ = ["USES_SAMPLES", "prepare", "show"]

USES_SAMPLES = False

MOST_UNITS = 1600
UNIFORM_FREQUENCY = 2.0
UNIFORM_THRESHOLD = 4.0


def prepare(scene: Scene) -> Sheet:
    """``frequency`` over boson about the data (ω < 0: unstable), and ``frequency_uniform`` over order."""
    values = torch.linalg.svdvals(scene.model.weights.double()).cpu().numpy()
    uniform = UNIFORM_FREQUENCY * (1 - values / UNIFORM_THRESHOLD)
    variables: dict[str, Any] = {"frequency_uniform": ("order", uniform.astype(np.float32), {"units": "1"})}
    if scene.reference is not None and scene.model.n_visible + scene.model.n_hidden <= MOST_UNITS:
        found = torch.linalg.eigvalsh(curvature_matrix(scene.model, scene.reference)).cpu().numpy() / 2
        variables["frequency"] = ("boson", found.astype(np.float32), {"units": "1"})
    return Sheet(variables, attrs={"update": scene.update})


def show(subject: Subject, query: Query) -> Sheet:
    """The frequencies at one checkpoint."""
    return subject.frame("bosons", query.whole("update", -1, -1, 2**60))
