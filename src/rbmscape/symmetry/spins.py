r"""Energy, specific heat, magnetisation and correlation length of spins on a torus: a model's samples against the data.

For states of L x L' bits, s = 2v - 1, at temperature T: energy e = -Σ_<ij> s_i s_j/N; specific heat ``N Var(e)/T²``;
magnetisation ⟨|m|⟩; susceptibility ``N (⟨m²⟩ - ⟨|m|⟩²)/T``; Binder cumulant of m; and the second-moment correlation
length ``ξ = (1/2 sin(π/L)) √(S(0)/S(k_1) - 1)``, S(k) = ⟨|Σ s e^{ikr}|²⟩/N at k = 0 and at the smallest wave vectors in
both directions.  Errors are jackknife errors over blocks of neighbouring states, which may be correlated within a
block; energy and specific heat of the Ising model itself are exact for each size (`rbmscape.data.ising.ising_exact`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rbmscape.arguments import checked
from rbmscape.arrays import number_array, training_rows
from rbmscape.brief import OneLine
from rbmscape.checks import check_positive
from rbmscape.data.ising import spin_energies
from rbmscape.errors import InputError, ShapeError
from rbmscape.stats import Estimate

__all__ = ["SpinObservables", "spin_observables"]

FloatArray = NDArray[np.float64]
_FEWEST_BLOCKS: Final = 10


@dataclass(frozen=True, slots=True, repr=False)
class SpinObservables(OneLine):
    """Thermal averages of spins.

    Attributes
    ----------
    energy : a spin, in units of the coupling
    specific_heat : a spin
    magnetisation : ⟨|m|⟩
    susceptibility : a spin
    binder : 1 - ⟨m⁴⟩/3⟨m²⟩²
    correlation_length : in lattice spacings; 0 where S(k_1) is not below S(0)
    """

    energy: Estimate
    specific_heat: Estimate
    magnetisation: Estimate
    susceptibility: Estimate
    binder: Estimate
    correlation_length: Estimate

    def _headline(self) -> str:
        return f"energy {self.energy}, specific heat {self.specific_heat}, |m| {self.magnetisation}"

    def z_scores(self, other: SpinObservables) -> dict[str, float]:
        """(self - other)/√(sum of squared errors) of every observable; both sets must be independent."""
        scores = {}
        for entry in fields(self):
            mine, theirs = getattr(self, entry.name), getattr(other, entry.name)
            scores[entry.name] = Estimate(mine.value, math.hypot(mine.stderr, theirs.stderr)).z_score(theirs.value)
        return scores


@checked
def spin_observables(
    data: ArrayLike, image_shape: tuple[int, int], temperature: float, n_blocks: int = 50
) -> SpinObservables:
    """Averages over states with jackknife errors.

    Parameters
    ----------
    data : (n_states, N) bits; samples of a model, or a `Dataset` for its training rows
    image_shape : (L, L'), N = L L'
    temperature : T of the specific heat and the susceptibility
    n_blocks : blocks of neighbouring states that are left out in turn; each should be much longer than correlations
        between states, and there should be at least 10 of them

    Raises
    ------
    ShapeError : states that do not fit the lattice
    InputError : too few states for the blocks, or a temperature that is not above 0
    """
    check_positive("temperature", temperature)
    bits = number_array(training_rows(data, "spin observables"), "data")
    if bits.ndim != 2 or bits.shape[1] != image_shape[0] * image_shape[1]:
        raise ShapeError(f"states must be (n_states, {image_shape[0]}·{image_shape[1]}), found shape {bits.shape}")
    if n_blocks < _FEWEST_BLOCKS or len(bits) < 2 * n_blocks:
        raise InputError(
            f"errors need {_FEWEST_BLOCKS} or more blocks of two or more states, found {len(bits)} states in "
            f"{n_blocks} blocks; take more states or fewer blocks"
        )
    moments = _moments(bits.astype(np.uint8), image_shape)
    blocks = np.stack([part.mean(0) for part in np.array_split(moments, n_blocks)])
    weights = np.asarray([len(part) for part in np.array_split(moments, n_blocks)], dtype=np.float64)
    total = weights @ blocks
    left_out = (total - weights[:, None] * blocks) / (weights.sum() - weights)[:, None]
    value = _observables(total[None] / weights.sum(), image_shape, temperature)[0]
    spread = _observables(left_out, image_shape, temperature)
    errors = np.sqrt((n_blocks - 1) / n_blocks * ((spread - spread.mean(0)) ** 2).sum(0))
    return SpinObservables(*(Estimate(float(v), float(e)) for v, e in zip(value, errors, strict=True)))


def _moments(bits: NDArray[np.uint8], image_shape: tuple[int, int]) -> FloatArray:
    """e, e², |m|, m², m⁴ and |Σ s e^{ikr}|²/N of both directions for every state, (n_states, 7)."""
    spins = 2.0 * bits.reshape(-1, *image_shape) - 1
    energy = spin_energies(bits, image_shape) / bits.shape[1]
    m = spins.mean((1, 2))
    waves = [np.exp(2j * np.pi * np.arange(length) / length) for length in image_shape]
    along = [np.abs(spins.sum(2) @ waves[0]) ** 2, np.abs(spins.sum(1) @ waves[1]) ** 2]
    return np.stack([energy, energy**2, np.abs(m), m**2, m**4, *(wave / bits.shape[1] for wave in along)], 1)


def _observables(moments: FloatArray, image_shape: tuple[int, int], temperature: float) -> FloatArray:
    """The six observables from mean moments, (n, 6)."""
    energy, square, size, second, fourth, *waves = moments.T
    count = image_shape[0] * image_shape[1]
    lengths = []
    for wave, length in zip(waves, image_shape, strict=True):
        excess = np.maximum(count * second / np.maximum(wave, 1e-300) - 1, 0.0)
        lengths.append(np.sqrt(excess) / (2 * math.sin(math.pi / length)))
    return np.stack(
        [
            energy,
            count * (square - energy**2) / temperature**2,
            size,
            count * (second - size**2) / temperature,
            1 - fourth / (3 * second**2),
            np.mean(lengths, axis=0),
        ],
        axis=1,
    )
