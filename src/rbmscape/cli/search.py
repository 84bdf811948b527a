"""``rbmscape search PLAN.toml``: the best of many recipes by successive halving, judged by held-out likelihoods."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rbmscape.cli.study import DryRunOption, OverwriteStudyOption, SchedulerOption, WorkersOption, place_of
from rbmscape.cli.tables import print_table

if TYPE_CHECKING:
    from rbmscape.study.search import Search
    from rbmscape.study.search_config import SearchConfig

__all__ = ["search"]


def search(
    plan: Annotated[Path, typer.Argument(help="A plan in TOML, or the directory of a search to go on with.")],
    out: Annotated[Path | None, typer.Option(help="Directory of the search.", show_default="searches/NAME")] = None,
    dry_run: DryRunOption = False,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    overwrite: OverwriteStudyOption = False,
) -> None:
    """Train every combination of the plan's [search] lists a little, and the best of them on and on.

    Candidates are judged by rows that are held out from the training data, and only by converged likelihoods; the test
    data take no part. The winner is a run in OUT/best with its report, the table of all candidates OUT/report.html and
    search.json. Everything resumes with the same command.
    """
    from rbmscape.study.search import read_search

    if plan.is_dir():
        config, directory = read_search(plan)[0], plan if out is None else out
    else:
        from rbmscape.study.plan import read_search_plan

        config = read_search_plan(plan)
        directory = place_of(config.name, "searches") if out is None else out
    if workers is not None and scheduler is not None:
        raise typer.BadParameter("--workers runs here and --scheduler elsewhere; choose one")
    if dry_run:
        _show_dry_run(config, directory, workers, overwrite=overwrite)
        return
    _carry_out(config, directory, workers, scheduler, overwrite=overwrite)


def _carry_out(
    config: SearchConfig, directory: Path, workers: int | None, scheduler: str | None, *, overwrite: bool
) -> None:
    from rbmscape.cli.costs import announce_search
    from rbmscape.errors import StudyError
    from rbmscape.report.search_page import write_search_report
    from rbmscape.study.search import no_winner
    from rbmscape.study.search import search as find

    if scheduler is None:
        announce_search(config, directory, workers, overwrite=overwrite)
    found = find(config, directory, overwrite=overwrite, workers=workers, scheduler=scheduler)
    page = write_search_report(found)
    _show(found)
    typer.echo(f"{len(found.outcome.computed)} tasks done, {len(found.outcome.skipped)} were done before")
    typer.echo(f"The report lies at {page}")
    if found.winner is None:
        raise StudyError(no_winner(found))
    typer.echo(f"The best is the run {directory / 'best'}")


def _show(found: Search) -> None:
    names = list(found.config.search)
    rows = [
        (
            *(str(one.values[name]) for name in names),
            str(one.epochs),
            one.failure or str(one.score),
            "best"
            if one is found.winner
            else "level"
            if one.is_level
            else ""
            if one.behind is None
            else str(one.behind),
        )
        for one in found.candidates
    ]
    header = (*names, "epochs", "held-out, nats a sample", "behind")
    print_table(f"Search {found.config.name!r}, the best first", rows, header)
    if found.test is not None:
        typer.echo(f"Test data under the best: {found.test} nats a sample, ± {found.test.row_stderr:.2g} of the rows")


def _show_dry_run(config: SearchConfig, directory: Path, workers: int | None, *, overwrite: bool) -> None:
    from rbmscape.progress import duration
    from rbmscape.study.search_survey import survey_search

    found = survey_search(config, directory, workers=workers, overwrite=overwrite)
    rows = [
        (str(number + 1), str(one.rung.places), str(one.rung.epochs), str(one.done), duration(one.seconds))
        for number, one in enumerate(found.rungs)
    ]
    print_table(f"Search {config.name!r} in {directory}", rows, ("rung", "candidates", "epochs", "done", "time left"))
    how = "one after the other" if workers is None else f"with {workers} worker processes"
    lines = [
        ("time", f"at most about {duration(found.wall)} {how} ({found.threads} threads each)"),
        ("memory", f"about {found.needed}"),
        ("disk", f"at most about {found.on_disk} in all, {found.free} free"),
    ]
    print_table("Estimates, from a calibration of a few seconds on this machine as busy as it is now", lines)
