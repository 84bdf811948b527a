"""Data as scikit-learn's estimators take them, as bits: values between 0 and 1 are probabilities of a 1."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rbmscape.data.dataset import Dataset

__all__ = ["as_bits", "as_dataset", "is_binary"]


def is_binary(values: Any) -> bool:
    """Whether all entries of an array or a sparse matrix are 0 or 1."""
    stored = values.data if hasattr(values, "toarray") else values
    return bool(np.isin(stored, (0, 1)).all())


def as_bits(values: Any, rng: np.random.Generator, n_draws: int = 1) -> NDArray[np.uint8]:
    """(n_draws n, N) bits; each entry between 0 and 1 is drawn as a 1 with that probability, anew in every draw.

    Parameters
    ----------
    values : (n, N), dense or sparse; entries outside of [0, 1] count as the nearer end, with a warning
    rng : draws the bits
    n_draws : copies of the rows; one is enough where all entries are bits
    """
    dense = np.asarray(values.toarray() if hasattr(values, "toarray") else values)
    if is_binary(dense):
        return dense.astype(np.uint8)
    if dense.min() < 0.0 or dense.max() > 1.0:
        warnings.warn(
            f"values between {dense.min():g} and {dense.max():g} were clipped to [0, 1], where they are probabilities "
            "of a 1; scale them, or make them 0 and 1 with a threshold",
            UserWarning,
            stacklevel=3,
        )
        dense = dense.clip(0.0, 1.0)
    return np.concatenate([(rng.random(dense.shape) < dense).astype(np.uint8) for _ in range(n_draws)])


def as_dataset(bits: NDArray[np.uint8]) -> Dataset:
    """The rows as a data set without test rows."""
    return Dataset(name="array", train=bits, test=np.empty((0, bits.shape[1]), dtype=np.uint8))
