"""Judges a running ln Z, and replaces it by a fresh annealing where it cannot be right.

A running value drifts without a sign of it: the chains that carry it may miss a part of the model.  Two things speak
against it.  Known states alone have the weight ``ln Σ exp(-F(v))``, summed over different rows, which ln Z exceeds;
below it a probability would exceed one.  And annealing is in expectation a lower bound on Z, so that it seldom finds
more weight than there is (Markov: by c nats with probability exp(-c) at most).
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

from rbmscape.kernels.interface import Engine
from rbmscape.likelihood.estimate import LogPartition, log_partition
from rbmscape.model.rbm import RBM

__all__ = ["GOOD", "annealed", "disagreement", "known_weight", "objection_to"]

MIN_OVERLAP: Final = 0.03
SIGMAS: Final = 4.0
GOOD: Final = 30.0
"""Effective chains, of 100, from which on the error of an annealing is trusted."""
RARELY: Final = 7.0
"""Nats by which annealing overestimates ln Z with probability 1e-3 at most, however few chains carry it."""
CHAINS: Final = 100
TEMPERATURES: Final = 1000


def known_weight(rbm: RBM, rows: Tensor) -> float:
    """ln of the summed weight exp(-F(v)) of different states, a lower bound on ln Z; exact.

    Parameters
    ----------
    rows : (n, N) states, no two the same
    """
    return float(torch.logsumexp(-rbm.to(dtype=torch.float64).free_energy(rows), 0))


def annealed(rbm: RBM, data: Tensor, seed: int, engine: Engine) -> LogPartition:
    """ln Z by annealing 100 chains through 1000 temperatures from independent units with the means of the data."""
    return log_partition(rbm, "ais", data=data, n_chains=CHAINS, n_betas=TEMPERATURES, seed=seed, engine=engine)


def objection_to(log_z: LogPartition, floor: float) -> str | None:
    """What speaks against an estimate by itself, or None.

    Parameters
    ----------
    floor : what `known_weight` says of the same model
    """
    if log_z.overlap < MIN_OVERLAP:
        return f"neighbouring checkpoints share too few states (overlap {log_z.overlap:.2g})"
    if log_z.value + SIGMAS * log_z.stderr < floor:
        return f"known states alone weigh more (ln Z at least {floor:.1f}, running {log_z.value:.1f})"
    return None


def disagreement(log_z: LogPartition, fresh: LogPartition) -> str | None:
    """What a fresh annealing speaks against a running value, or None; how much is noise follows from both errors."""
    noise, difference = SIGMAS * math.hypot(log_z.stderr, fresh.stderr), fresh.value - log_z.value
    if difference > noise + (0.0 if fresh.ess >= GOOD else RARELY):
        return f"annealing finds more weight (ln Z {fresh.value:.1f}, running {log_z.value:.1f})"
    if difference < -noise and fresh.ess >= GOOD:
        return f"annealing finds less weight (ln Z {fresh.value:.1f}, running {log_z.value:.1f})"
    return None
