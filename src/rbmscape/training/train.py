"""`train`: from a data set and a recipe to a run's directory that survives being killed at any instant."""

from __future__ import annotations

import math
import os
import platform
import time
from datetime import UTC, datetime
from typing import Any, Final

import torch

import rbmscape
from rbmscape.checks import check_count
from rbmscape.data.dataset import Dataset
from rbmscape.errors import DivergenceError, FormatError, InputError, LadderStalledError
from rbmscape.kernels.interface import Engine
from rbmscape.kernels.select import best_device, select_engine
from rbmscape.progress import Progress, Reporter
from rbmscape.runs.config import TrainingConfig
from rbmscape.runs.run import Run
from rbmscape.runs.temporary import Keeper, temporary_directory
from rbmscape.runs.writer import RunWriter
from rbmscape.training.display import make_reporter
from rbmscape.training.interrupt import InterruptGuard
from rbmscape.training.metrics import model_metrics, training_objection
from rbmscape.training.online import OnlineLikelihood
from rbmscape.training.progress import Stopwatch, TrainingStatus
from rbmscape.training.trainer import Trainer

__all__ = ["train"]

SECONDS_BETWEEN_STATES: Final = 30.0


def train(
    dataset: Dataset,
    config: TrainingConfig | None = None,
    directory: str | os.PathLike[str] | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    until_update: int | None = None,
    progress: Progress = True,
) -> Run:
    """Train an RBM by stochastic ascent of the mean log-likelihood (arXiv:2503.21536, equations 6 and 13).

    Parameters
    ----------
    dataset : binary samples, from `load_dataset` or `Dataset.from_array`
    config : the recipe; `TrainingConfig.recommended()` by default
    directory : where the run is kept; by default a temporary one that vanishes with the returned run
    resume : continue the run in ``directory`` if there is one, bit for bit as if it had never stopped
    overwrite : replace a run that is in ``directory``
    until_update : stop (resumably) after this many updates in all, to train in slices
    progress : show a live display, or a `rbmscape.progress.Reporter` of one's own, which gets a `TrainingStatus`

    Returns
    -------
    The run, with checkpoints, metrics and, for "pcd", the chains

    Raises
    ------
    InputError : data or recipe of another kind, or both resume and overwrite
    RunExistsError : ``directory`` holds a run and neither resume nor overwrite was asked for
    RunLockedError : another process or thread trains there
    ConfigError : the run to be resumed has another recipe or other data
    DivergenceError : parameters left the finite numbers; the last good checkpoint is kept
    KeyboardInterrupt : Ctrl-C or SIGTERM; everything is saved, and the message says how to continue
    """
    _check_kinds(dataset, config)
    if resume and overwrite:
        raise InputError("resume=True continues a run and overwrite=True replaces it, found both; choose one")
    last = None if until_update is None else check_count("until_update", until_update, 0)
    reporter = make_reporter(progress)
    recipe = TrainingConfig.recommended() if config is None else config
    engine = _engine(recipe)
    if directory is not None:
        _train(dataset, recipe, engine, directory, reporter, last, resume=resume, overwrite=overwrite)
        return Run.open(directory)
    with temporary_directory() as place:
        _train(dataset, recipe, engine, place, reporter, last, resume=resume, overwrite=overwrite)
    return Run(place, Keeper(place))


def _train(
    dataset: Dataset,
    config: TrainingConfig,
    engine: Engine,
    directory: str | os.PathLike[str],
    reporter: Reporter,
    until_update: int | None,
    *,
    resume: bool,
    overwrite: bool,
) -> None:
    with RunWriter(directory) as writer:
        trainer = _start(writer, dataset, config, engine, resume=resume, overwrite=overwrite)
        _Session(trainer, writer, dataset, reporter).run(until_update)


def _check_kinds(dataset: Dataset, config: TrainingConfig | None) -> None:
    if not isinstance(dataset, Dataset):
        raise InputError(
            f"train needs a Dataset, found {type(dataset).__name__}; make one with rbmscape.Dataset.from_array(array)"
        )
    if config is not None and not isinstance(config, TrainingConfig):
        raise InputError(
            f"config must be a TrainingConfig, found {type(config).__name__}; make one with "
            "rbmscape.TrainingConfig(n_hidden=500, ...)"
        )


def _engine(config: TrainingConfig) -> Engine:
    return select_engine(config.engine, config.precision, best_device(config.engine, config.precision))


def _start(
    writer: RunWriter, dataset: Dataset, config: TrainingConfig, engine: Engine, *, resume: bool, overwrite: bool
) -> Trainer:
    """A trainer at the beginning of a new run, or where an existing one stands."""
    trainer = Trainer(dataset, config, engine)
    record = writer.begin(_record(dataset, config, engine, trainer), resume=resume, overwrite=overwrite)
    if record["precision"] != engine.precision or record["engine"] != engine.name:
        engine = select_engine(record["engine"], record["precision"], engine.device)
        trainer = Trainer(dataset, config, engine)
    found = writer.read_state()
    if found is not None:
        tensors, metadata = found
        try:
            trainer.restore(tensors, int(metadata["update"]), writer.read_rungs())
        except (KeyError, ValueError, RuntimeError) as error:
            raise FormatError(
                f"{writer.layout.state} does not fit the recipe beside it ({error}); train again with overwrite=True"
            ) from error
    return trainer


def _record(dataset: Dataset, config: TrainingConfig, engine: Engine, trainer: Trainer) -> dict[str, Any]:
    """What config.json says."""
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
        },
        "engine": engine.name,
        "precision": engine.precision,
        "updates_per_epoch": trainer.updates_per_epoch,
        "versions": {
            "rbmscape": rbmscape.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "threads": str(torch.get_num_threads()),
        },
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


class _Session:
    """The loop from the trainer's update to the end, with everything that is written and shown on the way."""

    def __init__(self, trainer: Trainer, writer: RunWriter, dataset: Dataset, reporter: Reporter) -> None:
        self._trainer, self._writer, self._reporter = trainer, writer, reporter
        self._test = torch.tensor(dataset.test, device=trainer.train.device)
        self._checkpoints = set(trainer.config.checkpoint_updates(trainer.updates_per_epoch))
        self._watch = Stopwatch.begin(trainer.update)
        self._state_saved = time.monotonic()
        found = writer.read_state()
        self._is_new = found is None
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

    def run(self, until_update: int | None) -> None:
        """Train to the end, to ``until_update``, or to an interrupt."""
        trainer = self._trainer
        last = trainer.total_updates if until_update is None else min(until_update, trainer.total_updates)
        self._reporter.start("updates", trainer.total_updates)
        try:
            self._reporter.advance(trainer.update, self._status())
            with InterruptGuard() as guard:
                if self._is_new:
                    self._write_checkpoint()
                    self._reporter.advance(0, self._status(at_checkpoint=True))
                while trainer.update < last and not guard.requested:
                    self._advance()
                self._write_state()
                if guard.requested:
                    raise KeyboardInterrupt(
                        f"training was interrupted at update {trainer.update} of {trainer.total_updates}; everything "
                        f"is saved, continue with rbmscape.train(dataset, config, {self._place!r}, resume=True)"
                    )
        finally:
            self._reporter.stop()

    def _advance(self) -> None:
        try:
            self._trainer.step()
        except DivergenceError as error:
            good = self._writer.layout.updates()
            raise DivergenceError(
                f"{error}; the last good checkpoint is at update {good[-1]}, read it with "
                f"rbmscape.Run.open({self._place!r}).load()"
            ) from None
        except LadderStalledError:
            self._write_stalled()
            raise
        at_checkpoint = self._trainer.update in self._checkpoints
        if at_checkpoint:
            self._write_checkpoint()
        elif time.monotonic() - self._state_saved > SECONDS_BETWEEN_STATES:
            self._write_state()
        self._reporter.advance(1, self._status(at_checkpoint))

    def _write_stalled(self) -> None:
        """The last good model as a checkpoint, and a state in which training can go on."""
        if self._trainer.update in self._writer.layout.updates():
            self._write_state()
        else:
            self._write_checkpoint()

    @property
    def _place(self) -> str:
        return str(self._writer.layout.directory)

    @property
    def _seconds(self) -> float:
        """Training time of the whole run, without the time spent on checkpoints."""
        return self._seconds_before + self._watch.seconds - self._seconds_aside

    def _status(self, at_checkpoint: bool = False) -> TrainingStatus:
        trainer = self._trainer
        return TrainingStatus(
            trainer.update,
            trainer.total_updates,
            trainer.epoch,
            trainer.config.epochs,
            self._watch.rate(trainer.update),
            self._metrics,
            at_checkpoint,
        )

    def _write_checkpoint(self) -> None:
        """Model, then its metrics, then the state: a crash in between repeats, and never skips, an update."""
        began, trainer = self._watch.seconds, self._trainer
        seconds, speed = self._seconds, self._watch.rate(trainer.update)
        self._writer.write_checkpoint(trainer.update, trainer.epoch, trainer.checkpoint())
        measured = model_metrics(trainer.model(), trainer.train, self._test, trainer.chains, trainer.config.seed)
        measured |= trainer.measured(self._test)
        if reported := trainer.reported_rung():
            self._writer.write_reported(reported)
        if self._online is not None:
            scored = self._test if len(self._test) else trainer.train
            final = trainer.update == trainer.total_updates
            measured |= self._online.advance(
                trainer.model(), trainer.chains, trainer.train, scored, trainer.update, final=final
            )
        place = {"update": trainer.update, "epoch": trainer.epoch, "seconds": seconds, "updates_per_second": speed}
        self._metrics = {key: _json_number(value) for key, value in (place | measured).items()}
        self._first = self._first or (self._writer.read_metrics() or [self._metrics])[0]
        self._metrics["objection"] = training_objection(self._metrics, self._first, trainer.config.n_hidden)
        self._writer.append_metrics(self._metrics)
        self._write_state()
        self._seconds_aside += self._watch.seconds - began

    def _write_state(self) -> None:
        metadata = {"update": str(self._trainer.update), "seconds": repr(self._seconds)}
        self._write_rungs()
        tensors = self._trainer.state() | (self._online.state() if self._online is not None else {})
        self._writer.write_state(tensors, metadata)
        self._state_saved = time.monotonic()

    def _write_rungs(self) -> None:
        """Frozen models that are new since the last state."""
        for number, tensors in enumerate(self._trainer.rungs()):
            if number >= self._rungs_written:
                self._writer.write_rung(number, tensors)
                self._rungs_written = number + 1


def _json_number(value: Any) -> Any:
    """NaN as null, which is what JSON has for it."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
