"""Frames of one subject, made in the background: first what somebody waits for, then the view that was looked at last,
then the others; and all of them again once there are samples in equilibrium.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from rbmscape.errors import RbmscapeError
from rbmscape.explorer.cache import give_back_memory
from rbmscape.explorer.drawing import Drawing, StoppedError
from rbmscape.explorer.frames import Frames, Key
from rbmscape.explorer.registry import all_views

if TYPE_CHECKING:
    import xarray as xr

    from rbmscape.explorer.scene import Scene
    from rbmscape.model.rbm import RBM
    from rbmscape.runs.run import Run
    from rbmscape.runs.samples import RunSamples

__all__ = ["Preparation", "Prepared"]

SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_TO_END = 30.0
SECONDS_TO_YIELD = 2.0


class Prepared(Protocol):
    """What must be known of what is prepared, see `rbmscape.explorer.subject.Subject`."""

    name: str
    opened: Run | RBM
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
    """One thread, which begins when it is asked to.

    Parameters
    ----------
    subject : what is prepared

    Attributes
    ----------
    frames : what was made
    generation : grows whenever all checkpoints of a view are prepared, and with better samples
    stage : what is going on, in words; ``ready`` at the end
    problem : what went wrong, in a sentence; empty where nothing did
    """

    def __init__(self, subject: Prepared) -> None:
        self._subject = subject
        self._views = {name: view for name, view in all_views().items() if view.prepare is not None}
        self.frames = Frames([name for name, view in self._views.items() if view.uses_all])
        self.generation = 0
        self.stage = "waiting"
        self.problem = ""
        self._whole: dict[str, int] = {}
        self._looked_at = next(iter(self._views))
        self._drawing: Drawing | None = None
        self._has_drawn = False
        self._n_asked = 0
        self._begun = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def warm(self) -> None:
        """Load what the first page needs, before it is asked for."""
        with self._lock:
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(target=self._work, name=f"explorer {self._subject.name}", daemon=True)
                self._thread.start()

    def begin(self) -> None:
        """Prepare all checkpoints."""
        self._begun.set()
        self.warm()

    def asked(self, more: int) -> None:
        """Count questions that are being answered."""
        with self._lock:
            self._n_asked += more

    def close(self) -> None:
        """Stop, and wait until that is so."""
        self._stop.set()
        self.frames.close()
        if self._thread is not None:
            self._thread.join(SECONDS_TO_END)

    @property
    def prepared(self) -> dict[str, list[int]]:
        """Checkpoints that are made, by view."""
        return {name: self.frames.made(name) for name in self._views}

    def _work(self) -> None:
        try:
            self._first()
            while not self._stop.is_set():
                wish = self.frames.wish()
                if wish is not None:
                    self._looked_at = wish[0]
                    self.frames.put(wish, self._made(wish))
                elif not self._begun.is_set() or not self._rest():
                    self.frames.wish(SECONDS_BETWEEN_LOOKS)
        finally:
            if self._drawing is not None:
                self._drawing.close()

    def _first(self) -> None:
        """Load what the first page needs, and when it stands what the others need."""
        with suppress(RbmscapeError, OSError):
            self._subject.data()
            while not self._begun.wait(SECONDS_BETWEEN_LOOKS) and not self._stop.is_set():
                pass
            self._give_way()
            self._subject.samples_at(-1)

    def _made(self, key: Key) -> xr.Dataset | Exception:
        """One frame, or why it could not be made."""
        prepare = self._views[key[0]].prepare
        assert prepare is not None
        try:
            return prepare(self._subject.scene(key[1]))
        except Exception as error:  # noqa: BLE001 - whoever waits is told, and the thread must go on
            return error

    def _rest(self) -> bool:
        """Make one of what is missing, or whatever comes next; False where there is nothing to do now."""
        try:
            key = self._next()
            if key is None:
                return self._after()
            self._give_way()
            if self.frames.wish() is None and not self._stop.is_set():
                made = self._made(key)
                self.frames.put(key, made)
                self.problem = str(made) if isinstance(made, Exception) else self.problem
            return True
        except (RbmscapeError, OSError) as error:
            self.problem = str(error)
            return False

    def _next(self) -> Key | None:
        """The last checkpoint that a view lacks: of the one that is looked at, then of all others."""
        updates = self._subject.updates[::-1]
        missing = {name: self.frames.missing(name, updates) for name in self._views}
        for name in self._views:
            if not missing[name] and self._whole.get(name, 0) != len(updates):
                self._whole[name] = len(updates)
                self.generation += 1
                give_back_memory()
        if missing[self._looked_at]:
            key = self._looked_at, missing[self._looked_at][0]
        else:
            left = [(updates.index(found[0]), name) for name, found in missing.items() if found]
            if not left:
                return None
            place, name = min(left)
            key = name, updates[place]
        if not self._has_drawn:
            self.stage = "preparing checkpoints"
        return key

    def _give_way(self) -> None:
        """Let questions be answered first."""
        end = time.monotonic() + SECONDS_TO_YIELD
        while self._n_asked and self.frames.wish() is None and time.monotonic() < end and not self._stop.is_set():
            time.sleep(0.005)

    def _after(self) -> bool:
        """Everything is made: draw samples in equilibrium, and make with them what shows samples."""
        if self._has_drawn:
            if self.stage != "ready":
                self.stage = "ready"
                self.generation += 1
            return False
        if not self._subject.is_finished:
            self.stage = "waiting for checkpoints"
            return False
        try:
            if self._drawing is None:
                self.stage = "drawing equilibrium samples"
                self._drawing = Drawing(self._subject.opened, self._stop)
            found = self._drawing.poll()
        except StoppedError:
            return False
        except Exception as error:  # noqa: BLE001 - the views have plain chains, and the page says why
            self.problem = f"there are no equilibrium samples: {error}"
            self._has_drawn, self.stage = True, "ready"
            self.generation += 1
            return False
        if found is None:
            return False
        self._subject.equilibrium, self._has_drawn = found, True
        sampled = [name for name, view in self._views.items() if view.uses_samples]
        self.frames.outdate(sampled)
        self._whole = {name: count for name, count in self._whole.items() if name not in sampled}
        self.stage = "preparing checkpoints with equilibrium samples"
        self.generation += 1
        return True
