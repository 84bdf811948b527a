"""``rbmscape analyze``: what a trained model looks like in reciprocal space, as pictures and netCDF files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rbmscape.cli.options import (
    BestOption,
    DeviceOption,
    ImageShapeOption,
    OverwriteOption,
    UpdateOption,
    data_options,
    parse_image_shape,
)
from rbmscape.progress import LONG, Pace, duration

if TYPE_CHECKING:
    from rbmscape.data.dataset import Dataset
    from rbmscape.figures.analysis import Subject
    from rbmscape.figures.registry import FigureEntry

__all__ = ["analyze"]


def analyze(
    model: Annotated[
        str, typer.Argument(help="A run's directory or a model's .safetensors file.", metavar="RUN|MODEL")
    ],
    out: Annotated[Path, typer.Option(help="Directory of the pictures (png, pdf) and their data (nc).")],
    data: Annotated[
        str | None,
        typer.Option(
            help="Data set or file to project, as for train; by default what the run was trained on. 'none' for none.",
            metavar="NAME|FILE",
        ),
    ] = None,
    figures: Annotated[
        str | None, typer.Option(help="Only these figures, separated by commas.", metavar="NAMES")
    ] = None,
    chains: Annotated[int, typer.Option(help="Independent samples of each model.", min=2)] = 100,
    seed: Annotated[int, typer.Option(help="Of everything random.", min=0)] = 0,
    update: UpdateOption = -1,
    best: BestOption = False,
    image_shape: ImageShapeOption = None,
    device: DeviceOption = "auto",
    overwrite: OverwriteOption = False,
) -> None:
    """Draw the reciprocal-space figures of one model or run.

    Figures that need a run or data are left out where there are none.
    """
    from rbmscape.cli.costs import announce_figures
    from rbmscape.cli.models import check_absent

    entries = _chosen(figures)
    check_absent(
        [out / f"{entry.stem}.{kind}" for entry in entries for kind in ("png", "pdf", "nc")], overwrite=overwrite
    )
    subject = _subject(model, data, image_shape, (update, best), device, seed, chains)
    seconds, failed = announce_figures(subject, entries, out), dict[str, str]()
    pace = Pace(round(sum(seconds.values())))
    for entry in entries:
        _make(entry, subject, out, failed)
        pace.advance(round(seconds.get(entry.name, 0.0)))
        if pace.left > LONG:
            typer.echo(f"about {duration(pace.left)} left", err=True)
    if failed:
        from rbmscape.errors import StudyError

        name, reason = next(iter(failed.items()))
        raise StudyError(f"{len(failed)} of {len(entries)} figures could not be made, the first is {name}: {reason}")


def _chosen(names: str | None) -> tuple[FigureEntry, ...]:
    """Figures of models by name, all for None."""
    from rbmscape.errors import ConfigError
    from rbmscape.figures.registry import select

    entries = select(None if names is None else [name.strip() for name in names.split(",")])
    fitting = tuple(entry for entry in entries if entry.spec.analysis is not None)
    if names is not None and len(fitting) < len(entries):
        wrong = next(entry.name for entry in entries if entry not in fitting)
        known = ", ".join(entry.name for entry in select() if entry.spec.analysis is not None)
        raise ConfigError(f"the figure {wrong!r} is of a study, not of one model; these are: {known}")
    return fitting


def _subject(
    model: str, data: str | None, image_shape: str | None, place: tuple[int, bool], device: str, seed: int, chains: int
) -> Subject:
    """The model with its run and data, checked to fit each other."""
    from rbmscape.cli.models import open_model
    from rbmscape.errors import DataError
    from rbmscape.figures.analysis import Subject

    update, best = place
    found = open_model(model, update, device, best=best)
    update = found.update if best else update
    dataset: Dataset | None = None
    if data is not None and data != "none":
        from rbmscape.data.load import load_dataset

        dataset = found.ordered(load_dataset(data, **data_options(image_shape=image_shape)))
    elif data is None and found.run is not None:
        dataset = _recorded_data(found.run)
    if dataset is not None and dataset.n_visible != found.rbm.n_visible:
        raise DataError(
            f"{dataset.name} has {dataset.n_visible} columns but the model {found.rbm.n_visible} visible units; "
            "name the data that it was trained on with --data, or --data none"
        )
    shape = found.image_shape or (None if dataset is None else dataset.image_shape)
    if image_shape is not None:
        shape = parse_image_shape(image_shape)
        if shape[0] * shape[1] != found.rbm.n_visible:
            raise typer.BadParameter(f"{image_shape} has not the {found.rbm.n_visible} pixels of a visible state")
    sampling = {"n_chains": chains, "progress": True}
    return Subject(found.rbm, found.run, dataset, shape, Path(model).name, seed, update, sampling)


def _recorded_data(run: object) -> Dataset | None:
    """The data of a run, or None with a warning where they cannot be had any more."""
    from rbmscape.errors import RbmscapeError
    from rbmscape.runs.run import Run

    assert isinstance(run, Run)
    try:
        return run.dataset().complete("a figure")
    except (RbmscapeError, OSError) as error:
        typer.echo(f"no data are shown: {error}", err=True)
        return None


def _make(entry: FigureEntry, subject: Subject, out: Path, failed: dict[str, str]) -> None:
    """Compute, draw and save one figure, or say why not."""
    from rbmscape.errors import DiskError, RbmscapeError
    from rbmscape.figures.style import save

    missing = entry.missing(subject)
    if missing:
        typer.echo(f"{entry.name}: left out, it needs {' and '.join(missing)}")
        return
    try:
        dataset = entry.analyse(subject).assign_attrs(source=subject.name)
        saved = save(entry.draw(dataset), dataset, out, entry.stem)
    except DiskError:
        raise
    except RbmscapeError as error:
        failed[entry.name] = str(error)
        typer.echo(f"{entry.name}: {error}", err=True)
        return
    typer.echo(f"{saved.png}: {entry.alt_text(dataset)}")
