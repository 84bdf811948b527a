r"""Recovery of a planted direction from few samples: the leading mode against the threshold of principal components.

In the linear regime the modes are the eigenvectors of the data's covariance (`rbmscape.symmetry.growth`), so that they
inherit its threshold (Baik, Ben Arous and Péché, Ann. Probab. 33, 1643 (2005); Paul, Statistica Sinica 17, 1617
(2007)).  For a population covariance ``σ²(I + ℓ u uᵀ)`` of N units, n samples and γ = N/n,

    (U_1·u)² → (1 - γ/ℓ²)/(1 + γ/ℓ)   for ℓ > √γ,   else 0

as N and n grow.  A planted RBM of singular value λ (`rbmscape.data.synthetic.planted`) has ``ℓ = N t²/(1 - t²)``,
``t = tanh(λ/4√N)``, which is the square of the teacher's dressed value, ``ℓ → (λ/4)²``: with as many samples as units
a teacher is seen in the covariance where it orders itself.  What training adds or loses after the linear growth is then
the difference between the trained mode's overlap and this one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from rbmscape.arguments import checked
from rbmscape.brief import OneLine
from rbmscape.checks import check_positive
from rbmscape.data.dataset import Dataset
from rbmscape.errors import DataError, InputError, ShapeError
from rbmscape.model.rbm import RBM
from rbmscape.stats import Estimate, mean_estimate
from rbmscape.symmetry.growth import linear_growth

__all__ = ["Recovery", "planted_strengths", "recovery", "recovery_theory", "squared_overlaps"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, repr=False)
class Recovery(OneLine):
    """Squared overlaps with one planted direction, over replicas that differ in signs, samples and training.

    Attributes
    ----------
    n_samples, ratio : n, and γ = N/n
    strength : ℓ
    theory : the limit of large N at this γ and ℓ
    data : leading eigenvector of C - D of the samples; mean and standard error over replicas
    model : leading left singular vector of the models; None without models
    """

    n_samples: int
    ratio: float
    strength: float
    theory: float
    data: Estimate
    model: Estimate | None

    def _headline(self) -> str:
        return f"data {self.data}, model {self.model}, theory {self.theory:.3f} at γ = {self.ratio:.3g}"


def recovery_theory(strength: float, ratio: float) -> float:
    """(1 - γ/ℓ²)/(1 + γ/ℓ) above the threshold ℓ = √γ, else 0; exact as N grows at fixed γ.

    Raises
    ------
    InputError : ℓ or γ not above 0
    """
    strength, ratio = check_positive("strength", strength), check_positive("ratio", ratio)
    return (1 - ratio / strength**2) / (1 + ratio / strength) if strength > math.sqrt(ratio) else 0.0


def planted_strengths(dataset: Dataset) -> FloatArray:
    """ℓ_k = (u_kᵀ C u_k - σ²)/σ² of every planted direction by the exact covariance of the teacher, (rank,).

    σ² is the variance of a unit at fixed hidden state, averaged over units and hidden states.

    Raises
    ------
    DataError : the data were not planted
    """
    weights, directions = _planted(dataset)
    rank = weights.shape[1]
    signs = 2.0 * ((np.arange(2**rank)[:, None] >> np.arange(rank)) & 1) - 1.0
    means = np.tanh(signs @ weights.T / 4)  # of spins, one row a hidden state
    noise = float((1 - means**2).mean())
    return np.asarray(((means @ directions) ** 2).mean(0) / noise)


def _planted(dataset: Dataset) -> tuple[FloatArray, FloatArray]:
    try:
        return dataset.attributes["weights"], dataset.attributes["directions"]
    except KeyError:
        raise DataError(
            f"{dataset.name} has no planted directions; make the data with load_dataset('planted', ...)"
        ) from None


def squared_overlaps(vectors: RBM | ArrayLike, directions: ArrayLike) -> FloatArray:
    """``Σ_{i<=r} (U_i·u_k)²`` for each of r planted directions: what the r leading modes together hold of it.

    Parameters
    ----------
    vectors : a model, whose leading left singular vectors are taken, or (N, >= r) orthonormal columns
    directions : (N, r) orthonormal; one direction is compared with the leading mode alone

    Returns
    -------
    (r,) in [0, 1]; it does not change when modes of like strength mix or cross
    """
    planted = np.asarray(directions, dtype=np.float64)
    if isinstance(vectors, RBM):
        columns = torch.linalg.svd(vectors.weights.double(), full_matrices=False)[0].cpu().numpy()
    else:
        columns = np.asarray(vectors, dtype=np.float64)
    if planted.ndim != 2 or columns.ndim != 2 or len(planted) != len(columns) or planted.shape[1] > columns.shape[1]:
        raise ShapeError(
            f"overlaps need (N, r) directions and at least r vectors of N units, found {planted.shape} and "
            f"{columns.shape}"
        )
    return np.asarray(((columns[:, : planted.shape[1]].T @ planted) ** 2).sum(0))


@checked
def recovery(datasets: Sequence[Dataset], models: Sequence[RBM] | None = None, direction: int = 0) -> Recovery:
    """Overlap of the leading modes with a planted direction, over replicas of one experiment.

    Parameters
    ----------
    datasets : planted with the same sizes and strengths and different seeds, two or more
    models : one a data set, at the end of linear growth or after training
    direction : k, which planted direction

    Returns
    -------
    Recovery; standard errors over the replicas

    Raises
    ------
    InputError : fewer than two replicas, replicas of different size, or a direction that does not exist
    DataError : data that were not planted
    """
    if len(datasets) < 2 or (models is not None and len(models) != len(datasets)):
        count = "no" if models is None else str(len(models))
        raise InputError(
            f"recovery needs two or more data sets and one model each, found {len(datasets)} data sets and {count} "
            "models; an error bar takes replicas"
        )
    first = datasets[0]
    if any(one.train.shape != first.train.shape for one in datasets):
        raise InputError("replicas have different numbers of samples or units; compare like with like")
    strengths = planted_strengths(first)
    if not 0 <= direction < len(strengths):
        raise InputError(f"planted directions run from 0 to {len(strengths) - 1}, found {direction}")
    directions = [_planted(one)[1] for one in datasets]
    rank = len(strengths)
    of_data = [
        squared_overlaps(linear_growth(one.train, rank).directions, planted)[direction]
        for one, planted in zip(datasets, directions, strict=True)
    ]
    of_models = None
    if models is not None:
        of_models = mean_estimate(
            [squared_overlaps(rbm, planted)[direction] for rbm, planted in zip(models, directions, strict=True)]
        )
    count, units = first.train.shape
    strength, ratio = float(strengths[direction]), units / count
    return Recovery(count, ratio, strength, recovery_theory(strength, ratio), mean_estimate(of_data), of_models)
