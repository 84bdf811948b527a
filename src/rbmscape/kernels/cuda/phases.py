"""Buffers and launches of the gradient of R models at once (`rbmscape.kernels.cuda.gradient`)."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch import Tensor

from rbmscape.kernels.cuda.models import CHAINS, EXACT, Models, States, padded, tile_on

__all__ = ["Phases"]

UNIT: Final = np.float32(2.0**30)
FEWEST: Final = 129
"""Samples of a phase with which a weighted mean has three digits."""
_TILE: Final = 64
_FINE_TILE: Final = 32
_UNITS: Final = 32
_OPTIONS: Final = {"num_warps": 4, "num_stages": 3} | EXACT


class Phases:
    """Gradient of a fixed number of data rows and of the chains.

    Parameters
    ----------
    models, states : whose gradient, and their chains
    train : (n, N) uint8, the data that minibatches are taken from
    n_data : rows of a minibatch

    Attributes
    ----------
    order : (R, n) int32, each model's order of the data
    clock : (2,) int64: the update, and the place in the order at which the minibatch begins
    data : (R, second, row) int8, the minibatch
    counts, sums : see `rbmscape.kernels.cuda.gradient`
    """

    def __init__(self, models: Models, states: States, train: Tensor, n_data: int) -> None:
        self.models, self.states, self.n_data = models, states, n_data
        shape, device = models.shape, models.device
        r = shape.models
        self.second = padded(n_data, CHAINS)
        self.places = self.second + states.chains
        self.digits = 3 if min(n_data, states.n_chains) >= FEWEST else 4
        self.train = torch.zeros(len(train), shape.visible_row, dtype=torch.int8, device=device)
        self.train.view(torch.uint8)[:, : shape.visible] = train
        self.order = torch.zeros(r, len(train), dtype=torch.int32, device=device)
        self.clock = torch.zeros(2, dtype=torch.int64, device=device)
        self.data = torch.zeros(r, self.second, shape.visible_row, dtype=torch.int8, device=device)
        self.columns = torch.zeros(r, shape.visible_row, self.places, dtype=torch.int8, device=device)
        planes = shape.hidden_row, shape.visible_row
        self.fine = torch.zeros(r, 4, *planes, dtype=torch.int8, device=device)
        self.means = torch.zeros(r, self.digits, shape.hidden_row, self.places, dtype=torch.int8, device=device)
        self.counts = torch.zeros(r, 2, shape.visible_row, dtype=torch.int32, device=device)
        self.sums = torch.zeros(r, 2, shape.hidden_row, dtype=torch.int64, device=device)

    def gather(self) -> None:
        """Take the minibatch that the clock points at, and the present chains."""
        from rbmscape.kernels.cuda import gradient

        shape, states = self.models.shape, self.states
        tile = tile_on(self.models.device, _TILE)
        grid = self.places // tile, shape.visible_row // tile, shape.models
        self.counts.zero_()
        self.sums.zero_()
        gradient.gather[grid](
            self.train, self.order, self.clock, states.v, self.data, self.columns, self.counts, self.n_data,
            states.n_chains, states.chains, self.second, self.places, self.order.shape[1], shape.visible_row,
            BLOCK=tile, **EXACT,
        )  # fmt: skip

    def correlations(self, weights: Tensor, hidden_bias: Tensor, out: Tensor) -> None:
        """out (R, N, M) = the gradient of the weights; sums become those of the hidden means."""
        from rbmscape.kernels.cuda import gradient

        shape, states, models = self.models.shape, self.states, self.models
        n, m, r = shape.visible, shape.hidden, shape.models
        sides = n, shape.visible_row, m, shape.hidden_row
        fine, few, many = (tile_on(models.device, tile) for tile in (_FINE_TILE, _UNITS, _TILE))
        tiles = -(-n // fine), -(-m // fine), r
        rows = shape.visible_row, shape.hidden_row
        gradient.fine_planes[tiles](
            weights, models.scales, self.fine, n, m, *rows, weights.stride(0), BLOCK=fine, **EXACT
        )
        blocks = {"BLOCK_M": many, "BLOCK_N": few, "BLOCK_K": many, "DIGITS": self.digits}
        gradient.hidden_means[-(-m // few), self.places // many, r](
            self.data, states.v, self.fine, models.scales, hidden_bias, self.means, self.sums,
            float(UNIT / np.float32(self.n_data)), float(-UNIT / np.float32(states.n_chains)), self.n_data,
            states.n_chains, states.chains, self.second, self.places, *sides, hidden_bias.stride(0),
            **blocks, **_OPTIONS,
        )  # fmt: skip
        gradient.correlations[-(-m // few), -(-n // many), r](
            self.columns, self.means, out, self.places, *sides, out.stride(0), **blocks, **_OPTIONS
        )

    def hidden_sums(self) -> Tensor:
        """(R, 2, M) float64 sums of the weighted hidden means: of all samples, and of the data."""
        return self.sums[:, :, : self.models.shape.hidden].to(torch.float64) / float(UNIT)

    def visible_counts(self) -> Tensor:
        """(R, 2, N) int32 active units: of the chains, and of the data."""
        return self.counts[:, :, : self.models.shape.visible]
