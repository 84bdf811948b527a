r"""Relaxation of Gibbs sampling along the leading modes against their order: slowing down through the transition.

At its activities m, n in equilibrium a sweep v → h → v acts on ``(v - m)/√(m(1-m))`` to first order as G Gᵀ with the
dressed matrix ``G = β diag(m(1-m))^½ W diag(n(1-n))^½``: the mode of dressed value d keeps the share λ₂ = d² of
its displacement.  That holds below the transition.  At it the quartic term limits the slowing down: with
``q = Σ_k U_k⁴ + Σ_k V_k⁴`` (1/N + 1/M for spread vectors) the sweep is ``m' = m - a m³`` plus noise, and

    -ln λ₂ = 1.3686 √(q/3),

1.3686 being the gap of the Fokker-Planck operator of the potential x⁴/4.  Beyond it the chain has to climb the barrier
between two wells (Kramers), and τ grows exponentially with the number of units.  The bipartite Curie-Weiss model with
1/ΣU⁴ and 1/ΣV⁴ units has all three regimes exactly and without a free parameter: the theory on the same axes.  It takes
the two wells to be alike, which biases of trained models break: then the well of lower weight empties faster.
Times are in sweeps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.arguments import checked
from rbmscape.brief import OneLine
from rbmscape.checks import check_count, check_positive
from rbmscape.diffusion.bosons import dressed_weights
from rbmscape.diffusion.curie_weiss import CurieWeiss
from rbmscape.diffusion.relaxation import Autocorrelation, autocorrelation
from rbmscape.errors import NotConvergedError, ShapeError
from rbmscape.model.arrays import Arrays
from rbmscape.model.rbm import RBM
from rbmscape.model.trained import one_model
from rbmscape.rng import Stream
from rbmscape.stats import Estimate

__all__ = ["CRITICAL_GAP", "SlowModes", "critical_rate", "slow_modes", "theory_rate"]

FloatArray = NDArray[np.float64]
CRITICAL_GAP: Final = 1.368595  # second eigenvalue of -∂² - ∂(x³ ·)
_MOST_UNITS: Final = 1500


@dataclass(frozen=True, eq=False, repr=False)
class SlowModes(OneLine):
    """Relaxation of the leading dressed modes of one model.

    Attributes
    ----------
    dressed : (K,) β times the dressed singular values at the mean activities of the chains, falling
    rates : per mode -ln λ₂ a sweep; None where the chains are too short for it, so that ``1/rate > longest``
    times : per mode integrated autocorrelation time in sweeps, ½(1 + λ₂)/(1 - λ₂) for one exponential; None likewise
    theory : (K,) -ln λ₂ of the Curie-Weiss model with this d and the units that the mode spans
    visible_units, hidden_units : (K,) participation 1/Σ U⁴, 1/Σ V⁴ of the dressed vectors
    longest : sweeps; relaxation times beyond this cannot be measured with these chains
    """

    dressed: FloatArray
    rates: tuple[Estimate | None, ...]
    times: tuple[Estimate | None, ...]
    theory: FloatArray
    visible_units: FloatArray
    hidden_units: FloatArray
    longest: float

    def _headline(self) -> str:
        measured = ", ".join("too slow" if rate is None else str(rate) for rate in self.rates[:3])
        return f"{self.dressed.size} modes, rates {measured}, theory {self.theory[0]:.4g} for the first"


def critical_rate(visible_units: float, hidden_units: float) -> float:
    """-ln λ₂ at d = 1 for layers of these (participating) sizes, ``1.3686 √((1/N + 1/M)/3)``; exact as they grow.

    Raises
    ------
    InputError : a size that is not above zero
    """
    check_positive("visible_units", visible_units)
    check_positive("hidden_units", hidden_units)
    return CRITICAL_GAP * math.sqrt((1 / visible_units + 1 / hidden_units) / 3)


def theory_rate(dressed: float, visible_units: float, hidden_units: float) -> float:
    """-ln λ₂ of the Curie-Weiss model of these sizes (rounded, at most 1500 each) at the dressed value d."""
    n, m = (min(_MOST_UNITS, max(1, round(size))) for size in (visible_units, hidden_units))
    time = CurieWeiss(n, m, float(dressed)).relaxation_time()
    return math.inf if time == 0 else 1 / time


@checked
def slow_modes(
    rbm: RBM,
    start: Arrays,
    n_modes: int = 4,
    *,
    n_steps: int = 1000,
    burn_in: int = 500,
    beta: float = 1.0,
    seed: int = 0,
) -> SlowModes:
    """Dressed values and relaxation of the leading modes in Gibbs sampling.

    Parameters
    ----------
    rbm : the model
    start : (n_chains, N) states, two or more; equilibrium samples, or any with enough burn-in
    n_modes : K leading dressed modes
    n_steps, burn_in : sweeps recorded, and before them
    beta : inverse temperature
    seed : of chains and bootstrap

    Returns
    -------
    SlowModes; errors from the bootstrap over chains

    Raises
    ------
    InputError : counts or beta that cannot be used
    ShapeError : states that do not fit, or one chain only
    """
    from rbmscape.sampling.gibbs import init, make_sampler, step, trace

    rbm = one_model(rbm, "slow_modes")
    check_positive("beta", beta)
    check_count("n_steps", n_steps, 4)
    check_count("burn_in", burn_in, 0)
    check_count("n_modes", n_modes)
    states = rbm.as_visible(start)
    if states.ndim != 2 or states.shape[0] < 2:
        raise ShapeError(f"start states must be (n_chains >= 2, {rbm.n_visible}), found {tuple(states.shape)}")
    sampler = make_sampler(rbm, states.shape[0], Stream(seed, "diffusion/slowing"), beta)
    chains = init(states)
    if burn_in:
        chains, _ = step(sampler, chains, burn_in)
    # The modes of fixed activities are wanted before the record, so that a record of projections is enough.
    _, first = trace(sampler, chains, max(4, n_steps // 10), lambda v: v.double().mean(0, keepdim=True))
    m = first.mean((0, 1)).clamp(1e-9, 1 - 1e-9)
    dressed, left, right = _modes_at(rbm, m, chains.v, beta, n_modes)
    columns = (left / (m * (1 - m)).sqrt()[:, None]).float()
    _, series = trace(sampler, chains, n_steps, lambda v: v.float() @ columns)
    found = [_autocorrelation(series[:, :, k], seed) for k in range(dressed.size)]
    units = [(1 / (vectors**4).sum(0)).cpu().numpy() for vectors in (left, right)]
    return SlowModes(
        dressed=dressed,
        rates=tuple(None if one is None else one.rate for one in found),
        times=tuple(None if one is None else one.time for one in found),
        theory=np.asarray([theory_rate(*row) for row in zip(dressed, *units, strict=True)]),
        visible_units=units[0],
        hidden_units=units[1],
        longest=n_steps / 10,
    )


def _modes_at(rbm: RBM, m: Tensor, v: Tensor, beta: float, n_modes: int) -> tuple[FloatArray, Tensor, Tensor]:
    """Leading singular values and vectors of the dressed matrix at visible activities m and the hidden ones of v."""
    n = rbm.hidden_probability(v, beta).double().mean(0)
    left, values, right = torch.linalg.svd(beta * dressed_weights(rbm, m * (1 - m), n * (1 - n)), full_matrices=False)
    return values[:n_modes].cpu().numpy(), left[:, :n_modes], right[:n_modes].T


def _autocorrelation(series: Tensor, seed: int) -> Autocorrelation | None:
    """Of (n_chains, n_steps) values; None where the chains are too short."""
    try:
        return autocorrelation(series.T.cpu().numpy(), 1.0, seed)
    except NotConvergedError:
        return None
