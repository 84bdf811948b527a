"""The display of training: a live panel on a terminal or in a notebook, one line a checkpoint elsewhere."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import rbmscape.progress
from rbmscape.progress import NotebookOutput, Progress, Reporter
from rbmscape.training.progress import TrainingStatus

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

__all__ = ["TrainingDisplay", "checkpoint_line", "clock", "make_reporter", "sparkline"]

SECONDS_BETWEEN_FRAMES: Final = 0.2
SECONDS_OF_SPEED: Final = 10.0
_BARS: Final = "▁▂▃▄▅▆▇█"
_HISTORY: Final = 40


def make_reporter(progress: Progress, title: str = "") -> Reporter:
    """The training display for True, with a title where there is one, else as `rbmscape.progress.make_reporter`."""
    return TrainingDisplay(title) if progress is True else rbmscape.progress.make_reporter(progress)


class TrainingDisplay:
    """Epoch, speed, remaining time, likelihood proxy and largest singular values while training runs.

    Parameters
    ----------
    title : what is trained, shown above the bar
    console : a Rich console; by default one on stderr
    """

    def __init__(self, title: str = "", console: Console | None = None) -> None:
        from rich.console import Console

        self._title = title
        self._console = console or Console(stderr=True)
        self._live: Any = None
        self._shown = -math.inf
        self._last: TrainingStatus | None = None
        self._recent: deque[tuple[float, int]] = deque()
        self._history: list[float] = []
        self._about: list[tuple[str, str]] = []

    def about(self, facts: Iterable[tuple[str, str]]) -> None:
        """Names and values that are shown before training begins."""
        self._about = list(facts)

    def start(self, what: str, total: int | None) -> None:  # noqa: ARG002 - each status tells both
        """See `rbmscape.progress.Reporter.start`."""
        if self._title and not (self._console.is_terminal or self._console.is_jupyter):
            self._line(self._title)
        self.tell(self._about)

    def advance(self, done: int, status: Any = None) -> None:  # noqa: ARG002 - the status tells how many are done
        """See `rbmscape.progress.Reporter.advance`."""
        if not isinstance(status, TrainingStatus):
            return
        if self._last is None:
            self._begin(status)
        self._last = status
        if status.at_checkpoint:
            self._checkpoint(status)
        elif time.monotonic() - self._shown > SECONDS_BETWEEN_FRAMES:
            self._show(status)

    def _begin(self, status: TrainingStatus) -> None:
        self._rate(status)
        if self._console.is_terminal:
            from rich.live import Live

            self._live = Live(self._panel(status), console=self._console, auto_refresh=False)
            self._live.start()
        elif self._console.is_jupyter:
            self._live = NotebookOutput()

    def _checkpoint(self, status: TrainingStatus) -> None:
        proxy = status.metrics.get("log_likelihood", status.metrics.get("pseudo_log_likelihood"))
        if proxy is not None:
            self._history = [*self._history, float(proxy)][-_HISTORY:]
        if self._live is None:
            self._line(checkpoint_line(status, self._rate(status)))
        else:
            self._show(status)

    def stop(self) -> None:
        """See `rbmscape.progress.Reporter.stop`."""
        if self._live is None:
            return
        if self._last is not None:
            self._show(self._last)
        self._live.stop()
        self._live = None

    def tell(self, facts: Iterable[tuple[str, str]]) -> None:
        """Names and values, a line each, below what was shown."""
        for name, value in facts:
            self._line(f"{name}: {value}")

    def _line(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, markup=False, highlight=False)

    def _show(self, status: TrainingStatus) -> None:
        self._shown = time.monotonic()
        if self._live is not None:
            self._live.update(self._panel(status), refresh=True)

    def _rate(self, status: TrainingStatus) -> float:
        """Updates a second over the last seconds, so that compiling at the start does not count; NaN at first."""
        now = time.monotonic()
        self._recent.append((now, status.update))
        while len(self._recent) > 2 and now - self._recent[0][0] > SECONDS_OF_SPEED:
            self._recent.popleft()
        then, update = self._recent[0]
        return (status.update - update) / (now - then) if now > then and status.update > update else math.nan

    def _panel(self, status: TrainingStatus) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        rate = self._rate(status)
        head = Table.grid(padding=(0, 2))
        head.add_row(
            Text(f"epoch {status.epoch:.1f}/{status.epochs}", style="bold"),
            ProgressBar(total=max(1, status.total_updates), completed=status.update, width=30),
            Text(f"{100.0 * status.update / max(1, status.total_updates):3.0f} %"),
            Text(_speed(rate)),
            Text(_remaining(status, rate), style="cyan"),
        )
        facts = Table.grid(padding=(0, 2))
        for name, value in _facts(status.metrics, self._history):
            facts.add_row(Text(f"  {name}", style="dim"), Text(value))
        title = [Text(self._title, style="bold")] if self._title else []
        return Group(*title, head, facts)


def clock(seconds: float) -> str:
    """Hours, minutes and seconds; ``-:--:--`` where the time is unknown."""
    if not math.isfinite(seconds) or seconds < 0:
        return "-:--:--"
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def sparkline(values: list[float]) -> str:
    """One block a value, from the smallest to the largest; empty for fewer than two values."""
    finite = [value for value in values if math.isfinite(value)]
    if len(finite) < 2:
        return ""
    low, span = min(finite), max(finite) - min(finite)
    steps = (0 if span == 0.0 else round((value - low) / span * (len(_BARS) - 1)) for value in finite)
    return "".join(_BARS[step] for step in steps)


def checkpoint_line(status: TrainingStatus, rate: float) -> str:
    """One checkpoint in one line, for log files; ``rate`` is in updates a second."""
    facts = "  ".join(f"{name} {value}" for name, value in _facts(status.metrics, []))
    place = f"epoch {status.epoch:.2f}/{status.epochs}  update {status.update}/{status.total_updates}"
    return "  ".join(part for part in (place, _speed(rate), _remaining(status, rate), facts) if part)


def _speed(rate: float) -> str:
    return f"{rate:.0f} updates/s" if rate >= 10 else f"{rate:.2g} updates/s" if rate > 0 else ""


def _remaining(status: TrainingStatus, rate: float) -> str:
    left = status.total_updates - status.update
    if left <= 0:
        return "done"
    return f"{clock(left / rate)} left" if rate > 0 else ""


def _facts(metrics: dict[str, Any], history: list[float]) -> list[tuple[str, str]]:
    """Names and values of what the last checkpoint measured, as far as it is known."""
    known = {name: value for name, value in metrics.items() if value is not None}
    facts = []
    line = "  " + sparkline(history) if sparkline(history) else ""
    if "log_likelihood_train" in known:
        facts.append(("log-likelihood", f"{_both_likelihoods(known)} nats{line}"))
        line = ""
    elif "log_likelihood" in known:
        facts.append(("log-likelihood (online)", f"{known['log_likelihood']:.2f}{_errors(known)} nats{line}"))
        line = ""
    elif "log_likelihood_objection" in known:
        facts.append(("log-likelihood (online)", f"not known: {known['log_likelihood_objection']}"))
    if "pseudo_log_likelihood" in known:
        facts.append(("pseudo-log-likelihood", f"{known['pseudo_log_likelihood']:.2f} nats{line}"))
    if "reconstruction_error" in known:
        facts.append(("reconstruction error", f"{known['reconstruction_error']:.4f}"))
    if "free_energy_gap" in known:
        facts.append(("free-energy gap", f"{known['free_energy_gap']:+.2f}"))
    if known.get("singular_values"):
        facts.append(("singular values", " ".join(f"{value:.2f}" for value in known["singular_values"][:5])))
    if "verdict" in known:
        facts.append(("equilibrium", known["verdict"]))
    if "objection" in known:
        facts.append(("caution", known["objection"]))
    return facts


def _both_likelihoods(known: dict[str, Any]) -> str:
    """Of the held-out data, where there are any, and of the training data."""
    train = f"{known['log_likelihood_train']:.2f}"
    if "log_likelihood_test" not in known:
        return f"{train}{_errors(known)} (train)"
    return f"{known['log_likelihood_test']:.2f} (test), {train} (train){_errors(known)}"


def _errors(known: dict[str, Any]) -> str:
    """Errors of a log-likelihood: of ln Z, and of the scored rows as a sample of all that could be."""
    names = (("log_partition_stderr", "ln Z"), ("log_likelihood_row_stderr", "rows"))
    return "".join(f" ± {known[name]:.2f} ({of})" for name, of in names if name in known)
