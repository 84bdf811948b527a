r"""The fastest engine for processors with AVX-512: binary states, 16-bit weights, exact sums by table lookup.

`rbmscape.kernels.lookup` has the idea, `rbmscape.kernels.fixed_point` what rounding the weights does.  States live as
six-bit indices while a sweep runs; `Workspace.v` and `Workspace.h` are bytes, read before and written after it.
Since sums are exact, the draws do not depend on how chains are split over calls, threads or machines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.kernels.engine import BaseEngine, Parameters, Workspace
from rbmscape.kernels.fixed_pass import (
    BLOCK,
    GROUP,
    LANES,
    SCRATCH,
    draw_units,
    largest_sums,
    pack,
    round_weights,
    unpack,
)
from rbmscape.kernels.fixed_point import LARGEST, coarse_factor, next_scale, scale_for
from rbmscape.kernels.threads import MAX_THREADS, start_threads, thread_count
from rbmscape.rng import Stream

if TYPE_CHECKING:
    from rbmscape.kernels.phases import Phases

__all__ = [
    "FixedEngine",
    "FixedParameters",
    "FixedWorkspace",
    "counter",
    "half_step",
    "padded_bias",
    "padded_chains",
    "padded_units",
]


@dataclass(frozen=True, slots=True)
class FixedParameters(Parameters):
    """`Parameters` with the rounded weights in both layouts of `rbmscape.kernels.lookup`.

    Attributes
    ----------
    to_hidden, to_visible : (M, N), (N, M) int32, padded
    biases : visible and hidden ones, padded
    sums : scratch of the rounding, (threads, 2, M)
    scale : value of one unit
    """

    to_hidden: NDArray[np.int32]
    to_visible: NDArray[np.int32]
    biases: tuple[NDArray[np.float32], NDArray[np.float32]]
    sums: NDArray[np.int32]
    scale: float


@dataclass(frozen=True, slots=True)
class FixedWorkspace(Workspace):
    """`Workspace` with the states as indices and scratch for each thread."""

    visible: NDArray[np.uint16]
    hidden: NDArray[np.uint16]
    scratch: NDArray[np.uint32]


def padded_units(n_units: int) -> int:
    """Units in whole blocks."""
    return -(-n_units // BLOCK) * BLOCK


def padded_chains(n_chains: int) -> int:
    """Chains in whole registers."""
    return max(1, -(-n_chains // LANES)) * LANES


def padded_bias(bias: Tensor) -> NDArray[np.float32]:
    """A bias with zeros behind it up to a whole block."""
    padded = np.zeros(padded_units(bias.shape[0]), dtype=np.float32)
    padded[: bias.shape[0]] = bias.numpy()
    return padded


class FixedEngine(BaseEngine):
    """Table-lookup engine for processors, precision ``fixed``."""

    name = "cpu"
    precision = "fixed"
    state_dtype = torch.uint8
    device = torch.device("cpu")

    def __init__(self) -> None:
        start_threads()

    def workspace(self, n_chains: int, n_visible: int, n_hidden: int) -> FixedWorkspace:
        """See `Engine.workspace`."""
        v, h = (torch.zeros(n_chains, n, dtype=torch.uint8) for n in (n_visible, n_hidden))
        padded = padded_chains(n_chains)
        visible, hidden = (np.zeros((padded_units(n) // GROUP, padded), dtype=np.uint16) for n in (n_visible, n_hidden))
        return FixedWorkspace(v, h, visible, hidden, np.zeros((MAX_THREADS, SCRATCH), dtype=np.uint32))

    def prepare(
        self, weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor, out: Parameters | None = None
    ) -> FixedParameters:
        """See `Engine.prepare`; `weights` of the result are the caller's, the tables hold the rounded ones."""
        exact, a, b = (x.detach().to("cpu", torch.float32).contiguous() for x in (weights, visible_bias, hidden_bias))
        n_visible, n_hidden = exact.shape
        if isinstance(out, FixedParameters):
            to_hidden, to_visible, sums = out.to_hidden, out.to_visible, out.sums
        else:
            visible, hidden = padded_units(n_visible), padded_units(n_hidden)
            to_hidden, to_visible = (np.zeros(shape, np.int32) for shape in ((hidden, visible), (visible, hidden)))
            sums = np.zeros((MAX_THREADS, 2, n_hidden), np.int32)
        scale = _round(exact.numpy(), to_hidden, to_visible, sums)
        biases = padded_bias(a), padded_bias(b)
        return FixedParameters(exact, a, b, exact, to_hidden, to_visible, biases, sums, scale)

    def sample_hidden(
        self, params: Parameters, ws: Workspace, stream: Stream, draw: int, beta: float = 1.0, first_chain: int = 0
    ) -> None:
        """See `Engine.sample_hidden`."""
        assert isinstance(params, FixedParameters)
        assert isinstance(ws, FixedWorkspace)
        _pack(ws.v, ws.visible)
        _draw_hidden(params, ws, stream, draw, beta, first_chain)
        _unpack(ws.hidden, ws.h)

    def sample_visible(
        self, params: Parameters, ws: Workspace, stream: Stream, draw: int, beta: float = 1.0, first_chain: int = 0
    ) -> None:
        """See `Engine.sample_visible`."""
        assert isinstance(params, FixedParameters)
        assert isinstance(ws, FixedWorkspace)
        _pack(ws.h, ws.hidden)
        _draw_visible(params, ws, stream, draw, beta, first_chain)
        _unpack(ws.visible, ws.v)

    def sweep(
        self,
        params: Parameters,
        ws: Workspace,
        stream: Stream,
        first_step: int,
        n_steps: int,
        beta: float = 1.0,
        first_chain: int = 0,
    ) -> None:
        """See `Engine.sweep`."""
        assert isinstance(params, FixedParameters)
        assert isinstance(ws, FixedWorkspace)
        if n_steps < 1:
            return
        _pack(ws.v, ws.visible)
        for step in range(first_step, first_step + n_steps):
            _draw_hidden(params, ws, stream, 2 * step, beta, first_chain)
            _draw_visible(params, ws, stream, 2 * step + 1, beta, first_chain)
        _unpack(ws.hidden, ws.h)
        _unpack(ws.visible, ws.v)

    def phases(self, n_data: int, n_chains: int, n_visible: int, n_hidden: int) -> Phases:
        """See `Engine.phases`."""
        from rbmscape.kernels.fixed_phases import FixedPhases

        return FixedPhases(n_data, n_chains, n_visible, n_hidden)


def _round(
    weights: NDArray[np.float32],
    to_hidden: NDArray[np.int32],
    to_visible: NDArray[np.int32],
    sums: NDArray[np.int32],
) -> float:
    """Fill both tables and return the scale, that of `rbmscape.kernels.fixed_point.round_to_fixed`."""
    threads = thread_count(min(sums.shape[0], weights.shape[0]))
    columns, rows, parallel = sums[:threads], np.zeros(threads, np.int32), threads > 1
    n_units = max(weights.shape)
    factor = coarse_factor(float(np.abs(weights).max()), n_units)
    if factor == 0.0:
        to_hidden[:], to_visible[:] = 0, 0
        return 1.0
    largest_sums[parallel](weights, np.float32(factor), columns, rows)
    scale = scale_for(_largest(columns, rows), factor, n_units)
    while True:
        round_weights[parallel](weights, 1.0 / scale, to_hidden, to_visible, columns, rows)
        if _largest(columns, rows) <= LARGEST:
            return scale
        scale = next_scale(scale)


def _largest(columns: NDArray[np.int32], rows: NDArray[np.int32]) -> int:
    return max(int(columns.sum(0).max()), int(rows.max()))


def _pack(states: Tensor, indices: NDArray[np.uint16]) -> None:
    threads = thread_count(states.shape[0] // LANES)
    pack[threads > 1](states.numpy(), indices, threads)


def _unpack(indices: NDArray[np.uint16], states: Tensor) -> None:
    threads = thread_count(states.shape[0] // LANES)
    unpack[threads > 1](indices, states.numpy(), threads)


def _draw_hidden(
    params: FixedParameters, ws: FixedWorkspace, stream: Stream, draw: int, beta: float, first_chain: int
) -> None:
    layers = ws.visible, params.to_hidden, params.biases[1], ws.hidden
    half_step(layers, params.scale, ws.scratch, stream, draw, beta, first_chain)


def _draw_visible(
    params: FixedParameters, ws: FixedWorkspace, stream: Stream, draw: int, beta: float, first_chain: int
) -> None:
    layers = ws.hidden, params.to_visible, params.biases[0], ws.visible
    half_step(layers, params.scale, ws.scratch, stream, draw, beta, first_chain)


def counter(stream: Stream, draw: int) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """Key, draw and stream as the passes want them."""
    low, high = stream.key
    return np.uint64(low), np.uint64(high), np.uint64(draw), np.uint64(stream.id)


def half_step(
    layers: tuple[NDArray[Any], NDArray[np.int32], NDArray[np.float32], NDArray[Any]],
    scale: float,
    scratch: NDArray[np.uint32],
    stream: Stream,
    draw: int,
    beta: float = 1.0,
    first_chain: int = 0,
) -> None:
    """Draw one layer given the other: indices of the given one, weights and bias to the drawn one, its indices."""
    source, weights, bias, target = layers
    threads = thread_count(weights.shape[0] // BLOCK)
    draw_units[threads > 1](
        source,
        weights,
        np.float32(scale),
        np.float32(beta),
        bias,
        target,
        scratch[:threads],
        counter(stream, draw),
        first_chain,
    )
