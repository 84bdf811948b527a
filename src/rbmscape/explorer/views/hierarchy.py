"""What turning modes does to samples (arXiv:2503.21536, section 5.2, figure 6); the browser turns the knob.

``U Rᵀ Σ Vᵀ h + a`` for a rotation in the plane of two modes differs from the field at rest by a change of rank 2,
``U_i (s'_i - s_i) + U_j (s'_j - s_j)`` with ``s = Σ Vᵀ h``; so s, U and the field at rest are all that it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rbmscape.explorer.encode import Sheet
from rbmscape.explorer.scene import Scene, sample_facts
from rbmscape.rng import Stream

if TYPE_CHECKING:
    from rbmscape.explorer.query import Query
    from rbmscape.explorer.subject import Subject

__all__ = ["prepare", "show"]

MOST_MODES = 32
N_SAMPLES = 10


def prepare(scene: Scene) -> Sheet:
    """``field`` (sample, unit) at rest, ``strength`` (sample, mode) s, ``vector`` (mode, unit) U, and ``uniform``."""
    modes = scene.modes
    kept = min(MOST_MODES, modes.n_paired)
    h = scene.samples.h[:N_SAMPLES]
    field = h.double() @ scene.model.weights.double().T + scene.model.visible_bias.double()
    strength = (h.double() @ modes.right[:, :kept]) * modes.singular_values[:kept]
    drawn = Stream(0, "explorer/hierarchy").numpy(0).random((len(h), modes.n_visible))
    variables: dict[str, Any] = {
        "strength": (("sample", "mode"), _numbers(strength)),
        "vector": (("mode", "unit"), _numbers(modes.left[:, :kept].T)),
        "singular_value": ("mode", _numbers(modes.singular_values[:kept]), {"units": "k_B T"}),
        "uniform": (("sample", "unit"), drawn.astype(np.float32)),
        "hidden": (("sample", "hidden_unit"), h.cpu().numpy()),
        "field": (("sample", "unit"), _numbers(field)),
    }
    return Sheet(variables, attrs=sample_facts(scene.samples))


def _numbers(values: torch.Tensor) -> Any:
    return values.cpu().numpy().astype(np.float32)


def show(subject: Subject, query: Query) -> Sheet:
    """All that the knob needs at one checkpoint."""
    return subject.frame("hierarchy", query.whole("update", -1, -1, 2**60))
