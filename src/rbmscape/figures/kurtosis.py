"""Kurtosis of the reciprocal variables of random states against layer size (arXiv:2503.21536, figure 3 e).

Sampled values stand beside the exact ones, ``3 - 2 Σ_k V_ki⁴``, and their Haar average ``3 - 6/(M + 2)``.
Kurtosis is dimensionless; 3 is Gaussian.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rbmscape.errors import InputError
from rbmscape.figures.datasets import provenance_attrs
from rbmscape.figures.spec import Count, FigureOptions, FigureScene, FigureSpec
from rbmscape.figures.style import PAGE_WIDTH, colour, new_figure, panel_letters, print_style
from rbmscape.model.rbm import RBM
from rbmscape.progress import Progress
from rbmscape.reciprocal.gaussianity import extrapolate_kurtosis, haar_kurtosis, sampled_kurtosis
from rbmscape.reciprocal.modes import Modes

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rbmscape.figures.material import Material

__all__ = ["SPEC", "Options", "alt_text", "compute", "draw", "for_study"]

PAPER_SIZES = (500, 700, 784, 1200, 2000)
LAYERS = {"hidden": "y, hidden layer", "visible": "x, visible layer"}


class Options(FigureOptions):
    """What a plan may choose for it.

    Parameters
    ----------
    hidden : at least three layer sizes
    n_states : random states a model; the paper takes 7 000 000
    """

    hidden: tuple[Count, ...] = PAPER_SIZES
    n_states: Count = 200_000


def _cost(scene: FigureScene, options: Options) -> float:
    products = sum(float(scene.n_visible**2 + hidden**2) for hidden in options.hidden)
    return scene.base(1.0 + 2.5e-11 * float(options.n_states) * products)


SPEC = FigureSpec(
    title="Kurtosis of the reciprocal variables",
    caption=(
        "Kurtosis over random states, averaged over the modes with a singular value, against the size of the hidden "
        "layer, as in the paper's figure 3 e, for both layers; ribbons are standard deviations over modes, bars "
        "standard errors of the mean. Line: fit in 1/M, with its residuals on the right; dotted: the exact average 3 "
        "- 6/(M + 2)."
    ),
    reading=(
        "3 is a Gaussian. Points on the dotted line agree with the exact law; the line's intercept is the value for "
        "an infinite layer."
    ),
    printed=(
        "The kurtosis of y for M = 500 to 2000, from 7 million states each, with a fit in 1/M; the exact law is this "
        "package's."
    ),
    order=50,
    paper="3 e",
    cost=_cost,
    options=Options,
)


def for_study(material: Material) -> xr.Dataset:
    """Untrained models with as many visible units as the data; the plan's options choose the number of states."""
    std = material.run().config.weight_std or 0.01
    return compute(material.dataset.n_visible, std=std, seed=material.seed, **material.settings)


def compute(
    n_visible: int = 784, std: float = 0.01, seed: int = 0, progress: Progress = False, **options: Any
) -> xr.Dataset:
    """Kurtosis averaged over the modes with a singular value, both layers, and the line through the means.

    Parameters
    ----------
    progress : see `rbmscape.progress`; counts the states of the present model
    **options : of `Options`

    Returns
    -------
    Dataset over (layer, hidden): ``kurtosis`` (mean over min(N, M) modes), ``stderr`` of that mean, ``spread``
    (standard deviation over modes), ``exact`` (mean of the exact values), ``haar``, ``largest_z`` (worst |z| of a
    single mode against its exact value); over hidden ``fit`` and ``residual`` of the line in 1/M through the hidden
    layer's means; attributes ``intercept``, ``slope`` and their standard errors

    Raises
    ------
    InputError : fewer than three different sizes
    """
    import xarray as xr

    asked = Options(**options)
    if len(set(asked.hidden)) < 3:
        raise InputError(f"the line through the sizes needs three different ones, found {list(asked.hidden)}")
    names = ("kurtosis", "stderr", "spread", "exact", "haar", "largest_z")
    table = np.full((len(names), len(LAYERS), len(asked.hidden)), np.nan)
    for column, m in enumerate(asked.hidden):
        modes = Modes.of(RBM.random(n_visible, m, std, seed))
        for row, layer in enumerate(LAYERS):
            found = sampled_kurtosis(modes, layer, asked.n_states, seed, paired=True, progress=progress)
            values, exact, errors = found.value, found.exact, found.stderr
            table[:, row, column] = (
                values.mean(),
                np.sqrt(np.sum(errors**2)) / errors.size,
                values.std(),
                exact.mean(),
                haar_kurtosis(m if layer == "hidden" else n_visible),
                np.abs(found.z_scores).max(),
            )
    line = extrapolate_kurtosis(asked.hidden, table[0, 0], table[1, 0])
    fitted = line.at(asked.hidden)
    variables = {name: (("layer", "hidden"), table[k], {"units": "1"}) for k, name in enumerate(names)}
    return xr.Dataset(
        variables
        | {"fit": ("hidden", fitted, {"units": "1"}), "residual": ("hidden", table[0, 0] - fitted, {"units": "1"})},
        coords={"layer": list(LAYERS), "hidden": list(asked.hidden)},
        attrs=provenance_attrs(
            seed=seed, n_states=asked.n_states, n_visible=n_visible, std=std,
            intercept=line.intercept.value, intercept_stderr=line.intercept.stderr,
            slope=line.slope.value, slope_stderr=line.slope.stderr,
        ),
    )  # fmt: skip


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """Kurtosis against 1/M with the line to infinite size, and the line's residuals."""
    figure, axes = new_figure(1, 2, size=(PAGE_WIDTH, 3.2), width_ratios=(1.7, 1.0))
    panel_letters(axes)
    _draw_kurtosis(axes[0, 0], dataset)
    _draw_residuals(axes[0, 1], dataset)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def _draw_kurtosis(panel: Axes, dataset: xr.Dataset) -> None:
    inverse = 1.0 / dataset.hidden.values
    order = np.argsort(inverse)
    intercept, slope = float(dataset.attrs["intercept"]), float(dataset.attrs["slope"])
    for index, layer in enumerate(dataset.layer.values):
        one = dataset.sel(layer=layer)
        values, spread = one.kurtosis.values, one.spread.values
        panel.fill_between(
            inverse[order], (values - spread)[order], (values + spread)[order], color=colour(index + 1), alpha=0.2,
            linewidth=0,
        )  # fmt: skip
        panel.errorbar(
            inverse, values, yerr=one.stderr, fmt="os"[index], color=colour(index + 1), label=LAYERS[str(layer)]
        )
    grid = np.linspace(0.0, 1.05 * inverse.max(), 100)
    words = f"line: {intercept:.4f} ± {float(dataset.attrs['intercept_stderr']):.4f} at M = ∞"
    panel.plot(grid, intercept + slope * grid, color=colour(0), label=words)
    with np.errstate(divide="ignore"):
        panel.plot(grid, haar_kurtosis(1.0 / grid), color="black", linestyle=":", label="exact, 3 - 6/(M + 2)")
    panel.axhline(3.0, color="0.35", linestyle="--", label="Gaussian")
    panel.set_xlim(0.0, grid[-1])
    panel.set_xticks([0.0, *inverse], ["∞", *(str(m) for m in dataset.hidden.values)])
    _thin_labels(panel, inverse)
    panel.set_xlabel("size M of the hidden layer (scale 1/M)")
    panel.set_ylabel("kurtosis")


def _thin_labels(panel: Axes, inverse: np.ndarray[Any, Any]) -> None:
    """Turn the tick labels, which come close where sizes do."""
    close = np.diff(np.sort(inverse)).min() < 0.06 * inverse.max()
    panel.tick_params(axis="x", rotation=60 if close else 0)


def _draw_residuals(panel: Axes, dataset: xr.Dataset) -> None:
    hidden = dataset.sel(layer="hidden")
    panel.axhline(0.0, color=colour(0))
    panel.errorbar(dataset.hidden, 1e4 * dataset.residual, yerr=1e4 * hidden.stderr, fmt="o", color=colour(1),
                   label="sampled - line")  # fmt: skip
    panel.plot(dataset.hidden, 1e4 * (hidden.kurtosis - hidden.exact), "D", color="black", markerfacecolor="none",
               label="sampled - exact")  # fmt: skip
    panel.set_xlabel("size M of the hidden layer")
    panel.set_ylabel("residual ($10^{-4}$)")
    panel.margins(y=0.35)
    panel.legend(loc="upper right")


def alt_text(dataset: xr.Dataset) -> str:
    """Line and points, in words."""
    hidden = dataset.sel(layer="hidden")
    parts = [f"{float(k):.4f} at M = {int(m)}" for m, k in zip(dataset.hidden.values, hidden.kurtosis, strict=True)]
    return (
        f"Mean kurtosis of the hidden layer's reciprocal variables over {int(dataset.attrs['n_states'])} random "
        f"states: {', '.join(parts)}; the line in 1/M reaches {float(dataset.attrs['intercept']):.4f} at infinite "
        f"size, where 3 is Gaussian. Largest deviation of a single mode from its exact value: "
        f"{float(dataset.largest_z.max()):.1f} standard errors."
    )
