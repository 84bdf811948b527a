"""`rbmscape reproduce`: from nothing to a study with runs, figures and a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["reproduce"]


def reproduce(
    profile: Annotated[
        str, typer.Option(help="quick: minutes on two cores, M = 100, 500, 1200. smoke: seconds, tiny models.")
    ] = "quick",
    out: Annotated[
        Path | None, typer.Option(help="Directory of the study; studies/PROFILE by default.", show_default=False)
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Start again from nothing instead of continuing what is there.")
    ] = False,
) -> None:
    """Train sizes and replicas on MNIST, estimate likelihoods, draw figures and write report.html.

    Everything resumes: after Ctrl-C or a crash the same command goes on where it stood, and what is done is not done
    again.
    """
    from rbmscape.errors import StudyError
    from rbmscape.report.build import write_report
    from rbmscape.study.profiles import profile as named_profile
    from rbmscape.study.study import run_study

    config = named_profile(profile)
    directory = Path("studies") / profile if out is None else out
    study, outcome = run_study(config, directory, overwrite=overwrite)
    page = write_report(study, outcome.failures)
    typer.echo(f"{len(outcome.computed)} tasks done, {len(outcome.skipped)} were done before")
    typer.echo(f"The report lies at {page}")
    if outcome.failures:
        name, reason = next(iter(outcome.failures.items()))
        raise StudyError(f"{len(outcome.failures)} tasks of the study could not be done, the first is {name}: {reason}")
