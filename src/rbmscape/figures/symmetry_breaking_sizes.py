"""The first mode's coordinates along training for the other sizes of the hidden layer (arXiv:2503.21536, figure 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rbmscape.errors import InputError
from rbmscape.figures.spec import FigureSpec
from rbmscape.figures.symmetry_breaking import Options as OptionsOfOneSize
from rbmscape.figures.symmetry_breaking import alt_text, compute, draw

if TYPE_CHECKING:
    import xarray as xr

    from rbmscape.figures.material import Material

__all__ = ["SPEC", "Options", "alt_text", "compute", "draw", "for_study"]


class Options(OptionsOfOneSize):
    """What a plan may choose for it: the same."""


SPEC = FigureSpec(
    title="The first mode along training for other sizes",
    caption="As the figure before, for the other sizes of the hidden layer (the paper's figure 8).",
    reading=(
        "As the figure before: compare from size to size when the band splits, and how far the squares lie from the "
        "data."
    ),
    printed=("The same for M = 784, 1200 and 3000."),
    order=110,
    paper="8",
    samples="sizes",
    sizes=2,
    cost=lambda scene, _: (
        scene.base(0.7) + sum(scene.following(hidden) for hidden in scene.hidden if hidden != scene.main)
    ),
    options=Options,
)


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
