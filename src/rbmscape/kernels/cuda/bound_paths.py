"""Buffers and launches of annealing paths of R models at once (`rbmscape.kernels.cuda.paths`)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Self

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
        self.models = models
        self.biases = self._padded(biases)
        self.bases = self._padded(bases)
        self._take(states)

    def _take(self, states: States) -> None:
        shape = self.models.shape
        self.states = states
        self.tiles = _narrow(choose_tiles(self.models, states))
        self._counts = -(-shape.hidden // self.tiles.hidden), -(-shape.visible // self.tiles.visible)
        self.drive = torch.zeros(shape.models, states.n_chains, dtype=torch.float64, device=self.models.device)

    def at(self, states: States) -> Self:
        """The same paths at other chains."""
        other = copy.copy(self)
        other._take(states)
        return other

    @classmethod
    def joined(cls, parts: Sequence[Paths], n_chains: int, step: int) -> Paths:
        """Those of several as one, with chains of their own, padded to a multiple of `step`."""
        models = Models.joined([part.models for part in parts])
        states = States(models.shape, n_chains, models.device, step)
        n, m = models.shape.visible, models.shape.hidden

        def whole(pairs: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
            visible, hidden = (torch.cat(side) for side in zip(*pairs, strict=True))
            return visible[:, :n], hidden[:, :m]

        return cls(models, states, whole([part.biases for part in parts]), whole([part.bases for part in parts]))

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
        drives = (temperatures[:, 1:] - temperatures[:, :1]) * self.drive
        return self._weighed(temperatures, self._each, both=True) + drives

    def log_density(self, looks: Sequence[tuple[int, int]] | None = None) -> Tensor:
        """(looks, n_chains) ln f at t = 1 in one launch.

        Parameters
        ----------
        looks : whose chains and whose model; by default each model at its own chains
        """
        device = self.models.device
        ends = torch.ones(self.models.shape.models, 2, dtype=torch.float64, device=device)
        meant = self._each if looks is None else torch.tensor(looks, dtype=torch.int32, device=device)
        return self._weighed(ends, meant, both=False)

    @property
    def _each(self) -> Tensor:
        number = torch.arange(self.models.shape.models, dtype=torch.int32, device=self.models.device)
        return torch.stack((number, number), 1)

    def _weighed(self, temperatures: Tensor, looks: Tensor, both: bool) -> Tensor:
        from rbmscape.kernels.cuda.paths import weigh

        models, states, shape, tiles = self.models, self.states, self.models.shape, self.tiles
        grid = self._counts[0], -(-states.n_chains // tiles.chains), len(looks)
        shares = self._empty(len(looks), 1, self._counts[0] + 1)
        weigh[grid](
            states.v, models.to_hidden, models.hidden_spill, models.flags[:, 1], self.biases[0], self.bases[1],
            self.biases[1], shares, models.scales, temperatures.contiguous(), looks, states.chains, shape.visible,
            shape.visible_row, shape.hidden, shape.hidden_row, BOTH=both, BLOCK_M=tiles.chains, BLOCK_N=tiles.hidden,
            BLOCK_K=tiles.depth, **tiles.options,
        )  # fmt: skip
        return self._sum(shares[:, :, :-1] if both else shares)[:, 0]

    def _empty(self, n_sets: int, n_steps: int, n_tiles: int) -> Tensor:
        size = n_sets, n_steps, n_tiles, self.states.chains
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
        shares, drives = (self._empty(shape.models, n_steps, count) for count in self._counts)
        if members > 1:
            states.counters.zero_()
        anneal[shape.models * blocks * members,](
            states.v, states.h, models.to_hidden, models.to_visible, models.visible_spill, models.hidden_spill,
            models.flags[:, 1], self.bases[0], self.biases[0], self.bases[1], self.biases[1], shares, drives,
            models.scales, temperatures, states.numbers, states.counters, n_steps, members, blocks, states.chains,
            shape.visible, shape.visible_row, shape.hidden, shape.hidden_row, SHARED=members > 1, BLOCK_M=tiles.chains,
            BLOCK_N=tiles.hidden, BLOCK_V=tiles.visible, BLOCK_K=tiles.depth, **tiles.meeting,
        )  # fmt: skip
        states.numbers[:, 3] += 2 * n_steps
        drive = torch.cat((self.drive[:, None], self._sum(drives)), 1)
        self.drive = drive[:, -1]
        return self._sum(shares) + temperatures.diff(dim=1)[:, :, None] * drive[:, :-1]


def _narrow(tiles: Tiles) -> Tiles:
    hidden = min(tiles.hidden, _WIDEST)
    return replace(tiles, hidden=hidden, visible=min(tiles.visible, _WIDEST), members=max(1, tiles.members))
