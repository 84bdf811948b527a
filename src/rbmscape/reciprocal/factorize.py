r"""Singular value decomposition with a fixed sign gauge (arXiv:2503.21536, section 3).

``W = U Σ Vᵀ`` fixes each pair (U_i, V_i) up to a common sign, and vectors of the null space up to a sign of their own.
The canonical gauge is ``Σ_k U_ki >= 0``; where that sum is zero to rounding, the entry of largest magnitude is positive
(the first such entry, if several are equal).
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["canonical_signs", "flat_modes", "full_svd", "thin_svd"]

TIE_TOLERANCE = 1e-9


def full_svd(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """All left and right singular vectors and the singular values of a float64 matrix, canonical gauge.

    Parameters
    ----------
    matrix : (N, M) float64, finite

    Returns
    -------
    left : (N, N) orthogonal, columns U_i
    singular_values : (L,) falling, >= 0
    right : (M, M) orthogonal, columns V_i
    """
    left, singular_values, right_rows = torch.linalg.svd(matrix, full_matrices=True)
    return _in_gauge(left, singular_values, right_rows.mT, max(matrix.shape))


def thin_svd(matrix: Tensor, visible_bias: Tensor, hidden_bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The paired singular vectors and, in the longer layer, the unit vector along the rest of its bias.

    Parameters
    ----------
    matrix : (N, M) float64, finite
    visible_bias, hidden_bias : (N,) and (M,) float64

    Returns
    -------
    left : (N, L) orthonormal columns U_i, and one more where N > M
    singular_values : (L,) falling, >= 0
    right : (M, L) orthonormal columns V_i, and one more where M > N
    """
    left, singular_values, right_rows = torch.linalg.svd(matrix, full_matrices=False)
    right = right_rows.mT
    if matrix.shape[0] > matrix.shape[1]:
        left = _with_rest(left, visible_bias)
    elif matrix.shape[1] > matrix.shape[0]:
        right = _with_rest(right, hidden_bias)
    return _in_gauge(left, singular_values, right, max(matrix.shape))


def _with_rest(basis: Tensor, vector: Tensor) -> Tensor:
    """Orthonormal columns, and one more for what of a vector they leave; any one orthogonal to them if nothing."""
    rest = vector - basis @ (basis.mT @ vector)
    if float(rest.norm()) <= TIE_TOLERANCE * max(1.0, float(vector.norm())):
        weakest = int(basis.square().sum(1).argmin())
        rest = torch.zeros_like(vector)
        rest[weakest] = 1.0
        rest = rest - basis @ (basis.mT @ rest)
    rest = rest - basis @ (basis.mT @ rest)
    return torch.cat((basis, (rest / rest.norm())[:, None]), 1)


def _in_gauge(left: Tensor, singular_values: Tensor, right: Tensor, longer_side: int) -> tuple[Tensor, Tensor, Tensor]:
    """The same vectors with the signs of the canonical gauge."""
    paired = singular_values.shape[0]
    flat = flat_modes(singular_values, longer_side)
    left_signs, right_signs = canonical_signs(left), canonical_signs(right)
    right_signs[:paired] = torch.where(flat, right_signs[:paired], left_signs[:paired])
    return (left * left_signs).contiguous(), singular_values, (right * right_signs).contiguous()


def flat_modes(singular_values: Tensor, longer_side: int) -> Tensor:
    """(L,) bool: ``λ_i <= max(N, M)·eps·λ_1``, the modes whose landscape has no saddle; all of them where W = 0."""
    if singular_values.numel() == 0:
        return torch.zeros_like(singular_values, dtype=torch.bool)
    floor = longer_side * torch.finfo(torch.float64).eps * singular_values.max()
    return singular_values <= floor


def canonical_signs(vectors: Tensor) -> Tensor:
    """(K,) factors ±1 that bring the columns of (n, K) unit vectors into the canonical gauge."""
    sums = vectors.sum(dim=0)
    magnitudes = vectors.abs()
    ties = sums.abs() <= TIE_TOLERANCE
    largest = (magnitudes >= magnitudes.max(dim=0).values * (1.0 - TIE_TOLERANCE)).to(torch.int8).argmax(dim=0)
    leading = vectors.gather(0, largest.unsqueeze(0)).squeeze(0)
    decisive = torch.where(ties, leading, sums)
    return torch.where(decisive < 0, -1.0, 1.0).to(vectors.dtype)
