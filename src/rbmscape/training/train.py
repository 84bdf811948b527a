"""`train`: from a data set and a recipe to a run's directory that survives being killed at any instant."""

from __future__ import annotations

import os
from collections.abc import Sequence

from rbmscape.arguments import checked
from rbmscape.checks import check_count
from rbmscape.data.dataset import Dataset
from rbmscape.data.describe import first_concerns
from rbmscape.errors import DivergenceError, FormatError, InputError, LadderStalledError
from rbmscape.kernels.interface import Engine
from rbmscape.kernels.select import best_device, select_engine
from rbmscape.machine import thread_concerns
from rbmscape.model.rbm import RBM
from rbmscape.progress import Progress, Reporter
from rbmscape.runs.config import TrainingConfig
from rbmscape.runs.needs import check_training
from rbmscape.runs.record import read_run_record
from rbmscape.runs.run import Run
from rbmscape.runs.temporary import Keeper, temporary_directory
from rbmscape.runs.writer import RunWriter, arithmetic, same_numbers
from rbmscape.training.audit import audit_training, has_wide_gaps, is_audited, is_judgeable, save_audit
from rbmscape.training.batch import can_batch
from rbmscape.training.beginning import Beginning, beginning_of, check_beginning, check_record, recipe_for, to_climb
from rbmscape.training.callbacks import Callback, check_callbacks, watched
from rbmscape.training.counted import check_rows, is_plain
from rbmscape.training.display import TrainingDisplay, make_reporter
from rbmscape.training.interrupt import InterruptGuard
from rbmscape.training.session import Session, record_of
from rbmscape.training.team import ALONE, STOP, Team, check_shares, follow, follows_here, joined, size_here
from rbmscape.training.together import may_join, naming_a_lost_device, train_together
from rbmscape.training.trainer import Trainer

__all__ = ["check_kinds", "engine_for", "train"]


@checked
def train(
    dataset: Dataset,
    config: TrainingConfig | None = None,
    directory: str | os.PathLike[str] | None = None,
    *,
    init: Run | RBM | None = None,
    resume: bool = False,
    overwrite: bool = False,
    until_update: int | None = None,
    callbacks: Sequence[Callback] = (),
    progress: Progress = True,
) -> Run:
    """Train an RBM by stochastic ascent of the mean log-likelihood (arXiv:2503.21536, equations 6 and 13).

    Parameters
    ----------
    dataset : binary samples, from `load_dataset` or `Dataset.from_array`
    config : the recipe; by default that of `init` where it is a run, else that of
        `TrainingConfig.recommended` for the data
    directory : where the run is kept; by default a temporary one that vanishes with the returned run
    init : begin with the model of a run, and with its chains, or with a model: for fine-tuning, or for more epochs
        under a new schedule; not needed again to resume.  Method "ptt" takes a run of any method, and climbs to its
        model along its checkpoints before the first update.
    resume : continue the run in ``directory`` if there is one, bit for bit as if it had never stopped
    overwrite : replace a run that is in ``directory``
    until_update : stop (resumably) after this many updates in all, to train in slices
    callbacks : told of every checkpoint when it is written, such as `CsvTracker`; they change no number of the training
    progress : show a live display, or a `rbmscape.progress.Reporter` of one's own, which gets a `TrainingStatus`; where
        the display is shown, what `describe` finds in the data is said first, a finished training is judged
        (`Run.audit`), and what speaks against it is said

    Returns
    -------
    The run, with checkpoints, metrics and, for "pcd", the chains

    Raises
    ------
    InputError : data or recipe of another kind, or both resume and overwrite
    RunExistsError : ``directory`` holds a run and neither resume nor overwrite was asked for
    RunLockedError : another process or thread trains there
    ConfigError : the run to be resumed has another recipe, other data or another beginning
    ShapeError : the model to begin with does not fit the data or the recipe
    DivergenceError : parameters left the finite numbers; the last good checkpoint is kept
    CallbackError : a callback failed; everything is saved
    KeyboardInterrupt : Ctrl-C or SIGTERM; everything is saved, and the message says how to continue
    """
    check_kinds(dataset, config)
    if resume and overwrite:
        raise InputError("resume=True continues a run and overwrite=True replaces it, found both; choose one")
    last = None if until_update is None else check_count("until_update", until_update, 0)
    reporter, watching = make_reporter(progress), check_callbacks(callbacks)
    begin = beginning_of(init)
    recipe = recipe_for(config, init, dataset)
    if recipe.patience and not len(dataset.test):
        raise InputError(
            "patience compares likelihoods of held-out data, found none; make a Dataset with test rows "
            "(test_fraction=0.1), or leave patience out"
        )
    check_beginning(begin, dataset, recipe)
    check_rows(dataset, recipe)
    if isinstance(reporter, TrainingDisplay) and not follows_here():
        concerns = {"data": first_concerns(dataset), "threads": thread_concerns()}
        reporter.about((about, concern) for about, found in concerns.items() for concern in found)
    check_training(recipe, dataset.n_visible, len(dataset.train))
    engine = engine_for(recipe, dataset)
    if directory is not None:
        told = watched(reporter, watching, directory, kept=True)
        _train(dataset, recipe, engine, directory, told, last, begin, resume=resume, overwrite=overwrite)
        return _audited(Run.open(directory), dataset, reporter)
    if size_here() > 1:
        raise InputError(
            f"{size_here()} processes train one model and need a directory for it, found none; pass directory=..."
        )
    with temporary_directory() as place:
        told = watched(reporter, watching, place, kept=False)
        _train(dataset, recipe, engine, place, told, last, begin, resume=resume, overwrite=overwrite)
    return _audited(Run(place, Keeper(place)), dataset, reporter)


def _audited(run: Run, dataset: Dataset, reporter: Reporter) -> Run:
    """The run; where somebody watches and it is complete it is judged first, once, in a few seconds."""
    if not isinstance(reporter, TrainingDisplay) or follows_here() or not is_judgeable(run) or is_audited(run):
        return run
    if has_wide_gaps(run, dataset):
        reporter.tell([("not judged", "too much is missing to be summed out in passing; rbmscape evaluate does it")])
    else:
        audit = audit_training(run, dataset)
        save_audit(run, audit)
        reporter.tell(audit.lines())
    return run


def _train(
    dataset: Dataset,
    config: TrainingConfig,
    engine: Engine,
    directory: str | os.PathLike[str],
    reporter: Reporter,
    until_update: int | None,
    begin: Beginning | None,
    *,
    resume: bool,
    overwrite: bool,
) -> None:
    if size_here() > 1:
        if dataset.has_missing:
            raise InputError(
                f"training on several devices needs complete rows, found missing entries in {dataset.name}; "
                "train in one process"
            )
        with joined() as team:
            _train_in_team(
                team, dataset, config, directory, reporter, until_update, begin, resume=resume, overwrite=overwrite
            )
        return
    if begin is None and is_plain(dataset) and can_batch(config, engine) and may_join(directory, resume):
        train_together(
            dataset, [config], [directory], engine, reporter, until_update, resume=resume, overwrite=overwrite
        )
        return
    with RunWriter(directory) as writer, naming_a_lost_device(engine):
        begin = to_climb(begin, config, is_begun=resume and writer.layout.state.is_file())
        _tell(reporter, begin)
        trainer = _start(writer, dataset, config, engine, begin, resume=resume, overwrite=overwrite)
        _tell(reporter, begin, trainer.n_rungs)
        _run(trainer, Session(trainer, writer, dataset), reporter, until_update)


def _tell(reporter: Reporter, begin: Beginning | None, n_rungs: int = 0) -> None:
    """Where somebody watches, that a ladder climbs to the model that training begins with, and how it ended."""
    if begin is not None and begin.way and isinstance(reporter, TrainingDisplay):
        ended = f": {n_rungs} rungs" if n_rungs else ", before the first update"
        reporter.tell([("ladder", f"climbs along the {len(begin.way)} models that lead to init{ended}")])


def _train_in_team(
    team: Team,
    dataset: Dataset,
    config: TrainingConfig,
    directory: str | os.PathLike[str],
    reporter: Reporter,
    until_update: int | None,
    begin: Beginning | None,
    *,
    resume: bool,
    overwrite: bool,
) -> None:
    """The first process trains as if alone and keeps the run; the others do what it does."""
    check_shares(config, len(dataset.train), team.size)
    engine = engine_for(config, dataset)
    if not team.leads:
        plan = team.share(None)
        if plan is not None:  # else the first process says what is wrong
            name, precision, kind = plan
            engine = select_engine(name, precision, engine.device)
            with InterruptGuard():
                follow(Trainer(dataset, config, engine, begin, kind, team), team)
        return
    with RunWriter(directory) as writer, naming_a_lost_device(engine):
        trainer = _start(writer, dataset, config, engine, begin, team, resume=resume, overwrite=overwrite)
        try:
            _run(trainer, Session(trainer, writer, dataset), reporter, until_update)
        finally:
            team.tell(STOP)


def _run(trainer: Trainer, session: Session, reporter: Reporter, until_update: int | None) -> None:
    """Train to the end, to ``until_update``, or to an interrupt."""
    last = trainer.total_updates if until_update is None else min(until_update, trainer.total_updates)
    reporter.start("updates", trainer.total_updates)
    try:
        reporter.advance(trainer.update, session.status())
        with InterruptGuard() as guard:
            if session.is_new:
                session.begin()
                reporter.advance(0, session.status(at_checkpoint=True))
            while trainer.update < last and not guard.requested and not session.has_stopped:
                try:
                    trainer.step()
                except DivergenceError as error:
                    raise session.with_last_checkpoint(error) from None
                except LadderStalledError:
                    session.write_stalled()
                    raise
                reporter.advance(1, session.status(session.note()))
            session.write_state()
            if guard.requested:
                raise KeyboardInterrupt(
                    f"training was interrupted at update {trainer.update} of {trainer.total_updates}; everything "
                    f"is saved, continue with rbmscape.train(dataset, config, {session.place!r}, resume=True)"
                )
    finally:
        reporter.stop()


def check_kinds(dataset: Dataset, config: TrainingConfig | None) -> None:
    """Refuse what is no data set or no recipe.

    Raises
    ------
    InputError : it is something else
    """
    if not isinstance(dataset, Dataset):
        raise InputError(
            f"train needs a Dataset, found {type(dataset).__name__}; make one with rbmscape.Dataset.from_array(array)"
        )
    if config is not None and not isinstance(config, TrainingConfig):
        raise InputError(
            f"config must be a TrainingConfig, found {type(config).__name__}; make one with "
            "rbmscape.TrainingConfig(n_hidden=500, ...)"
        )


def engine_for(config: TrainingConfig, dataset: Dataset, runs: int = 1) -> Engine:
    """What trains a recipe, for so many runs at once where the engine can."""
    size = runs * config.n_chains, dataset.n_visible, config.n_hidden
    return select_engine(config.engine, config.precision, best_device(config.engine, config.precision, size))


def _start(
    writer: RunWriter,
    dataset: Dataset,
    config: TrainingConfig,
    engine: Engine,
    begin: Beginning | None,
    team: Team = ALONE,
    *,
    resume: bool,
    overwrite: bool,
) -> Trainer:
    """A trainer at the beginning of a new run, or where an existing one stands."""
    try:
        trainer = _fresh(writer, dataset, config, engine, begin, team, resume=resume, overwrite=overwrite)
    except BaseException:
        if team.leads:
            team.share(None)
        raise
    found = writer.read_state()
    if found is not None:
        tensors, metadata = found
        try:
            trainer.restore(tensors, int(metadata["update"]), writer.read_rungs())
        except (KeyError, ValueError, RuntimeError) as error:
            raise FormatError(
                f"{writer.layout.state} does not fit the recipe beside it ({error}); train again with overwrite=True "
                "(--overwrite)"
            ) from error
    return trainer


def _ladder_facts(begin: Beginning, trainer: Trainer) -> dict[str, int]:
    """What a run's record says of the climb to the model that training in equilibrium began with."""
    return {"climbed_models": len(begin.way), "climbed_rungs": trainer.n_rungs} if begin.way else {}


def _fresh(
    writer: RunWriter,
    dataset: Dataset,
    config: TrainingConfig,
    engine: Engine,
    begin: Beginning | None,
    team: Team,
    *,
    resume: bool,
    overwrite: bool,
) -> Trainer:
    """A trainer at its beginning, with the engine and the arithmetic of the run that is there; all processes' alike."""
    if resume and writer.exists:
        place, has_state = str(writer.layout.directory), writer.layout.state.is_file()
        check_record(read_run_record(writer.layout.config), begin, place, has_state=has_state)
    trainer = Trainer(dataset, config, engine, begin, team=team)
    wanted = record_of(dataset, config, engine, trainer.updates_per_epoch)
    wanted |= {} if begin is None else {"init": begin.facts | _ladder_facts(begin, trainer)}
    record = writer.begin(wanted, resume=resume, overwrite=overwrite)
    if not same_numbers(record, wanted):
        engine = select_engine(record["engine"], record["precision"], engine.device)
        trainer = Trainer(dataset, config, engine, begin, arithmetic(record), team)
    team.share((engine.name, engine.precision, arithmetic(record)))
    return trainer
