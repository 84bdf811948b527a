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
        self._turns: dict[int, threading.Lock] = {}
        self._lock = threading.Lock()

    def at(self, update: int) -> Modes:
        """Modes of a checkpoint; those who ask for the same one at once wait for one decomposition."""
        with self._lock:
            turn = self._turns.setdefault(update, threading.Lock())
        with turn:
            with self._lock:
                if update in self._kept:
                    return self._kept[update]
            modes = Modes.of(self._load(update), unpaired="bias")
            with self._lock:
                if self._kept:
                    nearest = self._kept[min(self._kept, key=lambda known: abs(known - update))]
                    modes = modes.aligned_to(nearest, leading=min(LEADING, modes.n_paired))
                self._kept[update] = modes
                self._forget(update)
                return modes

    @property
    def room(self) -> int:
        """Checkpoints whose modes are kept at once."""
        with self._lock:
            return next((self._most(modes) for modes in self._kept.values()), 1)

    def clear(self) -> None:
        """Forget all but the last, which others are aligned to."""
        with self._lock:
            self._kept = {update: self._kept[update] for update in sorted(self._kept)[-1:]}

    def _most(self, modes: Modes) -> int:
        return max(3, MOST_BYTES // (modes.left.nbytes + modes.right.nbytes))

    def _forget(self, update: int) -> None:
        """Drop those between the ends once there are too many; the ends are what others are aligned to."""
        most = self._most(self._kept[update])
        inner = sorted(set(self._kept) - {update, min(self._kept), max(self._kept)})
        while len(self._kept) > most and inner:
            del self._kept[inner.pop(len(inner) // 2)]
