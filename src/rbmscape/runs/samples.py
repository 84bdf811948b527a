r"""Samples of every checkpoint of a run, computed once and shared by all that show samples.

Plain Gibbs chains from random bits stay, late in training, in the mode that they fall into.  Here replicas are
exchanged along the training, see `rbmscape.sampling.sequence`, with every checkpoint a rung.  Checkpoints are the
models as they were trained (their last parameters); where the recipe averages, the averaged model that a run delivers
is the top rung.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from filelock import FileLock
from torch import Tensor

from rbmscape.brief import OneLine
from rbmscape.errors import DamagedError, InputError
from rbmscape.files import make_directory, read_tensors, write_tensors
from rbmscape.model.rbm import RBM
from rbmscape.progress import Progress
from rbmscape.runs.run import Run
from rbmscape.sampling.origins import known_states
from rbmscape.sampling.packed import PackedSamples
from rbmscape.sampling.samples import Samples
from rbmscape.sampling.sequence import sequence_samples, sequence_settings

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["RunSamples", "model_samples", "run_samples"]

FORMAT = "5"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RunSamples(OneLine):
    """Samples of the checkpoints of a run, or of one model.

    Attributes
    ----------
    updates : of the checkpoints, rising; empty for a model without a run
    packed : states and diagnostics, one model an update, and as the last one the model that the run delivers
    target : the last model
    run : where the checkpoints are loaded from
    """

    updates: tuple[int, ...]
    packed: PackedSamples
    target: RBM
    run: Run | None = None

    @property
    def facts(self) -> Mapping[str, str | float]:
        """How they were made, as attributes for a file; the verdicts are `at` or `along` the checkpoints."""
        return self.packed.how

    def at(self, update: int | None = None) -> Samples:
        """Samples of the checkpoint as it was trained, or for None of the model that the run delivers.

        Raises
        ------
        InputError : no such checkpoint among the sampled ones
        """
        if update is None or self.run is None:
            return self.packed.samples(len(self.packed) - 1, self.target)
        if update not in self.updates:
            raise InputError(f"update {update} was not sampled; these were: {', '.join(map(str, self.updates))}")
        return self.packed.samples(self.updates.index(update), self.run.load(update, averaged=False))

    def along(self) -> xr.Dataset:
        """Verdict over update: ``samples_r_hat``, ``samples_ess``, ``samples_equilibrated`` (0 or 1)."""
        import xarray as xr

        count = len(self.updates)
        fine = [int(self.packed.verdict(index).converged) for index in range(count)]
        return xr.Dataset(
            {
                "samples_r_hat": ("update", self.packed.r_hat[:count], {"units": "1"}),
                "samples_ess": ("update", self.packed.ess[:count], {"units": "draws"}),
                "samples_equilibrated": ("update", fine, {"units": "1"}),
            },
            coords={"update": list(self.updates)},
            attrs=dict(self.facts),
        )

    def _headline(self) -> str:
        last = self.packed.verdict(len(self.packed) - 1)
        return f"{self.packed._headline()}; the last one: {last}"


def run_samples(
    run: Run,
    update: int = -1,
    seed: int = 0,
    *,
    cache: Path | None = None,
    progress: Progress = False,
    **options: Any,
) -> RunSamples:
    """Samples of every checkpoint of a run up to an update, and of the model that the run delivers there.

    Parameters
    ----------
    run : with its checkpoints
    update : the last one; -1 for the run's last
    seed : of all randomness
    cache : directory in which the states are kept, under a name that follows from the models and the options; what is
        there is not computed again
    progress : show a bar, or a reporter that counts Gibbs steps of replicas
    **options : ``n_chains``, ``budget``, ``target``, see `rbmscape.sampling.sequence.sequence_settings`

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
    settings = sequence_settings(options)
    label = run.directory.name  # runs of a study must not share random numbers
    early = sum(found < run.updates_per_epoch for found in updates) if last > run.updates_per_epoch else 0
    known = known_states(run)
    if cache is None:
        packed = sequence_samples(models, early, (seed, label), settings, known, progress=progress)
    else:
        name = f"{label}-{_fingerprint(models, seed, settings)}.safetensors"
        make_directory(cache)
        with FileLock(cache / f"{name}.lock"):
            kept = _kept(cache / name)
            if kept is None:
                drawn = sequence_samples(models, early, (seed, label), settings, known, progress=progress)
                write_tensors(cache / name, *drawn.to_file())
                kept = PackedSamples.from_file(*read_tensors(cache / name))
        packed = kept
    return RunSamples(updates, packed, final, run)


def _kept(path: Path) -> PackedSamples | None:
    """Samples that were drawn before; None where there are none, or damaged ones, which are drawn again."""
    if not path.is_file():
        return None
    try:
        return PackedSamples.from_file(*read_tensors(path))
    except (DamagedError, KeyError, ValueError):
        return None


def model_samples(rbm: RBM, seed: int = 0, *, progress: Progress = False, **options: Any) -> RunSamples:
    """Samples of a model without a run, by tempering in temperature; options as for `run_samples`."""
    packed = sequence_samples([rbm], 0, (seed, "model"), sequence_settings(options), progress=progress)
    return RunSamples((), packed, rbm)


def _parameters(rbm: RBM) -> tuple[Tensor, Tensor, Tensor]:
    return rbm.weights, rbm.visible_bias, rbm.hidden_bias


def _fingerprint(models: Sequence[RBM], seed: int, settings: Mapping[str, float]) -> str:
    """Of all that the states follow from."""
    mark = hashlib.sha256(json.dumps([FORMAT, seed, sorted(settings.items())]).encode())
    for model in models:
        for tensor in _parameters(model):
            mark.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return mark.hexdigest()[:16]
