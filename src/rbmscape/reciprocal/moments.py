"""Even moments of ``2 Uᵀ(v - 1/2)`` over uniformly random bits v, streamed (arXiv:2503.21536, section 5.1).

Random bits become spins ±1, one matrix product with the mode vectors makes a block of coordinates, one fused pass adds
their second and fourth powers.  Nothing larger than a block is kept.
"""

from __future__ import annotations

from typing import Final

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.progress import Advance, silent
from rbmscape.rng import Stream

__all__ = ["BLOCK_STATES", "even_moments", "quantized"]

BLOCK_STATES: Final = 4096
CHUNK_ROWS: Final = 512  # rows summed in float32 before they are added to float64
ROWS_AT_ONCE: Final = 4
INT8_MAX: Final = 127
_SPINS = (((np.arange(256)[:, None] >> np.arange(8)) & 1) * 2 - 1).astype(np.int8).view(np.uint64)[:, 0].copy()


@numba.njit(cache=True, nogil=True, parallel=True)
def _expand(packed, table, spins):  # type: ignore[no-untyped-def]
    """Each byte becomes eight int8 spins, written as one 64-bit word."""
    for row in numba.prange(packed.shape[0]):
        for k in range(packed.shape[1]):
            spins[row, k] = table[packed[row, k]]


@numba.njit(inline="always")
def _square(value):  # type: ignore[no-untyped-def]
    x = np.float32(value)
    return x * x  # x**2 would be float64


@numba.njit(cache=True, nogil=True, parallel=True)
def _add_powers(values, sums):  # type: ignore[no-untyped-def]
    """Add the column sums of x² and x⁴ to sums (n_spans, 2, K), each span of rows to a row of its own."""
    n_rows, n_columns = values.shape
    n_spans = sums.shape[0]
    for span in numba.prange(n_spans):
        second, fourth = np.zeros(n_columns, np.float32), np.zeros(n_columns, np.float32)
        stop = (span + 1) * n_rows // n_spans
        for start in range(span * n_rows // n_spans, stop, CHUNK_ROWS):
            end = min(start + CHUNK_ROWS, stop)
            second[:] = np.float32(0.0)
            fourth[:] = np.float32(0.0)
            whole = start + (end - start) // ROWS_AT_ONCE * ROWS_AT_ONCE
            for row in range(start, whole, ROWS_AT_ONCE):
                a, b, c, d = values[row], values[row + 1], values[row + 2], values[row + 3]
                for k in range(n_columns):
                    w, x, y, z = _square(a[k]), _square(b[k]), _square(c[k]), _square(d[k])
                    second[k] += (w + x) + (y + z)
                    fourth[k] += (w * w + x * x) + (y * y + z * z)
            for row in range(whole, end):
                for k in range(n_columns):
                    w = _square(values[row, k])
                    second[k] += w
                    fourth[k] += w * w
            for k in range(n_columns):
                sums[span, 0, k] += second[k]
                sums[span, 1, k] += fourth[k]


def quantized(vectors: Tensor, precision: str) -> tuple[Tensor, Tensor]:
    """Mode vectors as the matrix product reads them.

    Parameters
    ----------
    vectors : (n, K) float64 columns
    precision : "int8" (scaled to ±127 a column), "bf16" or "fp32"

    Returns
    -------
    matrix : (n, K) int8, bfloat16 or float32
    scale : (K,) float64; ``matrix · scale`` approximates ``vectors``
    """
    if precision == "int8":
        scale = vectors.abs().max(dim=0).values / INT8_MAX
        return torch.round(vectors / scale).to(torch.int8), scale
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    return vectors.to(dtype), torch.ones(vectors.shape[1], dtype=torch.float64, device=vectors.device)


def _padded(matrix: Tensor, rows: int) -> Tensor:
    """Zero rows for the unused bits and zero columns up to a multiple of 8, which integer products ask for."""
    columns = -(-matrix.shape[1] // 8) * 8
    padded = torch.zeros(rows, columns, dtype=matrix.dtype, device=matrix.device)
    padded[: matrix.shape[0], : matrix.shape[1]] = matrix
    return padded


def _product(spins: Tensor, matrix: Tensor) -> Tensor:
    """Spins times mode vectors; int32 for int8 vectors, else float32 or bfloat16."""
    if matrix.dtype == torch.int8:
        return torch._int_mm(spins, matrix)
    return spins.to(matrix.device, matrix.dtype) @ matrix


def _powers(values: Tensor, sums: NDArray[np.float64]) -> None:
    if values.device.type == "cpu":
        _add_powers((values.float() if values.dtype == torch.bfloat16 else values).numpy(), sums)
        return
    squares = values.double().square()
    sums[0, 0] += squares.sum(dim=0).cpu().numpy()
    sums[0, 1] += squares.square().sum(dim=0).cpu().numpy()


def even_moments(
    vectors: Tensor,
    n_states: int,
    stream: Stream,
    precision: str = "fp32",
    advance: Advance = silent,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Second and fourth moment of ``Σ_k U_ki s_k`` over random spins s = ±1, about the exact mean 0.

    Parameters
    ----------
    vectors : (n, K) float64 mode vectors
    n_states : number of random states
    stream : source of the bits; block b of 4096 states takes draw b
    precision : see :func:`quantized`
    advance : called with the number of states of each block when it is done

    Returns
    -------
    two (K,) arrays; ``x = (1/2) Σ_k U_ki s_k + mean`` has moments 4 and 16 times smaller
    """
    n_bits, n_modes = vectors.shape
    words = -(-n_bits // 64)
    matrix, scale = quantized(vectors, precision)
    matrix = _padded(matrix, 64 * words)
    sums = np.zeros((max(1, torch.get_num_threads()), 2, matrix.shape[1]))
    spins = np.empty((BLOCK_STATES, 8 * words), dtype=np.uint64)
    for block, start in enumerate(range(0, n_states, BLOCK_STATES)):
        count = min(BLOCK_STATES, n_states - start)
        # integer products want more than 16 rows; rows beyond count are dropped after the product
        rows = max(count, 32)
        packed = stream.numpy(block).bit_generator.random_raw(rows * words).view(np.uint8)
        _expand(packed.reshape(rows, 8 * words), _SPINS, spins[:rows])
        _powers(_product(torch.from_numpy(spins[:rows].view(np.int8)), matrix)[:count], sums)
        advance(count)
    second, fourth = sums.sum(axis=0)[:, :n_modes] / n_states
    factor = scale.cpu().numpy()
    return second * factor**2, fourth * factor**4
