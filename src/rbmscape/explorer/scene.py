"""What the views see of one checkpoint: the model, its modes in a continuous gauge, data and samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rbmscape.brief import OneLine
from rbmscape.data.dataset import Dataset
from rbmscape.errors import InputError, RbmscapeError
from rbmscape.model.rbm import RBM
from rbmscape.reciprocal.modes import Modes
from rbmscape.rng import Stream
from rbmscape.sampling.draws import Draws
from rbmscape.sampling.sample import sample
from rbmscape.sampling.samples import Samples

__all__ = ["Points", "Scene", "gibbs_samples", "sample_facts", "shown_points"]

N_POINTS = 500
N_SAMPLES = 200
N_STEPS = 100
MOST_CLASSES = 10
WHY = "plain chains of 100 steps from random bits; equilibrium samples replace them when they are ready"


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


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Scene(OneLine):
    """One checkpoint.

    Attributes
    ----------
    update : its number
    model : the parameters as they were trained
    modes : of the model, with the order and the signs that continue those of the other checkpoints
    samples : of the model
    points : data that are shown; None where there are none
    dataset : all data; None where there are none
    weight_std : of the first weights; None where that is not known
    """

    update: int
    model: RBM
    modes: Modes
    samples: Samples
    points: Points | None
    dataset: Dataset | None
    weight_std: float | None

    def _headline(self) -> str:
        return f"update {self.update}, {self.modes._headline()}"

    def kept(self, most: int) -> list[int]:
        """The first modes, at most so many, that have a saddle."""
        return [i for i in range(min(most, self.modes.n_paired)) if not bool(self.modes.flat[i])]


def shown_points(dataset: Dataset | None, seed: int = 0) -> Points | None:
    """At most 500 test data (training data where there are none), chosen at random, with their classes."""
    if dataset is None:
        return None
    test = len(dataset.test) > 0
    pool, labels = (dataset.test, dataset.test_labels) if test else (dataset.train, dataset.train_labels)
    picks = Stream(seed, "explorer/points").numpy(0).permutation(len(pool))[:N_POINTS]
    classes: Any = () if labels is None else np.unique(labels)
    if labels is None or len(classes) > MOST_CLASSES:
        return Points(pool[picks], np.full(len(picks), -1), ())
    return Points(pool[picks], np.searchsorted(classes, labels[picks]), tuple(str(one) for one in classes))


def gibbs_samples(rbm: RBM, seed: int = 0) -> Samples:
    """Chains of 100 steps from random bits, quickly made and not judged."""
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


def or_none(make: Callable[[], Any]) -> tuple[Any, str]:
    """What a function makes, or None and the reason."""
    try:
        return make(), ""
    except (RbmscapeError, OSError) as error:
        return None, str(error)


def require(value: Any, what: str) -> Any:
    """The value.

    Raises
    ------
    InputError : it is None
    """
    if value is None:
        raise InputError(f"this view needs {what}; open a run whose data can be found")
    return value
