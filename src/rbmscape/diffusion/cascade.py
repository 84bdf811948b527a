r"""The cascade of instabilities along training: when each dressed singular value crosses 1/β.

At activities m, n the paramagnetic state loses stability along a mode when a singular value of
diag(m(1-m))^½ W diag(n(1-n))^½ exceeds 1/β: βλ_i = 4 at activities 1/2, where a boson of eq. (40) of arXiv:2503.21536
turns unstable.  Singular values are taken in order of size at each checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rbmscape.brief import OneLine
from rbmscape.checks import check_count, check_positive
from rbmscape.diffusion.bosons import dressed_singular_values
from rbmscape.diffusion.reference import ReferenceKind, reference_point
from rbmscape.errors import InputError, ShapeError
from rbmscape.model.arrays import Arrays
from rbmscape.model.rbm import RBM

__all__ = ["Cascade", "cascade", "crossings"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Cascade(OneLine):
    """Stability of the first modes along training.

    Attributes
    ----------
    updates : (T,)
    dressed : (T, K) dressed singular values, falling; unstable where β times them exceeds 1
    n_unstable : (T,) number of unstable modes, all counted
    crossing : (K,) update at which β·dressed first exceeds 1, interpolated linearly in ln(1 + update); NaN: never
    beta : inverse temperature
    reference : at which activities
    """

    updates: NDArray[np.int64]
    dressed: FloatArray
    n_unstable: NDArray[np.int64]
    crossing: FloatArray
    beta: float
    reference: str

    def _headline(self) -> str:
        crossed = int(np.isfinite(self.crossing).sum())
        return (
            f"{crossed} of {self.crossing.size} followed modes become unstable, {int(self.n_unstable[-1])} unstable at "
            f"update {int(self.updates[-1])}, about {self.reference}, beta {self.beta:g}"
        )


def crossings(updates: ArrayLike, values: ArrayLike, threshold: float) -> FloatArray:
    """First update at which each column exceeds the threshold, linear in ln(1 + update) between checkpoints.

    Parameters
    ----------
    updates : (T,) increasing
    values : (T, K)

    Returns
    -------
    (K,); the first update where a column starts above, NaN where it never exceeds
    """
    times = np.log1p(np.asarray(updates, dtype=np.float64))
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] != times.size:
        raise ShapeError(f"crossings need one row a checkpoint, got {table.shape} for {times.size}; transpose them")
    found = np.full(table.shape[1], np.nan)
    for column in range(table.shape[1]):
        above = np.flatnonzero(table[:, column] > threshold)
        if above.size == 0:
            continue
        row = int(above[0])
        time = times[0]
        if row > 0:
            low, high = table[row - 1, column], table[row, column]
            time = times[row - 1] + (times[row] - times[row - 1]) * (threshold - low) / (high - low)
        found[column] = np.expm1(time)
    return found


def cascade(
    models: Iterable[tuple[int, RBM]],
    reference: ReferenceKind = "data",
    *,
    data: Arrays | None = None,
    beta: float = 1.0,
    n_modes: int = 20,
) -> Cascade:
    """Dressed singular values of the first modes and the updates at which they cross the threshold.

    Parameters
    ----------
    models : (update, model) of the checkpoints in order; read one at a time
    reference, data : at which activities the singular values are dressed, see `reference_point`
    beta : inverse temperature, > 0
    n_modes : how many are kept

    Raises
    ------
    InputError : no checkpoint, or beta not above 0
    DataError, NotConvergedError : the reference cannot be made
    """
    beta = check_positive("beta", beta)
    check_count("n_modes", n_modes)
    updates, rows, unstable = [], [], []
    for update, rbm in models:
        dressed = dressed_singular_values(rbm, reference_point(rbm, reference, data, beta))
        updates.append(int(update))
        rows.append(dressed[:n_modes])
        unstable.append(int((beta * dressed > 1).sum()))
    if not rows:
        raise InputError("a cascade needs at least one checkpoint, got none; pass (update, model) pairs")
    table = np.stack(rows)
    return Cascade(
        updates=np.asarray(updates),
        dressed=table,
        n_unstable=np.asarray(unstable),
        crossing=crossings(updates, table, 1 / beta),
        beta=beta,
        reference=reference,
    )
