r"""U_eff along one mode with all other modes relaxed: min over the others of U_eff(z) at a given z_i.

The potential of mean force -(1/β) ln P(z_i) at the saddle-point level of arXiv:2503.21536, eqs. (26)-(31).  A tilt t
conjugate to z_i turns the constrained minimum into a mean field, m = σ(β(a + Wn) + t ∂m/∂z_i) and the same for n, whose
solutions lie on the branches of the minimum; fixed tilts do not reach the concave parts between two wells, so that the
lower envelope of all branches is found with z_i itself held.
NumPy float64 out; energies in units of k_B T at beta = 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from rbmscape.brief import OneLine
from rbmscape.checks import check_choice, check_count, check_mode, check_positive
from rbmscape.diffusion.constraint import mode_columns
from rbmscape.diffusion.tap import MeanFieldProblem
from rbmscape.errors import InputError, ShapeError
from rbmscape.model.arrays import Arrays
from rbmscape.model.rbm import RBM
from rbmscape.reciprocal.modes import Modes
from rbmscape.reciprocal.rotation import rotate

__all__ = ["relaxed_branches", "relaxed_potential"]

FloatArray = NDArray[np.float64]
_NEAREST = 3
"""Starts that are relaxed for each value of z_i."""
_BETTER = 1e-2
"""An offer is taken where it is lower by more than this, k_B T."""
_NEWTON = 3


def relaxed_branches(
    rbm: RBM,
    modes: Modes,
    mode: int,
    starts: Arrays,
    tilts: ArrayLike,
    branch: str = "u",
    beta: float = 1.0,
    n_iterations: int = 300,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Constrained stationary points of U_eff for a range of tilts.

    Parameters
    ----------
    rbm, modes : the model and its modes
    mode : index of the coordinate, from 0
    starts : (S, N) visible states or means from which each tilt's iteration starts
    tilts : (K,) values of t = β ∂U/∂z_i at the points that are found
    branch : "u" or "w"
    beta : inverse temperature, > 0
    n_iterations : layer-by-layer iterations

    Returns
    -------
    z_i, U_eff, and the residual (largest change of an activity in the last iteration): (K, S) each

    Raises
    ------
    InputError : no such mode, a flat one, another branch, beta not above 0
    ShapeError : starts do not fit the model
    """
    beta = check_positive("beta", beta)
    check_count("n_iterations", n_iterations)
    first, second, origin = _coordinate(modes, mode, branch)
    values = torch.as_tensor(np.asarray(tilts, dtype=np.float64)).to(first)
    if values.ndim != 1:
        raise ShapeError(f"tilts must be a vector, got shape {tuple(values.shape)}; flatten them")
    problem = MeanFieldProblem.of(rbm, beta)
    visible = rbm.as_visible(starts).double().reshape(-1, rbm.n_visible)
    n_starts = visible.shape[0]
    m = visible.repeat(values.shape[0], 1)
    pull = values.repeat_interleave(n_starts)[:, None] / beta
    n = m.new_full((m.shape[0], rbm.n_hidden), 0.5)
    for _ in range(n_iterations):
        n = torch.sigmoid(beta * (m @ problem.weights + problem.hidden_bias + pull * second))
        old = m
        m = torch.sigmoid(beta * (n @ problem.weights.mT + problem.visible_bias + pull * first))
    residual = (m - old).abs().amax(1)
    z = m @ first + n @ second - origin
    shape = (values.shape[0], n_starts)
    return tuple(  # type: ignore[return-value]
        array.reshape(shape).cpu().numpy() for array in (z, problem.free_energy(m, n), residual)
    )


def _coordinate(modes: Modes, mode: int, branch: str) -> tuple[Tensor, Tensor, float]:
    """Columns (N,), (M,) and origin of u or w of a mode, so that z = m·first + n·second - origin."""
    check_choice("branch", branch, ("u", "w"))
    index = check_mode(mode, modes.n_paired)
    if bool(modes.flat[index]):
        raise InputError(f"mode {index} has singular value 0 and no saddle, so no u and w either; choose another mode")
    first, second = mode_columns(modes, "u" if branch == "u" else "w")
    assert first is not None
    assert second is not None
    origin = float(rotate(modes.saddle_x[index], modes.saddle_y[index])[0 if branch == "u" else 1])
    return first[:, index].double(), second[:, index].double(), origin


def relaxed_potential(
    rbm: RBM,
    modes: Modes,
    mode: int,
    points: ArrayLike,
    starts: Arrays,
    branch: str = "u",
    beta: float = 1.0,
    n_iterations: int = 200,
    tolerance: float = 1e-3,
) -> FloatArray:
    """min over all other modes of U_eff, with z_i held at given values: a continuous function of z_i.

    Every value begins from the starts whose own z_i are nearest.  Then each value's state is offered to its two
    neighbours, which relax it and keep it where it is lower, until no offer is better: so the lowest branch found
    anywhere is followed as far as it goes, also through concave parts, and no branch ends in a jump that its
    continuation would fill.

    Parameters
    ----------
    points : (P,) values of z_i
    starts : (S, N) visible states, for example samples or data
    n_iterations : of a relaxation, layer by layer, at most
    tolerance : a relaxation ends when no activity moves by more

    Returns
    -------
    (P,) U_eff, minimum 0; NaN where no state of activities has that z_i.  An upper bound on the true minimum, since
    not all branches are found; the entropy of many branches of like energy is not in it.

    Raises
    ------
    InputError, ShapeError : see `relaxed_branches`
    """
    check_count("n_iterations", n_iterations)
    held = _Held.of(rbm, modes, mode, branch, check_positive("beta", beta))
    targets = torch.as_tensor(np.asarray(points, dtype=np.float64)).to(held.along_m).reshape(-1)
    order = targets.argsort()
    low, high = held.reach
    inside = order[(targets[order] > low) & (targets[order] < high)]
    result = np.full(targets.shape, np.nan)
    if not inside.numel():
        return result.reshape(np.shape(points))
    visible = rbm.as_visible(starts).double().reshape(-1, rbm.n_visible)
    values = _lowest(held, targets[inside], visible, n_iterations, tolerance).cpu().numpy()
    result[inside.cpu().numpy()] = values - values.min()
    return result.reshape(np.shape(points))


def _lowest(held: _Held, targets: Tensor, visible: Tensor, n_iterations: int, tolerance: float) -> Tensor:
    """Lowest U_eff found at each of the rising targets, from the nearest starts and from neighbours' states."""
    own = held.problem.hidden(visible, visible.new_zeros(len(visible), held.along_n.numel()))
    places = held.z(visible, own)
    nearest = (places[None] - targets[:, None]).abs().argsort(1)[:, :_NEAREST]
    repeated = targets.repeat_interleave(nearest.shape[1])
    m, n, energy = held.relaxed(visible[nearest.flatten()], own[nearest.flatten()], repeated, n_iterations, tolerance)
    energy = energy.reshape(nearest.shape)
    best = energy.argmin(1) + torch.arange(len(targets), device=targets.device) * nearest.shape[1]
    m, n, energy = m[best], n[best], energy.amin(1)
    fresh = torch.ones_like(energy, dtype=torch.bool)
    while bool(fresh.any()):
        giver = torch.cat([fresh[:-1].nonzero()[:, 0], fresh[1:].nonzero()[:, 0] + 1])
        taker = torch.cat([fresh[:-1].nonzero()[:, 0] + 1, fresh[1:].nonzero()[:, 0]])
        fresh = torch.zeros_like(fresh)
        if not giver.numel():
            break
        offered = held.relaxed(m[giver], n[giver], targets[taker], n_iterations, tolerance)
        for row, place in enumerate(taker.tolist()):
            if float(offered[2][row]) < float(energy[place]) - _BETTER:
                m[place], n[place], energy[place] = (part[row] for part in offered)
                fresh[place] = True
    return energy


@dataclass(frozen=True, eq=False, repr=False)
class _Held(OneLine):
    """U_eff with one coordinate z = m·along_m + n·along_n - origin held, and how it is relaxed.

    The method of multipliers: U_eff - τ (z - target), the multiplier τ raised by κ (target - z) at each half-step, with
    κ above any negative curvature, so that concave parts of the relaxed potential are as stable as wells.
    """

    problem: MeanFieldProblem
    along_m: Tensor
    along_n: Tensor
    origin: float
    stiffness: float

    @classmethod
    def of(cls, rbm: RBM, modes: Modes, mode: int, branch: str, beta: float) -> _Held:
        """Held coordinate of a model; errors as those of `relaxed_branches`."""
        first, second, origin = _coordinate(modes, mode, branch)
        largest = float(modes.singular_values.max())
        return cls(MeanFieldProblem.of(rbm, beta), first, second, origin, 2.0 * (largest + 4.0 / beta))

    def _headline(self) -> str:
        return f"{self.problem}, stiffness {self.stiffness:.3g}"

    @property
    def reach(self) -> tuple[float, float]:
        """Least and greatest z of any activities."""
        both = torch.cat([self.along_m, self.along_n])
        return float(both.clamp(max=0).sum()) - self.origin, float(both.clamp(min=0).sum()) - self.origin

    def z(self, m: Tensor, n: Tensor) -> Tensor:
        """Coordinate of activities (R, N) and (R, M): (R,)."""
        return m @ self.along_m + n @ self.along_n - self.origin

    def relaxed(
        self, m: Tensor, n: Tensor, targets: Tensor, n_iterations: int, tolerance: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Activities (R, N), (R, M) and U_eff (R,) relaxed at the targets (R,), to first order in z - target."""
        m, n, pull = m.clone(), n.clone(), torch.zeros_like(targets)
        busy = torch.arange(len(targets), device=targets.device)
        for _ in range(n_iterations):
            old = m[busy]
            m[busy], n[busy], pull[busy] = self._both_layers(n[busy], targets[busy] + self.origin, pull[busy])
            busy = busy[(m[busy] - old).abs().amax(1) >= tolerance]
            if not busy.numel():
                break
        return m, n, self.problem.free_energy(m, n) + pull * (targets - self.z(m, n))

    def _both_layers(self, n: Tensor, targets: Tensor, pull: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        problem = self.problem
        rest = targets - n @ self.along_n
        m, pull = self._layer(n @ problem.weights.mT + problem.visible_bias, self.along_m, rest, pull)
        rest = targets - m @ self.along_m
        n, pull = self._layer(m @ problem.weights + problem.hidden_bias, self.along_n, rest, pull)
        return m, n, pull

    def _layer(self, field: Tensor, along: Tensor, rest: Tensor, pull: Tensor) -> tuple[Tensor, Tensor]:
        """Activities of one layer and their pull τ = pull + κ (rest - activities·along), by Newton's method."""
        tau, beta = pull, self.problem.beta
        for _ in range(_NEWTON):
            activity = torch.sigmoid(beta * (field + tau[:, None] * along))
            slope = beta * (activity * (1 - activity)) @ along.square()
            excess = tau - pull - self.stiffness * (rest - activity @ along)
            tau = tau - excess / (1 + self.stiffness * slope)
        return torch.sigmoid(beta * (field + tau[:, None] * along)), tau
