"""Distributions of the coordinates of uniformly random binary states (arXiv:2503.21536, section 5.1, figure 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from rbmscape.brief import OneLine
from rbmscape.errors import InputError
from rbmscape.model.rbm import RBM
from rbmscape.reciprocal.gaussianity import kurtosis_of_vectors
from rbmscape.reciprocal.modes import Modes
from rbmscape.rng import Stream

__all__ = ["Gaussianity", "LayerGaussianity", "fitted_distances", "lilliefors_level", "random_state_gaussianity"]

_CELLS_A_BLOCK = 2**24  # bounds the memory of states in float64; fewer units than 1700 are one block of 10 000 states

FloatArray = NDArray[np.float64]
STANDARD_DEVIATION = 0.5  # equation 51, for every orthogonal U


@dataclass(frozen=True, eq=False, repr=False)
class LayerGaussianity(OneLine):
    """Coordinates of random states of one layer (K modes), against Normal(μ_i, ½).

    Attributes
    ----------
    mean : (K,) exact μ_i = ½ Σ_k U_ki (equation 51)
    sampled_mean, sampled_std, sampled_kurtosis : (K,) estimated from the states
    exact_kurtosis : (K,) ``3 - 2 Σ_k U_ki⁴``
    distance : (K,) Kolmogorov-Smirnov distance to Normal(μ_i, ½)
    p_value : (K,) its p-value; not small means that n states cannot tell the mode from a Gaussian
    bin_edges : (B + 1,) of ``x_i - μ_i``
    density : (K, B) probability density of ``x_i - μ_i``
    """

    mean: FloatArray
    sampled_mean: FloatArray
    sampled_std: FloatArray
    sampled_kurtosis: FloatArray
    exact_kurtosis: FloatArray
    distance: FloatArray
    p_value: FloatArray
    bin_edges: FloatArray
    density: FloatArray

    def _headline(self) -> str:
        return (
            f"{self.mean.size} modes, largest distance {self.distance.max():.3g}, smallest p {self.p_value.min():.2g}"
        )


@dataclass(frozen=True, eq=False, repr=False)
class Gaussianity(OneLine):
    """Both layers: x (visible, N modes) and y (hidden, M modes), from the same number of states."""

    x: LayerGaussianity
    y: LayerGaussianity
    n_states: int

    def _headline(self) -> str:
        return f"{self.n_states} states, x {self.x!r}, y {self.y!r}"


def random_state_gaussianity(
    rbm: RBM | Modes,
    n_states: int = 10_000,
    mode_indices: Sequence[int] | None = None,
    n_bins: int = 60,
    seed: int = 0,
) -> Gaussianity:
    """Densities, moments and Kolmogorov-Smirnov distances of the coordinates of uniformly random states.

    Parameters
    ----------
    n_states : random states of each layer; the paper's figure 5 has 10 000
    mode_indices : modes to look at, below min(N, M); None takes all of each layer
    n_bins : bins of the densities over ±4 standard deviations
    seed : of the states

    Raises
    ------
    InputError : fewer than 10 states, or a mode that does not exist
    """
    if n_states < 10:
        raise InputError(f"n_states must be at least 10, found {n_states}")
    space = rbm if isinstance(rbm, Modes) else Modes.of(rbm)
    layers = []
    for vectors, name in ((space.left, "visible"), (space.right, "hidden")):
        count = vectors.shape[1]
        chosen = np.arange(count) if mode_indices is None else np.asarray(list(mode_indices), dtype=np.int64)
        if chosen.size == 0 or int(chosen.min()) < 0 or int(chosen.max()) >= count:
            raise InputError(f"modes of the {name} layer run from 0 to {count - 1}, found {chosen.tolist()}")
        columns = vectors[:, torch.as_tensor(chosen, device=vectors.device)]
        bits = (
            Stream(seed, f"reciprocal/gaussianity/{name}")
            .numpy(0)
            .integers(0, 2, (n_states, vectors.shape[0]), dtype=np.uint8)
        )
        parts = torch.split(torch.from_numpy(bits), max(1, _CELLS_A_BLOCK // vectors.shape[0]))
        mean = (0.5 * columns.sum(dim=0)).cpu().numpy()
        projected = torch.cat([part.to(vectors.device, torch.float64) @ columns for part in parts])
        centred = projected.cpu().numpy() - mean
        layers.append(_layer(centred, mean, kurtosis_of_vectors(columns), n_bins))
    return Gaussianity(layers[0], layers[1], n_states)


def _layer(centred: FloatArray, mean: FloatArray, exact_kurtosis: FloatArray, n_bins: int) -> LayerGaussianity:
    from scipy.stats import kstwo

    distance = _distances(centred)
    second = np.mean(centred**2, axis=0)
    shift = centred.mean(axis=0)
    edges = np.linspace(-4.0 * STANDARD_DEVIATION, 4.0 * STANDARD_DEVIATION, n_bins + 1)
    counts = np.stack([np.histogram(column, bins=edges)[0] for column in centred.T])
    return LayerGaussianity(
        mean=mean,
        sampled_mean=mean + shift,
        sampled_std=np.sqrt(second - shift**2),
        sampled_kurtosis=np.mean(centred**4, axis=0) / second**2,
        exact_kurtosis=exact_kurtosis,
        distance=distance,
        p_value=kstwo.sf(distance, centred.shape[0]),
        bin_edges=edges,
        density=counts / (centred.shape[0] * np.diff(edges)),
    )


def fitted_distances(values: FloatArray) -> FloatArray:
    """(K,) Kolmogorov-Smirnov distance of each column of (n, K) values to the Gaussian of its own mean and width.

    A column that does not vary has none, NaN.
    """
    centred, width = values - values.mean(0), values.std(0, ddof=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return _distances(STANDARD_DEVIATION * centred / width)


def lilliefors_level(n_values: int) -> float:
    """`fitted_distances` that so many independent Gaussian values exceed with probability 1 %.

    Stephens' (1974) approximation of Lilliefors' law.
    """
    root = np.sqrt(n_values)
    return float(1.035 / (root - 0.01 + 0.85 / root))


def _distances(centred: FloatArray) -> FloatArray:
    """(K,) Kolmogorov-Smirnov distance of each column to Normal(0, ½)."""
    from scipy.special import ndtr

    n_states = centred.shape[0]
    levels = ndtr(np.sort(centred, axis=0) / STANDARD_DEVIATION)
    steps = np.arange(n_states + 1)[:, None] / n_states
    result: FloatArray = np.maximum((steps[1:] - levels).max(axis=0), (levels - steps[:-1]).max(axis=0))
    return result
