"""Effective couplings of the visible units: all pairs as a matrix, by distance, and the strongest as a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from rbmscape.figures.datasets import provenance_attrs
from rbmscape.figures.mosaic import column_names, columns_attr, is_image, shortened
from rbmscape.figures.spec import Count, FigureOptions, FigureSpec
from rbmscape.figures.style import DIVERGING, PAGE_WIDTH, new_figure, panel_letters, print_style
from rbmscape.reciprocal.couplings import effective_couplings

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rbmscape.data.dataset import Dataset
    from rbmscape.figures.analysis import Subject
    from rbmscape.figures.material import Material
    from rbmscape.model.rbm import RBM

__all__ = ["SPEC", "Options", "alt_text", "compute", "draw", "for_model", "for_study"]

MOST_DISTANCES = 14
MOST_NAMED = 12


class Options(FigureOptions):
    """What a plan may choose for it.

    Parameters
    ----------
    states : "spins" for the couplings of ±1 units, "bits" for those of 0 and 1
    n_links : strongest couplings drawn as a network
    """

    states: Literal["bits", "spins"] = "spins"
    n_links: Count = 200


SPEC = FigureSpec(
    title="Effective couplings",
    caption=(
        "Two-body couplings of the visible units that the hidden layer stands for, exact: all pairs as a matrix; their "
        "distribution at each distance of two pixels (median, middle half and nine tenths; for Ising spins the true "
        "coupling of neighbours is a dashed line); and the strongest ones drawn between their pixels. Of data that are "
        "no images, the strongest pairs by name, and the units on a circle."
    ),
    reading=(
        "A lattice or a chain shows as bands of the matrix and as a peak at the smallest distance. Couplings at large "
        "distance are what training has not yet explained by short ones."
    ),
    order=440,
    analysis=(),
    cost=lambda scene, _: scene.base(3e-8 * scene.n_visible**2 * scene.main + 1.0),
    options=Options,
    default=False,
)


def for_study(material: Material) -> xr.Dataset:
    """The model of the size nearest to the paper's, M = 500."""
    dataset = material.dataset
    return compute(material.run().load(), dataset.image_shape, _truth(dataset), dataset.columns, **material.settings)


def for_model(subject: Subject) -> xr.Dataset:
    """The subject's model."""
    columns = None if subject.dataset is None else subject.dataset.columns
    return compute(subject.model, subject.image_shape, _truth(subject.dataset), columns)


def _truth(dataset: Dataset | None) -> float | None:
    return None if dataset is None else dataset.attributes.get("coupling")


def compute(
    rbm: RBM,
    image_shape: tuple[int, int] | None = None,
    truth: float | None = None,
    columns: Sequence[str] | None = None,
    **options: Any,
) -> xr.Dataset:
    """All pairs, and their distances on the pixels.

    Parameters
    ----------
    rbm : the model
    image_shape : (height, width); None takes units in a row
    truth : coupling of neighbours of the Ising model that the data come from
    columns : names of the units
    **options : of `Options`

    Returns
    -------
    Dataset over (unit, other): ``coupling``; over pair: ``pair_coupling`` and ``distance`` in pixels (of a torus where
    the truth is known)
    """
    import xarray as xr

    asked = Options(**options)
    shape = image_shape or (1, rbm.n_visible)
    pairs = effective_couplings(rbm, 2, asked.states)
    first, second = np.triu_indices(rbm.n_visible, 1)
    steps = [np.abs(axis[first] - axis[second]) for axis in np.divmod(np.arange(rbm.n_visible), shape[1])]
    if truth is not None:
        steps = [np.minimum(step, length - step) for step, length in zip(steps, shape, strict=True)]
    return xr.Dataset(
        {
            "coupling": (("unit", "other"), pairs.astype(np.float32), {"units": "k_B T"}),
            "pair_coupling": ("pair", pairs[first, second].astype(np.float32), {"units": "k_B T"}),
            "distance": ("pair", np.hypot(*steps).astype(np.float32), {"units": "pixels"}),
        },
        attrs=provenance_attrs(
            states=asked.states, n_links=asked.n_links, height=shape[0], width=shape[1], truth=truth,
            n_hidden=rbm.n_hidden, columns=columns_attr(columns),
        ),
    )  # fmt: skip


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """Matrix, couplings by distance, network."""
    figure, axes = new_figure(1, 3, size=(PAGE_WIDTH, 2.5))
    limit = float(np.quantile(np.abs(dataset.pair_coupling.values), 0.999)) or 1.0
    image = axes[0, 0].imshow(dataset.coupling.values, cmap=DIVERGING, vmin=-limit, vmax=limit)
    figure.colorbar(image, ax=axes[0, 0], shrink=0.8, label="coupling ($k_BT$)")
    axes[0, 0].set_xlabel("unit")
    axes[0, 0].set_ylabel("unit")
    if is_image((int(dataset.attrs["height"]), int(dataset.attrs["width"]))):
        _draw_distances(axes[0, 1], dataset)
        _draw_network(axes[0, 2], dataset)
    else:
        _draw_strongest(axes[0, 1], dataset)
        _draw_ring(axes[0, 2], dataset)
    panel_letters(axes)
    return figure


def _draw_distances(panel: Axes, dataset: xr.Dataset) -> None:
    distance, values = dataset.distance.values, dataset.pair_coupling.values
    known = np.unique(np.round(distance, 4))[:MOST_DISTANCES]
    groups = [values[np.abs(distance - one) < 1e-3] for one in known]
    levels = np.asarray([np.quantile(group, [0.05, 0.25, 0.5, 0.75, 0.95]) for group in groups])
    panel.vlines(known, levels[:, 0], levels[:, 4], color="#0072B2", linewidth=0.6)
    panel.vlines(known, levels[:, 1], levels[:, 3], color="#0072B2", linewidth=2.5)
    panel.plot(known, levels[:, 2], "o", color="black", markersize=2.5)
    panel.axhline(0.0, color="grey", linewidth=0.6)
    if "truth" in dataset.attrs:
        panel.axhline(dataset.attrs["truth"], color="#D55E00", linestyle="--", linewidth=0.9)
    panel.set_xlabel("distance in pixels")
    panel.set_ylabel("coupling ($k_BT$)")


def _strongest(dataset: xr.Dataset, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Both units and the coupling of the strongest pairs, weakest first."""
    pairs = dataset.coupling.values
    rows, columns = np.triu_indices(len(pairs), 1)
    values = pairs[rows, columns]
    kept = np.argsort(np.abs(values))[-count:]
    return rows[kept], columns[kept], values[kept]


def _shades(values: NDArray[np.float64]) -> Any:
    """Attractive orange and repulsive violet, as in the matrix."""
    import matplotlib

    return matplotlib.colormaps[DIVERGING](0.5 + 0.5 * np.sign(values) * 0.85)


def _draw_strongest(panel: Axes, dataset: xr.Dataset) -> None:
    """The strongest couplings of units that are no pixels, by name."""
    names = [shortened(name, 12) for name in column_names(dataset)] or [
        str(unit) for unit in range(dataset.sizes["unit"])
    ]
    rows, columns, values = _strongest(dataset, MOST_NAMED)
    panel.barh(np.arange(values.size), values, color=_shades(values))
    panel.axvline(0.0, color="grey", linewidth=0.6)
    panel.set_yticks(np.arange(values.size), [f"{names[i]}, {names[j]}" for i, j in zip(rows, columns, strict=True)])
    panel.tick_params(axis="y", labelsize=6)
    panel.set_xlabel("coupling ($k_BT$)")
    panel.locator_params(axis="x", nbins=4)


def _draw_ring(panel: Axes, dataset: xr.Dataset) -> None:
    """The strongest couplings between units on a circle, the first on the right, counted against the clock."""
    rows, columns, values = _strongest(dataset, int(dataset.attrs["n_links"]))
    turn = 2 * np.pi * np.arange(dataset.sizes["unit"]) / dataset.sizes["unit"]
    place = np.stack([np.cos(turn), np.sin(turn)], 1)
    _add_links(panel, place[rows], place[columns], values)
    panel.plot(*place.T, "o", color="black", markersize=2)
    panel.set_aspect("equal")
    panel.set_axis_off()


def _add_links(panel: Axes, start: NDArray[Any], stop: NDArray[Any], values: NDArray[np.float64]) -> None:
    """Lines (n, 2) to (n, 2), as wide as the couplings are strong."""
    from matplotlib.collections import LineCollection

    widths = 1.8 * np.abs(values) / max(float(np.abs(values).max(initial=0.0)), 1e-12)
    panel.add_collection(LineCollection(list(np.stack([start, stop], 1)), colors=_shades(values), linewidths=widths))


def _draw_network(panel: Axes, dataset: xr.Dataset) -> None:
    """The strongest couplings as lines between pixels, attractive orange and repulsive violet as in the matrix."""
    width = int(dataset.attrs["width"])
    rows, columns, values = _strongest(dataset, int(dataset.attrs["n_links"]))
    place = np.stack(np.divmod(np.arange(dataset.sizes["unit"]), width)[::-1], 1)
    if "truth" in dataset.attrs:  # links across the edges of a torus would cross the whole picture
        short = np.abs(place[rows] - place[columns]).max(1) <= width / 2
        rows, columns, values = rows[short], columns[short], values[short]
    _add_links(panel, place[rows], place[columns], values)
    panel.set_xlim(-0.5, width - 0.5)
    panel.set_ylim(dataset.attrs["height"] - 0.5, -0.5)
    panel.set_aspect("equal" if dataset.attrs["height"] > 1 else "auto")
    panel.set_xlabel("pixel")
    panel.set_ylabel("pixel")


def alt_text(dataset: xr.Dataset) -> str:
    """Median coupling of neighbours and of all pairs."""
    if not is_image((int(dataset.attrs["height"]), int(dataset.attrs["width"]))):
        return _strongest_in_words(dataset)
    near = dataset.pair_coupling.values[dataset.distance.values < 1.01]
    words = f", true value {dataset.attrs['truth']:.4g}" if "truth" in dataset.attrs else ""
    low, middle, high = np.quantile(near, [0.25, 0.5, 0.75])
    return (
        f"Effective couplings of {dataset.sizes['unit']} {dataset.attrs['states']}: neighbours have the median "
        f"{middle:.3g} (middle half {low:.3g} to {high:.3g}){words}; all pairs have "
        f"{np.median(dataset.pair_coupling.values):.3g}."
    )


def _strongest_in_words(dataset: xr.Dataset) -> str:
    names = column_names(dataset) or [f"unit {unit}" for unit in range(dataset.sizes["unit"])]
    rows, columns, values = _strongest(dataset, 3)
    found = zip(rows[::-1], columns[::-1], values[::-1], strict=True)
    words = "; ".join(f"{names[i]} with {names[j]} {value:.3g} k_B T" for i, j, value in found)
    return (
        f"Effective couplings of {dataset.sizes['unit']} {dataset.attrs['states']}, the strongest pairs: {words}; the "
        f"median of all pairs is {np.median(dataset.pair_coupling.values):.3g} k_B T."
    )
