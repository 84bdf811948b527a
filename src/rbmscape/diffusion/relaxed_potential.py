r"""U_eff along one mode with all other modes relaxed: min over the others of U_eff(z) at a given z_i.

The potential of mean force -(1/β) ln P(z_i) at the saddle-point level of arXiv:2503.21536, eqs. (26)-(31).  A tilt t
conjugate to z_i turns the constrained minimum into a mean field, m = σ(β(a + Wn) + t ∂m/∂z_i) and the same for n, whose
solutions lie on the branches of the minimum; several starts find several branches, and the lower envelope is kept.
NumPy float64 out; energies in units of k_B T at beta = 1.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

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
_SAME_BRANCH = 0.5


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
    check_choice("branch", branch, ("u", "w"))
    index = check_mode(mode, modes.n_paired)
    if bool(modes.flat[index]):
        raise InputError(f"mode {index} has singular value 0 and no saddle, so no u and w either; choose another mode")
    first, second = (_column(block, index) for block in mode_columns(modes, "u" if branch == "u" else "w"))
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
    origin = float(rotate(modes.saddle_x[index], modes.saddle_y[index])[0 if branch == "u" else 1])
    z = m @ first + n @ second - origin
    shape = (values.shape[0], n_starts)
    return tuple(  # type: ignore[return-value]
        array.reshape(shape).cpu().numpy() for array in (z, problem.free_energy(m, n), residual)
    )


def _column(block: Tensor | None, index: int) -> Tensor:
    assert block is not None
    return block[:, index].double()


def relaxed_potential(
    rbm: RBM,
    modes: Modes,
    mode: int,
    points: ArrayLike,
    starts: Arrays,
    branch: str = "u",
    beta: float = 1.0,
    n_tilts: int = 25,
    largest_tilt: float = 6.0,
    n_iterations: int = 100,
    tolerance: float = 1e-2,
) -> FloatArray:
    """Lower envelope of U_eff over all branches found, at values of z_i.

    Between two neighbouring tilts of one start U_eff is the cubic through both values with both slopes t/β; pairs whose
    values the slopes do not explain (to 0.5 k_B T) lie on different branches and are left out.

    Parameters
    ----------
    points : (P,) values of z_i
    starts : (S, N) visible states, for example samples or data
    n_tilts, largest_tilt : tilts from -largest to largest
    n_iterations : layer-by-layer iterations at each
    tolerance : points whose iteration still moves more than this are left out

    Returns
    -------
    (P,) U_eff, minimum 0; NaN where no branch passes.  An upper bound on the true minimum, since not all branches are
    found; the entropy of many branches of like energy is not in it.

    Raises
    ------
    InputError, ShapeError : see `relaxed_branches`
    """
    targets = np.asarray(points, dtype=np.float64)
    check_count("n_tilts", n_tilts, 3)
    tilts = np.linspace(-check_positive("largest_tilt", largest_tilt), largest_tilt, n_tilts)
    z, energy, residual = relaxed_branches(rbm, modes, mode, starts, tilts, branch, beta, n_iterations)
    energy = np.where(residual < tolerance, energy, np.nan)
    slope = tilts[:, None] / beta
    width = z[1:] - z[:-1]
    explained = (slope[1:] + slope[:-1]) / 2 * width
    same = (width > 0) & (np.abs(energy[1:] - energy[:-1] - explained) < _SAME_BRANCH)
    envelope = np.full(targets.shape, np.nan)
    for place, target in enumerate(targets):
        with np.errstate(divide="ignore", invalid="ignore"):
            share = (target - z[:-1]) / width
        inside = same & (share >= 0) & (share <= 1)
        if inside.any():
            values = _hermite(share, width, energy[:-1], energy[1:], slope[:-1], slope[1:])
            envelope[place] = values[inside].min()
    return np.asarray(envelope - np.nanmin(envelope)) if np.isfinite(envelope).any() else envelope


def _hermite(
    share: FloatArray,
    width: FloatArray,
    first: FloatArray,
    last: FloatArray,
    first_slope: FloatArray,
    last_slope: FloatArray,
) -> FloatArray:
    """Cubic with the given values and slopes at shares 0 and 1 of the width."""
    rest = 1 - share
    values = (1 + 2 * share) * rest**2 * first + (1 + 2 * rest) * share**2 * last
    return values + width * (share * rest**2 * first_slope - rest * share**2 * last_slope)
