r"""The gradient of both phases in a matrix unit; the integers are those of `rbmscape.kernels.integers.avx512_gradient`.

The fine weights of the first product are the sampler's, ``q``, and what their rounding left, ``r``, 16 bits each:
``Σ (2**15 q + r) v``.  The weighted hidden means of the second, in units of 2**-30, have 24 bits where both phases have
at least 129 samples.

Layouts as in `rbmscape.kernels.integers.amx_product`: for the first product groups of four pixels with samples as
chains, for the second groups of four samples with pixels as chains, and the hidden means as weights.
"""

from __future__ import annotations

import numba
import numpy as np
import torch
from numba import float32, int32, uint32
from torch import Tensor

from rbmscape.kernels.integers.amx_product import SPAN, TILE, TILES, byte_products, store_columns
from rbmscape.kernels.integers.avx512_gradient import FINER, UNIT, finish
from rbmscape.kernels.integers.parameters import IntegerParameters, half_step_work
from rbmscape.kernels.integers.passes import passes
from rbmscape.kernels.integers.product import aligned_zeros
from rbmscape.kernels.interface import Gradient
from rbmscape.kernels.llvm.amx import DEPTH, UNITS, begin, end, multiplier, splitter
from rbmscape.kernels.llvm.units import LANES, powers, weighted_means
from rbmscape.kernels.numba.compile import compile_both
from rbmscape.kernels.numba.threads import MAX_THREADS, thread_count

__all__ = ["FEWEST", "TileGradient"]

FEWEST = 129
"""Samples of a phase with which the weighted means have 24 bits."""
_GROUP = 4
_MEAN_BYTES = 3
_STEP = UNITS * DEPTH
_FINER = int(FINER)
_multiply_means = multiplier(_MEAN_BYTES, 1)
_split = splitter(_MEAN_BYTES)


def _pack(states, place, by_sample, n_threads):  # type: ignore[no-untyped-def]
    """Indices of groups of four rows of the states (B, N) uint8, from a place on; rows beyond the last are 0."""
    n_rows, n_visible = states.shape
    n_groups = (n_rows + _GROUP - 1) // _GROUP
    for t in numba.prange(n_threads):
        line = np.empty(n_visible, np.uint32)
        for g in range(t * n_groups // n_threads, (t + 1) * n_groups // n_threads):
            line[:] = 0
            for k in range(min(_GROUP, n_rows - _GROUP * g)):
                row, shift = states[_GROUP * g + k], uint32(8 * k)
                for i in range(n_visible):
                    line[i] |= uint32(row[i]) << shift
            for start in range(0, n_visible, SPAN):
                size = min(SPAN, n_visible - start)
                by_sample[start // SPAN, place // _GROUP + g, :size] = line[start : start + size]


def _rests(weights, inverse, finer, out, n_threads):  # type: ignore[no-untyped-def]
    """out, layout of Wᵀ: r = rint(2**15 w / s) - 2**15 rint(w / s)."""
    n_visible, n_hidden = weights.shape
    n_strips = (n_visible + UNITS - 1) // UNITS
    for t in numba.prange(n_threads):
        rests = np.zeros((UNITS, out.shape[0] * UNITS), np.int32)
        for strip in range(t * n_strips // n_threads, (t + 1) * n_strips // n_threads):
            first = strip * UNITS
            count = min(UNITS, n_visible - first)
            for u in range(count):
                row, line = weights[first + u], rests[u]
                for j in range(n_hidden):
                    w = float(row[j])
                    line[j] = int32(np.rint(w * finer)) - int32(_FINER) * int32(np.rint(w * inverse))
            rests[count:] = 0
            store_columns(rests, first, out)


def _hidden_means(by_pixel, weights, rests, slope, fields, row_weights, n_first, scratch, means, sums):  # type: ignore[no-untyped-def]
    """means, bytes of rint(2**30 w_s σ(b_j + Σ_i v_si W_ij)); sums (M, 2): over all samples, over the data.

    slope, fields : as in `rbmscape.kernels.integers.avx512_gradient`; n_first : places of the data, a multiple of 32
    """
    n_threads = scratch.shape[0]
    n_hidden, n_places = fields.size, row_weights.size
    padded, steps = by_pixel.shape[0] * SPAN, means.shape[1]
    for t in numba.prange(n_threads):
        begin()
        coarse, fine = scratch[t, 0], scratch[t, 1]
        line = np.zeros(TILE, np.int32)
        for block in range(t * means.shape[0] // n_threads, (t + 1) * means.shape[0] // n_threads):
            first = block * UNITS
            count = min(UNITS, n_hidden - first)
            sums[first : first + count] = 0
            for start in range(0, padded, TILE):
                size = min(TILE, padded - start)
                byte_products(by_pixel, start, size, weights, block, coarse)
                byte_products(by_pixel, start, size, rests, block, fine)
                size = min(TILE, n_places - start)
                n_data = min(max(n_first - start, 0), size)
                scaled = row_weights[start : start + size]
                for u in range(count):
                    above, below = coarse[TILE * u : TILE * (u + 1)], fine[TILE * u : TILE * (u + 1)]
                    for s in range(size):
                        above[s] = int32(_FINER) * above[s] + below[s]
                    for s in range(0, size, LANES):
                        weighted_means(above, s, slope, fields, first + u, scaled, s, line)
                    positive, negative = 0, 0
                    for s in range(n_data):
                        positive += line[s]
                    for s in range(n_data, size):
                        negative += line[s]
                    sums[first + u, 0] += positive + negative
                    sums[first + u, 1] += positive
                    for s in range(0, size, LANES):
                        step, place = (start + s) // DEPTH, (start + s) % DEPTH
                        at = (block * steps + step) * _MEAN_BYTES * _STEP + DEPTH * u + place
                        _split(line, s, means, at)
        end()


def _correlations(by_sample, means, scratch, out):  # type: ignore[no-untyped-def]
    """out (N, M) = 2**-30 Σ_s v_si means_js."""
    n_threads = scratch.shape[0]
    n_visible, n_hidden = out.shape
    n_blocks, steps = means.shape[0], means.shape[1]
    length = by_sample.shape[1] * SPAN * 4
    for t in numba.prange(n_threads):
        begin()
        pre = scratch[t, 0]
        for block in range(t * n_blocks // n_threads, (t + 1) * n_blocks // n_threads):
            first = block * UNITS
            count = min(UNITS, n_hidden - first)
            for begun in range(0, by_sample.shape[0] * SPAN, TILE):
                width = min(TILE, by_sample.shape[0] * SPAN - begun)
                for pixel in range(0, width, SPAN):
                    span = (begun + pixel) // SPAN
                    at = block * steps * _MEAN_BYTES * _STEP
                    _multiply_means(means, at, by_sample, span * length, length, steps, pre, pixel, TILE)
                for i in range(min(width, n_visible - begun)):
                    row = out[begun + i, first : first + count]
                    for u in range(count):
                        row[u] = float32(pre[TILE * u + i]) * (float32(1.0) / UNIT)
        end()


_PACK = compile_both(_pack)
_RESTS = compile_both(_rests)
_HIDDEN_MEANS = compile_both(_hidden_means)
_CORRELATIONS = compile_both(_correlations)


class TileGradient:
    """See `rbmscape.kernels.interface.BoundGradient`; in a matrix unit, both phases of at least `FEWEST` samples."""

    def __init__(self, params: IntegerParameters, model: Tensor, n_data: int) -> None:
        self._params, self._model = params, model
        (n_visible, n_hidden), n_chains = params.shape, model.shape[0]
        self._n_first, n_second = (TILES.padded_chains(n) for n in (n_data, n_chains))
        n_places = self._n_first + n_second
        self._by_pixel, self._by_sample = TILES.indices(n_places, n_visible), TILES.indices(n_visible, n_places)
        self._rests, _ = TILES.allocate(n_visible, n_hidden)
        blocks, steps = self._rests.shape[0], self._by_sample.shape[1] * _GROUP // DEPTH
        self._means = aligned_zeros((blocks, steps, _MEAN_BYTES, UNITS, DEPTH), np.uint8)
        self._sums = np.zeros((n_hidden, 2), np.int64)
        self._scratch = aligned_zeros((MAX_THREADS, 2, UNITS * TILE), np.int32)
        self._row_weights = np.zeros(n_places, np.float32)
        self._row_weights[:n_data] = UNIT / n_data
        self._row_weights[self._n_first : self._n_first + n_chains] = -UNIT / n_chains

    def compute(self, data: Tensor, out: Gradient) -> Tensor:
        """See `BoundGradient.compute`."""
        params, model = self._params, self._model
        threads = thread_count(self._means.shape[0], half_step_work(params, len(data) + len(model)))
        parallel, scratch = threads > 1, self._scratch[:threads]
        for place, states in ((0, data), (self._n_first, model)):
            rows = states.to(torch.uint8).contiguous().numpy()
            passes(TILES).pack[parallel](rows, self._by_pixel[place // SPAN :], threads)
            _PACK[parallel](rows, place, self._by_sample, threads)
        unit = params.scale / FINER
        _RESTS[parallel](params.exact.weights.numpy(), 1.0 / params.scale, 1.0 / unit, self._rests, threads)
        _HIDDEN_MEANS[parallel](
            self._by_pixel,
            params.to_hidden,
            self._rests,
            *powers(unit, params.exact.hidden_bias.numpy()),
            self._row_weights,
            self._n_first,
            scratch,
            self._means,
            self._sums,
        )
        _CORRELATIONS[parallel](self._by_sample, self._means, scratch, out.weights.numpy())
        return finish(self._sums, data, model, out)
