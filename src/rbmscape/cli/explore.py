"""``rbmscape explore [RUN|STUDY|MODEL]``: look at a model while it learns, in the browser."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["explore"]


def explore(
    path: Annotated[
        str | None,
        typer.Argument(help="Directory of a run or a study, or a model's file; without it a small model is trained."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port; the next free one is taken if it is in use.", min=0, max=65535)
    ] = 8765,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
) -> None:
    """Open a page with landscapes, symmetry breaking, modes, diffusion and training of a run, a study or a model.

    What is given is read and never written. Ctrl-C ends it.
    """
    import webbrowser
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from rbmscape.explorer.catalogue import open_path
    from rbmscape.explorer.live import live_catalogue
    from rbmscape.explorer.server import ExplorerServer

    with TemporaryDirectory(prefix="rbmscape-explore-", ignore_cleanup_errors=True) as scratch:
        catalogue = live_catalogue(Path(scratch)) if path is None else open_path(path)
        server = ExplorerServer(catalogue, host, port)
        if port and server.guard.port != port:
            typer.echo(f"port {port} is in use, took {server.guard.port}", err=True)
        typer.echo(server.url)
        if browser:
            webbrowser.open(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            typer.echo("the explorer has ended", err=True)
        finally:
            server.server_close()
            catalogue.close()
