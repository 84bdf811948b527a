r"""Phase transitions along training (arXiv:2503.21536, sections 5.3 and 6, figures 7 and 8).

A mode orders where its paramagnetic state becomes unstable: for activities m, n where
``β ‖diag(m(1-m))^½ W diag(n(1-n))^½‖₂ = 1``, which is βλ = 4 at activities ½ (the *dressed* singular value; the
predicted transition).  The measured one is where the fluctuations along the dressed mode, in units of those of
independent bits with the same means, reach their critical size.  Below the transition Gaussian theory has ``1/(1 - d)``
for the dressed value d; at it the quartic term of Landau's expansion keeps them finite.  For symmetric modes the Binder
cumulant reaches its critical value there, too; biases break that symmetry in trained models.
Modes are followed through a run by index with a continuous sign, or by overlap of vectors.
Shapes: draws v (n_chains, n_draws, N), h (n_chains, n_draws, M).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from rbmscape.brief import OneLine
from rbmscape.diffusion.bosons import dressed_weights
from rbmscape.errors import InputError, ShapeError
from rbmscape.model.rbm import RBM
from rbmscape.reciprocal.modes import Modes
from rbmscape.reciprocal.rotation import rotate
from rbmscape.rng import Stream
from rbmscape.sampling.draws import Draws
from rbmscape.stats import Estimate
from rbmscape.symmetry.order import OrderParameter, order_parameter

__all__ = [
    "CriticalFluctuations",
    "critical_fluctuations",
    "critical_update",
    "follow_modes",
    "mode_coordinates",
    "over_replicas",
]

FloatArray = NDArray[np.float64]
Follow = Literal["index", "overlap"]
_CRITICAL_MOMENT: Final = math.sqrt(12.0) * math.gamma(0.75) / math.gamma(0.25)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CriticalFluctuations(OneLine):
    """Fluctuations along the leading dressed modes at the means of the samples themselves.

    Attributes
    ----------
    dressed : (n_modes,) dressed singular values d, falling
    critical_ratio : (n_modes,) that ratio at the transition, ``√12 Γ(3/4)/Γ(1/4) / √(Σ e⁴)`` with e = (U_k, V_k)/√2:
        the second moment under exp(-Φζ⁴) with the Φ of bits of mean ½, a guide for other means
    coordinates : (n_chains, n_draws, n_modes) ``ζ_k = (Σ_i U_ik (v_i - m_i)/σ_i + Σ_j V_jk (h_j - n_j)/σ_j)/√2`` with
        the singular vectors of the dressed matrix, σ² = m(1-m), n(1-n); variance 1 for independent bits of these means
    orders : order parameter of each ζ_k; its ``susceptibility`` is the ratio of the fluctuations to independent bits'
    """

    dressed: FloatArray
    critical_ratio: FloatArray
    coordinates: FloatArray
    orders: tuple[OrderParameter, ...]

    def _headline(self) -> str:
        ratios = ", ".join(str(order.susceptibility) for order in self.orders[:3])
        return f"{self.dressed.size} modes, fluctuations {ratios}, {self.coordinates.shape[0]} chains"


def follow_modes(
    models: Sequence[RBM | Callable[[], RBM]], follow: Follow = "overlap", leading: int = 32
) -> Iterator[tuple[int, Modes]]:
    """Modes of the checkpoints of a run with continuous signs, from the last checkpoint back to the first.

    Modes are named at the last checkpoint, where they are no noise any more, as in `rbmscape.reciprocal.evolution`.

    Parameters
    ----------
    models : checkpoints in the order of training, or functions that load them
    follow : "overlap", mode i leads to the mode i of the last checkpoint through all crossings; "index", mode i is
        everywhere the one of i-th largest singular value
    leading : number of modes of largest singular value that are matched by overlap

    Yields
    ------
    Position of the checkpoint and its Modes, last one first and in the canonical gauge, each aligned to the later one

    Raises
    ------
    InputError : an unknown way to follow
    ShapeError : models of different sizes
    """
    if follow not in ("index", "overlap"):
        raise InputError(f"follow must be 'index' or 'overlap', found {follow!r}")
    later: Modes | None = None
    for position in range(len(models) - 1, -1, -1):
        model = models[position]
        modes = Modes.of(model if isinstance(model, RBM) else model())
        if later is not None:
            modes = modes.aligned_to(later, leading=0 if follow == "index" else leading)
        yield position, modes
        later = modes


def mode_coordinates(modes: Modes, draws: Draws, mode_indices: Sequence[int]) -> tuple[FloatArray, FloatArray]:
    """u_i and w_i about the saddles of some modes, (n_chains, n_draws, len(mode_indices)) each.

    Raises
    ------
    InputError : a mode index out of range
    """
    _check_modes(mode_indices, modes.n_paired)
    chosen = torch.as_tensor(list(mode_indices), device=modes.device)
    x = draws.v.double() @ modes.left[:, chosen] - modes.saddle_x[chosen]
    y = draws.h.double() @ modes.right[:, chosen] - modes.saddle_y[chosen]
    u, w = rotate(x, y)
    return u.cpu().numpy(), w.cpu().numpy()


def critical_fluctuations(
    rbm: RBM, draws: Draws, n_modes: int = 4, beta: float = 1.0, seed: int = 0
) -> CriticalFluctuations:
    """Dressed singular values and fluctuations at the activities of the samples.

    Parameters
    ----------
    draws : equilibrium states of the model
    n_modes : leading dressed modes
    beta : inverse temperature, > 0
    seed : of the bootstrap over chains

    Raises
    ------
    InputError : more modes than exist
    """
    _check_modes([n_modes - 1], min(rbm.n_visible, rbm.n_hidden))
    v, h = draws.v.double(), draws.h.double()
    m, n = v.mean((0, 1)), h.mean((0, 1))
    visible_variance, hidden_variance = m * (1 - m), n * (1 - n)
    spread_v, spread_h = visible_variance.sqrt(), hidden_variance.sqrt()
    left, values, right = torch.linalg.svd(
        beta * dressed_weights(rbm, visible_variance, hidden_variance), full_matrices=False
    )
    # Units that never change have no part in any mode: their rows of U and V are 0.
    whiten_v = torch.where(spread_v > 0, 1 / spread_v, 0.0)[:, None] * left[:, :n_modes]
    whiten_h = torch.where(spread_h > 0, 1 / spread_h, 0.0)[:, None] * right[:n_modes].T
    zeta = rotate((v - m) @ whiten_v, (h - n) @ whiten_h)[0].cpu().numpy()
    orders = tuple(order_parameter(zeta[..., k], seed=seed) for k in range(n_modes))
    quartic = ((left[:, :n_modes] ** 4).sum(0) + (right[:n_modes] ** 4).sum(1)) / 4
    critical = _CRITICAL_MOMENT / quartic.sqrt()
    return CriticalFluctuations(values[:n_modes].cpu().numpy(), critical.cpu().numpy(), zeta, orders)


def _check_modes(indices: Sequence[int], count: int) -> None:
    outside = [i for i in indices if not 0 <= i < count]
    if outside:
        raise InputError(f"modes run from 0 to {count - 1}, found {outside[0]}")


def critical_update(
    updates: ArrayLike,
    values: ArrayLike,
    level: float,
    stderr: ArrayLike | None = None,
    *,
    seed: int = 0,
    n_resamples: int = 400,
) -> Estimate:
    """Update at which a quantity first rises through a level, by two standard errors or for two checkpoints.

    Parameters
    ----------
    updates : (n,) checkpoints, rising
    values : (n,) the quantity there: a dressed singular value, a Binder cumulant, a width
    level : 1 for dressed values, `CRITICAL_BINDER` for cumulants of symmetric modes, 0 for the logarithm of
        fluctuation ratios over critical ones
    stderr : (n,) standard errors of the values; None means exact

    Returns
    -------
    Estimate, interpolated linearly in the logarithm of the update (of 1 + update where update 0 is one of the two);
    the error combines half the central 68 % interval when the values are redrawn within theirs with 1/√12 of the
    interval between the checkpoints that enclose the crossing.  NaN where the level is not reached

    Raises
    ------
    ShapeError : arrays of different lengths, or fewer than two checkpoints
    """
    times, series = np.asarray(updates, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if times.ndim != 1 or times.size < 2 or series.shape != times.shape:
        raise ShapeError(
            f"a critical update needs as many values as updates, two or more, found {times.shape}, {series.shape}"
        )
    errors = np.zeros_like(series) if stderr is None else np.nan_to_num(np.asarray(stderr, dtype=np.float64))
    crossing, width = _first_crossing(times, series, level, errors)
    if not math.isfinite(crossing):
        return Estimate(math.nan, math.nan)
    grid_error = width / math.sqrt(12.0)
    if stderr is None:
        return Estimate(crossing, grid_error)
    noise = Stream(seed, "symmetry/critical").numpy(0).standard_normal((n_resamples, times.size)) * errors
    redrawn = np.asarray([_first_crossing(times, series + row, level, errors)[0] for row in noise])
    finite = redrawn[np.isfinite(redrawn)]
    spread = float(np.diff(np.quantile(finite, [0.16, 0.84]))[0]) / 2 if finite.size > 1 else math.inf
    return Estimate(crossing, math.hypot(spread, grid_error))


def _first_crossing(times: FloatArray, values: FloatArray, level: float, errors: FloatArray) -> tuple[float, float]:
    """The crossing and the width of the interval that holds it; NaN if there is none.

    A single value that is above within its noise is no transition unless the next one is above, too.
    """
    above = values >= level
    lasting = above & (np.append(above[1:], True) | ((errors > 0) & (values - 2 * errors > level)))
    if not lasting.any():
        return math.nan, math.nan
    last = int(np.argmax(lasting))
    if last == 0:
        return float(times[0]), 0.0
    shift = 1.0 if times[last - 1] <= 0 else 0.0
    low, high = math.log(times[last - 1] + shift), math.log(times[last] + shift)
    rise = values[last] - values[last - 1]
    share = 1.0 if rise <= 0 else min(1.0, max(0.0, (level - values[last - 1]) / rise))
    return math.exp(low + share * (high - low)) - shift, float(times[last] - times[last - 1])


def over_replicas(estimates: Sequence[Estimate]) -> Estimate:
    """Mean of a quantity over replicas.

    The error combines the standard error of their spread with the mean of their own errors, which do not average out:
    replicas have checkpoints at the same updates, and the transition falls between the same two of them.  Replicas
    without a value (NaN) make the result NaN: a transition that some do not show has no mean.  ``ess`` is the number
    of replicas.

    Raises
    ------
    InputError : no replica
    """
    if not estimates:
        raise InputError("the mean over replicas needs at least one replica, found none")
    values = np.asarray([e.value for e in estimates])
    if values.size == 1:
        return Estimate(estimates[0].value, estimates[0].stderr, 1.0)
    spread = float(values.std(ddof=1)) / math.sqrt(values.size)
    common = float(np.mean([estimate.stderr for estimate in estimates]))
    return Estimate(float(values.mean()), math.hypot(spread, common), float(values.size))
