r"""Boson frequencies along training, and which modes are stable (arXiv:2503.21536, section 4.1; beyond its figures).

Frequencies of the paper's uncoupled u modes, ω = (4 - βλ)/2 (40), and of all coupled bosons around the data's mean
activities; the stability map, dressed singular values by rank against updates; and the cascade, the update at which
each rank crosses the threshold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from rbmscape.diffusion.bosons import curvature_matrix, dressed_singular_values
from rbmscape.diffusion.cascade import crossings
from rbmscape.diffusion.reference import reference_point
from rbmscape.errors import MissingInputError
from rbmscape.figures.along_training import updates_axis
from rbmscape.figures.checkpoints import check_checkpoints
from rbmscape.figures.datasets import provenance_attrs
from rbmscape.figures.spec import Count, FigureOptions, FigureSpec
from rbmscape.figures.style import (
    DIVERGING,
    PAGE_WIDTH,
    colour,
    legend_below,
    log_axis,
    marker,
    new_figure,
    panel_letters,
    print_style,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rbmscape.data.dataset import Dataset
    from rbmscape.figures.analysis import Subject
    from rbmscape.figures.material import Material
    from rbmscape.runs.run import Run

__all__ = ["SPEC", "Options", "alt_text", "compute", "draw", "for_model", "for_study"]

UNIFORM_THRESHOLD = 4.0
N_DRAWN = 8
FEW_RANKS = 20


class Options(FigureOptions):
    """What a plan may choose for it.

    Parameters
    ----------
    n_modes : ranks kept
    n_data : training samples behind the activities, at most
    beta : inverse temperature
    """

    n_modes: Count = 100
    n_data: Count = 2000
    beta: Annotated[float, Field(gt=0)] = 1.0


SPEC = FigureSpec(
    title="Bosons along training",
    caption=(
        "Frequencies of the softest bosons against updates (section 4.1, equations 40 and 44), around activities ½ "
        "and around the data's mean activities; below 0 a mode does not relax. Stability map: dressed singular values "
        "by rank, threshold in black; and the update at which each rank crosses it."
    ),
    reading=(
        "A frequency that falls through 0 is a mode that the quadratic potential no longer holds. The black line of "
        "the map says how many modes are unstable at each update."
    ),
    order=270,
    analysis=("run", "data"),
    cost=lambda scene, _: scene.base(2.0) + scene.checkpoints * scene.factors(1.5),
    options=Options,
)


def for_study(material: Material) -> xr.Dataset:
    """Data of the figure for the first replica of the size nearest to the paper's 500."""
    return compute(material.run(), material.dataset, **material.settings)


def for_model(subject: Subject) -> xr.Dataset:
    """Data of the figure for the run that is analysed.

    Raises
    ------
    MissingInputError : there is no run with checkpoints, or no data
    """
    if subject.run is None or subject.dataset is None:
        raise MissingInputError(
            "bosons along training need a run with checkpoints and its data; analyse a run's directory"
        )
    return compute(subject.run, subject.dataset)


def compute(run: Run, dataset: Dataset, **options: Any) -> xr.Dataset:
    """Frequencies and dressed singular values at every checkpoint.

    Parameters
    ----------
    run : with three checkpoints or more
    dataset : its data, for the mean activities
    **options : of `Options`

    Returns
    -------
    Dataset over (update, rank): ``frequency_uniform`` of the u modes, ``frequency_data`` of the softest coupled bosons,
    ``bare`` = βλ/4 and ``dressed`` (β times the dressed singular value); ``n_unstable_uniform``, ``n_unstable_data``
    over update; ``crossing_bare``, ``crossing_dressed`` over rank, in updates, NaN where never reached

    Raises
    ------
    MissingInputError : fewer than three checkpoints
    """
    import torch
    import xarray as xr

    asked = Options(**options)
    updates = run.updates
    check_checkpoints(run, "the boson spectrum")
    kept = min(asked.n_modes, run.config.n_hidden, dataset.n_visible)
    columns: dict[str, list[np.ndarray]] = {"bare": [], "dressed": [], "frequency_uniform": [], "frequency_data": []}
    unstable = []
    for update in updates:
        rbm = run.load(update, averaged=False)
        singular_values = torch.linalg.svdvals(rbm.weights.double()).cpu().numpy()
        point = reference_point(rbm, "data", dataset.train[: asked.n_data], asked.beta)
        dressed = asked.beta * dressed_singular_values(rbm, point)
        frequencies = torch.linalg.eigvalsh(curvature_matrix(rbm, point, asked.beta)).cpu().numpy() / 2
        bare = asked.beta * singular_values / UNIFORM_THRESHOLD
        columns["bare"].append(bare[:kept])
        columns["dressed"].append(dressed[:kept])
        columns["frequency_uniform"].append(UNIFORM_THRESHOLD / 2 * (1 - bare[:kept]))
        columns["frequency_data"].append(frequencies[:kept])
        unstable.append((int((bare > 1).sum()), int((dressed > 1).sum())))
    variables = {name: (("update", "rank"), np.stack(rows), {"units": "1"}) for name, rows in columns.items()}
    counts = np.array(unstable)
    return xr.Dataset(
        {
            **variables,
            "n_unstable_uniform": ("update", counts[:, 0], {"units": "modes"}),
            "n_unstable_data": ("update", counts[:, 1], {"units": "modes"}),
            "crossing_bare": ("rank", crossings(updates, np.stack(columns["bare"]), 1.0), {"units": "updates"}),
            "crossing_dressed": ("rank", crossings(updates, np.stack(columns["dressed"]), 1.0), {"units": "updates"}),
        },
        coords={"update": list(updates), "rank": np.arange(kept)},
        attrs=provenance_attrs(
            beta=asked.beta, n_hidden=run.config.n_hidden, n_data=min(asked.n_data, len(dataset.train))
        ),
    )


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """Frequencies for both references, stability map, cascade."""
    figure, axes = new_figure(2, 2, size=(PAGE_WIDTH, 5.2))
    for panel, name, title in (
        (axes[0, 0], "frequency_uniform", "activities ½, uncoupled"),
        (axes[0, 1], "frequency_data", "data's activities, coupled"),
    ):
        _draw_frequencies(panel, dataset, name, title)
    _draw_map(figure, axes[1, 0], dataset)
    _draw_cascade(axes[1, 1], dataset)
    legend_below(figure, axes[0, 0], axes[1, 1])
    panel_letters(axes)
    return figure


def _draw_frequencies(panel: Axes, dataset: xr.Dataset, name: str, title: str) -> None:
    values = dataset[name].values
    for rank in range(min(N_DRAWN, values.shape[1])):
        panel.plot(
            dataset["update"], values[:, rank], color=colour(rank), marker=marker(rank), label=f"rank {rank + 1}"
        )
    panel.axhline(0.0, color="black", linestyle="--", linewidth=0.8)
    updates_axis(panel, dataset["update"].values)
    panel.set_ylabel("boson frequency ω ($k_BT$)")
    panel.set_title(title)


def _draw_map(figure: Figure, panel: Axes, dataset: xr.Dataset) -> None:
    from matplotlib.colors import LogNorm

    rows = np.arange(dataset.sizes["update"] + 1) - 0.5
    values = np.maximum(dataset["dressed"].values.T, 1 / 16)
    mesh = panel.pcolormesh(
        rows, np.arange(len(values) + 1) + 0.5, values, cmap=f"{DIVERGING}_r", norm=LogNorm(1 / 16, 16), rasterized=True
    )
    if values.shape[0] > 1 and values.shape[1] > 1 and values.max() > 1 > values.min():
        panel.contour(rows[:-1] + 0.5, np.arange(len(values)) + 1, values, levels=[1.0], colors="black", linewidths=1.0)
    ticks = np.unique(np.linspace(0, dataset.sizes["update"] - 1, 6).astype(int))
    panel.set_xticks(ticks, [f"{int(dataset['update'].values[tick])}" for tick in ticks])
    log_axis(panel)
    panel.set_xlabel("updates (one column a checkpoint)")
    panel.set_ylabel("rank")
    figure.colorbar(mesh, ax=panel, label="β · dressed singular value (1)")


def _draw_cascade(panel: Axes, dataset: xr.Dataset) -> None:
    from matplotlib.ticker import MaxNLocator

    ranks = dataset["rank"] + 1
    for index, (name, label) in enumerate((("bare", "βλ = 4 (activities ½)"), ("dressed", "dressed value 1 (data)"))):
        panel.plot(
            ranks,
            1 + dataset[f"crossing_{name}"],
            color=colour(index),
            marker=marker(index),
            linestyle="none",
            label=label,
        )
    found = np.isfinite(dataset["crossing_bare"].values) | np.isfinite(dataset["crossing_dressed"].values)
    last = int(ranks.values[found].max(initial=1))
    if last < FEW_RANKS:
        panel.set_xlim(0.5, max(4, last) + 0.5)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    else:
        log_axis(panel, "x")
    if found.any():
        log_axis(panel)
    else:
        panel.annotate("no mode crosses its threshold", (0.5, 0.5), xycoords="axes fraction", ha="center")
        panel.set_xticks([])
        panel.set_xticks([], minor=True)
        panel.set_yticks([])
    panel.set_xlabel("rank")
    panel.set_ylabel("1 + update of crossing")


def alt_text(dataset: xr.Dataset) -> str:
    """Number of unstable modes at the end, and the first crossings."""
    last = dataset.isel(update=-1)
    first = [
        f"{value:.0f}" if np.isfinite(value) else "not reached" for value in dataset["crossing_dressed"].values[:3]
    ]
    return (
        f"Boson frequencies against updates: at update {int(last['update'])}, {int(last['n_unstable_uniform'])} modes "
        f"are unstable around activities ½ and {int(last['n_unstable_data'])} around the data's mean activities; the "
        f"first dressed singular values cross the threshold at updates {', '.join(first)}."
    )
