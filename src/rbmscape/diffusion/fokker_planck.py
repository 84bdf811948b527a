r"""The one-dimensional Fokker-Planck operator and its Schrödinger form (arXiv:2503.21536, eqs. 33-38).

    ∂_t P = D ∂_z[ρ ∂_z (P/ρ)],   ρ ∝ exp(-βU),  D = 1/β;      P = Σ_n c_n e^{-Γ_n t} e^{-βU/2} ψ_n,   Γ_n = 2 D 𝓔_n

Discretised in the weak form Γ ∫ρ f g = D ∫ρ f' g' on spectral elements (Gauss-Lobatto points between the points of the
grid, more elements where U is steep), which needs values of U only, keeps detailed balance, has the reflecting wall as
its natural boundary, and converges exponentially in the order.  With G the weighted derivative, Γ are the squared
singular values of √D G, so that an exponentially small (Kramers) gap keeps its relative accuracy.  Small problems are
solved densely with all levels, long ones with bands of G and the lowest levels (`banded_levels`).  Everything is NumPy
float64.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rbmscape.arguments import checked
from rbmscape.arrays import number_array, real_array
from rbmscape.brief import OneLine
from rbmscape.checks import check_choice, check_count, check_positive
from rbmscape.diffusion.banded_levels import BandedLevels
from rbmscape.errors import InputError, ShapeError

__all__ = ["FokkerPlanck1D"]

FloatArray = NDArray[np.float64]
_MOST_DENSE = 1601
_MAX_NODES = 400_001
_LEVELS_OF_MANY = 64
_TALL = 1e-3
_STEEPEST = 0.5  # change of βU within an element, per polynomial order, that keeps ρ resolved
_MAX_START_HEIGHT = 50.0


class FokkerPlanck1D(OneLine):
    """Spectrum, eigenfunctions and evolution of a diffusion in a one-dimensional potential.

    Parameters
    ----------
    potential : U(z) as a function of an array, such as `mode_potential`, or its values on the grid (a cubic spline then
        goes through them); in units of k_B T at beta = 1
    grid : (n,) increasing points; its ends are the walls, results are given on it
    beta : inverse temperature, > 0; D = 1/β
    order : polynomial order between neighbouring grid points
    walls : "reflecting", or "absorbing" (ψ = 0: for the spectrum |ω|(n + 1) of an unstable mode)
    n_levels : lowest levels to find; by default all where there are at most 1601 nodes, 64 where there are more

    Raises
    ------
    InputError : beta is not above 0; the grid does not increase, is too fine for memory or too coarse for the
        potential; the potential is not finite on it; more levels are wanted than there are
    ShapeError : the grid is not a vector, or the potential's values do not lie on it

    Notes
    -----
    At least ``(n - 1)·order + 1`` nodes, 400 001 at most.  With all levels the time is O(nodes³), else O(nodes): about
    one second for 64 levels on 20 001 nodes.  `evolve` and `autocorrelation` are complete in both cases.
    """

    @checked
    def __init__(
        self,
        potential: Callable[[FloatArray], ArrayLike] | ArrayLike,
        grid: ArrayLike,
        beta: float = 1.0,
        *,
        order: int = 4,
        walls: Literal["reflecting", "absorbing"] = "reflecting",
        n_levels: int | None = None,
    ) -> None:
        self.beta = check_positive("beta", beta)
        self._order = check_count("order", order)
        self.walls = check_choice("walls", walls, ("reflecting", "absorbing"))
        self.grid = self._check_grid(grid)
        self._potential = self._as_function(potential)
        offsets, weights, self._derivative = _lobatto(order)
        ends, self._at_grid = self._elements()
        widths = np.diff(ends)
        inner = ends[:-1, None] + widths[:, None] * (offsets[None, :-1] + 1) / 2
        self.nodes = np.append(inner.ravel(), ends[-1])
        self._height = self.beta * self._finite(self.nodes)
        self._lowest = float(self._height.min())
        self._widths = widths
        self._element_weights = widths[:, None] / 2 * weights
        self._columns = np.arange(widths.size)[:, None] * order + np.arange(order + 1)
        self._quadrature = np.zeros(self.nodes.size)
        np.add.at(self._quadrature, self._columns, self._element_weights)
        self._n_levels = self._wanted_levels(n_levels)

    def _headline(self) -> str:
        low, high = self.grid[0], self.grid[-1]
        return (
            f"{self.walls} walls at {low:.4g} and {high:.4g}, {self.nodes.size} nodes, {self._n_levels} levels, "
            f"beta {self.beta:g}"
        )

    def _check_grid(self, grid: ArrayLike) -> FloatArray:
        points = real_array(grid, "grid")
        if points.ndim != 1 or points.size < 2:
            raise ShapeError(
                f"grid must be a vector of at least 2 points, got shape {points.shape}; use numpy.linspace"
            )
        if not np.all(np.diff(points) > 0) or not np.all(np.isfinite(points)):
            raise InputError("grid must be finite and strictly increasing, got one that is not; sort it")
        return points

    def _as_function(
        self, potential: Callable[[FloatArray], ArrayLike] | ArrayLike
    ) -> Callable[[FloatArray], ArrayLike]:
        if callable(potential):
            return potential
        values = number_array(potential, "potential").astype(np.float64)
        if values.shape != self.grid.shape:
            raise ShapeError(
                f"the potential has shape {values.shape}, the grid {self.grid.shape}; give one value a grid point"
            )
        if not np.all(np.isfinite(values)):
            return lambda points: np.interp(points, self.grid, values)
        from scipy.interpolate import CubicSpline

        return CubicSpline(self.grid, values)

    def _finite(self, points: FloatArray) -> FloatArray:
        height = np.asarray(self._potential(points), dtype=np.float64)
        if height.shape != points.shape or not np.all(np.isfinite(height)):
            raise InputError(
                f"the potential must be finite on the whole grid from {self.grid[0]:g} to {self.grid[-1]:g}; "
                f"keep the grid strictly inside the potential's domain"
            )
        return height

    def _elements(self) -> tuple[FloatArray, NDArray[np.int64]]:
        """Ends of the elements, each grid interval cut where βU is steep, and the nodes that are grid points."""
        probes = self.grid[:-1, None] + np.diff(self.grid)[:, None] * np.linspace(0, 1, 9)
        change = self.beta * np.abs(np.diff(self._finite(probes), axis=1)).sum(1)
        wanted = np.minimum(np.ceil(change / (_STEEPEST * self._order)), _MAX_NODES)
        cuts = np.maximum(1, wanted).astype(np.int64)
        at_grid = np.concatenate([[0], np.cumsum(cuts)]) * self._order
        if at_grid[-1] >= _MAX_NODES:
            raise InputError(
                f"grid, order and the potential's steepness need {at_grid[-1] + 1} nodes, at most {_MAX_NODES} can be "
                f"solved; take a coarser grid, or a shorter one where βU rises above about 50"
            )
        ends = np.interp(np.arange(at_grid[-1] // self._order + 1), at_grid // self._order, self.grid)
        return ends, at_grid

    @property
    def diffusion(self) -> float:
        """D = 1/β."""
        return 1.0 / self.beta

    def _wanted_levels(self, n_levels: int | None) -> int:
        """How many levels are to be found, of as many as there are free nodes."""
        there_are = self.nodes.size - (2 if self.walls == "absorbing" else 0)
        if n_levels is None:
            return there_are if self.nodes.size <= _MOST_DENSE else _LEVELS_OF_MANY
        if check_count("n_levels", n_levels) > there_are:
            raise InputError(f"there are {there_are} levels on this grid, got n_levels={n_levels}; pass fewer")
        return int(n_levels)

    @cached_property
    def _operator(self) -> BandedLevels:
        """H = GᵀG between nodal vectors √(w/ρ) P."""
        height = self._height[self._columns]
        drop = (height[:, None, :] - height[:, :, None]) / 2
        slope = self._derivative[None] * (2 / self._widths)[:, None, None]
        norm = np.sqrt(self._element_weights)[:, :, None] / np.sqrt(self._quadrature[self._columns])[:, None, :]
        blocks = np.sqrt(self.diffusion) * slope * norm * np.exp(drop)
        spread = self.moment(2, self.moment()) if self.walls == "reflecting" else np.ptp(self.grid) ** 2 / 12
        return BandedLevels(blocks, self.diffusion / spread, pinned=self.walls == "absorbing")

    @cached_property
    def _spectrum(self) -> tuple[FloatArray, FloatArray]:
        """Γ (k,), increasing, and the orthonormal nodal vectors (nodes, k)."""
        few = 4 * self._n_levels < self.nodes.size
        return self._operator.lowest(self._n_levels) if few else self._operator.all_levels(self._n_levels)

    def _decayed(self, start: FloatArray, times: FloatArray) -> FloatArray:
        """exp(-tH) start, (times, nodes)."""
        return self._operator.evolve(start, times, self._spectrum)

    @property
    def relaxation_rates(self) -> FloatArray:
        """(k,) Γ_n, increasing; the first is 0 (to rounding) between reflecting walls."""
        return self._spectrum[0]

    @property
    def energies(self) -> FloatArray:
        """(k,) 𝓔_n = Γ_n/(2D), levels of H = p²/2 + V_Q (36); the lower ones are converged, the uppermost are not."""
        return self.relaxation_rates / (2 * self.diffusion)

    @property
    def eigenfunctions(self) -> FloatArray:
        """(k, n) ψ_n on the grid, ∫ψ² dz = 1, positive in the rightmost lobe above a thousandth of the highest."""
        vectors = self._spectrum[1] / np.sqrt(self._quadrature)[:, None]
        tall = np.abs(vectors) > _TALL * np.abs(vectors).max(axis=0)
        last = tall.shape[0] - 1 - np.argmax(tall[::-1], axis=0)
        signs = np.where(vectors[last, np.arange(last.size)] < 0, -1.0, 1.0)
        return np.asarray((vectors * signs)[self._at_grid].T)

    @property
    def stationary(self) -> FloatArray:
        """(n,) stationary density exp(-βU)/Z on the grid; 0 everywhere between absorbing walls."""
        if self.walls == "absorbing":
            return np.zeros(self.grid.size)
        return self._density[self._at_grid]

    @cached_property
    def _density(self) -> FloatArray:
        weight = np.exp(-(self._height - self._lowest))
        return np.asarray(weight / (self._quadrature @ weight))

    @checked
    def moment(self, power: int = 1, about: float = 0.0) -> float:
        """⟨(z - about)^power⟩ in the stationary state, by the quadrature of the elements; power >= 0."""
        check_count("power", power, 0)
        return float(self._quadrature @ (self._density * (self.nodes - about) ** power))

    def autocorrelation(self, times: ArrayLike) -> FloatArray:
        """⟨z(t) z(0)⟩ - ⟨z⟩² in the stationary state at times (...,), divided by its value at t = 0."""
        moments = _moments(times)
        start = np.sqrt(self._density * self._quadrature) * (self.nodes - self.moment())
        overlap = self._decayed(start, moments.ravel()) @ start
        return np.asarray(overlap / (start @ start)).reshape(moments.shape)

    def evolve(self, p0: Callable[[FloatArray], ArrayLike] | ArrayLike, times: ArrayLike) -> FloatArray:
        """P(z, t) of eq. (37) from a density at t = 0.

        Parameters
        ----------
        p0 : density as a function, or its values on the grid (linear in between); it is normalised
        times : (T,) >= 0

        Returns
        -------
        (T, n) densities on the grid; mass is conserved between reflecting walls

        Raises
        ------
        InputError : a negative time or density, no mass, or mass where βU is more than 50 above its minimum, which the
            expansion cannot resolve
        """
        start = np.asarray(p0(self.nodes) if callable(p0) else self._from_grid(p0), dtype=np.float64)
        moments = _moments(times).reshape(-1)
        if np.any(start < 0) or not np.all(np.isfinite(start)):
            raise InputError("evolve needs times >= 0 and a finite density >= 0, got others; correct them")
        mass = float(self._quadrature @ start)
        if mass <= 0.0:
            raise InputError("the starting density has no mass on the grid; move it inside")
        start = start / mass
        height = self._height - self._lowest
        if float(self._quadrature @ np.where(height > _MAX_START_HEIGHT, start, 0.0)) > 1e-12:
            raise InputError(
                f"the start has mass where βU is more than {_MAX_START_HEIGHT:.0f} above its minimum; "
                f"start lower or shorten the grid"
            )
        scale = np.exp(-np.minimum(height, 2 * _MAX_START_HEIGHT) / 2)
        decayed = self._decayed(start * np.sqrt(self._quadrature) / scale, moments)
        shape = np.exp(-height / 2) / np.sqrt(self._quadrature)
        return np.asarray((decayed * shape)[:, self._at_grid])

    def _from_grid(self, values: ArrayLike) -> FloatArray:
        density = number_array(values, "p0").astype(np.float64)
        if density.shape != self.grid.shape:
            raise ShapeError(f"p0 has shape {density.shape}, the grid {self.grid.shape}; give one value a grid point")
        return np.asarray(np.interp(self.nodes, self.grid, density))


def _moments(times: ArrayLike) -> FloatArray:
    """Times, checked."""
    moments = real_array(times, "times")
    if np.any(moments < 0):
        raise InputError("times must not be negative; correct them")
    return moments


def _lobatto(order: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Gauss-Lobatto-Legendre points and weights on [-1, 1], and the derivative matrix of the interpolant."""
    legendre = np.polynomial.legendre.Legendre.basis(order)
    points = (
        np.concatenate([[-1.0], np.sort(legendre.deriv().roots().real), [1.0]]) if order > 1 else np.array([-1.0, 1.0])
    )
    values = legendre(points)
    weights = 2.0 / (order * (order + 1) * values**2)
    distance = points[:, None] - points[None, :] + np.eye(order + 1)
    derivative = values[:, None] / (values[None, :] * distance)
    np.fill_diagonal(derivative, 0.0)
    derivative[0, 0], derivative[-1, -1] = -order * (order + 1) / 4, order * (order + 1) / 4
    return points, weights, derivative
