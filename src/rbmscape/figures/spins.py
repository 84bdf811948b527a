"""Thermal averages of a model's samples against those of the Ising spins that it learned from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rbmscape.errors import MissingInputError
from rbmscape.figures.along_training import updates_axis
from rbmscape.figures.checkpoints import spread_updates
from rbmscape.figures.datasets import provenance_attrs
from rbmscape.figures.samples import verdict
from rbmscape.figures.spec import Count, FigureOptions, FigureSpec
from rbmscape.figures.style import PAGE_WIDTH, legend_below, new_figure, panel_letters, print_style
from rbmscape.stats import Estimate
from rbmscape.symmetry.spins import SpinObservables, spin_observables

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from rbmscape.data.dataset import Dataset
    from rbmscape.figures.material import Material
    from rbmscape.runs.samples import RunSamples

__all__ = ["SPEC", "Options", "alt_text", "compute", "draw", "for_study"]

NAMES = ("energy", "specific_heat", "magnetisation", "susceptibility", "binder", "correlation_length")
LABELS = ("energy a spin", "specific heat", "|m|", "susceptibility", "Binder cumulant", "correlation length")


class Options(FigureOptions):
    """What a plan may choose for it.

    Parameters
    ----------
    n_checkpoints : at most so many, evenly spaced in ln(1 + update)
    n_blocks : of the jackknife; every block holds whole chains
    """

    n_checkpoints: Count = 12
    n_blocks: Count = 25


SPEC = FigureSpec(
    title="Ising spins: model against data",
    caption=(
        "Energy, specific heat, magnetisation, susceptibility, Binder cumulant and correlation length of equilibrium "
        "samples of the checkpoints (dots), of the training data (band) and, where they are known, exactly for this "
        "size of the lattice (dashed). Bars and bands are standard errors."
    ),
    reading=(
        "Dots inside the band agree with the data, and those on the dashed line with the exact model. Specific heat "
        "and correlation length agree last, since they are properties of long waves."
    ),
    order=470,
    samples="main",
    analysis=("run", "data"),
    cost=lambda scene, options: scene.base(1.0 + 0.3 * options.n_checkpoints),
    options=Options,
    default=False,
)


def for_study(material: Material) -> xr.Dataset:
    """The run of the size nearest to the paper's, M = 500, of a study of Ising spins."""
    return compute(material.samples(material.run()), material.dataset, **material.settings)


def compute(samples: RunSamples, dataset: Dataset, **options: Any) -> xr.Dataset:
    """Observables of the data and of every checkpoint.

    Parameters
    ----------
    samples : of the checkpoints
    dataset : Ising spins
    **options : of `Options`

    Returns
    -------
    Dataset over (update, observable): ``model`` with ``model_stderr``; over observable: ``data`` with ``data_stderr``,
    ``exact`` (NaN where it is not known) and ``z``, the last checkpoint against the data in standard errors

    Raises
    ------
    MissingInputError : data that are no Ising spins
    """
    import xarray as xr

    asked = Options(**options)
    if dataset.image_shape is None or "temperature" not in dataset.attributes:
        raise MissingInputError(
            f"{dataset.name} has no lattice and temperature; make spins with load_dataset('ising', temperature=2.3)"
        )
    shape, temperature = dataset.image_shape, float(dataset.attributes["temperature"])
    assert samples.run is not None
    updates = [u for u in spread_updates(samples.run, asked.n_checkpoints) if u in samples.updates]
    rows = []
    for update in updates:
        states = samples.at(update).all[0].cpu().numpy()
        rows.append(spin_observables(states, shape, temperature, max(10, asked.n_blocks)))
    truth = spin_observables(dataset.train, shape, temperature, max(10, asked.n_blocks))
    exact = np.full(len(NAMES), np.nan)
    exact[:2] = dataset.attributes["energy"], dataset.attributes["specific_heat"]
    model = np.asarray([_pairs(row) for row in rows])
    scores = rows[-1].z_scores(truth)
    pair = ("update", "observable")
    result = xr.Dataset(
        {
            "model": (pair, model[..., 0], {"units": "1"}),
            "model_stderr": (pair, model[..., 1], {"units": "1"}),
            "data": ("observable", [row[0] for row in _pairs(truth)], {"units": "1"}),
            "data_stderr": ("observable", [row[1] for row in _pairs(truth)], {"units": "1"}),
            "exact": ("observable", exact, {"units": "1"}),
            "z": ("observable", [scores[name] for name in NAMES], {"units": "standard errors"}),
        },
        coords={"update": updates, "observable": list(NAMES)},
    )
    return result.assign_attrs(provenance_attrs(temperature=temperature) | dict(samples.at(updates[-1]).facts))


def _pairs(found: SpinObservables) -> list[tuple[float, float]]:
    estimates: list[Estimate] = [getattr(found, name) for name in NAMES]
    return [(one.value, one.stderr) for one in estimates]


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """One panel an observable."""
    figure, axes = new_figure(2, 3, size=(PAGE_WIDTH, 4.3), sharex=True)
    updates = dataset["update"].values
    for panel, name, label in zip(axes.ravel(), NAMES, LABELS, strict=True):
        one = dataset.sel(observable=name)
        low, high = float(one.data - one.data_stderr), float(one.data + one.data_stderr)
        panel.axhspan(low, high, color="#E69F00", alpha=0.6, linewidth=0, label="data")
        panel.axhline(float(one.data), color="#E69F00", linewidth=0.8)
        if np.isfinite(one.exact):
            panel.axhline(float(one.exact), color="black", linestyle="--", linewidth=0.8, label="exact")
        panel.errorbar(updates, one.model, one.model_stderr, color="#0072B2", marker="o", label="model")
        panel.set_ylabel(label)
    for panel in axes[1]:
        updates_axis(panel, updates)
    legend_below(figure, *axes.ravel())
    panel_letters(axes)
    return figure


def alt_text(dataset: xr.Dataset) -> str:
    """Last checkpoint against the data."""
    parts = [f"{name.replace('_', ' ')} {float(dataset.z.sel(observable=name)):+.1f}" for name in NAMES]
    return (
        f"Samples of the last checkpoint against the data, in standard errors: {', '.join(parts)}. {verdict(dataset)}"
    )
