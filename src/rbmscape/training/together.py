"""Runs of equal shape that train as one batch, each into its own directory."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from rbmscape.data.dataset import Dataset
from rbmscape.errors import DivergenceError, EngineError, FormatError, RbmscapeError
from rbmscape.kernels.interface import Engine
from rbmscape.progress import Reporter
from rbmscape.runs.config import TrainingConfig
from rbmscape.runs.layout import RunLayout
from rbmscape.runs.record import read_run_record
from rbmscape.runs.writer import RunWriter, arithmetic
from rbmscape.training.batch import Batch
from rbmscape.training.callbacks import Watch
from rbmscape.training.descent import EXACT
from rbmscape.training.interrupt import InterruptGuard
from rbmscape.training.session import Session, record_of

__all__ = ["may_join", "naming_a_lost_device", "train_together"]

SECONDS_BETWEEN_LOOKS: Final = 0.2
"""Updates are queued for about so long before the host looks at the device and at its signals."""

Places = Sequence[str | os.PathLike[str]]


@contextmanager
def naming_a_lost_device(engine: Engine) -> Iterator[None]:
    """Say what can be done where a GPU fails in the middle of training.

    Raises
    ------
    EngineError : the device or its driver reported a failure
    """
    try:
        yield
    except RuntimeError as error:
        if engine.name != "cuda" or isinstance(error, RbmscapeError):
            raise
        reason = (str(error).splitlines() or ["no reason given"])[0]
        raise EngineError(
            f"the GPU failed while training ({reason}); the last saved state is whole, continue it in a new process on "
            "the processor with engine='cpu' and resume=True"
        ) from error


def train_together(
    dataset: Dataset,
    configs: Sequence[TrainingConfig],
    directories: Places,
    engine: Engine,
    reporter: Reporter,
    until_update: int | None = None,
    watches: Sequence[Watch] = (),
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> None:
    """Train runs whose recipes have the same `rbmscape.training.batch.shared_choices` on an engine that can batch them.

    Runs that stand at different updates meet first.  One that diverges ends there, and the others go on.  Each of the
    watches, if any, belongs to the run of its place.

    Raises
    ------
    DivergenceError : a model left the finite numbers; raised when the others are done
    KeyboardInterrupt : Ctrl-C or SIGTERM; everything is saved
    """
    failed: list[DivergenceError] = []
    with ExitStack() as stack:
        writers = [stack.enter_context(RunWriter(directory)) for directory in directories]
        for writer, config in zip(writers, configs, strict=True):
            per_epoch = config.updates_per_epoch(len(dataset.train))
            writer.begin(record_of(dataset, config, engine, per_epoch), resume=resume, overwrite=overwrite)
        for watch in watches:
            watch.begin()
            stack.callback(watch.end)
        known = dict(zip(writers, watches, strict=True)) if watches else {}
        going = list(zip(writers, configs, strict=True))
        end = configs[0].epochs * configs[0].updates_per_epoch(len(dataset.train))
        last = end if until_update is None else min(until_update, end)
        while going:
            starts = [_update_of(writer) for writer, _ in going]
            later = [update for update in starts if update > min(starts)]
            behind = [pair for pair, update in zip(going, starts, strict=True) if update == min(starts)]
            with naming_a_lost_device(engine):
                errors = _train_level(dataset, behind, engine, reporter, min([last, *later]), known)
            going = [pair for pair in going if pair[0] not in errors]
            failed += errors.values()
            if not later or min(starts) >= last:
                break
    if failed:
        raise failed[0]


def _update_of(writer: RunWriter) -> int:
    found = writer.read_state()
    return 0 if found is None else int(found[1]["update"])


def _train_level(
    dataset: Dataset,
    going: list[tuple[RunWriter, TrainingConfig]],
    engine: Engine,
    reporter: Reporter,
    last: int,
    watches: Mapping[RunWriter, Watch],
) -> dict[RunWriter, DivergenceError]:
    """Train runs that stand at the same update."""
    batch = Batch(dataset, [config for _, config in going], engine)
    for replica, (writer, _) in zip(batch.replicas, going, strict=True):
        found = writer.read_state()
        if found is not None:
            try:
                replica.restore(found[0], int(found[1]["update"]))
            except (KeyError, ValueError, RuntimeError) as error:
                raise FormatError(
                    f"{writer.layout.state} does not fit the recipe beside it ({error}); train again with "
                    "overwrite=True (--overwrite)"
                ) from error
    sessions = [Session(one, writer, dataset) for one, (writer, _) in zip(batch.replicas, going, strict=True)]
    try:
        failed = _run(batch, sessions, reporter, last, [watches[writer] for writer, _ in going] if watches else [])
    finally:
        batch.close()
    return {going[place][0]: error for place, error in failed.items()}


def _run(
    batch: Batch, sessions: list[Session], reporter: Reporter, last: int, watches: Sequence[Watch]
) -> dict[int, DivergenceError]:
    """Train to an update or to an interrupt; returns what is to be said of those that diverged."""
    failed: dict[int, DivergenceError] = {}
    live = list(sessions)
    reporter.start("updates", batch.total_updates)
    try:
        reporter.advance(batch.update, sessions[0].status())
        with InterruptGuard() as guard:
            for session in sessions:
                session.begin()
            for watch in watches:
                watch.look()
            at_once = 1
            while live and batch.update < last and not guard.requested:
                began = time.perf_counter()
                now = min([at_once, last - batch.update, *(one.next_checkpoint() - batch.update for one in live)])
                batch.advance(now)
                for place, error in batch.diverged().items():
                    if place not in failed:
                        failed[place] = sessions[place].with_last_checkpoint(error)
                at_once = 2 * at_once if time.perf_counter() - began < SECONDS_BETWEEN_LOOKS else max(1, at_once // 2)
                live = [session for place, session in enumerate(sessions) if place not in failed]
                written = [session.note() for session in live]
                reporter.advance(now, (live or sessions)[0].status(bool(written) and written[0]))
                for place in range(len(watches)) if any(written) else ():
                    watches[place].look()
            for session in live:
                session.write_state()
            if guard.requested:
                raise KeyboardInterrupt(_how_to_go_on(batch, sessions))
    finally:
        reporter.stop()
    return failed


def _how_to_go_on(batch: Batch, sessions: list[Session]) -> str:
    one = f"rbmscape.train(dataset, config, {sessions[0].place!r}, resume=True)"
    call = one if len(sessions) == 1 else "rbmscape.train_many(dataset, configs, directories, resume=True)"
    return (
        f"training was interrupted at update {batch.update} of {batch.total_updates}; everything is saved, continue "
        f"with {call}"
    )


def may_join(directory: str | os.PathLike[str], resume: bool) -> bool:
    """Whether a run that is there was begun in the number format and arithmetic of a batch, with an untrained model."""
    place = RunLayout(Path(directory)).config
    if not (resume and place.is_file()):
        return True
    record = read_run_record(place)
    return record.get("precision") == "fixed" and arithmetic(record) == EXACT and "init" not in record
