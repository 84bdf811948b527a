"""The way from the gradient to the next parameters in two passes; `rbmscape.kernels.reference.descent` defines it.

Passes are compiled without leave to fuse or reorder, since every operation is rounded by itself there.
"""

from __future__ import annotations

import functools

import numba
import numpy as np
from numpy import float32, float64, int64
from torch import Tensor

from rbmscape.kernels.interface import Gradient
from rbmscape.kernels.numba.compile import Kernel, compile_both
from rbmscape.kernels.numba.threads import MAX_THREADS, thread_count
from rbmscape.kernels.reference.descent import (
    BIASES,
    CARRIED,
    LARGEST_SQUARE,
    SQUARE_UNIT,
    SUM_UNIT,
    TILE,
    DescentRule,
    Numbers,
    ReferenceDescent,
    coefficients,
)

__all__ = ["IntegerDescent"]

CENTERED, CLIPPED, PENALISED, AVERAGED = True, True, True, True
SGD, MOMENTUM, NESTEROV, ADAM, RMSPROP = range(5)
KIND = SGD
_KINDS = dict(zip(CARRIED, (SGD, MOMENTUM, NESTEROV, ADAM, RMSPROP), strict=True))
_PIECE = 2048


def _finish_weights(ascent, weights, visible, hidden, mu, mean, l1, l2, rows, columns, squares, tiles):  # type: ignore[no-untyped-def]  # noqa: C901, PLR0912
    """Penalties, centring and all sums of the weights' gradient, in bands of as many rows as a tile has.

    rows (N,), columns (threads, M), tiles (bands, tiles of M) int64, in their units; squares (threads, M) int64 scratch
    """
    n_threads = columns.shape[0]
    n_rows, n_columns = ascent.shape
    n_bands = tiles.shape[0]
    for t in numba.prange(n_threads):
        column, square = columns[t], squares[t]
        column[:] = 0
        for band in range(t * n_bands // n_threads, (t + 1) * n_bands // n_threads):
            square[:] = 0
            for i in range(band * TILE, min((band + 1) * TILE, n_rows)):
                line, given = ascent[i], weights[i]
                share, offset, total = visible[i], mu[i], int64(0)
                wide_offset = float64(offset) * SUM_UNIT
                if PENALISED:
                    for j in range(n_columns):
                        w, x = given[j], line[j]
                        x = x - (float32(w > float32(0.0)) - float32(w < float32(0.0))) * l1
                        line[j] = x - w * l2
                if CENTERED:
                    for j in range(n_columns):
                        x = line[j] - offset * hidden[j]
                        line[j] = x - share * mean[j]
                    for j in range(n_columns):
                        total += int64(np.rint(float64(line[j]) * (float64(mean[j]) * SUM_UNIT)))
                    for j in range(n_columns):
                        column[j] += int64(np.rint(float64(line[j]) * wide_offset))
                if CLIPPED:
                    for j in range(n_columns):
                        wide = float64(line[j])
                        square[j] += int64(np.rint(min(wide * wide, LARGEST_SQUARE) * SQUARE_UNIT))
                rows[i] = total
            if CLIPPED:
                for tile in range(tiles.shape[1]):
                    tiles[band, tile] = square[tile * TILE : (tile + 1) * TILE].sum()


@numba.njit
def _by_halves(terms):  # type: ignore[no-untyped-def]
    """See `rbmscape.kernels.reference.descent.by_halves`; overwrites the terms, a power of two of them."""
    half = terms.size // 2
    while half:
        for k in range(half):
            terms[k] += terms[half + k]
        half //= 2
    return terms[0]


def _finish_biases(visible, hidden, rows, columns, tiles, block, terms):  # type: ignore[no-untyped-def]
    """Centre the biases' gradients and return the squared length of all; block, terms : float64 scratch."""
    for ascent, sums in ((visible, rows), (hidden, columns)):
        for k in range(ascent.size):
            if CENTERED:
                ascent[k] = ascent[k] - float32(float64(sums[k]) / SUM_UNIT)
    if not CLIPPED:
        return 0.0
    terms[:] = 0.0
    for k in range(tiles.size):
        terms[k] = float64(tiles.flat[k]) / SQUARE_UNIT
    n_blocks = (max(visible.size, hidden.size) + BIASES - 1) // BIASES
    for first in range(n_blocks):
        for side, ascent in enumerate((visible, hidden)):
            block[:] = 0.0
            for k in range(first * BIASES, min((first + 1) * BIASES, ascent.size)):
                block[k - first * BIASES] = float64(ascent[k]) * float64(ascent[k])
            terms[tiles.size + 2 * first + side] = _by_halves(block)
    return _by_halves(terms)


def _step(values, ascents, averages, firsts, seconds, factor, step, root, weight, momentum, rest1, beta2, rest2, epsilon, n_threads):  # type: ignore[no-untyped-def]  # fmt: skip  # noqa: C901, PLR0912, E501
    """The optimiser's step and the average of (n,) parameters, in pieces that stay in the first cache.

    Loops of two or three arrays are what the compiler turns into vector code.
    """
    n_pieces = (values.size + _PIECE - 1) // _PIECE
    one, half = float32(1.0), float32(0.5)
    for t in numba.prange(n_threads):
        for piece in range(t * n_pieces // n_threads, (t + 1) * n_pieces // n_threads):
            first, last = piece * _PIECE, min((piece + 1) * _PIECE, values.size)
            value, way, mean = values[first:last], ascents[first:last], averages[first:last]
            old, older = firsts[first:last], seconds[first:last]
            for k in range(value.size):
                way[k] = way[k] * factor
            if KIND == ADAM:
                for k in range(value.size):
                    old[k] = old[k] + (way[k] - old[k]) * rest1
                for k in range(value.size):
                    older[k] = older[k] * beta2 + way[k] * way[k] * rest2
                for k in range(value.size):
                    way[k] = old[k] / (np.sqrt(older[k]) / root + epsilon)
            elif KIND == RMSPROP:
                for k in range(value.size):
                    old[k] = old[k] * beta2 + way[k] * way[k] * rest2
                for k in range(value.size):
                    way[k] = way[k] / (np.sqrt(old[k]) + epsilon)
            elif KIND != SGD:
                for k in range(value.size):
                    old[k] = old[k] * momentum + way[k]
                for k in range(value.size):
                    way[k] = way[k] + old[k] * momentum if KIND == NESTEROV else old[k]
            for k in range(value.size):
                value[k] = value[k] - way[k] * step
            if AVERAGED and weight < half:
                for k in range(value.size):
                    mean[k] = mean[k] + (value[k] - mean[k]) * weight
            elif AVERAGED:
                for k in range(value.size):
                    mean[k] = value[k] - (value[k] - mean[k]) * (one - weight)


@functools.cache
def _passes(optimizer: str, centered: bool, clipped: bool, penalised: bool, averaged: bool) -> list[dict[bool, Kernel]]:
    """All passes for a recipe; compiled when they are first called."""
    ends = {"CENTERED": centered, "CLIPPED": clipped}
    choices = (
        (_finish_weights, ends | {"PENALISED": penalised}),
        (_finish_biases, ends),
        (_step, {"KIND": _KINDS[optimizer], "AVERAGED": averaged}),
    )
    return [
        compile_both(source, chosen, "_".join(str(int(one)) for one in chosen.values()), exact=True)
        for source, chosen in choices
    ]


class IntegerDescent(ReferenceDescent):
    """See `rbmscape.kernels.reference.descent`; on processors."""

    def __init__(
        self, rule: DescentRule, parameters: list[Tensor], average: list[Tensor], visible_offset: Tensor
    ) -> None:
        super().__init__(rule, parameters, average, visible_offset)
        penalised = rule.l1 != 0.0 or rule.l2 != 0.0
        self._passes = _passes(rule.optimizer, rule.centered, rule.longest > 0.0, penalised, rule.averaged)
        n, m = parameters[0].shape
        self._rows = np.zeros(n, np.int64)
        self._columns, self._squares = (np.zeros((MAX_THREADS, m), np.int64) for _ in range(2))
        self._tiles = np.zeros((-(-n // TILE), -(-m // TILE)), np.int64)
        self._block = np.zeros(BIASES)
        n_terms = self._tiles.size + 2 * -(-max(n, m) // BIASES)
        self._terms = np.zeros(1 << (n_terms - 1).bit_length())

    def _finish(self, gradient: Gradient, hidden_offset: Tensor) -> float:
        threads = thread_count(len(self._tiles), gradient.weights.numel())
        columns = self._columns[:threads]
        weights, *biases = (one.numpy() for one in gradient.tensors)
        offsets = self.visible_offset.numpy(), hidden_offset.numpy()
        penalties = np.float32(self.rule.l1), np.float32(self.rule.l2)
        own = self._rows, columns, self._squares[:threads], self._tiles
        finish_weights, finish_biases, _ = self._passes
        finish_weights[threads > 1](weights, self._parameters[0].numpy(), *biases, *offsets, *penalties, *own)
        scratch = self._tiles, self._block, self._terms
        return float(finish_biases[False](*biases, self._rows, columns.sum(0), *scratch))

    def _step(self, place: int, ascent: Tensor, factor: float, numbers: Numbers) -> None:
        rule, value = self.rule, self._parameters[place]
        carried = [slot[place] for slot in self.slots.values()] or [value]
        arrays = value, ascent, self._average[place], carried[0], carried[-1]
        options = factor, numbers.step, numbers.root, numbers.weight, *coefficients(rule)
        threads = thread_count(-(-value.numel() // _PIECE), value.numel())
        self._passes[2][threads > 1](
            *(one.numpy().reshape(-1) for one in arrays), *(np.float32(one) for one in options), threads
        )
