"""Annealing on the device with the sampler's integers (`rbmscape.kernels.cuda.paths`): one path, one set of chains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Self

import torch
from torch import Tensor

from rbmscape.kernels.cuda import launch
from rbmscape.kernels.cuda.bound_paths import Paths
from rbmscape.kernels.cuda.memory import check_room, sampler_bytes
from rbmscape.kernels.cuda.models import Models, States, chain_step, numbers_of
from rbmscape.kernels.cuda.single import bound_models, launching_on, point, round_one
from rbmscape.kernels.interface import ModelLike, Parameters
from rbmscape.kernels.reference.base import BasePath, cast, flat_base
from rbmscape.rng import Stream

__all__ = ["CudaAnnealer", "CudaPath", "CudaRungs"]

_CHAINS_AT_ONCE: Final = 8192


class CudaAnnealer:
    """CUDA GPU, exact sums of 16-bit weights; see `rbmscape.kernels.interface.Annealer`."""

    name = "cuda"

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def bind(self, model: ModelLike, n_chains: int = 0, base: tuple[Tensor, Tensor] | None = None) -> CudaPath:
        """See `Annealer.bind`; the path's `weights` are the rounded ones.

        Raises
        ------
        EngineError : the device has too little free memory
        """
        n_visible, n_hidden = model.weights.shape
        check_room(self.device, sampler_bytes(n_visible, n_hidden, n_chains), f"{n_chains} chains of {n_hidden} units")
        exact = cast(model, torch.float32, self.device)
        models = bound_models(exact)
        with launching_on(self.device):
            round_one(models, exact)
        ends = flat_base(exact, base, torch.float32, self.device)
        states, biases = _chains(models, n_chains), (exact.visible_bias[None], exact.hidden_bias[None])
        return CudaPath(Paths(models, states, biases, (ends[0][None], ends[1][None])), exact, ends)


def _chains(models: Models, n_chains: int) -> States:
    return States(models.shape, n_chains, models.device, chain_step(models.device, n_chains))


class CudaPath(BasePath):
    """See `rbmscape.kernels.interface.BoundPath`.

    Attributes
    ----------
    paths : rounded weights and chains as the kernels have them, a batch of one
    exact : the model's own parameters
    """

    def __init__(self, paths: Paths, exact: Parameters, base: tuple[Tensor, Tensor]) -> None:
        self.paths, self.exact = paths, exact
        self.models, self.states = paths.models, paths.states
        self.base_visible, self.base_hidden = base

    @property
    def weights(self) -> Tensor:
        """See `BoundPath.weights`."""
        return (self.models.scale[:, None, None] * self.models.integers())[0]

    @property
    def visible_bias(self) -> Tensor:
        """See `BoundPath.visible_bias`."""
        return self.exact.visible_bias

    @property
    def hidden_bias(self) -> Tensor:
        """See `BoundPath.hidden_bias`."""
        return self.exact.hidden_bias

    @property
    def v(self) -> Tensor:
        """(n_chains, N) uint8, a view."""
        return self.states.visible[0]

    @property
    def h(self) -> Tensor:
        """(n_chains, M) uint8, a view."""
        return self.states.hidden[0]

    def with_chains(self, n_chains: int) -> CudaPath:
        """See `BoundPath.with_chains`."""
        return self._with(_chains(self.models, n_chains))

    def on(self, other: CudaPath) -> CudaPath:
        """See `BoundPath.on`."""
        return self._with(other.states)

    def _with(self, states: States) -> CudaPath:
        return CudaPath(self.paths.at(states), self.exact, (self.base_visible, self.base_hidden))

    def load(self, v: Tensor) -> None:
        """See `BoundPath.load`."""
        self.paths.load(v[None].to(self.models.device))

    def weigh(self, log_weights: Tensor, start: float, end: float) -> None:
        """See `BoundPath.weigh`."""
        with launching_on(self.models.device):
            log_weights += self.paths.weigh(self._pair(start, end))[0]

    def step(
        self, log_weights: Tensor, start: float, end: float, stream: Stream, draw: int, first_chain: int = 0
    ) -> None:
        """See `BoundPath.step`."""
        with launching_on(self.models.device):
            point(self.states, stream, draw, first_chain)
            log_weights += self.paths.walk(self._pair(start, end))[0, 0]

    @property
    def steps_at_once(self) -> int:
        """See `BoundPath.steps_at_once`: one launch."""
        return self.paths.at_once

    @property
    def chains_at_once(self) -> int:
        """See `BoundPath.chains_at_once`: whose shares of the log weights take some hundred MiB."""
        return _CHAINS_AT_ONCE

    def walk(
        self, log_weights: Tensor, temperatures: Sequence[float], stream: Stream, draw: int, first_chain: int = 0
    ) -> Tensor:
        """See `BoundPath.walk`: a launch for each `steps_at_once`."""
        with launching_on(self.models.device):
            point(self.states, stream, draw, first_chain)
            schedule = torch.tensor([list(temperatures)], dtype=torch.float64, device=self.models.device)
            (found,) = self.paths.walk(schedule)
            log_weights += found.sum(0)
            variances: Tensor = found.var(1, correction=0)
            return variances

    def _pair(self, start: float, end: float) -> Tensor:
        return torch.tensor([[start, end]], dtype=torch.float64, device=self.models.device)

    def move(self, stream: Stream, draw: int, n_steps: int = 1) -> None:
        """See `BoundPath.move`: the sampler's own sweeps, one launch, which weigh nothing."""
        with launching_on(self.models.device):
            point(self.states, stream, draw, 0)
            launch.sweep(self.models, self.states, n_steps)

    def log_density(self) -> Tensor:
        """See `BoundPath.log_density`: one product, weighed at one temperature only."""
        with launching_on(self.models.device):
            return self.paths.log_density()[0]

    def beside(self, others: Sequence[Self], n_chains: int) -> CudaRungs:
        """See `BoundPath.beside`: a batch, moved and weighed by one launch each.

        Raises
        ------
        EngineError : the device has too little free memory
        """
        shape, count = self.models.shape, 1 + len(others)
        needed = count * sampler_bytes(shape.visible, shape.hidden, n_chains)
        check_room(self.models.device, needed, f"{count} rungs of {n_chains} chains and {shape.hidden} units")
        step = chain_step(self.models.device, n_chains)
        return CudaRungs(Paths.joined([path.paths for path in (self, *others)], n_chains, step))


class CudaRungs:
    """See `rbmscape.kernels.interface.RungBatch`; models and chains are a batch axis of every launch.

    Parameters
    ----------
    paths : to the models, of as many chains each
    """

    def __init__(self, paths: Paths) -> None:
        self._paths, self._states = paths, paths.states

    def load(self, states: Tensor) -> None:
        """See `RungBatch.load`."""
        self._states.visible.copy_(states)

    def v(self, rung: int) -> Tensor:
        """See `RungBatch.v`: a view."""
        return self._states.visible[rung]

    def states(self) -> Tensor:
        """See `RungBatch.states`."""
        return self._states.visible.clone()

    def project(self, directions: Tensor) -> Tensor:
        """See `RungBatch.project`: one product."""
        return self._states.visible.to(directions.dtype) @ directions

    def walk(
        self, streams: Sequence[Stream], draw: int, n_steps: int, looks: Sequence[tuple[int, int]]
    ) -> list[Tensor]:
        """See `RungBatch.walk`: one launch of steps and one of free energies."""
        with launching_on(self._paths.models.device):
            if n_steps:
                rows = [numbers_of(stream, draw) for stream in streams]
                self._states.numbers.copy_(torch.tensor(rows))
                launch.sweep(self._paths.models, self._states, n_steps)
            return list(self._paths.log_density(looks)) if looks else []

    def exchange(self, first: int, swap: Tensor) -> None:
        """See `RungBatch.exchange`: all pairs at once."""
        last = first + 2 * len(swap)
        low, high = (self._states.visible[start:last:2] for start in (first, first + 1))
        marks = swap[:, :, None]
        lower, upper = torch.where(marks, high, low), torch.where(marks, low, high)
        low.copy_(lower)
        high.copy_(upper)
