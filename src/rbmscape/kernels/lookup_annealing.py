r"""The annealing step of `rbmscape.kernels.annealing` by table lookup: two to three times as fast as byte products.

The weights are the sampler's 16-bit integers (`rbmscape.kernels.fixed_point`), of which every sum is exact, so that the
path passes exactly through the RBM of the rounded weights, as with ``fixed``; the last weight between that RBM and the
true one varies by some tenths of a nat instead of thousandths, still far less than the weights of the path.

A step is a pass over the hidden units, which weighs and draws them, a pass that sums each chain's weight over the units
in a fixed order, and the same two for the visible units, whose sum is ``(a - a0)·v``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
import torch
from numba import njit
from numpy import float32, uint16, uint32
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.kernels.annealing import PathParameters, PathWorkspace
from rbmscape.kernels.annealing_pass import decay, uniform
from rbmscape.kernels.fixed import FixedEngine, FixedParameters, counter, padded_bias, padded_chains, padded_units
from rbmscape.kernels.fixed_pass import BLOCK, GROUP, LANES, SCRATCH, TILE, fill_lanes, pack, unpack
from rbmscape.kernels.fused import compile_pass
from rbmscape.kernels.lookup import short_products
from rbmscape.kernels.threads import MAX_THREADS, thread_count
from rbmscape.rng import Stream

__all__ = ["LookupAnnealer", "LookupPath", "LookupWorkspace"]

_GROUPS = BLOCK // GROUP
_PRODUCT = 20  # groups whose 120 factors, each in [1, 2], multiply within float32
_NO_DRAW = (np.uint64(0),) * 4


@njit(inline="always")
def _hidden_lanes(pre, lane, unit, factors, base, bias, sample, words, out, parts, group, chain):  # type: ignore[no-untyped-def]
    """Weigh, and draw if asked to, six hidden units for one register of chains."""
    scale, start, end = factors
    first = (group % _GROUPS) * GROUP
    bits, linear, above, below = (
        out[group, chain : chain + LANES],
        parts[0, group, chain : chain + LANES],
        parts[1, group, chain : chain + LANES],
        parts[2, group, chain : chain + LANES],
    )
    for c in range(LANES):
        index, gain, high, low = uint32(0), float32(0.0), float32(1.0), float32(1.0)
        for k in range(GROUP):
            offset = base[unit + k]
            full = bias[unit + k] - offset + scale * float32(pre[first + k, lane + c])
            x0, x1 = offset + start * full, offset + end * full
            gain += max(x1, float32(0.0)) - max(x0, float32(0.0))
            d = decay(x1)
            factor = float32(1.0) + d
            high *= factor
            low *= float32(1.0) + decay(x0)
            if sample:
                active = uniform(words[first + k, c]) * factor < (float32(1.0) if x1 >= float32(0.0) else d)
                index |= uint32(uint32(active) << uint32(k))
        linear[c], above[c], below[c] = gain, high, low
        if sample:
            bits[c] = uint16(index)


@njit(inline="always")
def _visible_lanes(pre, lane, unit, factors, base, bias, words, out, parts, group, chain):  # type: ignore[no-untyped-def]
    """Draw six visible units for one register of chains, and their part of (a - a0)·v."""
    scale, end = factors
    first = (group % _GROUPS) * GROUP
    bits, drive = out[group, chain : chain + LANES], parts[0, group, chain : chain + LANES]
    for c in range(LANES):
        index, total = uint32(0), float32(0.0)
        for k in range(GROUP):
            difference = bias[unit + k] - base[unit + k]
            x = base[unit + k] + end * (difference + scale * float32(pre[first + k, lane + c]))
            d = decay(x)
            active = uniform(words[first + k, c]) * (float32(1.0) + d) < (float32(1.0) if x >= float32(0.0) else d)
            index |= uint32(uint32(active) << uint32(k))
            total += difference if active else float32(0.0)
        bits[c], drive[c] = uint16(index), total


def _hidden(idx, weights, factors, base, bias, sample, out, parts, scratch, counter, first_chain):  # type: ignore[no-untyped-def]
    """parts (3, groups, chains): gain, and products of 1 + exp(-|x|) at both temperatures, of each six units."""
    n_threads, chains, n_blocks = scratch.shape[0], out.shape[1], weights.shape[0] // BLOCK
    half = BLOCK * TILE // 2
    for t in numba.prange(n_threads):
        pre = scratch[t, :half].view(np.int16).reshape((BLOCK, TILE))
        words = scratch[t, half:].reshape((BLOCK, LANES))
        for block in range(t * n_blocks // n_threads, (t + 1) * n_blocks // n_threads):
            for start in range(0, chains, TILE):
                size = min(TILE, chains - start)
                short_products(idx, start, size, weights, block * BLOCK, BLOCK, pre, 0, TILE)
                for lane in range(0, size, LANES):
                    if sample:
                        fill_lanes(words, block, start + lane, counter, first_chain)
                    for g in range(_GROUPS):
                        group = _GROUPS * block + g
                        _hidden_lanes(
                            pre,
                            lane,
                            group * GROUP,
                            factors,
                            base,
                            bias,
                            sample,
                            words,
                            out,
                            parts,
                            group,
                            start + lane,
                        )


def _visible(idx, weights, factors, base, bias, out, parts, scratch, counter, first_chain):  # type: ignore[no-untyped-def]
    """parts[0] (groups, chains): (a - a0)·v of each six units."""
    n_threads, chains, n_blocks = scratch.shape[0], out.shape[1], weights.shape[0] // BLOCK
    half = BLOCK * TILE // 2
    for t in numba.prange(n_threads):
        pre = scratch[t, :half].view(np.int16).reshape((BLOCK, TILE))
        words = scratch[t, half:].reshape((BLOCK, LANES))
        for block in range(t * n_blocks // n_threads, (t + 1) * n_blocks // n_threads):
            for start in range(0, chains, TILE):
                size = min(TILE, chains - start)
                short_products(idx, start, size, weights, block * BLOCK, BLOCK, pre, 0, TILE)
                for lane in range(0, size, LANES):
                    fill_lanes(words, block, start + lane, counter, first_chain)
                    for g in range(_GROUPS):
                        group = _GROUPS * block + g
                        _visible_lanes(
                            pre, lane, group * GROUP, factors, base, bias, words, out, parts, group, start + lane
                        )


def _add_weights(parts, n_groups, log_weights, n_threads):  # type: ignore[no-untyped-def]
    """log_weights += Σ gain + ln Π above - ln Π below, unit after unit."""
    n_chains = log_weights.size
    for t in numba.prange(n_threads):
        for c in range(t * n_chains // n_threads, (t + 1) * n_chains // n_threads):
            total = 0.0
            for start in range(0, n_groups, _PRODUCT):
                above, below = float32(1.0), float32(1.0)
                for g in range(start, min(start + _PRODUCT, n_groups)):
                    total += float(parts[0, g, c])
                    above *= parts[1, g, c]
                    below *= parts[2, g, c]
                total += math.log(float(above) / float(below))
            log_weights[c] += total


def _add_drive(parts, n_groups, drive, n_threads):  # type: ignore[no-untyped-def]
    n_chains = drive.size
    for t in numba.prange(n_threads):
        for c in range(t * n_chains // n_threads, (t + 1) * n_chains // n_threads):
            total = 0.0
            for g in range(n_groups):
                total += float(parts[0, g, c])
            drive[c] = total


_HIDDEN = {parallel: compile_pass(parallel)(_hidden) for parallel in (False, True)}
_VISIBLE = {parallel: compile_pass(parallel)(_visible) for parallel in (False, True)}
_ADD_WEIGHTS = {parallel: compile_pass(parallel)(_add_weights) for parallel in (False, True)}
_ADD_DRIVE = {parallel: compile_pass(parallel)(_add_drive) for parallel in (False, True)}


@dataclass(frozen=True)
class LookupPath:
    """Both ends of a path; see `rbmscape.kernels.annealing.PathParameters`.

    Attributes
    ----------
    tables : rounded weights and biases of the model, as the sampler wants them
    base_visible, base_hidden : a0 (N,), b0 (M,)
    padded_base : both, padded to whole blocks
    """

    tables: FixedParameters
    base_visible: Tensor
    base_hidden: Tensor
    padded_base: tuple[NDArray[np.float32], NDArray[np.float32]]

    @property
    def visible_bias(self) -> Tensor:
        """(N,) a."""
        return self.tables.visible_bias

    @property
    def hidden_bias(self) -> Tensor:
        """(M,) b."""
        return self.tables.hidden_bias

    @property
    def weights(self) -> Tensor:
        """(N, M) float64 weights that the products represent exactly."""
        n_visible, n_hidden = self.tables.exact_weights.shape
        integers = self.tables.to_visible[:n_visible, :n_hidden].astype(np.int16).astype(np.float64)
        return torch.from_numpy(self.tables.scale * integers)


class LookupWorkspace:
    """States as indices, unpacked when they are asked for, and the buffers of a step."""

    def __init__(self, n_chains: int, n_visible: int, n_hidden: int) -> None:
        self.shape = n_chains, n_visible, n_hidden
        chains = padded_chains(n_chains)
        groups = [padded_units(n) // GROUP for n in (n_visible, n_hidden)]
        self.visible, self.hidden = (np.zeros((n, chains), np.uint16) for n in groups)
        self.parts = np.ones((3, max(groups), chains), np.float32)
        self.drive = torch.zeros(n_chains, dtype=torch.float64)
        self.scratch = np.zeros((MAX_THREADS, SCRATCH), np.uint32)

    @property
    def v(self) -> Tensor:
        """(n_chains, N) uint8."""
        return self._unpacked(self.visible, self.shape[1])

    @property
    def h(self) -> Tensor:
        """(n_chains, M) uint8."""
        return self._unpacked(self.hidden, self.shape[2])

    def _unpacked(self, indices: NDArray[np.uint16], n_units: int) -> Tensor:
        states = np.empty((self.shape[0], n_units), np.uint8)
        unpack[False](indices, states, 1)
        return torch.from_numpy(states)


class LookupAnnealer:
    """Processor with AVX-512, table lookup."""

    name = "lookup"

    def prepare(
        self, weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor, base_visible: Tensor, base_hidden: Tensor
    ) -> LookupPath:
        """See `rbmscape.kernels.annealing.Annealer.prepare`; `weights` of the result are the rounded ones."""
        tables = FixedEngine().prepare(weights, visible_bias, hidden_bias)
        bases = [base.detach().to("cpu", torch.float32).contiguous() for base in (base_visible, base_hidden)]
        return LookupPath(tables, bases[0], bases[1], (padded_bias(bases[0]), padded_bias(bases[1])))

    def workspace(self, n_chains: int, n_visible: int, n_hidden: int) -> LookupWorkspace:
        """See `rbmscape.kernels.annealing.Annealer.workspace`."""
        return LookupWorkspace(n_chains, n_visible, n_hidden)

    def load(self, params: PathParameters, ws: PathWorkspace, v: Tensor) -> None:
        """See `rbmscape.kernels.annealing.Annealer.load`."""
        assert isinstance(params, LookupPath)
        assert isinstance(ws, LookupWorkspace)
        pack[False](v.to(torch.uint8).contiguous().numpy(), ws.visible, 1)
        ws.drive.copy_(v.to(torch.float32) @ (params.visible_bias - params.base_visible))

    def weigh(self, params: PathParameters, ws: PathWorkspace, log_weights: Tensor, start: float, end: float) -> None:
        """See `rbmscape.kernels.annealing.Annealer.weigh`."""
        self._weigh(params, ws, log_weights, start, end, None, 0)

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
        """See `rbmscape.kernels.annealing.Annealer.step`."""
        self._weigh(params, ws, log_weights, start, end, counter(stream, draw), first_chain)
        assert isinstance(params, LookupPath)
        assert isinstance(ws, LookupWorkspace)
        tables = params.tables
        n_groups = ws.visible.shape[0]
        threads = thread_count(tables.to_visible.shape[0] // BLOCK)
        _VISIBLE[threads > 1](
            ws.hidden,
            tables.to_visible,
            (np.float32(tables.scale), np.float32(end)),
            params.padded_base[0],
            tables.biases[0],
            ws.visible,
            ws.parts,
            ws.scratch[:threads],
            counter(stream, draw + 1),
            first_chain,
        )
        _ADD_DRIVE[threads > 1](ws.parts, n_groups, ws.drive.numpy(), threads)

    def _weigh(
        self,
        params: PathParameters,
        ws: PathWorkspace,
        log_weights: Tensor,
        start: float,
        end: float,
        numbers: tuple[np.uint64, ...] | None,
        first_chain: int,
    ) -> None:
        assert isinstance(params, LookupPath)
        assert isinstance(ws, LookupWorkspace)
        tables = params.tables
        threads = thread_count(tables.to_hidden.shape[0] // BLOCK)
        _HIDDEN[threads > 1](
            ws.visible,
            tables.to_hidden,
            (np.float32(tables.scale), np.float32(start), np.float32(end)),
            params.padded_base[1],
            tables.biases[1],
            numbers is not None,
            ws.hidden,
            ws.parts,
            ws.scratch[:threads],
            _NO_DRAW if numbers is None else numbers,
            first_chain,
        )
        log_weights.add_(ws.drive, alpha=end - start)
        _ADD_WEIGHTS[threads > 1](ws.parts, ws.hidden.shape[0], log_weights.numpy(), threads)
