"""Densities of the reciprocal variables of random states, untrained and trained (arXiv:2503.21536, figure 5).

Modes are numbered from 1; coordinates are dimensionless.  The curves are Normal(μ_i, ½) of equation 51.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from rbmscape.figures.datasets import provenance_attrs
from rbmscape.figures.landscapes import default_modes
from rbmscape.figures.samples import sampled
from rbmscape.figures.spec import Count, FigureOptions, FigureSpec
from rbmscape.figures.style import PAGE_WIDTH, colour, log_axis, marker, new_figure, print_style
from rbmscape.model.rbm import RBM
from rbmscape.reciprocal.modes import Modes
from rbmscape.reciprocal.random_states import (
    LayerGaussianity,
    fitted_distances,
    lilliefors_level,
    random_state_gaussianity,
)
from rbmscape.sampling.samples import Samples

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rbmscape.figures.analysis import Subject
    from rbmscape.figures.material import Material

__all__ = ["SPEC", "Options", "alt_text", "compute", "draw", "for_model", "for_study"]

LAYERS = ("x", "y")


class Options(FigureOptions):
    """What a plan may choose for it.

    Parameters
    ----------
    modes : mode numbers, from 1, whose densities are drawn
    n_states : random states; the paper takes 10 000
    n_bins : bins of each density
    """

    modes: tuple[Count, ...] | None = None
    n_states: Count = 10_000
    n_bins: Count = 60


SPEC = FigureSpec(
    title="Reciprocal variables of random states",
    caption=(
        "Probability densities of x_i and y_i for random binary states, untrained and trained, with the normal curves "
        "of equation 51, as in the paper's figure 5; below, Kolmogorov-Smirnov distances of all modes (dashed: 1 % "
        "level)."
    ),
    reading=(
        "Histograms on their curves are Gaussian at this resolution. In the lower panels points above the dashed "
        "level deviate; one in a hundred does so by chance."
    ),
    printed=("Densities of some modes, trained and untrained, with the normal curves, without a measure of distance."),
    order=80,
    paper="5",
    samples="main",
    analysis=(),
    cost=lambda scene, _: scene.base(1.5) + scene.factors(8),
    options=Options,
)


def for_study(material: Material) -> xr.Dataset:
    """Random weights beside the trained model of the size nearest to the paper's, M = 500."""
    run = material.run()
    trained = run.load()
    fresh = RBM.random(trained.n_visible, trained.n_hidden, run.config.weight_std or 0.01, material.seed)
    models, states = {"untrained": fresh, "trained": trained}, material.samples(run).at()
    return compute(models, states, seed=material.seed, **material.settings)


def for_model(subject: Subject) -> xr.Dataset:
    """Random weights beside the subject."""
    models: dict[str, RBM | Modes] = {"untrained": subject.untrained, "trained": subject.modes}
    return compute(models, subject.samples, seed=subject.seed)


def compute(
    models: Mapping[str, RBM | Modes], samples: Samples | None = None, seed: int = 0, **options: Any
) -> xr.Dataset:
    """Densities of x_i and y_i for some modes, and moments and distances from the Gaussian for all paired ones.

    Parameters
    ----------
    models : label to model, all of one size
    samples : equilibrium states of the last of them
    seed : of the random states
    **options : of `Options`

    Returns
    -------
    Dataset over (model, layer, mode) for all min(N, M) modes: ``mean`` μ, ``sampled_mean``, ``sampled_std``,
    ``sampled_kurtosis``, ``exact_kurtosis``, ``distance`` and ``pvalue`` (Kolmogorov-Smirnov against Normal(μ, ½));
    ``density`` (model, layer, shown, bin) of the value minus μ; of the samples over (layer, mode)
    ``state_distance`` (Kolmogorov-Smirnov, from the Gaussian of the same mean and width) and ``state_kurtosis``, and as
    an attribute ``state_level``, the distance that as many independent Gaussian values as there are chains exceed with
    probability 1 %
    """
    import xarray as xr

    asked = Options(**options)
    spaces = {name: model if isinstance(model, Modes) else Modes.of(model) for name, model in models.items()}
    paired = next(iter(spaces.values())).n_paired
    numbers = default_modes(paired) if asked.modes is None else tuple(asked.modes)
    found = {
        name: random_state_gaussianity(space, asked.n_states, range(paired), asked.n_bins, seed)
        for name, space in spaces.items()
    }

    def stack(field: str) -> np.ndarray[Any, Any]:
        return np.stack([[getattr(getattr(one, layer), field) for layer in LAYERS] for one in found.values()])

    fields = ("mean", "sampled_mean", "sampled_std", "sampled_kurtosis", "exact_kurtosis", "distance")
    axes = ("model", "layer", "mode")
    variables: dict[str, Any] = {name: (axes, stack(name), {"units": "1"}) for name in fields}
    variables["pvalue"] = (axes, stack("p_value"), {"units": "1"})
    shown = [n - 1 for n in numbers]
    first: LayerGaussianity = next(iter(found.values())).x
    variables["density"] = (("model", "layer", "shown", "bin"), stack("density")[:, :, shown], {"units": "1"})
    variables["bin_edge"] = ("edge", first.bin_edges, {"units": "1", "long_name": "value minus its mean μ"})
    result = xr.Dataset(
        variables,
        coords={"model": list(models), "layer": list(LAYERS), "mode": np.arange(1, paired + 1), "shown": list(numbers)},
        attrs=provenance_attrs(seed=seed, n_states=asked.n_states),
    )
    return result if samples is None else _with_states(result, list(spaces.values())[-1], samples)


def _with_states(result: xr.Dataset, modes: Modes, samples: Samples) -> xr.Dataset:
    """How far the model's own states are from Gaussian, mode by mode."""
    distance, kurtosis = [], []
    for states, vectors in ((samples.draws.v, modes.left), (samples.draws.h, modes.right)):
        flat = states.reshape(-1, states.shape[-1]).to(vectors.device, vectors.dtype)
        values = (flat @ vectors[:, : modes.n_paired]).cpu().numpy()
        centred = values - values.mean(0)
        distance.append(fitted_distances(values))
        kurtosis.append((centred**4).mean(0) / np.maximum((centred**2).mean(0), 1e-300) ** 2)
    unit = {"units": "1"}
    return sampled(
        result.assign(
            state_distance=(("layer", "mode"), np.stack(distance), unit),
            state_kurtosis=(("layer", "mode"), np.stack(kurtosis), unit),
        ).assign_attrs(state_level=lilliefors_level(len(samples.draws.v))),
        samples,
    )


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """One panel a layer and mode, models as markers, the Gaussian of each as a curve; below, distances of all modes."""
    n_shown = dataset.sizes["shown"]
    figure, axes = new_figure(3, n_shown, size=(PAGE_WIDTH, 5.6))
    for row, layer in enumerate(LAYERS):
        for column in range(n_shown):
            _draw_density(axes[row, column], dataset.sel(layer=layer).isel(shown=column), layer)
    grid = axes[0, 0].get_gridspec()
    for panel in axes[2]:
        panel.remove()
    half = max(1, n_shown // 2)
    _draw_distances(figure.add_subplot(grid[2, :half]), dataset, "x")
    if n_shown > 1:
        _draw_distances(figure.add_subplot(grid[2, half:]), dataset, "y")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4)
    return figure


def _draw_density(panel: Axes, one: xr.Dataset, layer: str) -> None:
    number = int(one.shown)
    edges = one.bin_edge.values
    centres = 0.5 * (edges[1:] + edges[:-1])
    for index, name in enumerate(one.model.values):
        model = one.sel(model=name)
        mean = float(model["mean"].sel(mode=number))
        panel.plot(
            mean + centres[::2], model.density.values[::2], marker(index), color=colour(index), markersize=2.5,
            label=f"{name}, sampled",
        )  # fmt: skip
        grid = np.linspace(edges[0], edges[-1], 200)
        panel.plot(
            mean + grid, np.exp(-2.0 * grid**2) / np.sqrt(0.5 * np.pi), color=colour(index), linewidth=0.9,
            label=f"{name}, Normal(μ, ½)",
        )  # fmt: skip
    panel.set_title(f"i = {number}")
    panel.set_xlabel(f"${layer}_i$")
    if panel.get_subplotspec().is_first_col():  # type: ignore[union-attr]
        panel.set_ylabel("density")


def _draw_distances(panel: Axes, dataset: xr.Dataset, layer: str) -> None:
    for index, name in enumerate(dataset.model.values):
        one = dataset.sel(model=name, layer=layer)
        panel.plot(one["mode"], one.distance, marker(index), color=colour(index), markersize=1.8, alpha=0.7)
    # Kolmogorov's asymptotic 1 % point
    panel.axhline(1.628 / np.sqrt(float(dataset.attrs["n_states"])), color="0.35", linestyle="--", linewidth=0.8)
    log_axis(panel, "x")
    panel.set_xlabel("mode number i")
    panel.set_ylabel(f"KS distance of ${layer}_i$\nfrom Normal(μ, ½)")


def alt_text(dataset: xr.Dataset) -> str:
    """How far from Gaussian the modes are, in words."""
    parts = []
    for name in dataset.model.values:
        one = dataset.sel(model=name)
        rejected = 100.0 * float((one.pvalue < 0.01).mean())
        parts.append(
            f"{name}: {rejected:.1f} % of modes rejected at the 1 % level, exact kurtosis from "
            f"{float(one.exact_kurtosis.min()):.3f} to {float(one.exact_kurtosis.max()):.3f}"
        )
    return (
        f"Probability densities of reciprocal variables of {int(dataset.attrs['n_states'])} random states beside "
        f"normal curves, and Kolmogorov-Smirnov distances of all modes. {'; '.join(parts)}."
    )
