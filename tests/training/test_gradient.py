"""The gradient against the exact one, for both kinds, where the negative phase is the exact distribution."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.kernels.reference.gradient import Gradient, accumulate
from rbmscape.model.exact import binary_states, exact_gradient, visible_log_probabilities
from rbmscape.training.gradient import center


@pytest.fixture
def case():
    generator = np.random.default_rng(2)
    rbm = rs.RBM(generator.normal(size=(6, 4)), generator.normal(size=6), generator.normal(size=4))
    data = torch.from_numpy(generator.integers(0, 2, (9, 6))).double()
    visible = torch.cat([data, binary_states(6)])
    weights = torch.cat([torch.full((9,), 1 / 9, dtype=torch.float64), -visible_log_probabilities(rbm).exp()])
    gradient = Gradient.empty(6, 4, torch.float64)
    hidden = rbm.hidden_probability(visible)
    accumulate(visible, hidden, weights, torch.empty_like(hidden), gradient)
    return rbm, data, gradient


def test_plain_gradient_is_that_of_the_exact_log_likelihood(case):
    rbm, data, gradient = case
    exact = exact_gradient(rbm, data)
    torch.testing.assert_close(gradient.weights, exact.correlation, rtol=0, atol=1e-9)
    torch.testing.assert_close(gradient.visible_bias, exact.visible, rtol=0, atol=1e-9)
    torch.testing.assert_close(gradient.hidden_bias, exact.hidden, rtol=0, atol=1e-9)


def test_centred_gradient_is_the_gradient_in_centred_parameters(case):
    """E = -(v-μ)·a' - (h-λ)·b' - (v-μ)ᵀW(h-λ) has a = a' - Wλ, b = b' - Wᵀμ; autograd through that map."""
    rbm, data, gradient = case
    generator = np.random.default_rng(5)
    mu, lam = torch.from_numpy(generator.random(6)), torch.from_numpy(generator.random(4))
    weights = rbm.weights.clone().requires_grad_()
    a_centred = (rbm.visible_bias + rbm.weights @ lam).requires_grad_()
    b_centred = (rbm.hidden_bias + rbm.weights.T @ mu).requires_grad_()
    a, b = a_centred - weights @ lam, b_centred - weights.T @ mu
    v, h = binary_states(6), binary_states(4)
    log_z = torch.logsumexp((v @ a)[:, None] + (h @ b)[None, :] + v @ weights @ h.T, (0, 1))
    log_likelihood = (data @ a + torch.nn.functional.softplus(data @ weights + b).sum(1)).mean() - log_z
    dw, da, db = torch.autograd.grad(log_likelihood, (weights, a_centred, b_centred))
    center(gradient, mu, lam)
    torch.testing.assert_close(gradient.weights, dw, rtol=0, atol=1e-9)
    # a step (da', db', dW) moves the plain biases by da' - dW λ and db' - dWᵀ μ
    torch.testing.assert_close(gradient.visible_bias, da - dw @ lam, rtol=0, atol=1e-9)
    torch.testing.assert_close(gradient.hidden_bias, db - dw.T @ mu, rtol=0, atol=1e-9)


def test_zero_offsets_leave_the_plain_gradient(case):
    rbm, data, gradient = case
    center(gradient, torch.zeros(6, dtype=torch.float64), torch.zeros(4, dtype=torch.float64))
    torch.testing.assert_close(gradient.weights, exact_gradient(rbm, data).correlation, rtol=0, atol=1e-9)


def test_stale_hidden_units_would_be_noticed(case):
    """Negative control: hidden means of other visible states give another gradient."""
    rbm, data, gradient = case
    visible = torch.cat([data, binary_states(6)])
    weights = torch.cat([torch.full((9,), 1 / 9, dtype=torch.float64), -visible_log_probabilities(rbm).exp()])
    hidden = rbm.hidden_probability(visible)
    hidden[9:] = hidden[9:].roll(1, 0)
    stale = Gradient.empty(6, 4, torch.float64)
    accumulate(visible, hidden, weights, torch.empty_like(hidden), stale)
    assert float((stale.weights - gradient.weights).abs().max()) > 1e-2
