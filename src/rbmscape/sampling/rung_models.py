"""Models of a ladder's rungs, made when asked for, and paths bound to them: all kept where they are small."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, overload

from rbmscape.kernels.interface import Annealer, BoundPath, RungBatch
from rbmscape.kernels.reference.base import RungByRung
from rbmscape.model.rbm import RBM

__all__ = ["BoundRungs", "RungModels", "bound_rungs"]

_KEPT_BYTES: Final = 750_000_000
"""Parameters of rungs that are kept; a ladder of 60 rungs has more from about three million weights on."""
_BOUND_AT_ONCE: Final = 4


class RungModels(Sequence[RBM]):
    """The models of some positions on a path, which are made in less time than anything that is done with them.

    Parameters
    ----------
    make : the model of a position; the same one each time
    positions : one a rung
    """

    def __init__(self, make: Callable[[float], RBM], positions: Sequence[float]) -> None:
        self._make, self._positions = make, tuple(positions)

    def __len__(self) -> int:
        return len(self._positions)

    @overload
    def __getitem__(self, rung: int) -> RBM: ...

    @overload
    def __getitem__(self, rung: slice) -> RungModels: ...

    def __getitem__(self, rung: int | slice) -> RBM | RungModels:
        if isinstance(rung, slice):
            return RungModels(self._make, self._positions[rung])
        return self._make(self._positions[rung])


def _are_kept(models: Sequence[RBM], one: RBM) -> bool:
    return len(models) * one.weights.nbytes <= _KEPT_BYTES


class BoundRungs(Sequence[BoundPath]):
    """A bound path for each rung: all states are kept, and of large models the parameters of a few.

    Parameters
    ----------
    models : the rungs
    annealer : binds them
    n_chains : states of each

    Attributes
    ----------
    states : paths that hold the states of each rung, whose parameters are not those of the rung
    """

    def __init__(self, models: Sequence[RBM], annealer: Annealer, n_chains: int) -> None:
        self._models, self._annealer = models, annealer
        first = annealer.bind(models[0], n_chains)  # with buffers that the others share
        self.states = [first.with_chains(n_chains) for _ in models]
        self._bound: dict[int, BoundPath] = {}
        self._most = len(models) if _are_kept(models, models[-1]) else _BOUND_AT_ONCE

    def __len__(self) -> int:
        return len(self.states)

    @overload
    def __getitem__(self, rung: int) -> BoundPath: ...

    @overload
    def __getitem__(self, rung: slice) -> list[BoundPath]: ...

    def __getitem__(self, rung: int | slice) -> BoundPath | list[BoundPath]:
        if isinstance(rung, slice):
            return [self[number] for number in range(*rung.indices(len(self)))]
        place = range(len(self))[rung]
        if place not in self._bound:
            while len(self._bound) >= self._most:
                del self._bound[next(iter(self._bound))]
            self._bound[place] = self._annealer.bind(self._models[place])
        return self._bound[place].on(self.states[place])


def bound_rungs(models: Sequence[RBM], annealer: Annealer, n_chains: int) -> RungBatch:
    """The rungs in the annealer's format: as one batch where their parameters are kept, else made when asked for."""
    if not _are_kept(models, models[-1]):
        rungs = BoundRungs(models, annealer, n_chains)
        return RungByRung(rungs, rungs.states)
    lowest, *above = (annealer.bind(model) for model in models)
    return lowest.beside(above, n_chains)
