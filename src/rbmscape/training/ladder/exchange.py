r"""Chains of the present model take copies of states of the newest rung: an independence Metropolis-Hastings sampler.

With ``w(v) = exp(F_c(v) - F(v))``, proportional to ``p(v) / p_c(v)``, a proposal r from p_c is taken with probability
``min(1, w(r) / w(v))`` (Hastings, Biometrika 57, 97, 1970; Liu, Statistics and Computing 6, 113, 1996).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rbmscape.training.ladder.groups import partners

__all__ = ["Offer", "draw_partners", "make_offer"]


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """What the chains were offered.

    Attributes
    ----------
    taken : (C,) bool
    acceptance : mean of the probability to take
    """

    taken: Tensor
    acceptance: float


def draw_partners(n_chains: int, reservoir: Tensor, generator: np.random.Generator) -> Tensor:
    """(C,) flat index into a reservoir (G, n): for every chain another state of its group."""
    n_groups, size = reservoir.shape
    return partners(n_chains, n_groups, size, int(generator.integers(size)))


def make_offer(chains: Tensor, offered: Tensor, generator: np.random.Generator) -> Offer:
    """Offer every chain one state.

    Parameters
    ----------
    chains, offered : (C,) ln w of the chains and of the states that they are offered
    """
    gain = offered - chains
    uniform = torch.from_numpy(generator.random(len(chains))).to(gain.device)
    return Offer(torch.log(uniform) < gain, float(torch.exp(gain.clamp(max=0.0)).mean()))
