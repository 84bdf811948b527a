"""Gibbs steps and free energies for models that come and go: an annealer with buffers for any number of states.

Where the annealer rounds weights, all exchanges and ratios are those of the rounded models, of which its sums are
exact; `rounding` of `rbmscape.likelihood.path` leads back to a model itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rbmscape.kernels.interface import Annealer, BoundPath, ModelLike, RungBatch
from rbmscape.rng import Stream

__all__ = ["Machine"]


class Machine:
    """One annealer for models of one shape.

    Parameters
    ----------
    annealer : moves and weighs the states
    """

    def __init__(self, annealer: Annealer) -> None:
        self._annealer = annealer
        self._buffers: dict[int, BoundPath] = {}
        self._rungs: tuple[tuple[int, list[int]], list[BoundPath], RungBatch] | None = None

    def prepare(self, model: ModelLike) -> BoundPath:
        """A model in the annealer's format, without states of its own."""
        return self._annealer.bind(model)

    def _loaded(self, model: BoundPath, states: Tensor) -> BoundPath:
        """The model at these states, in buffers that all models share."""
        count = len(states)
        if count not in self._buffers:
            self._buffers[count] = model.with_chains(count)
        path = model.on(self._buffers[count])
        path.load(states)
        return path

    def log_densities(self, states: Tensor, *models: BoundPath) -> list[Tensor]:
        """-F(v) of (n, N) states for each model; (n,) float64 each."""
        path = self._loaded(models[0], states)
        return [model.on(path).log_density().clone() for model in models]

    def walk(
        self, model: BoundPath, states: Tensor, stream: Stream, draw: int, n_steps: int, *looks: BoundPath
    ) -> tuple[Tensor, list[Tensor]]:
        """n_steps Gibbs steps of (n, N) states with draws from `draw` on, two a step.

        Returns
        -------
        the new states, uint8, and their -F for each of the models in `looks`
        """
        path = self._loaded(model, states)
        path.move(stream, draw, n_steps)
        return path.v.to(torch.uint8), [look.on(path).log_density().clone() for look in looks]

    def walk_rungs(
        self,
        models: Sequence[BoundPath],
        states: Tensor,
        streams: Sequence[Stream],
        draw: int,
        looks: Sequence[tuple[int, int]],
    ) -> tuple[Tensor, list[Tensor]]:
        """One Gibbs step of (R, n, N) states, each rung's of its own model and with a stream of its own.

        Returns
        -------
        the new states, uint8, and their -F for each of the looks, see `rbmscape.kernels.RungBatch.walk`
        """
        key = states.shape[1], [id(model) for model in models]
        if self._rungs is None or self._rungs[0] != key:
            self._rungs = key, list(models), models[0].beside(models[1:], states.shape[1])
        rungs = self._rungs[-1]
        rungs.load(states)
        found = rungs.walk(streams, draw, 1, looks)
        return rungs.states(), found
