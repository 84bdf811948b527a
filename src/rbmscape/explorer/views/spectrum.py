"""Singular values against the law of random weights, outliers, and dressed values
(arXiv:2503.21536, equations 20 and 44).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rbmscape.diffusion.bosons import dressed_singular_values
from rbmscape.explorer.encode import Sheet
from rbmscape.explorer.scene import Scene
from rbmscape.figures.spectrum import spectrum_variables

if TYPE_CHECKING:
    from rbmscape.explorer.query import Query
    from rbmscape.explorer.subject import Subject

__all__ = ["USES_ALL", "USES_SAMPLES", "prepare", "show"]

USES_ALL = True
USES_SAMPLES = False


def prepare(scene: Scene) -> Sheet:
    """Spectrum and law of the printed figure; ``dressed`` over order."""
    found = spectrum_variables({("model", scene.model.n_hidden): [scene.model]}, scene.weight_std)
    result = Sheet(found).at("group", 0).at("replica", 0)
    variables: dict[str, Any] = {
        name: (of[0], np.asarray(of[1], np.float32), *of[2:]) for name, of in result.variables.items()
    }
    variables["random_edge"] = ((), result["law_at"][-1], {"units": "k_B T"})
    if scene.reference is not None:
        dressed = dressed_singular_values(scene.model, scene.reference)
        variables["dressed"] = ("order", dressed.astype(np.float32), {"units": "1"})
    return Sheet(variables, attrs={"update": scene.update})


def show(subject: Subject, query: Query) -> Sheet:
    """The spectrum at one checkpoint, and the first singular values at all that are prepared."""
    here = subject.frame("spectrum", query.whole("update", -1, -1, 2**60))
    rows = subject.frames("spectrum")
    along: dict[str, Any] = {}
    for name in ("singular_value", "dressed"):
        if name in here:
            along[f"along_{name}"] = (("at", "rank"), np.array([one[name][:8] for _, one in rows]), {"units": "1"})
    return Sheet({**here.variables, **along}, {"at": ("at", [float(update) for update, _ in rows])}, here.attrs)
