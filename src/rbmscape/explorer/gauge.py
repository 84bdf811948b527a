"""Modes of the checkpoints with continuous order and signs; those that are too many to keep are made again."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rbmscape.model.rbm import RBM
from rbmscape.reciprocal.modes import Modes

__all__ = ["Gauge"]

MOST_BYTES = 100_000_000
LEADING = 32


class Gauge:
    """The first model that is asked for has the canonical gauge, every other continues its nearest known neighbour's.

    Parameters
    ----------
    load : update to model
    """

    def __init__(self, load: Callable[[int], RBM]) -> None:
        self._load = load
        self._kept: dict[int, Modes] = {}
        self._lock = threading.Lock()

    def at(self, update: int) -> Modes:
        """Modes of a checkpoint."""
        with self._lock:
            if update not in self._kept:
                self._kept[update] = self._made(update)
                self._forget(update)
            return self._kept[update]

    def _made(self, update: int) -> Modes:
        modes = Modes.of(self._load(update), unpaired="bias")
        if not self._kept:
            return modes
        nearest = min(self._kept, key=lambda known: abs(known - update))
        return modes.aligned_to(self._kept[nearest], leading=min(LEADING, modes.n_paired))

    def _forget(self, update: int) -> None:
        """Drop those between the ends once there are too many; the ends are what others are aligned to."""
        size = self._kept[update].left.nbytes + self._kept[update].right.nbytes
        most = max(3, MOST_BYTES // size)
        inner = sorted(set(self._kept) - {update, min(self._kept), max(self._kept)})
        while len(self._kept) > most and inner:
            del self._kept[inner.pop(len(inner) // 2)]
