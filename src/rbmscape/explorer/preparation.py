"""Frames of one subject, made in the background: first what somebody waits for, then modes and samples of the
checkpoints about the one that is looked at, the view that is looked at, the others, and the nearest checkpoints before
the farther ones; and all of them again once there are samples in equilibrium.

Two threads do it.  While one makes what is waited for, the other, which has a lower priority, helps with its parts.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from rbmscape.errors import RbmscapeError
from rbmscape.explorer.cache import give_back_memory, little_memory
from rbmscape.explorer.drawing import StoppedError, drawn
from rbmscape.explorer.encode import Sheet
from rbmscape.explorer.frames import Frames, Key
from rbmscape.explorer.registry import all_views
from rbmscape.explorer.scene import Scene

if TYPE_CHECKING:
    from rbmscape.explorer.gauge import Gauge
    from rbmscape.model.rbm import RBM
    from rbmscape.runs.run import Run
    from rbmscape.runs.samples import RunSamples

__all__ = ["Preparation", "Prepared"]

SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_TO_END = 30.0
SECONDS_TO_YIELD = 2.0
NICE = 10
MADE_BETWEEN_TRIMS = 16
SECONDS_OF_REST = 1.0
"""Without a wish, after which both threads make what nobody waits for."""
PARTS: dict[str, Callable[[Scene], object]] = {
    "modes of": lambda scene: scene.modes,
    "samples of": lambda scene: (scene.samples, scene.reference),
}
"""What most views need of a checkpoint, prepared as if it were a view; it is kept where it is made."""


class Prepared(Protocol):
    """What must be known of what is prepared, see `rbmscape.explorer.subject.Subject`."""

    name: str
    opened: Run | RBM
    gauge: Gauge
    equilibrium: RunSamples | None

    @property
    def updates(self) -> tuple[int, ...]:
        """Checkpoints."""

    @property
    def is_finished(self) -> bool:
        """Whether no checkpoint will be added."""

    def data(self) -> object:
        """The data, read once."""

    def samples_at(self, update: int) -> object:
        """Samples of a checkpoint, drawn once."""

    def scene(self, update: int) -> Scene:
        """All that is known of a checkpoint."""


class Preparation:
    """Two threads, which begin when they are asked to.

    Parameters
    ----------
    subject : what is prepared

    Attributes
    ----------
    frames : what was made
    generation : grows whenever all checkpoints of a view are prepared, and with better samples
    looked_at : view and update that somebody looked at last
    stage : what is going on, in words; ``ready`` at the end
    problem : what went wrong, in a sentence; empty where nothing did
    """

    def __init__(self, subject: Prepared) -> None:
        self._subject = subject
        self._views = {name: view for name, view in all_views().items() if view.prepare is not None}
        self.frames = Frames([name for name, view in self._views.items() if view.uses_all])
        self.generation = 0
        self.looked_at: Key = next(iter(self._views)), -1
        self.stage = "waiting"
        self.problem = ""
        self._whole: dict[str, int] = {}
        self._has_drawn = False
        self._n_made = 0
        self._begun = threading.Event()
        self._answered = threading.Event()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def warm(self) -> None:
        """Load what the first page needs, before it is asked for."""
        with self._lock:
            if self._threads or self._stop.is_set():
                return
            for work in (self._fill, self._answer):
                thread = threading.Thread(target=work, name=f"explorer {self._subject.name}", daemon=True)
                self._threads.append(thread)
                thread.start()

    def begin(self) -> None:
        """Prepare all checkpoints."""
        self._begun.set()
        self.warm()

    def answered(self) -> None:
        """Somebody has a picture, so that the rest may take the processor."""
        self._answered.set()

    def close(self) -> None:
        """Stop, and wait until that is so."""
        self._stop.set()
        self._answered.set()
        self.frames.close()
        for thread in self._threads:
            thread.join(SECONDS_TO_END)

    @property
    def prepared(self) -> dict[str, list[int]]:
        """Checkpoints that are made, by view."""
        return {name: self.frames.made(name) for name in self._views}

    def _answer(self) -> None:
        """Make what is waited for, and help with the rest while nobody moves."""
        last = time.monotonic()
        while not self._stop.is_set():
            wish = self.frames.wish()
            if wish is not None:
                self._make(wish)
                last = time.monotonic()
            elif not self._answered.is_set() or time.monotonic() < last + SECONDS_OF_REST or not self._rest():
                self._wait()

    def _fill(self) -> None:
        """Load what the first page needs, and when it stands make the rest, samples in equilibrium at the end."""
        if hasattr(os, "setpriority"):
            with suppress(OSError):
                usual = os.getpriority(os.PRIO_PROCESS, 0)
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), usual + NICE)
        with suppress(RbmscapeError, OSError):
            self._subject.data()
            while not self._begun.wait(SECONDS_BETWEEN_LOOKS) and not self._stop.is_set():
                pass
            self._answered.wait(SECONDS_TO_YIELD)
            self._answered.set()
            self._subject.samples_at(-1)
        while not self._stop.is_set():
            wish = self.frames.wish()
            if wish is not None:
                self._make(wish)
            elif not self._help() and not self._rest() and not self._after():
                self._wait()

    def _help(self) -> bool:
        """Make a part of what somebody waits for, or let it be made; False where nobody waits."""
        urgent = self.frames.waited_for()
        if urgent is None:
            return False
        part = self.frames.begin((name, urgent[1]) for name in reversed(PARTS))
        if part is not None:
            self._make(part)
        else:
            self.frames.pause(SECONDS_BETWEEN_LOOKS)
        return True

    def _wait(self) -> None:
        wish = self.frames.wish(SECONDS_BETWEEN_LOOKS)
        if wish is not None:
            self._make(wish)

    def _make(self, key: Key) -> None:
        """One frame, or why it could not be made."""
        self.frames.put(key, self._made(key))

    def _made(self, key: Key) -> Sheet | Exception:
        view, update = key
        try:
            scene = self._subject.scene(update)
            if view in PARTS:
                PARTS[view](scene)
                return Sheet({})
            prepare = self._views[view].prepare
            assert prepare is not None
            return prepare(scene)
        except Exception as error:  # noqa: BLE001 - whoever waits is told, and the thread must go on
            return error

    def _rest(self) -> bool:
        """Make one of what is missing; False where there is nothing to do now."""
        try:
            updates = self._near()
            self._count(len(updates))
            key = self.frames.begin(self._wanted(updates))
        except (RbmscapeError, OSError) as error:
            self.problem = str(error)
            return False
        if key is None:
            return False
        if not self._has_drawn:
            self.stage = "preparing checkpoints"
        made = self._made(key)
        self.frames.put(key, made)
        self._n_made += 1
        if self._n_made % MADE_BETWEEN_TRIMS == 0:
            give_back_memory()
        self.problem = str(made) if isinstance(made, Exception) else self.problem
        return True

    def _near(self) -> list[int]:
        """All checkpoints, those next to the one that is looked at first."""
        updates = self._subject.updates
        here = updates.index(self.looked_at[1]) if self.looked_at[1] in updates else len(updates) - 1
        return [updates[k] for k in sorted(range(len(updates)), key=lambda k: abs(k - here))]

    def _wanted(self, updates: list[int]) -> Iterator[Key]:
        """In the order in which they are made."""
        looked_at = self.looked_at[0]
        yield from ((part, update) for update in updates[: self._subject.gauge.room] for part in PARTS)
        if looked_at in self._views:
            yield from ((looked_at, update) for update in updates)
        yield from ((view, update) for update in updates for view in self._views)

    def _count(self, total: int) -> None:
        """A view is whole once all its checkpoints are made; pages draw it again then."""
        for name in self._views:
            if self._whole.get(name, 0) != total and self.frames.n_done(name) >= total:
                self._whole[name] = total
                self.generation += 1
                give_back_memory()

    def _after(self) -> bool:
        """Everything is made: draw samples in equilibrium, and let what shows samples be made with them."""
        if self._has_drawn:
            self._finish()
            return False
        try:
            is_finished = self._subject.is_finished
        except (RbmscapeError, OSError) as gone:
            self.problem, is_finished = str(gone), False
        if not is_finished:
            self.stage = "waiting for checkpoints"
            return False
        self.stage = "drawing equilibrium samples"
        self._subject.gauge.clear()
        give_back_memory()
        try:
            with little_memory():
                self._subject.equilibrium = drawn(self._subject.opened, self._stop)
        except StoppedError:
            return False
        except Exception as error:  # noqa: BLE001 - the views have plain chains, and the page says why
            self.problem = f"there are no equilibrium samples: {error}"
            self._has_drawn = True
            return True
        self._has_drawn = True
        sampled = [*PARTS, *(name for name, view in self._views.items() if view.uses_samples)]
        self.frames.outdate(sampled)
        self._whole = {name: count for name, count in self._whole.items() if name not in sampled}
        self.stage = "preparing checkpoints with equilibrium samples"
        self.generation += 1
        return True

    def _finish(self) -> None:
        if self.stage != "ready" and all(self._whole.get(name) for name in self._views):
            self.stage = "ready"
            self.generation += 1
