"""One run while it trains: what is written to its directory, and what watchers are told, between two updates."""

from __future__ import annotations

import math
import platform
import time
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import torch
from torch import Tensor

import rbmscape
from rbmscape.data.dataset import Dataset
from rbmscape.errors import DivergenceError
from rbmscape.kernels.interface import Engine
from rbmscape.model.rbm import RBM
from rbmscape.runs.choice import fits_noise, has_stopped
from rbmscape.runs.config import TrainingConfig
from rbmscape.runs.writer import RunWriter
from rbmscape.training.counted import scored_rows
from rbmscape.training.descent import arithmetic_of
from rbmscape.training.metrics import MAX_SAMPLES, model_metrics, training_objection
from rbmscape.training.online import OnlineLikelihood
from rbmscape.training.progress import Stopwatch, TrainingStatus
from rbmscape.training.rows import Rows, training_rows

__all__ = ["Session", "Trained", "record_of"]

SECONDS_BETWEEN_STATES: Final = 30.0


class Trained(Protocol):
    """A model in training, of which a session writes down where it stands; see `rbmscape.training.trainer.Trainer`."""

    config: TrainingConfig
    engine: Engine
    updates_per_epoch: int
    total_updates: int

    @property
    def train(self) -> Rows:
        """(n, N) training rows."""

    @property
    def update(self) -> int:
        """Finished parameter updates."""

    @property
    def epoch(self) -> float:
        """Passes over the data so far."""

    @property
    def chains(self) -> Tensor:
        """(n_chains, N) uint8 visible states of the negative phase."""

    def model(self, averaged: bool = True) -> RBM:
        """Copy of the present model."""

    def checkpoint(self) -> dict[str, Tensor]:
        """Tensors of a checkpoint."""

    def state(self) -> dict[str, Tensor]:
        """Everything that the next update depends on."""

    def restore(self, tensors: dict[str, Tensor], update: int) -> None:
        """Go on from what `state` returned."""

    def rungs(self) -> list[dict[str, Tensor]]:
        """Parameters of the frozen models of "ptt"."""

    def reported_rung(self) -> dict[str, Tensor]:
        """The last measured model of "ptt" with its reservoir."""

    def measured(self, test: Tensor) -> dict[str, Any]:
        """Log-likelihoods that the trainer knows by itself."""


class Session:
    """Writes checkpoints, metrics and state of one run.

    Parameters
    ----------
    trainer : what is trained
    writer : of the run's directory
    dataset : what it is trained on

    Attributes
    ----------
    trainer : the same
    has_stopped : whether the recipe's patience has ended the training
    """

    def __init__(self, trainer: Trained, writer: RunWriter, dataset: Dataset) -> None:
        self.trainer, self._writer = trainer, writer
        self._test = training_rows(scored_rows(dataset.test, dataset.test_weights), trainer.train.device)
        self._checkpoints = set(trainer.config.checkpoint_updates(trainer.updates_per_epoch))
        self._watch = Stopwatch.begin(trainer.update)
        self._state_saved = time.monotonic()
        found = writer.read_state()
        self._is_new = found is None
        self.has_stopped = has_stopped(writer.read_metrics(), trainer.config.patience)
        self._seconds_before = float(found[1]["seconds"]) if found is not None else 0.0
        self._seconds_aside = 0.0
        self._metrics: dict[str, Any] = {}
        self._first: dict[str, Any] = {}
        self._rungs_written = len(trainer.rungs()) if found is not None else 0
        self._online: OnlineLikelihood | None = None
        if trainer.config.online_likelihood:
            self._online = OnlineLikelihood(trainer.engine, trainer.config.seed)
            if found is not None:
                self._online.restore(found[0])

    @property
    def is_new(self) -> bool:
        """Whether the run has no state yet, so that its first checkpoint is still to be written."""
        return self._is_new

    def begin(self) -> None:
        """Write the first checkpoint of a new run."""
        if self._is_new:
            self.write_checkpoint()

    def next_checkpoint(self) -> int:
        """The next update after which a checkpoint is due."""
        later = [update for update in self._checkpoints if update > self.trainer.update]
        return min(later, default=self.trainer.total_updates)

    def note(self) -> bool:
        """Write what is due after an update; returns whether that was a checkpoint."""
        at_checkpoint = self.trainer.update in self._checkpoints
        if at_checkpoint:
            self.write_checkpoint()
        elif time.monotonic() - self._state_saved > SECONDS_BETWEEN_STATES:
            self.write_state()
        return at_checkpoint

    def write_stalled(self) -> None:
        """The last good model as a checkpoint, and a state in which training can go on."""
        if self.trainer.update in self._writer.layout.updates():
            self.write_state()
        else:
            self.write_checkpoint()

    def with_last_checkpoint(self, error: DivergenceError) -> DivergenceError:
        """The error, and where the last good model lies."""
        good = self._writer.layout.updates()
        return DivergenceError(
            f"{error}; the last good checkpoint is at update {good[-1]}, read it with "
            f"rbmscape.Run.open({self.place!r}).load()"
        )

    @property
    def place(self) -> str:
        """The run's directory."""
        return str(self._writer.layout.directory)

    @property
    def _seconds(self) -> float:
        """Training time of the whole run, without the time spent on checkpoints."""
        return self._seconds_before + self._watch.seconds - self._seconds_aside

    def status(self, at_checkpoint: bool = False) -> TrainingStatus:
        """What watchers are told."""
        trainer = self.trainer
        return TrainingStatus(
            trainer.update,
            trainer.total_updates,
            trainer.epoch,
            trainer.config.epochs,
            self._watch.rate(trainer.update),
            self._metrics,
            at_checkpoint,
        )

    def write_checkpoint(self) -> None:
        """Model, then its metrics, then the state: a crash in between repeats, and never skips, an update."""
        began, trainer = self._watch.seconds, self.trainer
        seconds, speed = self._seconds, self._watch.rate(trainer.update)
        self._writer.write_checkpoint(trainer.update, trainer.epoch, trainer.checkpoint())
        measured = model_metrics(
            trainer.model(), trainer.train[:MAX_SAMPLES], self._test[:MAX_SAMPLES], trainer.chains, trainer.config.seed
        )
        measured |= trainer.measured(self._test[:]) if trainer.config.method == "ptt" else {}
        if reported := trainer.reported_rung():
            self._writer.write_reported(reported)
        if self._online is not None:
            scored = self._test[:] if len(self._test) else trainer.train[:]
            final = trainer.update == trainer.total_updates
            measured |= self._online.advance(
                trainer.model(), trainer.chains, trainer.train[:], scored, trainer.update, final=final
            )
        place = {"update": trainer.update, "epoch": trainer.epoch, "seconds": seconds, "updates_per_second": speed}
        self._metrics = {key: _json_number(value) for key, value in (place | measured).items()}
        self._first = self._first or (self._writer.read_metrics() or [self._metrics])[0]
        rows = [*self._writer.read_metrics(), self._metrics]
        objection = training_objection(self._metrics, self._first, trainer.config.n_hidden)
        self._metrics["objection"] = objection or fits_noise(rows)
        self.has_stopped = has_stopped(rows, trainer.config.patience)
        self._writer.append_metrics(self._metrics)
        self.write_state()
        self._seconds_aside += self._watch.seconds - began

    def write_state(self) -> None:
        """Replace what a resumed run starts from."""
        metadata = {"update": str(self.trainer.update), "seconds": repr(self._seconds)}
        self._write_rungs()
        tensors = self.trainer.state() | (self._online.state() if self._online is not None else {})
        self._writer.write_state(tensors, metadata)
        self._state_saved = time.monotonic()

    def _write_rungs(self) -> None:
        """Frozen models that are new since the last state."""
        for number, tensors in enumerate(self.trainer.rungs()):
            if number >= self._rungs_written:
                self._writer.write_rung(number, tensors)
                self._rungs_written = number + 1


def _json_number(value: Any) -> Any:
    """NaN as null, which is what JSON has for it."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _kind_of(dataset: Dataset) -> dict[str, Any]:
    """What is out of the ordinary about the data: spins, weights, missing entries."""
    found: dict[str, Any] = {} if dataset.states == "bits" else {"states": dataset.states}
    if dataset.train_weights is not None:
        found["rows_a_pass"] = dataset.rows_a_pass
    if dataset.has_missing:
        found["missing"] = True
    return found


def record_of(dataset: Dataset, config: TrainingConfig, engine: Engine, updates_per_epoch: int) -> dict[str, Any]:
    """What config.json says of a run."""
    return {
        "config": config.model_dump(mode="json"),
        "data": {
            "name": dataset.name,
            "fingerprint": dataset.fingerprint,
            "n_visible": dataset.n_visible,
            "n_train": len(dataset.train),
            "n_test": len(dataset.test),
            "image_shape": dataset.image_shape,
            "origin": dataset.origin,
        }
        | ({} if dataset.columns is None else {"columns": list(dataset.columns)})
        | _kind_of(dataset),
        "engine": engine.name,
        "precision": engine.precision,
        "arithmetic": arithmetic_of(engine),
        "updates_per_epoch": updates_per_epoch,
        "versions": {
            "rbmscape": rbmscape.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "threads": str(torch.get_num_threads()),
        },
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
