"""One run or one model that is looked at: its checkpoints, prepared for the views in the background."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rbmscape.errors import InputError, RbmscapeError
from rbmscape.explorer.registry import all_views
from rbmscape.explorer.scene import Points, Scene, gibbs_samples, or_none, shown_points
from rbmscape.model.rbm import RBM
from rbmscape.runs.run import Run
from rbmscape.runs.samples import model_samples, run_samples
from rbmscape.sampling.samples import Samples

if TYPE_CHECKING:
    import xarray as xr

    from rbmscape.data.dataset import Dataset
    from rbmscape.explorer.gauge import Gauge

__all__ = ["NotReadyError", "StoppedError", "Stopper", "Subject"]

SECONDS_BETWEEN_LOOKS = 1.0
SECONDS_TO_END = 30.0
N_CHAINS = 200
BUDGET = 2e11  # multiply-adds: what takes a minute of one core, where a study takes five


class StoppedError(RbmscapeError):
    """Nobody waits for the result any more."""


class NotReadyError(RbmscapeError):
    """What is asked for is still being computed; ask again."""


class Stopper:
    """A `rbmscape.progress.Reporter` that ends a long call once an event is set."""

    def __init__(self, event: threading.Event) -> None:
        self._event = event

    def start(self, what: str, total: int | None) -> None:
        """See `rbmscape.progress.Reporter.start`."""

    def advance(self, done: int, status: Any = None) -> None:
        """Raise StoppedError once the event is set."""
        del done, status
        if self._event.is_set():
            raise StoppedError("the explorer was closed")

    def stop(self) -> None:
        """See `rbmscape.progress.Reporter.stop`."""


class Subject:
    """A run or a model.

    Parameters
    ----------
    opened : a run, or a model
    name : what the page calls it

    Attributes
    ----------
    name : the same
    run : None for a model
    generation : grows whenever something prepared is replaced or added
    problem : what went wrong in the preparation, in a sentence; empty where nothing did
    """

    def __init__(self, opened: Run | RBM, name: str) -> None:
        from rbmscape.explorer.gauge import Gauge

        self.name = name
        self.run = opened if isinstance(opened, Run) else None
        self._model = opened if isinstance(opened, RBM) else None
        self.gauge: Gauge = Gauge(self.load)
        self.generation = 0
        self.problem = ""
        self.stage = "waiting"
        self._frames: dict[int, dict[str, xr.Dataset]] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._data: tuple[Dataset | None, Points | None, str] | None = None
        self._samples: dict[int, Samples] = {}

    @property
    def updates(self) -> tuple[int, ...]:
        """Checkpoints; a model has one, numbered 0."""
        return (0,) if self.run is None else self.run.updates

    def load(self, update: int) -> RBM:
        """The model of a checkpoint, with the parameters as they were trained."""
        if self._model is not None:
            return self._model
        assert self.run is not None
        return self.run.load(update, averaged=False)

    def resolve(self, update: int) -> int:
        """The checkpoint itself; the last for -1.

        Raises
        ------
        InputError : there is none of that number
        """
        updates = self.updates
        if not updates:
            raise NotReadyError("no checkpoint has been written yet")
        if update == -1:
            return updates[-1]
        if update not in updates:
            near = min(updates, key=lambda known: abs(known - update))
            raise InputError(f"there is no checkpoint at update {update}; the nearest is {near}")
        return update

    @property
    def n_visible(self) -> int:
        """Number N of visible units."""
        return self._model.n_visible if self._model is not None else int(self._run_data["n_visible"])

    @property
    def n_hidden(self) -> int:
        """Number M of hidden units."""
        if self._model is not None:
            return self._model.n_hidden
        assert self.run is not None
        return int(self.run.config.n_hidden)

    @property
    def _run_data(self) -> dict[str, Any]:
        return {} if self.run is None else self.run.data

    @property
    def image_shape(self) -> tuple[int, int] | None:
        """(height, width) of the data, or None."""
        shape = self._run_data.get("image_shape")
        return None if shape is None else (int(shape[0]), int(shape[1]))

    def data(self) -> tuple[Dataset | None, Points | None]:
        """The run's data and those of them that are shown; None where they cannot be had."""
        with self._lock:
            if self._data is None:
                found, why = or_none(self.run.dataset) if self.run is not None else (None, "a model has no data")
                self._data = found, shown_points(found), why
            return self._data[:2]

    @property
    def no_data(self) -> str:
        """Why there are no data; empty where there are, or where nobody has looked yet."""
        return "" if self._data is None else self._data[2]

    @property
    def prepared(self) -> tuple[int, ...]:
        """Checkpoints that every view can show, rising."""
        return tuple(sorted(self._frames))

    def frame(self, view: str, update: int) -> xr.Dataset:
        """What a view keeps of a checkpoint.

        Raises
        ------
        NotReadyError : it is still being computed
        """
        self.begin()
        resolved = self.resolve(update)
        parts = self._frames.get(resolved)
        if parts is None:
            done, total = len(self._frames), len(self.updates)
            raise NotReadyError(self.problem or f"update {resolved} is being prepared ({done} of {total} are ready)")
        return parts[view]

    def samples_at(self, update: int) -> Samples:
        """The best samples of a checkpoint that there are: in equilibrium, else of plain Gibbs chains."""
        update = self.resolve(update)
        found = self._samples.get(update)
        if found is None:
            found = self._samples.setdefault(update, gibbs_samples(self.load(update)))
        return found

    def begin(self) -> None:
        """Prepare the views in the background, if that has not begun."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._prepare, name=f"explorer {self.name}", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Stop preparing, and wait until that is so: native code must not run while the process ends."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(SECONDS_TO_END)

    def scene(self, update: int) -> Scene:
        """All that is known of a checkpoint."""
        dataset, points = self.data()
        std = None if self.run is None else self.run.config.weight_std or None
        samples = self.samples_at(update)
        return Scene(update, self.load(update), self.gauge.at(update), samples, points, dataset, std)

    def _prepare(self) -> None:
        """Views first with quick samples, from the last checkpoint back; then again with those in equilibrium."""
        try:
            self._pass("checkpoints", lambda update: update in self._frames)
            while not self._finished() and not self._stop.wait(SECONDS_BETWEEN_LOOKS):
                self._pass("new checkpoints", lambda update: update in self._frames)
            self.stage = "drawing equilibrium samples"
            if not self._stop.is_set() and self._equilibrate():
                began = set[int]()
                self._pass("checkpoints with equilibrium samples", lambda update: update in began, began.add)
            self.stage = "ready"
        except (RbmscapeError, OSError) as error:
            self.problem = str(error)
            self.generation += 1

    def _finished(self) -> bool:
        return self.run is None or self.run.is_complete

    def _pass(self, stage: str, done: Callable[[int], bool], note: Callable[[int], None] = lambda _: None) -> None:
        self.stage = f"preparing {stage}"
        for update in reversed(self.updates):
            if self._stop.is_set():
                return
            if not done(update):
                scene = self.scene(update)
                before = self._frames.get(update, {})
                self._frames[update] = {
                    name: before[name] if name in before and not view.uses_samples else view.prepare(scene)
                    for name, view in all_views().items()
                    if view.prepare is not None
                }
                self.generation += 1
                note(update)
                time.sleep(0.005)  # those who wait for an answer come first

    def _equilibrate(self) -> bool:
        """Replace quick samples by those of tempering; they come with their verdict."""
        watch = Stopper(self._stop)
        try:
            if self.run is None:
                assert self._model is not None
                self._samples = {0: model_samples(self._model, progress=watch, n_chains=N_CHAINS, budget=BUDGET).at()}
            else:
                found = run_samples(self.run, progress=watch, n_chains=N_CHAINS, budget=BUDGET)
                self._samples = {update: found.at(update) for update in found.updates}
        except StoppedError:
            return False
        except RbmscapeError as error:
            self.problem = f"there are no equilibrium samples: {error}"
            return False
        return True
