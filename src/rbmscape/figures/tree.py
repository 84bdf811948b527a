"""Tree of the data: fixed points of the mean-field equations from the last checkpoint back to the first."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from rbmscape.diffusion.tree import FixedPointTree, fixed_point_tree
from rbmscape.figures.along_training import updates_axis
from rbmscape.figures.checkpoints import spread_updates
from rbmscape.figures.datasets import provenance_attrs
from rbmscape.figures.spec import Count, FigureOptions, FigureSpec
from rbmscape.figures.style import (
    CLASS_COLOURS,
    PAGE_WIDTH,
    legend_below,
    log_axis,
    new_figure,
    panel_letters,
    print_style,
)
from rbmscape.rng import Stream

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rbmscape.data.dataset import Dataset
    from rbmscape.figures.material import Material
    from rbmscape.runs.run import Run

__all__ = ["SPEC", "Options", "alt_text", "compute", "draw", "for_study"]


class Options(FigureOptions):
    """What a plan may choose for it.

    Parameters
    ----------
    n_samples : test samples that start the iterations
    n_checkpoints : levels of the tree at most, evenly spaced in ln(1 + update)
    order : 1 naive mean field, 2 TAP, 3 with the third-order term
    max_iterations : after which a start counts as not converged
    """

    n_samples: Count = 1000
    n_checkpoints: Count = 20
    order: Literal[1, 2, 3] = 2
    max_iterations: Count = 2000


SPEC = FigureSpec(
    title="Tree of the data",
    caption=(
        "Fixed points of the mean-field equations (second order, TAP) reached from test samples at the last checkpoint "
        "and followed back to the first: points that meet are one branch. Colours say which class most samples of a "
        "branch have, widths how many it has. Right: the number of fixed points and the share of samples of their "
        "branch's class."
    ),
    reading=(
        "Where branches meet, the machine does not tell their samples apart; the earlier two classes part, the more "
        "they differ. One colour a branch means that it has found the classes without labels."
    ),
    order=460,
    analysis=("run", "data"),
    cost=lambda scene, options: scene.base(
        4e-8 * options.n_samples * options.n_checkpoints * scene.n_visible * scene.main / 100 + 3.0
    ),
    options=Options,
    default=False,
)


def for_study(material: Material) -> xr.Dataset:
    """The run of the size nearest to the paper's, M = 500."""
    return compute(material.run(), material.dataset, seed=material.seed, **material.settings)


def compute(run: Run, dataset: Dataset, seed: int = 0, **options: Any) -> xr.Dataset:
    """The tree over some test samples.

    Parameters
    ----------
    run, dataset : training samples are taken where there are no test samples
    seed : of the choice of samples
    **options : of `Options`

    Returns
    -------
    Dataset over (level, node): ``parent`` (at the level before), ``samples``, ``leading_class`` (-1 without labels) and
    ``height`` (place of the branch in the picture), NaN or -1 beyond the nodes of a level; over level: ``nodes``,
    ``unconverged``, ``purity``; the attribute ``newick``
    """
    import xarray as xr

    asked = Options(**options)
    tested = len(dataset.test) > 0
    pool = dataset.test if tested else dataset.train
    labels = dataset.test_labels if tested else dataset.train_labels
    picks = Stream(seed, "figures/tree").numpy().permutation(len(pool))[: asked.n_samples]
    updates = spread_updates(run, max(2, asked.n_checkpoints))
    models = [partial(run.load, update, averaged=False) for update in updates]
    tree = fixed_point_tree(
        models, updates, pool[picks], order=asked.order, max_iterations=asked.max_iterations, progress=False
    )
    chosen = None if labels is None else np.asarray(labels)[picks]
    result = _nodes(tree, chosen)
    names = [] if chosen is None else [str(name) for name in np.unique(chosen)]
    return xr.Dataset(
        {name: (axes, values, {"units": "1"}) for name, (axes, values) in result.items()},
        coords={"update": ("level", updates, {"units": "updates"})},
        attrs=provenance_attrs(
            seed=seed, n_samples=len(picks), classes="\n".join(names), newick=tree.newick(chosen), order=asked.order
        ),
    )


def _nodes(tree: FixedPointTree, labels: Any) -> dict[str, tuple[Any, Any]]:
    """Tables over (level, node), and numbers over level."""
    shape = (len(tree.updates), int(tree.sizes.max()))
    parent, samples, leading = (np.full(shape, -1, dtype=np.int64) for _ in range(3))
    height, purity = np.full(shape, np.nan), np.full(shape[0], np.nan)
    places = _leaf_places(tree)
    for level, size in enumerate(tree.sizes.tolist()):
        member = tree.membership(level)
        samples[level, :size] = np.bincount(member, minlength=size)
        height[level, :size] = np.bincount(member, places[tree.member], size) / samples[level, :size]
        if level:
            parent[level, :size] = tree.parents[level - 1]
        if labels is not None:
            counts = tree.class_counts(labels, level)[1]
            leading[level, :size] = counts.argmax(1)
            purity[level] = counts.max(1).sum() / len(member)
    pair = ("level", "node")
    return {
        "parent": (pair, parent), "samples": (pair, samples), "leading_class": (pair, leading),
        "height": (pair, height), "nodes": ("level", tree.sizes), "unconverged": ("level", tree.unconverged),
        "purity": ("level", purity),
    }  # fmt: skip


def _leaf_places(tree: FixedPointTree) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Place of each leaf from 0 to 1, in an order in which branches do not cross, with room by samples."""
    chains = [np.arange(tree.sizes[-1])]
    for parents in reversed(tree.parents):
        chains.append(parents[chains[-1]])
    order = np.lexsort(chains)
    totals = np.bincount(tree.member, minlength=int(tree.sizes[-1])).astype(float)[order] ** 0.5
    places = np.empty(order.size)
    places[order] = (np.cumsum(totals) - totals / 2) / totals.sum()
    return places


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """The tree, and numbers along it."""
    figure, axes = new_figure(1, 2, size=(PAGE_WIDTH, 3.6), width_ratios=(2.2, 1))
    _draw_tree(axes[0, 0], dataset)
    panel = axes[0, 1]
    panel.plot(dataset["update"], dataset.nodes, "o-", color="#0072B2", label="fixed points")
    if int(dataset.unconverged.sum()):
        panel.plot(dataset["update"], dataset.unconverged, "x", color="black", label="not converged")
    updates_axis(panel, dataset["update"].values)
    log_axis(panel)
    panel.set_ylim(0.8, 1.4 * float(max(dataset.nodes.max(), dataset.unconverged.max())))
    panel.set_ylabel("fixed points")
    if dataset.attrs["classes"]:
        twin = panel.twinx()
        twin.plot(dataset["update"], dataset.purity, "s--", color="#D55E00", label="share of the branch's class")
        twin.set_ylim(-0.04, 1.04)
        twin.set_ylabel("share of the branch's class", color="#D55E00")
    legend_below(figure, axes[0, 0], panel)
    panel_letters(axes)
    return figure


def _draw_tree(panel: Axes, dataset: xr.Dataset) -> None:
    """Branches between the levels, from left to right in the order of training."""
    from matplotlib.collections import LineCollection

    names = dataset.attrs["classes"].split("\n") if dataset.attrs["classes"] else []
    updates = dataset["update"].values
    for level in range(1, updates.size):
        size = int(dataset.nodes[level])
        parent = dataset.parent.values[level, :size]
        start = np.stack([np.full(size, updates[level - 1]), dataset.height.values[level - 1, parent]], 1)
        stop = np.stack([np.full(size, updates[level]), dataset.height.values[level, :size]], 1)
        share = dataset.samples.values[level, :size] / dataset.attrs["n_samples"]
        shades = [
            CLASS_COLOURS[k % len(CLASS_COLOURS)] if k >= 0 else "black" for k in dataset.leading_class.values[level]
        ]
        panel.add_collection(
            LineCollection(list(np.stack([start, stop], 1)), colors=shades, linewidths=0.4 + 4 * share**0.5)
        )
    for number, name in enumerate(names):
        panel.plot([], [], color=CLASS_COLOURS[number % len(CLASS_COLOURS)], linewidth=2, label=name)
    updates_axis(panel, updates)
    panel.set_ylim(-0.02, 1.02)
    panel.set_yticks([])


def alt_text(dataset: xr.Dataset) -> str:
    """Numbers at the last checkpoint."""
    share = float(dataset.purity[-1])
    words = f"; {share:.0%} of the samples have the commonest class of their point" if np.isfinite(share) else ""
    return (
        f"Tree of fixed points over {int(dataset.attrs['n_samples'])} samples: {int(dataset.nodes[0])} at the first "
        f"checkpoint, {int(dataset.nodes[-1])} at the last, {int(dataset.unconverged.sum())} not converged{words}."
    )
