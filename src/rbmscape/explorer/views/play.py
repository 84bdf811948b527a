"""The model itself, for the sampler that runs in the browser with some units held (`play.js`).

p(h_j = 1 | v) = σ(β(b_j + Σ_i v_i W_ij)), p(v_i = 1 | h) = σ(β(a_i + Σ_j W_ij h_j)); what is held keeps its value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rbmscape.errors import InputError
from rbmscape.explorer.encode import Sheet

if TYPE_CHECKING:
    from rbmscape.explorer.query import Query
    from rbmscape.explorer.subject import Subject

__all__ = ["show"]

MOST_WEIGHTS = 20_000_000


def show(subject: Subject, query: Query) -> Sheet:
    """``weights`` (unit, hidden), biases, and ``start`` (row, unit), data or samples to begin with.

    Raises
    ------
    InputError : the model is too large for a browser
    """
    update = subject.resolve(query.whole("update", -1, -1, 2**60))
    rbm = subject.load(update)
    if rbm.n_visible * rbm.n_hidden > MOST_WEIGHTS:
        raise InputError(
            f"a model with {rbm.n_visible} x {rbm.n_hidden} weights is too large to run in a browser; "
            "draw its samples with rbmscape sample"
        )
    points = subject.data().points
    start = subject.samples_at(update).v.cpu().numpy()[:40] if points is None else points.v[:40]
    return Sheet(
        {
            "weights": (("unit", "hidden"), rbm.weights.cpu().numpy().astype(np.float32), {"units": "k_B T"}),
            "visible_bias": ("unit", rbm.visible_bias.cpu().numpy().astype(np.float32), {"units": "k_B T"}),
            "hidden_bias": ("hidden", rbm.hidden_bias.cpu().numpy().astype(np.float32), {"units": "k_B T"}),
            "start": (("row", "unit"), start),
        },
        attrs={"update": update},
    )
