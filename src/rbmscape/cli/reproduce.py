"""`rbmscape reproduce`: from nothing to a study with runs, figures and a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rbmscape.cli.study import DryRunOption, OverwriteStudyOption, SchedulerOption, WorkersOption, carry_out

__all__ = ["reproduce"]


def reproduce(
    profile: Annotated[
        str,
        typer.Option(
            help="quick: minutes on two cores, M = 100, 500, 1200. laptop: the paper's four sizes and five replicas, "
            "40 epochs. paper: 100 epochs of 500 Gibbs steps, for a GPU. smoke: seconds, tiny models."
        ),
    ] = "quick",
    out: Annotated[
        Path | None, typer.Option(help="Directory of the study; studies/PROFILE by default.", show_default=False)
    ] = None,
    dry_run: DryRunOption = False,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    overwrite: OverwriteStudyOption = False,
) -> None:
    """Train sizes and replicas on MNIST, estimate likelihoods, draw figures and write report.html.

    Everything resumes: after Ctrl-C or a crash the same command goes on where it stood, and what is done is not done
    again.
    """
    from rbmscape.study.profiles import profile as named_profile

    config = named_profile(profile)
    directory = Path("studies") / profile if out is None else out
    carry_out(config, directory, dry_run=dry_run, workers=workers, scheduler=scheduler, overwrite=overwrite)
