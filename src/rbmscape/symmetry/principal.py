r"""Left singular vectors against the principal components of the data (arXiv:2503.21536, sections 5 and 5.2).

The overlap matrix is ``O_ic = |U_i · P_c|`` with P (N, K) the principal components of the data, centred (directions of
largest variance) or not (directions of largest second moment, the first of which is nearly the mean image).
Single overlaps jump where two modes cross; the matched overlaps and the subspace overlap do not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from rbmscape.arrays import number_array, training_rows
from rbmscape.brief import OneLine
from rbmscape.errors import DataError, InputError, ShapeError
from rbmscape.reciprocal.modes import Modes

__all__ = [
    "PrincipalAlignment",
    "PrincipalComponents",
    "align_with_components",
    "alignment_along",
    "principal_components",
]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PrincipalComponents(OneLine):
    """Principal components of a data set.

    Attributes
    ----------
    vectors : (N, K) orthonormal columns, falling variance, signs such that ``Σ_k P_kc >= 0``
    variances : (K,) variance (centred) or second moment (not centred) along each, in squared units of the data
    mean : (N,) mean of the data
    centred : whether the mean was subtracted
    """

    vectors: Tensor
    variances: FloatArray
    mean: Tensor
    centred: bool

    def _headline(self) -> str:
        about = "about the mean" if self.centred else "about 0"
        largest = ", ".join(f"{value:.4g}" for value in self.variances[:3])
        return f"{self.vectors.shape[1]} of {self.vectors.shape[0]} units {about}, variances {largest}, …"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PrincipalAlignment(OneLine):
    """Overlaps of modes with principal components.

    Attributes
    ----------
    overlaps : (n_modes, K) ``|U_i · P_c|``, in [0, 1]
    matched : (K,) overlap of each component with the mode that the best assignment gives it: stable under crossings
    partner : (K,) index of that mode
    subspace : (K,) ``(1/k) Σ_{i,c<=k} (U_i · P_c)²``, k = 1..K: 1 where the first k modes span the first k components,
        about k/N for random modes; it does not depend on order, signs or rotations inside the two subspaces
    """

    overlaps: FloatArray
    matched: FloatArray
    partner: NDArray[np.int64]
    subspace: FloatArray

    def _headline(self) -> str:
        first = ", ".join(f"{value:.2f}" for value in self.matched[:3])
        return f"{self.overlaps.shape[0]} modes, {self.overlaps.shape[1]} components, matched overlaps {first}, …"


def principal_components(data: ArrayLike, n_components: int = 10, centred: bool = True) -> PrincipalComponents:
    """Leading eigenvectors of the data's covariance (or second-moment) matrix, float64, exact to rounding.

    Parameters
    ----------
    data : (n, N) states, or a `Dataset` for its training rows
    n_components : K <= N
    centred : subtract the mean first

    Raises
    ------
    DataError : fewer than two samples, or not a matrix
    InputError : more components than units, or none
    """
    rows = number_array(training_rows(data, "principal components"), "data")
    samples = torch.from_numpy(np.array(rows, dtype=np.float32))
    if samples.ndim != 2 or samples.shape[0] < 2:
        raise DataError(
            f"principal components need a (n, N) matrix of at least 2 samples, found shape {tuple(samples.shape)}"
        )
    units = samples.shape[1]
    if not 1 <= n_components <= units:
        raise InputError(f"n_components must be from 1 to {units} (the number of visible units), found {n_components}")
    mean = samples.mean(0, dtype=torch.float64)
    deviations = samples - mean.to(torch.float32) if centred else samples
    values, vectors = _eigenvectors(deviations, n_components)
    leading = vectors.flip(1)[:, :n_components]
    signs = torch.where(leading.sum(0) < 0, -1.0, 1.0).to(torch.float64)
    variances = values.flip(0)[:n_components].clamp_min(0.0).numpy()
    return PrincipalComponents(leading * signs, variances, mean, centred)


def _eigenvectors(samples: Tensor, wanted: int) -> tuple[Tensor, Tensor]:
    """Rising eigenvalues and eigenvectors of the moments (N, N), by way of the smaller Gram matrix that has enough."""
    count, units = samples.shape
    if units <= max(count, wanted) or count < wanted:
        values, vectors = torch.linalg.eigh((samples.T @ samples).to(torch.float64) / count)
        return values, vectors
    values, weights = torch.linalg.eigh((samples @ samples.T).to(torch.float64) / count)
    vectors = torch.linalg.qr((samples.T @ weights.float()).to(torch.float64).flip(1))[0].flip(1)
    return values, vectors


def align_with_components(
    modes: Modes, components: PrincipalComponents, n_modes: int | None = None
) -> PrincipalAlignment:
    """Overlaps of the first modes with principal components.

    Parameters
    ----------
    modes : of a model with N visible units
    components : K components of N units
    n_modes : number of modes, at least K; default K

    Raises
    ------
    ShapeError : the data had another number of units
    InputError : fewer modes than components, or more than exist
    """
    from scipy.optimize import linear_sum_assignment

    units, wanted = components.vectors.shape
    if units != modes.n_visible:
        raise ShapeError(
            f"the components have {units} units, the model {modes.n_visible}; use the data it was trained on"
        )
    count = wanted if n_modes is None else n_modes
    if not wanted <= count <= modes.n_visible:
        raise InputError(
            f"n_modes must be from {wanted} (the number of components) to {modes.n_visible}, found {count}"
        )
    overlaps = (modes.left[:, :count].T @ components.vectors.to(modes.device)).abs().cpu().numpy()
    rows, columns = linear_sum_assignment(overlaps, maximize=True)
    partner = np.empty(wanted, dtype=np.int64)
    partner[columns] = rows
    sizes = np.arange(1, wanted + 1)
    squares = np.cumsum(np.cumsum(overlaps[:wanted] ** 2, axis=0), axis=1)
    return PrincipalAlignment(overlaps, overlaps[partner, np.arange(wanted)], partner, np.diagonal(squares) / sizes)


def alignment_along(
    models: Iterable[Modes], components: PrincipalComponents, n_modes: int | None = None
) -> list[PrincipalAlignment]:
    """`align_with_components` of every model of a training run, in order."""
    return [align_with_components(modes, components, n_modes) for modes in models]
