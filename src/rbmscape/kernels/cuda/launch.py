"""How the kernels of `rbmscape.kernels.cuda.sweeps` are cut into programs, and their launches."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any, Final

import torch

from rbmscape.kernels.cuda.models import EXACT, ROW, Models, States

__all__ = ["Tiles", "choose_tiles", "draw_hidden", "draw_visible", "sweep"]


_MOST_NUMBERS: Final = 2**20
"""Of one tensor of Triton's."""


@dataclass(frozen=True, slots=True)
class Tiles:
    """Sizes of the tiles and what a program is made of.

    Attributes
    ----------
    chains : chains of a tile
    hidden, visible : units of a tile where that layer is drawn
    depth : units of the given layer that are multiplied at a time
    warps, stages : of a program
    members : programs that share a block of chains in a sweep; 0 makes a launch of every half-step
    """

    chains: int = 64
    hidden: int = 32
    visible: int = 32
    depth: int = 64
    warps: int = 4
    stages: int = 4
    members: int = 1

    @property
    def options(self) -> dict[str, Any]:
        """Of a launch; without contraction of multiplications and additions."""
        return {"num_warps": self.warps, "num_stages": self.stages} | EXACT

    @property
    def meeting(self) -> dict[str, Any]:
        """Of a launch whose members meet: the driver makes sure that all of them run at once."""
        return self.options | ({"launch_cooperative_grid": True} if self.members > 1 else {})


@functools.cache
def _processors(device: torch.device) -> int:
    """Multiprocessors, 1 under the interpreter."""
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 1


_FEW: Final = Tiles(chains=64, hidden=64, visible=64, depth=128, stages=3)
_FEW_RECORDED: Final = Tiles(chains=64, hidden=32, visible=32, depth=128, stages=3, members=0)
_MANY: Final = Tiles(chains=128, hidden=64, visible=64, depth=64, stages=3)
_MANY_RECORDED: Final = Tiles(chains=128, hidden=64, visible=64, depth=64, stages=4, members=0)
_MANY_AT_ONCE: Final = 2
"""Programs of `_MANY` that a multiprocessor holds."""


def choose_tiles(models: Models, states: States, *, recorded: bool = False) -> Tiles:
    """The quickest of the tiles that `benchmarks/gpu.py` measured on an H200; the interpreter likes few and large ones.

    Parameters
    ----------
    recorded : whether the launches become part of a graph, where one for each half-step costs less than programs that
        meet; launched one by one they cost more than the work
    """
    if models.device.type != "cuda":
        layers = models.shape.hidden, models.shape.visible
        most = min(ROW, _MOST_NUMBERS // states.step)
        hidden, visible = (min(most, max(16, 1 << (units - 1).bit_length())) for units in layers)
        return Tiles(chains=states.step, hidden=hidden, visible=visible, depth=max(hidden, visible))
    smaller = min(models.shape.visible, models.shape.hidden)
    many = _groups(models, states, _MANY) * -(-smaller // _MANY.hidden) > _processors(models.device)
    if recorded:
        return _MANY_RECORDED if many else _FEW_RECORDED
    tiles, at_once = (_MANY, _MANY_AT_ONCE) if many else (_FEW, 1)
    return replace(tiles, members=_members(models, states, tiles, at_once))


def _groups(models: Models, states: States, tiles: Tiles) -> int:
    return models.shape.models * max(1, -(-states.n_chains // tiles.chains))


def _members(models: Models, states: States, tiles: Tiles, at_once: int) -> int:
    """As many as can run at once, so many on each multiprocessor, and as have something to do."""
    shape = models.shape
    most = max(-(-shape.hidden // tiles.hidden), -(-shape.visible // tiles.visible))
    return max(1, min(most, at_once * _processors(models.device) // _groups(models, states, tiles)))


def _half_step(models: Models, states: States, to_hidden: bool, offset: int, tiles: Tiles) -> None:
    from rbmscape.kernels.cuda.sweeps import half_step

    shape = models.shape
    layers = (shape.visible, shape.visible_row), (shape.hidden, shape.hidden_row)
    if to_hidden:
        given, drawn = layers
        tensors = states.v, models.to_hidden, models.hidden_fields, models.hidden_spill, states.h
        units = tiles.hidden
    else:
        drawn, given = layers
        tensors = states.h, models.to_visible, models.visible_fields, models.visible_spill, states.v
        units = tiles.visible
    grid = -(-drawn[0] // units), -(-states.n_chains // tiles.chains), shape.models
    common = models.slopes, models.flags[:, 1], states.numbers, states.chains
    blocks = {"BLOCK_M": tiles.chains, "BLOCK_N": units, "BLOCK_K": tiles.depth}
    half_step[grid](*tensors, *common, *given, *drawn, offset, **blocks, **tiles.options)


def draw_hidden(models: Models, states: States, offset: int = 0, tiles: Tiles | None = None) -> None:
    """h given v, with the draw of `States.numbers` plus the offset."""
    _half_step(models, states, True, offset, tiles or choose_tiles(models, states))


def draw_visible(models: Models, states: States, offset: int = 0, tiles: Tiles | None = None) -> None:
    """v given h."""
    _half_step(models, states, False, offset, tiles or choose_tiles(models, states))


def sweep(models: Models, states: States, n_steps: int, tiles: Tiles | None = None, offset: int = 0) -> None:
    """n_steps Gibbs steps, the first with the draw of `States.numbers`, which stays as it is, plus the offset."""
    tiles = tiles or choose_tiles(models, states)
    if tiles.members == 0:
        for step in range(n_steps):
            draw_hidden(models, states, offset + 2 * step, tiles)
            draw_visible(models, states, offset + 2 * step + 1, tiles)
        return
    from rbmscape.kernels.cuda.sweeps import sweeps

    shape = models.shape
    blocks = -(-states.n_chains // tiles.chains)
    if tiles.members > 1:
        states.counters.zero_()
    sweeps[shape.models * blocks * tiles.members,](
        states.v, states.h, models.to_hidden, models.to_visible, models.visible_fields, models.hidden_fields,
        models.visible_spill, models.hidden_spill, models.slopes, models.flags[:, 1], states.numbers, states.counters,
        n_steps, offset, tiles.members, blocks, states.chains, shape.visible, shape.visible_row, shape.hidden,
        shape.hidden_row, SHARED=tiles.members > 1, BLOCK_M=tiles.chains, BLOCK_N=tiles.hidden, BLOCK_V=tiles.visible,
        BLOCK_K=tiles.depth, **tiles.meeting,
    )  # fmt: skip
