"""Schedules: increasing temperatures t from 0 (base) to 1 (model) for annealing.

``uniform``; ``piecewise``, the classic of Salakhutdinov and Murray (ICML 2008), which spends 3.4 % of the steps on
t < 0.5, 27.6 % on 0.5 < t < 0.9 and 69 % above; ``adaptive``, with equal loss of effective sample size in each step.

To second order a step from t to t + dt keeps the fraction ``1 / (1 + var(d ln f / dt) dt²)`` of the effective sample
(the conditional ESS of Zhou, Johansen and Aston, Journal of Computational and Graphical Statistics 25, 701, 2016).
Steps that lose equally are therefore equally long in ``∫ sd(d ln f / dt) dt``, which a short pilot run measures.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rbmscape.arrays import real_array
from rbmscape.checks import check_count, shown
from rbmscape.errors import InputError
from rbmscape.kernels.interface import Annealer
from rbmscape.likelihood.annealing import anneal
from rbmscape.likelihood.path import AnnealingPath
from rbmscape.rng import Stream

__all__ = ["SCHEDULES", "Schedule", "adaptive_schedule", "make_schedule", "piecewise_schedule", "uniform_schedule"]

FloatArray = NDArray[np.float64]
Schedule: TypeAlias = str | ArrayLike
SCHEDULES = ("adaptive", "uniform", "piecewise")

_PILOT_CHAINS = 64
_PILOT_STEPS = 128
_UNIFORM_SHARE = 0.1  # of the steps: no stretch of the path may be left out because the pilot saw no spread there


def uniform_schedule(n_betas: int) -> FloatArray:
    """n_betas equally spaced values."""
    return np.linspace(0.0, 1.0, n_betas)


def piecewise_schedule(n_betas: int) -> FloatArray:
    """500 : 4000 : 10 000 parts of the steps on [0, 0.5], [0.5, 0.9] and [0.9, 1]."""
    knots = np.cumsum([0.0, 500.0, 4000.0, 10000.0]) / 14500.0
    return np.interp(np.linspace(0.0, 1.0, n_betas), knots, [0.0, 0.5, 0.9, 1.0])


def adaptive_schedule(path: AnnealingPath, n_betas: int, stream: Stream, annealer: Annealer) -> FloatArray:
    """n_betas values with equal expected loss of effective sample size, from a pilot run of 64 chains.

    The pilot's random numbers are its own, so that the estimate that uses the schedule stays unbiased.
    """
    pilot = piecewise_schedule(min(max(n_betas // 4, 16), _PILOT_STEPS))
    for round_number in range(2):
        annealed = anneal(path, pilot, _PILOT_CHAINS, stream.child(f"pilot/{round_number}"), annealer)
        pilot = _equal_steps(pilot, annealed.spread, len(pilot) if round_number == 0 else n_betas)
    return pilot


def _equal_steps(schedule: FloatArray, spread: FloatArray, n_betas: int) -> FloatArray:
    """Values that cut the measured length (with a uniform share) into equal pieces."""
    length = np.concatenate([[0.0], np.cumsum(spread)])
    if not length[-1] > 0.0:
        return uniform_schedule(n_betas)
    mixed = (1.0 - _UNIFORM_SHARE) * length / length[-1] + _UNIFORM_SHARE * schedule
    result = np.interp(np.linspace(0.0, 1.0, n_betas), mixed, schedule)
    result[0], result[-1] = 0.0, 1.0
    return result


def make_schedule(
    schedule: Schedule, path: AnnealingPath, n_betas: int, stream: Stream, annealer: Annealer
) -> FloatArray:
    """The temperatures for a name of `SCHEDULES` and a number of them, or checked values.

    Raises
    ------
    InputError : an unknown name, fewer than two temperatures, or values that do not increase from 0 to 1
    """
    if isinstance(schedule, str):
        if schedule not in SCHEDULES:
            raise InputError(f"schedule must be one of {', '.join(SCHEDULES)} or an array, found {shown(schedule)}")
        n_betas = check_count("n_betas", n_betas, 2)
        if schedule == "adaptive":
            return adaptive_schedule(path, n_betas, stream, annealer)
        return uniform_schedule(n_betas) if schedule == "uniform" else piecewise_schedule(n_betas)
    values = real_array(schedule, "schedule")
    _check(values)
    return values


def _check(values: FloatArray) -> None:
    if values.ndim != 1 or values.size < 2:
        raise InputError(f"a schedule is a list of at least two temperatures, found shape {values.shape}")
    if values[0] != 0.0 or values[-1] != 1.0:
        raise InputError(
            f"a schedule must run from 0 to 1, found {values[0]:g} to {values[-1]:g}; add the missing end point"
        )
    if not bool(np.all(np.diff(values) > 0.0)):
        raise InputError(
            "a schedule must increase strictly, found equal or falling neighbours; sort it and drop doubles"
        )
