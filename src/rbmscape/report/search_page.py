"""The pages of a search: the table of all candidates, and the report of the winner beside its run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rbmscape
from rbmscape.errors import RbmscapeError
from rbmscape.files import write_text
from rbmscape.report.build import report_environment
from rbmscape.study.search import rungs_of

if TYPE_CHECKING:
    from rbmscape.likelihood.baselines import Baselines
    from rbmscape.study.search import Search

__all__ = ["write_search_report"]


def write_search_report(found: Search) -> Path:
    """Write ``report.html`` with the table of candidates and, where there is a winner, ``best/report.html``.

    Returns
    -------
    Path of the table

    Raises
    ------
    DiskError : a file cannot be written
    """
    dataset = found.config.study().data.load()
    facts: dict[str, Any] = {
        "found": found,
        "config": found.config,
        "names": list(found.config.search),
        "rungs": rungs_of(found.config),
        "best": found.winner,
        "data": dataset,
        "baselines": _baselines(found),
        "version": rbmscape.__version__,
    }
    template = report_environment().get_template("search.html.j2")
    if found.winner is not None:
        run = found.best
        cards = [run._repr_html_(), run.load()._repr_html_()]
        values = run.config.model_dump(mode="json", exclude={"checkpoint_epochs"})
        page = template.render(**facts, is_winner=True, run=run, cards=cards, recipe=values)
        write_text(found.directory / "best" / "report.html", page)
    target = found.directory / "report.html"
    write_text(target, template.render(**facts, is_winner=False))
    return target


def _baselines(found: Search) -> Baselines | None:
    """Independent units and a mixture, fitted to the same rows as the candidates, on the held-out ones."""
    from rbmscape.likelihood.baselines import baselines

    try:
        return baselines(found.config.study().data.load(), seed=found.config.seed)
    except RbmscapeError:
        return None
