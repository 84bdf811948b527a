"""What the views see of one checkpoint: the model, its modes in a continuous gauge, data and samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rbmscape.brief import OneLine
from rbmscape.data.dataset import Dataset
from rbmscape.diffusion.reference import Reference
from rbmscape.errors import RbmscapeError
from rbmscape.model.rbm import RBM
from rbmscape.reciprocal.modes import Modes
from rbmscape.rng import Stream
from rbmscape.sampling.draws import Draws
from rbmscape.sampling.sample import sample
from rbmscape.sampling.samples import Samples

__all__ = ["Points", "Scene", "Shown", "gibbs_samples", "sample_facts"]

N_POINTS = 500
N_SAMPLES = 200
N_STEPS = 50
N_ROWS = 2000
MOST_CLASSES = 10
WHY = "plain chains of 50 steps from random bits; equilibrium samples replace them when they are ready"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Points(OneLine):
    """Data that are shown.

    Attributes
    ----------
    v : (n, N) uint8
    labels : (n,) number of the class; -1 where there are none
    names : of the classes
    """

    v: NDArray[np.uint8]
    labels: NDArray[np.int64]
    names: tuple[str, ...]

    def _headline(self) -> str:
        return f"{len(self.v)} states, {len(self.names)} classes"


@dataclass(frozen=True, eq=False, repr=False)
class Scene(OneLine):
    """One checkpoint; what takes time is made when it is first looked at.

    Attributes
    ----------
    update : its number
    model : the parameters as they were trained
    data : what is shown of the data, and what means are taken of
    weight_std : of the first weights; None where that is not known
    """

    update: int
    model: RBM
    data: Shown
    weight_std: float | None
    _modes: Callable[[], Modes]
    _samples: Callable[[], Samples]
    _reference: Callable[[], Reference | None]

    def _headline(self) -> str:
        return f"update {self.update}, {self.model._headline()}"

    @property
    def points(self) -> Points | None:
        """Data that are shown; None where there are none."""
        return self.data.points

    @cached_property
    def modes(self) -> Modes:
        """Of the model, with the order and the signs that continue those of the other checkpoints."""
        return self._modes()

    @cached_property
    def samples(self) -> Samples:
        """Of the model."""
        return self._samples()

    @cached_property
    def reference(self) -> Reference | None:
        """Mean activities over the data; None where there are none."""
        return self._reference()

    def kept(self, most: int) -> list[int]:
        """The first modes, at most so many, that have a saddle."""
        return [i for i in range(min(most, self.modes.n_paired)) if not bool(self.modes.flat[i])]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Shown(OneLine):
    """What the explorer keeps of a data set.

    Attributes
    ----------
    points : that are shown; None where there are no data
    rows : (n, N) uint8, at most 2000 training data, of which means are taken; None where there are none
    why : there are none; empty where there are
    """

    points: Points | None
    rows: NDArray[np.uint8] | None
    why: str = ""

    def _headline(self) -> str:
        return self.why or f"{0 if self.rows is None else len(self.rows)} states, {self.points}"

    @classmethod
    def of(cls, make: Callable[[], Dataset]) -> Shown:
        """Of a data set that is read now, or why it cannot be."""
        try:
            dataset = make()
        except (RbmscapeError, OSError) as error:
            return cls(None, None, str(error))
        return cls(shown_points(dataset), np.array(dataset.train[:N_ROWS]))


def shown_points(dataset: Dataset, seed: int = 0) -> Points:
    """At most 500 test data (training data where there are none), chosen at random, with their classes."""
    test = len(dataset.test) > 0
    pool, labels = (dataset.test, dataset.test_labels) if test else (dataset.train, dataset.train_labels)
    picks = Stream(seed, "explorer/points").numpy(0).permutation(len(pool))[:N_POINTS]
    classes: Any = () if labels is None else np.unique(labels)
    if labels is None or len(classes) > MOST_CLASSES:
        return Points(pool[picks], np.full(len(picks), -1), ())
    return Points(pool[picks], np.searchsorted(classes, labels[picks]), tuple(str(one) for one in classes))


def gibbs_samples(rbm: RBM, seed: int = 0) -> Samples:
    """Chains of 50 steps from random bits, quickly made and not judged."""
    from rbmscape.sampling.verdict import EquilibriumVerdict

    drawn = sample(rbm, n_chains=N_SAMPLES, n_steps=N_STEPS, seed=seed)
    how: dict[str, str | float] = {
        "samples_method": "Gibbs sampling",
        "samples_chains": N_SAMPLES,
        "samples_steps": N_STEPS,
    }
    return Samples(rbm, Draws(drawn.v[:, None], drawn.h[:, None]), how, EquilibriumVerdict.unjudged(WHY))


def sample_facts(samples: Samples) -> dict[str, Any]:
    """How the samples were made and whether they are in equilibrium, as the page says it."""
    return {
        "samples_method": samples.method,
        "samples_verdict": str(samples.verdict),
        "samples_equilibrated": int(samples.converged),
    }
