"""How long calls show where they stand: one argument ``progress`` for all of them, and one protocol behind it.

``progress=True`` shows a bar on a terminal, ``False`` nothing; any object with the methods of `Reporter` can watch
instead.  Functions of the package open a scope and count in it::

    with reporting(progress, "Gibbs steps", n_chains * n_steps) as advance:
        advance(n_chains)

A call that learns only on its way how many there will be says so with the status `AtMost`; one that has nothing to
count for a while advances by 0, so that whoever watches knows that it lives.
"""

from __future__ import annotations

import io
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from importlib import import_module
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

from rbmscape.checks import shown
from rbmscape.errors import InputError

__all__ = [
    "LONG",
    "Advance",
    "AtMost",
    "ConsoleBar",
    "NotebookOutput",
    "Pace",
    "Progress",
    "Reporter",
    "SilentReporter",
    "duration",
    "make_reporter",
    "reporting",
    "silent",
]

LONG: Final = 60.0
"""Seconds; what takes more is announced, and says as often where it stands."""
_MEASURED: Final = 2.0
"""Seconds of counted work from which a pace is taken."""
_BETWEEN_FRAMES: Final = 0.2
"""Seconds between drawings below a notebook's cell, at least."""


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


@dataclass(frozen=True, slots=True)
class AtMost:
    """Status of an advance: from here on there will be so many more, or fewer where fewer suffice."""

    more: int


class Pace:
    """How fast a call advances, from its own first seconds of counted work, and what follows for its end.

    Parameters
    ----------
    total : how many there will be, None where that is not known yet
    clock : in seconds
    """

    def __init__(self, total: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self.total, self.done, self.is_bound = clock, total, 0, False
        self.began = clock()
        self._since: float | None = None
        self._uncounted = 0

    def advance(self, done: int, status: Any = None) -> None:
        """So many more are done; the first of them, with what is loaded and compiled for them, give no pace."""
        if isinstance(status, AtMost):
            self.total, self.is_bound, self._since = self.done + done + status.more, True, None
        elif done and self._since is None:
            self._since, self._uncounted = self._clock(), self.done + done
        self.done += done

    @property
    def elapsed(self) -> float:
        """Seconds since the call began."""
        return self._clock() - self.began

    @property
    def left(self) -> float:
        """Seconds until all is done; NaN where the total or the pace are not known yet."""
        if self.total is None or self._since is None:
            return math.nan
        measured, counted = self._clock() - self._since, self.done - self._uncounted
        if counted <= 0 or measured < _MEASURED:
            return math.nan
        return max(0, self.total - self.done) * measured / counted


class NotebookOutput:
    """One output below a notebook's cell that is drawn again in its place.

    It has the methods of `rich.live.Live` that displays here use, and needs no widgets, which Rich's does.
    """

    def __init__(self) -> None:
        self._handle: Any = None
        self._shown = -_BETWEEN_FRAMES

    def update(self, renderable: Any, *, refresh: bool = False) -> None:
        """Draw anything that Rich can draw; five times a second at most, unless ``refresh``."""
        if refresh or time.monotonic() - self._shown >= _BETWEEN_FRAMES:
            self._shown = time.monotonic()
            self._draw(_as_text(renderable))

    def clear(self) -> None:
        """Leave nothing there."""
        if self._handle is not None:
            self._draw("")

    def stop(self) -> None:
        """Nothing: what was drawn last stays."""

    def _draw(self, text: str) -> None:
        shown = {"text/plain": text}
        if text:
            shown["text/html"] = f"<pre style='line-height:normal'>{escape(text)}</pre>"
        if self._handle is None:
            self._handle = import_module("IPython.display").display(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)


def _as_text(renderable: Any) -> str:
    from rich.console import Console

    text = io.StringIO()
    Console(file=text, width=100, force_jupyter=False, color_system=None).print(renderable)
    return text.getvalue().rstrip()


class ConsoleBar:
    """A bar on stderr, or below a notebook's cell, with the time left that vanishes when the call is done.

    Where there is neither, nothing of a quick call; one that will take more than a minute says so in a line as
    soon as its pace is known, and every minute where it stands.

    Parameters
    ----------
    clock : in seconds
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._bar: Any = None
        self._task: Any = None
        self._notebook: NotebookOutput | None = None

    def start(self, what: str, total: int | None) -> None:
        """See `Reporter.start`."""
        from rich.console import Console
        from rich.progress import Progress as RichProgress

        console = Console(stderr=True)
        self._shown = console.is_terminal or console.is_jupyter
        self._what, self._pace, self._told = what, Pace(total, self._clock), -math.inf
        self._notebook = NotebookOutput() if console.is_jupyter else None
        self._bar = RichProgress(console=console, transient=True, disable=not console.is_terminal)
        self._bar.start()
        self._task = self._bar.add_task(what, total=total)

    def advance(self, done: int, status: Any = None) -> None:
        """See `Reporter.advance`."""
        self._pace.advance(done, status)
        if self._shown:
            self._bar.update(self._task, completed=self._pace.done, total=self._pace.total)
            if self._notebook is not None:
                self._notebook.update(self._bar)
        elif self._clock() - self._told > LONG:
            self._say()

    def _say(self) -> None:
        """A line where the call is a long one."""
        elapsed, left = self._pace.elapsed, self._pace.left
        if not elapsed + (0.0 if math.isnan(left) else left) > LONG:
            return
        self._told = self._clock()
        bound = "at most " if self._pace.is_bound else ""
        rest = f"; {bound}about {duration(left)} left at this pace" if left == left else ""
        sys.stderr.write(f"{self._what}: {duration(elapsed)} so far{rest}\n")

    def stop(self) -> None:
        """See `Reporter.stop`."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        if self._notebook is not None:
            self._notebook.clear()


def duration(seconds: float) -> str:
    """In seconds, minutes or hours, as precise as an estimate is."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


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
            f"progress must be True, False or an object with start, advance and stop, found {shown(progress)}; "
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
