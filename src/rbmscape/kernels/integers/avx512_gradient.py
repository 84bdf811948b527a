r"""The gradient of both phases by table lookup: states are bits, hidden means 32-bit integers, sums exact.

The two matrix products of equation 6 of arXiv:2503.21536 have a binary factor each, ``v W`` and ``vᵀ (w p)``.  The
first takes the weights as integers of a unit 2**-15 times that of the sampler, the second the weighted hidden means
``w_s p_sj`` in units of 2**-30, so that a sum over all samples, which lies between -1 and 1, fits.  Both are as fine as
float32, and the result is the same for any number of threads.

Layouts as in `rbmscape.kernels.llvm.avx512_lookup`: for the first product groups of five pixels with samples as lanes,
for the second groups of five samples with pixels as lanes.  The hidden means are produced in the layout of the second
product's weights, (M, samples).
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import torch
from numpy import float32, int32, uint32
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.kernels.integers.parameters import IntegerParameters, half_step_work
from rbmscape.kernels.interface import Gradient
from rbmscape.kernels.llvm.avx512_lookup import INT, int_products
from rbmscape.kernels.llvm.units import powers, weighted_means
from rbmscape.kernels.numba.compile import compile_both
from rbmscape.kernels.numba.threads import MAX_THREADS, thread_count

__all__ = ["FINER", "UNIT", "TableGradient", "finish"]

GROUP, LANES, TILE = INT.group, INT.lanes, INT.tile
BLOCK = 16
"""Units that a thread treats at a time: a cache line of the gradient's rows."""
FINER = 2.0**15
UNIT = np.float32(2.0**30)


def _pack(data, model, by_pixel, by_sample, n_threads):  # type: ignore[no-untyped-def]
    """Indices of both products from the states (B, N) and (C, N) uint8.

    by_pixel (groups of pixels, samples), by_sample (groups of samples, pixels), int32, padding stays 0
    """
    n_data, n_visible = data.shape
    n_samples = n_data + model.shape[0]
    for t in numba.prange(n_threads):
        n_groups = by_sample.shape[0]
        for g in range(t * n_groups // n_threads, (t + 1) * n_groups // n_threads):
            index = by_sample[g]
            index[:] = 0
            for k in range(min(GROUP, n_samples - g * GROUP)):
                s = g * GROUP + k
                row = data[s] if s < n_data else model[s - n_data]
                for i in range(n_visible):
                    index[i] |= int32(int32(row[i]) << int32(k))
        n_spans = (n_samples + LANES - 1) // LANES
        for span in range(t * n_spans // n_threads, (t + 1) * n_spans // n_threads):
            last = min((span + 1) * LANES, n_samples)
            for g in range(by_pixel.shape[0]):
                low, high = g * GROUP, min((g + 1) * GROUP, n_visible)
                for s in range(span * LANES, last):
                    row = data[s] if s < n_data else model[s - n_data]
                    bits = uint32(0)
                    for i in range(low, high):
                        bits |= uint32(uint32(row[i]) << uint32(i - low))
                    by_pixel[g, s] = int32(bits)


def _transposed(weights, inverse, out, n_threads):  # type: ignore[no-untyped-def]
    """out (M, N, padded) = rint(Wᵀ / unit)."""
    n_visible, n_hidden = weights.shape
    n_spans = (n_visible + BLOCK - 1) // BLOCK
    for t in numba.prange(n_threads):
        for span in range(t * n_spans // n_threads, (t + 1) * n_spans // n_threads):
            low, high = span * BLOCK, min((span + 1) * BLOCK, n_visible)
            for j in range(n_hidden):
                row = out[j]
                for i in range(low, high):
                    row[i] = int32(np.rint(float(weights[i, j]) * inverse))


def _hidden_means(by_pixel, weights, slope, fields, row_weights, n_data, scratch, means, sums):  # type: ignore[no-untyped-def]
    """means (M, samples) = rint(2**30 w_s σ(b_j + Σ_i v_si W_ij)); sums (M, 2): over all samples, over the data.

    slope, fields : of t = -x / ln 2, the field of the hidden unit, in the product
    """
    n_threads = scratch.shape[0]
    n_hidden, n_places = fields.size, row_weights.size
    n_blocks = means.shape[0] // BLOCK
    padded = by_pixel.shape[1]
    for t in numba.prange(n_threads):
        pre = scratch[t].reshape((BLOCK, TILE))
        for block in range(t * n_blocks // n_threads, (t + 1) * n_blocks // n_threads):
            first = block * BLOCK
            count = min(BLOCK, n_hidden - first)
            for start in range(0, padded, TILE):
                int_products(by_pixel, start, min(TILE, padded - start), weights, first, BLOCK, pre, 0, TILE)
                for u in range(count):
                    for s in range(start, min(start + TILE, padded), LANES):
                        weighted_means(
                            pre, TILE * u + s - start, slope, fields, first + u, row_weights, s, means[first + u]
                        )
            for u in range(count):
                positive, negative = 0, 0
                for s in range(n_data):
                    positive += means[first + u, s]
                for s in range(n_data, n_places):
                    negative += means[first + u, s]
                sums[first + u, 0], sums[first + u, 1] = positive + negative, positive


def _correlations(by_sample, means, scratch, out):  # type: ignore[no-untyped-def]
    """out (N, M) = 2**-30 Σ_s v_si means_js."""
    n_threads = scratch.shape[0]
    n_visible, n_hidden = out.shape
    n_blocks = means.shape[0] // BLOCK
    padded = by_sample.shape[1]
    for t in numba.prange(n_threads):
        pre = scratch[t].reshape((BLOCK, TILE))
        for block in range(t * n_blocks // n_threads, (t + 1) * n_blocks // n_threads):
            first = block * BLOCK
            count = min(BLOCK, n_hidden - first)
            for start in range(0, padded, TILE):
                int_products(by_sample, start, min(TILE, padded - start), means, first, BLOCK, pre, 0, TILE)
                for i in range(min(TILE, n_visible - start)):
                    row = out[start + i, first : first + count]
                    for u in range(count):
                        row[u] = float32(pre[u, i]) * (float32(1.0) / UNIT)


_PACK = compile_both(_pack)
_TRANSPOSED = compile_both(_transposed)
_HIDDEN_MEANS = compile_both(_hidden_means)
_CORRELATIONS = compile_both(_correlations)


def _round_up(count: int, step: int) -> int:
    return -(-count // step) * step


class TableGradient:
    """See `rbmscape.kernels.interface.BoundGradient`; by table lookup."""

    def __init__(self, params: IntegerParameters, model: Tensor, n_data: int) -> None:
        self._params, self._model = params, model
        (n_visible, n_hidden), n_chains = params.shape, model.shape[0]
        n_samples = n_data + n_chains
        self._n_data = n_data
        pixels, samples, hidden = (
            _round_up(n_visible, GROUP),
            _round_up(n_samples, GROUP),
            _round_up(n_hidden, BLOCK),
        )
        self._by_pixel = np.zeros((pixels // GROUP, _round_up(n_samples, LANES)), np.int32)
        self._by_sample = np.zeros((samples // GROUP, _round_up(n_visible, LANES)), np.int32)
        self._weights = np.zeros((hidden, pixels), np.int32)
        columns = max(samples, self._by_pixel.shape[1])
        self._means = np.zeros((hidden, columns), np.int32)
        self._sums = np.zeros((n_hidden, 2), np.int64)
        self._scratch = np.zeros((MAX_THREADS, BLOCK * TILE), np.int32)
        self._row_weights = np.zeros(columns, np.float32)
        self._row_weights[:n_samples] = -UNIT / n_chains
        self._row_weights[:n_data] = UNIT / n_data

    def compute(self, data: Tensor, out: Gradient) -> Tensor:
        """See `BoundGradient.compute`."""
        params, model = self._params, self._model
        threads = thread_count(self._means.shape[0] // BLOCK, half_step_work(params, len(data) + len(model)))
        parallel, scratch = threads > 1, self._scratch[:threads]
        states: tuple[NDArray[Any], NDArray[Any]] = data.to(torch.uint8).numpy(), model.to(torch.uint8).numpy()
        _PACK[parallel](*states, self._by_pixel, self._by_sample, threads)
        unit = params.scale / FINER
        _TRANSPOSED[parallel](params.exact.weights.numpy(), 1.0 / unit, self._weights, threads)
        _HIDDEN_MEANS[parallel](
            self._by_pixel,
            self._weights,
            *powers(unit, params.exact.hidden_bias.numpy()),
            self._row_weights,
            self._n_data,
            scratch,
            self._means,
            self._sums,
        )
        _CORRELATIONS[parallel](self._by_sample, self._means, scratch, out.weights.numpy())
        return finish(self._sums, data, model, out)


def finish(sums: NDArray[np.int64], data: Tensor, model: Tensor, out: Gradient) -> Tensor:
    """Gradients of the biases from the sums of the hidden means; returns those of the data."""
    means = torch.from_numpy(sums).to(torch.float64) / float(UNIT)
    out.hidden_bias.copy_(means[:, 0])
    out.visible_bias.copy_(_counts(data) / len(data) - _counts(model) / len(model))
    return means[:, 1].to(out.hidden_bias.dtype)


def _counts(states: Tensor) -> Tensor:
    """How many rows are 1, for each column; bytes hold the sums of 255 rows, and adding bytes is four times as fast."""
    rows = states.to(torch.uint8).numpy()
    parts = [rows[start : start + 255].sum(0, dtype=np.uint8) for start in range(0, len(rows), 255)]
    return torch.from_numpy(np.sum(parts, 0, dtype=np.int32)).to(torch.float32)
