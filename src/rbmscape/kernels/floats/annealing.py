r"""One step of annealed importance sampling: weigh the chains between two temperatures, then move them.

The path runs through models whose energy is linear in the inverse temperature t, from independent units (t = 0) to the
RBM of equation 3 of arXiv:2503.21536 (t = 1); with the hidden layer summed out, its unnormalised marginals are

``ln f_t(v) = ((1-t) a0 + t a)·v + Σ_j softplus(x_j(t))``,  ``x_j(t) = (1-t) b0_j + t (b_j + (vW)_j)``.

A step from s to t adds ``ln f_t(v) - ln f_s(v)`` to the log weights and draws ``h ~ σ(x(t))``,
``v ~ σ((1-t) a0 + t (a + hWᵀ))``.  Both need the same product vW, so a step costs two matrix products.

Number formats.  ``fp32`` multiplies floats.  ``bytes`` rounds the weights to 15-bit integers of one common scale, each
held as two bytes, ``W ≈ scale (254 high + low)``, and lets the processor's 8-bit units (VNNI, AMX) add them up in
32-bit integers: as fast as bf16, and free of rounding, so that the path passes *exactly* through the RBM of the
rounded weights.  The caller corrects for the rest with one last weight between that RBM and the true one, which keeps
the estimator unbiased; bf16 products, whose sums are rounded as well, would leave no distribution invariant.
``tables`` and ``tiles`` (`rbmscape.kernels.integers.annealing`) do the same with the sampler's 16-bit integers.

Shapes: v (n_chains, N), h (n_chains, M), log weights (n_chains,) float64.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.kernels.interface import Engine
from rbmscape.rng import Stream

__all__ = [
    "Annealer",
    "BaseAnnealer",
    "ByteAnnealer",
    "FloatAnnealer",
    "PathBuffers",
    "PathFactors",
    "PathParameters",
    "PathWorkspace",
    "ReferenceAnnealer",
    "annealer_for",
]

BASE = 254
_LARGEST = 127 * BASE + 126


class PathParameters(Protocol):
    """End points of a path as an annealer wants them."""

    @property
    def weights(self) -> Tensor:
        """(N, M) float64 weights that the annealer's products represent exactly."""

    @property
    def visible_bias(self) -> Tensor:
        """(N,) a."""

    @property
    def hidden_bias(self) -> Tensor:
        """(M,) b."""


class PathWorkspace(Protocol):
    """States of the chains, and buffers."""

    @property
    def v(self) -> Tensor:
        """(n_chains, N) entries 0 or 1."""

    @property
    def h(self) -> Tensor:
        """(n_chains, M) entries 0 or 1."""


@dataclass(frozen=True, slots=True)
class PathFactors:
    """`PathParameters` of annealers that multiply matrices.

    Attributes
    ----------
    to_hidden, to_visible : right factors of the two products, in the annealer's format
    visible_bias, hidden_bias, base_visible, base_hidden : a (N,), b (M,), a0 (N,), b0 (M,)
    scale : value of one unit of the products; 1 where these are floats
    """

    to_hidden: Tensor
    to_visible: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor
    base_visible: Tensor
    base_hidden: Tensor
    scale: float = 1.0

    @property
    def weights(self) -> Tensor:
        """(N, M) float64 weights that the annealer's products represent exactly."""
        factor = self.to_hidden.to(torch.float64)
        if self.to_hidden.dtype != torch.int8:
            return factor
        high, low = factor.chunk(2, dim=1)
        return self.scale * (BASE * high + low)


@dataclass(frozen=True, slots=True)
class PathBuffers:
    """`PathWorkspace` of the same: states v and h, products, ``(a - a0)·v`` of each chain, random words."""

    v: Tensor
    h: Tensor
    pre_visible: Tensor
    pre_hidden: Tensor
    drive: Tensor
    words: NDArray[np.uint32]


class Annealer(Protocol):
    """Interface of the annealers."""

    @property
    def name(self) -> str:
        """``reference``, ``fp32``, ``bytes``, ``tables`` or ``tiles``."""

    def prepare(
        self, weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor, base_visible: Tensor, base_hidden: Tensor
    ) -> PathParameters:
        """Cast both ends of a path."""

    def workspace(self, n_chains: int, n_visible: int, n_hidden: int) -> PathWorkspace:
        """Allocate the buffers for n_chains chains."""

    def load(self, params: PathParameters, ws: PathWorkspace, v: Tensor) -> None:
        """Put states (n_chains, N) of any dtype, entries 0 or 1, into the workspace."""

    def weigh(self, params: PathParameters, ws: PathWorkspace, log_weights: Tensor, start: float, end: float) -> None:
        """log_weights += ln f_end(v) - ln f_start(v)."""

    def step(
        self,
        params: PathParameters,
        ws: PathWorkspace,
        log_weights: Tensor,
        start: float,
        end: float,
        stream: Stream,
        draw: int,
        first_chain: int = 0,
    ) -> None:
        """Weigh as above, then one Gibbs step at `end`: h with the numbers of `draw`, v with those of `draw + 1`."""

    def move(self, params: PathParameters, ws: PathWorkspace, stream: Stream, draw: int) -> None:
        """One Gibbs step of the model itself (t = 1), as `step` draws it; load again before `weigh` or `step`."""

    def log_density(self, params: PathParameters, ws: PathWorkspace) -> Tensor:
        """(n_chains,) float64 ln f_1(v) = -F(v), whichever path the states were loaded for; load again as above."""

    def exchange(self, one: PathWorkspace, other: PathWorkspace, swap: Tensor) -> None:
        """Exchange the states v of the chains that `swap` (n_chains,) bool marks; load again as above."""


class BaseAnnealer(Annealer, ABC):
    """Replica exchange in terms of annealing; right for every format, and as fast as its `step` and `weigh`."""

    def move(self, params: PathParameters, ws: PathWorkspace, stream: Stream, draw: int) -> None:
        """See `Annealer.move`."""
        unused = torch.zeros(ws.v.shape[0], dtype=torch.float64, device=ws.v.device)
        self.step(params, ws, unused, 1.0, 1.0, stream, draw)

    def log_density(self, params: PathParameters, ws: PathWorkspace) -> Tensor:
        """See `Annealer.log_density`."""
        assert isinstance(params, PathFactors)
        base_visible, base_hidden = params.base_visible.double(), params.base_hidden.double()
        result = ws.v.to(torch.float64) @ base_visible + torch.nn.functional.softplus(base_hidden).sum()
        self.load(params, ws, ws.v)
        self.weigh(params, ws, result, 0.0, 1.0)
        return result

    def exchange(self, one: PathWorkspace, other: PathWorkspace, swap: Tensor) -> None:
        """See `Annealer.exchange`."""
        one.v[swap], other.v[swap] = other.v[swap], one.v[swap]


def _cast(
    biases: tuple[Tensor, Tensor, Tensor, Tensor], device: torch.device | str, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    first, second, third, fourth = (bias.detach().to(device, dtype).contiguous() for bias in biases)
    return first, second, third, fourth


class ReferenceAnnealer(BaseAnnealer):
    """Plain torch on any device, in float64 or float32: the truth."""

    name = "reference"

    def __init__(self, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu") -> None:
        self.dtype = dtype
        self.device = torch.device(device)

    def prepare(
        self, weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor, base_visible: Tensor, base_hidden: Tensor
    ) -> PathFactors:
        """See `Annealer.prepare`."""
        matrix = weights.detach().to(self.device, self.dtype)
        biases = _cast((visible_bias, hidden_bias, base_visible, base_hidden), self.device, self.dtype)
        return PathFactors(matrix, matrix.T, *biases)

    def workspace(self, n_chains: int, n_visible: int, n_hidden: int) -> PathBuffers:
        """See `Annealer.workspace`."""
        v, h = (torch.zeros(n_chains, n, dtype=self.dtype, device=self.device) for n in (n_visible, n_hidden))
        drive = torch.zeros(n_chains, dtype=torch.float64, device=self.device)
        return PathBuffers(v, h, torch.zeros_like(v), torch.zeros_like(h), drive, np.zeros((0, 0), np.uint32))

    def load(self, params: PathParameters, ws: PathWorkspace, v: Tensor) -> None:
        """See `Annealer.load`."""
        assert isinstance(params, PathFactors)
        assert isinstance(ws, PathBuffers)
        ws.v.copy_(v)
        ws.drive.copy_(ws.v @ (params.visible_bias - params.base_visible))

    def _fields(self, params: PathFactors, ws: PathBuffers, t: float) -> Tensor:
        return (1.0 - t) * params.base_hidden + t * (params.hidden_bias + ws.pre_hidden)

    def weigh(self, params: PathParameters, ws: PathWorkspace, log_weights: Tensor, start: float, end: float) -> None:
        """See `Annealer.weigh`."""
        assert isinstance(params, PathFactors)
        assert isinstance(ws, PathBuffers)
        torch.mm(ws.v, params.to_hidden, out=ws.pre_hidden)
        softplus = torch.nn.functional.softplus
        change = softplus(self._fields(params, ws, end)) - softplus(self._fields(params, ws, start))
        log_weights += (end - start) * ws.drive + change.sum(-1)

    def step(
        self,
        params: PathParameters,
        ws: PathWorkspace,
        log_weights: Tensor,
        start: float,
        end: float,
        stream: Stream,
        draw: int,
        first_chain: int = 0,
    ) -> None:
        """See `Annealer.step`."""
        assert isinstance(params, PathFactors)
        assert isinstance(ws, PathBuffers)
        self.weigh(params, ws, log_weights, start, end)
        hidden = torch.sigmoid(self._fields(params, ws, end))
        ws.h.copy_(stream.uniform(draw, ws.h.shape[0], ws.h.shape[1], first_chain, self.device) < hidden)
        torch.mm(ws.h, params.to_visible, out=ws.pre_visible)
        visible = torch.sigmoid((1.0 - end) * params.base_visible + end * (params.visible_bias + ws.pre_visible))
        uniform = stream.uniform(draw + 1, ws.v.shape[0], ws.v.shape[1], first_chain, self.device)
        self.load(params, ws, uniform < visible)


class _CpuAnnealer(BaseAnnealer):
    """What the two processor formats share: the fused passes around two matrix products."""

    name: str
    state_dtype: torch.dtype
    product_dtype: torch.dtype
    width: int

    @abstractmethod
    def _multiply(self, states: Tensor, factor: Tensor, out: Tensor) -> None:
        """out = states · factor in the annealer's format."""

    def workspace(self, n_chains: int, n_visible: int, n_hidden: int) -> PathBuffers:
        """See `Annealer.workspace`."""
        from rbmscape.kernels.floats.annealing_passes import scratch

        v, h = (torch.zeros(n_chains, n, dtype=self.state_dtype) for n in (n_visible, n_hidden))
        pre_v, pre_h = (torch.zeros(n_chains, self.width * n, dtype=self.product_dtype) for n in (n_visible, n_hidden))
        return PathBuffers(v, h, pre_v, pre_h, torch.zeros(n_chains, dtype=torch.float64), scratch())

    def load(self, params: PathParameters, ws: PathWorkspace, v: Tensor) -> None:
        """See `Annealer.load`."""
        assert isinstance(params, PathFactors)
        assert isinstance(ws, PathBuffers)
        ws.v.copy_(v)
        ws.drive.copy_(ws.v.to(torch.float32) @ (params.visible_bias - params.base_visible))

    def weigh(self, params: PathParameters, ws: PathWorkspace, log_weights: Tensor, start: float, end: float) -> None:
        """See `Annealer.weigh`."""
        self._hidden(params, ws, log_weights, start, end, None, 0, 0)

    def step(
        self,
        params: PathParameters,
        ws: PathWorkspace,
        log_weights: Tensor,
        start: float,
        end: float,
        stream: Stream,
        draw: int,
        first_chain: int = 0,
    ) -> None:
        """See `Annealer.step`."""
        assert isinstance(params, PathFactors)
        assert isinstance(ws, PathBuffers)
        from rbmscape.kernels.floats.annealing_passes import visible_pass

        self._hidden(params, ws, log_weights, start, end, stream, draw, first_chain)
        self._multiply(ws.h, params.to_visible, ws.pre_visible)
        visible_pass(
            ws.pre_visible.numpy(),
            params.base_visible.numpy(),
            params.visible_bias.numpy(),
            (params.scale, end),
            (ws.v.numpy(), ws.drive.numpy(), ws.words),
            (stream, draw + 1, first_chain),
        )

    def _hidden(
        self,
        params: PathParameters,
        ws: PathWorkspace,
        log_weights: Tensor,
        start: float,
        end: float,
        stream: Stream | None,
        draw: int,
        first_chain: int,
    ) -> None:
        from rbmscape.kernels.floats.annealing_passes import hidden_pass

        assert isinstance(params, PathFactors)
        assert isinstance(ws, PathBuffers)
        self._multiply(ws.v, params.to_hidden, ws.pre_hidden)
        log_weights.add_(ws.drive, alpha=end - start)
        hidden_pass(
            ws.pre_hidden.numpy(),
            params.base_hidden.numpy(),
            params.hidden_bias.numpy(),
            (params.scale, start, end),
            (ws.h.numpy(), log_weights.numpy(), ws.words),
            None if stream is None else (stream, draw, first_chain),
        )


class FloatAnnealer(_CpuAnnealer):
    """Processor, float32 products."""

    name = "fp32"
    state_dtype = torch.float32
    product_dtype = torch.float32
    width = 1

    def prepare(
        self, weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor, base_visible: Tensor, base_hidden: Tensor
    ) -> PathFactors:
        """See `Annealer.prepare`."""
        matrix = weights.detach().to("cpu", torch.float32).contiguous()
        biases = _cast((visible_bias, hidden_bias, base_visible, base_hidden), "cpu", torch.float32)
        return PathFactors(matrix, matrix.T, *biases)

    def _multiply(self, states: Tensor, factor: Tensor, out: Tensor) -> None:
        torch.mm(states, factor, out=out)


class ByteAnnealer(_CpuAnnealer):
    """Processor, products of 15-bit integers as pairs of bytes: exact sums of the rounded weights."""

    name = "bytes"
    state_dtype = torch.int8
    product_dtype = torch.int32
    width = 2

    def prepare(
        self, weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor, base_visible: Tensor, base_hidden: Tensor
    ) -> PathFactors:
        """See `Annealer.prepare`; `weights` of the result are the rounded ones."""
        matrix = weights.detach().to("cpu", torch.float64)
        scale = float(matrix.abs().max()) / _LARGEST or 1.0
        scale = float(np.float32(scale))
        integers = torch.round(matrix / scale).clamp_(-_LARGEST, _LARGEST)
        high = torch.round(integers / BASE)
        low = integers - BASE * high
        biases = _cast((visible_bias, hidden_bias, base_visible, base_hidden), "cpu", torch.float32)
        to_hidden, to_visible = torch.cat((high, low), 1), torch.cat((high.T, low.T), 1)
        return PathFactors(to_hidden.to(torch.int8), to_visible.to(torch.int8), *biases, scale)

    def _multiply(self, states: Tensor, factor: Tensor, out: Tensor) -> None:
        torch._int_mm(states, factor, out=out)


def annealer_for(engine: Engine) -> Annealer:
    """The annealer that goes with an engine of `rbmscape.kernels.select`.

    ``cpu`` gets the engine's own integers where it has precision ``fixed``, else ``bytes`` where the processor has
    8-bit dot products and ``fp32`` elsewhere or if that precision was asked for; everything else plain torch, in
    float64 on a processor and float32 on a GPU.
    """
    if engine.name != "cpu":
        dtype = torch.float64 if engine.device.type == "cpu" else torch.float32
        return ReferenceAnnealer(dtype, engine.device)
    if engine.precision == "fixed":
        from rbmscape.kernels.integers.annealing import FixedAnnealer

        return FixedAnnealer()
    if engine.precision == "fp32" or not _has_byte_products():
        return FloatAnnealer()
    return ByteAnnealer()


def _has_byte_products() -> bool:
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(feature, False) for feature in ("avx512_vnni", "avx_vnni", "amx_int8"))
