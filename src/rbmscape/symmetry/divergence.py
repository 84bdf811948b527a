r"""How far training breaks rotational symmetry (arXiv:2503.21536, section 5.1, figure 4).

The entries of W and of W_R = (R U Rᵀ) Σ (Q Vᵀ Qᵀ) are compared as two histograms over one range that holds both.
For Gaussian weights both are draws of the same law (equation 49), so that what remains is sampling noise: about
``(bins - 1) / 4 NM`` for two independent histograms.  The null distribution measures it.
Divergences are in nats; weights are (N, M).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from rbmscape.arguments import checked
from rbmscape.brief import OneLine
from rbmscape.checks import check_count
from rbmscape.errors import InputError, ShapeError
from rbmscape.model.rbm import RBM
from rbmscape.reciprocal.modes import Modes, modes_of
from rbmscape.rng import Stream
from rbmscape.stats import Estimate, jensen_shannon
from rbmscape.symmetry.rotations import PAPER_FRACTION, Planes, rotated_weights

__all__ = [
    "BINS",
    "Distances",
    "NullDistribution",
    "distances",
    "entry_histograms",
    "kullback_leibler",
    "null_divergences",
    "rotation_divergence",
]

BINS: Final = 1000
FloatArray = NDArray[np.float64]
NullKind = Literal["random", "shuffled", "haar"]
Statistic = Literal["jensen_shannon", "kl_forward", "kl_backward", "kolmogorov_smirnov", "energy_distance"]
STATISTICS: Final[tuple[Statistic, ...]] = (
    "jensen_shannon",
    "kl_forward",
    "kl_backward",
    "kolmogorov_smirnov",
    "energy_distance",
)


@dataclass(frozen=True, slots=True, repr=False)
class Distances(OneLine):
    """Differences between the entries of two matrices.

    Attributes
    ----------
    jensen_shannon : nats, at most ln 2, from histograms
    kl_forward, kl_backward : D(before ‖ after) and D(after ‖ before), nats, from histograms (see `kullback_leibler`)
    kolmogorov_smirnov : largest difference of the distribution functions, in [0, 1]; needs no bins
    energy_distance : Székely's, in units of the first matrix's standard deviation; needs no bins
    """

    jensen_shannon: float
    kl_forward: float
    kl_backward: float
    kolmogorov_smirnov: float
    energy_distance: float


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class NullDistribution(OneLine):
    """Distances of matrices without learned structure from their rotated selves.

    Attributes
    ----------
    values : (n,) one distance a matrix, in the unit of the statistic
    kind : "random", Gaussian matrices, "shuffled", permutations of one model's entries, or "haar", matrices with one
        model's singular values and random singular vectors
    statistic : which of `Distances`
    """

    values: FloatArray
    kind: NullKind
    statistic: Statistic = "jensen_shannon"

    def _headline(self) -> str:
        return f"{self.values.size} {self.kind} matrices, {self.statistic} {self.mean:.4g} ± {self.std:.2g} (sd)"

    @property
    def mean(self) -> float:
        """Average over matrices."""
        return float(self.values.mean())

    @property
    def std(self) -> float:
        """Standard deviation over matrices."""
        return float(self.values.std(ddof=1))

    def excess(self, distance: float) -> float:
        """How many null standard deviations a distance lies above the null's mean."""
        return (distance - self.mean) / self.std


def kullback_leibler(p_counts: ArrayLike, q_counts: ArrayLike, pseudocount: float = 0.5) -> float:
    """D(p ‖ q) in nats of two histograms over the same bins, each count raised by Jeffreys' one half.

    Without the pseudocount the divergence is infinite as soon as one bin is empty in q only, which finite samples
    always show; with it the estimate is finite, and biased by about ``bins / 2n`` at most.
    """
    p = np.asarray(p_counts, dtype=np.float64) + pseudocount
    q = np.asarray(q_counts, dtype=np.float64) + pseudocount
    p, q = p / p.sum(), q / q.sum()
    kept = p > 0
    with np.errstate(divide="ignore"):
        return float((p[kept] * np.log(p[kept] / q[kept])).sum())


def _bin_numbers(values: Tensor, lowest: float, highest: float, bins: int) -> Tensor:
    """Bin of each value when [lowest, highest] is cut into equal bins, the last one closed."""
    scale = bins / (highest - lowest) if highest > lowest else 0.0
    return ((values - lowest) * scale).to(torch.int64).clamp_(0, bins - 1)


def _column_counts(numbers: Tensor, bins: int) -> Tensor:
    """Histogram of every column, (M, bins)."""
    n_columns = numbers.shape[1]
    shifted = numbers + torch.arange(n_columns, device=numbers.device) * bins
    return torch.bincount(shifted.reshape(-1), minlength=n_columns * bins).reshape(n_columns, bins)


def entry_histograms(
    before: Tensor, after: Tensor, n_bins: int = BINS
) -> tuple[FloatArray, NDArray[np.int64], NDArray[np.int64]]:
    """Histograms of the entries of two matrices, column by column, over the smallest range that holds both.

    Parameters
    ----------
    before, after : (N, M)
    n_bins : number of equal bins

    Returns
    -------
    edges (n_bins + 1,); counts (M, n_bins) of ``before`` and of ``after``, whose sums are the whole histograms

    Raises
    ------
    ShapeError : the matrices differ in shape
    InputError : fewer than 2 bins
    """
    if before.shape != after.shape or before.ndim != 2:
        shapes = f"{tuple(before.shape)} and {tuple(after.shape)}"
        raise ShapeError(f"the entries of two matrices of one shape are compared, found shapes {shapes}")
    if n_bins < 2:
        raise InputError(f"a histogram needs at least 2 bins, found {n_bins}")
    first, second = before.to(torch.float64), after.to(torch.float64)
    lowest = min(float(first.min()), float(second.min()))
    highest = max(float(first.max()), float(second.max()))
    counts = [_column_counts(_bin_numbers(x, lowest, highest, n_bins), n_bins).cpu().numpy() for x in (first, second)]
    return np.linspace(lowest, highest, n_bins + 1), counts[0], counts[1]


def distances(before: Tensor, after: Tensor, n_bins: int = BINS) -> Distances:
    """Every difference between the entries of two matrices; those without bins sort the entries, O(NM ln NM).

    Raises
    ------
    ShapeError : the matrices differ in shape
    InputError : fewer than 2 bins
    """
    from scipy.stats import energy_distance, ks_2samp

    _, p, q = entry_histograms(before, after, n_bins)
    p_total, q_total = p.sum(0), q.sum(0)
    first, second = (x.to(torch.float64).reshape(-1).cpu().numpy() for x in (before, after))
    scale = first.std() or 1.0
    return Distances(
        jensen_shannon(p_total, q_total),
        kullback_leibler(p_total, q_total),
        kullback_leibler(q_total, p_total),
        float(ks_2samp(first, second, method="asymp").statistic),
        float(energy_distance(first / scale, second / scale)),
    )


def _bootstrap(p: NDArray[np.int64], q: NDArray[np.int64], generator: np.random.Generator, n_resamples: int) -> float:
    """Standard error of the divergence when hidden units (columns) are resampled, W and W_R together."""
    n_columns = p.shape[0]
    shares = np.full(n_columns, 1.0 / n_columns)
    weights = torch.from_numpy(generator.multinomial(n_columns, shares, size=n_resamples).astype(np.float32))
    totals = [(weights @ torch.from_numpy(x.astype(np.float32))).numpy() for x in (p, q)]
    return float(np.std([jensen_shannon(a, b) for a, b in zip(*totals, strict=True)], ddof=1))


@checked
def rotation_divergence(
    rbm: RBM,
    seed: int = 0,
    planes: Planes = "axes",
    *,
    n_rotations: int = 4,
    n_bins: int = BINS,
    fraction: float = PAPER_FRACTION,
    n_resamples: int = 200,
    modes: Modes | None = None,
) -> Estimate:
    """Jensen-Shannon divergence between the entries of W and of W_R (section 5.1, figure 4), nats, at most ln 2.

    Parameters
    ----------
    seed : selects the rotations and the bootstrap
    planes : "axes" or "haar", see `random_rotation`
    n_rotations : independent pairs of rotations (R, Q) that are averaged
    n_bins : bins of the two histograms, over the smallest range that holds both
    fraction : plane rotations a dimension; the paper's 0.1
    n_resamples : bootstrap samples
    modes : decomposition of the model, where it is known already

    Returns
    -------
    Estimate; its error combines a bootstrap over hidden units, W and W_R resampled together, with the spread between
    rotations.  ``ess`` is the number of rotations.  The value contains the noise floor of finite histograms, which
    `null_divergences` measures

    Raises
    ------
    InputError : no rotation, fewer than 2 bins or resamples, or what `rotated_weights` refuses
    """
    check_count("n_rotations", n_rotations)
    check_count("n_resamples", n_resamples, 2)
    decomposed = modes_of(rbm, modes)
    stream = Stream(seed, "symmetry/divergence")
    values, variances = [], []
    for draw in range(n_rotations):
        turned = rotated_weights(rbm, _draw_seed(stream, draw), planes, fraction=fraction, modes=decomposed)
        _, p, q = entry_histograms(rbm.weights, turned, n_bins)
        values.append(jensen_shannon(p.sum(0), q.sum(0)))
        variances.append(_bootstrap(p, q, stream.child("bootstrap").numpy(draw), n_resamples) ** 2)
    spread = float(np.var(values, ddof=1)) / n_rotations if n_rotations > 1 else 0.0
    # The rotations share one W, so that averaging them does not reduce the bootstrap's part.
    return Estimate(float(np.mean(values)), math.sqrt(float(np.mean(variances)) + spread), float(n_rotations))


def _draw_seed(stream: Stream, draw: int) -> int:
    return int(stream.child("seeds").numpy(draw).integers(0, 2**63 - 1))


def null_divergences(
    rbm: RBM,
    kind: NullKind = "random",
    n_samples: int = 32,
    seed: int = 0,
    planes: Planes = "axes",
    *,
    n_bins: int = BINS,
    fraction: float = PAPER_FRACTION,
    statistic: Statistic = "jensen_shannon",
) -> NullDistribution:
    """Divergence of matrices of the model's shape that learned nothing.

    Parameters
    ----------
    kind : "random", fresh Gaussian matrices (scale drops out, since the histograms share one range), which are rotation
        invariant; "shuffled", the model's own entries in random places, which keeps their distribution and destroys
        every correlation: what it shows beyond "random" is due to entries that are not Gaussian; "haar", the model's
        own singular values between Haar-distributed vectors, which differs from the model in what a rotation acts on
        alone
    n_samples : matrices, one rotation each; each costs a singular value decomposition
    statistic : one of `Distances`; those without bins sort the entries

    Raises
    ------
    InputError : fewer than 2 matrices, an unknown kind or statistic, or what `rotated_weights` refuses
    """
    if n_samples < 2:
        raise InputError(f"a null distribution needs at least 2 matrices, found {n_samples}")
    if kind not in get_args(NullKind):
        raise InputError(f"kind must be one of {', '.join(get_args(NullKind))}, found {kind!r}")
    if statistic not in STATISTICS:
        raise InputError(f"statistic must be one of {', '.join(STATISTICS)}, found {statistic!r}")
    stream = Stream(seed, f"symmetry/null/{kind}")
    values = np.empty(n_samples)
    for sample in range(n_samples):
        null = RBM(_null_weights(rbm, kind, stream.numpy(sample)), rbm.visible_bias, rbm.hidden_bias)
        turned = rotated_weights(null, _draw_seed(stream, sample), planes, fraction=fraction)
        values[sample] = _distance(null.weights, turned, n_bins, statistic)
    return NullDistribution(values, kind, statistic)


def _distance(before: Tensor, after: Tensor, n_bins: int, statistic: Statistic) -> float:
    if statistic == "jensen_shannon":
        _, p, q = entry_histograms(before, after, n_bins)
        return jensen_shannon(p.sum(0), q.sum(0))
    return float(getattr(distances(before, after, n_bins), statistic))


def _orthonormal(size: int, count: int, generator: np.random.Generator) -> Tensor:
    """(size, count) orthonormal columns, Haar-distributed."""
    basis, triangular = np.linalg.qr(generator.standard_normal((size, count)))
    return torch.from_numpy(basis * np.sign(np.diagonal(triangular)))


def _null_weights(rbm: RBM, kind: NullKind, generator: np.random.Generator) -> Tensor:
    if kind == "random":
        draws = torch.from_numpy(generator.standard_normal((rbm.n_visible, rbm.n_hidden)))
        return draws.to(device=rbm.device, dtype=rbm.dtype)
    if kind == "haar":
        values = torch.linalg.svdvals(rbm.weights.double()).cpu()
        left, right = (_orthonormal(size, len(values), generator) for size in (rbm.n_visible, rbm.n_hidden))
        product: Tensor = (left * values) @ right.mT
        return product.to(device=rbm.device, dtype=rbm.dtype)
    order = torch.from_numpy(generator.permutation(rbm.weights.numel())).to(rbm.device)
    return rbm.weights.reshape(-1)[order].reshape(rbm.n_visible, rbm.n_hidden)
