"""What turning modes does to samples (arXiv:2503.21536, section 5.2, figure 6); the browser turns the knob.

``U Rᵀ Σ Vᵀ h + a`` for a rotation in the plane of two modes differs from the field at rest by a change of rank 2,
``U_i (s'_i - s_i) + U_j (s'_j - s_j)`` with ``s = Σ Vᵀ h``; so s, U and the field at rest are all that it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rbmscape.explorer.scene import Scene, sample_facts
from rbmscape.rng import Stream

if TYPE_CHECKING:
    import xarray as xr

    from rbmscape.explorer.query import Query
    from rbmscape.explorer.subject import Subject

__all__ = ["prepare", "show"]

MOST_MODES = 32
N_SAMPLES = 10


def prepare(scene: Scene) -> xr.Dataset:
    """``field`` (sample, unit) at rest, ``strength`` (sample, mode) s, ``vector`` (mode, unit) U, and ``uniform``."""
    import xarray as xr

    modes = scene.modes
    kept = min(MOST_MODES, modes.n_paired)
    h = scene.samples.h[:N_SAMPLES]
    field = h.double() @ scene.model.weights.double().T + scene.model.visible_bias.double()
    strength = (h.double() @ modes.right[:, :kept]) * modes.singular_values[:kept]
    drawn = Stream(0, "explorer/hierarchy").numpy(0).random((len(h), modes.n_visible))
    variables: dict[str, Any] = {
        "strength": (("sample", "mode"), strength.cpu().numpy()),
        "vector": (("mode", "unit"), modes.left[:, :kept].T.cpu().numpy()),
        "singular_value": ("mode", modes.singular_values[:kept].cpu().numpy(), {"units": "k_B T"}),
        "uniform": (("sample", "unit"), drawn),
        "hidden": (("sample", "hidden_unit"), h.cpu().numpy()),
        "field": (("sample", "unit"), field.cpu().numpy()),
    }
    result = xr.Dataset(variables)
    small = {name: array.astype(np.float32) for name, array in result.data_vars.items() if array.dtype == np.float64}
    return result.assign(small).assign_attrs(sample_facts(scene.samples))


def show(subject: Subject, query: Query) -> xr.Dataset:
    """All that the knob needs at one checkpoint."""
    return subject.frame("hierarchy", query.whole("update", -1, -1, 2**60))
