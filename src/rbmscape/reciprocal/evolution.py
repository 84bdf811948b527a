"""How the modes of a model change during training (arXiv:2503.21536, section 3; figures 1, 3f, 7).

The identity of a mode is fixed at the last checkpoint, where modes stand in the order of their singular values; going
back through the run, each checkpoint's modes are matched to the later one's by overlap.  Mode 0 is therefore the mode
that ends with the largest singular value, also while it was not the largest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from rbmscape.arrays import number_array, training_rows
from rbmscape.errors import DataError, InputError
from rbmscape.model.rbm import RBM
from rbmscape.progress import Progress, reporting
from rbmscape.reciprocal.bulk import bulk_threshold, departure_updates, outliers
from rbmscape.reciprocal.marchenko_pastur import MarchenkoPastur
from rbmscape.reciprocal.modes import Modes
from rbmscape.reciprocal.rotation import rotate
from rbmscape.runs.run import Run
from rbmscape.sampling.sample import sample

if TYPE_CHECKING:
    import xarray as xr

    from rbmscape.model.arrays import Arrays

__all__ = ["evolution", "run_evolution"]

FloatArray = NDArray[np.float64]
CHUNK = 1000  # states projected at once
N_BINS = (20, 100)
"""Fewest and most bins of a density; between them twice the root of the number of states."""
HALF = 0.5
"""Share of a final vector from which on it counts as learned."""
COORDINATES = ("x", "y", "u", "w")
LONG_NAMES = {
    "singular_value": "singular value of the mode",
    "sorted_singular_value": "singular values in falling order at each checkpoint",
    "overlap": "mean overlap of the mode's vectors with those at the next checkpoint",
    "visible_bias": "a0 = Uᵀa",
    "hidden_bias": "b0 = Vᵀb",
    "captured": "share of the final left vector among the modes outside the bulk",
    "saddle_energy": "energy at the saddle, a0 b0 / λ",
}
ENERGY_UNITS = ("singular_value", "sorted_singular_value", "saddle_energy", "visible_bias", "hidden_bias")


@dataclass(frozen=True, eq=False)
class _Step:
    """What one checkpoint contributes: values by name (L,), (K, 2) pairs of crossings, and states (n,) along a mode."""

    values: dict[str, FloatArray]
    crossings: NDArray[np.int64]
    along: dict[str, FloatArray]


def run_evolution(
    run: Run,
    data: Arrays | None = None,
    updates: Sequence[int] | None = None,
    averaged: bool = True,
    **options: Any,
) -> xr.Dataset:
    """:func:`evolution` of a run's checkpoints, with their epochs and the law of the run's initial weights.

    Parameters
    ----------
    averaged : the averaged parameters where the recipe averages, else the ones that training had
    **options : of `evolution`
    """
    chosen = list(run.updates if updates is None else updates)
    if not chosen:
        raise InputError(f"{run.directory} has no checkpoint yet; train it first")
    options.setdefault("weight_std", run.config.weight_std or None)
    result = evolution([partial(run.load, update, averaged) for update in chosen], chosen, data, **options)
    epochs = np.asarray(chosen) / run.updates_per_epoch
    return result.assign_coords(epoch=("update", epochs, {"units": "epochs"}))


def evolution(
    models: Sequence[RBM | Callable[[], RBM]],
    updates: Sequence[int],
    data: Arrays | None = None,
    n_chains: int = 500,
    n_steps: int = 50,
    leading: int | None = None,
    weight_std: float | None = None,
    false_alarm: float = 0.01,
    seed: int = 0,
    *,
    samples: Sequence[tuple[torch.Tensor, torch.Tensor]] | None = None,
    density_mode: int | None = None,
    progress: Progress = False,
) -> xr.Dataset:
    """Spectra, saddles, biases and projections of states against updates.

    Parameters
    ----------
    models : (T,) models, or functions that load them, in the order of training, all of one size
    updates : (T,) their updates, rising
    data : (n, N) visible states to project, for example test images, or a `Dataset` for its training rows; h is
        replaced by its conditional mean
    n_chains, n_steps : Gibbs chains and steps at each checkpoint; chains start from random bits and go on from one
        checkpoint to the next; 0 chains take no samples
    leading : modes matched by overlap between checkpoints, later ones keep their order; None matches all
    weight_std : standard deviation of the initial weights, for the bulk that modes leave; None leaves that out
    false_alarm : probability that a random matrix shows any mode outside the bulk
    seed : of the chains
    samples : (n, N) v and (n, M) h for every model, which are shown instead of Gibbs chains
    density_mode : index of a mode along whose u and w the states' density is returned as well; None for none
    progress : see `rbmscape.progress`; counts checkpoints

    Returns
    -------
    Dataset over (update, mode) with L = min(N, M) modes: ``singular_value``, ``rank``, ``overlap``, ``visible_bias``,
    ``hidden_bias``, ``saddle_x|y|energy``, ``random_x|y|u|w`` (mean μ of random states), ``data_x|y|u|w_mean|sd``,
    ``samples_x|y|u|w_mean|sd``; over (update, order) ``sorted_singular_value``; over mode ``departure`` (update at
    which the mode leaves the random bulk for good) and ``settled`` (update from which on the modes outside the bulk
    hold half of its final left vector, ``captured`` over (update, mode)); over crossing the updates and the two modes
    whose order changed.
    Energies in k_B T at beta = 1; coordinates are dimensionless; means and standard deviations over data
    are good to about 1e-6, those over samples are estimates; with a ``density_mode`` also ``data_u|w_density`` and
    ``samples_u|w_density`` over (update, bin) between ``u_edge`` and ``w_edge``, each row's integral 1

    Raises
    ------
    InputError : no model, or models and updates of different number
    DataError : the data do not fit the models
    """
    models, updates = list(models), list(updates)
    if not models or len(models) != len(updates):
        raise InputError(f"evolution needs one update a model and at least one, found {len(models)} and {len(updates)}")
    if list(updates) != sorted(set(updates)):
        raise InputError("updates must rise; sort the checkpoints by update")
    if samples is not None and len(samples) != len(models):
        raise InputError(f"evolution needs samples of every model, found {len(samples)} for {len(models)} models")
    chains = list(samples) if samples is not None else _chains(models, n_chains, n_steps, seed)
    first = _load(models[0])
    visible = None if data is None else _data(data, first)
    steps: list[_Step] = []
    later: Modes | None = None
    edge = None if weight_std is None else bulk_threshold(_law(first, weight_std), false_alarm)
    final: torch.Tensor | None = None
    with reporting(progress, "checkpoints", len(models)) as advance:
        for index in range(len(models) - 1, -1, -1):
            modes = Modes.of(_load(models[index]))
            if later is not None:
                modes = modes.aligned_to(later, leading=modes.n_paired if leading is None else leading)
            final = modes.left[:, : modes.n_paired] if final is None else final
            steps.append(_step(modes, visible, chains[index] if chains else None, density_mode))
            if edge is not None:
                steps[-1].values["captured"] = _captured(final, modes, edge)
            later = modes
            advance(1)
    steps.reverse()
    result = _assemble(steps, list(updates))
    if weight_std is not None:
        result = _with_bulk(result, _law(first, weight_std), false_alarm)
    own = {} if samples is not None else {"n_chains": n_chains, "n_steps": n_steps}
    return result.assign_attrs(own, seed=seed, matched_modes=-1 if leading is None else leading)


def _law(model: RBM, weight_std: float) -> MarchenkoPastur:
    return MarchenkoPastur(model.n_visible, model.n_hidden, weight_std)


def _captured(final: torch.Tensor, modes: Modes, edge: float) -> FloatArray:
    """Share of each final left vector, (N, L), in the span of the left vectors of the modes outside the bulk: (L,)."""
    outside = modes.left[:, : modes.n_paired][:, modes.singular_values > edge]
    return np.asarray((final.mT @ outside).square().sum(1).cpu().numpy())


def _load(model: RBM | Callable[[], RBM]) -> RBM:
    return model if isinstance(model, RBM) else model()


def _data(data: Arrays, rbm: RBM) -> torch.Tensor:
    """(n, N) states, those of a `Dataset` its training rows."""
    rows = training_rows(data, "data to project", rbm.columns)
    if not isinstance(rows, torch.Tensor):
        rows = torch.from_numpy(np.array(number_array(rows, "data to project"), dtype=np.float32))
    tensor: torch.Tensor = rows
    if tensor.ndim != 2 or tensor.shape[1] != rbm.n_visible or tensor.shape[0] == 0:
        raise DataError(
            f"data to project must be (n, {rbm.n_visible}) for these models, found shape {tuple(tensor.shape)}; "
            f"pass the set that the run was trained on"
        )
    return tensor.to(rbm.device, torch.float32)


def _chains(
    models: Sequence[RBM | Callable[[], RBM]], n_chains: int, n_steps: int, seed: int
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """(v, h) of chains that follow the model through training; one pair a checkpoint."""
    states: list[tuple[torch.Tensor, torch.Tensor]] = []
    if n_chains == 0:
        return states
    start: torch.Tensor | None = None
    for index, model in enumerate(models):
        drawn = sample(_load(model), n_chains=n_chains, n_steps=n_steps, seed=seed + index, start=start)
        start = drawn.v
        states.append((drawn.v, drawn.h))
    return states


def _step(
    modes: Modes,
    data: torch.Tensor | None,
    chains: tuple[torch.Tensor, torch.Tensor] | None,
    density_mode: int | None,
) -> _Step:
    paired = modes.n_paired
    values = {
        "singular_value": modes.singular_values,
        "visible_bias": modes.visible_bias[:paired],
        "hidden_bias": modes.hidden_bias[:paired],
        "saddle_x": modes.saddle_x,
        "saddle_y": modes.saddle_y,
        "saddle_energy": modes.saddle_energy,
    }
    mean = modes.random_state_mean()
    values |= {f"random_{name}": getattr(mean, name)[:paired] for name in COORDINATES}
    states: dict[str, tuple[torch.Tensor, torch.Tensor | None]] = {} if data is None else {"data": (data, None)}
    if chains is not None:
        states["samples"] = (chains[0].to(torch.float32), chains[1].to(torch.float32))
    along: dict[str, FloatArray] = {}
    for prefix, (v, h) in states.items():
        moments, places = _mean_and_sd(prefix, modes, v, h, density_mode)
        values, along = values | moments, along | places
    arrays = {name: value.cpu().numpy() for name, value in values.items()}
    alignment = modes.alignment
    arrays["rank"] = modes.ranks
    arrays["overlap"] = np.ones(paired) if alignment is None else alignment.overlap
    crossings = np.empty((0, 2), np.int64) if alignment is None else alignment.crossings
    return _Step(arrays, crossings, along)


def _mean_and_sd(
    prefix: str, modes: Modes, v: torch.Tensor, h: torch.Tensor | None, mode: int | None
) -> tuple[dict[str, torch.Tensor], dict[str, FloatArray]]:
    """Mean and standard deviation of x, y, u and w of (n, N) states, and the states' own u and w (n,) in one mode.

    Those of u and w come from the covariance of x and y.

    States are projected in float32 (error about 1e-6) and summed in float64, about the first chunk's mean so that
    nothing cancels; chunks stay in the processor's cache.
    """
    places: list[torch.Tensor] = []
    left, right = (vectors[:, : modes.n_paired].to(torch.float32) for vectors in (modes.left, modes.right))
    values, bias = modes.singular_values.to(torch.float32), (modes.right @ modes.hidden_bias).to(torch.float32)
    centre: tuple[torch.Tensor, torch.Tensor] | None = None
    sums = torch.zeros(5, modes.n_paired, dtype=torch.float64, device=modes.device)
    for start in range(0, len(v), CHUNK):
        x = v[start : start + CHUNK] @ left
        y = (torch.sigmoid((x * values) @ right.mT + bias) if h is None else h[start : start + CHUNK]) @ right
        x, y = x.to(torch.float64), y.to(torch.float64)
        if mode is not None:
            places.append(torch.stack(rotate(x[:, mode] - modes.saddle_x[mode], y[:, mode] - modes.saddle_y[mode])))
        centre = centre or (x.mean(dim=0), y.mean(dim=0))
        x -= centre[0]
        y -= centre[1]
        sums += torch.stack([x.sum(dim=0), y.sum(dim=0), *((a * b).sum(dim=0) for a, b in ((x, x), (y, y), (x, y)))])
    assert centre is not None
    shift_x, shift_y, square_x, square_y, product = sums / len(v)
    variances = square_x - shift_x**2, square_y - shift_y**2, product - shift_x * shift_y
    moments = _named_moments(prefix, modes, (centre[0] + shift_x, centre[1] + shift_y), variances)
    along = torch.cat(places, dim=1).cpu().numpy() if places else ()
    return moments, {f"{prefix}_{name}": one for name, one in zip("uw", along, strict=False)}


def _named_moments(
    prefix: str,
    modes: Modes,
    means: tuple[torch.Tensor, torch.Tensor],
    variances: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
) -> dict[str, torch.Tensor]:
    """Means and standard deviations of x, y, u, w from means, variances and covariance of x and y (equation 18)."""
    (mean_x, mean_y), (var_x, var_y, covariance) = means, variances
    offset_x, offset_y = mean_x - modes.saddle_x, mean_y - modes.saddle_y
    mean_u, mean_w = rotate(offset_x, offset_y)
    centres = {"x": mean_x, "y": mean_y, "u": mean_u, "w": mean_w}
    along_u, along_w = 0.5 * (var_x + var_y) + covariance, 0.5 * (var_x + var_y) - covariance
    undefined = torch.full_like(var_x, math.nan)
    spreads = {"x": var_x, "y": var_y}
    spreads |= {name: torch.where(modes.flat, undefined, value) for name, value in (("u", along_u), ("w", along_w))}
    result = {f"{prefix}_{name}_mean": value for name, value in centres.items()}
    return result | {f"{prefix}_{name}_sd": value.clamp(min=0.0).sqrt() for name, value in spreads.items()}


def _assemble(steps: list[_Step], updates: list[int]) -> xr.Dataset:
    import xarray as xr

    variables: dict[str, Any] = {}
    for name in steps[0].values:
        attrs = {"units": "k_B T" if name in ENERGY_UNITS else "1", "long_name": LONG_NAMES.get(name, name)}
        variables[name] = (("update", "mode"), np.stack([step.values[name] for step in steps]), attrs)
    by_size = np.sort(variables["singular_value"][1], axis=1)[:, ::-1]
    attrs = {"units": "k_B T", "long_name": LONG_NAMES["sorted_singular_value"]}
    variables["sorted_singular_value"] = (("update", "order"), by_size, attrs)
    # alignment runs backwards, so that the crossings of a checkpoint happened between it and the next one
    rows = [
        (updates[t], updates[t + 1], *pair) for t, step in enumerate(steps[:-1]) for pair in step.crossings.tolist()
    ]
    table = np.asarray(rows, dtype=np.int64).reshape(-1, 4)
    for column, name in enumerate(("crossing_after", "crossing_before", "crossing_mode", "crossing_other")):
        variables[name] = ("crossing", table[:, column])
    variables |= _densities(steps)
    return xr.Dataset(variables, coords={"update": updates, "mode": np.arange(by_size.shape[1])})


def _densities(steps: list[_Step]) -> dict[str, Any]:
    """Histograms of the states along u and w, at every checkpoint between the same edges."""
    variables: dict[str, Any] = {}
    for axis in "uw" if steps[0].along else "":
        names = [name for name in steps[0].along if name.endswith(axis)]
        every = np.concatenate([step.along[name] for step in steps for name in names])
        every = every[np.isfinite(every)]
        low, high = (every.min(), every.max()) if every.size else (0.0, 1.0)
        room = 0.05 * (high - low) or 0.5
        n_bins = int(np.clip(2.0 * np.sqrt(max(step.along[name].size for step in steps for name in names)), *N_BINS))
        edges = np.linspace(low - room, high + room, n_bins + 1)
        variables[f"{axis}_edge"] = (f"{axis}_edges", edges, {"units": "1"})
        for name in names:
            rows = np.stack([np.histogram(step.along[name], edges)[0] for step in steps]).astype(float)
            rows /= np.maximum(rows.sum(1, keepdims=True), 1.0) * np.diff(edges)
            variables[f"{name}_density"] = (("update", f"{axis}_bin"), rows, {"units": "1"})
    return variables


def _with_bulk(result: xr.Dataset, law: MarchenkoPastur, false_alarm: float) -> xr.Dataset:
    outside = outliers(result.singular_value.values, law, false_alarm)
    return result.assign(
        departure=(
            "mode",
            departure_updates(result["update"].values, outside),
            {"units": "updates", "long_name": "update at which the mode leaves the random bulk for good"},
        ),
        outside_bulk=(("update", "mode"), outside),
        settled=(
            "mode",
            departure_updates(result["update"].values, result.captured.values >= HALF),
            {"units": "updates", "long_name": "update from which on half of the final left vector is learned"},
        ),
    ).assign_attrs(
        bulk_std=law.std,
        bulk_edge=law.edges[1],
        bulk_threshold=bulk_threshold(law, false_alarm),
        false_alarm=false_alarm,
    )
