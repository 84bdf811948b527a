r"""Annealed importance sampling along a path, in both directions (Neal, Statistics and Computing 11, 125, 2001).

Forward: start from exact draws of the base and, for each pair of neighbouring temperatures, weigh
(``ln w += ln f_{k+1}(v) - ln f_k(v)``) and then move by one Gibbs step at the new temperature.  ``E[w] = Z``, so
``ln mean w`` is in expectation at most ln Z (Jensen): a *lower* bound on ln Z, an upper one on the likelihood.

Backward: the same steps in the opposite order from exact samples of the model (Burda, Grosse and Salakhutdinov,
AISTATS 2015).  ``E[1/w] = 1/Z``, so ``-ln mean(1/w)`` is in expectation at least ln Z.  The two processes are each
other's time reversal, hence ``P_back(ln w) / P_forward(ln w) = w / Z`` (Crooks), which is what BAR uses.

(The paper, section 2, has the two bounds the other way round.)

Both kinds of log weights are returned in the same convention: each is a value that estimates ln Z.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.brief import OneLine
from rbmscape.kernels.interface import Annealer, BoundPath
from rbmscape.likelihood.path import AnnealingPath, rounding
from rbmscape.progress import Advance, silent
from rbmscape.rng import Stream

__all__ = ["Annealed", "anneal", "anneal_back"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Annealed(OneLine):
    """What a set of annealed chains leaves.

    Attributes
    ----------
    log_weights : (n_chains,) float64, each an estimate of ln Z
    v : (n_chains, N) uint8, where the chains ended
    spread : (n_temperatures - 1,) standard deviation over the chains of each increment of the log weights
    """

    log_weights: FloatArray
    v: Tensor
    spread: FloatArray


def anneal(
    path: AnnealingPath,
    schedule: FloatArray,
    n_chains: int,
    stream: Stream,
    annealer: Annealer,
    progress: Advance = silent,
) -> Annealed:
    """Forward AIS: n_chains chains from the base (t = 0) to the model (t = 1).

    Parameters
    ----------
    schedule : (n_temperatures,) increasing from 0 to 1
    progress : called with the number of chain-steps done since the last call
    """
    whole = _bound(path, annealer)
    parts = []
    for first in range(0, n_chains, whole.chains_at_once):
        count = min(whole.chains_at_once, n_chains - first)
        bound = whole.with_chains(count)
        bound.load(path.base_samples(count, stream, 0, first))
        log_weights = torch.full((count,), path.log_base, dtype=torch.float64, device=path.rbm.device)
        spread = _walk(bound, log_weights, schedule, stream, first, progress)
        log_weights += rounding(path.rbm, bound, bound.v)
        parts.append((log_weights, bound.v.to(torch.uint8), spread))
    return _joined(parts)


def anneal_back(
    path: AnnealingPath,
    schedule: FloatArray,
    starts: Tensor,
    stream: Stream,
    annealer: Annealer,
    progress: Advance = silent,
) -> Annealed:
    """Reverse AIS from samples of the model, one chain each; arguments as in `anneal`.

    Parameters
    ----------
    starts : (n_chains, N) entries 0 or 1; the bound holds if they are independent draws from p(v)
    """
    whole = _bound(path, annealer)
    parts = []
    for first in range(0, starts.shape[0], whole.chains_at_once):
        v = starts[first : first + whole.chains_at_once]
        bound = whole.with_chains(v.shape[0])
        bound.load(v)
        changes = -rounding(path.rbm, bound, v)
        spread = _walk(bound, changes, schedule[::-1], stream, first, progress)
        parts.append((path.log_base - changes, bound.v.to(torch.uint8), spread))
    return _joined(parts)


def _bound(path: AnnealingPath, annealer: Annealer) -> BoundPath:
    return annealer.bind(path.rbm, base=(path.base_visible, path.base_hidden))


def _walk(
    bound: BoundPath,
    log_weights: Tensor,
    temperatures: FloatArray,
    stream: Stream,
    first_chain: int,
    progress: Advance,
) -> FloatArray:
    """Weigh and move through the temperatures in the given order; the last of them is only weighed.

    Returns the summed squares of the increments' deviations; log_weights and the chains are changed.
    """
    values = [float(t) for t in temperatures]
    last, at_once = len(values) - 2, bound.steps_at_once
    variances = []
    for first in range(0, last, at_once):
        part = values[first : min(first + at_once, last) + 1]
        variances.append(bound.walk(log_weights, part, stream, 2 * first + 1, first_chain))
        progress((len(part) - 1) * log_weights.shape[0])
    before = log_weights.clone()
    bound.weigh(log_weights, values[last], values[last + 1])
    variances.append((log_weights - before).var(correction=0)[None])
    progress(log_weights.shape[0])
    return torch.cat(variances).sqrt().cpu().numpy()


def _joined(parts: list[tuple[Tensor, Tensor, FloatArray]]) -> Annealed:
    log_weights = torch.cat([part[0] for part in parts])
    sizes = np.array([len(part[0]) for part in parts], dtype=np.float64)
    variances = np.stack([np.square(part[2]) for part in parts])
    spread = np.sqrt(np.average(variances, axis=0, weights=sizes))
    return Annealed(log_weights.cpu().numpy(), torch.cat([part[1] for part in parts]), spread)
