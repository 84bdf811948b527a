"""``rbmscape study PLAN.toml``: a study of one's own, here or on many machines; and what `reproduce` shares with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rbmscape.errors import ConfigError

if TYPE_CHECKING:
    from rbmscape.study.config import StudyConfig
    from rbmscape.study.study import Study

__all__ = [
    "DryRunOption",
    "OverwriteStudyOption",
    "SchedulerOption",
    "WorkersOption",
    "carry_out",
    "place_of",
    "study",
]

_WHERE = "Where it runs"

DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Only show the tasks, with estimates of time, memory and disk.")
]
OverwriteStudyOption = Annotated[
    bool, typer.Option("--overwrite", help="Start again from nothing instead of continuing what is there.")
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        help="Worker processes on this machine, which share its cores; without it one task at a time takes all.",
        min=1,
        show_default=False,
        rich_help_panel=_WHERE,
    ),
]
SchedulerOption = Annotated[
    str | None,
    typer.Option(
        help="Dask scheduler whose workers do the tasks, tcp://HOST:PORT; they must see the study's directory.",
        metavar="ADDRESS",
        show_default=False,
        rich_help_panel=_WHERE,
    ),
]


def study(
    plan: Annotated[Path, typer.Argument(help="A plan in TOML, or the directory of a study to go on with.")],
    out: Annotated[Path | None, typer.Option(help="Directory of the study.", show_default="studies/NAME")] = None,
    dry_run: DryRunOption = False,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    overwrite: OverwriteStudyOption = False,
    tables: Annotated[
        Path | None,
        typer.Option(
            help="Only write every result of the study's directory PLAN as a CSV table into this folder.",
            metavar="FOLDER",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Carry out a plan: train, estimate likelihoods, draw figures and write report.html.

    Everything resumes: after Ctrl-C or a crash the same command goes on where it stood, and what is done is not done
    again. A plan with one more size or replica computes only that.
    """
    if plan.is_dir():
        from rbmscape.study.study import open_study

        opened = open_study(plan)
        if tables is not None:
            _write_tables(opened, tables)
            return
        config, directory = opened.config, plan if out is None else out
    else:
        from rbmscape.study.plan import read_plan

        if tables is not None:
            raise typer.BadParameter("--tables needs the directory of a study, not a plan")
        config = read_plan(plan)
        directory = place_of(config.name) if out is None else out
    carry_out(config, directory, dry_run=dry_run, workers=workers, scheduler=scheduler, overwrite=overwrite)


def _write_tables(opened: Study, folder: Path) -> None:
    from rbmscape.study.tables import write_tables

    for path in write_tables(opened, folder):
        typer.echo(str(path))


def carry_out(
    config: StudyConfig,
    directory: Path,
    *,
    dry_run: bool,
    workers: int | None,
    scheduler: str | None,
    overwrite: bool,
) -> None:
    """Run a study, or only say what would run; then write its report."""
    if workers is not None and scheduler is not None:
        raise typer.BadParameter("--workers runs here and --scheduler elsewhere; choose one")
    if dry_run:
        from rbmscape.cli.dry_run import show_dry_run

        show_dry_run(config, directory, workers=workers, overwrite=overwrite)
        return
    from rbmscape.cli.costs import announce_study
    from rbmscape.errors import StudyError
    from rbmscape.report.build import write_report
    from rbmscape.study.study import run_study

    if scheduler is None:
        announce_study(config, directory, workers, overwrite=overwrite)
    found = run_study(config, directory, overwrite=overwrite, workers=workers, scheduler=scheduler)
    outcome = found.outcome
    page = write_report(found, outcome.failures)
    typer.echo(f"{len(outcome.computed)} tasks done, {len(outcome.skipped)} were done before")
    typer.echo(f"The report lies at {page}")
    if outcome.failures:
        name, reason = next(iter(outcome.failures.items()))
        raise StudyError(f"{len(outcome.failures)} tasks of the study could not be done, the first is {name}: {reason}")


def place_of(name: str, folder: str = "studies") -> Path:
    """Directory of a study, or of a search, that was given none.

    Raises
    ------
    ConfigError : the name is no file name
    """
    plain = name.isprintable() and name == name.strip() and name.strip(".") and len(name) <= 200
    if not plain or Path(name).name != name or "\\" in name:
        raise ConfigError(f"the name {name!r} of the plan is no name of a directory; give one with --out")
    return Path(folder) / name
