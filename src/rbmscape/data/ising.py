r"""Spins of the two-dimensional Ising model as bits: Wolff's clusters, and Kaufman's exact finite-size energies.

``p(s) = exp(K Σ_<ij> s_i s_j)/Z``, K = 1/T, on a torus of n x m spins s = 2v - 1; T in units of the coupling.
The partition function is exact for every size (Kaufman, Phys. Rev. 76, 1232 (1949)):

    Z = ½ (2 sinh 2K)^{nm/2} [Π 2cosh(mγ_{2r+1}/2) + Π 2sinh(mγ_{2r+1}/2) + Π 2cosh(mγ_{2r}/2) + Π 2sinh(mγ_{2r}/2)]

with r = 0, …, n - 1, ``cosh γ_l = cosh 2K coth 2K - cos(πl/n)`` and ``γ_0 = 2K + ln tanh K``.  Its derivatives are the
energy and the specific heat.  Clusters are grown with probability 1 - e^{-2K} a bond and flipped (Wolff, Phys. Rev.
Lett. 62, 361 (1989)), which decorrelates also at the critical temperature, 2/ln(1 + √2) = 2.269.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rbmscape.brief import OneLine
from rbmscape.checks import is_number
from rbmscape.data.dataset import Binary, Dataset
from rbmscape.errors import DataError
from rbmscape.memory import check_memory
from rbmscape.rng import Stream

__all__ = ["CRITICAL_TEMPERATURE", "IsingExact", "ising", "ising_exact", "spin_energies"]

CRITICAL_TEMPERATURE: Final = 2 / math.log(1 + math.sqrt(2))
_POINTS: Final = 32
_MOST_SPINS: Final = 2**14


@dataclass(frozen=True, slots=True, repr=False)
class IsingExact(OneLine):
    """Exact values of one size and temperature.

    Attributes
    ----------
    log_partition : ln Z
    energy : mean of -Σ s_i s_j a spin, in [-2, 2]
    specific_heat : dE/dT a spin
    entropy : nats a spin
    """

    log_partition: float
    energy: float
    specific_heat: float
    entropy: float


def ising_exact(image_shape: tuple[int, int], temperature: float) -> IsingExact:
    """Kaufman's ln Z and its derivatives; ln Z to rounding, the specific heat to about 1e-8.

    Derivatives are taken by Cauchy's formula on a small circle about K.

    Parameters
    ----------
    image_shape : (n, m), both at least 3, so that no two bonds join the same spins
    temperature : T > 0

    Raises
    ------
    DataError : a size or temperature that cannot be used
    """
    _check(image_shape, temperature)
    coupling, count = 1 / temperature, image_shape[0] * image_shape[1]
    radius = min(0.1 * coupling, 0.2 / max(image_shape))
    angles = 2 * np.pi * (np.arange(_POINTS) + 0.5) / _POINTS
    values = _log_partition(coupling + radius * np.exp(1j * angles), *image_shape)
    value, first, second = (
        float((values * np.exp(-1j * order * angles)).mean().real) * math.factorial(order) / radius**order
        for order in range(3)
    )
    energy = -first / count
    return IsingExact(value, energy, coupling**2 * second / count, (value + first * -coupling) / count)


def _log_partition(k: NDArray[np.complex128], n: int, m: int) -> NDArray[np.complex128]:
    """ln Z at complex couplings near the positive real axis."""
    number = np.arange(2 * n)
    base = (np.cosh(2 * k) / np.tanh(2 * k))[:, None] - np.cos(np.pi * number / n)
    gamma = np.arccosh(base)
    gamma[:, 0] = 2 * k + np.log(np.tanh(k))
    half = m * gamma / 2
    sign = np.where(half.real < 0, -1.0, 1.0)
    size = sign * half
    cosh = (size + np.log1p(np.exp(-2 * size)))[:, None]
    sinh = (size + np.log(-np.expm1(-2 * size)) + np.where(sign < 0, 1j * np.pi, 0))[:, None]
    terms = np.stack([part[:, 0, first::2].sum(1) for first in (1, 0) for part in (cosh, sinh)])
    top = terms[terms[:, 0].real.argmax()]  # with its imaginary part, so that the logarithm below stays on its branch
    total = np.exp(terms - top).sum(0)
    return np.asarray(top + np.log(total) - math.log(2) + n * m / 2 * np.log(2 * np.sinh(2 * k)))


def spin_energies(states: Binary, image_shape: tuple[int, int]) -> NDArray[np.float64]:
    """-Σ s_i s_j over the bonds of the torus of each state, (n_states,); exact."""
    spins = 2.0 * states.reshape(-1, *image_shape) - 1
    bonds = spins * (np.roll(spins, 1, axis=1) + np.roll(spins, 1, axis=2))
    return np.asarray(-bonds.sum((1, 2)))


def ising(
    image_shape: tuple[int, int] = (16, 16),
    temperature: float = 2.0,
    n_train: int = 10_000,
    n_test: int = 2_000,
    seed: int = 0,
) -> Dataset:
    """Equilibrium states of the Ising model on a torus, one in about five flips of every spin.

    Parameters
    ----------
    image_shape : (n, m), at least 3 x 3
    temperature : T > 0 in units of the coupling
    n_train, n_test : states of two independent Markov chains
    seed : of both

    Returns
    -------
    Data set with the attributes ``temperature``, ``coupling`` (1/T), ``log_partition``, ``energy`` and
    ``specific_heat`` (a spin, exact for this size), and ``train_log_likelihood``, ``test_log_likelihood``: mean exact
    ln p of the samples, in nats, which no other model exceeds by more than the samples' fluctuations

    Raises
    ------
    DataError : a value out of range
    """
    _check(image_shape, temperature)
    if n_train < 1 or n_test < 0:
        raise DataError(f"the Ising set needs training samples, found n_train={n_train} and n_test={n_test}")
    needed = (n_train + n_test) * image_shape[0] * image_shape[1]
    check_memory(needed, f"{n_train + n_test} states", "draw fewer")
    exact = ising_exact(image_shape, temperature)
    stream = Stream(seed, "data/ising")
    train, test = (
        _wolff(image_shape, 1 / temperature, count, stream.numpy(number))
        for number, count in enumerate((n_train, n_test))
    )
    likelihoods = [
        float(-spin_energies(states, image_shape).mean()) / temperature - exact.log_partition
        if len(states)
        else math.nan
        for states in (train, test)
    ]
    return Dataset(
        name=f"ising-{image_shape[0]}x{image_shape[1]}-T{temperature:g}",
        train=train,
        test=test,
        image_shape=image_shape,
        attributes={
            "temperature": temperature,
            "coupling": 1 / temperature,
            "log_partition": exact.log_partition,
            "energy": exact.energy,
            "specific_heat": exact.specific_heat,
            "train_log_likelihood": likelihoods[0],
            "test_log_likelihood": likelihoods[1],
        },
    )


def _check(image_shape: tuple[int, int], temperature: float) -> None:
    if min(image_shape) < 3 or image_shape[0] * image_shape[1] > _MOST_SPINS:
        raise DataError(f"an Ising torus has 3 x 3 to {_MOST_SPINS} spins, found {image_shape}; choose another size")
    if not (is_number(temperature) and math.isfinite(temperature) and temperature > 0):
        raise DataError(f"the temperature must be above 0, found {temperature!r}; the critical one is 2.269")


def _wolff(image_shape: tuple[int, int], coupling: float, count: int, random: np.random.Generator) -> Binary:
    """(count, n m) states of one chain; the first ones are left out."""
    from rbmscape.data.wolff import fill

    states = np.empty((count, image_shape[0] * image_shape[1]), dtype=np.uint8)
    if count:
        fill(states, image_shape[0], image_shape[1], -math.expm1(-2 * coupling), random)
    return states
