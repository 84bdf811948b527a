"""Recovery of a planted direction against the number of samples: the threshold of principal components."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rbmscape.data.dataset import Dataset
from rbmscape.data.synthetic import planted
from rbmscape.figures.datasets import provenance_attrs
from rbmscape.figures.spec import Count, FigureOptions, FigureSpec
from rbmscape.figures.style import colour, legend_below, log_axis, marker, new_figure, print_style
from rbmscape.symmetry.recovery import planted_strengths, recovery, recovery_theory, squared_overlaps

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from rbmscape.figures.material import Material
    from rbmscape.runs.run import Run

__all__ = ["SPEC", "Options", "alt_text", "compute", "draw", "for_study"]

RATIOS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0)


class Options(FigureOptions):
    """What a plan may choose for it.

    Parameters
    ----------
    n_visible : units of the planted sets
    strengths : singular values of the teachers; one curve each
    n_replicas : planted sets a point
    """

    n_visible: Count = 200
    strengths: tuple[float, ...] = (4.0, 6.0, 8.0)
    n_replicas: Count = 8


SPEC = FigureSpec(
    title="Recovery of a planted direction",
    caption=(
        "Squared overlap of a planted direction with the leading eigenvector of the samples' covariance, against the "
        "number of samples over units (dots with standard errors), for three strengths of the teacher, with the limit "
        "of large systems (lines). A study of planted data adds its own trained models as stars."
    ),
    reading=(
        "Dots left of the threshold, where the curve is 0, have not found the direction. Stars below the curve are "
        "trainings that do worse than the samples allow."
    ),
    order=430,
    cost=lambda scene, options: scene.base(0.02 * options.n_replicas * len(options.strengths) * len(RATIOS) + 1.0),
    options=Options,
    default=False,
)


def for_study(material: Material) -> xr.Dataset:
    """Planted sets of its own, and the runs of the study where its data are planted."""
    runs = [run for key, run in material.runs.items() if key.recipe == material.main_recipe]
    return compute(runs, material.dataset, seed=material.seed, **material.settings)


def compute(runs: list[Run], dataset: Dataset | None = None, seed: int = 0, **options: Any) -> xr.Dataset:
    """Overlaps over a grid of sample numbers.

    Parameters
    ----------
    runs, dataset : trained models, shown where the data are planted
    seed : of the planted sets
    **options : of `Options`

    Returns
    -------
    Dataset over (teacher, ratio): ``overlap`` with ``overlap_stderr`` and ``theory``; over teacher ``strength`` ℓ; over
    model: ``model_ratio``, ``model_overlap``, ``model_hidden``, empty where the data are not planted
    """
    import xarray as xr

    asked = Options(**options)
    found = []
    for number, strength in enumerate(asked.strengths):
        for ratio in RATIOS:
            base = seed + 10_000 * number
            sets = [
                planted(asked.n_visible, 1, [strength], max(2, round(asked.n_visible * ratio)), 0, seed=base + k)
                for k in range(max(2, asked.n_replicas))
            ]
            found.append(recovery(sets))
    shape = (len(asked.strengths), len(RATIOS))
    table = np.asarray([(one.data.value, one.data.stderr, one.theory) for one in found]).reshape(*shape, 3)
    models = _models(runs, dataset)
    return xr.Dataset(
        {
            "overlap": (("teacher", "ratio"), table[..., 0], {"units": "1"}),
            "overlap_stderr": (("teacher", "ratio"), table[..., 1], {"units": "1"}),
            "theory": (("teacher", "ratio"), table[..., 2], {"units": "1"}),
            "strength": ("teacher", [found[k * len(RATIOS)].strength for k in range(shape[0])], {"units": "1"}),
            "model_overlap": ("model", models[:, 0], {"units": "1"}),
            "model_hidden": ("model", models[:, 1], {"units": "units"}),
        },
        coords={"ratio": ("ratio", list(RATIOS), {"units": "samples a unit"}), "teacher": list(asked.strengths)},
        attrs=provenance_attrs(seed=seed, n_visible=asked.n_visible, model_ratio=_ratio(dataset)),
    )


def _ratio(dataset: Dataset | None) -> float:
    return math.nan if dataset is None else len(dataset.train) / dataset.n_visible


def _models(runs: list[Run], dataset: Dataset | None) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Overlap with the first planted direction and size of every trained model, (n, 2)."""
    if dataset is None or "directions" not in dataset.attributes:
        return np.empty((0, 2))
    directions = dataset.attributes["directions"]
    fitting = [run for run in runs if run.config.n_hidden >= directions.shape[1]]
    rows = [(squared_overlaps(run.load(), directions)[0], run.config.n_hidden) for run in fitting]
    assert not rows or planted_strengths(dataset).size
    return np.asarray(rows, dtype=np.float64).reshape(-1, 2)


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """Overlap against samples over units with the limit."""
    figure, axes = new_figure()
    panel = axes[0, 0]
    dense = np.geomspace(dataset.ratio.values[0], dataset.ratio.values[-1], 200)
    for index, strength in enumerate(dataset.strength.values):
        one = dataset.isel(teacher=index)
        label = f"ℓ = {strength:.2f}"
        panel.plot(dense, [recovery_theory(strength, 1 / ratio) for ratio in dense], color=colour(index), linewidth=0.9)
        panel.errorbar(
            one.ratio, one.overlap, one.overlap_stderr, color=colour(index), marker=marker(index), linestyle="none",
            label=label,
        )  # fmt: skip
    if dataset.sizes["model"]:
        ratio = np.full(dataset.sizes["model"], dataset.attrs["model_ratio"])
        panel.plot(ratio, dataset.model_overlap, "k*", label="trained")
    log_axis(panel, "x")
    panel.set_xticks([0.25, 0.5, 1, 2, 4, 8], ["¼", "½", "1", "2", "4", "8"])
    panel.minorticks_off()
    panel.set_ylim(-0.04, 1.04)
    panel.set_xlabel("samples a unit, 1/γ")
    panel.set_ylabel("squared overlap")
    legend_below(figure, panel)
    return figure


def alt_text(dataset: xr.Dataset) -> str:
    """Largest distance from the limit in standard errors."""
    off = np.abs(dataset.overlap - dataset.theory).values
    return (
        f"Overlaps with a planted direction for teachers of strength "
        f"{', '.join(f'{value:.2f}' for value in dataset.strength.values)} and {dataset.sizes['ratio']} numbers of "
        f"samples; the largest distance from the limit of large systems is {off.max():.2f}."
    )
