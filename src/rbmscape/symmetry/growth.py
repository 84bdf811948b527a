r"""Growth of the modes while the weights are small: prediction from the data's covariance, and what a run did.

With visible biases at the logits of the data's means, hidden means n = ½ and weights W of first order, the centred
gradient of the mean log-likelihood (arXiv:2503.21536, equation 6, with the offsets of both layers) is

    dW = η n(1-n) (C - D) W = (η/4) (C - D) W,

C being the covariance of the data and D its diagonal: both phases give ⟨(v-m)(h-n)⟩ = n(1-n) ⟨(v-m)(v-m)ᵀ⟩ W, over
the data with C, over the model, whose visible units are independent at this order, with D.  So the amplitude
w_c = P_cᵀ W along an eigenvector P_c of C - D is multiplied by 1 + η e_c/4 an update, and the first modes of a run are
the leading eigenvectors.  Gibbs steps do not enter: chains of independent units forget in one step.
Shapes: data (n, N); modes in columns of (N, K); checkpoints lead, (T, ...).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from rbmscape.arguments import checked
from rbmscape.arrays import real_array, training_rows
from rbmscape.brief import OneLine
from rbmscape.checks import check_count, is_whole
from rbmscape.errors import DataError, InputError, MissingInputError, ShapeError
from rbmscape.model.rbm import RBM
from rbmscape.stats import Estimate

__all__ = ["LinearGrowth", "MeasuredGrowth", "linear_growth", "measured_growth"]

FloatArray = NDArray[np.float64]
WIDE = 4096
"""Units up to which the whole matrix C - D is diagonalised."""
_WEAK = 0.3
_LAG = 0.1


@dataclass(frozen=True, eq=False, repr=False)
class LinearGrowth(OneLine):
    """Modes of the linear regime, fastest first.

    Attributes
    ----------
    eigenvalues : (K,) e_c of C - D, falling; the amplitude grows by 1 + η e_c/4 an update
    directions : (N, K) eigenvectors P_c, signs such that ``Σ_k P_kc >= 0``
    means : (N,) means of the data
    squares : (K,) variance over the samples of ``(P_c·(v - m))²``, which makes minibatches differ
    independent : (K,) ``P_cᵀ D P_c``, the variance along P_c of independent units with the data's means
    """

    eigenvalues: FloatArray
    directions: FloatArray
    means: FloatArray
    squares: FloatArray
    independent: FloatArray

    def _headline(self) -> str:
        largest = ", ".join(f"{value:.4g}" for value in self.eigenvalues[:3])
        return f"{self.eigenvalues.size} modes of {self.means.size} units, eigenvalues {largest}, …"

    def rates(self, learning_rate: float) -> FloatArray:
        """Growth of ln w_c an update, ``ln(1 + η e_c/4)``, (K,); exact at first order in W."""
        return np.asarray(np.log1p(learning_rate * self.eigenvalues / 4))

    def noise(self, batch_size: int, n_chains: int) -> FloatArray:
        """Standard deviation of e_c/4 as one update sees it, ``¼ √(s_c/B + 2 D_c²/C)`` for B samples and C chains."""
        return np.asarray(np.sqrt(self.squares / batch_size + 2 * self.independent**2 / n_chains) / 4)


@dataclass(frozen=True, eq=False, repr=False)
class MeasuredGrowth(OneLine):
    """Growth of the modes of one run.

    Attributes
    ----------
    updates, exposure : (T,) checkpoints, and the sum of the learning rates of the updates before each
    amplitudes : (T, K) norm of ``w_c = P_cᵀ W``, which contains the noise of the weights
    dressed : (T,) largest dressed singular value ``‖diag(m(1-m))^½ W/2‖`` at the data's means m
    rates : growth of ln w_c in one unit of exposure, over the checkpoints with dressed values up to the bound
    predicted : (K,) the same by the linear theory, e_c/4 (exactly ``ln(1 + η e_c/4)/η`` at the run's mean η)
    left : (K,) update at which the amplitude has fallen behind the linear law by the tolerance; NaN where it has not
    """

    updates: NDArray[np.int64]
    exposure: FloatArray
    amplitudes: FloatArray
    dressed: FloatArray
    rates: tuple[Estimate, ...]
    predicted: FloatArray
    left: FloatArray

    def _headline(self) -> str:
        pairs = zip(self.rates, self.predicted, strict=True)
        return ", ".join(f"rate {rate} (predicted {value:.4g})" for rate, value in pairs)


@checked
def linear_growth(data: ArrayLike, n_modes: int = 4) -> LinearGrowth:
    """Leading eigenvalues and eigenvectors of C - D of the data; exact for these data, to rounding.

    Parameters
    ----------
    data : (n, N) bits, or a `Dataset` for its training rows
    n_modes : K <= N

    Raises
    ------
    DataError : fewer than two samples, or not a matrix
    InputError : more modes than units, or none
    """
    samples = torch.from_numpy(real_array(training_rows(data, "linear growth"), "data", np.float32))
    if samples.ndim != 2 or samples.shape[0] < 2:
        raise DataError(f"linear growth needs a (n, N) matrix of two samples or more, found {tuple(samples.shape)}")
    count, units = samples.shape
    if not (is_whole(n_modes) and 1 <= n_modes <= units):
        raise InputError(f"n_modes must be from 1 to {units} (the number of visible units), found {n_modes!r}")
    mean = samples.mean(0, dtype=torch.float64)
    bits = samples - mean.float()
    if units > WIDE:
        values, leading, variances = _leading_of_wide(bits, n_modes)
    else:
        covariance = (bits.T @ bits).double() / count
        variances = covariance.diagonal().clone()
        covariance.fill_diagonal_(0.0)
        rising, vectors = torch.linalg.eigh(covariance)
        values, leading = rising.flip(0)[:n_modes], vectors.flip(1)[:, :n_modes]
    leading = leading * torch.where(leading.sum(0) < 0, -1.0, 1.0).double()
    squares = (bits @ leading.float()).square().var(0, correction=0).double()
    independent = variances @ leading.square()
    return LinearGrowth(*(part.numpy() for part in (values, leading, mean, squares, independent)))


def _leading_of_wide(deviations: Tensor, n_modes: int) -> tuple[Tensor, Tensor, Tensor]:
    """The leading eigenvalues and eigenvectors of C - D, and D, by Lanczos iterations without the matrix C."""
    from scipy.sparse.linalg import LinearOperator, eigsh

    count, units = deviations.shape
    variances = deviations.square().mean(0, dtype=torch.float64)

    def product(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        given = torch.from_numpy(np.ascontiguousarray(vector).reshape(units))
        along = (deviations @ given.float()).double() / count
        result: NDArray[np.float64] = ((deviations.T @ along.float()).double() - variances * given).numpy()
        return result

    operator = LinearOperator((units, units), matvec=product, dtype=np.float64)
    start = np.ones(units) / math.sqrt(units)
    values, vectors = eigsh(operator, k=n_modes, which="LA", v0=start, tol=1e-6)
    order = torch.from_numpy(np.argsort(-values))
    return torch.from_numpy(values)[order], torch.from_numpy(vectors)[:, order], variances


@checked
def measured_growth(
    models: Sequence[RBM | Callable[[], RBM]],
    updates: Sequence[int],
    exposure: ArrayLike,
    growth: LinearGrowth,
    *,
    batch_size: int = 500,
    n_chains: int = 500,
    weak: float = _WEAK,
    lag: float = _LAG,
) -> MeasuredGrowth:
    """Growth of the weights of a run along the modes of the linear regime.

    Between checkpoints s and t the amplitude is projected on what it was, ``r = w_c(t)·w_c(s) / |w_c(s)|²``: the noise
    of the updates in between is independent of w_c(s), so that r has the mean e^{g Δ} exactly at first order, which
    norms of noisy vectors have not.  The part of w_c(t) across w_c(s) is noise alone, and measures it: the standard
    error of r is its norm over ``√(M - 1) |w_c(s)|``.  Rates are weighted means of ln r / Δ over the intervals.

    Parameters
    ----------
    models : (T,) checkpoints of the raw (not averaged) parameters, or functions that load them
    updates : (T,) their updates, rising
    exposure : (T,) sum of the learning rates of all updates before each checkpoint; for SGD with momentum μ divide it
        by 1 - μ.  Adam has no linear regime
    growth : prediction, from `linear_growth` of the training data
    batch_size, n_chains : samples and chains of an update
    weak : intervals that end at dressed values below this are in the linear regime
    lag : a mode leaves the linear regime where its amplitude is below (1 - lag) times the linear law

    Returns
    -------
    MeasuredGrowth

    Raises
    ------
    MissingInputError : fewer than two checkpoints with small weights
    InputError : checkpoints that do not rise
    ShapeError : models, updates and exposures of different number, or fewer than two hidden units
    """
    models = list(models)
    check_count("batch_size", batch_size)
    check_count("n_chains", n_chains)
    times, spent = np.asarray(updates, dtype=np.int64), real_array(exposure, "exposure")
    if not (len(models) == times.size == spent.size) or times.size < 2:
        raise ShapeError(
            f"growth needs one update and one exposure a model, two or more, found {len(models)} models, "
            f"{times.size} updates and {spent.size} exposures"
        )
    if (np.diff(times) <= 0).any() or (np.diff(spent) <= 0).any():
        raise InputError("updates and exposures must rise; sort the checkpoints by update and leave none out twice")
    components, dressed = _amplitudes(models, growth)
    inside = int(np.argmax(dressed > weak)) if (dressed > weak).any() else times.size
    if inside < 2:
        raise MissingInputError(
            f"{inside} checkpoint(s) have dressed singular values up to {weak:g}, growth needs two; keep earlier ones"
        )
    ratio, across = _ratios(components)
    mean_rate = (spent[inside - 1] - spent[0]) / float(times[inside - 1] - times[0])
    predicted = np.log1p(mean_rate * growth.eigenvalues / 4) / mean_rate
    own = growth.noise(batch_size, n_chains) * np.sqrt(np.diff(times))[:, None] * mean_rate
    error = np.hypot(across / np.abs(ratio), own)
    half = max(2, int(np.argmax(dressed > dressed[inside - 1] / 2)))
    rates = tuple(_rate(ratio[:, c], error[:, c], np.diff(spent), inside, half) for c in range(predicted.size))
    left = _leaving(times, spent, ratio, predicted, lag)
    return MeasuredGrowth(times, spent, np.linalg.norm(components, axis=2), dressed, rates, predicted, left)


def _amplitudes(models: Sequence[RBM | Callable[[], RBM]], growth: LinearGrowth) -> tuple[FloatArray, FloatArray]:
    """w_c of every checkpoint, (T, K, M), and the largest dressed singular values (T,)."""
    directions = torch.from_numpy(growth.directions)
    spread = torch.from_numpy(np.sqrt(growth.means * (1 - growth.means)))
    rows, dressed = [], []
    for model in models:
        rbm = model if isinstance(model, RBM) else model()
        if rbm.n_visible != directions.shape[0] or rbm.n_hidden < 2:
            raise ShapeError(
                f"growth along {directions.shape[0]} visible units needs models of that many and two hidden units or "
                f"more, found {rbm.n_visible} and {rbm.n_hidden}"
            )
        weights = rbm.weights.double().cpu()
        rows.append((directions.T @ weights).numpy())
        dressed.append(float(torch.linalg.matrix_norm(spread[:, None] * weights, 2)) / 2)
    return np.stack(rows), np.asarray(dressed)


def _ratios(components: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Projection of each amplitude on the one before, (T - 1, K), and its standard error from the part across."""
    before, after = components[:-1], components[1:]
    square = (before**2).sum(2)
    ratio = (before * after).sum(2) / square
    across = np.linalg.norm(after - ratio[..., None] * before, axis=2)
    return ratio, across / np.sqrt((before.shape[2] - 1) * square)


def _rate(ratio: FloatArray, error: FloatArray, steps: FloatArray, inside: int, half: int) -> Estimate:
    """Weighted mean of ln r / Δ over the checkpoints inside; intervals whose r drowns in noise carry no weight."""

    def mean(count: int) -> tuple[float, float, int]:
        clear = (ratio[: count - 1] > 0) & (error[: count - 1] < 1 / 3)
        if not clear.any():
            return math.nan, math.nan, 0
        r, width, step = ratio[: count - 1][clear], error[: count - 1][clear], steps[: count - 1][clear]
        weights = (step / np.maximum(width, 1e-12)) ** 2
        return float((weights * np.log(r) / step).sum() / weights.sum()), float(weights.sum() ** -0.5), len(r)

    value, stderr, count = mean(inside)
    earlier = mean(half)[0]
    drift = 0.0 if math.isnan(earlier) else 2 * (value - earlier)
    return Estimate(value, math.hypot(stderr, drift), float(count))


def _leaving(
    times: NDArray[np.int64], spent: FloatArray, ratio: FloatArray, predicted: FloatArray, lag: float
) -> FloatArray:
    """First update at which the growth since the start lags behind the linear law by ln(1 - lag), interpolated."""
    with np.errstate(invalid="ignore", divide="ignore"):
        grown = np.vstack([np.zeros(predicted.size), np.cumsum(np.log(ratio), axis=0)])
    behind = grown - np.outer(spent - spent[0], predicted) - math.log1p(-lag)
    found = np.full(predicted.size, math.nan)
    for c in range(predicted.size):
        below = np.flatnonzero(~(behind[:, c] > 0))
        # A lag that is made up again was noise: what counts is the last time above.
        stays = [k for k in below if not (behind[k:, c] > 0).any()]
        if stays:
            k = stays[0]
            high, low = behind[k - 1, c], behind[k, c]
            share = high / (high - low) if math.isfinite(low) else 1.0
            found[c] = times[k - 1] + share * (times[k] - times[k - 1])
    return found
