"""How long calls show where they stand: one argument ``progress`` for all of them, and one protocol behind it.

``progress=True`` shows a bar on a terminal, ``False`` nothing; any object with the methods of `Reporter` can watch
instead.  Functions of the package open a scope and count in it::

    with reporting(progress, "Gibbs steps", n_chains * n_steps) as advance:
        advance(n_chains)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeAlias, runtime_checkable

from rbmscape.errors import InputError

__all__ = ["Advance", "ConsoleBar", "Progress", "Reporter", "SilentReporter", "make_reporter", "reporting", "silent"]


class Advance(Protocol):
    """What inner loops call: so many more are done, and what else they know."""

    def __call__(self, done: int, status: Any = None, /) -> None:
        """See `Reporter.advance`."""


@runtime_checkable
class Reporter(Protocol):
    """Watches a long call; called from its inner loop, so it must be quick."""

    def start(self, what: str, total: int | None) -> None:
        """A call begins: what it counts, and how many there will be, or None where that is not known beforehand."""

    def advance(self, done: int, status: Any = None) -> None:
        """So many more are done.

        ``status`` is what the call knows beyond the number, or None: a training gives its
        `rbmscape.training.progress.TrainingStatus`.
        """

    def stop(self) -> None:
        """The call has ended, for whatever reason."""


Progress: TypeAlias = bool | Reporter


def silent(done: int, status: Any = None, /) -> None:
    """Count nothing."""


class SilentReporter:
    """Shows nothing."""

    def start(self, what: str, total: int | None) -> None:
        """See `Reporter.start`."""

    def advance(self, done: int, status: Any = None) -> None:
        """See `Reporter.advance`."""

    def stop(self) -> None:
        """See `Reporter.stop`."""


class ConsoleBar:
    """A Rich bar on stderr that vanishes when the call is done; nothing where stderr is no terminal."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None

    def start(self, what: str, total: int | None) -> None:
        """See `Reporter.start`."""
        from rich.console import Console
        from rich.progress import Progress as RichProgress

        console = Console(stderr=True)
        shown = console.is_terminal or console.is_jupyter
        self._bar = RichProgress(console=console, transient=True, disable=not shown)
        self._bar.start()
        self._task = self._bar.add_task(what, total=total)

    def advance(self, done: int, status: Any = None) -> None:  # noqa: ARG002 - a bar shows the number alone
        """See `Reporter.advance`."""
        self._bar.advance(self._task, done)

    def stop(self) -> None:
        """See `Reporter.stop`."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def make_reporter(progress: Progress) -> Reporter:
    """A bar for True, nothing for False, the given reporter otherwise.

    Raises
    ------
    InputError : neither a bool nor an object with the methods of `Reporter`
    """
    if isinstance(progress, bool):
        return ConsoleBar() if progress else SilentReporter()
    if not isinstance(progress, Reporter):
        raise InputError(
            f"progress must be True, False or an object with start, advance and stop, found {progress!r}; "
            "see rbmscape.progress.Reporter"
        )
    return progress


@contextmanager
def reporting(progress: Progress, what: str, total: int | None = None) -> Iterator[Advance]:
    """Scope of one long call: the reporter is started, its ``advance`` is given, and it is stopped in any case.

    Raises
    ------
    InputError : as `make_reporter`
    """
    reporter = make_reporter(progress)
    reporter.start(what, total)
    try:
        yield reporter.advance
    finally:
        reporter.stop()
