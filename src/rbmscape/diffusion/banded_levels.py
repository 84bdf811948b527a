r"""Lowest levels and evolution of H = GᵀG for a banded G of any length (arXiv:2503.21536, eqs. 33-38).

G comes as one small block an element; neighbouring elements share one node.  H itself is never trusted with small
levels, since rounding it costs eps·‖H‖, more than a Kramers gap: the QR decomposition of G and a shift, block by
block, gives H + s = RᵀR to eps·‖G‖; Lanczos iterations with (H + s)⁻¹ find the space of the lowest levels, and the
singular values of G within that space are their square roots, which keeps the relative accuracy of small ones.

exp(-tH) is exact within that space.  On the rest it is a contour integral (Talbot's, in the form of Trefethen,
Weideman and Schmelzer, BIT 46, 653, 2006), one banded system a pole, with an error of 1e-13 of the start.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rbmscape.brief import OneLine

__all__ = ["BandedLevels"]

FloatArray = NDArray[np.float64]
_POLES = 24
_NEGLIGIBLE = 50.0  # decay, in powers of e, after which nothing is left of a level
_ENDLESS = 1e290  # keeps products with rates finite


@dataclass(frozen=True, eq=False, repr=False)
class BandedLevels(OneLine):
    """The operator H = GᵀG of one-dimensional elements.

    Attributes
    ----------
    blocks : (n_elements, order + 1, order + 1) rows of G that belong to an element, over its own nodes
    shift : s > 0, of the size of the lowest levels that are not exponentially small
    pinned : whether the first and the last node are held at 0, that is, absorbing walls
    """

    blocks: FloatArray
    shift: float
    pinned: bool = False

    def _headline(self) -> str:
        return f"{self.n_nodes} nodes, order {self.order}"

    @property
    def order(self) -> int:
        """Nodes that an element adds to the one before."""
        return int(self.blocks.shape[2]) - 1

    @property
    def n_nodes(self) -> int:
        """Nodes of all elements."""
        return int(self.blocks.shape[0]) * self.order + 1

    @cached_property
    def _inside(self) -> slice:
        return slice(1, -1) if self.pinned else slice(None)

    @cached_property
    def _columns(self) -> NDArray[np.int64]:
        return np.arange(self.blocks.shape[0])[:, None] * self.order + np.arange(self.order + 1)

    def apply_gradient(self, vectors: FloatArray) -> FloatArray:
        """G times vectors (n_nodes, k): (n_elements·(order + 1), k)."""
        return np.asarray((self.blocks @ vectors[self._columns]).reshape(-1, vectors.shape[1]))

    def _factor(self) -> FloatArray:
        """R with RᵀR = H + s over the free nodes, as the upper bands that LAPACK wants, (order + 1, free nodes)."""
        order, blocks = self.order, self.blocks
        if self.pinned:
            blocks = blocks.copy()
            blocks[0, :, 0] = 0.0
            blocks[-1, :, -1] = 0.0
        shift = np.sqrt(self.shift) * np.eye(order, order + 1)
        stack = np.zeros((2 * order + 2, order + 1))
        bands = np.zeros((order + 1, self.n_nodes))
        rows = np.arange(order)[:, None]
        spread = np.arange(order + 1)[None, :]
        upper = spread >= rows
        carry = 0.0
        for element, block in enumerate(blocks):
            stack[: order + 1], stack[order + 1 : -1], stack[-1] = block, shift, 0.0
            stack[-1, 0] = carry
            triangle = np.asarray(np.linalg.qr(stack, mode="r"))
            first = element * order
            bands[(order + rows - spread)[upper], (first + spread + 0 * rows)[upper]] = triangle[:order][upper]
            carry = float(triangle[order, order])
        bands[order, -1] = np.hypot(carry, np.sqrt(self.shift))
        return bands[:, self._inside]

    def lowest(self, n_levels: int) -> tuple[FloatArray, FloatArray]:
        """The lowest levels.

        Returns
        -------
        Γ (n_levels,), increasing, and orthonormal vectors (n_nodes, n_levels)
        """
        from scipy.linalg import cho_solve_banded, svd
        from scipy.sparse.linalg import LinearOperator, eigsh

        factor = self._factor()
        size = factor.shape[1]

        def solve(vector: FloatArray) -> FloatArray:
            return np.asarray(cho_solve_banded((factor, False), vector.ravel(), check_finite=False))

        start = np.random.default_rng(0).standard_normal((size,))
        inverse = LinearOperator((size, size), matvec=solve, dtype=np.float64)
        _, found = eigsh(inverse, k=n_levels, which="LA", v0=start)
        vectors = np.zeros((self.n_nodes, n_levels))
        vectors[self._inside] = np.linalg.qr(found)[0]
        _, singular, mixing = svd(self.apply_gradient(vectors), full_matrices=False)
        return singular[::-1] ** 2, np.asarray(vectors @ mixing[::-1].T)

    def all_levels(self, n_levels: int) -> tuple[FloatArray, FloatArray]:
        """The lowest of all levels, by a dense decomposition of G; as `lowest`."""
        from scipy.linalg import svd

        gradient = np.zeros((self.blocks.shape[0] * (self.order + 1), self.n_nodes))
        rows = np.arange(gradient.shape[0]).reshape(-1, self.order + 1)
        gradient[rows[:, :, None], self._columns[:, None, :]] = self.blocks
        _, singular, right = svd(gradient[:, self._inside], full_matrices=False)
        vectors = np.zeros((self.n_nodes, singular.size))
        vectors[self._inside] = right[::-1].T
        return singular[::-1][:n_levels] ** 2, vectors[:, :n_levels]

    @cached_property
    def _bands(self) -> FloatArray:
        """H over the free nodes, as the 2·order + 1 bands that LAPACK wants."""
        order = self.order
        squares = np.einsum("eki,ekj->eij", self.blocks, self.blocks)
        bands = np.zeros((2 * order + 1, self.n_nodes))
        rows, columns = np.meshgrid(np.arange(order + 1), np.arange(order + 1), indexing="ij")
        first = np.arange(self.blocks.shape[0])[:, None, None] * order
        np.add.at(bands, (order + rows - columns + 0 * first, first + columns), squares)
        return bands[:, self._inside]

    def evolve(self, start: FloatArray, times: FloatArray, levels: tuple[FloatArray, FloatArray]) -> FloatArray:
        """exp(-tH) start, (n_times, n_nodes), given what `lowest` or `all_levels` returned."""
        rates, vectors = levels
        times = np.minimum(times, _ENDLESS)
        amplitudes = vectors.T @ start
        if rates.size == self._bands.shape[1]:
            return np.asarray((np.exp(-times[:, None] * rates) * amplitudes) @ vectors.T)
        rest = start - vectors @ amplitudes
        rest = rest - vectors @ (vectors.T @ rest)
        low = (np.exp(-times[:, None] * rates) * amplitudes) @ vectors.T
        for row, time in enumerate(times):
            if time * rates[-1] < _NEGLIGIBLE:
                high = self._decayed(rest, float(time)) if time > 0.0 else rest
                low[row] += high - vectors @ (vectors.T @ high)
        return np.asarray(low)

    def _decayed(self, start: FloatArray, time: float) -> FloatArray:
        """exp(-tH) start by poles in pairs of complex conjugates."""
        from scipy.linalg import solve_banded

        angles = np.pi * (np.arange(_POLES // 2) + 0.5) * 2 / _POLES
        poles = _POLES * (0.5017 * angles / np.tan(0.6407 * angles) - 0.6122 + 0.2645j * angles)
        slope = 0.5017 / np.tan(0.6407 * angles) - 0.5017 * 0.6407 * angles / np.sin(0.6407 * angles) ** 2
        weights = np.exp(poles) * (slope + 0.2645j) / 1j
        order, inside = self.order, start[self._inside]
        total = np.zeros(self.n_nodes)
        for pole, weight in zip(poles, weights, strict=True):
            system = time * self._bands.astype(np.complex128)
            system[order] += pole
            solution = solve_banded((order, order), system, inside.astype(np.complex128), check_finite=False)
            total[self._inside] += 2 * (weight * solution).real
        return total
