"""Observables of spins: exact sums, errors that cover, models that differ from the data, refusals."""

import numpy as np
import pytest

from rbmscape.data.ising import ising, ising_exact
from rbmscape.errors import InputError, ShapeError
from rbmscape.symmetry.spins import spin_observables


@pytest.mark.statistical
def test_errors_cover_the_exact_values():
    """Over 30 sets mean z² of energy and specific heat within [0.4, 2] (false alarm 1e-4 for normal errors)."""
    exact = ising_exact((6, 6), 2.4)
    z = []
    for seed in range(30):
        found = spin_observables(ising((6, 6), 2.4, n_train=1000, n_test=0, seed=seed).train, (6, 6), 2.4)
        z.append((found.energy.z_score(exact.energy), found.specific_heat.z_score(exact.specific_heat)))
    assert (np.square(z).mean(0) > 0.4).all()
    assert (np.square(z).mean(0) < 2.0).all()


def test_observables_of_all_states_of_a_small_torus_are_those_of_free_spins():
    """Each state once: e = 0 on average, N⟨m²⟩ = 1, S(k) = 1, so that there is no correlation length."""
    states = ((np.arange(512)[:, None] >> np.arange(9)) & 1)[np.random.default_rng(0).permutation(512)]
    found = spin_observables(states, (3, 3), 1.0, n_blocks=16)
    assert found.energy.value == pytest.approx(0.0, abs=1e-12)
    assert found.specific_heat.value == pytest.approx(2.0)  # two bonds a spin, of variance 1
    assert found.correlation_length.value == pytest.approx(0.0, abs=1e-6)
    assert found.susceptibility.value == pytest.approx(1 - 9 * found.magnetisation.value**2)


def test_correlation_length_is_that_of_the_correlation_function():
    """S(k) by Fourier sums against the correlation function of row means; none for independent bits."""
    rng = np.random.default_rng(1)
    data = ising((16, 16), 3.0, n_train=3000, n_test=0, seed=2)
    found = spin_observables(data.train, (16, 16), 3.0)
    # ⟨s_0 s_r⟩ of the whole lattice gives the same S(k), summed directly.
    spins = 2.0 * data.train.reshape(-1, 16, 16) - 1
    row = spins.mean(1)
    correlation = np.array([(row * np.roll(row, r, axis=1)).mean() for r in range(16)])
    s0, s1 = correlation.sum(), (correlation * np.cos(2 * np.pi * np.arange(16) / 16)).sum()
    expected = np.sqrt(s0 / s1 - 1) / (2 * np.sin(np.pi / 16))
    assert found.correlation_length.value == pytest.approx(expected, rel=0.1)
    assert 1.0 < found.correlation_length.value < 3.0
    free = spin_observables(rng.integers(0, 2, (2000, 256)), (16, 16), 3.0)
    assert free.correlation_length.value < 4 * free.correlation_length.stderr + 0.3


@pytest.mark.statistical
def test_two_sets_agree_and_another_temperature_does_not():
    """All six |z| < 4.5 (false alarm 4e-5) between independent sets; 2 % of temperature is seen at 10 000 states."""
    first, second = (ising((8, 8), 2.3, n_train=5000, n_test=0, seed=seed).train for seed in (1, 2))
    other = ising((8, 8), 2.4, n_train=5000, n_test=0, seed=3).train
    observed = [spin_observables(states, (8, 8), 2.3) for states in (first, second, other)]
    assert max(abs(z) for z in observed[0].z_scores(observed[1]).values()) < 4.5
    assert abs(observed[0].z_scores(observed[2])["energy"]) > 4.5


def test_bad_input_is_refused():
    with pytest.raises(ShapeError, match="n_states"):
        spin_observables(np.zeros((100, 8)), (3, 3), 1.0)
    with pytest.raises(InputError, match="take more states"):
        spin_observables(np.zeros((50, 9)), (3, 3), 1.0)
    with pytest.raises(InputError, match="temperature"):
        spin_observables(np.zeros((200, 9)), (3, 3), 0.0)
