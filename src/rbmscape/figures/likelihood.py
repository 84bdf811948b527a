"""Log-likelihood of the test data against epochs (arXiv:2503.21536, figure 1, left).

Estimates come in as a Dataset over (hidden, replica, update), in nats a sample; what is missing is NaN.  Where they are
brackets, the bounds from annealing in both directions are drawn as a band, and points that the bracket does not call
converged are hollow.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from rbmscape.figures.datasets import provenance_attrs
from rbmscape.figures.spec import FigureSpec
from rbmscape.figures.style import COLUMN_WIDTH, colour, legend_below, marker, new_figure, print_style

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rbmscape.figures.material import Material

__all__ = ["SPEC", "alt_text", "compute", "draw", "for_study"]

_METHODS = {
    "exact": "exact sums",
    "ais": "annealed importance sampling in one direction, without a verdict",
    "bracket": "annealing in both directions",
    "trajectory": "replica exchange along the training, one estimate for a whole curve",
}

SPEC = FigureSpec(
    title="Log-likelihood of the test data during training",
    caption=(
        "Mean log-likelihood of the test data against epochs for each size of the hidden layer, as on the left of the "
        "paper's figure 1. Points are means over replicas, thin lines single replicas, bars the standard deviation "
        "over replicas (with one replica, the estimate's own standard error). Where brackets were taken, bands and "
        "pale bars reach from the lower to the upper bound, and hollow points are those without a converged bracket in "
        "every replica."
    ),
    reading=(
        "A curve that still rises wants more epochs; curves closer to each other than their bars and bands are not "
        "told apart. Hollow points are bounds: the true value may lie elsewhere."
    ),
    printed=(
        "The same curves for M = 500, 784, 1200 and 3000 from AIS and reverse AIS, means and standard deviations of "
        "five replicas, without a verdict on the estimates."
    ),
    order=10,
    paper="1, left",
    results=("likelihood",),
    cost=lambda scene, _: scene.base(0.5),
)


def for_study(material: Material) -> xr.Dataset:
    """Data of the figure for the main recipe of a study."""
    return compute(material.result("likelihood").sel(recipe=material.main_recipe, drop=True))


def compute(estimates: xr.Dataset) -> xr.Dataset:
    """Mean and spread over replicas beside the single estimates.

    Parameters
    ----------
    estimates : ``log_likelihood``, ``stderr`` (nat) and ``epoch`` over (hidden, replica, update); from brackets
        also ``lower``, ``upper``, ``lower_stderr``, ``upper_stderr`` (nat) and ``converged`` (1 or 0)

    Returns
    -------
    The same with ``mean`` and ``bar`` over (hidden, update): ``bar`` is the standard deviation over replicas, or where
    there is one replica the estimate's own standard error; from brackets also ``low`` and ``high``, the lowest lower
    bound less its error and the highest upper bound plus its error of all replicas; where estimates have a verdict
    ``sure``, 1 where all converged or are exact sums
    """
    values = estimates.log_likelihood.transpose("hidden", "replica", "update")
    count = values.notnull().sum("replica")
    with warnings.catch_warnings():  # updates that a size has no checkpoint at are empty slices, and stay NaN
        warnings.simplefilter("ignore", RuntimeWarning)
        spread = values.std("replica", ddof=1)
        bar = spread.where(count > 1, estimates.stderr.mean("replica"))
        epoch = estimates.epoch.mean("replica")
        mean = values.mean("replica")
    result = estimates.assign(mean=mean, bar=bar.transpose("hidden", "update"), replicas=count)
    result = result.assign(epoch=epoch.transpose("hidden", "update"))
    if "lower" in estimates:
        low = (estimates.lower - estimates.lower_stderr).min("replica").transpose("hidden", "update")
        high = (estimates.upper + estimates.upper_stderr).max("replica").transpose("hidden", "update")
        result = result.assign(low=low, high=high)
    if "converged" in estimates:
        settled = (estimates.converged == 1.0) | (estimates.stderr == 0.0) | values.isnull()
        sure = settled.all("replica").astype(float).transpose("hidden", "update")
        result = result.assign(sure=sure.assign_attrs(units="1"))
    for name in {"mean", "bar", "low", "high"} & set(result.data_vars):
        result[name].attrs["units"] = "nat"
    result["epoch"].attrs["units"] = "epochs"
    result.attrs |= provenance_attrs(seed=estimates.attrs.get("seed"))
    return result


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """One curve a size: means with bars, single replicas as thin lines."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = new_figure(size=(COLUMN_WIDTH, 3.2))
    panel = axes[0, 0]
    for index, hidden in enumerate(dataset.hidden.values):
        _draw_size(panel, dataset.sel(hidden=hidden), index)
    panel.set_xlabel("epochs")
    panel.set_ylabel("log-likelihood of test data (nats)")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    if "sure" in dataset and bool((dataset.sure.where(dataset["mean"].notnull()) < 1.0).any()):
        panel.plot([], [], "o", color="0.3", mfc="white", label="hollow: not converged")
    legend_below(figure, panel)
    return figure


def _draw_size(panel: Axes, size: xr.Dataset, index: int) -> None:
    epoch, mean, bar = (size[name].values for name in ("epoch", "mean", "bar"))
    known = np.isfinite(mean)
    for replica in size.replica.values:
        single = size.log_likelihood.sel(replica=replica).values
        panel.plot(epoch[known], single[known], color=colour(index), linewidth=0.5, alpha=0.6)
    if "low" in size:
        low, high = size.low.values, size.high.values
        panel.fill_between(epoch[known], low[known], high[known], color=colour(index), alpha=0.2, linewidth=0)
        panel.vlines(epoch[known], low[known], high[known], color=colour(index), alpha=0.35, linewidth=4)
    if "sure" in size:
        doubtful = known & (size.sure.values < 1.0)
        panel.plot(epoch[doubtful], mean[doubtful], marker(index), color=colour(index), mfc="white", zorder=5)
    panel.errorbar(
        epoch[known],
        mean[known],
        yerr=bar[known],
        color=colour(index),
        marker=marker(index),
        label=f"M = {int(size.hidden)}",
    )


def alt_text(dataset: xr.Dataset) -> str:
    """First and last value of every curve, in words."""
    parts = []
    for hidden in dataset.hidden.values:
        size = dataset.sel(hidden=hidden)
        known = np.flatnonzero(np.isfinite(size["mean"].values))
        first, last = size.isel(update=known[0]), size.isel(update=known[-1])
        parts.append(
            f"with {hidden} hidden units it goes from {float(first['mean']):.1f} nats at epoch {float(first.epoch):g} "
            f"to {float(last['mean']):.1f} at epoch {float(last.epoch):g}" + _bounds_in_words(last)
        )
    return f"Line chart of the test log-likelihood against epochs: {'; '.join(parts)}.{_estimators(dataset)}"


def _estimators(dataset: xr.Dataset) -> str:
    """How the points were estimated, where that is known."""
    if "estimator" not in dataset:
        return ""
    meanings = str(dataset.estimator.attrs["meanings"]).split()
    found = np.unique(dataset.estimator.values[np.isfinite(dataset.estimator.values)]).astype(int)
    return f" Estimated by {' and '.join(_METHODS[meanings[number]] for number in found)}."


def _bounds_in_words(point: xr.Dataset) -> str:
    if "low" not in point or not np.isfinite(float(point.low)):
        return ""
    verdict = "converged" if float(point.sure) == 1.0 else "not converged"
    return f" (between {float(point.low):.1f} and {float(point.high):.1f}, {verdict})"
