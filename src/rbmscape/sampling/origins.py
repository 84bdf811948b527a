"""Where else chains start: states that a ladder's own pilots may never come to.

The pilots of a ladder all climb it from its lowest rung, and the columns that start from them agree on what they miss:
no comparison between them shows it.  So half of the columns start elsewhere, in equal parts from

1. the states that the weights and biases themselves favour: the signs of the leading modes and of the strongest hidden
   units, and what all hidden units together switch on or off;
2. given states, such as data or the chains of a training: some at random, and as many that are far from each other, so
   that small clusters are among them;
3. fair bits, which fall into the nearest modes of every rung;
4. pilots of the other rungs,

each moved on every rung by a few Gibbs steps.  What columns of different origins say must agree
(`rbmscape.sampling.rungs`).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import zip_longest
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rbmscape.arrays import training_rows
from rbmscape.errors import RbmscapeError, ShapeError
from rbmscape.kernels.interface import Annealer
from rbmscape.model.rbm import RBM
from rbmscape.model.trained import Trained
from rbmscape.progress import Advance, silent
from rbmscape.rng import Stream
from rbmscape.sampling.ladder import Ladder, leading_modes, moved

__all__ = ["binary_rows", "favoured_states", "from_elsewhere", "known_states", "some_rows", "spread_out"]

N_OTHERS = 128
STEPS = 16
_MOST_KNOWN = 4096


def binary_rows(rbm: RBM, values: Any, where: str) -> Tensor:
    """Checked (n, N) uint8 tensor on the model's device, of a `Dataset` its training rows.

    Raises
    ------
    DataError : empty, or entries other than zero and one
    ShapeError : rows of another width
    """
    from rbmscape.data.validate import as_binary

    if isinstance(values, Tensor) and values.dtype == torch.uint8 and values.ndim == 2 and int(values.max()) <= 1:
        rows = values
    else:
        rows = torch.from_numpy(np.asarray(as_binary(training_rows(values, where, rbm.columns), where=where).values))
    if rows.ndim != 2 or rows.shape[1] != rbm.n_visible:
        raise ShapeError(
            f"{where} must have {rbm.n_visible} pixels (columns) for this model, found shape {tuple(rows.shape)}; "
            "use the data set that the model was trained on"
        )
    return rows.to(rbm.device)


def some_rows(rows: Any) -> Any:
    """All rows of an array, or where there are many, some thousands that are evenly spaced."""
    if len(rows) <= _MOST_KNOWN:
        return rows
    return rows[np.linspace(0, len(rows) - 1, _MOST_KNOWN).astype(np.int64)]


def known_states(source: Any) -> Tensor | None:
    """Training and test data of a run and the states of its chains, (n, N) uint8, some thousands of each, or None."""
    if not isinstance(source, Trained):
        return None
    run: Any = source
    found: list[Any] = []
    with suppress(RbmscapeError):
        dataset = run.dataset()
        found += [dataset.train, dataset.test]
    with suppress(RbmscapeError, AttributeError):
        found.append(run.chains)
    rows = [torch.as_tensor(some_rows(states)).to("cpu", torch.uint8) for states in found if len(states)]
    return torch.cat(rows) if rows else None


def from_elsewhere(
    ladder: Ladder, known: Tensor | None, stream: Stream, annealer: Annealer, progress: Advance = silent
) -> Ladder:
    """The same ladder, of which half of the columns start elsewhere.

    Parameters
    ----------
    known : (n, N) states that may have weight, entries 0 or 1
    progress : called with 0 at every rung
    """
    source = stream.child("elsewhere")
    generator, start = source.numpy(), ladder.start
    share = N_OTHERS // 4
    bits = source.uniform(0, share, start.shape[2], 0, start.device) < 0.5
    rungs = torch.from_numpy(generator.integers(len(start), size=share))
    pilots = start[rungs, torch.from_numpy(generator.integers(start.shape[1], size=share))]
    sources = [favoured_states(ladder.models[-1]).to(start), bits.to(start), pilots]
    if known is not None and len(known):
        chosen = known[torch.from_numpy(generator.permutation(len(known))[:_MOST_KNOWN])].to(start)
        sources[1:1] = [chosen[:share], spread_out(chosen, share)]
    states = torch.stack([row for rows in zip_longest(*sources) for row in rows if row is not None])
    others = states.new_empty((len(ladder.models), *states.shape))
    for rung, model in enumerate(ladder.models):
        progress(0)
        others[rung] = moved(annealer, model, states, STEPS, source.child(f"rung/{rung}"), 0)
    return replace(ladder, others=others)


def favoured_states(rbm: RBM, count: int = 4) -> Tensor:
    """(n, N) states to which the parameters point, the most likely ones first.

    They are the signs of ± the leading modes and ± the columns of the strongest hidden units, and the visible units
    that are more likely on than off while all hidden units are on, and off.  A pattern that many hidden units detect
    together is the leading mode.
    """
    weights, bias = rbm.weights.to(torch.float64), rbm.visible_bias.to(torch.float64)
    modes = leading_modes(weights, count).T.flip(0)
    strongest = weights.T[weights.square().sum(0).argsort(descending=True, stable=True)[:count]]
    fields = [bias + weights.sum(1), bias]
    for mode, column in zip_longest(modes, strongest):
        fields += [sign * one for one in (mode, column) if one is not None for sign in (1.0, -1.0)]
    return (torch.stack(fields) > 0.0).to(torch.uint8)


def spread_out(states: Tensor, count: int) -> Tensor:
    """So many of the states (n, N), each the farthest from those before it, the first the farthest from the mean."""
    rows = states.to(torch.float32)
    nearest = (rows - rows.mean(0)).square().sum(1)
    chosen: list[int] = []
    for _ in range(min(count, len(rows))):
        chosen.append(int(nearest.argmax()))
        distance = (rows - rows[chosen[-1]]).square().sum(1)
        nearest = distance if len(chosen) == 1 else torch.minimum(nearest, distance)
    return states[chosen]
