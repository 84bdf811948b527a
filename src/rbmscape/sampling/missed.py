"""States whose probability under a model is larger than what sampling gave them.

The probability of any set of states that was chosen without regard to the samples is at least that of its states, which
is known once ln Z is: ``p(v) = exp(-F(v)) / Z``.  Short Gibbs chains from states that may matter (data, chains of a
training, what the parameters favour) visit such sets.  Where the samples hold fewer of them than chance allows, they
miss a mode, however well they agree with each other; where a set has more than all of the probability, ln Z misses it.

This finds narrow modes, of which a few states hold most of the weight.  A broad one has too little on any state; it
shows where chains that begin in it stay, see `rbmscape.sampling.origins`.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from rbmscape.kernels.interface import Annealer
from rbmscape.model.rbm import RBM
from rbmscape.rng import Stream
from rbmscape.sampling.ladder import Ladder, moved
from rbmscape.sampling.rounded import log_weight
from rbmscape.sampling.tempered import Tempered
from rbmscape.stats import log_mean_exp

__all__ = ["ladder_log_partition", "missed_weight"]

FALSE_ALARM = 1e-5
"""Probability of an objection to samples that are right."""
MARGIN = 0.2
"""Nats that ln Z may be wrong by; the rounding of weights and few chains explain less."""
STEPS = 8


def ladder_log_partition(ladder: Ladder, tempered: Tempered) -> float:
    """ln Z of the top rung from the exchanges: the means of both directions over each pair, above an exact base."""
    base, softplus = ladder.models[0], torch.nn.functional.softplus
    value = sum(float(softplus(bias.to(torch.float64)).sum()) for bias in (base.visible_bias, base.hidden_bias))
    for gain, loss in zip(tempered.forward, tempered.backward, strict=True):
        value += float(log_mean_exp(gain.ravel()) - log_mean_exp(-loss.ravel())) / 2.0
    return value


def missed_weight(
    rbm: RBM, log_z: float, starts: Tensor, samples: Tensor, stream: Stream, annealer: Annealer
) -> tuple[str, ...]:
    """What the probabilities of states near some starts say against samples and ln Z, in one clause or none.

    Parameters
    ----------
    log_z : ln Z of the model, known to 0.2 nats
    starts : (n, N) states that may have weight, entries 0 or 1
    samples : (m, N) independent samples of the model, entries 0 or 1
    """
    from scipy.stats import binom

    starts = torch.unique(starts, dim=0)
    visited = [starts.to(torch.uint8)]
    for step in range(STEPS):
        visited.append(moved(annealer, rbm, visited[-1], 1, stream.child("missed"), 2 * step))
    states = torch.stack(visited, 1)
    visited.clear()  # wide states are large
    log_p = log_weight(rbm, states.flatten(0, 1)).reshape(states.shape[:2]).cpu().numpy() - log_z - MARGIN
    sampled = [row.tobytes() for row in np.packbits(samples.cpu().numpy().astype(np.uint8), axis=1)]
    limit, worst = FALSE_ALARM / len(starts), (1.0, 0.0, 0)
    for rows, values in zip(np.packbits(states.cpu().numpy(), axis=2), log_p, strict=True):
        probabilities = {row.tobytes(): value for row, value in zip(rows, values, strict=True)}
        weight = math.exp(min(1.0, float(np.logaddexp.reduce(list(probabilities.values())))))
        found = sum(row in probabilities for row in sampled)
        chance = float(binom.cdf(found, len(sampled), min(weight, 1.0)))
        if chance < worst[0]:
            worst = (chance, weight, found)
    if worst[0] >= limit:
        return ()
    held = f"{min(worst[1], 1.0):.2g} of the probability and {worst[2]} of the {len(sampled)} samples"
    return (f"a few states hold {held}: a narrow mode was missed",)
