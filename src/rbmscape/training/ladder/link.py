r"""The ratio of the partition functions of two neighbouring rungs, with the influence of every group on it.

Bennett's acceptance ratio solves ``Σ_g s_g(L) = 0``, ``s_g = Σ_x σ(x - L - m) - Σ_y σ(L + m - y)``, x the log weights
``F_low - F_high`` of states of the lower rung, y those of the upper one, ``m = ln(n_x / n_y)``; the influence of group
g on L is ``s_g / D``, D the sum of all σ(1-σ).  Later sweeps add their own s_g and D at the first solution, and one
Newton step moves L: the second derivative vanishes where both directions are alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.likelihood.bar import overlap, solve
from rbmscape.stats import kish_ess, log_mean_exp

__all__ = ["Link", "add_sweep", "connect", "group_error"]

FloatArray = NDArray[np.float64]
_FEWEST_LIVE = 4


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """ln Z(high) - ln Z(low).

    Attributes
    ----------
    reference : Bennett's solution at the freeze
    score, slope : (G,) s_g and the part of D of each group there
    live_score, live_slope : (G,) sums over later sweeps, at the reference
    sweeps : how many there were
    overlap : at the freeze, see `rbmscape.likelihood.bar`
    forward, backward : the ratio from states of the lower rung alone, and of the upper rung alone
    one_sided_error : standard error of their difference, over groups
    ess : the smaller effective number of states behind the two
    """

    reference: float
    score: FloatArray
    slope: FloatArray
    live_score: FloatArray
    live_slope: FloatArray
    sweeps: int
    overlap: float
    forward: float
    backward: float
    one_sided_error: float
    ess: float

    @property
    def value(self) -> float:
        """Best estimate, with all sweeps."""
        total = float(self.slope.sum() + self.live_slope.sum())
        return self.reference + float(self.score.sum() + self.live_score.sum()) / total

    @property
    def influence(self) -> FloatArray:
        """(G,) what each group adds to the error of `value`; sums to zero."""
        slope = self.slope + self.live_slope
        shift = self.value - self.reference
        return np.asarray((self.score + self.live_score - shift * slope) / slope.sum(), dtype=np.float64)

    @property
    def drift(self) -> float:
        """The later sweeps' own estimate less that of the freeze, in standard errors; 0 with few sweeps."""
        if self.sweeps < _FEWEST_LIVE or not self.live_slope.sum() > 0.0:
            return 0.0
        change = float(self.live_score.sum() / self.live_slope.sum())
        live = (self.live_score - change * self.live_slope) / self.live_slope.sum()
        error = group_error(live - self.score / self.slope.sum())
        return change / error if error > 0.0 else 0.0


def group_error(influence: FloatArray) -> float:
    """Standard error from the influences of G independent groups (G,).

    It is widened by the ratio of Student's to the normal 97.5 % quantile, so that normal intervals cover what they say.
    """
    from scipy.special import ndtri, stdtrit

    n_groups = len(influence)
    if n_groups < 2:
        return math.inf
    widening = float(stdtrit(n_groups - 1, 0.975) / ndtri(0.975))
    return widening * math.sqrt(float(np.square(influence - influence.mean()).sum()) * n_groups / (n_groups - 1))


def connect(forward: Tensor, backward: Tensor) -> Link:
    """The link of two rungs from states of both.

    Parameters
    ----------
    forward, backward : (G, n), (G, m) values of F_low - F_high at states of the lower and of the upper rung
    """
    x, y = forward.cpu().numpy(), backward.cpu().numpy()
    value = solve(x.ravel(), y.ravel())
    score, slope = _scores(x, y, value)
    nothing = np.zeros_like(score)
    ahead, back = (float(log_mean_exp(x.ravel())), -float(log_mean_exp(-y.ravel())))
    ess = min(kish_ess(x.ravel()), kish_ess(-y.ravel()))
    shared = overlap(x.ravel(), y.ravel(), value)
    error = group_error(_mean_weight(x, ahead) + _mean_weight(-y, -back))
    return Link(value, score, slope, nothing, nothing.copy(), 0, shared, ahead, back, error, ess)


def _mean_weight(log_weights: FloatArray, log_mean: float) -> FloatArray:
    """(G,) influence of each group on the logarithm of the mean weight."""
    return np.asarray((np.exp(log_weights - log_mean) - 1.0).sum(1) / log_weights.size, dtype=np.float64)


def _scores(x: FloatArray, y: FloatArray, value: float) -> tuple[FloatArray, FloatArray]:
    from scipy.special import expit

    offset = math.log(x.size / y.size)
    ahead, back = expit(x - value - offset), expit(value + offset - y)
    score = ahead.sum(1) - back.sum(1)
    return score, (ahead * (1.0 - ahead)).sum(1) + (back * (1.0 - back)).sum(1)


def add_sweep(link: Link, forward: Tensor, backward: Tensor) -> Link:
    """The link with the log weights (G, n) of one more sweep, as many of either rung."""
    score, slope = _scores(forward.cpu().numpy(), backward.cpu().numpy(), link.reference)
    return replace(link, live_score=link.live_score + score, live_slope=link.live_slope + slope, sweeps=link.sweeps + 1)
