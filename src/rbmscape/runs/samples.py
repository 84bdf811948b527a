r"""Equilibrium samples of every checkpoint of a run, computed once and shared by all figures that show samples.

Plain Gibbs chains from random bits stay, late in training, in the mode that they fall into. Here replicas are
exchanged along the training (`rbmscape.sampling.tempering`) on ladders in which *every* checkpoint is a rung, so that
one computation leaves equilibrium samples of all of them, with what speaks against equilibrium at each. There are two
ladders, each from independent units: one through the checkpoints of the first epoch and one through the later ones.
During the first epoch the modes swing from checkpoint to checkpoint, so that a ladder through all of them lets hardly
a replica pass; those early models are mixed by Gibbs steps alone, and later ones are reached past them. Checkpoints
are the models as they were trained (their last parameters); where the recipe averages, the averaged model that a run
delivers is the top rung. A model without a run is tempered in temperature.

Shapes: draws v (n_chains, n_draws, N); columns are independent, the draws of one are not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.errors import InputError, NoChainsError
from rbmscape.files import read_tensors, write_tensors
from rbmscape.model.rbm import RBM
from rbmscape.runs.run import Run
from rbmscape.sampling.draws import Draws
from rbmscape.sampling.sample import drawn_hidden
from rbmscape.sampling.sequence import climbed, own_stream
from rbmscape.sampling.tempered import MAX_DRIFT, MAX_R_HAT, MIN_ESS

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "ModelSamples",
    "RunSamples",
    "model_samples",
    "run_samples",
    "sampling_settings",
]

FloatArray = NDArray[np.float64]
FORMAT = "4"
N_CHAINS = 100
BUDGET = 1e12
"""Multiply-adds of one layer's field, in all: about a minute for M = 500 on two processor cores, two for M = 3000."""


@dataclass(frozen=True, slots=True)
class ModelSamples:
    """Samples of one model.

    Attributes
    ----------
    model : what was sampled
    draws : v (n_chains, n_draws, N) and h (n_chains, n_draws, M) uint8
    facts : how they were made and whether they are in equilibrium, as attributes for a Dataset
    """

    model: RBM
    draws: Draws
    facts: Mapping[str, str | float]

    @property
    def v(self) -> Tensor:
        """(n_chains, N): the last draw of every column; independent."""
        return self.draws.v[:, -1]

    @property
    def h(self) -> Tensor:
        """(n_chains, M) that go with `v`."""
        return self.draws.h[:, -1]

    @property
    def all(self) -> tuple[Tensor, Tensor]:
        """(n_chains·n_draws, ·) v and h of all draws, column by column."""
        return self.draws.v.flatten(0, 1), self.draws.h.flatten(0, 1)


@dataclass(frozen=True, slots=True)
class RunSamples:
    """Samples of the checkpoints of a run, or of one model.

    Attributes
    ----------
    updates : of the checkpoints, rising; empty for a model without a run
    packed : (n_models, n_chains, n_draws, ⌈N/8⌉) uint8, eight visible units a byte; one model an update, and as the
        last one the model that the run delivers
    ess, r_hat, drift : (n_models,) as in `rbmscape.sampling.tempered.trace_diagnostics`, of the recorded draws
    ladder : (n_models,) what speaks against the exchanges below each, or nothing
    facts : what holds for all models: rungs, rounds, passages at the top, seed
    target : the last model
    run : where the checkpoints are loaded from
    """

    updates: tuple[int, ...]
    packed: Tensor
    ess: FloatArray
    r_hat: FloatArray
    drift: FloatArray
    ladder: tuple[str, ...]
    facts: Mapping[str, str | float]
    target: RBM
    run: Run | None = None

    def at(self, update: int | None = None) -> ModelSamples:
        """Samples of the checkpoint as it was trained, or for None of the model that the run delivers.

        Raises
        ------
        InputError : no such checkpoint among the sampled ones
        """
        if update is None or self.run is None:
            return self._samples(len(self.packed) - 1, self.target)
        if update not in self.updates:
            raise InputError(f"update {update} was not sampled; these were: {', '.join(map(str, self.updates))}")
        return self._samples(self.updates.index(update), self.run.load(update, averaged=False))

    def _samples(self, index: int, model: RBM) -> ModelSamples:
        bits = np.unpackbits(self.packed[index].numpy(), axis=-1, count=model.n_visible)
        v = torch.from_numpy(bits).to(model.device)
        stream = own_stream(int(self.facts["samples_seed"]), str(self.facts["samples_label"])).child(f"hidden/{index}")
        h = drawn_hidden(model, v.flatten(0, 1), stream).reshape(*v.shape[:2], -1)
        against = self.objections(index)
        own: dict[str, str | float] = {
            "samples_r_hat": float(self.r_hat[index]),
            "samples_ess": float(self.ess[index]),
            "samples_equilibrated": int(not against),
            "samples_objections": "; ".join(against),
        }
        return ModelSamples(model, Draws(v, h), {**self.facts, **own})

    def objections(self, index: int) -> tuple[str, ...]:
        """What speaks against the equilibrium of one model's samples."""
        found = []
        if not self.r_hat[index] <= MAX_R_HAT:
            found.append(f"R-hat is {self.r_hat[index]:.3f}, above {MAX_R_HAT}")
        if not self.ess[index] >= MIN_ESS:
            found.append(f"{self.ess[index]:.0f} independent draws, fewer than {MIN_ESS:g}")
        if self.drift[index] > MAX_DRIFT:
            found.append(f"drift of {self.drift[index]:.1f} standard errors")
        return (*found, self.ladder[index]) if self.ladder[index] else tuple(found)

    def along(self) -> xr.Dataset:
        """Verdict over update: ``samples_r_hat``, ``samples_ess``, ``samples_equilibrated`` (0 or 1)."""
        import xarray as xr

        count = len(self.updates)
        fine = [int(not self.objections(index)) for index in range(count)]
        return xr.Dataset(
            {
                "samples_r_hat": ("update", self.r_hat[:count], {"units": "1"}),
                "samples_ess": ("update", self.ess[:count], {"units": "draws"}),
                "samples_equilibrated": ("update", fine, {"units": "1"}),
            },
            coords={"update": list(self.updates)},
            attrs=dict(self.facts),
        )


def run_samples(run: Run, update: int = -1, seed: int = 0, *, cache: Path | None = None, **options: Any) -> RunSamples:
    """Samples of every checkpoint of a run up to an update, and of the model that the run delivers there.

    Parameters
    ----------
    run : with its checkpoints
    update : the last one; -1 for the run's last
    seed : of all randomness
    cache : directory in which the states are kept, under a name that follows from the models and the options; what is
        there is not computed again
    **options : ``n_chains`` columns (100), ``budget`` (1e12 multiply-adds of one layer's field; columns and rounds
        are reduced to it, but not below 32 columns and one passage through the ladder where four budgets are enough for
        that), ``target`` acceptance

    Raises
    ------
    InputError : there is no such checkpoint, or an option that does not exist
    LadderError : the checkpoints are so far apart that the ladder would have more than 400 rungs
    """
    final = run.load(update)
    last = run.last_update if update == -1 else update
    updates = tuple(found for found in run.updates if found <= last)
    models = list(run.models(updates, averaged=False))
    if any(not torch.equal(a, b) for a, b in zip(_parameters(final), _parameters(models[-1]), strict=True)):
        models.append(final)
    settings = sampling_settings(options)
    label = run.directory.name  # runs of a study must not share random numbers
    early = sum(found < run.updates_per_epoch for found in updates) if last > run.updates_per_epoch else 0
    chains = _training_chains(run)
    if cache is None:
        found = climbed(models, early, (seed, label), settings, chains)
    else:
        name = f"{label}-{_fingerprint(models, seed, settings)}.safetensors"
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f"{name}.lock"):
            if not (cache / name).is_file():
                write_tensors(cache / name, *climbed(models, early, (seed, label), settings, chains))
            found = read_tensors(cache / name)
    return _assembled(found, updates, final, run)


def _training_chains(run: Run) -> Tensor | None:
    """Where the chains of the training stand, if it kept any."""
    try:
        return run.chains
    except NoChainsError:
        return None


def model_samples(rbm: RBM, seed: int = 0, **options: Any) -> RunSamples:
    """Samples of a model without a run, by tempering in temperature; options as for `run_samples`."""
    return _assembled(climbed([rbm], 0, (seed, "model"), sampling_settings(options)), (), rbm, None)


def _parameters(rbm: RBM) -> tuple[Tensor, Tensor, Tensor]:
    return rbm.weights, rbm.visible_bias, rbm.hidden_bias


def sampling_settings(options: Mapping[str, Any]) -> dict[str, float]:
    """Options of `run_samples` with their defaults filled in.

    Raises
    ------
    InputError : an option that does not exist, or a value out of range
    """
    known = {"n_chains": N_CHAINS, "budget": BUDGET, "target": 0.65}
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise InputError(f"sampling has no option {unknown[0]!r}; it has {', '.join(known)}")
    try:
        settings = {name: float(options.get(name, value)) for name, value in known.items()}
    except (TypeError, ValueError):
        raise InputError(f"options of sampling are numbers, found {dict(options)}; correct them") from None
    if settings["n_chains"] < 2 or settings["budget"] <= 0:
        raise InputError(
            f"sampling needs two chains or more and a budget above 0, found n_chains={settings['n_chains']:g} and "
            f"budget={settings['budget']:g}"
        )
    return settings


def _fingerprint(models: Sequence[RBM], seed: int, settings: Mapping[str, float]) -> str:
    """Of all that the states follow from."""
    mark = hashlib.sha256(json.dumps([FORMAT, seed, sorted(settings.items())]).encode())
    for model in models:
        for tensor in _parameters(model):
            mark.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return mark.hexdigest()[:16]


def _assembled(
    found: tuple[dict[str, Tensor], dict[str, str]], updates: tuple[int, ...], target: RBM, run: Run | None
) -> RunSamples:
    tensors, metadata = found
    ess, r_hat, drift = tensors["diagnostics"].numpy().T
    against, facts = (json.loads(metadata[name]) for name in ("against", "facts"))
    return RunSamples(updates, tensors["packed"], ess, r_hat, drift, tuple(against), facts, target, run)
