r"""The engine for graphics processors: binary states, 16-bit weights, exact sums on tensor cores.

Precision ``fixed``: states and gradients are those of processors bit for bit.  What has one model and one set of chains
here is a batch of one for the kernels; batches of many models are trained by `rbmscape.kernels.cuda.update`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rbmscape.kernels.cuda import launch
from rbmscape.kernels.cuda.memory import check_room, sampler_bytes
from rbmscape.kernels.cuda.models import States, chain_step
from rbmscape.kernels.cuda.phases import Phases
from rbmscape.kernels.cuda.single import bound_models, launching_on, point, round_one
from rbmscape.kernels.interface import Annealer, BoundGradient, Gradient, ModelLike
from rbmscape.kernels.reference.base import BaseSampler, cast
from rbmscape.rng import Stream

__all__ = ["CudaEngine", "CudaGradient", "CudaSampler"]


class CudaEngine:
    """Engine for CUDA GPUs of compute capability 8.0 and later, precision ``fixed``.

    Parameters
    ----------
    precision : ``fixed``, the only one
    device : a CUDA device; a processor only under Triton's interpreter
    """

    name = "cuda"
    precision = "fixed"
    state_dtype = torch.uint8

    def __init__(self, precision: str = "fixed", device: torch.device | str = "cuda") -> None:  # noqa: ARG002
        self.device = torch.device(device)

    def bind(self, model: ModelLike, n_chains: int) -> CudaSampler:
        """See `rbmscape.kernels.interface.Engine.bind`.

        Raises
        ------
        EngineError : the device has too little free memory
        """
        n_visible, n_hidden = model.weights.shape
        check_room(self.device, sampler_bytes(n_visible, n_hidden, n_chains), f"{n_chains} chains of {n_hidden} units")
        return CudaSampler(self.device, model, n_chains)

    def annealer(self) -> Annealer:
        """``cuda``, with the engine's own integers."""
        from rbmscape.kernels.cuda.annealing import CudaAnnealer

        return CudaAnnealer(self.device)


class CudaSampler(BaseSampler):
    """See `rbmscape.kernels.interface.BoundSampler`.

    Attributes
    ----------
    models, states : the rounded weights and the chains as the kernels have them
    """

    def __init__(self, device: torch.device, model: ModelLike, n_chains: int) -> None:
        self.exact = cast(model, torch.float32, device)
        self.models = bound_models(self.exact)
        self.states = States(self.models.shape, n_chains, device, chain_step(device, n_chains))
        self.v, self.h = self.states.visible[0], self.states.hidden[0]
        self._tiles = launch.choose_tiles(self.models, self.states)
        self._round()

    def update(self, model: ModelLike) -> None:
        """See `BoundSampler.update`."""
        self.exact = cast(model, torch.float32, self.models.device)
        self._round()

    def _round(self) -> None:
        with launching_on(self.models.device):
            round_one(self.models, self.exact)

    def sample_hidden(self, stream: Stream, draw: int, beta: float = 1.0, first_chain: int = 0) -> None:
        """See `BoundSampler.sample_hidden`."""
        with launching_on(self.models.device):
            point(self.states, stream, draw, first_chain)
            launch.draw_hidden(self.models.at(beta), self.states, 0, self._tiles)

    def sample_visible(self, stream: Stream, draw: int, beta: float = 1.0, first_chain: int = 0) -> None:
        """See `BoundSampler.sample_visible`."""
        with launching_on(self.models.device):
            point(self.states, stream, draw, first_chain)
            launch.draw_visible(self.models.at(beta), self.states, 0, self._tiles)

    def sweep(self, stream: Stream, first_step: int, n_steps: int, beta: float = 1.0, first_chain: int = 0) -> None:
        """See `BoundSampler.sweep`: one launch."""
        if n_steps < 1:
            return
        with launching_on(self.models.device):
            point(self.states, stream, 2 * first_step, first_chain)
            launch.sweep(self.models.at(beta), self.states, n_steps, self._tiles)

    def gradient(self, n_data: int) -> BoundGradient:
        """See `BoundSampler.gradient`: integers, the same as on processors."""
        return CudaGradient(self, n_data)


class CudaGradient:
    """See `rbmscape.kernels.interface.BoundGradient`."""

    def __init__(self, sampler: CudaSampler, n_data: int) -> None:
        self._sampler = sampler
        states, device = sampler.states, sampler.models.device
        n_visible = sampler.models.shape.visible
        rows = torch.zeros(n_data, n_visible, dtype=torch.uint8, device=device)
        self._phases = Phases(sampler.models, states, rows, n_data)
        self._phases.order.copy_(torch.arange(n_data, dtype=torch.int32))
        self._rows = self._phases.train.view(torch.uint8)[:, :n_visible]
        sizes = torch.tensor([states.n_chains, n_data], dtype=torch.float32)
        self._sizes = sizes[:, None].to(device)

    def compute(self, data: Tensor, out: Gradient) -> Tensor:
        """See `BoundGradient.compute`."""
        phases, exact = self._phases, self._sampler.exact
        self._rows.copy_(data)
        with launching_on(self._sampler.models.device):
            phases.gather()
            phases.correlations(exact.weights[None], exact.hidden_bias[None], out.weights[None])
        hidden, mean = phases.hidden_sums()[0]
        chains, rows = phases.visible_counts()[0].to(torch.float32) / self._sizes
        out.hidden_bias.copy_(hidden)
        torch.sub(rows, chains, out=out.visible_bias)
        found: Tensor = mean.to(out.hidden_bias.dtype)
        return found
