"""One run or one model that is looked at: its checkpoints, their samples, and the data."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from rbmscape.brief import printable
from rbmscape.diffusion.reference import Reference, reference_point
from rbmscape.errors import InputError
from rbmscape.explorer.cache import Cache
from rbmscape.explorer.encode import Sheet
from rbmscape.explorer.frames import NotReadyError
from rbmscape.explorer.gauge import Gauge
from rbmscape.explorer.preparation import Preparation
from rbmscape.explorer.scene import Scene, Shown, gibbs_samples
from rbmscape.model.rbm import RBM
from rbmscape.runs.run import Run
from rbmscape.runs.samples import RunSamples
from rbmscape.sampling.samples import Samples

if TYPE_CHECKING:
    from rbmscape.data.dataset import Dataset

__all__ = ["Subject"]

SECONDS_TO_WAIT = 5.0
MOST_NAMES = 60
SAMPLES_BYTES = 32_000_000
REFERENCES_BYTES = 8_000_000


class Subject:
    """A run or a model.

    Parameters
    ----------
    opened : a run, or a model
    name : what the page calls it

    Attributes
    ----------
    name, opened : the same
    run : None for a model
    preparation : makes the views' frames in the background
    equilibrium : samples by replica exchange; None as long as there are none
    """

    def __init__(self, opened: Run | RBM, name: str) -> None:
        self.name = name
        self.opened = opened
        self.run = opened if isinstance(opened, Run) else None
        self.gauge = Gauge(self.load)
        self.equilibrium: RunSamples | None = None
        self.preparation = Preparation(self)
        self._samples: Cache[Samples] = Cache(SAMPLES_BYTES, _size)
        self._references: Cache[Reference] = Cache(REFERENCES_BYTES, lambda one: one.m.nbytes + one.n.nbytes)
        self._data: Shown | None = None
        self._lock = threading.Lock()

    @property
    def updates(self) -> tuple[int, ...]:
        """Checkpoints; a model has one, numbered 0."""
        return (0,) if self.run is None else self.run.updates

    @property
    def is_finished(self) -> bool:
        """Whether no checkpoint will be added."""
        return self.run is None or self.run.is_complete

    def load(self, update: int) -> RBM:
        """The model of a checkpoint, with the parameters as they were trained."""
        if isinstance(self.opened, RBM):
            return self.opened
        return self.opened.load(update, averaged=False)

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
        return self.opened.n_visible if isinstance(self.opened, RBM) else int(self.opened.data["n_visible"])

    @property
    def n_hidden(self) -> int:
        """Number M of hidden units."""
        return self.opened.n_hidden if isinstance(self.opened, RBM) else int(self.opened.config.n_hidden)

    @property
    def image_shape(self) -> tuple[int, int] | None:
        """(height, width) of the data, or None."""
        shape = None if self.run is None else self.run.data.get("image_shape")
        return None if shape is None else (int(shape[0]), int(shape[1]))

    @property
    def columns(self) -> list[str]:
        """Names of the visible units where they are few and no pixels, else none.

        They are those of the data's columns, or numbers where these have no names.
        """
        if self.image_shape is not None or self.n_visible > MOST_NAMES:
            return []
        named = None if self.run is None else self.run.data.get("columns")
        if not named or len(named) != self.n_visible:
            return [f"unit {number}" for number in range(1, self.n_visible + 1)]
        return [printable(str(name)) for name in named]

    def data(self) -> Shown:
        """What is shown of the run's data, read once."""
        with self._lock:
            if self._data is None:
                self._data = Shown(None, None, "a model has no data") if self.run is None else Shown.of(self._rows)
            return self._data

    def _rows(self) -> Dataset:
        """The run's data, each row as often as it counts."""
        assert self.run is not None
        return self.run.dataset().complete("the explorer")

    @property
    def no_data(self) -> str:
        """Why there are no data; empty where there are, or where nobody has looked yet."""
        return "" if self._data is None else self._data.why

    def frame(self, view: str, update: int) -> Sheet:
        """What a view keeps of a checkpoint, made now if it has not been made.

        Raises
        ------
        NotReadyError : it takes longer than five seconds
        """
        self.begin()
        key = view, self.resolve(update)
        self.preparation.looked_at = key
        return self.preparation.frames.wait(key, SECONDS_TO_WAIT)

    def has(self, view: str, update: int) -> bool:
        """Whether a frame is made."""
        return self.preparation.frames.has((view, self.resolve(update)))

    def frames(self, view: str) -> list[tuple[int, Sheet]]:
        """Updates and what a view keeps of them, as far as that is made."""
        return self.preparation.frames.kept(view)

    def samples_at(self, update: int) -> Samples:
        """The best samples of a checkpoint that there are: in equilibrium, else of plain Gibbs chains."""
        update, found = self.resolve(update), self.equilibrium
        if found is None or (self.run is not None and update not in found.updates):
            return self._samples.get((update, False), lambda: gibbs_samples(self.load(update)))
        return self._samples.get((update, True), lambda: found.at(None if self.run is None else update))

    def scene(self, update: int) -> Scene:
        """All that is known of a checkpoint."""
        std = None if self.run is None else self.run.config.weight_std or None
        modes, samples = partial(self.gauge.at, update), partial(self.samples_at, update)
        return Scene(update, self.load(update), self.data(), std, modes, samples, partial(self.reference_at, update))

    def reference_at(self, update: int) -> Reference | None:
        """Mean activities of a checkpoint's model over the data, computed once; None where there are no data."""
        rows = self.data().rows
        if rows is None:
            return None
        return self._references.get(update, lambda: reference_point(self.load(update), "data", rows))

    def begin(self) -> None:
        """Prepare the views in the background, if that has not begun."""
        self.preparation.begin()

    def close(self) -> None:
        """Stop preparing, and wait until that is so: native code must not run while the process ends."""
        self.preparation.close()


def _size(samples: Any) -> int:
    return int(samples.draws.v.nbytes + samples.draws.h.nbytes)
