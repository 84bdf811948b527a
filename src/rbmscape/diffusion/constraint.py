r"""The constraint potential of the binary states and its derivatives (arXiv:2503.21536, section 4, eqs. 31, 39-46).

At the saddle-point (Cramer) level the constraint potential is a sum over bits,

    V_const(z) = Σ_k s(m_k) + Σ_l s(n_l),   s(m) = m ln m + (1 - m) ln(1 - m) + ln 2,   m = U x,  n = V y,

so that every derivative along reciprocal coordinates is a contraction of the bits' weights in a mode with s^(p):
k_{ij...} = Σ_k e_ki e_kj ... s^(p)(t_k), t = (m0, n0).  The unit vectors e over the N + M bits are, by eqs. (18)-(19),
(U_i, V_i)/√2 for u_i, (-U_i, V_i)/√2 for w_i, (U_i, 0) for x_i and (0, V_i) for y_i.  Nothing larger than a matrix is
ever built.

Shapes: bits of the two layers (..., N) and (..., M); modes are counted from 0; z = [u, w, unpaired].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.brief import OneLine
from rbmscape.checks import check_choice, check_mode, check_width
from rbmscape.errors import InputError
from rbmscape.reciprocal.rotation import AXES

__all__ = [
    "COORDINATES",
    "Basis",
    "ConstraintDerivatives",
    "Coordinate",
    "entropy_cost",
    "entropy_cost_derivative",
    "mode_columns",
]

Coordinate = Literal["x", "y", "u", "w", "unpaired", "z"]
COORDINATES: tuple[Coordinate, ...] = ("x", "y", "u", "w", "unpaired", "z")
FloatArray = NDArray[np.float64]


class Basis(Protocol):
    """What is needed of the modes: U (N, N), V (M, M) and the singular values (L,)."""

    @property
    def left(self) -> Tensor:
        """(N, N) orthogonal U."""

    @property
    def right(self) -> Tensor:
        """(M, M) orthogonal V."""

    @property
    def singular_values(self) -> Tensor:
        """(L,) λ."""


def entropy_cost(activity: Tensor) -> Tensor:
    """s(m) = m ln m + (1-m) ln(1-m) + ln 2: the rate at which a bit's mean m becomes unlikely under fair coins.

    Parameters
    ----------
    activity : (...)

    Returns
    -------
    (...) in nats, 0 at m = 1/2, ln 2 at m = 0 and 1, +inf outside [0, 1]; exact
    """
    value: Tensor = torch.special.xlogy(activity, activity)
    value += torch.special.xlogy(1.0 - activity, 1.0 - activity)
    value += math.log(2.0)
    return value.masked_fill_((activity < 0.0) | (activity > 1.0), math.inf)


def entropy_cost_derivative(activity: Tensor, order: int) -> Tensor:
    """d^p s / dm^p: ln(m/(1-m)); 1/(m(1-m)); (2m-1)/(m(1-m))²; 2(1-3m+3m²)/(m(1-m))³ for p = 1, 2, 3, 4.

    Parameters
    ----------
    activity : (...) strictly between 0 and 1
    order : 1 to 4

    Raises
    ------
    InputError : another order
    """
    product = activity * (1.0 - activity)
    match order:
        case 1:
            return torch.logit(activity)
        case 2:
            return 1.0 / product
        case 3:
            return (2.0 * activity - 1.0) / product.square()
        case 4:
            return 2.0 * (1.0 - 3.0 * product) / product**3
    raise InputError(f"derivatives of the constraint potential exist here for orders 1 to 4, got {order}; choose one")


Columns = tuple[Tensor | None, Tensor | None]


def mode_columns(basis: Basis, coordinate: Coordinate) -> Columns:
    """Unit vectors of one kind of coordinate over the bits: (N, K) and (M, K), None where a layer takes no part.

    ``K`` is N for x, M for y, L = min(N, M) for u and w, |N - M| for unpaired.
    """
    check_choice("coordinate", coordinate, COORDINATES[:-1])
    left, right = basis.left, basis.right
    n_pairs = min(left.shape[0], right.shape[0])
    match coordinate:
        case "x":
            return left, None
        case "y":
            return None, right
        case "u" | "w":
            along_x, along_y = AXES[coordinate]
            return along_x * left[:, :n_pairs], along_y * right[:, :n_pairs]
    if left.shape[0] >= right.shape[0]:
        return left[:, n_pairs:], None
    return None, right[:, n_pairs:]


def _contract(columns: Columns, power: int, weights: tuple[Tensor, Tensor]) -> Tensor:
    """Σ_k (e_ki)^power weight_k over both layers: (K,)."""
    parts = [(block**power).T @ weight for block, weight in zip(columns, weights, strict=True) if block is not None]
    return parts[0] if len(parts) == 1 else parts[0] + parts[1]


def _pairs(
    first: Columns, first_power: int, second: Columns, second_power: int, weights: tuple[Tensor, Tensor]
) -> Tensor:
    """Σ_k (e_ki)^p (e_kj)^q weight_k: (K_first, K_second), one matrix product a layer."""
    widths = [next(block.shape[1] for block in columns if block is not None) for columns in (first, second)]
    total = weights[0].new_zeros(*widths)
    for left, right, weight in zip(first, second, weights, strict=True):
        if left is not None and right is not None:
            total += (left**first_power).T @ (weight[:, None] * right**second_power)
    return total


@dataclass(frozen=True, eq=False, repr=False)
class ConstraintDerivatives(OneLine):
    """Derivatives k_ij, k_ijk, k_ijkl of V_const at a reference point, and the contractions of them that are used.

    Attributes
    ----------
    basis : anything with .left, .right, .singular_values, such as Modes
    m, n : (N,), (M,) reference activities, strictly between 0 and 1

    Raises
    ------
    ShapeError : m or n does not fit the modes
    InputError : an activity is not strictly inside the cube
    """

    basis: Basis
    m: Tensor
    n: Tensor

    def _headline(self) -> str:
        return f"{self.m.numel()} visible and {self.n.numel()} hidden activities"

    def __post_init__(self) -> None:
        for name, layer, width in (("m", self.m, self.basis.left), ("n", self.n, self.basis.right)):
            check_width(name, layer, width.shape[0])
            outside = int(((layer <= 0.0) | (layer >= 1.0) | layer.isnan()).sum())
            if outside:
                raise InputError(
                    f"the constraint potential has derivatives only inside the cube, {outside} of {layer.numel()} "
                    f"entries of {name} are not strictly between 0 and 1; clip or smooth the reference activities"
                )

    def _weights(self, order: int) -> tuple[Tensor, Tensor]:
        return entropy_cost_derivative(self.m.double(), order), entropy_cost_derivative(self.n.double(), order)

    @cached_property
    def _kinds(self) -> tuple[Coordinate, ...]:
        unpaired = self.basis.left.shape[0] != self.basis.right.shape[0]
        return ("u", "w", "unpaired") if unpaired else ("u", "w")

    def _columns(self, coordinate: Coordinate) -> Columns:
        if coordinate != "z":
            first, second = mode_columns(self.basis, coordinate)
            return first.double() if first is not None else None, second.double() if second is not None else None
        parts = [self._columns(kind) for kind in self._kinds]
        layers = []
        for layer, activity in enumerate((self.m, self.n)):
            widths = [next(block.shape[1] for block in part if block is not None) for part in parts]
            blocks = [part[layer] for part in parts]
            zeros = [activity.new_zeros(activity.shape[0], width, dtype=torch.float64) for width in widths]
            filled = [zero if block is None else block for block, zero in zip(blocks, zeros, strict=True)]
            layers.append(torch.cat(filled, 1))
        return layers[0], layers[1]

    def _unit(self, coordinate: Coordinate, mode: int) -> tuple[Tensor, Tensor]:
        columns = self._columns(coordinate)
        check_mode(mode, next(block.shape[1] for block in columns if block is not None))
        empty = (torch.zeros_like(self.m, dtype=torch.float64), torch.zeros_like(self.n, dtype=torch.float64))
        first, second = (zero if block is None else block[:, mode] for block, zero in zip(columns, empty, strict=True))
        return first, second

    def gradient(self, coordinate: Coordinate = "z") -> FloatArray:
        """∂V_const/∂z_i: (K,)."""
        return _array(_contract(self._columns(coordinate), 1, self._weights(1)))

    def diagonal(self, order: int, coordinate: Coordinate = "z") -> FloatArray:
        """k_ii, k_iii or k_iiii (order 2, 3, 4) of every coordinate of one kind: (K,)."""
        return _array(_contract(self._columns(coordinate), order, self._weights(order)))

    def hessian(self, coordinate: Coordinate = "z") -> FloatArray:
        """k_ij among the coordinates of one kind: (K, K); 4 δ_ij at m0 = n0 = 1/2 (eq. 46)."""
        columns = self._columns(coordinate)
        return _array(_pairs(columns, 1, columns, 1, self._weights(2)))

    def element(self, *indices: tuple[Coordinate, int]) -> float:
        """One mixed derivative of order 1 to 4: ``element(("u", 0), ("u", 0), ("w", 3))`` is k_ijk of u_0, u_0, w_3."""
        weights = self._weights(len(indices))
        products = [torch.ones_like(weight) for weight in weights]
        for coordinate, mode in indices:
            products = [product * unit for product, unit in zip(products, self._unit(coordinate, mode), strict=True)]
        return float(sum((product * weight).sum() for product, weight in zip(products, weights, strict=True)))

    def third_slice(self, coordinate: Coordinate, mode: int, among: Coordinate = "z") -> FloatArray:
        """k_ijk at a fixed i for all j, k of one kind: (K, K)."""
        return self._slice(3, [(coordinate, mode)], among)

    def fourth_slice(self, coordinate: Coordinate, mode: int, among: Coordinate = "z") -> FloatArray:
        """k_iijk at a fixed i for all j, k of one kind: (K, K)."""
        return self._slice(4, [(coordinate, mode)] * 2, among)

    def _slice(self, order: int, fixed: Sequence[tuple[Coordinate, int]], among: Coordinate) -> FloatArray:
        first, second = self._weights(order)
        for coordinate, mode in fixed:
            unit = self._unit(coordinate, mode)
            first, second = first * unit[0], second * unit[1]
        columns = self._columns(among)
        return _array(_pairs(columns, 1, columns, 1, (first, second)))

    def third_pairs(self, coordinate: Coordinate = "z", among: Coordinate = "z") -> FloatArray:
        """k_ijj for all i of one kind and all j of another: (K_i, K_j), one matrix product a layer."""
        return _array(_pairs(self._columns(coordinate), 1, self._columns(among), 2, self._weights(3)))

    def fourth_pairs(self, coordinate: Coordinate = "z", among: Coordinate = "z") -> FloatArray:
        """k_iijj for all i of one kind and all j of another: (K_i, K_j), one matrix product a layer."""
        return _array(_pairs(self._columns(coordinate), 2, self._columns(among), 2, self._weights(4)))

    def third_trace(self, coordinate: Coordinate = "z") -> FloatArray:
        """Σ_{j≠i} k_ijj over all other z_j: (K,).

        The unit vectors are a complete basis, Σ_j e_kj² = 1, so that Σ_j k_ijj = Σ_k e_ki s'''(t_k): O(K (N + M)).
        For x or y the sum runs over the other x and y instead of u and w, an orthonormal basis as well.
        """
        columns = self._columns(coordinate)
        weights = self._weights(3)
        return _array(_contract(columns, 1, weights) - _contract(columns, 3, weights))

    def fourth_trace(self, coordinate: Coordinate = "z") -> FloatArray:
        """Σ_{j≠i} k_iijj over all other z_j: (K,), by the same completeness as third_trace."""
        columns = self._columns(coordinate)
        weights = self._weights(4)
        return _array(_contract(columns, 2, weights) - _contract(columns, 4, weights))


def _array(values: Tensor) -> FloatArray:
    return np.asarray(values.detach().cpu().numpy(), dtype=np.float64)
