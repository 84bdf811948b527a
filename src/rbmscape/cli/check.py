"""``rbmscape check DIRECTORY``: whether a run or a study is what was written."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["check"]


def check(
    directory: Annotated[str, typer.Argument(help="Directory of a run or of a study.")],
) -> None:
    """Compare all files with their digests, their names and the files beside them; ends with 1 where one is damaged."""
    from rbmscape.cli.main import FAILED
    from rbmscape.study.check import check as check_directory

    findings = check_directory(directory)
    for finding in findings:
        typer.echo(f"{'note' if finding.harmless else 'damaged'}: {finding.words}")
    damaged = sum(not finding.harmless for finding in findings)
    if damaged:
        typer.echo(f"{directory}: {damaged} of its files {'is' if damaged == 1 else 'are'} damaged or missing")
        raise typer.Exit(FAILED)
    typer.echo(f"{directory}: all files are what was written")
