"""``rbmscape train DATA``: one run, with a live display; Ctrl-C saves everything and --resume continues."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rbmscape.cli.options import (
    DigitsOption,
    ImageShapeOption,
    KeyOption,
    LabelsOption,
    MissingOption,
    NTestOption,
    NTrainOption,
    NVisibleOption,
    OverwriteOption,
    StatesOption,
    TestFractionOption,
    TestOption,
    ThresholdOption,
    WeightsOption,
    data_options,
)
from rbmscape.cli.recipe_options import with_recipe_options
from rbmscape.runs.config import TrainingConfig

if TYPE_CHECKING:
    from rbmscape.data.dataset import Dataset
    from rbmscape.model.rbm import RBM
    from rbmscape.runs.run import Run
    from rbmscape.training.callbacks import Callback

__all__ = ["train"]

Preset = Literal["recommended", "paper"]
"""Where the values that are not given come from: a method of `TrainingConfig`."""


class Tracker(StrEnum):
    """Of metrics, beside the run's own."""

    CSV = "csv"
    TENSORBOARD = "tensorboard"


_OPTIMISATION, _RUN = "Optimisation", "Run"


@with_recipe_options
def train(
    data: Annotated[
        str | None,
        typer.Argument(
            help="mnist, bars-and-stripes, planted, or a .npy, .npz, .csv, .parquet or .h5 file; "
            "not needed with --resume, or with --init and a run.",
            show_default=False,
        ),
    ] = None,
    *,
    recipe: Annotated[
        Preset,
        typer.Option(
            help="Values that are not given come from this recipe; the defaults shown here are the recommended ones of "
            "20 000 rows and more; of fewer rows they follow from the data.",
            rich_help_panel=_OPTIMISATION,
        ),
    ] = "recommended",
    out: Annotated[
        str | None,
        typer.Option(
            help="The run is kept in this directory.", show_default="runs/DATA-HIDDEN-seedSEED", rich_help_panel=_RUN
        ),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            help="Training begins with the model of this run, and its chains, or with this model file.",
            metavar="RUN|MODEL",
            rich_help_panel=_RUN,
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="The run that is there is continued.", rich_help_panel=_RUN)
    ] = False,
    overwrite: OverwriteOption = False,
    track: Annotated[
        list[Tracker] | None,
        typer.Option(
            help="Metrics of every checkpoint also go to OUT/metrics.csv, or to OUT/tensorboard (needs "
            "rbmscape[tensorboard]); can be given twice.",
            rich_help_panel=_RUN,
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Nothing is shown while training runs.", rich_help_panel=_RUN)
    ] = False,
    threshold: ThresholdOption = None,
    test: TestOption = None,
    test_fraction: TestFractionOption = None,
    labels: LabelsOption = None,
    weights: WeightsOption = None,
    states: StatesOption = None,
    missing: MissingOption = None,
    key: KeyOption = None,
    image_shape: ImageShapeOption = None,
    digits: DigitsOption = None,
    n_train: NTrainOption = None,
    n_visible: NVisibleOption = None,
    n_test: NTestOption = None,
    data_seed: Annotated[
        int | None,
        typer.Option(help="The split into training and test data follows from this seed.", rich_help_panel="Data"),
    ] = None,
    **values: Any,
) -> None:
    """Train a restricted Boltzmann machine.

    The run's directory gets checkpoints, metrics and the state to resume from. Ctrl-C ends training cleanly.
    """
    from rbmscape.runs.run import Run
    from rbmscape.training.beginning import recipe_for

    loading = data_options(
        threshold=threshold, test=test, test_fraction=test_fraction, labels=labels, key=key, image_shape=image_shape,
        digits=digits, n_train=n_train, n_test=n_test, n_visible=n_visible, seed=data_seed, weights=weights,
        states=states, missing=missing,
    )  # fmt: skip
    if resume and overwrite:
        raise typer.BadParameter("--resume continues a run and --overwrite replaces it; choose one")
    known = _run_to_resume(out) if resume else None
    given = {name: value for name, value in values.items() if value is not None}
    config = _config(recipe, given, known)
    begin = None if init is None else _beginning(init)
    dataset = _dataset(data, loading, known or (begin if isinstance(begin, Run) else None))
    if known is None:
        config = _config(recipe, given, None, dataset) if begin is None else recipe_for(config, begin, dataset)
    directory = Path(out) if out is not None else Path("runs") / f"{dataset.name}-{config.n_hidden}-seed{config.seed}"
    trackers = _trackers(track or [], directory)
    _train(dataset, config, directory, begin, trackers, resume=resume, overwrite=overwrite, quiet=quiet)


def _beginning(init: str) -> Run | RBM:
    """The run, or the model in a file."""
    from rbmscape.cli.models import open_model

    opened = open_model(init, device="cpu")
    return opened.rbm if opened.run is None else opened.run


def _run_to_resume(out: str | None) -> Run | None:
    """The run that --resume continues; None where the directory is still empty."""
    from rbmscape.runs.run import Run

    if out is None:
        raise typer.BadParameter("--resume needs --out, the directory of the run to continue")
    return Run.open(out) if (Path(out) / "config.json").is_file() else None


def _config(recipe: Preset, given: dict[str, Any], known: Run | None, dataset: Dataset | None = None) -> TrainingConfig:
    """The recipe with the given options, for the data where they are known; of a run to resume, its own instead."""
    from rbmscape.errors import ConfigError

    try:
        if known is not None:
            return known.config.replace(**given)
        if recipe == "recommended":
            return TrainingConfig.recommended(dataset, **given)
        return TrainingConfig.paper(**given)
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from None


def _dataset(data: str | None, loading: dict[str, Any], known: Run | None) -> Dataset:
    from rbmscape.data.load import load_dataset

    if data is not None:
        return load_dataset(data, **loading)
    if known is None:
        raise typer.BadParameter("name the data: mnist, bars-and-stripes, planted or a file")
    if loading:
        raise typer.BadParameter(f"--{next(iter(loading)).replace('_', '-')} needs the data that it applies to")
    return known.dataset()


def _trackers(names: list[Tracker], directory: Path) -> list[Callback]:
    """Each of the trackers once, within the run's directory."""
    from rbmscape.training.callbacks import CsvTracker, TensorBoardTracker

    made: dict[Tracker, Any] = {
        Tracker.CSV: lambda: CsvTracker(directory / "metrics.csv"),
        Tracker.TENSORBOARD: lambda: TensorBoardTracker(directory / "tensorboard"),
    }
    return [made[name]() for name in dict.fromkeys(names)]


def _train(
    dataset: Dataset,
    config: TrainingConfig,
    directory: Path,
    init: Run | RBM | None,
    trackers: list[Callback],
    *,
    resume: bool,
    overwrite: bool,
    quiet: bool,
) -> None:
    from rbmscape.cli.costs import announce_training
    from rbmscape.training.audit import audit_training, can_be_audited, is_audited, save_audit
    from rbmscape.training.display import TrainingDisplay
    from rbmscape.training.team import follows_here
    from rbmscape.training.train import train as train_model

    if not follows_here():
        announce_training(config, dataset, directory, resume=resume)
    title = (
        f"{dataset.name}: {len(dataset.train)} samples, {dataset.n_visible} visible and {config.n_hidden} hidden "
        f"units, {config.method.upper()}-{config.gibbs_steps}, {config.epochs} epochs of minibatches of "
        f"{min(config.batch_size, len(dataset.train))}, into {directory}"
    )
    try:
        run = train_model(
            dataset, config, directory, init=init, resume=resume, overwrite=overwrite, callbacks=trackers,
            progress=False if quiet or follows_here() else TrainingDisplay(title),
        )  # fmt: skip
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted; continue with: rbmscape train --resume --out {quote(str(directory))}"
        ) from None
    if follows_here():
        return
    if quiet and can_be_audited(run, dataset) and not is_audited(run):
        save_audit(run, audit_training(run, dataset))
    typer.echo(str(run.directory))
