"""The map from bits to spins: energies agree for every state, and couplings of independent origin."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.data.ising import spin_energies
from rbmscape.model.exact import binary_states, visible_log_probabilities


def test_energies_agree_for_every_state():
    generator = np.random.default_rng(0)
    rbm = rs.RBM(*(generator.normal(size=shape) for shape in ((4, 3), (4,), (3,))))
    found = rs.spin_parameters(rbm)
    v, h = binary_states(4)[:, None], binary_states(3)[None]
    torch.testing.assert_close(found.energy(2 * v - 1, 2 * h - 1), rbm.energy(v, h), atol=1e-12, rtol=0)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(found.energy(v, h), rbm.energy(v, h), atol=1e-3, rtol=0)


def test_one_pair_of_ising_spins_has_its_coupling_in_both_conventions():
    """exp(K s1 s2) as a hidden unit: cosh(2J) = e^{2K}; bits have 4K."""
    coupling = 0.3
    j = np.arccosh(np.exp(2 * coupling)) / 2
    rbm = rs.RBM(4 * j * np.ones((2, 1)), -2 * j * np.ones(2), [-4 * j])
    found = rs.spin_parameters(rbm)
    torch.testing.assert_close(found.couplings, torch.full((2, 1), j, dtype=torch.float64))
    assert float(found.visible_fields.abs().max()) < 1e-12
    assert float(found.hidden_fields.abs().max()) < 1e-12
    assert rs.effective_couplings(rbm, states="spins")[0, 1] == pytest.approx(coupling, abs=1e-9)
    assert rs.effective_couplings(rbm, states="bits")[0, 1] == pytest.approx(4 * coupling, abs=1e-9)
    log_p = visible_log_probabilities(rbm)
    assert float(log_p[0] - log_p[1]) == pytest.approx(2 * coupling, abs=1e-9)


def test_a_run_on_spins_is_known_as_one(tmp_path):
    spins = 2.0 * rs.load_dataset("ising", image_shape=(3, 3), n_train=60, n_test=10).train - 1
    data = rs.load_dataset(spins, states="spins")
    config = rs.TrainingConfig(n_hidden=3, epochs=1, n_chains=20, engine="reference")
    run = rs.train(data, config, tmp_path / "run", progress=False)
    assert run.data["states"] == "spins"
    assert spin_energies(data.train, (3, 3)).shape == (len(data.train),)
