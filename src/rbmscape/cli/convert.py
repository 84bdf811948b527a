"""``rbmscape convert``: models of other tools into ours, and ours into theirs."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from rbmscape.cli.options import OverwriteOption

__all__ = ["convert"]


def convert(
    source: Annotated[
        str,
        typer.Argument(
            help="A model's file of rbms, RestrictedBoltzmannMachines.jl or PyTorch, .npz, .jld, or a run's directory."
        ),
    ],
    out: Annotated[
        str,
        typer.Argument(
            help="File to write, its format by its ending; a training without --update and an OUT without an ending "
            "become a run's directory."
        ),
    ],
    to: Annotated[
        str | None, typer.Option("--to", help="Format of OUT: rbmscape, rbms, julia, npz or pytorch.", metavar="FORMAT")
    ] = None,
    update: Annotated[int | None, typer.Option(help="Only this update of a training; -1 is the last.", min=-1)] = None,
    data: Annotated[
        str | None, typer.Option(help="What a training was trained on, as `train` takes it.", metavar="DATA")
    ] = None,
    spins: Annotated[bool, typer.Option("--spins", help="The parameters are those of units -1 and 1.")] = False,
    transpose: Annotated[
        bool | None,
        typer.Option("--transpose/--no-transpose", help="The weights have one row a hidden (a visible) unit."),
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Read a model of another tool, or write one for it; nothing in a file is executed."""
    from rbmscape.data.load import load_dataset
    from rbmscape.interop.convert import read_model, write_model
    from rbmscape.runs.run import Run

    target = Path(out)
    as_run = to is None and not target.suffix and update is None
    found = read_model(
        source,
        update=update,
        states="spins" if spins else "bits",
        transpose=transpose,
        dataset=None if data is None else load_dataset(data),
        directory=target if as_run else None,
        overwrite=overwrite,
        progress=True,
    )
    if not as_run:
        write_model(found, target, to, overwrite=overwrite)
    typer.echo(repr(found))
    if isinstance(found, Run) and as_run:
        typer.echo(f"{len(found.updates)} checkpoints in {target}; go on with rbmscape analyze {quote(str(target))}")
    else:
        typer.echo(str(target))
