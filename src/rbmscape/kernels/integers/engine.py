r"""The fastest engine for processors with AVX-512: binary states, 16-bit weights, exact sums.

`rbmscape.kernels.rounding` has what rounding the weights does, `rbmscape.kernels.integers.amx_product` and
`rbmscape.kernels.integers.avx512_product` how the sums are made.  States live as indices while a sweep runs; `v` and
`h` are bytes, read before and written after it.  Since sums are exact, the draws do not depend on how they are made,
nor on how chains are split over calls, threads or machines.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.kernels.integers.avx512_product import TABLES
from rbmscape.kernels.integers.parameters import IntegerParameters, half_step
from rbmscape.kernels.integers.passes import passes
from rbmscape.kernels.integers.product import CHAINS, Products, aligned_zeros
from rbmscape.kernels.interface import Annealer, BoundGradient, ModelLike
from rbmscape.kernels.numba.philox import counter
from rbmscape.kernels.numba.threads import MAX_THREADS, start_threads, thread_count
from rbmscape.kernels.reference.base import BaseSampler
from rbmscape.rng import Stream

__all__ = ["IntegerEngine", "IntegerSampler", "best_products"]


def best_products() -> Products:
    """Tiles where the processor has a matrix unit for bytes, else tables."""
    from rbmscape.kernels.integers.amx_product import TILES
    from rbmscape.kernels.llvm.amx import has_tiles

    return TILES if has_tiles() else TABLES


class IntegerEngine:
    """Engine for processors with exact integer sums, precision ``fixed``."""

    name = "cpu"
    precision = "fixed"
    state_dtype = torch.uint8
    device = torch.device("cpu")

    def __init__(
        self,
        precision: str = "fixed",  # noqa: ARG002
        device: torch.device | str = "cpu",  # noqa: ARG002
        products: Products | None = None,
    ) -> None:
        self.products = best_products() if products is None else products
        start_threads()

    @classmethod
    def variants(cls, precision: str = "fixed", device: torch.device | str = "cpu") -> list[IntegerEngine]:
        """One for each way to multiply that this processor has; all draw the same states."""
        ways = dict.fromkeys((TABLES, best_products()))
        return [cls(precision, device, products) for products in ways]

    def bind(self, model: ModelLike, n_chains: int) -> IntegerSampler:
        """See `rbmscape.kernels.interface.Engine.bind`."""
        return IntegerSampler(self.products, model, n_chains)

    def annealer(self) -> Annealer:
        """``tiles`` or ``tables``, with the engine's own integers."""
        from rbmscape.kernels.integers.annealing import IntegerAnnealer

        return IntegerAnnealer(self.products)


class IntegerSampler(BaseSampler):
    """See `rbmscape.kernels.interface.BoundSampler`.

    Attributes
    ----------
    params : the rounded weights and all that goes with them
    """

    def __init__(self, products: Products, model: ModelLike, n_chains: int) -> None:
        self.params = IntegerParameters.of(products, model)
        self.exact = self.params.exact
        self.v, self.h = (torch.zeros(n_chains, n, dtype=torch.uint8) for n in self.params.shape)
        self._visible, self._hidden = (products.indices(n_chains, n) for n in self.params.shape)
        self._scratch = aligned_zeros((MAX_THREADS, products.scratch), np.uint32)
        self._passes = passes(products)

    def update(self, model: ModelLike) -> None:
        """See `BoundSampler.update`."""
        self.params.renew(model)
        self.exact = self.params.exact

    def sample_hidden(self, stream: Stream, draw: int, beta: float = 1.0, first_chain: int = 0) -> None:
        """See `BoundSampler.sample_hidden`."""
        self._pack(self.v, self._visible)
        self._draw_hidden(stream, draw, beta, first_chain)
        self._unpack(self._hidden, self.h)

    def sample_visible(self, stream: Stream, draw: int, beta: float = 1.0, first_chain: int = 0) -> None:
        """See `BoundSampler.sample_visible`."""
        self._pack(self.h, self._hidden)
        self._draw_visible(stream, draw, beta, first_chain)
        self._unpack(self._visible, self.v)

    def sweep(self, stream: Stream, first_step: int, n_steps: int, beta: float = 1.0, first_chain: int = 0) -> None:
        """See `BoundSampler.sweep`."""
        if n_steps < 1:
            return
        self._pack(self.v, self._visible)
        for step in range(first_step, first_step + n_steps):
            self._draw_hidden(stream, 2 * step, beta, first_chain)
            self._draw_visible(stream, 2 * step + 1, beta, first_chain)
        self._unpack(self._hidden, self.h)
        self._unpack(self._visible, self.v)

    def gradient(self, n_data: int) -> BoundGradient:
        """See `BoundSampler.gradient`: in a matrix unit where there is one and both phases have enough samples."""
        if self.params.products is not TABLES:
            from rbmscape.kernels.integers.amx_gradient import FEWEST, TileGradient

            if min(n_data, self.v.shape[0]) >= FEWEST:
                return TileGradient(self.params, self.v, n_data)
        from rbmscape.kernels.integers.avx512_gradient import TableGradient

        return TableGradient(self.params, self.v, n_data)

    def _draw_hidden(self, stream: Stream, draw: int, beta: float, first_chain: int) -> None:
        params = self.params
        layers = self._visible, params.to_hidden, params.exponents[1], self._hidden
        half_step(params, layers, self.v.shape[0], self._scratch, counter(stream, draw), beta, first_chain)

    def _draw_visible(self, stream: Stream, draw: int, beta: float, first_chain: int) -> None:
        params = self.params
        layers = self._hidden, params.to_visible, params.exponents[0], self._visible
        half_step(params, layers, self.v.shape[0], self._scratch, counter(stream, draw), beta, first_chain)

    def _pack(self, states: Tensor, indices: NDArray[Any]) -> None:
        threads = thread_count(states.shape[0] // CHAINS, 0.2 * states.numel())
        self._passes.pack[threads > 1](states.numpy(), indices, threads)

    def _unpack(self, indices: NDArray[Any], states: Tensor) -> None:
        threads = thread_count(states.shape[0] // CHAINS, 0.2 * states.numel())
        self._passes.unpack[threads > 1](indices, states.numpy(), threads)
