r"""Weights of rows: how often a row counts, in training and in likelihoods.

Weights that are whole numbers say how often a row is there: training with them is training with every row repeated,
bit for bit.  Other weights matter up to a common factor; they are scaled to the mean 1, so that a pass over the data
takes as many rows as there are.  In each pass row i stands ``⌊c_i + u⌋ - ⌊c_{i-1} + u⌋`` times, with c the running sum
of the weights and u uniform in [0, 1): its weight on average, and never more than 1 away from it (systematic sampling).

Shapes: weights are (n,) float64, not negative.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rbmscape.arrays import number_array
from rbmscape.data.packed import chosen_rows
from rbmscape.errors import DataError

__all__ = [
    "as_weights",
    "merged_rows",
    "multiplicities",
    "represented",
    "rows_a_pass",
]

FloatArray = NDArray[np.float64]

MOST_ROWS_A_PASS: Final = 2**31
"""Rows in one pass over the data beyond which weights are refused, since each of them takes memory."""


def as_weights(weights: Any, n_samples: int, where: str) -> FloatArray | None:
    """(n_samples,) checked weights; None stays None.

    Raises
    ------
    DataError : another length, a weight that is negative or not finite, only zeros, or whole numbers that stand for
        more rows than there can be in a pass
    """
    if weights is None:
        return None
    array = np.asarray(number_array(weights, where), dtype=np.float64)
    if array.shape != (n_samples,):
        raise DataError(f"{where}: shape {array.shape} for {n_samples} rows; give one weight a row")
    wrong = ~(np.isfinite(array) & (array >= 0))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(f"{where}: the weight {array[row]} of row {row} (counted from 0) is no number from 0 on")
    if not array.any():
        raise DataError(f"{where}: all weights are 0; give at least one row a weight above it")
    with np.errstate(over="ignore"):
        total = array.sum()
        usable = np.isfinite(total) and np.isfinite(len(array) / total)
    if not usable or rows_a_pass(array, len(array)) > MOST_ROWS_A_PASS:
        found = (
            f"whole weights that stand for {total:.3g} rows" if usable else "weights at the end of what numbers hold"
        )
        raise DataError(f"{where}: {found}; divide them by their mean, which is as good in all but the number of rows")
    return array


def _scaled(weights: FloatArray) -> FloatArray:
    """Whole weights as they are, others with the mean 1."""
    return weights if (weights == np.rint(weights)).all() else weights * (len(weights) / weights.sum())


def rows_a_pass(weights: FloatArray | None, n_rows: int) -> int:
    """Rows in one pass over the data."""
    return n_rows if weights is None else int(np.rint(_scaled(weights).sum()))


def multiplicities(weights: FloatArray, offset: float = 0.5) -> NDArray[np.int64]:
    """(n,) how often each row stands in a pass with this offset u in [0, 1)."""
    total = rows_a_pass(weights, len(weights))
    edges = np.floor(np.cumsum(_scaled(weights)) + offset)
    edges[-1] = total  # where rounding of the sum would lose or add a row
    return np.diff(np.minimum(edges, total), prepend=0.0).astype(np.int64)


def represented(rows: Any, weights: FloatArray | None) -> Any:
    """The rows of a pass, each as often as it counts, packed if they were; without weights the rows themselves."""
    if weights is None:
        return rows
    return chosen_rows(rows, np.repeat(np.arange(len(rows)), multiplicities(weights)))


def merged_rows(rows: NDArray[np.uint8], weights: FloatArray | None) -> tuple[NDArray[np.uint8], FloatArray | None]:
    """Each distinct row once, in the order of first appearance, and the sum of its weights."""
    rows = np.asarray(rows)
    if not len(rows):
        return rows, None
    _, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    sums = np.bincount(inverse.reshape(-1), weights=weights, minlength=len(first)).astype(np.float64)
    order = np.argsort(first)
    return rows[first[order]], sums[order]
