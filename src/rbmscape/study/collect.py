"""Single numbers gathered into one Dataset an analysis: (recipe, hidden, replica, update), for spectra also mode."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rbmscape.study.points import ESTIMATORS

if TYPE_CHECKING:
    import xarray as xr

    from rbmscape.figures.material import RunKey
    from rbmscape.runs.run import Run

__all__ = ["likelihood_dataset", "training_dataset"]

AXES: Final = ("recipe", "hidden", "replica", "update")

LIKELIHOOD_UNITS: Final = {"value": "nat", "stderr": "nat", "ess": "chains", "spread": "nat", "epoch": "epochs"}
VERDICT_UNITS: Final = {"converged": "1"}
ROW_UNITS: Final = {"row_stderr": "nat"}
BRACKET_UNITS: Final = {
    "lower": "nat",
    "upper": "nat",
    "lower_stderr": "nat",
    "upper_stderr": "nat",
    "bracketed": "1",
    "starts_equilibrated": "1",
}
"""Variables of an estimate, its verdict, the error of its rows, those of a bracket, and their units."""

TRAINING_UNITS: Final = {
    "epoch": "epochs",
    "seconds": "s",
    "updates_per_second": "1/s",
    "reconstruction_error": "1",
    "pseudo_log_likelihood": "nat",
    "free_energy_train": "k_B T",
    "free_energy_test": "k_B T",
    "free_energy_gap": "k_B T",
    "free_energy_chains": "k_B T",
    "chain_spread": "k_B T",
    "chain_activity": "1",
}
"""Scalar metrics of a checkpoint and their units."""


def likelihood_dataset(rows: Sequence[Mapping[str, Any]]) -> xr.Dataset:
    """Single estimates as a Dataset over (recipe, hidden, replica, update); NaN where there is none.

    ``estimator`` is the method's number in its attribute ``meanings``.  Of a bracket beside a trajectory the bounds are
    kept, and the estimate is the trajectory's.
    """
    whole: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: row.get("method") == "trajectory"):  # which overwrites a bracket's estimate
        number = {"estimator": float(ESTIMATORS.index(row["method"]))} if row.get("method") in ESTIMATORS else {}
        whole.setdefault(tuple(row[name] for name in AXES), {}).update(row, **number)
    optional = VERDICT_UNITS | ROW_UNITS | BRACKET_UNITS | {"estimator": "1"}
    known = {name for row in whole.values() for name in row}
    units = LIKELIHOOD_UNITS | {name: unit for name, unit in optional.items() if name in known}
    dataset = _gathered(list(whole.values()), units)
    if "estimator" in dataset:
        dataset["estimator"].attrs["meanings"] = " ".join(ESTIMATORS)
    return dataset.rename(value="log_likelihood")


def training_dataset(runs: Mapping[RunKey, Run]) -> xr.Dataset:
    """Metrics of every checkpoint of every run, and its largest singular values over ``mode``, from 1."""
    import xarray as xr

    rows: list[dict[str, Any]] = [
        {"recipe": key.recipe, "hidden": key.hidden, "replica": key.replica} | row
        for key, run in runs.items()
        for row in run.rows
    ]
    dataset = _gathered(rows, TRAINING_UNITS)
    n_modes = max(len(row["singular_values"]) for row in rows)
    values = np.full((*(dataset.sizes[name] for name in AXES), n_modes), np.nan)
    for row, place in zip(rows, _places(rows, dataset), strict=True):
        values[place][: len(row["singular_values"])] = row["singular_values"]
    spectrum = xr.DataArray(values, dims=(*AXES, "mode"), attrs={"units": "k_B T"})
    return dataset.assign(singular_value=spectrum).assign_coords(mode=np.arange(1, n_modes + 1))


def _gathered(rows: Sequence[Mapping[str, Any]], units: Mapping[str, str]) -> xr.Dataset:
    import xarray as xr

    axes = {name: sorted({row[name] for row in rows}) for name in AXES}
    dataset = xr.Dataset(coords=axes)
    arrays = {name: np.full(tuple(len(values) for values in axes.values()), np.nan) for name in units}
    for row, place in zip(rows, _places(rows, dataset), strict=True):
        for name, array in arrays.items():
            array[place] = np.nan if row.get(name) is None else row[name]
    return dataset.assign({name: (AXES, array, {"units": units[name]}) for name, array in arrays.items()})


def _places(rows: Iterable[Mapping[str, Any]], dataset: xr.Dataset) -> list[tuple[int, ...]]:
    """Index of each row on the axes."""
    at = {name: {value: index for index, value in enumerate(dataset[name].values.tolist())} for name in AXES}
    return [tuple(at[name][row[name]] for name in AXES) for row in rows]
