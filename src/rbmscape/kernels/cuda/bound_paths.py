"""Buffers and launches of annealing paths of R models at once (`rbmscape.kernels.cuda.paths`)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor

from rbmscape.kernels.cuda.launch import Tiles, choose_tiles
from rbmscape.kernels.cuda.models import Models, States

__all__ = ["Paths"]

_WIDEST: Final = 64
"""Units of a tile whose factors, each at most 2, multiply within float32."""


class Paths:
    """R paths from independent units to the given models, and chains on them.

    Parameters
    ----------
    models, states : where the paths end, and the chains; the states' numbers belong to the paths
    visible_bias, hidden_bias : (R, N), (R, M) float32 of the models
    visible_base, hidden_base : the same of the independent units

    Attributes
    ----------
    at_once : steps of one launch, whose shares of the log weights wait on the device to be added up
    """

    at_once = 64

    def __init__(
        self, models: Models, states: States, biases: tuple[Tensor, Tensor], bases: tuple[Tensor, Tensor]
    ) -> None:
        self.models, self.states = models, states
        self.biases = self._padded(biases)
        self.bases = self._padded(bases)
        self.tiles = _narrow(choose_tiles(models, states))
        shape = models.shape
        self._counts = -(-shape.hidden // self.tiles.hidden), -(-shape.visible // self.tiles.visible)
        self.drive = torch.zeros(shape.models, states.n_chains, dtype=torch.float64, device=models.device)

    def _padded(self, pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        shape = self.models.shape
        rows = shape.visible_row, shape.hidden_row
        first, second = (
            torch.nn.functional.pad(one, (0, row - one.shape[1])).contiguous()
            for one, row in zip(pair, rows, strict=True)
        )
        return first, second

    def load(self, v: Tensor) -> None:
        """States (R, n_chains, N), entries 0 and 1."""
        self.states.visible.copy_(v)
        n = self.models.shape.visible
        difference = (self.biases[0] - self.bases[0])[:, :n]
        torch.sum(v.to(torch.float64) * difference[:, None].to(torch.float64), -1, out=self.drive)

    def weigh(self, temperatures: Tensor) -> Tensor:
        """(R, n_chains) ln f at the second of (R, 2) temperatures, minus that at the first."""
        return self._softplus(temperatures, both=True) + (temperatures[:, 1:] - temperatures[:, :1]) * self.drive

    def log_density(self) -> Tensor:
        """(R, n_chains) ln f at t = 1."""
        shape = self.models.shape
        ends = torch.ones(shape.models, 2, dtype=torch.float64, device=self.models.device)
        bias = self.biases[0][:, None, : shape.visible].to(torch.float64)
        return self._softplus(ends, both=False) + (self.states.visible.to(torch.float64) * bias).sum(-1)

    def _softplus(self, temperatures: Tensor, both: bool) -> Tensor:
        from rbmscape.kernels.cuda.paths import weigh

        models, states, shape, tiles = self.models, self.states, self.models.shape, self.tiles
        grid = self._counts[0], -(-states.n_chains // tiles.chains), shape.models
        shares = self._empty(1, self._counts[0])
        weigh[grid](
            states.v, models.to_hidden, models.hidden_spill, models.flags[:, 1], self.bases[1], self.biases[1], shares,
            models.scales, temperatures.contiguous(), states.chains, shape.visible, shape.visible_row, shape.hidden,
            shape.hidden_row, BOTH=both, BLOCK_M=tiles.chains, BLOCK_N=tiles.hidden, BLOCK_K=tiles.depth,
            **tiles.options,
        )  # fmt: skip
        return self._sum(shares)[:, 0]

    def _empty(self, n_steps: int, n_tiles: int) -> Tensor:
        size = self.models.shape.models, n_steps, n_tiles, self.states.chains
        return torch.empty(size, dtype=torch.float64, device=self.models.device)

    def _sum(self, shares: Tensor) -> Tensor:
        """Over the tiles, in their order, whatever the number of models and chains."""
        total = shares[:, :, 0].clone()
        for tile in range(1, shares.shape[2]):
            total += shares[:, :, tile]
        return total[:, :, : self.states.n_chains]

    def walk(self, temperatures: Tensor) -> Tensor:
        """Weigh and move from each temperature to the next.

        Parameters
        ----------
        temperatures : (R, steps + 1) float64

        Returns
        -------
        (R, steps, n_chains) float64, what each step adds to the log weights; `States.numbers` moves on by two draws a
        step
        """
        n_steps = temperatures.shape[1] - 1
        parts = [
            self._walk(temperatures[:, first : min(first + self.at_once, n_steps) + 1].contiguous())
            for first in range(0, n_steps, self.at_once)
        ]
        return torch.cat(parts, 1)

    def _walk(self, temperatures: Tensor) -> Tensor:
        from rbmscape.kernels.cuda.paths import anneal

        models, states, shape, tiles = self.models, self.states, self.models.shape, self.tiles
        n_steps, blocks = temperatures.shape[1] - 1, -(-states.n_chains // tiles.chains)
        members = max(1, tiles.members)
        shares, drives = self._empty(n_steps, self._counts[0]), self._empty(n_steps, self._counts[1])
        options: dict[str, Any] = dict(tiles.options)
        if members > 1:
            states.counters.zero_()
            options["launch_cooperative_grid"] = tiles.cooperative
        anneal[shape.models * blocks * members,](
            states.v, states.h, models.to_hidden, models.to_visible, models.visible_spill, models.hidden_spill,
            models.flags[:, 1], self.bases[0], self.biases[0], self.bases[1], self.biases[1], shares, drives,
            models.scales, temperatures, states.numbers, states.counters, n_steps, members, blocks, states.chains,
            shape.visible, shape.visible_row, shape.hidden, shape.hidden_row, SHARED=members > 1, BLOCK_M=tiles.chains,
            BLOCK_N=tiles.hidden, BLOCK_V=tiles.visible, BLOCK_K=tiles.depth, **options,
        )  # fmt: skip
        states.numbers[:, 3] += 2 * n_steps
        drive = torch.cat((self.drive[:, None], self._sum(drives)), 1)
        self.drive = drive[:, -1]
        return self._sum(shares) + temperatures.diff(dim=1)[:, :, None] * drive[:, :-1]


def _narrow(tiles: Tiles) -> Tiles:
    hidden = min(tiles.hidden, _WIDEST)
    return replace(tiles, hidden=hidden, visible=min(tiles.visible, _WIDEST), members=max(1, tiles.members))
