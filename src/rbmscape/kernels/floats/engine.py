"""The engine for processors: matrix products by torch (oneDNN), everything else in one fused Numba pass.

bf16 is worth it where the processor multiplies bf16 natively (AMX or AVX512-BF16); states 0 and 1 are exact in it,
the weights and the pre-activations are rounded to 8 significant bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.kernels.floats.passes import threshold
from rbmscape.kernels.interface import Annealer, ModelLike
from rbmscape.kernels.numba.philox import BLOCK, counter
from rbmscape.kernels.numba.threads import MAX_THREADS, start_threads, thread_count
from rbmscape.kernels.reference.base import BaseSampler, cast
from rbmscape.rng import Stream

__all__ = ["FloatEngine", "FloatSampler"]


class FloatEngine:
    """Fused engine for processors, precision ``bf16`` or ``fp32``."""

    name = "cpu"
    device = torch.device("cpu")

    def __init__(self, precision: str = "fp32", device: torch.device | str = "cpu") -> None:  # noqa: ARG002
        self.precision = precision
        self.state_dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        start_threads()

    def bind(self, model: ModelLike, n_chains: int) -> FloatSampler:
        """See `rbmscape.kernels.interface.Engine.bind`."""
        return FloatSampler(self.precision, self.state_dtype, model, n_chains)

    def annealer(self) -> Annealer:
        """``bytes`` where the processor has 8-bit dot products, ``fp32`` elsewhere or where that is the precision."""
        from rbmscape.kernels.floats.annealing import ByteAnnealer, FloatAnnealer, has_byte_products

        return FloatAnnealer() if self.precision == "fp32" or not has_byte_products() else ByteAnnealer()


def _as_numpy(tensor: Tensor) -> NDArray[Any]:
    """The same memory as a NumPy array, bfloat16 as its 16 bits."""
    bits = tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor
    return bits.numpy()


class FloatSampler(BaseSampler):
    """See `rbmscape.kernels.interface.BoundSampler`.

    Attributes
    ----------
    weights : (N, M) as the products take them, in the dtype of the states
    """

    def __init__(self, precision: str, dtype: torch.dtype, model: ModelLike, n_chains: int) -> None:
        self._passes = threshold(precision)
        n_visible, n_hidden = model.weights.shape
        self.v, self.h = (torch.zeros(n_chains, n, dtype=dtype) for n in (n_visible, n_hidden))
        self._pre_visible, self._pre_hidden = torch.zeros_like(self.v), torch.zeros_like(self.h)
        self._words = np.zeros((MAX_THREADS, BLOCK), dtype=np.uint32)
        self._visible = _as_numpy(self._pre_visible), _as_numpy(self.v)
        self._hidden = _as_numpy(self._pre_hidden), _as_numpy(self.h)
        self._rounded = None if dtype == torch.float32 else torch.empty(n_visible, n_hidden, dtype=dtype)
        self.update(model)

    def update(self, model: ModelLike) -> None:
        """See `BoundSampler.update`."""
        self.exact = cast(model, torch.float32, "cpu")
        exact = self.exact.weights
        self.weights = exact if self._rounded is None else self._rounded.copy_(exact)
        self._visible_bias, self._hidden_bias = self.exact.visible_bias.numpy(), self.exact.hidden_bias.numpy()

    def sample_hidden(self, stream: Stream, draw: int, beta: float = 1.0, first_chain: int = 0) -> None:
        """See `BoundSampler.sample_hidden`."""
        torch.mm(self.v, self.weights, out=self._pre_hidden)
        self._threshold(self._hidden, self._hidden_bias, stream, draw, beta, first_chain)

    def sample_visible(self, stream: Stream, draw: int, beta: float = 1.0, first_chain: int = 0) -> None:
        """See `BoundSampler.sample_visible`."""
        torch.mm(self.h, self.weights.T, out=self._pre_visible)
        self._threshold(self._visible, self._visible_bias, stream, draw, beta, first_chain)

    def _threshold(
        self,
        views: tuple[NDArray[Any], NDArray[Any]],
        bias: NDArray[np.float32],
        stream: Stream,
        draw: int,
        beta: float,
        first_chain: int,
    ) -> None:
        source, target = views
        threads = thread_count(source.shape[0], source.size)
        words, numbers = self._words[:threads], counter(stream, draw)
        self._passes[threads > 1](source, bias, np.float32(beta), target, words, *numbers, first_chain)
