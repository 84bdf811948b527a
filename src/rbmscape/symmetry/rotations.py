r"""Random rotations of the singular vectors (arXiv:2503.21536, section 5.1, equations 49 and 50, figure 4).

A rotation of n dimensions around an (n-2)-dimensional subspace turns one plane.  A product of k of them is
``R = R_k ⋯ R_1 = I + B C Bᵀ`` with B (n, 2k) the planes and C (2k, 2k) a small core, so that R is never built: planes
spanned by coordinate axes (Givens rotations) make B a list of axes, Haar-random planes make it a dense matrix.
Rotated weights are ``W_R = (R U Rᵀ) Σ (Q Vᵀ Qᵀ)``, a low-rank change of W; shapes: weights (N, M), R (N, N), Q (M, M).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from rbmscape.arguments import checked
from rbmscape.brief import OneLine
from rbmscape.checks import check_choice, check_count
from rbmscape.errors import InputError, ShapeError
from rbmscape.memory import check_memory
from rbmscape.model.rbm import RBM
from rbmscape.reciprocal.modes import Modes, modes_of
from rbmscape.rng import Stream

__all__ = [
    "PAPER_FRACTION",
    "Planes",
    "Rotation",
    "random_planes",
    "random_rotation",
    "rotate_weights",
    "rotated_weights",
]

Planes = Literal["axes", "haar"]
PAPER_FRACTION: Final = 0.1


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Rotation(OneLine):
    """A product of plane rotations, ``R = I + B C Bᵀ``, that is applied without being built.

    Attributes
    ----------
    size : dimension n
    axes : (s,) coordinate axes that R touches; None where the planes are not spanned by coordinate axes
    basis : (n, s) the planes B, one orthonormal pair a rotation; None where ``axes`` is given
    core : (s, s) float64, C
    """

    size: int
    axes: Tensor | None
    basis: Tensor | None
    core: Tensor

    def _headline(self) -> str:
        return f"{self.size} dimensions, acts on {self.core.shape[0]}"

    @classmethod
    def in_axes(cls, size: int, planes: ArrayLike, angles: ArrayLike) -> Rotation:
        """Product of Givens rotations; the first plane turns first.

        Parameters
        ----------
        size : dimension n
        planes : (k, 2) pairs of different coordinate axes; axis ``planes[i, 0]`` turns towards ``planes[i, 1]``
        angles : (k,) or one angle for all, in radians

        Raises
        ------
        InputError : an axis out of range, a plane of one axis, an angle that is not finite
        """
        pairs, turns = _checked_planes(size, planes, angles)
        touched = np.unique(pairs)
        place = np.searchsorted(touched, pairs)
        block = np.eye(touched.size)
        for (first, second), cosine, sine in zip(place, np.cos(turns), np.sin(turns), strict=True):
            row = block[first].copy()
            block[first] = cosine * row - sine * block[second]
            block[second] = sine * row + cosine * block[second]
        core = torch.from_numpy(block - np.eye(touched.size))
        return cls(size, torch.from_numpy(touched.astype(np.int64)), None, core)

    @classmethod
    def in_planes(cls, spans: ArrayLike, angles: ArrayLike) -> Rotation:
        r"""Product of rotations in arbitrary planes; the first plane turns first.

        With ``C_i = G(θ_i) - I`` and S the strictly lower blocks of BᵀB, the core solves ``(I - C S) core = C``,
        C block diagonal: a triangular system that exists for every angle.

        Parameters
        ----------
        spans : (k, n, 2) two linearly independent vectors a plane; they are orthonormalised
        angles : (k,) or one angle for all, in radians

        Raises
        ------
        ShapeError : ``spans`` is not (k, n, 2)
        InputError : a plane's vectors are parallel, an angle is not finite
        """
        vectors = np.asarray(spans, dtype=np.float64)
        if vectors.ndim != 3 or vectors.shape[2] != 2 or vectors.shape[1] < 2:
            raise ShapeError(f"planes need two vectors each, shape (k, n, 2) with n >= 2, found {vectors.shape}")
        n_planes, size, _ = vectors.shape
        turns = _checked_angles(angles, n_planes)
        orthonormal, triangular = np.linalg.qr(vectors)
        corners = np.abs(triangular[:, [0, 1], [0, 1]])
        if n_planes and not bool(np.all(corners.min(1) > 1e-12 * corners.max(1))):
            raise InputError("two vectors that span a plane must not be parallel or zero; choose independent vectors")
        # QR may flip either vector; restore the sense of the turn from the first towards the second.
        orthonormal = orthonormal * np.sign(triangular[:, [0, 1], [0, 1]])[:, None, :]
        basis = torch.from_numpy(np.ascontiguousarray(orthonormal.transpose(1, 0, 2).reshape(size, 2 * n_planes)))
        return cls(size, None, basis, _composed_core(basis, turns))

    @classmethod
    def identity(cls, size: int) -> Rotation:
        """No rotation."""
        return cls.in_axes(size, np.empty((0, 2), dtype=np.int64), np.empty(0))

    @property
    def inverse(self) -> Rotation:
        """R⁻¹ = Rᵀ = I + B Cᵀ Bᵀ."""
        return Rotation(self.size, self.axes, self.basis, self.core.T)

    def restrict(self, matrix: Tensor) -> Tensor:
        """Bᵀ X for X (n, ...): the part of the rows that R changes, (s, ...)."""
        if self.axes is not None:
            return matrix.index_select(0, self.axes.to(matrix.device))
        assert self.basis is not None
        return self.basis.to(device=matrix.device, dtype=matrix.dtype).T @ matrix

    def apply(self, matrix: Tensor) -> Tensor:
        """R X for X (n, ...), a new tensor; O(n) a Givens rotation and column.

        Raises
        ------
        ShapeError : the first axis is not n
        """
        if matrix.shape[0] != self.size:
            raise ShapeError(f"a rotation of {self.size} dimensions needs that many rows, found {matrix.shape[0]}")
        change = self.core.to(device=matrix.device, dtype=matrix.dtype) @ self.restrict(matrix)
        if self.axes is not None:
            return matrix.index_add(0, self.axes.to(matrix.device), change)
        assert self.basis is not None
        return torch.addmm(matrix, self.basis.to(device=matrix.device, dtype=matrix.dtype), change)

    def matrix(self) -> Tensor:
        """R itself, (n, n) float64."""
        return self.apply(torch.eye(self.size, dtype=torch.float64))


def _composed_core(basis: Tensor, turns: NDArray[np.float64]) -> Tensor:
    """The core of R_k ⋯ R_1 = I + B core Bᵀ for planes B (n, 2k)."""
    cosine, sine = np.cos(turns) - 1.0, np.sin(turns)
    blocks = torch.from_numpy(np.stack([np.stack([cosine, -sine], -1), np.stack([sine, cosine], -1)], -2))
    turned = torch.zeros(len(turns), 2, len(turns), 2, dtype=torch.float64)
    turned[range(len(turns)), :, range(len(turns)), :] = blocks
    turned = turned.reshape(2 * len(turns), 2 * len(turns))
    plane = torch.arange(2 * len(turns)) // 2
    earlier = plane[:, None] > plane[None, :]
    overlaps = torch.where(earlier, basis.T @ basis, 0.0)
    identity = torch.eye(2 * len(turns), dtype=torch.float64)
    core: Tensor = torch.linalg.solve_triangular(identity - turned @ overlaps, turned, upper=False, unitriangular=True)
    return core


def _checked_angles(angles: ArrayLike, n_planes: int) -> NDArray[np.float64]:
    try:
        turns = np.asarray(angles, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"rotation angles must be numbers, found {angles!r}; give angles in radians") from None
    if turns.ndim > 1 or (turns.ndim == 1 and turns.shape != (n_planes,)):
        raise ShapeError(f"rotations in {n_planes} planes need one angle or {n_planes}, found shape {turns.shape}")
    if not bool(np.isfinite(turns).all()):
        raise InputError("a rotation angle is not finite; give angles in radians")
    return np.broadcast_to(turns, (n_planes,)).copy()


def _checked_planes(size: int, planes: ArrayLike, angles: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    pairs = np.asarray(planes)
    if pairs.size == 0:
        pairs = pairs.reshape(0, 2)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or (pairs.size and pairs.dtype.kind not in "iu"):
        raise ShapeError(f"planes are pairs of axis indices, shape (k, 2), found shape {pairs.shape}, {pairs.dtype}")
    pairs = pairs.astype(np.int64)
    outside = pairs[(pairs < 0) | (pairs >= size)]
    if outside.size:
        raise InputError(f"axis {int(outside[0])} is out of range; {size} dimensions have axes 0 to {size - 1}")
    if bool((pairs[:, 0] == pairs[:, 1]).any()):
        raise InputError("a plane needs two different axes, found a pair with one axis twice")
    return pairs, _checked_angles(angles, len(pairs))


def random_planes(axes: ArrayLike, n_planes: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Different planes, each spanned by two of the given coordinate axes, uniformly at random, (n_planes, 2).

    Raises
    ------
    InputError : more planes than two of these axes can span
    """
    choices = np.asarray(axes, dtype=np.int64)
    exist = math.comb(choices.size, 2)
    if not 0 <= n_planes <= exist:
        raise InputError(
            f"{choices.size} axes span {exist} different planes, found a request for {n_planes}; ask for fewer"
        )
    numbers = generator.choice(exist, size=n_planes, replace=False) if n_planes else np.empty(0, dtype=np.int64)
    # Pairs (first < second) are numbered second (second - 1) / 2 + first.
    second = np.floor((1.0 + np.sqrt(1.0 + 8.0 * numbers)) / 2.0).astype(np.int64)
    second -= second * (second - 1) // 2 > numbers
    first = numbers - second * (second - 1) // 2
    pairs: NDArray[np.int64] = choices[np.stack([first, second], axis=1)]
    flip = generator.random(n_planes) < 0.5
    pairs[flip] = pairs[flip][:, ::-1]
    return pairs


@checked
def random_rotation(
    n: int,
    n_rotations: int,
    planes: Planes = "axes",
    seed: int = 0,
    *,
    angle: float | None = None,
    stream: str = "rotation",
) -> Rotation:
    """Product of plane rotations by angles uniform on (0, 2π), as in section 5.1.

    Parameters
    ----------
    n : dimension
    n_rotations : number of planes
    planes : "axes", different pairs of random coordinate axes (what the authors ran; O(n) each), or "haar",
        uniformly random planes (O(n) numbers each)
    seed : selects planes and angles
    angle : the same angle for every plane, in radians; None draws them
    stream : name of the random stream, so that one seed gives independent rotations

    Returns
    -------
    Rotation, exact up to rounding

    Raises
    ------
    InputError : fewer than two dimensions for a rotation, more axis planes than exist, an angle that is not finite,
        or an unknown kind of planes
    """
    check_count("n", n)
    check_count("n_rotations", n_rotations, 0)
    if n_rotations and n < 2:
        raise InputError(
            f"{n_rotations} plane rotation(s) of {n} dimension(s) do not exist; a plane needs two dimensions"
        )
    check_choice("planes", planes, ("axes", "haar"))
    check_memory(16 * n_rotations * (n if planes == "haar" else 2), f"{n_rotations} rotations", "take fewer")
    generator = Stream(seed, f"symmetry/{stream}").numpy(0)
    angles = generator.uniform(0.0, 2.0 * math.pi, n_rotations) if angle is None else np.full(n_rotations, angle)
    if planes == "axes":
        return Rotation.in_axes(n, random_planes(np.arange(n), n_rotations, generator), angles)
    return Rotation.in_planes(generator.standard_normal((n_rotations, n, 2)), angles)


def rotate_weights(modes: Modes, weights: Tensor, left: Rotation, right: Rotation) -> Tensor:
    r"""W_R = (R U Rᵀ) Σ (Q Vᵀ Qᵀ) (section 5.1) as a low-rank change of W.

    ``U Rᵀ Σ Q Vᵀ = W + X C_Rᵀ Yᵀ + (U Σ B_Q + X C_Rᵀ B_Rᵀ Σ B_Q) C_Q (V B_Q)ᵀ`` with X = U B_R, Y = V Σᵀ B_R; then R
    acts on the rows and Q on the columns.  Cost O(NM(k_R + k_Q)) for k plane rotations, no (M, M) product for axes.

    Parameters
    ----------
    modes : singular value decomposition of ``weights``
    weights : (N, M)
    left, right : R of N and Q of M dimensions

    Returns
    -------
    (N, M) float64; exact up to rounding

    Raises
    ------
    ShapeError : a rotation has the wrong dimension
    InputError : the modes' bases are not complete
    """
    n_visible, n_hidden = weights.shape
    if (left.size, right.size) != (n_visible, n_hidden):
        raise ShapeError(f"weights {n_visible} x {n_hidden} need such rotations, found {left.size} and {right.size}")
    modes.check_complete("a rotation of all modes")
    device, paired = weights.device, modes.singular_values.shape[0]
    left_core, right_core = left.core.T.to(device), right.core.to(device)
    sigma = torch.zeros(n_visible, n_hidden, dtype=torch.float64, device=device)
    sigma.diagonal().copy_(modes.singular_values)
    sigma_right = torch.zeros_like(sigma)
    sigma_right[:paired] = modes.singular_values[:, None] * modes.right[:, :paired].T
    left_sigma = torch.zeros_like(sigma)
    left_sigma[:, :paired] = modes.left[:, :paired] * modes.singular_values
    turned_left = left.restrict(modes.left.T).T @ left_core
    turned_right = right.restrict(left_sigma.T).T + turned_left @ right.restrict(left.restrict(sigma).T).T
    middle = torch.addmm(weights.to(torch.float64), turned_left, left.restrict(sigma_right))
    middle.addmm_(turned_right @ right_core, right.restrict(modes.right.T))
    return right.apply(left.apply(middle).T).T


@checked
def rotated_weights(
    rbm: RBM,
    seed: int = 0,
    planes: Planes = "axes",
    *,
    fraction: float = PAPER_FRACTION,
    modes: Modes | None = None,
) -> Tensor:
    """Weights after ⌊fraction N⌋ and ⌊fraction M⌋ random rotations of their singular vectors (section 5.1, figure 4).

    Parameters
    ----------
    seed : selects both rotations, which are independent
    planes : "axes" or "haar", see `random_rotation`
    fraction : rotations a dimension; the paper's 0.1
    modes : decomposition of the model, where it is known already

    Returns
    -------
    (N, M) float64 tensor W_R = (R U Rᵀ) Σ (Q Vᵀ Qᵀ), with the singular values of W

    Raises
    ------
    InputError : a fraction that is negative or not finite, more planes than exist, an unknown kind of planes
    """
    if modes is not None and (modes.n_visible, modes.n_hidden) != (rbm.n_visible, rbm.n_hidden):
        raise ShapeError(f"modes of {modes.n_visible} x {modes.n_hidden} units are not those of {rbm}; pass its own")
    if not (math.isfinite(fraction) and fraction >= 0.0):
        raise InputError(f"fraction must be a finite number >= 0 of rotations a dimension, found {fraction}")
    left = random_rotation(rbm.n_visible, math.floor(fraction * rbm.n_visible), planes, seed, stream="rotation/left")
    right = random_rotation(rbm.n_hidden, math.floor(fraction * rbm.n_hidden), planes, seed, stream="rotation/right")
    return rotate_weights(modes_of(rbm, modes), rbm.weights, left, right)
