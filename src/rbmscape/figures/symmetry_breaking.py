"""The first mode's coordinates along training, at the paper's size (arXiv:2503.21536, figure 7).

z_1 = u_1 and z_{L+1} = w_1 against updates: the saddle (0), the minimum μ of the constraint potential (equation 28),
and mean ± standard deviation of test data and of equilibrium samples (the paper has Gibbs chains).  The mode is the one
that ends as the first; it is followed back by overlap, so that its sign is continuous.  Checkpoints within the first
epoch matter: the transition is over within a hundred updates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from rbmscape.errors import InputError
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
SERIES = (("data", "test data", 2), ("samples", "samples", 3))


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
        "Coordinates u and w of the first mode against updates, as in the paper's figure 7: the saddle, the minimum μ "
        "of the constraint potential, and mean and standard deviation of test data and of equilibrium samples."
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
    ``random_z``, ``data_z_mean|sd``, ``samples_z_mean|sd``; dimensionless

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
            run, pool[: asked.n_data], samples.updates, averaged=False, samples=states, leading=max(8, asked.mode + 1)
        )
        whole = whole.merge(samples.along(), combine_attrs="drop_conflicts")
        kept = [f"{kind}_{z}_{what}" for kind, _, _ in SERIES for z in COORDINATES for what in ("mean", "sd")]
        kept += [f"random_{z}" for z in COORDINATES] + ["singular_value", "samples_r_hat", "samples_equilibrated"]
        one = whole[kept].sel(mode=asked.mode, drop=True).rename_dims(update="checkpoint").reset_coords()
        parts.append(one.assign_coords(hidden=hidden, checkpoint=np.arange(one.sizes["checkpoint"])))
    result = xr.concat(parts, "hidden", join="outer")
    result.attrs = provenance_attrs(mode=asked.mode, data=dataset.name)
    result.attrs |= shared_facts([samples.at() for _, samples in runs.values()])
    return result


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """A row of two panels a size: u and w of the mode."""
    sizes = dataset.hidden.values
    figure, axes = new_figure(len(sizes), 2, size=(PAGE_WIDTH, 0.4 + 2.3 * len(sizes)), sharex=True)
    number = int(dataset.attrs["mode"]) + 1
    for row, hidden in enumerate(sizes):
        for column, coordinate in enumerate(COORDINATES):
            panel = axes[row, column]
            _draw_panel(panel, dataset.sel(hidden=hidden), coordinate)
            panel.set_ylabel(f"${coordinate}_{{{number}}}$ (M = {hidden})")
    for panel in axes[-1]:
        panel.set_xlabel("updates")
    axes[0, 0].legend(loc="best")
    panel_letters(axes)
    return figure


def _draw_panel(panel: Axes, size: xr.Dataset, coordinate: str) -> None:
    known = np.isfinite(size["update"].values)
    updates = size["update"].values[known]
    panel.axhline(0.0, color="black", linestyle="--", linewidth=0.8, label="saddle")
    panel.plot(
        updates, size[f"random_{coordinate}"].values[known], color=colour(4), marker="s", label="μ (random states)"
    )
    for kind, label, index in SERIES:
        mean = size[f"{kind}_{coordinate}_mean"].values[known]
        sd = size[f"{kind}_{coordinate}_sd"].values[known]
        panel.plot(updates, mean, color=colour(index), marker="o^"[index - 2], label=f"{label}, ± sd")
        panel.fill_between(updates, mean - sd, mean + sd, color=colour(index), alpha=0.2, linewidth=0)
    panel.set_xscale("symlog", linthresh=1)
    panel.set_xlim(left=0)


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
