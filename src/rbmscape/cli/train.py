"""``rbmscape train DATA``: one run, with a live display; Ctrl-C saves everything and --resume continues."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rbmscape.cli.options import (
    DigitsOption,
    Engine,
    ImageShapeOption,
    KeyOption,
    LabelsOption,
    NTestOption,
    NTrainOption,
    OverwriteOption,
    Precision,
    TestFractionOption,
    TestOption,
    ThresholdOption,
    data_options,
    parse_list,
)

if TYPE_CHECKING:
    from rbmscape.data.dataset import Dataset
    from rbmscape.runs.config import TrainingConfig
    from rbmscape.runs.run import Run

__all__ = ["train"]


class Recipe(StrEnum):
    """Where the options that are not given come from."""

    RECOMMENDED = "recommended"
    PAPER = "paper"


class Method(StrEnum):
    """Negative phase."""

    PCD = "pcd"
    CD = "cd"
    RDM = "rdm"


class Gradient(StrEnum):
    """Of the log-likelihood."""

    CENTERED = "centered"
    PLAIN = "plain"


class Optimizer(StrEnum):
    """Of torch.optim."""

    SGD = "sgd"
    ADAM = "adam"


class Schedule(StrEnum):
    """Of the learning rate."""

    CONSTANT = "constant"
    LINEAR = "linear"
    COSINE = "cosine"


class VisibleBias(StrEnum):
    """At the start."""

    DATA = "data"
    ZEROS = "zeros"
    NORMAL = "normal"


_MODEL, _OPTIMISER, _RUN = "Model and sampling", "Optimisation", "Run"


def train(
    data: Annotated[
        str | None,
        typer.Argument(
            help="mnist, bars-and-stripes, planted, or a .npy, .npz, .csv, .parquet or .h5 file; "
            "not needed with --resume.",
            show_default=False,
        ),
    ] = None,
    hidden: Annotated[int | None, typer.Option(help="Hidden units.", min=1, rich_help_panel=_MODEL)] = None,
    method: Annotated[Method | None, typer.Option(help="Negative phase.", rich_help_panel=_MODEL)] = None,
    steps: Annotated[int | None, typer.Option(help="Gibbs steps an update.", min=1, rich_help_panel=_MODEL)] = None,
    chains: Annotated[int | None, typer.Option(help="Markov chains.", min=1, rich_help_panel=_MODEL)] = None,
    visible_bias: Annotated[VisibleBias | None, typer.Option(help="At the start.", rich_help_panel=_MODEL)] = None,
    weight_std: Annotated[
        float | None, typer.Option(help="Standard deviation of the first weights.", min=0, rich_help_panel=_MODEL)
    ] = None,
    engine: Annotated[Engine | None, typer.Option(help="What samples.", rich_help_panel=_MODEL)] = None,
    precision: Annotated[
        Precision | None, typer.Option(help="Of the sampling's matrix products.", rich_help_panel=_MODEL)
    ] = None,
    recipe: Annotated[
        Recipe, typer.Option(help="Values of all options that are not given.", rich_help_panel=_OPTIMISER)
    ] = Recipe.RECOMMENDED,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data.", min=0, rich_help_panel=_OPTIMISER)] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Samples a minibatch.", min=1, rich_help_panel=_OPTIMISER)
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Step size.", rich_help_panel=_OPTIMISER)] = None,
    gradient: Annotated[Gradient | None, typer.Option(help="Offsets or none.", rich_help_panel=_OPTIMISER)] = None,
    optimizer: Annotated[Optimizer | None, typer.Option(help="Update rule.", rich_help_panel=_OPTIMISER)] = None,
    momentum: Annotated[float | None, typer.Option(help="Of sgd.", rich_help_panel=_OPTIMISER)] = None,
    schedule: Annotated[Schedule | None, typer.Option(help="Of the learning rate.", rich_help_panel=_OPTIMISER)] = None,
    decay_start: Annotated[
        float | None, typer.Option(help="Fraction of training before the decay.", rich_help_panel=_OPTIMISER)
    ] = None,
    l1: Annotated[
        float | None, typer.Option(help="Strength of the penalty on |W|.", rich_help_panel=_OPTIMISER)
    ] = None,
    l2: Annotated[float | None, typer.Option(help="Strength of the penalty on W².", rich_help_panel=_OPTIMISER)] = None,
    averaging: Annotated[
        int | None, typer.Option(help="Updates to average parameters over; 0: none.", rich_help_panel=_OPTIMISER)
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of everything random in the run.", rich_help_panel=_RUN)] = None,
    out: Annotated[
        str | None,
        typer.Option(help="Directory of the run.", show_default="runs/DATA-HIDDEN-seedSEED", rich_help_panel=_RUN),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run that is there.", rich_help_panel=_RUN)
    ] = False,
    overwrite: OverwriteOption = False,
    checkpoint_epochs: Annotated[
        str | None, typer.Option(help="Epochs to keep, for example 1,5,20.", rich_help_panel=_RUN)
    ] = None,
    online_likelihood: Annotated[
        bool | None,
        typer.Option(
            "--online-likelihood",
            help="Carry ln Z along and show the log-likelihood.",
            rich_help_panel=_RUN,
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No live display.", rich_help_panel=_RUN)] = False,
    threshold: ThresholdOption = None,
    test: TestOption = None,
    test_fraction: TestFractionOption = None,
    labels: LabelsOption = None,
    key: KeyOption = None,
    image_shape: ImageShapeOption = None,
    digits: DigitsOption = None,
    n_train: NTrainOption = None,
    n_test: NTestOption = None,
    data_seed: Annotated[
        int | None, typer.Option(help="Of the split into training and test data.", rich_help_panel="Data")
    ] = None,
) -> None:
    """Train a restricted Boltzmann machine.

    The run's directory gets checkpoints, metrics and the state to resume from. Ctrl-C ends training cleanly.
    """
    loading = data_options(
        threshold=threshold, test=test, test_fraction=test_fraction, labels=labels, key=key, image_shape=image_shape,
        digits=digits, n_train=n_train, n_test=n_test, seed=data_seed,
    )  # fmt: skip
    choices: dict[str, Any] = {
        "n_hidden": hidden, "method": method, "gibbs_steps": steps, "n_chains": chains, "engine": engine,
        "precision": precision, "visible_bias_init": visible_bias, "weight_std": weight_std, "epochs": epochs,
        "batch_size": batch_size, "learning_rate": learning_rate, "gradient": gradient, "optimizer": optimizer,
        "momentum": momentum, "schedule": schedule, "decay_start": decay_start, "l1": l1, "l2": l2, "seed": seed,
        "averaging": averaging, "online_likelihood": online_likelihood,
        "checkpoint_epochs": None if checkpoint_epochs is None else parse_list(checkpoint_epochs, int, "1,5,20"),
    }  # fmt: skip
    given = {
        name: value.value if isinstance(value, StrEnum) else value
        for name, value in choices.items()
        if value is not None
    }
    if resume and overwrite:
        raise typer.BadParameter("--resume continues a run and --overwrite replaces it; choose one")
    known = _run_to_resume(out) if resume else None
    config = _config(recipe, given, known)
    dataset = _dataset(data, loading, known)
    directory = Path(out) if out is not None else Path("runs") / f"{dataset.name}-{config.n_hidden}-seed{config.seed}"
    _train(dataset, config, directory, resume=resume, overwrite=overwrite, quiet=quiet)


def _run_to_resume(out: str | None) -> Run | None:
    """The run that --resume continues; None where the directory is still empty."""
    from rbmscape.runs.run import Run

    if out is None:
        raise typer.BadParameter("--resume needs --out, the directory of the run to continue")
    return Run.open(out) if (Path(out) / "config.json").is_file() else None


def _config(recipe: Recipe, given: dict[str, Any], known: Run | None) -> TrainingConfig:
    """The recipe with the given options; of a run to resume, its own recipe instead."""
    from rbmscape.errors import ConfigError
    from rbmscape.runs.config import TrainingConfig

    try:
        if known is not None:
            return known.config.replace(**given)
        return TrainingConfig.paper(**given) if recipe is Recipe.PAPER else TrainingConfig.recommended(**given)
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


def _train(
    dataset: Dataset, config: TrainingConfig, directory: Path, *, resume: bool, overwrite: bool, quiet: bool
) -> None:
    from rbmscape.training.display import TrainingDisplay
    from rbmscape.training.train import train as train_model

    title = (
        f"{dataset.name}: {len(dataset.train)} samples, {dataset.n_visible} visible and {config.n_hidden} hidden "
        f"units, {config.method.upper()}-{config.gibbs_steps}, into {directory}"
    )
    try:
        run = train_model(
            dataset, config, directory, resume=resume, overwrite=overwrite,
            progress=False if quiet else TrainingDisplay(title),
        )  # fmt: skip
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted; continue with: rbmscape train --resume --out {directory}") from None
    typer.echo(str(run.directory))
