"""The states behind points of the other views: data, and samples with their verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rbmscape.explorer.encode import Sheet
from rbmscape.explorer.scene import sample_facts

if TYPE_CHECKING:
    from rbmscape.explorer.query import Query
    from rbmscape.explorer.subject import Subject

__all__ = ["show"]


def show(subject: Subject, query: Query) -> Sheet:
    """``state`` over (row, unit), bits; ``label`` over row for data."""
    if query.choice("kind", ("samples", "points")) == "points":
        points = subject.data().points
        if points is None:
            return Sheet({"state": (("row", "unit"), np.empty((0, subject.n_visible), np.uint8))})
        return Sheet(
            {"state": (("row", "unit"), points.v), "label": ("row", points.labels.astype(float))},
            attrs={"classes": list(points.names)},
        )
    samples = subject.samples_at(query.whole("update", -1, -1, 2**60))
    states = samples.v.cpu().numpy()[: query.whole("most", 200, 1, 500)]
    return Sheet({"state": (("row", "unit"), states)}, attrs=sample_facts(samples))
