"""The engine for processors: matrix products by torch (oneDNN), everything else in one fused Numba pass.

bf16 is worth it where the processor multiplies bf16 natively (AMX or AVX512-BF16); states 0 and 1 are exact in it,
the weights and the pre-activations are rounded to 8 significant bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.kernels.floats.passes import BLOCK, threshold
from rbmscape.kernels.interface import BaseEngine, Parameters, Workspace
from rbmscape.kernels.numba.threads import MAX_THREADS, start_threads, thread_count
from rbmscape.rng import Stream

__all__ = ["CpuEngine", "CpuWorkspace"]


def _as_numpy(tensor: Tensor) -> NDArray[Any]:
    """The same memory as a NumPy array, bfloat16 as its 16 bits."""
    bits = tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor
    return bits.numpy()


@dataclass(frozen=True, slots=True)
class CpuWorkspace(Workspace):
    """Buffers of `Workspace`, the pre-activations, random words for each thread, and NumPy views of them."""

    pre_visible: Tensor
    pre_hidden: Tensor
    words: NDArray[np.uint32]
    visible_views: tuple[NDArray[Any], NDArray[Any]]
    hidden_views: tuple[NDArray[Any], NDArray[Any]]


class CpuEngine(BaseEngine):
    """Fused engine for processors, precision ``bf16`` or ``fp32``."""

    name = "cpu"

    def __init__(self, precision: str = "fp32") -> None:
        self.precision = precision
        self.state_dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self.device = torch.device("cpu")
        start_threads()

    def workspace(self, n_chains: int, n_visible: int, n_hidden: int) -> CpuWorkspace:
        """See `Engine.workspace`."""
        v, h = (torch.zeros(n_chains, n, dtype=self.state_dtype) for n in (n_visible, n_hidden))
        pre_visible, pre_hidden = torch.zeros_like(v), torch.zeros_like(h)
        words = np.zeros((MAX_THREADS, BLOCK), dtype=np.uint32)
        visible, hidden = (_as_numpy(pre_visible), _as_numpy(v)), (_as_numpy(pre_hidden), _as_numpy(h))
        return CpuWorkspace(v, h, pre_visible, pre_hidden, words, visible, hidden)

    def sample_hidden(
        self, params: Parameters, ws: Workspace, stream: Stream, draw: int, beta: float = 1.0, first_chain: int = 0
    ) -> None:
        """See `Engine.sample_hidden`."""
        assert isinstance(ws, CpuWorkspace)
        torch.mm(ws.v, params.weights, out=ws.pre_hidden)
        self._threshold(ws.hidden_views, params.hidden_bias, ws.words, stream, draw, beta, first_chain)

    def sample_visible(
        self, params: Parameters, ws: Workspace, stream: Stream, draw: int, beta: float = 1.0, first_chain: int = 0
    ) -> None:
        """See `Engine.sample_visible`."""
        assert isinstance(ws, CpuWorkspace)
        torch.mm(ws.h, params.weights.T, out=ws.pre_visible)
        self._threshold(ws.visible_views, params.visible_bias, ws.words, stream, draw, beta, first_chain)

    def _threshold(
        self,
        views: tuple[NDArray[Any], NDArray[Any]],
        bias: Tensor,
        words: NDArray[np.uint32],
        stream: Stream,
        draw: int,
        beta: float,
        first_chain: int,
    ) -> None:
        source, target = views
        threads = thread_count(source.shape[0])
        low, high = stream.key
        threshold(self.precision, threads > 1)(
            source,
            bias.numpy(),
            np.float32(beta),
            target,
            words[:threads],
            np.uint64(low),
            np.uint64(high),
            np.uint64(draw),
            np.uint64(stream.id),
            first_chain,
        )
