r"""What speaks against a checkpoint's ln Z: the ladder's own signs, and audits that do not share its blindness.

1. Every new rung of the climb to the reported model: nested R-hat, effective sample size, drift, thermalisation in
   autocorrelation times, overlap and agreement of both directions (`climb`).
2. The ladder: later sweeps of each pair of rungs agree with its freeze; an error below a nat.
3. The entropy bound: no distribution gives data with relative frequencies f_k a mean log-likelihood above Σ f_k ln f_k.
4. Excursion: training data lost weight against the last rung that they had there.
5. Blind spots: states from elsewhere find a mode that the ladder does not know (`audit`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rbmscape.training.ladder.rungs import Ladder

__all__ = ["Excursion", "entropy_bound", "excursion", "excursion_doubts", "ladder_doubts"]

MAX_DRIFT = 4.0
MAX_STDERR = 1.0
SWING = 5.0
MAX_SWUNG = 0.02
MAX_LOSS = 2.0


@dataclass(frozen=True, slots=True)
class Excursion:
    """How the weights of data changed from the last rung to the present model.

    Attributes
    ----------
    gain : mean change of the log-likelihood, nats
    swung : fraction of the data that lost more than 5 nats
    """

    gain: float
    swung: float


def excursion(change: Tensor, log_ratio: float) -> Excursion:
    """From the changes of -F at data (n,), and ln Z(present) - ln Z(last)."""
    gained = change - log_ratio
    return Excursion(float(gained.mean()), float((gained < -SWING).to(torch.float64).mean()))


def excursion_doubts(found: Excursion) -> list[str]:
    """What speaks against freezing such a model.

    A model that is better for the data as a whole may take weight from some that had too much.
    """
    doubts = []
    if found.gain < -MAX_LOSS:
        doubts.append(f"the data lost {-found.gain:.2f} nats since the last rung")
    elif found.gain < 0.0 and found.swung > MAX_SWUNG:
        doubts.append(
            f"the data lost {-found.gain:.2f} nats since the last rung, {found.swung:.1%} of them more than {SWING:g}"
        )
    return doubts


def entropy_bound(rows: Tensor) -> float:
    """Σ_k f_k ln f_k over the distinct rows of (n, N) data: the highest mean log-likelihood that there can be."""
    _, counts = np.unique(np.packbits(rows.cpu().numpy(), axis=1), axis=0, return_counts=True)
    share = counts / counts.sum()
    return float((share * np.log(share)).sum())


def ladder_doubts(ladder: Ladder, stderr: float, excess: float) -> list[str]:
    """Objections 2 and 3.

    Parameters
    ----------
    stderr : of ln Z
    excess : largest of the likelihoods less its entropy bound, nats, after four standard errors
    """
    doubts = []
    drifts: Sequence[float] = [abs(link.drift) for link in ladder.links]
    if drifts and max(drifts) > MAX_DRIFT:
        worst = int(np.argmax(drifts))
        doubts.append(
            f"later sweeps moved the ratio of rungs {worst} and {worst + 1} by {drifts[worst]:.1f} standard errors"
        )
    if not stderr <= MAX_STDERR:
        doubts.append(f"the standard error of ln Z is {stderr:.2g} nats, above {MAX_STDERR:g}")
    if excess > 0.0:
        doubts.append(f"the likelihood is {excess:.2f} nats above what any distribution can reach on these data")
    return doubts
