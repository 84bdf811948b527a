"""Data sets of many kinds, small enough to be made here, for `benchmarks.first_try`.

Each is drawn from a seed; where the distribution is known, the mean log-likelihood of the test rows under it stands
beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

import rbmscape as rs
from rbmscape.rng import Stream

Floats = NDArray[np.float64]
Made = tuple[rs.Dataset, float]
"""Data, and the mean log-likelihood of the test rows under the distribution that made them; NaN if it is unknown."""
UNKNOWN: Final = float("nan")


def _generator(name: str) -> np.random.Generator:
    return Stream(7, f"benchmarks/{name}").numpy()


def _draw(means: Floats, generator: np.random.Generator) -> NDArray[np.uint8]:
    return (generator.random(means.shape) < means).astype(np.uint8)


def _parts(rows: NDArray[np.uint8], n_train: int, name: str) -> rs.Dataset:
    return rs.Dataset.from_array(rows[:n_train], rows[n_train:], name=name)


def _log_mixture(rows: NDArray[np.uint8], means: Floats, shares: Floats) -> float:
    """Mean log-likelihood of rows under a mixture of products with (K, N) means."""
    bits = rows.astype(np.float64)
    logs = bits @ np.log(means).T + (1.0 - bits) @ np.log1p(-means).T + np.log(shares)
    top = logs.max(1, keepdims=True)
    return float((top[:, 0] + np.log(np.exp(logs - top).sum(1))).mean())


def mnist() -> Made:
    """500 + 1000 binarised images."""
    return rs.load_dataset("mnist", n_train=500, n_test=1000), UNKNOWN


def digits() -> Made:
    """scikit-learn's 8 x 8 digits, pixel >= 8; 1400 + 397."""
    from sklearn.datasets import load_digits

    bits = (load_digits().data >= 8).astype(np.uint8)
    return _parts(bits[_generator("digits").permutation(len(bits))], 1400, "8x8 digits"), UNKNOWN


def ising(temperature: float) -> Made:
    """2000 + 1000 configurations of 16 x 16 spins; their exact mean log-likelihood."""
    data = rs.load_dataset("ising", image_shape=(16, 16), temperature=temperature, n_train=2000, n_test=1000)
    return data, float(data.attributes["test_log_likelihood"])


def two_wells() -> Made:
    """A pattern of 256 units with weight 0.95, its negative with 0.05, 5 % of the units flipped; 2000 + 1000."""
    generator = _generator("two wells")
    pattern = np.where(generator.random(256) < 0.5, 0.95, 0.05)
    means, shares = np.stack([pattern, 1.0 - pattern]), np.array([0.95, 0.05])
    rows = _draw(means[generator.choice(2, 3000, p=shares)], generator)
    return _parts(rows, 2000, "two wells"), _log_mixture(rows[2000:], means, shares)


def populations() -> Made:
    """Haplotypes with 200 variants of five populations that drifted (Balding and Nichols, F = 0.2); 1500 + 500."""
    generator = _generator("populations")
    drift, ancestral = 0.2, generator.uniform(0.1, 0.9, 200)
    odds = (1.0 - drift) / drift
    means = np.clip(generator.beta(ancestral * odds, (1.0 - ancestral) * odds, (5, 200)), 0.01, 0.99)
    shares = np.array([0.4, 0.25, 0.2, 0.1, 0.05])
    rows = _draw(means[generator.choice(5, 2000, p=shares)], generator)
    return _parts(rows, 1500, "populations"), _log_mixture(rows[1500:], means, shares)


def spikes() -> Made:
    """100 neurons at a rate of 3 % with ten overlapping assemblies that fire together; 4000 + 2000 bins."""
    generator = _generator("spikes")
    members = generator.random((10, 100)) < 0.12
    active = generator.random((6000, 10)) < 0.04
    silence = 0.97 * np.exp(active.astype(np.float64) @ np.log1p(-0.6 * members))
    return _parts(_draw(1.0 - silence, generator), 4000, "spikes"), UNKNOWN


def questionnaire() -> Made:
    """40 yes-no questions that follow three traits (two-parameter logistic model); 800 + 200 people."""
    generator = _generator("questionnaire")
    loads = generator.normal(0.0, 1.2, (3, 40)) * (generator.random((3, 40)) < 0.5)
    logits = generator.normal(size=(1000, 3)) @ loads + generator.normal(0.0, 1.0, 40)
    return _parts(_draw(1.0 / (1.0 + np.exp(-logits)), generator), 800, "questionnaire"), UNKNOWN


def few_rows() -> Made:
    """200 + 2000 rows of 64 units with three planted modes."""
    data = rs.load_dataset("planted", n_visible=64, n_train=200, n_test=2000, seed=7)
    return data, float(data.attributes["test_log_likelihood"])


DATA: Final[dict[str, Callable[[], Made]]] = {
    "MNIST, 500 rows": mnist,
    "8 x 8 digits": digits,
    "Ising, T = 2.0": lambda: ising(2.0),
    "Ising, T = 2.27": lambda: ising(2.27),
    "Ising, T = 2.6": lambda: ising(2.6),
    "two wells": two_wells,
    "populations": populations,
    "spikes": spikes,
    "questionnaire": questionnaire,
    "200 rows": few_rows,
}
