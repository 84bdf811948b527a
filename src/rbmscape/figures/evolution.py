"""Modes of a run during training: spectrum, saddles, projections of data and samples (arXiv:2503.21536, section 3).

Modes are numbered from 1 in the order of their singular values at the last checkpoint and followed back by overlap.
Singular values and energies are in k_B T at beta = 1, coordinates dimensionless.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from rbmscape.figures.along_training import draw_density, epochs_above, updates_axis
from rbmscape.figures.datasets import provenance_attrs
from rbmscape.figures.samples import verdict
from rbmscape.figures.spec import Count, FigureOptions, FigureSpec
from rbmscape.figures.style import (
    PAGE_WIDTH,
    colour,
    goes_on,
    log_axis,
    new_figure,
    panel_letters,
    print_style,
    symlog_axis,
)
from rbmscape.reciprocal.evolution import run_evolution
from rbmscape.rng import Stream
from rbmscape.runs.samples import RunSamples

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rbmscape.data.dataset import Dataset
    from rbmscape.figures.analysis import Subject
    from rbmscape.figures.material import Material
    from rbmscape.runs.run import Run

__all__ = ["SPEC", "Options", "alt_text", "compute", "draw", "for_model", "for_study"]

N_SHOWN = 5
SERIES = {"data": ("data", 2), "samples": ("samples", 3)}


class Options(FigureOptions):
    """What a plan may choose for it.

    Parameters
    ----------
    n_data : randomly chosen test samples (training samples where there are none) that are projected
    leading : modes that are followed singly, see `rbmscape.reciprocal.evolution.evolution`
    weight_std : standard deviation of the initial weights; that of the run by default
    false_alarm : probability that a random matrix has a value above the threshold of the bulk
    """

    n_data: Count = 2000
    leading: Count | None = None
    weight_std: Annotated[float, Field(gt=0)] | None = None
    false_alarm: Annotated[float, Field(gt=0, lt=1)] = 0.01


SPEC = FigureSpec(
    title="Modes during training",
    caption=(
        "Singular values (grey: every mode in order; dotted: edge of the random bulk; dashed: λ = 4), saddle "
        "energies, and the density of test data and of equilibrium samples along u and w of the first mode (each "
        "column in units of its highest value), with the saddle at 0 and the mean μ of random states "
        "(circles), against updates. Modes are followed by the overlap of their vectors."
    ),
    reading=(
        "A value that leaves the grey bulk has been learned, one above 4 has become unstable. The order in which "
        "modes leave is the order of learning."
    ),
    order=210,
    samples="main",
    analysis=("run",),
    cost=lambda scene, _: scene.base(1.0) + scene.following(),
    options=Options,
)


def for_study(material: Material) -> xr.Dataset:
    """The run of the size nearest to the paper's, M = 500."""
    run = material.run()
    return compute(run, material.samples(run), material.dataset, seed=material.seed, **material.settings)


def for_model(subject: Subject) -> xr.Dataset:
    """All checkpoints of the subject's run."""
    assert subject.run is not None
    return compute(subject.run, subject.all_samples, subject.dataset, seed=subject.seed)


def compute(run: Run, samples: RunSamples, dataset: Dataset | None = None, seed: int = 0, **options: Any) -> xr.Dataset:
    """`rbmscape.reciprocal.evolution.run_evolution` with some test data.

    Parameters
    ----------
    run, samples : checkpoints as they were trained, and their samples
    **options : of `Options`
    """
    asked = Options(**options)
    data = None
    if dataset is not None:
        pool = dataset.test if len(dataset.test) else dataset.train
        data = pool[Stream(seed, "figures/evolution").numpy().permutation(len(pool))[: asked.n_data]]
    states = [samples.at(update).all for update in samples.updates]
    result = run_evolution(
        run,
        data,
        samples.updates,
        averaged=False,
        samples=states,
        seed=seed,
        density_mode=0,
        **asked.model_dump(exclude={"n_data"}, exclude_none=True),
    )
    result = result.merge(samples.along(), combine_attrs="no_conflicts")
    return result.assign_attrs(provenance_attrs(seed=seed, n_hidden=run.config.n_hidden, method=run.config.method))


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """Singular values and saddle energies; below, densities along u and w of the first mode."""
    kinds = {kind: words for kind, words in SERIES.items() if f"{kind}_u_density" in dataset}
    figure, axes = new_figure(1 + len(kinds), 2, size=(PAGE_WIDTH, 3.2 + 1.7 * len(kinds)), sharex=True)
    _draw_singular_values(axes[0, 0], dataset)
    _draw_saddles(axes[0, 1], dataset)
    for row, (kind, (words, shade)) in zip(axes[1:], kinds.items(), strict=True):
        for panel, axis in zip(row, "uw", strict=True):
            _draw_states(panel, dataset, kind, axis, colour(shade))
            panel.set_title(words, loc="right")
    for panel in axes[-1]:
        updates_axis(panel, dataset["update"].values)
    for panel in axes[0]:
        epochs_above(panel, dataset["update"].values, dataset.epoch.values)
    handles = [handle for panel in axes[:2, 0] for handle in panel.get_legend_handles_labels()[0]]
    figure.legend(handles=handles, loc="outside upper center", ncols=5, columnspacing=1.2)
    panel_letters(axes)
    return figure


def _draw_singular_values(panel: Axes, dataset: xr.Dataset) -> None:
    updates = dataset["update"].values
    ordered = dataset.sorted_singular_value.values
    if float(ordered.max()) > 0.0:
        every = ordered[:, :: max(1, ordered.shape[1] // 60)]
        goes_on(*panel.plot(updates, every, color="0.8", linewidth=0.4, zorder=1))
    for k in range(min(N_SHOWN, dataset.sizes["mode"])):
        panel.plot(updates, dataset.singular_value.isel(mode=k), color=colour(k), label=f"mode {k + 1}")
    if "bulk_threshold" in dataset.attrs:
        panel.axhline(float(dataset.attrs["bulk_threshold"]), color="black", linestyle=":", label="edge of random bulk")
    panel.axhline(4.0, color="black", linestyle="--", linewidth=0.8, label="λ = 4")
    log_axis(panel)
    positive = ordered[ordered > 0.0]
    if positive.size:  # rank-deficient weights have values of rounding's size
        panel.set_ylim(bottom=max(0.9 * float(positive.min()), 1e-3 * float(positive.max())))
    panel.set_ylabel("singular value λ ($k_BT$)")


def _draw_saddles(panel: Axes, dataset: xr.Dataset) -> None:
    for k in range(min(N_SHOWN, dataset.sizes["mode"])):
        panel.plot(dataset["update"], dataset.saddle_energy.isel(mode=k), color=colour(k))
    symlog_axis(panel, 1.0)
    panel.set_ylabel("saddle, $a_{0i}b_{0i}/λ_i$ ($k_BT$)")


def _draw_states(panel: Axes, dataset: xr.Dataset, kind: str, axis: str, shade: str) -> None:
    """Density along u or w of the first mode, its saddle at 0 and the random states' mean μ."""
    updates = dataset["update"].values
    draw_density(panel, updates, dataset[f"{axis}_edge"].values, dataset[f"{kind}_{axis}_density"].values, shade)
    panel.axhline(0.0, color="black", linewidth=0.6, label="saddle")
    panel.plot(
        updates, dataset[f"random_{axis}"].isel(mode=0), "o", color="black", mfc=colour(4), markeredgewidth=0.5,
        label="random states, μ",
    )  # fmt: skip
    symlog_axis(panel, 10.0)
    panel.set_ylabel(f"${axis}_1$ from the saddle")


def alt_text(dataset: xr.Dataset) -> str:
    """Growth of the first modes, in words."""
    first, last = dataset.isel(update=0), dataset.isel(update=-1)
    parts = [
        f"mode {k + 1} from {float(first.singular_value[k]):.2f} to {float(last.singular_value[k]):.2f}"
        for k in range(min(N_SHOWN, dataset.sizes["mode"]))
    ]
    left = ""
    if "departure" in dataset:
        left = f" {int(dataset.departure.notnull().sum())} modes have left the random bulk at the end."
    return (
        f"Singular values, saddle energies and projections on the first mode during {int(last['update'])} updates. "
        f"Singular values go, {', '.join(parts)}.{left} {verdict(dataset)}"
    )
