r"""Measured relaxation: rates of simulated modes with error bars, to hold against Γ = 2D𝓔 (arXiv:2503.21536, 4.1).

`displacement_rate` fits the mean of an ensemble that starts displaced, ⟨z(t)⟩ - z* ∝ e^{-Γt} (Γ < 0: it grows);
`autocorrelation` integrates the correlation function of stationary chains; `gibbs_rates` applies it to Gibbs sampling,
where the mean field predicts -2 ln(β d_i) a sweep for a mode of dressed singular value d_i: the linearised sweep
v → h → v multiplies it by (β d_i)².  Series are (T, n_chains); all errors come from independent chains.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rbmscape.brief import OneLine
from rbmscape.checks import check_count, check_positive
from rbmscape.errors import InputError, NotConvergedError, ShapeError, UnresolvedError
from rbmscape.model.arrays import Arrays
from rbmscape.model.rbm import RBM
from rbmscape.reciprocal.modes import Modes
from rbmscape.rng import Stream
from rbmscape.stats import Estimate

__all__ = ["Autocorrelation", "autocorrelation", "displacement_rate", "gibbs_rates", "growth_rate"]

FloatArray = NDArray[np.float64]
_RESAMPLES = 200
_SIGNAL = 5.0
_SOKAL = 6.0


def _series(values: ArrayLike, least: int) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or array.shape[0] < least or array.shape[1] < 2:
        raise ShapeError(f"a series must be (T >= {least}, chains >= 2), got {array.shape}; record more of both")
    return array


def _resampled(array: FloatArray, seed: int) -> FloatArray:
    """Bootstrap weights of the chains: (resamples, chains), rows sum to 1."""
    n_chains = array.shape[1]
    generator = Stream(seed, "diffusion/relaxation").numpy(0)
    return np.asarray(generator.multinomial(n_chains, np.full(n_chains, 1 / n_chains), size=_RESAMPLES) / n_chains)


def displacement_rate(times: ArrayLike, displacement: ArrayLike, seed: int = 0) -> Estimate:
    """Γ from the mean displacement of an ensemble, ln|⟨z(t)⟩ - z*| = const - Γ t.

    Parameters
    ----------
    times : (T,)
    displacement : (T, n_chains) of z - z*, started away from z*
    seed : of the bootstrap

    Returns
    -------
    Γ with the bootstrap error over chains: a weighted least-squares slope over the times at which the mean stands five
    standard errors clear of zero; negative for a mode that runs away

    Raises
    ------
    UnresolvedError : fewer than two such times
    ShapeError : fewer than two times or chains
    """
    t, series = np.asarray(times, dtype=np.float64), _series(displacement, 2)
    mean = series.mean(1)
    error = series.std(1, ddof=1) / math.sqrt(series.shape[1])
    clear = np.abs(mean) > _SIGNAL * error
    last = int(np.argmin(clear)) if not clear.all() else clear.size
    if last < 2:
        raise UnresolvedError("the mean displacement drowns in noise from the first times on; use more chains")
    used = slice(0, last)
    relative = np.maximum(error[used] / np.abs(mean[used]), 1e-12 + 1e-3 * np.max(error[used] / np.abs(mean[used])))
    slope = _slope(t[used], np.log(np.abs(mean[used])), 1 / relative**2)
    means = np.abs(_resampled(series, seed) @ series[used].T)
    spread = _slope(t[used], np.log(means), 1 / relative**2).std(ddof=1)
    return Estimate(float(-slope), float(spread), float(series.shape[1]))


def growth_rate(times: ArrayLike, values: ArrayLike, diffusion: float, seed: int = 0) -> Estimate:
    """|Γ| of an unstable Ornstein-Uhlenbeck mode from the spread of an ensemble that starts at one point.

    Solves Var z(t) = (D/|Γ|)(e^{2|Γ|t} - 1) at the last time.

    Parameters
    ----------
    times : (T,), 0 first
    values : (T, n_chains)
    diffusion : D

    Raises
    ------
    UnresolvedError : the spread is not above 2 D t, that of a free particle, so that nothing grows
    """
    from scipy.optimize import brentq

    t, series = np.asarray(times, dtype=np.float64), _series(values, 2)
    time, last = float(t[-1] - t[0]), series[-1]

    def rate(variance: float) -> float:
        ratio = variance / (2 * diffusion * time)
        if ratio <= 1.0:
            return math.nan
        root = brentq(lambda x: math.log(math.expm1(x) / x) - math.log(ratio), 1e-9, 690.0)
        return float(root) / (2 * time)

    weights = _resampled(series, seed)
    spreads = weights @ last**2 - (weights @ last) ** 2
    estimate = rate(float(last.var(ddof=1)))
    rates = np.array([rate(float(spread)) for spread in spreads])
    if math.isnan(estimate) or bool(np.isnan(rates).any()):
        raise UnresolvedError("the ensemble spreads no faster than free diffusion, so that no growth rate exists")
    return Estimate(estimate, float(rates.std(ddof=1)), float(series.shape[1]))


def _slope(x: FloatArray, y: FloatArray, weights: FloatArray) -> FloatArray:
    centred = x - (weights @ x) / weights.sum()
    return np.asarray(y @ (weights * centred) / (centred @ (weights * centred)))


@dataclass(frozen=True, eq=False, repr=False)
class Autocorrelation(OneLine):
    """Correlation in time of one stationary quantity.

    Attributes
    ----------
    lags : (K,) times, 0 first
    correlation : (K,) ρ(t), ρ(0) = 1
    time : integrated time τ = Δ (½ + Σ ρ_k), in the unit of the interval
    rate : the rate of the exponential e^{-Γt}, sampled at the interval, with this τ; its error is NaN where it is too
        fast for the interval, so that the correlation is zero within errors
    """

    lags: FloatArray
    correlation: FloatArray
    time: Estimate
    rate: Estimate

    def _headline(self) -> str:
        return f"rate {self.rate}, time {self.time}, {self.lags.size} lags"


def autocorrelation(series: ArrayLike, interval: float = 1.0, seed: int = 0, min_ess: float = 100.0) -> Autocorrelation:
    """Autocorrelation function, integrated time and rate of stationary chains.

    Parameters
    ----------
    series : (T, n_chains), equilibrium already left out of the start
    interval : time between records
    seed : of the bootstrap over chains
    min_ess : refuse to report when there are fewer effective draws than this

    Returns
    -------
    Autocorrelation, estimated: summed up to the first lag above 6 τ (Sokal's window), the mean taken over all chains

    Raises
    ------
    NotConvergedError : fewer than min_ess effective draws, or chains shorter than ten times τ
    ShapeError : fewer than four times or two chains
    InputError : the quantity never changes
    """
    check_positive("interval", interval)
    values = _series(series, 4)
    length = values.shape[0]
    centred = values - values.mean()
    if not np.any(centred):
        raise InputError("the series never changes, so that it has no correlation time; record another quantity")
    spectrum = np.fft.rfft(centred, 2 * length, axis=0)
    products = np.fft.irfft(np.abs(spectrum) ** 2, axis=0)[:length] / np.arange(length, 0, -1)[:, None]
    mean = products.mean(1)
    rho = mean / mean[0]
    partial = 0.5 + np.concatenate([[0.0], np.cumsum(rho[1:])])
    beyond = np.arange(length) >= _SOKAL * partial
    window = int(np.argmax(beyond)) if beyond.any() else length - 1
    tau = float(partial[window])
    ess = values.size / (2 * max(tau, 0.5))
    if window >= length - 1 or tau > length / 10 or ess < min_ess:
        raise NotConvergedError(
            f"chains of {length} records are too short or too few for a correlation time of about {tau:.0f} records "
            f"(effective size {ess:.0f}); run them longer"
        )
    weights = _resampled(values, seed)
    drawn = products[: window + 1] @ weights.T
    taus = 0.5 + (drawn[1:] / drawn[0]).sum(0)
    rates = np.array([_rate(float(value)) for value in taus]) / interval
    return Autocorrelation(
        lags=np.arange(window + 1) * interval,
        correlation=rho[: window + 1],
        time=Estimate(tau * interval, float(taus.std(ddof=1)) * interval, ess),
        rate=Estimate(_rate(tau) / interval, float(rates.std(ddof=1)) if np.isfinite(rates).all() else math.nan, ess),
    )


def _rate(tau: float) -> float:
    """-ln ρ of the geometric correlation ρ^k with ½ + Σ ρ^k = τ; +inf without correlation."""
    ratio = (2 * tau - 1) / (2 * tau + 1)
    return -math.log(ratio) if ratio > 0 else math.inf


def gibbs_rates(
    rbm: RBM,
    modes: Modes,
    mode_indices: Sequence[int],
    start: Arrays,
    n_steps: int = 1000,
    burn_in: int = 500,
    beta: float = 1.0,
    seed: int = 0,
) -> tuple[Autocorrelation | None, ...]:
    """Autocorrelation of x_i = U_i·v of Gibbs chains, one entry a mode, time in sweeps.

    Parameters
    ----------
    modes : modes of the model (or of another one) that define the coordinates
    start : (n_chains, N) binary states
    n_steps, burn_in : sweeps recorded, and before them

    Returns
    -------
    per mode an Autocorrelation, or None where the chains are too short for it, which is a lower bound on its time:
    τ > n_steps / 10
    """
    from rbmscape.sampling.gibbs import init, make_sampler, step, trace

    check_count("n_steps", n_steps, 4)
    check_count("burn_in", burn_in, 0)
    states = rbm.as_visible(start)
    columns = modes.left[:, list(mode_indices)].float()
    sampler = make_sampler(rbm, states.shape[0], Stream(seed, "diffusion/gibbs"), beta)
    chains = init(states)
    if burn_in:
        chains, _ = step(sampler, chains, burn_in)
    _, series = trace(sampler, chains, n_steps, lambda v: v.float() @ columns)
    found: list[Autocorrelation | None] = []
    for position in range(len(mode_indices)):
        try:
            found.append(autocorrelation(series[:, :, position].T.cpu().numpy(), 1.0, seed))
        except NotConvergedError:
            found.append(None)
    return tuple(found)
