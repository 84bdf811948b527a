"""The Ising model: Kaufman's partition function against enumeration, Wolff's samples against both."""

import math

import numpy as np
import pytest

from rbmscape import load_dataset
from rbmscape.data.ising import CRITICAL_TEMPERATURE, ising, ising_exact, spin_energies
from rbmscape.errors import DataError


def all_states(count):
    return ((np.arange(2**count)[:, None] >> np.arange(count)) & 1).astype(np.uint8)


@pytest.mark.parametrize("shape", [(3, 3), (3, 4), (4, 3), (4, 4)])
@pytest.mark.parametrize("temperature", [0.5, 2.0, CRITICAL_TEMPERATURE, 4.0])
def test_exact_values_against_enumeration(shape, temperature):
    energies = spin_energies(all_states(shape[0] * shape[1]), shape)
    weights = np.exp(-(energies - energies.min()) / temperature)
    log_z = math.log(weights.sum()) - energies.min() / temperature
    p, count = weights / weights.sum(), shape[0] * shape[1]
    exact = ising_exact(shape, temperature)
    mean = p @ energies
    assert exact.log_partition == pytest.approx(log_z, abs=1e-10)
    assert exact.energy == pytest.approx(mean / count, abs=1e-10)
    assert exact.specific_heat == pytest.approx((p @ (energies - mean) ** 2) / temperature**2 / count, abs=1e-9)
    assert exact.entropy == pytest.approx((log_z + mean / temperature) / count, abs=1e-10)


def test_exact_values_of_large_tori_and_limits():
    cold, hot = ising_exact((64, 64), 0.2), ising_exact((64, 64), 1e3)
    assert cold.energy == pytest.approx(-2.0)
    assert cold.entropy == pytest.approx(math.log(2) / 4096)
    assert hot.entropy == pytest.approx(math.log(2), abs=1e-5)
    # Onsager's energy at the critical temperature, -√2, is approached as 1/L from below.
    gaps = [-math.sqrt(2) - ising_exact((size, size), CRITICAL_TEMPERATURE).energy for size in (16, 32, 64)]
    assert gaps[0] / gaps[1] == pytest.approx(2.0, rel=0.01)
    assert gaps[1] / gaps[2] == pytest.approx(2.0, rel=0.01)


@pytest.mark.statistical
@pytest.mark.parametrize("temperature", [2.0, CRITICAL_TEMPERATURE, 3.5])
def test_samples_have_the_exact_energy_and_specific_heat(temperature):
    """|z| < 4 for two numbers (false alarm 1e-4), with blocks of 100 states against correlations."""
    data = ising((8, 8), temperature, n_train=8000, n_test=10, seed=1)
    energies = spin_energies(data.train, (8, 8)) / 64
    blocks = energies.reshape(80, 100)
    error = blocks.mean(1).std(ddof=1) / math.sqrt(80)
    assert abs(np.corrcoef(energies[1:], energies[:-1])[0, 1]) < 0.1
    assert abs(energies.mean() - data.attributes["energy"]) < 4 * error
    heats = 64 * ((blocks - energies.mean()) ** 2).mean(1) / temperature**2
    assert abs(heats.mean() - data.attributes["specific_heat"]) < 4 * heats.std(ddof=1) / math.sqrt(80)
    assert error < 0.01  # a temperature of 5 % more or less would be seen
    assert abs(energies.mean() - ising_exact((8, 8), 1.05 * temperature).energy) > 4 * error
    # Both signs are as frequent; 4 standard errors of 8000 fair coins are 0.045.
    assert abs((data.train.mean(1) > 0.5).mean() - (data.train.mean(1) < 0.5).mean()) < 0.045


def test_three_by_three_states_are_boltzmann_distributed():
    """χ² over the 512 states: false alarm 1e-5; a wrong bond probability fails by hundreds."""
    from scipy.stats import chi2

    data = ising((3, 3), 3.0, n_train=40_000, n_test=0, seed=5)
    seen = np.bincount(data.train @ (1 << np.arange(9)), minlength=512)
    weights = np.exp(-spin_energies(all_states(9), (3, 3)) / 3.0)
    expected = 40_000 * weights / weights.sum()
    assert ((seen - expected) ** 2 / expected).sum() < chi2.isf(1e-5, 511)


def test_the_data_set_is_one_of_the_named_ones():
    data = load_dataset("ising", image_shape=(4, 6), temperature=2.5, n_train=50, n_test=20, seed=3)
    assert data.train.shape == (50, 24)
    assert data.image_shape == (4, 6)
    np.testing.assert_array_equal(data.train, ising((4, 6), 2.5, 50, 20, seed=3).train)
    expected = -spin_energies(data.test, (4, 6)).mean() / 2.5 - data.attributes["log_partition"]
    assert data.attributes["test_log_likelihood"] == pytest.approx(expected)
    again = load_dataset(data.origin["source"], **data.origin["options"])
    assert again.fingerprint == data.fingerprint


def test_bad_input_is_refused():
    with pytest.raises(DataError, match="3 x 3"):
        ising((2, 8))
    with pytest.raises(DataError, match="temperature must be above 0"):
        ising(temperature=0.0)
    with pytest.raises(DataError, match="needs training samples"):
        ising(n_train=0)
    with pytest.raises(DataError, match="temperature does not apply"):
        load_dataset("mnist", temperature=2.0)
