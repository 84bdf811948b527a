"""Log-likelihood of the test data against epochs (arXiv:2503.21536, figure 1, left).

Estimates come in as a Dataset over (hidden, replica, update), in nats a sample; what is missing is NaN.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator

from rbmscape.figures.style import colour, marker, new_figure, print_style, provenance_attrs

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rbmscape.figures.material import Material

__all__ = ["alt_text", "compute", "draw", "for_study"]


def for_study(material: Material) -> xr.Dataset:
    """Data of the figure for the main recipe of a study."""
    return compute(material.result("likelihood").sel(recipe=material.main_recipe, drop=True))


def compute(estimates: xr.Dataset) -> xr.Dataset:
    """Mean and spread over replicas beside the single estimates.

    Parameters
    ----------
    estimates : variables ``log_likelihood``, ``stderr`` (nat) and ``epoch`` over (hidden, replica, update)

    Returns
    -------
    The same with ``mean`` and ``bar`` over (hidden, update): ``bar`` is the standard deviation over replicas, or where
    there is one replica the estimate's own standard error
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
    for name in ("mean", "bar"):
        result[name].attrs["units"] = "nat"
    result["epoch"].attrs["units"] = "epochs"
    result.attrs |= provenance_attrs(seed=estimates.attrs.get("seed"))
    return result


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """One curve a size: means with bars, single replicas as thin lines."""
    figure, axes = new_figure()
    panel = axes[0, 0]
    for index, hidden in enumerate(dataset.hidden.values):
        _draw_size(panel, dataset.sel(hidden=hidden), index)
    panel.set_xlabel("epochs")
    panel.set_ylabel("log-likelihood of test data (nats)")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.legend(title="hidden units", loc="best")
    return figure


def _draw_size(panel: Axes, size: xr.Dataset, index: int) -> None:
    epoch, mean, bar = (size[name].values for name in ("epoch", "mean", "bar"))
    known = np.isfinite(mean)
    for replica in size.replica.values:
        single = size.log_likelihood.sel(replica=replica).values
        panel.plot(epoch[known], single[known], color=colour(index), linewidth=0.5, alpha=0.6)
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
            f"to {float(last['mean']):.1f} at epoch {float(last.epoch):g}"
        )
    return f"Line chart of the test log-likelihood against epochs: {'; '.join(parts)}."
