"""Singular values of random weights against the Marchenko-Pastur law (arXiv:2503.21536, equation 20, figure 3 a to d).

Singular values are in units of k_B T at beta = 1; one panel a size of the hidden layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rbmscape.figures.datasets import provenance_attrs
from rbmscape.figures.spec import Count, FigureOptions, FigureSpec
from rbmscape.figures.style import PAGE_WIDTH, colour, legend_below, new_figure, panel_letters, print_style
from rbmscape.model.rbm import RBM
from rbmscape.reciprocal.bulk import spectrum_test
from rbmscape.reciprocal.marchenko_pastur import MarchenkoPastur
from rbmscape.rng import Stream

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rbmscape.figures.material import Material

__all__ = ["SPEC", "Options", "alt_text", "compute", "draw", "for_study"]

PAPER_SIZES = (500, 784, 1200, 3000)


class Options(FigureOptions):
    """What a plan may choose for it.

    Parameters
    ----------
    hidden : sizes of the hidden layer
    n_bins : bins of each histogram
    n_simulations : random spectra that calibrate the p-value
    """

    hidden: tuple[Count, ...] = PAPER_SIZES
    n_bins: Count = 50
    n_simulations: Count = 99


SPEC = FigureSpec(
    title="Singular values of random weights",
    caption=(
        "Histograms of the singular values of fresh random weights and the Marchenko-Pastur law (equation 20), as in "
        "the paper's figure 3 a to d; dotted: its edges. p-values are calibrated with spectra of random matrices."
    ),
    reading=(
        "The histogram follows the curve and ends at the dotted edges. A p-value below one in a hundred, or a value "
        "beyond the edge, says that the weights are no longer random."
    ),
    printed=(
        "The same histograms with the law for 784 visible and 500, 784, 1200 and 3000 hidden units, without p-values."
    ),
    order=40,
    paper="3 a-d",
    cost=lambda scene, options: (
        scene.base(0.7) + sum(scene.factors(0.3 * options.n_simulations, hidden) for hidden in options.hidden)
    ),
    options=Options,
)


def for_study(material: Material) -> xr.Dataset:
    """The paper's four sizes, with the standard deviation of the runs' initial weights."""
    std = material.run().config.weight_std or 0.01
    return compute(material.dataset.n_visible, std=std, seed=material.seed, **material.settings)


def compute(n_visible: int = 784, std: float = 0.01, seed: int = 0, **options: Any) -> xr.Dataset:
    """Spectrum of one fresh N(0, std²) matrix a size, the law, and the test of one against the other.

    Parameters
    ----------
    **options : of `Options`

    Returns
    -------
    Dataset over (hidden, order | bin | grid): ``singular_value`` (NaN beyond min(N, M)), ``density`` of its histogram,
    ``law`` on ``law_at``, ``edge_low|high``, ``peak``, ``distance`` and ``pvalue`` of the Kolmogorov-Smirnov test
    """
    import xarray as xr

    asked = Options(**options)
    longest = max(min(n_visible, m) for m in asked.hidden)
    rows: dict[str, list[Any]] = {}
    for m in asked.hidden:
        for name, value in _one_size(
            MarchenkoPastur(n_visible, m, std), asked.n_bins, asked.n_simulations, longest, seed
        ).items():
            rows.setdefault(name, []).append(value)
    second = {"singular_value": "order", "density": "bin", "bin_edge": "edge", "law_at": "grid", "law": "grid"}
    units = {"density": "1 / k_B T", "law": "1 / k_B T", "distance": "1", "pvalue": "1", "pvalue_independent": "1"}
    variables = {
        name: (
            ("hidden", second[name]) if name in second else "hidden",
            np.stack(values),
            {"units": units.get(name, "k_B T")},
        )
        for name, values in rows.items()
    }
    attrs = provenance_attrs(seed=seed, n_visible=n_visible, std=std, n_simulations=asked.n_simulations)
    return xr.Dataset(variables, coords={"hidden": list(asked.hidden)}, attrs=attrs)


def _one_size(law: MarchenkoPastur, n_bins: int, n_simulations: int, longest: int, seed: int) -> dict[str, Any]:
    """What one panel shows; singular values are padded with NaN to the longest spectrum."""
    drawn = int(Stream(seed, f"figures/random-spectra/{law.n_hidden}").numpy().integers(2**63))
    weights = RBM.random(law.n_visible, law.n_hidden, law.std, drawn).weights.to(torch.float64)
    values = torch.linalg.svdvals(weights).numpy()
    tested = spectrum_test(values, law, n_simulations, drawn)
    low, high = law.edges
    margin = 0.05 * (high - low)
    bins = np.linspace(max(0.0, low - margin), high + margin, n_bins + 1)
    grid = np.linspace(bins[0], bins[-1], 400)
    return {
        "singular_value": np.pad(values, (0, longest - values.size), constant_values=np.nan),
        "density": np.histogram(values, bins)[0] / (values.size * np.diff(bins)),
        "bin_edge": bins,
        "law_at": grid,
        "law": law.pdf(grid),
        "edge_low": low,
        "edge_high": high,
        "peak": law.peak,
        "distance": tested.statistic,
        "pvalue": tested.p_value,
        "pvalue_independent": tested.p_value_independent,
    }


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """Histogram and law a size."""
    n_panels = dataset.sizes["hidden"]
    columns = min(2, n_panels)
    rows = -(-n_panels // columns)
    figure, axes = new_figure(rows, columns, size=(PAGE_WIDTH, 2.3 * rows + 0.3))
    panels = axes.ravel()
    for panel in panels[n_panels:]:
        panel.set_axis_off()
    panel_letters(panels[:n_panels])
    for panel, hidden in zip(panels, dataset.hidden.values, strict=False):
        _draw_size(panel, dataset.sel(hidden=hidden))
    legend_below(figure, panels[0])
    return figure


def _draw_size(panel: Axes, one: xr.Dataset) -> None:
    panel.stairs(one.density.values, one.bin_edge.values, fill=True, color=colour(5), alpha=0.6, label="random weights")
    panel.plot(one.law_at, one.law, color=colour(1), label="Marchenko-Pastur")
    for edge in (one.edge_low, one.edge_high):
        panel.axvline(float(edge), color="0.4", linewidth=0.7, linestyle=":")
    panel.set_title(f"M = {int(one.hidden)}", fontsize=8.5)
    panel.set_xlabel("singular value λ ($k_BT$)")
    panel.set_ylabel("density ($1/k_BT$)")
    panel.set_ylim(0.0, 1.45 * max(float(one.law.max()), float(one.density.max())))
    words = f"KS distance {float(one.distance):.4f}\np = {float(one.pvalue):.2f}"
    panel.text(0.98, 0.96, words, transform=panel.transAxes, ha="right", va="top", fontsize=7)


def alt_text(dataset: xr.Dataset) -> str:
    """Edges and test of every panel, in words."""
    parts = [
        f"M = {int(one.hidden)}: support {float(one.edge_low):.4f} to {float(one.edge_high):.4f}, "
        f"Kolmogorov-Smirnov p = {float(one.pvalue):.2f}"
        for one in (dataset.sel(hidden=hidden) for hidden in dataset.hidden.values)
    ]
    return (
        f"Histograms of the singular values of random weights with {dataset.attrs['n_visible']} visible units "
        f"and the Marchenko-Pastur density. {'; '.join(parts)}."
    )
