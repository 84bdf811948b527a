"""What a model makes of half a picture: completions of held-out data, and the probability of every missing unit.

States are (group, sample, unit) in [0, 1]: the data, what of them was given, completions, and the conditional
probabilities.  Data that are no images are drawn as rows of dots, of which the last units are missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from rbmscape.errors import InputError, ShapeError
from rbmscape.figures.datasets import provenance_attrs
from rbmscape.figures.mosaic import draw_row, is_image
from rbmscape.figures.spec import Count, FigureOptions, FigureSpec
from rbmscape.figures.style import PAGE_WIDTH, new_figure, print_style
from rbmscape.rng import Stream
from rbmscape.sampling.conditional import conditional_samples

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from rbmscape.data.dataset import Dataset
    from rbmscape.figures.analysis import Subject
    from rbmscape.figures.material import Material
    from rbmscape.model.rbm import RBM
    from rbmscape.model.trained import Trained
    from rbmscape.sampling.conditional import ConditionalSamples

__all__ = ["SPEC", "Options", "alt_text", "compute", "draw", "for_model", "for_study", "pictures"]

MISSING = 0.25
"""Grey of a unit that was not given, unlike both states and the lines between pictures."""


class Options(FigureOptions):
    """What a plan may choose for it.

    Parameters
    ----------
    n_samples : pictures that are completed
    n_drawn : completions of each that are shown
    part : which half of the units is missing: the last ones (of images the lower half), or randomly chosen ones
    budget : multiply-adds at most
    """

    n_samples: Count = 12
    n_drawn: Count = 3
    part: Literal["lower", "random"] = "lower"
    budget: float = 1e11


SPEC = FigureSpec(
    title="Completed pictures",
    caption="Held-out data, the half of each that was given (grey is missing), draws of the rest from the model given "
    "that half, and the probability of every unit.",
    reading=(
        "Draws of one row differ where the given half leaves the rest open. Grey probabilities are doubt, and a sharp "
        "but wrong completion is an error of the model."
    ),
    order=205,
    analysis=("data",),
    cost=lambda scene, options: scene.base(options.budget / 1e10),
    options=Options,
    default=False,
)


def for_study(material: Material) -> xr.Dataset:
    """The first replica of the main size."""
    return compute(material.run(), material.dataset, seed=material.seed, **material.settings)


def for_model(subject: Subject) -> xr.Dataset:
    """The model by itself, at the checkpoint that is looked at."""
    if subject.dataset is None:
        raise InputError("pictures are completed from data, found none; name them with --data")
    return compute(subject.model, subject.dataset, seed=subject.seed)


def compute(rbm: RBM | Trained, dataset: Dataset, seed: int = 0, **options: Any) -> xr.Dataset:
    """Complete held-out rows.

    Parameters
    ----------
    rbm : the model, or a run
    dataset : its test rows (training rows where there are none) are completed
    seed : of the choice of rows and of the sampling
    **options : of `Options`

    Returns
    -------
    see `pictures`; attribute ``correct`` is the share of missing units that the likelier value gets right, and
    ``correct_by_means`` that of the likelier value of each unit in the training data

    Raises
    ------
    InputError : more rows than there are
    ShapeError : the model has another number of visible units than the data
    """
    asked = Options(**options)
    pool = dataset.test if len(dataset.test) else dataset.train
    if asked.n_samples > len(pool):
        raise InputError(f"there are {len(pool)} rows to complete, found n_samples={asked.n_samples}; ask for fewer")
    random = Stream(seed, "inpainting").numpy()
    rows = np.asarray(pool[random.choice(len(pool), size=asked.n_samples, replace=False)])
    missing = np.arange(dataset.n_visible) >= dataset.n_visible // 2
    if asked.part == "random":
        missing = random.permutation(missing)
    found = conditional_samples(rbm, rows, max(16, asked.n_drawn), seed, missing=missing, budget=asked.budget)
    if found.model.n_visible != dataset.n_visible:
        raise ShapeError(f"the model has {found.model.n_visible} units, the data {dataset.n_visible}; use its own data")
    right = [
        float(((guess > 0.5) == rows)[:, missing].mean()) for guess in (found.probability.cpu().numpy(), dataset.mean)
    ]
    shown = pictures(found, dataset.image_shape, asked.n_drawn, rows)
    return shown.assign_attrs(correct=right[0], correct_by_means=right[1], data=dataset.name, part=asked.part)


def pictures(
    found: ConditionalSamples,
    image_shape: tuple[int, int] | None,
    n_drawn: int = 3,
    data: NDArray[np.uint8] | None = None,
) -> xr.Dataset:
    """Groups of pictures: data where they are known, what was given, completions, probabilities.

    Parameters
    ----------
    found : completions of (n, N) rows
    image_shape : (height, width), or None
    n_drawn : completions that are shown
    data : (n, N) the whole rows, where they are known

    Returns
    -------
    ``state`` over (group, sample, unit) in [0, 1]; attributes ``height`` and ``width`` are 0 where rows are no images
    """
    import xarray as xr

    given, missing = found.known.states.cpu().numpy(), found.known.missing.cpu().numpy()
    drawn = found.v.reshape(len(given), -1, given.shape[1]).cpu().numpy()[:, :n_drawn]
    groups: dict[str, NDArray[Any]] = {} if data is None else {"data": data}
    groups["given"] = np.where(missing, MISSING, given)
    groups |= {f"draw {number + 1}": drawn[:, number] for number in range(drawn.shape[1])}
    groups["probability"] = found.probability.reshape(given.shape).cpu().numpy()
    states = np.stack([np.asarray(group, dtype=np.float64) for group in groups.values()])
    height, width = image_shape or (0, 0)
    in_doubt = sum(not verdict.converged for verdict in found.verdicts)
    return xr.Dataset(
        {"state": (("group", "sample", "unit"), states, {"units": "1", "long_name": "state or its probability"})},
        coords={"group": list(groups)},
        attrs=provenance_attrs(seed=int(found.how["samples_seed"]), height=height, width=width)
        | dict(found.facts)
        | {"rows_in_doubt": in_doubt},
    )


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """One row of pictures a group."""
    states = dataset.state.values
    n_groups, n_samples, _ = states.shape
    shape = (int(dataset.attrs["height"]), int(dataset.attrs["width"]))
    row = min(1.2, PAGE_WIDTH / n_samples * shape[0] / shape[1] * 0.9) if is_image(shape) else 0.9
    figure, axes = new_figure(n_groups, 1, size=(PAGE_WIDTH, row * n_groups + (0.1 if is_image(shape) else 0.5)))
    for panel, group, label in zip(axes[:, 0], states, dataset.group.values, strict=True):
        draw_row(panel, group, shape, str(label))
    return figure


def alt_text(dataset: xr.Dataset) -> str:
    """What the rows are, how good the completions are, and whether chains agree."""
    attrs, count = dataset.attrs, dataset.sizes["sample"]
    right = ""
    if "correct" in attrs:
        right = (
            f"The likelier value is right for {100 * attrs['correct']:.0f} % of the missing units, "
            f"{100 * attrs['correct_by_means']:.0f} % by the means of the data alone. "
        )
    doubt = int(attrs["rows_in_doubt"])
    sure = "nothing speaks against equilibrium"
    if doubt:
        sure = f"{doubt} of {count} rows are not shown to be in equilibrium"
    kind = "pictures" if is_image((int(attrs["height"]), int(attrs["width"]))) else "states"
    what = f"{count} {kind} with missing units and their completions by a model, in rows."
    return f"{what} {right}By {attrs['samples_method']}; {sure}."
