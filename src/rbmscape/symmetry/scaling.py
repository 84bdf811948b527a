r"""Finite-size scaling of the first transition, and its update against the size of the hidden layer.

Fluctuations R along the leading dressed mode, in units of those of independent bits, and their Binder cumulant B are
functions of the dressed value d and of the size n (of the layers, or ``2/(ΣU⁴ + ΣV⁴)`` for modes that are not spread
evenly).  The bipartite Curie-Weiss model, which a mode that couples all units is, has the mean-field scaling

    R = √n f((d - 1)√n),    B = b((d - 1)√n),

so that R/√n and B of all sizes cross at d = 1 and fall on one curve each; R grows there as n^{1/2} and the slope of B
as n^{1/2}.  Crossings of B with its critical value 0.2705 approach 1 as 1/n, those of R/√n of two sizes faster.

The update t_c of the transition follows from the linear growth (`rbmscape.symmetry.growth`): the amplitude of mode 1
starts at σ√M and has to reach dressed value 1, so that with η the learning rate

    η t_c = (4/e_1) ln[2/(σ √(M P_1ᵀ D P_1))] :

a larger hidden layer breaks the symmetry earlier, by (2/e_1) ln M in units of ηt, from the same initial weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rbmscape.arguments import checked
from rbmscape.arrays import real_array
from rbmscape.brief import OneLine
from rbmscape.errors import InputError, ShapeError, UnresolvedError
from rbmscape.model.rbm import RBM
from rbmscape.rng import Stream
from rbmscape.sampling.draws import gibbs_draws
from rbmscape.stats import Estimate
from rbmscape.symmetry.growth import LinearGrowth
from rbmscape.symmetry.order import CRITICAL_BINDER
from rbmscape.symmetry.transitions import critical_fluctuations

__all__ = [
    "Scaling",
    "SizeCurve",
    "finite_size_scaling",
    "measured_curve",
    "mode_model",
    "predicted_critical_exposure",
    "size_trend",
]

FloatArray = NDArray[np.float64]
_RESAMPLES: Final = 200
_FEWEST_POINTS: Final = 3


@dataclass(frozen=True, eq=False, repr=False)
class SizeCurve(OneLine):
    """Fluctuations of one size against the dressed value.

    Attributes
    ----------
    size : n, see the module
    dressed : (P,) rising
    ratio, ratio_stderr : (P,) R and its standard error
    binder, binder_stderr : (P,) B and its standard error
    """

    size: float
    dressed: FloatArray
    ratio: FloatArray
    ratio_stderr: FloatArray
    binder: FloatArray
    binder_stderr: FloatArray

    def __post_init__(self) -> None:
        shapes = {
            np.shape(getattr(self, name)) for name in ("dressed", "ratio", "ratio_stderr", "binder", "binder_stderr")
        }
        if len(shapes) != 1 or len(self.dressed) < _FEWEST_POINTS or (np.diff(self.dressed) <= 0).any():
            raise ShapeError(
                f"a curve needs {_FEWEST_POINTS} or more rising dressed values and as many ratios, cumulants and "
                f"errors, found shapes {sorted(map(str, shapes))}"
            )
        if not self.size > 0:
            raise InputError(f"a size must be above 0, found {self.size}")


@dataclass(frozen=True, eq=False, repr=False)
class Scaling(OneLine):
    """Result of `finite_size_scaling`; sizes rise.

    Attributes
    ----------
    sizes : (S,)
    binder_crossings : per size the d at which B reaches its critical value; NaN where it does not
    ratio_crossings : per pair of neighbouring sizes the d at which their R/√n are equal; NaN where they are not
    critical : weighted mean of the ratio crossings; 1 in mean field
    ratio_exponent : slope of ln R against ln n at d = `critical`; ½ in mean field
    slope_exponent : slope of ln dB/dd against ln n where B is critical; ½ in mean field; NaN for less than two sizes
    scaled, collapsed : per size (P,) ``(d - critical)√n`` and ``R/√n``
    """

    sizes: FloatArray
    binder_crossings: tuple[Estimate, ...]
    ratio_crossings: tuple[Estimate, ...]
    critical: Estimate
    ratio_exponent: Estimate
    slope_exponent: Estimate
    scaled: tuple[FloatArray, ...]
    collapsed: tuple[FloatArray, ...]

    def _headline(self) -> str:
        return f"{len(self.sizes)} sizes, critical at {self.critical}, R ~ n^({self.ratio_exponent})"


@checked
def measured_curve(
    models: Sequence[RBM],
    size: float | None = None,
    dressed: ArrayLike | None = None,
    seed: int = 0,
    **draws: Any,
) -> SizeCurve:
    """Fluctuations along the leading dressed mode of models of one size, by Gibbs sampling.

    Parameters
    ----------
    models : checkpoints through the transition, or planted models of rising strength
    size : n; None takes ``2/(ΣU⁴ + ΣV⁴)`` of the leading dressed vectors, averaged over the models
    dressed : (n_models,) order of each model; None takes the leading dressed value at the activities of its chains,
        which for modes without symmetry falls again where one well wins
    seed : of the chains
    **draws : of `rbmscape.symmetry.transitions.gibbs_draws`, such as n_chains, burn_in, n_draws, thin

    Raises
    ------
    ShapeError : fewer than three models with different dressed values
    """
    rows = []
    given = None if dressed is None else real_array(dressed, "dressed")
    if given is not None and given.shape != (len(models),):
        raise ShapeError(f"{len(models)} models need as many dressed values, found shape {given.shape}")
    for number, rbm in enumerate(models):
        found = critical_fluctuations(rbm, gibbs_draws(rbm, seed=seed + number, **draws), n_modes=1)
        order = found.orders[0]
        own = found.critical_ratio[0] ** 2  # proportional to 2/(ΣU⁴ + ΣV⁴)
        d = float(found.dressed[0] if given is None else given[number])
        ratio, binder = order.susceptibility, order.binder
        rows.append((d, ratio.value, ratio.stderr, binder.value, binder.stderr, own))
    table = np.asarray(sorted(rows), dtype=np.float64).reshape(-1, 6)
    if size is None:
        constant = math.sqrt(12.0) * math.gamma(0.75) / math.gamma(0.25)
        size = float(table[:, 5].mean()) / (2 * constant**2)
    return SizeCurve(size, *table[:, :5].T)


@checked
def finite_size_scaling(curves: Sequence[SizeCurve], seed: int = 0) -> Scaling:
    """Crossings, exponents and collapse of the curves of several sizes.

    Values between points are interpolated linearly in d; errors are the spread when all values are redrawn within
    theirs.

    Parameters
    ----------
    curves : two sizes or more
    seed : of the redrawing

    Raises
    ------
    InputError : one size only, or sizes that are equal
    UnresolvedError : the curves R/√n of no two neighbouring sizes cross in the range that they share
    """
    ordered = sorted(curves, key=lambda curve: curve.size)
    sizes = np.asarray([curve.size for curve in ordered], dtype=np.float64)
    if sizes.size < 2 or (np.diff(sizes) <= 0).any():
        raise InputError(
            f"finite-size scaling compares sizes, found {sorted({float(s) for s in sizes})}; give curves of two or "
            "more different sizes"
        )
    value = _statistics(ordered, sizes)
    generator = Stream(seed, "symmetry/scaling").numpy(0)
    redrawn = [_statistics([_redrawn(curve, generator) for curve in ordered], sizes) for _ in range(_RESAMPLES)]
    errors = np.stack(redrawn)
    count = sizes.size
    estimates = [_estimate(value[k], errors[:, k]) for k in range(value.size)]
    critical = estimates[2 * count - 1]
    if not math.isfinite(critical.value):
        low, high = max(curve.dressed[0] for curve in ordered), min(curve.dressed[-1] for curve in ordered)
        raise UnresolvedError(
            f"no critical point lies between the dressed values {low:.3g} and {high:.3g} that all sizes cover: no "
            "curves of R/√n cross there; take models nearer to 1 on both sides, or more samples"
        )
    roots = np.sqrt(sizes)
    return Scaling(
        sizes=sizes,
        binder_crossings=tuple(estimates[:count]),
        ratio_crossings=tuple(estimates[count : 2 * count - 1]),
        critical=critical,
        ratio_exponent=estimates[2 * count],
        slope_exponent=estimates[2 * count + 1],
        scaled=tuple((curve.dressed - critical.value) * root for curve, root in zip(ordered, roots, strict=True)),
        collapsed=tuple(curve.ratio / root for curve, root in zip(ordered, roots, strict=True)),
    )


def _redrawn(curve: SizeCurve, generator: np.random.Generator) -> SizeCurve:
    ratio, binder = (
        mean + np.nan_to_num(error) * generator.standard_normal(mean.size)
        for mean, error in ((curve.ratio, curve.ratio_stderr), (curve.binder, curve.binder_stderr))
    )
    return SizeCurve(
        curve.size, curve.dressed, np.maximum(ratio, 1e-12), curve.ratio_stderr, binder, curve.binder_stderr
    )


def _statistics(curves: Sequence[SizeCurve], sizes: FloatArray) -> FloatArray:
    """All numbers of the result in one row: crossings of B, of R/√n, their mean, two exponents."""
    binder = [_root(curve.dressed, curve.binder - CRITICAL_BINDER) for curve in curves]
    pairs = [_pair_crossing(first, second) for first, second in pairwise(curves)]
    seen = np.asarray([pair for pair in pairs if math.isfinite(pair)])
    critical = float(seen.mean()) if seen.size else math.nan
    at = [np.interp(critical, curve.dressed, curve.ratio) for curve in curves]
    slopes = [_slope_at(curve, place) for curve, place in zip(curves, binder, strict=True)]
    exponents = (_power(sizes, np.asarray(at)), _power(sizes, np.asarray(slopes)))
    return np.asarray([*binder, *pairs, critical, *exponents])


def _root(x: FloatArray, y: FloatArray) -> float:
    """Where y last rises through zero, linearly between points; NaN if it does not."""
    rises = np.flatnonzero((y[:-1] < 0) & (y[1:] >= 0))
    if not rises.size:
        return math.nan
    k = int(rises[-1])
    return float(x[k] - y[k] * (x[k + 1] - x[k]) / (y[k + 1] - y[k]))


def _pair_crossing(small: SizeCurve, large: SizeCurve) -> float:
    """Where R/√n of the larger size overtakes that of the smaller one, on the union of their points."""
    low, high = max(small.dressed[0], large.dressed[0]), min(small.dressed[-1], large.dressed[-1])
    points = np.unique(np.concatenate([small.dressed, large.dressed]))
    points = points[(points >= low) & (points <= high)]
    if points.size < 2:
        return math.nan
    scaled = [np.interp(points, c.dressed, np.log(c.ratio)) - 0.5 * math.log(c.size) for c in (small, large)]
    return _root(points, scaled[1] - scaled[0])


def _slope_at(curve: SizeCurve, place: float) -> float:
    """dB/dd where the cumulant is critical, of the parabola through the five nearest points."""
    if not math.isfinite(place):
        return math.nan
    nearest = np.sort(np.argsort(np.abs(curve.dressed - place))[:5])
    x = curve.dressed[nearest] - place
    return float(np.polyfit(x, curve.binder[nearest], min(2, x.size - 1))[-2])


def _power(sizes: FloatArray, values: FloatArray) -> float:
    """Slope of ln values against ln sizes over the defined ones."""
    defined = np.isfinite(values) & (values > 0)
    if defined.sum() < 2:
        return math.nan
    x = np.log(sizes[defined])
    x = x - x.mean()
    return float(x @ np.log(values[defined]) / (x @ x))


def _estimate(value: float, redrawn: FloatArray) -> Estimate:
    finite = redrawn[np.isfinite(redrawn)]
    if not math.isfinite(value) or finite.size < _RESAMPLES // 2:
        return Estimate(math.nan, math.nan)
    return Estimate(float(value), float(finite.std(ddof=1)))


def mode_model(growth: LinearGrowth, n_hidden: int, dressed: float, mode: int = 0) -> RBM:
    """One mode of the data alone, at a chosen order: ``W = λ P_c qᵀ`` with all q_j = 1/√M.

    The biases keep the activities at the data's means m and at ½, a solution of the mean field (equation 26) that is
    stable below the transition; λ is such that the dressed singular value there is d.

    Parameters
    ----------
    growth : of the data
    n_hidden : M
    dressed : d >= 0
    mode : index c

    Raises
    ------
    InputError : a mode that does not exist or a negative dressed value; data with units that never change
    """
    if not 0 <= mode < growth.eigenvalues.size or dressed < 0 or n_hidden < 1:
        raise InputError(f"found mode {mode} of {growth.eigenvalues.size}, d = {dressed}, M = {n_hidden}; correct them")
    means = growth.means
    if ((means <= 0) | (means >= 1)).any():
        raise InputError("some units never change, so that their biases are infinite; leave them out of the data")
    direction = growth.directions[:, mode]
    strength = 2 * dressed / math.sqrt(float(growth.independent[mode]))
    weights = np.outer(strength * direction, np.full(n_hidden, 1 / math.sqrt(n_hidden)))
    return RBM(weights, np.log(means / (1 - means)) - weights.sum(1) / 2, -means @ weights)


def predicted_critical_exposure(growth: LinearGrowth, n_hidden: int, weight_std: float) -> FloatArray:
    """ηt at which each mode of the linear regime reaches dressed value 1, (K,): the mean over initial weights.

    Exact as M grows and the initial dressed value falls; modes that do not grow have infinity.

    Parameters
    ----------
    growth : of the training data
    n_hidden, weight_std : M, and σ of the initial weights

    Raises
    ------
    InputError : σ or M not above 0
    """
    if not (n_hidden >= 1 and weight_std > 0):
        raise InputError(
            f"growth from nothing takes for ever: found M = {n_hidden}, σ = {weight_std}; both must be above 0"
        )
    start = weight_std * np.sqrt(n_hidden * growth.independent) / 2
    rates = growth.eigenvalues / 4
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(rates > 0, -np.log(start) / rates, math.inf))


def size_trend(estimates: Mapping[float, Estimate] | Sequence[tuple[float, Estimate]]) -> Estimate:
    """Slope dt/d ln M of a quantity t against the logarithm of a size M, weighted by the errors.

    Parameters
    ----------
    estimates : {size: estimate}, or (size, estimate) pairs with sizes that may repeat (replicas); those without a
        value (NaN) are left out

    Returns
    -------
    The slope; its error is enlarged by √(χ²/dof) where the estimates scatter more than their errors say

    Raises
    ------
    InputError : fewer than two sizes with a value and an error
    """
    items = list(estimates.items()) if isinstance(estimates, Mapping) else list(estimates)
    rows = np.asarray([(size, e.value, e.stderr) for size, e in items], dtype=np.float64).reshape(-1, 3)
    rows = rows[np.isfinite(rows).all(1) & (rows[:, 2] > 0)]
    if np.unique(rows[:, 0]).size < 2:
        raise InputError(
            f"a trend takes two sizes with values and errors, found {np.unique(rows[:, 0]).size}; train other sizes"
        )
    x, weights = np.log(rows[:, 0]), rows[:, 2] ** -2.0
    x = x - weights @ x / weights.sum()
    spread = float(weights @ x**2)
    slope = float(weights @ (x * rows[:, 1])) / spread
    level = float(weights @ rows[:, 1] / weights.sum())
    chi2 = float(weights @ (rows[:, 1] - level - slope * x) ** 2)
    scale = math.sqrt(max(1.0, chi2 / (len(rows) - 2))) if len(rows) > 2 else 1.0
    return Estimate(slope, scale / math.sqrt(spread), float(len(rows)))
