r"""The ratio of the partition functions of two models from samples of both.

Neighbouring checkpoints of a training are linked by a few interpolated models, ``(1-t) old + t new``: annealed forward
from samples of the old model and backward from samples of the new one, the two sets of log weights go into Bennett's
acceptance ratio.  The number of stages is doubled until both directions overlap.  With one stage this is plain BAR.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from rbmscape.kernels.interface import Annealer, BoundPath
from rbmscape.likelihood.bar import LogRatio, bennett
from rbmscape.likelihood.path import rounding
from rbmscape.model.interpolate import interpolated
from rbmscape.model.rbm import RBM
from rbmscape.rng import Stream

__all__ = ["bridge"]

ENOUGH_OVERLAP = 0.3
MAX_STAGES = 128


def bridge(
    old: RBM,
    new: RBM,
    old_states: Tensor,
    new_states: Tensor,
    stream: Stream,
    annealer: Annealer,
    max_stages: int = MAX_STAGES,
) -> LogRatio:
    """ln Z(new) - ln Z(old), with the overlap that tells whether to believe it.

    Parameters
    ----------
    old_states, new_states : (n, N) independent samples of each model, entries 0 or 1
    max_stages : most interpolation steps
    """
    stages = 1
    while True:
        level = stream.child(f"stages/{stages}")
        rungs = [annealer.bind(interpolated(old, new, k / stages)) for k in range(stages + 1)]
        ahead = _anneal(rungs, (old, new), old_states, level.child("forward"))
        back = -_anneal(rungs[::-1], (new, old), new_states, level.child("backward"))
        ratio = bennett(ahead.cpu().numpy(), back.cpu().numpy(), level.child("bootstrap").numpy())
        if ratio.overlap >= ENOUGH_OVERLAP or 2 * stages > max_stages:
            return ratio
        stages *= 2


def _anneal(rungs: Sequence[BoundPath], ends: tuple[RBM, RBM], v: Tensor, stream: Stream) -> Tensor:
    """Log weights of chains that go through the rungs: weigh, then one Gibbs step, except at the last.

    The first and the last weight lead from one of the models at the ends to its rounded rung and back to the other.
    """
    chains = rungs[0].with_chains(v.shape[0])
    states = v.to(torch.uint8)
    log_weights = -rounding(ends[0], rungs[0], states)
    for k, (low, high) in enumerate(pairwise(rung.on(chains) for rung in rungs)):
        low.load(states)
        low.weigh(log_weights, 1.0, 0.0)
        high.load(states)
        if k == len(rungs) - 2:
            high.weigh(log_weights, 0.0, 1.0)
        else:
            high.step(log_weights, 0.0, 1.0, stream, 2 * k)
            states = high.v.to(torch.uint8)
    return log_weights + rounding(ends[1], rungs[-1], states)
