r"""Chains of the present model take copies of states of the newest rung: an independence Metropolis-Hastings sampler.

With ``w(v) = exp(F_c(v) - F(v))``, proportional to ``p(v) / p_c(v)``, a proposal r from p_c is taken with probability
``min(1, w(r) / w(v))`` (Hastings, Biometrika 57, 97, 1970; Liu, Statistics and Computing 6, 113, 1996).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rbmscape.training.ladder.groups import partners

__all__ = ["MAX_THIN", "Offer", "draw_partners", "make_offer", "thinness"]

THIN = 12.0
MAX_THIN = 1.5


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """What the chains were offered.

    Attributes
    ----------
    taken : (C,) bool
    acceptance : mean of the probability to take
    thin : what the chains say of how thin the reservoir is, see `thinness`
    """

    taken: Tensor
    acceptance: float
    thin: float


def draw_partners(n_chains: int, reservoir: Tensor, generator: np.random.Generator) -> Tensor:
    """(C,) flat index into a reservoir (G, n), where that is: for every chain another state of its group."""
    n_groups, size = reservoir.shape
    return partners(n_chains, n_groups, size, int(generator.integers(size))).to(reservoir.device)


def make_offer(chains: Tensor, offered: Tensor, generator: np.random.Generator) -> Offer:
    """Offer every chain one state.

    Parameters
    ----------
    chains, offered : (C,) ln w of the chains and of the states that they are offered
    """
    gain = offered - chains
    uniform = torch.from_numpy(generator.random(len(chains))).to(gain.device)
    ratio = torch.exp(chains - torch.logsumexp(offered, 0) + math.log(len(offered)))
    thin = float(torch.where(ratio > THIN, ratio, 0.0).mean())
    return Offer(torch.log(uniform) < gain, float(torch.exp(gain.clamp(max=0.0)).mean()), thin)


def thinness(log_weights: Tensor) -> float:
    """Mean of w over a model's states with w above 12, from ln w of a reservoir; w has the reservoir's mean 1.

    There chains stay for w offers, so that this is their share in the autocorrelation time.  It is 1.6 for normal ln w
    with a variance of 1.44, whose acceptance is 0.40.
    """
    weight = torch.softmax(log_weights.reshape(-1), 0)
    ratio = weight * len(weight)
    return float((weight * ratio)[ratio > THIN].sum())
