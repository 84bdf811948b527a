"""Which mode of one model continues which mode of another (used along a training run).

Singular vectors of neighbouring checkpoints are matched by the assignment that maximises the sum of
``(|U_i·U'_j| + |V_i·V'_j|)/2``; signs follow from the matched overlaps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.brief import OneLine

__all__ = ["Alignment", "match_vectors", "mode_crossings", "transport_basis"]

CERTAIN_OVERLAP = float(np.sqrt(0.5))


@dataclass(frozen=True, eq=False, repr=False)
class Alignment(OneLine):
    """How the modes of a model were put in the order and signs of another one.

    Attributes
    ----------
    order : (L,) int; ``order[i]`` is the index, by falling singular value, of the mode that now stands at i
    overlap : (L,) mean of the left and right overlaps of each mode with the one it continues, in [0, 1]; a small value
        means that the mode has no predecessor
    crossings : (n, 2) int; pairs (i, j) of positions i < j whose singular values have changed order since the
        other model, both of them matched beyond doubt (overlap > 1/√2, so that no other mode can overlap as much)
    """

    order: NDArray[np.int64]
    overlap: NDArray[np.float64]
    crossings: NDArray[np.int64]

    def _headline(self) -> str:
        return f"{self.order.size} modes, smallest overlap {self.overlap.min():.3f}, {len(self.crossings)} crossings"


def match_vectors(
    reference: tuple[Tensor, Tensor], vectors: tuple[Tensor, Tensor], leading: int
) -> tuple[NDArray[np.int64], Tensor, NDArray[np.float64]]:
    """Order, signs and overlaps that carry paired modes over from a reference.

    Parameters
    ----------
    reference, vectors : (N, L) left and (M, L) right singular vectors
    leading : only the first ``leading`` modes are permuted among themselves; later ones keep their index

    Returns
    -------
    order : (L,) index into ``vectors``
    signs : (L,) ±1 for the reordered vectors
    overlap : (L,) mean of the absolute left and right overlaps
    """
    from scipy.optimize import linear_sum_assignment

    count = vectors[0].shape[1]
    block = min(leading, count)
    left, right = (a[:, :block].mT @ b[:, :block] for a, b in zip(reference, vectors, strict=True))
    weight = (0.5 * (left.abs() + right.abs())).cpu().numpy()
    order = np.arange(count)
    order[:block] = linear_sum_assignment(weight, maximize=True)[1]
    index = torch.as_tensor(order, device=vectors[0].device)
    left_overlap, right_overlap = ((a * b[:, index]).sum(dim=0) for a, b in zip(reference, vectors, strict=True))
    signs = torch.where(left_overlap + right_overlap < 0, -1.0, 1.0).to(left_overlap.dtype)
    overlap = 0.5 * (left_overlap.abs() + right_overlap.abs())
    return order, signs, overlap.cpu().numpy()


def mode_crossings(
    previous_rank: NDArray[np.int64], rank: NDArray[np.int64], overlap: NDArray[np.float64]
) -> NDArray[np.int64]:
    """(n, 2) positions i < j of certain modes whose ranks by singular value are in the opposite order as before."""
    certain = np.flatnonzero(overlap > CERTAIN_OVERLAP)
    before, after = previous_rank[certain], rank[certain]
    swapped = (before[:, None] < before[None, :]) != (after[:, None] < after[None, :])
    first, second = np.nonzero(np.triu(swapped, k=1))
    return np.stack([certain[first], certain[second]], axis=1).astype(np.int64)


def transport_basis(previous: Tensor, basis: Tensor) -> Tensor:
    """Orthonormal basis of span(basis), rotated as close to ``previous`` as successive projection allows.

    Vectors without a singular value are arbitrary inside their subspace; this makes the choice continuous.

    Parameters
    ----------
    previous, basis : (n, K) orthonormal columns
    """
    if basis.shape[1] == 0:
        return basis
    rotation, triangle = torch.linalg.qr(basis.mT @ previous)
    signs = torch.where(torch.diagonal(triangle) < 0, -1.0, 1.0).to(basis.dtype)
    result: Tensor = basis @ (rotation * signs)
    return result
