"""The first mode's coordinates along training for the other sizes of the hidden layer (arXiv:2503.21536, figure 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rbmscape.errors import InputError
from rbmscape.figures.symmetry_breaking import alt_text, compute, draw

if TYPE_CHECKING:
    import xarray as xr

    from rbmscape.figures.material import Material

__all__ = ["alt_text", "compute", "draw", "for_study"]


def for_study(material: Material) -> xr.Dataset:
    """Data of the figure for every size but the one of `rbmscape.figures.symmetry_breaking`.

    Raises
    ------
    InputError : the study has one size only
    """
    shown = material.run().config.n_hidden
    others = {hidden: material.run(hidden) for hidden in material.hidden() if hidden != shown}
    runs = {hidden: (run, material.samples(run)) for hidden, run in others.items()}
    if not runs:
        raise InputError(f"the study has the one size M = {shown}; add another to see how the transition depends on it")
    return compute(runs, material.dataset, **material.settings)
