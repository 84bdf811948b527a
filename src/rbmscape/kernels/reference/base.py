"""What bound objects of all engines share, in plain torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, Self

import torch
from torch import Tensor

from rbmscape.kernels.interface import BoundGradient, BoundPath, ModelLike, Parameters, RungBatch
from rbmscape.kernels.reference.gradient import TorchGradient
from rbmscape.rng import Stream

__all__ = ["CHAINS_AT_ONCE", "BasePath", "BaseSampler", "RungByRung", "cast", "flat_base", "walk_by_steps"]

CHAINS_AT_ONCE: Final = 512


def cast(model: ModelLike, dtype: torch.dtype, device: torch.device | str) -> Parameters:
    """A model's parameters, contiguous; tensors that are so already are used as they are."""
    tensors = (model.weights, model.visible_bias, model.hidden_bias)
    return Parameters(*(tensor.detach().to(device, dtype).contiguous() for tensor in tensors))


def flat_base(
    model: ModelLike, base: tuple[Tensor, Tensor] | None, dtype: torch.dtype, device: torch.device | str
) -> tuple[Tensor, Tensor]:
    """a0 and b0 of a path, zeros where there are none."""
    visible, hidden = base or (torch.zeros_like(model.visible_bias), torch.zeros_like(model.hidden_bias))
    return visible.detach().to(device, dtype).contiguous(), hidden.detach().to(device, dtype).contiguous()


def walk_by_steps(
    path: BoundPath, log_weights: Tensor, temperatures: Sequence[float], stream: Stream, draw: int, first_chain: int
) -> Tensor:
    """See `BoundPath.walk`, by the path's `step`."""
    variances = torch.zeros(len(temperatures) - 1, dtype=torch.float64, device=log_weights.device)
    for k, (start, end) in enumerate(pairwise(temperatures)):
        before = log_weights.clone()
        path.step(log_weights, start, end, stream, draw + 2 * k, first_chain)
        variances[k] = (log_weights - before).var(correction=0)
    return variances


class BaseSampler(ABC):
    """The order of the half-steps, the exact hidden probability, and the gradient by two matrix products.

    Attributes
    ----------
    v, h : see `rbmscape.kernels.interface.BoundSampler`
    exact : the model's parameters, not rounded, in the dtype of biases and probabilities
    """

    v: Tensor
    h: Tensor
    exact: Parameters

    @abstractmethod
    def update(self, model: ModelLike) -> None:
        """See `BoundSampler.update`."""

    @abstractmethod
    def sample_hidden(self, stream: Stream, draw: int, beta: float = 1.0, first_chain: int = 0) -> None:
        """See `BoundSampler.sample_hidden`."""

    @abstractmethod
    def sample_visible(self, stream: Stream, draw: int, beta: float = 1.0, first_chain: int = 0) -> None:
        """See `BoundSampler.sample_visible`."""

    def sweep(self, stream: Stream, first_step: int, n_steps: int, beta: float = 1.0, first_chain: int = 0) -> None:
        """See `BoundSampler.sweep`."""
        for step in range(first_step, first_step + n_steps):
            self.sample_hidden(stream, 2 * step, beta, first_chain)
            self.sample_visible(stream, 2 * step + 1, beta, first_chain)

    def hidden_probability(self, v: Tensor, out: Tensor, beta: float = 1.0) -> Tensor:
        """See `BoundSampler.hidden_probability`."""
        torch.addmm(self.exact.hidden_bias, v, self.exact.weights, beta=beta, alpha=beta, out=out)
        return out.sigmoid_()

    def gradient(self, n_data: int) -> BoundGradient:
        """See `BoundSampler.gradient`."""
        return TorchGradient(self, n_data, self.exact.hidden_bias.dtype)


class BasePath(BoundPath, ABC):
    """Replica exchange in terms of annealing; right for every format, and as fast as its `step` and `weigh`.

    Attributes
    ----------
    base_visible, base_hidden : a0 (N,), b0 (M,)
    """

    base_visible: Tensor
    base_hidden: Tensor

    @property
    def steps_at_once(self) -> int:
        """See `BoundPath.steps_at_once`."""
        return 16

    @property
    def chains_at_once(self) -> int:
        """See `BoundPath.chains_at_once`: the products of more leave the caches."""
        return CHAINS_AT_ONCE

    def walk(
        self, log_weights: Tensor, temperatures: Sequence[float], stream: Stream, draw: int, first_chain: int = 0
    ) -> Tensor:
        """See `BoundPath.walk`."""
        return walk_by_steps(self, log_weights, temperatures, stream, draw, first_chain)

    def move(self, stream: Stream, draw: int, n_steps: int = 1) -> None:
        """See `BoundPath.move`."""
        unused = torch.zeros(self.v.shape[0], dtype=torch.float64, device=self.v.device)
        for step in range(n_steps):
            self.step(unused, 1.0, 1.0, stream, draw + 2 * step)

    def log_density(self) -> Tensor:
        """See `BoundPath.log_density`."""
        base_visible, base_hidden = self.base_visible.double(), self.base_hidden.double()
        result = self.v.to(torch.float64) @ base_visible + torch.nn.functional.softplus(base_hidden).sum()
        self.load(self.v)
        self.weigh(result, 0.0, 1.0)
        return result

    def exchange(self, other: Self, swap: Tensor) -> None:
        """See `BoundPath.exchange`."""
        self.v[swap], other.v[swap] = other.v[swap], self.v[swap]

    def beside(self, others: Sequence[Self], n_chains: int) -> RungBatch:
        """See `BoundPath.beside`: one after the other, which keeps a processor as busy."""
        return RungByRung.of((self, *others), n_chains)


class RungByRung:
    """See `rbmscape.kernels.interface.RungBatch`; paths that move one after the other.

    Parameters
    ----------
    paths : to each of the models, at the chains of its rung
    holders : paths to any model that hold these chains
    """

    def __init__(self, paths: Sequence[BoundPath], holders: Sequence[BoundPath]) -> None:
        self._paths, self._holders = paths, holders

    @classmethod
    def of(cls, paths: Sequence[BoundPath], n_chains: int) -> Self:
        """At chains of their own."""
        first = paths[0].with_chains(n_chains)  # with buffers that the others share
        holders = [first, *(first.with_chains(n_chains) for _ in paths[1:])]
        return cls([path.on(holder) for path, holder in zip(paths, holders, strict=True)], holders)

    def load(self, states: Tensor) -> None:
        """See `RungBatch.load`."""
        for rung, v in enumerate(states):
            self._paths[rung].load(v)

    def v(self, rung: int) -> Tensor:
        """See `RungBatch.v`."""
        return self._holders[rung].v

    def states(self) -> Tensor:
        """See `RungBatch.states`."""
        return torch.stack([holder.v.to(torch.uint8) for holder in self._holders])

    def project(self, directions: Tensor) -> Tensor:
        """See `RungBatch.project`."""
        return torch.stack([holder.v.to(directions.dtype) @ directions for holder in self._holders])

    def walk(
        self, streams: Sequence[Stream], draw: int, n_steps: int, looks: Sequence[tuple[int, int]]
    ) -> list[Tensor]:
        """See `RungBatch.walk`."""
        wanted: dict[int, list[int]] = {}
        for rung, model in looks:
            wanted.setdefault(rung, []).append(model)
        found = []
        for rung, stream in enumerate(streams):
            if not n_steps and rung not in wanted:
                continue
            path = self._paths[rung]
            path.move(stream, draw, n_steps)
            found += [self._paths[model].on(path).log_density().clone() for model in wanted.get(rung, ())]
        return found

    def exchange(self, first: int, swap: Tensor) -> None:
        """See `RungBatch.exchange`."""
        for pair, marks in enumerate(swap):
            low = first + 2 * pair
            self._holders[low].exchange(self._holders[low + 1], marks)
