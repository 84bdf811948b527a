"""`explore`: the page for what one has in Python, and inline in a notebook."""

from __future__ import annotations

import html
import os
from typing import TYPE_CHECKING

from rbmscape.errors import InputError
from rbmscape.explorer.catalogue import Catalogue, of_run, of_study, open_path
from rbmscape.explorer.server import FIRST_PORT, ExplorerServer
from rbmscape.model.rbm import RBM
from rbmscape.runs.run import Run

if TYPE_CHECKING:
    from rbmscape.study.study import Study

__all__ = ["Explorer", "explore"]


class Explorer:
    """A page that is being served; a notebook shows it inline.

    Attributes
    ----------
    url : its address with the token, for a browser on this machine
    """

    def __init__(self, server: ExplorerServer) -> None:
        self._server = server
        self.url = server.url

    def __repr__(self) -> str:
        return f"Explorer({self.url!r})"

    def _repr_html_(self) -> str:
        """The page in a frame."""
        return (
            f'<iframe src="{html.escape(self.url)}" title="rbmscape explorer" width="100%" height="720" '
            'style="border:0"></iframe>'
        )

    def close(self) -> None:
        """Stop serving; the address answers no longer."""
        self._server.close()


def explore(
    run: Run | Study | RBM | str | os.PathLike[str], *, host: str = "127.0.0.1", port: int = FIRST_PORT
) -> Explorer:
    """Serve the explorer of a run, a study or a model from this process, in the background.

    Parameters
    ----------
    run : a run, a study, a model, or the path of one; it is read and never written
    host : address to listen on; others than this machine's own see the page only where that is changed
    port : the first port to try; the next free one is taken where it is in use

    Returns
    -------
    Explorer, with its ``url``; as the last value of a notebook's cell it shows the page inline

    Raises
    ------
    InputError : something else was given, or the address cannot be listened on
    RunNotFoundError : nothing is at the path
    """
    server = ExplorerServer(_catalogue(run), host, port, framed=True)
    server.start()
    return Explorer(server)


def _catalogue(opened: object) -> Catalogue:
    from rbmscape.study.study import Study

    if isinstance(opened, (str, os.PathLike)):
        return open_path(opened)
    if isinstance(opened, Run):
        return of_run(opened)
    if isinstance(opened, RBM):
        return Catalogue("model", lambda: {"model": opened})
    if isinstance(opened, Study):
        return of_study(opened)
    raise InputError(
        f"explore needs a run, a study, a model or a path, found {type(opened).__name__}; pass rbmscape.Run.open(path)"
    )
