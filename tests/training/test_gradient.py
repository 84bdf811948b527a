"""The gradient against the exact one, for both kinds, where the negative phase is the exact distribution."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.kernels import Gradient, select_engine
from rbmscape.kernels.reference.gradient import accumulate
from rbmscape.model.exact import binary_states, exact_gradient, visible_log_probabilities
from rbmscape.model.rbm import PARAMETER_NAMES
from rbmscape.training.gradient import center
from rbmscape.training.trainer import Trainer


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


class ExactGradient:
    """Stands for an engine's gradient: the exact one of the trainer's present parameters, with no sampling in it."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer

    def compute(self, data, out):
        weights, a, b = (self._trainer._parameters[name] for name in PARAMETER_NAMES)
        rows, states = data.double(), binary_states(len(a))
        active = states @ weights + b
        p = torch.softmax(states @ a + torch.nn.functional.softplus(active).sum(1), 0)
        hidden, model = torch.sigmoid(rows @ weights + b), torch.sigmoid(active)
        torch.sub(rows.T @ hidden / len(rows), (p[:, None] * states).T @ model, out=out.weights)
        torch.sub(rows.mean(0), p @ states, out=out.visible_bias)
        torch.sub(hidden.mean(0), p @ model, out=out.hidden_bias)
        return hidden.mean(0)


def fixed_point(gradient, **penalty):
    """Where exact ascent from one start ends: 4 visible units and a hidden one on 64 rows with strong correlations."""
    generator = np.random.default_rng(7)
    rows = generator.random((64, 4)) < np.where(
        generator.random((64, 1)) < 0.3, [0.9, 0.8, 0.2, 0.7], [0.2, 0.1, 0.6, 0.3]
    )
    config = rs.TrainingConfig(
        n_hidden=1, gradient=gradient, batch_size=64, n_chains=2, gibbs_steps=1, learning_rate=0.5, momentum=0.9,
        clip=0.0, schedule="constant", averaging=0, weight_std=1.0, seed=3, **penalty,
    )  # fmt: skip
    trainer = Trainer(rs.Dataset.from_array(rows.astype(np.uint8)), config, select_engine("reference", "fp64"))
    trainer._phases = ExactGradient(trainer)  # type: ignore[assignment]
    for _ in range(300):
        trainer.step()
    return trainer.model(averaged=False), trainer.train.double()


@pytest.mark.parametrize("penalty", [{"l2": 0.02}, {"l1": 0.01}, {"l1": 0.005, "l2": 0.01}])
def test_with_a_penalty_plain_and_centred_gradient_end_at_the_same_point(penalty):
    """There the penalty balances ∂W, and ∂a and ∂b are zero: the model has the means of the data."""
    plain, rows = fixed_point("plain", **penalty)
    centred, _ = fixed_point("centered", **penalty)
    assert float(plain.weights.abs().min()) > 0.1  # where a weight is zero |W| has no slope
    for model in (plain, centred):
        exact = exact_gradient(model, rows)
        slope = penalty.get("l1", 0.0) * model.weights.sign() + penalty.get("l2", 0.0) * model.weights
        torch.testing.assert_close(exact.correlation, slope, rtol=0, atol=1e-6)
        assert float(exact.visible.abs().max()) < 1e-6
        assert float(exact.hidden.abs().max()) < 1e-6
    for name in PARAMETER_NAMES:
        torch.testing.assert_close(getattr(centred, name), getattr(plain, name), rtol=0, atol=1e-4)
