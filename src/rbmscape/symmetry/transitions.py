r"""Phase transitions along training (arXiv:2503.21536, sections 5.3 and 6, figures 7 and 8).

A mode orders where its paramagnetic state becomes unstable: for activities m, n where
``β ‖diag(m(1-m))^½ W diag(n(1-n))^½‖₂ = 1``, which is βλ = 4 at activities ½ (the *dressed* singular value; the
predicted transition).  The measured one is where the Binder cumulant of the mode's coordinate reaches its critical
value, if the mode is symmetric; biases break the symmetry of trained modes, whose susceptibility rises most steeply
there.  Modes are followed through a run by index with a continuous sign, or by overlap of vectors.
Shapes: draws (n_chains, n_draws, n_modes).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from rbmscape.diffusion.reference import Reference, ReferenceKind, reference_point
from rbmscape.errors import InputError, ShapeError
from rbmscape.model.arrays import Arrays
from rbmscape.model.rbm import RBM
from rbmscape.reciprocal.modes import Modes
from rbmscape.rng import Stream
from rbmscape.sampling import gibbs
from rbmscape.stats import Estimate

__all__ = [
    "Draws",
    "critical_update",
    "dressed_singular_values",
    "follow_modes",
    "mode_draws",
    "over_replicas",
    "steepest_rise",
]

FloatArray = NDArray[np.float64]
Follow = Literal["index", "overlap"]


@dataclass(frozen=True, slots=True)
class Draws:
    """Equilibrium samples in the coordinates of a few modes.

    Attributes
    ----------
    u, w : (n_chains, n_draws, n_modes) float64 coordinates about the saddles
    v, h : (n_chains, N) and (n_chains, M) uint8, the chains' last joint states
    """

    u: FloatArray
    w: FloatArray
    v: torch.Tensor
    h: torch.Tensor


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


def dressed_singular_values(
    rbm: RBM,
    reference: ReferenceKind | Reference | tuple[Arrays, Arrays] = "data",
    beta: float = 1.0,
    *,
    data: Arrays | None = None,
    n_values: int | None = None,
) -> FloatArray:
    """Singular values of ``β diag(m(1-m))^½ W diag(n(1-n))^½``, falling; a mode above 1 is unstable.

    Parameters
    ----------
    reference, data : activities m (N,), n (M,), see `rbmscape.diffusion.reference.reference_point`
    beta : inverse temperature, > 0
    n_values : keep the first ones; None keeps all

    Returns
    -------
    (min(N, M),) or (n_values,) float64, dimensionless; βλ/4 for the uniform reference

    Raises
    ------
    InputError, DataError, NotConverged, ShapeError : from the reference
    """
    point = reference_point(rbm, reference, data, beta)
    dressed = point.visible_variance.sqrt()[:, None] * rbm.weights.double() * point.hidden_variance.sqrt()
    values: FloatArray = torch.linalg.svdvals(beta * dressed).cpu().numpy()
    return values[:n_values]


def mode_draws(
    rbm: RBM,
    modes: Modes,
    indices: Sequence[int],
    *,
    n_chains: int = 200,
    burn_in: int = 500,
    n_draws: int = 20,
    thin: int = 10,
    start: Arrays | None = None,
    beta: float = 1.0,
    seed: int = 0,
    engine: str = "auto",
    precision: str = "auto",
) -> Draws:
    """Gibbs samples in the coordinates u_i and w_i of some modes.

    Parameters
    ----------
    indices : modes, from 0 to min(N, M) - 1
    n_chains, burn_in, n_draws, thin : chains, steps before the first draw, draws a chain, steps between draws
    start : (n, N) states, from which chains start in turn; None starts from fair bits
    seed : of the chains
    engine, precision : see `rbmscape.kernels.select.select_engine`

    Returns
    -------
    Draws; equilibrium ones if burn_in suffices, which `rbmscape.sampling.diagnostics.r_hat` helps to judge

    Raises
    ------
    InputError : a mode index out of range, or fewer than one chain or draw
    EngineError : engine or precision is not available on this machine
    """
    outside = [i for i in indices if not 0 <= i < modes.n_paired]
    if outside:
        raise InputError(f"modes run from 0 to {modes.n_paired - 1}, found {outside[0]}")
    if min(n_chains, n_draws, thin) < 1 or burn_in < 0:
        raise InputError(
            f"found {n_chains} chains, {n_draws} draws, thin={thin}, burn_in={burn_in}; use positive numbers"
        )
    stream = Stream(seed, "symmetry/draws")
    sampler = gibbs.make_sampler(rbm, n_chains, stream, beta, engine, precision)
    chains = gibbs.init(_start(rbm, start, n_chains, stream))
    project = _projection(modes, indices)
    if burn_in:
        chains, _ = gibbs.step(sampler, chains, burn_in)
    along, across = [], []
    for _ in range(n_draws):
        # The hidden state of the last half-step and the v drawn from it are a joint sample.
        chains, info = gibbs.step(sampler, chains, thin)
        u, w = project(chains.v, info.h)
        along.append(u)
        across.append(w)
    return Draws(np.stack(along, 1), np.stack(across, 1), chains.v, info.h)


def _start(rbm: RBM, start: Arrays | None, n_chains: int, stream: Stream) -> torch.Tensor:
    if start is None:
        return gibbs.random_start(n_chains, rbm.n_visible, stream, device=rbm.device)
    states = rbm.as_visible(start)
    if states.ndim != 2 or states.shape[0] < 1:
        raise ShapeError(f"start states must be (n, {rbm.n_visible}), found {tuple(states.shape)}")
    return states[torch.arange(n_chains, device=rbm.device) % states.shape[0]].to(torch.uint8)


def _projection(
    modes: Modes, indices: Sequence[int]
) -> Callable[[torch.Tensor, torch.Tensor], tuple[FloatArray, FloatArray]]:
    """Function from (v, h) to the chosen u and w, (n_chains, n_modes) each."""
    chosen = torch.as_tensor(list(indices), device=modes.device)
    left, right = modes.left[:, chosen], modes.right[:, chosen]
    x0, y0 = modes.saddle_x[chosen], modes.saddle_y[chosen]

    def project(v: torch.Tensor, h: torch.Tensor) -> tuple[FloatArray, FloatArray]:
        along_x, along_y = v.double() @ left - x0, h.double() @ right - y0
        u, w = (along_y + along_x) * math.sqrt(0.5), (along_y - along_x) * math.sqrt(0.5)
        return u.cpu().numpy(), w.cpu().numpy()

    return project


def critical_update(
    updates: ArrayLike,
    values: ArrayLike,
    level: float,
    stderr: ArrayLike | None = None,
    *,
    seed: int = 0,
    resamples: int = 400,
) -> Estimate:
    """Update at which a quantity first rises through a level and stays there until the next checkpoint.

    Parameters
    ----------
    updates : (n,) checkpoints, rising
    values : (n,) the quantity there: a dressed singular value, a Binder cumulant, a width
    level : 1 for dressed values, `CRITICAL_BINDER` for cumulants
    stderr : (n,) standard errors of the values; None means exact

    Returns
    -------
    Estimate, interpolated linearly in the logarithm of the update (of 1 + update where update 0 is one of the two);
    the error is the spread when the values are redrawn within theirs, plus a quarter of the interval between the
    checkpoints that enclose the crossing divided by √3 as the error of interpolating.  NaN where the level is not
    reached

    Raises
    ------
    ShapeError : arrays of different lengths, or fewer than two checkpoints
    """
    times, series = np.asarray(updates, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if times.ndim != 1 or times.size < 2 or series.shape != times.shape:
        raise ShapeError(
            f"a critical update needs as many values as updates, two or more, found {times.shape}, {series.shape}"
        )
    crossing, width = _first_crossing(times, series, level)
    if not math.isfinite(crossing):
        return Estimate(math.nan, math.nan)
    grid_error = 0.25 * width / math.sqrt(3.0)
    if stderr is None:
        return Estimate(crossing, grid_error)
    errors = np.nan_to_num(np.asarray(stderr, dtype=np.float64))
    noise = Stream(seed, "symmetry/critical").numpy(0).standard_normal((resamples, times.size)) * errors
    redrawn = np.asarray([_first_crossing(times, series + row, level)[0] for row in noise])
    finite = redrawn[np.isfinite(redrawn)]
    spread = float(finite.std(ddof=1)) if finite.size > 1 else math.inf
    return Estimate(crossing, math.hypot(spread, grid_error))


def _first_crossing(times: FloatArray, values: FloatArray, level: float) -> tuple[float, float]:
    """The crossing and the width of the interval that holds it; NaN if there is none.

    A checkpoint counts as above the level only if the next one is, too: a single noisy value is no transition.
    """
    above = values >= level
    lasting = above & np.append(above[1:], True)
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


def steepest_rise(
    updates: ArrayLike,
    values: ArrayLike,
    stderr: ArrayLike | None = None,
    *,
    window: float = 1.25,
    seed: int = 0,
    resamples: int = 400,
) -> Estimate:
    """Update at which a positive quantity grows by the largest power of the update, d ln χ / d ln t.

    Parameters
    ----------
    updates : (n,) checkpoints, rising; those below 1 are left out
    values : (n,) the quantity there, positive: a susceptibility
    stderr : (n,) standard errors of the values; None means exact
    window : slopes are taken over a ratio of updates of at least this, so that close checkpoints do not amplify noise

    Returns
    -------
    Estimate: geometric middle of the steepest interval; the error combines the interval's width over √12 with the
    spread when the values are redrawn within their errors.  NaN where nothing rises

    Raises
    ------
    ShapeError : arrays of different lengths
    InputError : a value that is not positive, or updates that span less than the window
    """
    times, series = np.asarray(updates, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if times.ndim != 1 or series.shape != times.shape:
        raise ShapeError(f"a rise needs as many values as updates, found {times.shape} and {series.shape}")
    if not (series > 0.0).all():
        raise InputError("the steepest rise is one of the logarithm, found a value that is not positive")
    kept = times >= 1
    times, series = times[kept], series[kept]
    ends = np.searchsorted(times, window * times)
    starts = np.flatnonzero(ends < times.size)
    if starts.size == 0:
        raise InputError(f"the updates span a ratio below window={window}; give checkpoints further apart")
    ends = ends[starts]
    steps = np.log(times[ends] / times[starts])
    best, slope = _steepest(np.log(series), starts, ends, steps)
    if slope <= 0.0:
        return Estimate(math.nan, math.nan)
    middles = np.sqrt(times[ends] * times[starts])
    error = float(times[ends[best]] - times[starts[best]]) / math.sqrt(12.0)
    if stderr is not None:
        relative = np.nan_to_num(np.asarray(stderr, dtype=np.float64)[kept] / series)
        noise = Stream(seed, "symmetry/steepest").numpy(0).standard_normal((resamples, times.size)) * relative
        redrawn = [_steepest(np.log(series) + row, starts, ends, steps)[0] for row in noise]
        error = math.hypot(error, float(middles[redrawn].std(ddof=1)))
    return Estimate(float(middles[best]), error)


def _steepest(
    logarithm: FloatArray, starts: NDArray[np.int64], ends: NDArray[np.int64], steps: FloatArray
) -> tuple[int, float]:
    slopes = (logarithm[ends] - logarithm[starts]) / steps
    best = int(np.argmax(slopes))
    return best, float(slopes[best])


def over_replicas(estimates: Sequence[Estimate]) -> Estimate:
    """Mean of a quantity over replicas with the standard error of their spread (of the single one, if there is one).

    Replicas without a value (NaN) make the result NaN: a transition that some replicas do not show has no mean.
    ``ess`` is the number of replicas.

    Raises
    ------
    InputError : no replica
    """
    if not estimates:
        raise InputError("the mean over replicas needs at least one replica, found none")
    values = np.asarray([e.value for e in estimates])
    if values.size == 1:
        return Estimate(estimates[0].value, estimates[0].stderr, 1.0)
    return Estimate(float(values.mean()), float(values.std(ddof=1) / math.sqrt(values.size)), float(values.size))
