r"""Mixing audit: was a model trained in or out of equilibrium?

Chains that start from data and chains that start from random states are advanced as far as those of the training, and
10 and 100 times as far.  If both kinds have forgotten where they began after the training's own number of steps, the
gradient was computed in equilibrium.  If they agree only later, or not at all, it was not, and the model is one that
generates well after the training's number of steps rather than in the limit (Decelle, Furtlehner and Seoane,
arXiv:2105.13889).

Compared are the leading modes of section 3 of arXiv:2503.21536 (equation 17, ``x_i = U_i·v``) and the free energy
F(v), each by the two-sample Kolmogorov-Smirnov statistic between the two sets of independent chains.  With k
quantities the smallest p-value is multiplied by k (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.arguments import checked
from rbmscape.brief import OneLine
from rbmscape.errors import InputError
from rbmscape.kernels.interface import Engine
from rbmscape.kernels.select import select_engine
from rbmscape.model.rbm import RBM
from rbmscape.progress import Progress, reporting
from rbmscape.reciprocal.signs import TrainingSigns, check_lengths, rows_of, training_signs
from rbmscape.rng import Stream
from rbmscape.runs.run import Run
from rbmscape.sampling import gibbs
from rbmscape.sampling.ladder import leading_modes

if TYPE_CHECKING:
    from rbmscape.data.dataset import Dataset

__all__ = ["MixingPoint", "MixingReport", "mixing_audit", "mixing_report"]

FloatArray = NDArray[np.float64]
FACTORS = (1, 10, 100)
FALSE_ALARM = 0.01


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MixingPoint(OneLine):
    """Both kinds of chains after a number of Gibbs steps.

    Attributes
    ----------
    n_steps : Gibbs steps made
    distance : (k + 1,) Kolmogorov-Smirnov distance between them in k modes and, last, in the free energy
    p_value : of the largest distance if both kinds had the same distribution, corrected for k + 1 comparisons
    energy_data, energy_random : mean of F(v) over the chains from data and from random states
    """

    n_steps: int
    distance: FloatArray
    p_value: float
    energy_data: float
    energy_random: float

    def _headline(self) -> str:
        verdict = "agree" if self.agree else "differ"
        return f"{self.n_steps} steps, {verdict}, p {self.p_value:.2g}, distance {self.distance.max():.3g}"

    @property
    def agree(self) -> bool:
        """Whether the two kinds cannot be told apart (false alarm 1 %)."""
        return self.p_value >= FALSE_ALARM


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MixingReport(OneLine):
    """Verdict of `mixing_report`.

    Attributes
    ----------
    points : one entry a length of the chains, shortest (that of the training) first
    training_steps : Gibbs steps of the training between two updates of the model
    n_chains : chains of each kind
    signs : of equilibrium along the training, where they were asked for
    """

    points: tuple[MixingPoint, ...]
    training_steps: int
    n_chains: int
    signs: TrainingSigns | None = None

    def _headline(self) -> str:
        return self.sentence

    @property
    def in_equilibrium(self) -> bool:
        """Whether chains as long as the training's have forgotten their start."""
        return self.points[0].agree

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        first = self.points[0]
        if first.agree:
            return (
                f"trained in equilibrium: after {first.n_steps} Gibbs steps, as many as the training made, chains from "
                f"data and from random states cannot be told apart (p = {first.p_value:.2g})"
            )
        later = next((point for point in self.points[1:] if point.agree), None)
        start = (
            f"trained out of equilibrium: after the training's {first.n_steps} Gibbs steps chains from data and from "
            f"random states still differ (distance {first.distance.max():.2f}, p = {first.p_value:.1g})"
        )
        if later is None:
            last = self.points[-1]
            return f"{start}, and so they do after {last.n_steps} (distance {last.distance.max():.2f})"
        return f"{start}; they agree after {later.n_steps}"

    def __str__(self) -> str:
        return "; ".join((self.sentence, *(() if self.signs is None else self.signs.findings)))


@checked
def mixing_report(
    run: Run,
    data: Dataset | Tensor | Any | None = None,
    update: int = -1,
    n_chains: int = 500,
    factors: Sequence[int] = FACTORS,
    n_modes: int = 4,
    seed: int = 0,
    engine: str | Engine = "auto",
    precision: str = "auto",
    progress: Progress = False,
    *,
    n_checkpoints: int = 0,
) -> MixingReport:
    """Audit a run at one of its checkpoints, and look for signs of equilibrium along its training.

    Parameters
    ----------
    run : a run; the length of its training chains is its ``gibbs_steps``
    data : what it was trained on, a `Dataset` or rows; loaded again from where the run says they came if None
    update : checkpoint
    n_chains : chains of each kind
    factors : lengths of the chains in units of the training's
    n_modes : how many leading modes are compared, beside the free energy
    seed : of the chains
    engine, precision : see `rbmscape.sample`
    progress : see `rbmscape.progress`; counts chain-steps
    n_checkpoints : of how many checkpoints the signs of `rbmscape.training_signs` are looked for; none by default

    Returns
    -------
    MixingReport

    Raises
    ------
    InputError : fewer than 20 chains, no factors, or factors that do not rise
    DataError : the data are not given and cannot be loaded again, or have changed since
    """
    rbm = run.load(update)
    rows = data if data is not None else run.dataset()
    found = mixing_audit(
        rbm, rows, run.config.gibbs_steps, n_chains, factors, n_modes, seed, engine, precision, progress
    )
    if not n_checkpoints:
        return found
    signs = training_signs(
        run, rows, n_checkpoints, n_chains, seed=seed, engine=engine, precision=precision, progress=progress
    )
    return replace(found, signs=signs)


def mixing_audit(
    rbm: RBM,
    data: Dataset | Tensor | Any,
    training_steps: int,
    n_chains: int = 500,
    factors: Sequence[int] = FACTORS,
    n_modes: int = 4,
    seed: int = 0,
    engine: str | Engine = "auto",
    precision: str = "auto",
    progress: Progress = False,
) -> MixingReport:
    """The same for a single model whose training made `training_steps` Gibbs steps an update; see `mixing_report`."""
    _check(n_chains, factors, training_steps, n_modes)
    chosen = select_engine(engine, precision, rbm.device)
    stream = Stream(seed, "mixing")
    rows = rows_of(rbm, data)
    picks = stream.child("rows").numpy().choice(len(rows), n_chains, replace=n_chains > len(rows))
    starts = {
        "data": rows[torch.from_numpy(picks).to(rows.device)],
        "random": gibbs.random_start(n_chains, rbm.n_visible, stream, 0, rbm.device),
    }
    modes = leading_modes(rbm.weights, n_modes).flip(1)
    lengths = [factor * training_steps for factor in factors]
    seen: dict[str, list[FloatArray]] = {}
    with reporting(progress, "Gibbs steps", len(starts) * n_chains * lengths[-1]) as advance:
        for name, v in starts.items():
            sampler = gibbs.make_sampler(rbm, n_chains, stream.child(name), 1.0, chosen)
            chains, seen[name] = gibbs.init(v), []
            for length in lengths:
                further = length - chains.steps
                chains, _info = gibbs.step(sampler, chains, further)
                seen[name].append(_observe(rbm, modes, chains.v))
                advance(n_chains * further)
    points = tuple(_compare(*entry) for entry in zip(lengths, seen["data"], seen["random"], strict=True))
    return MixingReport(points, training_steps, n_chains)


def _check(n_chains: int, factors: Sequence[int], training_steps: int, n_modes: int) -> None:
    check_lengths(n_chains, factors, training_steps)
    if n_modes < 1:
        raise InputError(f"n_modes must be positive, found {n_modes}")


def _observe(rbm: RBM, modes: Tensor, v: Tensor) -> FloatArray:
    """(n_chains, k + 1): projections on the modes, and the free energy."""
    energy = rbm.to(dtype=torch.float64).free_energy(v)
    observed: FloatArray = torch.cat((v.to(torch.float64) @ modes, energy[:, None]), 1).cpu().numpy()
    return observed


def _compare(n_steps: int, data: FloatArray, random: FloatArray) -> MixingPoint:
    from scipy.stats import ks_2samp

    tests = [ks_2samp(data[:, k], random[:, k]) for k in range(data.shape[1])]
    distance = np.array([float(test.statistic) for test in tests])
    p_value = min(1.0, min(float(test.pvalue) for test in tests) * len(tests))
    return MixingPoint(n_steps, distance, p_value, float(data[:, -1].mean()), float(random[:, -1].mean()))
