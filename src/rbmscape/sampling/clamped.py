r"""Chains of which some visible units are held: p(v_U, h | v_K) for many rows at once, each with units of its own.

A Gibbs step draws all units and puts the known ones back, which is a step of the conditional distribution.  A free
energy F(v) with the known units in place is, up to a constant, that of the conditional model.  So Gibbs chains and
replica exchange need nothing else: an annealer whose paths put the known units back.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rbmscape.kernels.interface import Annealer, BoundPath, ModelLike, RungBatch
from rbmscape.kernels.reference.base import RungByRung, walk_by_steps
from rbmscape.rng import Stream

__all__ = ["ClampedAnnealer"]


class ClampedAnnealer:
    """An annealer for a fixed number of chains with held units; see `rbmscape.kernels.interface.Annealer`.

    Parameters
    ----------
    annealer : what moves the chains
    states : (n_chains, N) uint8
    free : (n_chains, N) bool, where a unit is not held
    """

    def __init__(self, annealer: Annealer, states: Tensor, free: Tensor) -> None:
        self.annealer, self.states, self.free = annealer, states, free

    @property
    def name(self) -> str:
        """Of the number format."""
        return self.annealer.name

    def bind(self, model: ModelLike, n_chains: int = 0, base: tuple[Tensor, Tensor] | None = None) -> _ClampedPath:
        """See `Annealer.bind`; n_chains is the number of rows of `states`."""
        return _ClampedPath(self.annealer.bind(model, n_chains, base), self)

    def held(self, v: Tensor) -> Tensor:
        """States (n_chains, N) uint8 with the known units put back."""
        return torch.where(self.free, v.to(torch.uint8), self.states)


class _ClampedPath:
    """See `rbmscape.kernels.interface.BoundPath`."""

    def __init__(self, path: BoundPath, clamp: ClampedAnnealer) -> None:
        self._path, self._clamp = path, clamp

    @property
    def weights(self) -> Tensor:
        """See `BoundPath.weights`."""
        return self._path.weights

    @property
    def visible_bias(self) -> Tensor:
        """See `BoundPath.visible_bias`."""
        return self._path.visible_bias

    @property
    def hidden_bias(self) -> Tensor:
        """See `BoundPath.hidden_bias`."""
        return self._path.hidden_bias

    @property
    def v(self) -> Tensor:
        """See `BoundPath.v`."""
        return self._path.v

    @property
    def h(self) -> Tensor:
        """See `BoundPath.h`."""
        return self._path.h

    def with_chains(self, n_chains: int) -> _ClampedPath:
        """See `BoundPath.with_chains`."""
        return _ClampedPath(self._path.with_chains(n_chains), self._clamp)

    def on(self, other: _ClampedPath) -> _ClampedPath:
        """See `BoundPath.on`."""
        return _ClampedPath(self._path.on(other._path), self._clamp)

    def load(self, v: Tensor) -> None:
        """See `BoundPath.load`; the known units are put in place."""
        self._path.load(self._clamp.held(v))

    def weigh(self, log_weights: Tensor, start: float, end: float) -> None:
        """See `BoundPath.weigh`."""
        self._path.weigh(log_weights, start, end)

    def step(
        self, log_weights: Tensor, start: float, end: float, stream: Stream, draw: int, first_chain: int = 0
    ) -> None:
        """See `BoundPath.step`; the known units are put back."""
        self._path.step(log_weights, start, end, stream, draw, first_chain)
        self.load(self._path.v)

    @property
    def steps_at_once(self) -> int:
        """See `BoundPath.steps_at_once`."""
        return self._path.steps_at_once

    @property
    def chains_at_once(self) -> int:
        """See `BoundPath.chains_at_once`."""
        return self._path.chains_at_once

    def walk(
        self, log_weights: Tensor, temperatures: Sequence[float], stream: Stream, draw: int, first_chain: int = 0
    ) -> Tensor:
        """See `BoundPath.walk`; the known units are put back after every step."""
        return walk_by_steps(self, log_weights, temperatures, stream, draw, first_chain)

    def move(self, stream: Stream, draw: int, n_steps: int = 1) -> None:
        """See `BoundPath.move`; the known units are put back after every step."""
        for step in range(n_steps):
            self._path.move(stream, draw + 2 * step)
            self.load(self._path.v)

    def log_density(self) -> Tensor:
        """See `BoundPath.log_density`."""
        return self._path.log_density()

    def exchange(self, other: _ClampedPath, swap: Tensor) -> None:
        """See `BoundPath.exchange`."""
        self._path.exchange(other._path, swap)

    def beside(self, others: Sequence[_ClampedPath], n_chains: int) -> RungBatch:
        """See `BoundPath.beside`: one after the other, since the known units are put back in between."""
        return RungByRung.of((self, *others), n_chains)
