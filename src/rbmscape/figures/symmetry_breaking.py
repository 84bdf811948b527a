"""The first mode's coordinates along training, at the paper's size (arXiv:2503.21536, figure 7).

z_1 = u_1 and z_{L+1} = w_1 against updates: the saddle (0), the minimum μ of the constraint potential (equation 28),
and the density of test data and of equilibrium samples (the paper has means and standard deviations of Gibbs chains,
which hide two wells).  The mode is the one that ends as the first; it is followed back by overlap, so that its sign is
continuous.  Checkpoints within the first epoch matter: the transition is over within a hundred updates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from rbmscape.errors import InputError
from rbmscape.figures.along_training import draw_density, epochs_above, updates_axis
from rbmscape.figures.checkpoints import check_checkpoints
from rbmscape.figures.datasets import provenance_attrs
from rbmscape.figures.samples import shared_facts, verdict
from rbmscape.figures.spec import Count, FigureOptions, FigureSpec
from rbmscape.figures.style import PAGE_WIDTH, colour, new_figure, panel_letters, print_style
from rbmscape.reciprocal.evolution import run_evolution
from rbmscape.runs.samples import RunSamples

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rbmscape.data.dataset import Dataset
    from rbmscape.figures.material import Material
    from rbmscape.runs.run import Run

__all__ = ["SPEC", "Options", "alt_text", "compute", "draw", "for_study"]

COORDINATES = ("u", "w")
SERIES = {"data": ("test data", 2), "samples": ("samples", 3)}


class Options(FigureOptions):
    """What a plan may choose for it.

    Parameters
    ----------
    mode : index of the mode, from 0, by singular value at the last checkpoint
    n_data : test samples, at most
    """

    mode: Annotated[int, Field(ge=0)] = 0
    n_data: Count = 2000


SPEC = FigureSpec(
    title="The first mode along training",
    caption=(
        "Coordinates u and w of the first mode against updates, as in the paper's figure 7: density of the test data "
        "and of equilibrium samples (each column in units of its highest value), the saddle at 0 (dashed), and the "
        "minimum μ of the constraint potential, where random states lie (squares)."
    ),
    reading=(
        "One bright band that becomes two is the transition of the mode. Data and samples in the same bands agree; a "
        "band of samples only is a state that the data do not have. The squares against the dashed line say on which "
        "side of the saddle random states lie."
    ),
    printed=(
        "The means and standard deviations of test data and Gibbs samples, the constraint's minimum and the saddle, "
        "against epochs, for M = 500."
    ),
    order=100,
    paper="7",
    samples="main",
    analysis=("run", "data"),
    cost=lambda scene, _: scene.base(0.7) + scene.following(),
    options=Options,
)


def for_study(material: Material) -> xr.Dataset:
    """Data of the figure for the size nearest to the paper's 500."""
    run = material.run()
    return compute({run.config.n_hidden: (run, material.samples(run))}, material.dataset, **material.settings)


def compute(runs: Mapping[int, tuple[Run, RunSamples]], dataset: Dataset, **options: Any) -> xr.Dataset:
    """Saddle, μ, data and samples in the coordinates of one mode, for one run of each size.

    Parameters
    ----------
    runs : hidden units to run and the samples of its checkpoints
    dataset : the data that the runs were trained on
    **options : of `Options`

    Returns
    -------
    Dataset over (hidden, checkpoint): ``update``, ``epoch``, ``singular_value`` and for z in (u, w) the coordinates
    ``random_z``, ``data_z_mean|sd``, ``samples_z_mean|sd`` and the densities ``data_z_density``, ``samples_z_density``
    over bins between ``z_edge``; dimensionless

    Raises
    ------
    InputError : no run, or a mode that does not exist
    MissingInputError : a run has fewer than three checkpoints
    """
    import xarray as xr

    asked = Options(**options)
    if not runs:
        raise InputError("the coordinates along training need at least one run, found none")
    pool = dataset.test if len(dataset.test) else dataset.train
    parts = []
    for hidden, (run, samples) in sorted(runs.items()):
        check_checkpoints(run, "the first mode")
        if not 0 <= asked.mode < min(run.config.n_hidden, int(run.data["n_visible"])):
            raise InputError(
                f"mode {asked.mode} does not exist in a run with {run.config.n_hidden} hidden units; choose 0"
            )
        states = [samples.at(update).all for update in samples.updates]
        whole = run_evolution(
            run, pool[: asked.n_data], samples.updates, averaged=False, samples=states, leading=max(8, asked.mode + 1),
            density_mode=asked.mode,
        )  # fmt: skip
        whole = whole.merge(samples.along(), combine_attrs="drop_conflicts")
        kept = [f"{kind}_{z}_{what}" for kind in SERIES for z in COORDINATES for what in ("mean", "sd", "density")]
        kept += [f"{name}" for z in COORDINATES for name in (f"random_{z}", f"{z}_edge")]
        one = (
            whole[[*kept, "singular_value", "samples_r_hat", "samples_equilibrated"]]
            .sel(mode=asked.mode, drop=True)
            .rename_dims(update="checkpoint")
            .reset_coords()
        )
        parts.append(one.assign_coords(hidden=hidden, checkpoint=np.arange(one.sizes["checkpoint"])))
    result = xr.concat(parts, "hidden", join="outer")
    result.attrs = provenance_attrs(mode=asked.mode, data=dataset.name)
    result.attrs |= shared_facts([samples.at() for _, samples in runs.values()])
    return result


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """For each size a row for u and one for w: test data left, samples right."""
    sizes = dataset.hidden.values
    rows = 2 * len(sizes)
    figure, axes = new_figure(rows, 2, size=(PAGE_WIDTH, 0.7 + 1.55 * rows), sharex=True, sharey="row")
    number = int(dataset.attrs["mode"]) + 1
    for place, (hidden, coordinate) in enumerate((size, z) for size in sizes for z in COORDINATES):
        size = dataset.sel(hidden=hidden)
        for panel, kind in zip(axes[place], SERIES, strict=True):
            _draw_panel(panel, size, coordinate, kind)
        axes[place, 0].set_ylabel(f"${coordinate}_{{{number}}}$ (M = {hidden})")
    known = dataset.isel(hidden=-1)
    for panel in axes[-1]:
        updates_axis(panel, dataset["update"].values)
    for panel, (label, _) in zip(axes[0], SERIES.values(), strict=True):
        panel.set_title(label, loc="right")
        epochs_above(panel, known["update"].values, known.epoch.values)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    panel_letters(axes)
    return figure


def _draw_panel(panel: Axes, size: xr.Dataset, coordinate: str, kind: str) -> None:
    known = np.isfinite(size["update"].values)
    updates = size["update"].values[known]
    density = size[f"{kind}_{coordinate}_density"].values[known]
    draw_density(panel, updates, size[f"{coordinate}_edge"].values, density, colour(SERIES[kind][1]))
    panel.axhline(0.0, color="black", linestyle="--", linewidth=0.8, label="saddle")
    panel.plot(
        updates, size[f"random_{coordinate}"].values[known], color="black", marker="s", linestyle="none", mfc=colour(4),
        markeredgewidth=0.5, label="μ (random states)",
    )  # fmt: skip


def alt_text(dataset: xr.Dataset) -> str:
    """First and last place of μ, data and samples along u."""
    parts = []
    for hidden in dataset.hidden.values:
        size = dataset.sel(hidden=hidden)
        known = np.flatnonzero(np.isfinite(size["update"].values))
        first, last = size.isel(checkpoint=known[0]), size.isel(checkpoint=known[-1])
        parts.append(
            f"with {hidden} hidden units the random-state mean μ goes from {float(first.random_u):.2f} to "
            f"{float(last.random_u):.2f}, test data end at {float(last.data_u_mean):.2f} ± "
            f"{float(last.data_u_sd):.2f} and samples at {float(last.samples_u_mean):.2f} ± "
            f"{float(last.samples_u_sd):.2f} (update {float(last['update']):.0f})"
        )
    words = "; ".join(parts)
    return f"Coordinates u and w of the first mode against updates, the saddle at 0: {words}. {verdict(dataset)}"
