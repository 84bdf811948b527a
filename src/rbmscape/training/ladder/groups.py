"""Independent groups of states, and states as packed bits."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["FEWEST_CHAINS", "group_count", "pack", "partners", "split", "unpack"]

MOST_GROUPS = 20
FEWEST_GROUPS = 4
CHAINS_A_GROUP = 5
FEWEST_CHAINS = FEWEST_GROUPS * CHAINS_A_GROUP


def group_count(n_chains: int) -> int:
    """Groups of at least five chains, twenty at most: their spread is an error with about 16 % error of its own."""
    return max(1, min(MOST_GROUPS, n_chains // CHAINS_A_GROUP))


def split(states: Tensor, n_groups: int) -> Tensor:
    """Rows (n, ...) as (G, n // G, ...): row i goes to group i mod G, rows beyond a multiple of G are left out."""
    size = len(states) // n_groups
    return states[: size * n_groups].reshape(size, n_groups, *states.shape[1:]).transpose(0, 1).contiguous()


def partners(n_chains: int, n_groups: int, size: int, offset: int) -> Tensor:
    """For each chain the flat index of a state of its group in a reservoir (G, size): all different for size ≥ C / G.

    Parameters
    ----------
    offset : a random number; the partners of a group are consecutive from there on
    """
    chain = torch.arange(n_chains)
    return (chain % n_groups) * size + (chain // n_groups + offset) % size


def pack(states: Tensor) -> Tensor:
    """(..., N) zeros and ones as (..., ceil(N / 8)) bytes."""
    return torch.from_numpy(np.packbits(states.cpu().numpy(), axis=-1))


def unpack(packed: Tensor, n_visible: int) -> Tensor:
    """What `pack` had."""
    return torch.from_numpy(np.unpackbits(packed.cpu().numpy(), axis=-1, count=n_visible))
