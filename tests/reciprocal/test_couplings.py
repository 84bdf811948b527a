"""Couplings of the visible units against sums over all states, and against a decorated Ising chain."""

import itertools
import math
import time

import numpy as np
import pytest
import torch

from rbmscape import RBM, TrainingConfig, effective_couplings, load_dataset, train
from rbmscape.errors import InputError, ShapeError
from rbmscape.model.exact import binary_states


def random_model(scale, seed=0, n_visible=8, n_hidden=5):
    generator = np.random.default_rng(seed)
    weights = generator.normal(0, scale, (n_visible, n_hidden))
    return RBM(weights, generator.normal(0, 1, n_visible), generator.normal(0, scale, n_hidden))


def decorated_chain(coupling, field, length):
    """Each hidden unit joins two neighbours of an open chain of spins: ½ ln cosh(w/2) = K, and nothing else is left."""
    w = 2 * np.arccosh(np.exp(2 * coupling))
    weights = np.zeros((length, length - 1))
    for j in range(length - 1):
        weights[j, j] = weights[j + 1, j] = w
    # softplus(y) = y/2 + ln 2cosh(y/2): the linear part is cancelled by the visible biases.
    return RBM(weights, 2 * field - weights.sum(1) / 2, np.full(length - 1, -w))


@pytest.mark.parametrize("scale", [0.1, 1.0, 4.0])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_couplings_against_sums_over_all_states(order, scale):
    rbm = random_model(scale)
    v = binary_states(rbm.n_visible)
    log_weight = -rbm.free_energy(v)
    units = list(itertools.combinations(range(rbm.n_visible), order))
    spins = [float(((2 * v - 1)[:, list(unit)].prod(1) * log_weight).mean()) for unit in units]
    np.testing.assert_allclose(effective_couplings(rbm, order, "spins", units), spins, atol=1e-12)
    bits = []
    for unit in units:
        subsets = [part for size in range(order + 1) for part in itertools.combinations(unit, size)]
        bits.append(sum((-1) ** (order - len(part)) * float(log_weight[sum(1 << i for i in part)]) for part in subsets))
    np.testing.assert_allclose(effective_couplings(rbm, order, "bits", units), bits, atol=1e-12)
    if order <= 2:
        for states, exact in (("spins", spins), ("bits", bits)):
            whole = effective_couplings(rbm, order, states)
            np.testing.assert_allclose(whole[tuple(np.transpose(units))], exact, atol=1e-12)
            if order == 2:
                np.testing.assert_array_equal(whole, whole.T)
                assert not np.diagonal(whole).any()


def test_all_couplings_together_are_the_free_energy():
    rbm = random_model(1.5, seed=3, n_visible=5, n_hidden=7)
    v = binary_states(5)
    for states, variables in (("bits", v), ("spins", 2 * v - 1)):
        total = torch.zeros(32, dtype=torch.float64)
        for order in range(1, 6):
            units = list(itertools.combinations(range(5), order))
            for unit, coupling in zip(units, effective_couplings(rbm, order, states, units), strict=True):
                total += coupling * variables[:, list(unit)].prod(1)
        difference = total + rbm.free_energy(v)
        assert float(difference.std()) < 1e-12  # the constant J_∅ is left


@pytest.mark.parametrize("coupling", [0.1, 0.44, 1.5])
def test_decorated_ising_chain_is_exact(coupling):
    rbm = decorated_chain(coupling, field=0.2, length=7)
    expected = np.diag(np.full(6, coupling), 1)
    np.testing.assert_allclose(effective_couplings(rbm, 2, "spins"), expected + expected.T, atol=1e-12)
    np.testing.assert_allclose(effective_couplings(rbm, 1, "spins"), np.full(7, 0.2), atol=1e-12)
    triples = list(itertools.combinations(range(7), 3))
    np.testing.assert_allclose(effective_couplings(rbm, 3, "spins", triples), 0.0, atol=1e-12)
    # K s s' = 4K v v' - …: bits have four times the coupling.
    np.testing.assert_allclose(effective_couplings(rbm), 4 * (expected + expected.T), atol=1e-12)


def test_weights_of_hundreds_neither_overflow_nor_lose_pairs():
    """A hidden unit that needs both pixels, at energies where every sigmoid is 0 or 1."""
    rbm = RBM(np.full((3, 1), 900.0), np.zeros(3), np.full(1, -1500.0))
    expected = np.full((3, 3), 300.0) - 300.0 * np.eye(3)
    np.testing.assert_allclose(effective_couplings(rbm), expected)
    np.testing.assert_allclose(effective_couplings(rbm, 3, units=[(0, 1, 2)]), [1200.0 - 3 * 300.0])


def test_all_pairs_of_a_large_model_take_seconds():
    generator = np.random.default_rng(0)
    rbm = RBM(generator.normal(0, 0.3, (784, 500)), np.zeros(784), np.full(500, -2.0))
    start = time.perf_counter()
    pairs = effective_couplings(rbm)
    assert time.perf_counter() - start < 5  # 0.8 s on one free core
    some = [(0, 1), (5, 700), (300, 301)]
    np.testing.assert_allclose(effective_couplings(rbm, 2, units=some), [pairs[i, k] for i, k in some], atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [4.0, 3.5, 3.0])
def test_a_trained_model_has_the_couplings_of_the_ising_model(temperature):
    """Neighbours within 0.02 of 1/T on average over the bonds, diagonal ones below 0.05; half a minute each."""
    data = load_dataset("ising", image_shape=(8, 8), temperature=temperature, n_train=20_000, n_test=1, seed=1)
    config = TrainingConfig(
        n_hidden=128, learning_rate=0.5, decay_start=0.3, epochs=200, gibbs_steps=5, n_chains=1000, early_checkpoints=0
    )
    pairs = effective_couplings(train(data, config, progress=False).load(), 2, "spins")
    rows, columns = np.divmod(np.arange(64), 8)
    steps = [np.abs(axis[:, None] - axis) for axis in (rows, columns)]
    distance = np.hypot(*(np.minimum(step, 8 - step) for step in steps))
    assert pairs[distance == 1].mean() == pytest.approx(1 / temperature, abs=0.02)
    assert abs(pairs[np.isclose(distance, np.sqrt(2))].mean()) < 0.05


def test_bad_input_is_refused():
    rbm = random_model(1.0)
    with pytest.raises(InputError, match=r"all couplings of 3 among 8 units are 56 numbers of 2\.2e\+03 terms"):
        effective_couplings(rbm, 3)
    many = np.tile(np.arange(30), (4, 1))
    with pytest.raises(InputError, match=r"4 couplings of 30 units are sums of 4\.3e\+10 terms, more than 1\.7e\+10"):
        effective_couplings(RBM.random(30, 10), 30, units=many)
    with pytest.raises(InputError, match="units run from 0 to 7, found 0 to 8"):
        effective_couplings(rbm, 2, units=[(0, 8)])
    with pytest.raises(InputError, match="names a unit twice"):
        effective_couplings(rbm, 2, units=[(3, 3)])
    with pytest.raises(ShapeError, match="2 a row"):
        effective_couplings(rbm, 2, units=[(0, 1, 2)])
    with pytest.raises(InputError, match="'bits' or 'spins'"):
        effective_couplings(rbm, states="ising")
    for order in ("two", None, math.nan, 2.5, True):
        with pytest.raises(InputError, match=r"from 1 to the 8 visible units|order must be a whole number"):
            effective_couplings(rbm, order=order)
    with pytest.raises(InputError, match="from 1 to the 8 visible units"):
        effective_couplings(rbm, 0)
