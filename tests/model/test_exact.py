"""Enumeration against brute force over both layers, against autograd, and against itself with layers exchanged."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.errors import InputError
from rbmscape.model.exact import (
    binary_states,
    exact_gradient,
    exact_log_likelihood,
    exact_log_partition,
    exact_moments,
    exact_samples,
    visible_log_probabilities,
)


def model(n_visible: int, n_hidden: int, seed: int = 0, scale: float = 1.0) -> rs.RBM:
    generator = np.random.default_rng(seed)
    shapes = (n_visible, n_hidden), (n_visible,), (n_hidden,)
    return rs.RBM(*(scale * generator.normal(size=shape) for shape in shapes))


def joint_table(rbm: rs.RBM, beta: float = 1.0):
    """All (v, h) with -beta E, from equation 3 alone."""
    v, h = binary_states(rbm.n_visible), binary_states(rbm.n_hidden)
    v, h = v.repeat_interleave(len(h), 0), h.repeat(len(v), 1)
    return v, h, -beta * rbm.energy(v, h)


def test_states_count_in_binary():
    assert binary_states(3).tolist() == [[n & 1, n >> 1 & 1, n >> 2 & 1] for n in range(8)]
    assert torch.equal(binary_states(5, 6, 4), binary_states(5)[6:10])


@pytest.mark.parametrize(("n_visible", "n_hidden"), [(4, 6), (6, 4), (5, 5), (1, 3)])
@pytest.mark.parametrize("beta", [0.4, 1.0])
def test_partition_function_and_moments_equal_brute_force(n_visible, n_hidden, beta):
    rbm = model(n_visible, n_hidden)
    v, h, log_weights = joint_table(rbm, beta)
    assert exact_log_partition(rbm, beta) == pytest.approx(float(torch.logsumexp(log_weights, 0)), abs=1e-11)
    p = torch.softmax(log_weights, 0)
    moments = exact_moments(rbm, beta)
    torch.testing.assert_close(moments.visible, p @ v, rtol=0, atol=1e-12)
    torch.testing.assert_close(moments.hidden, p @ h, rtol=0, atol=1e-12)
    torch.testing.assert_close(moments.correlation, (v * p[:, None]).T @ h, rtol=0, atol=1e-12)


def test_chunks_do_not_change_the_sum():
    """16 units take several chunks; independent units have a known partition function."""
    biases = np.linspace(-2, 2, 16)
    rbm = rs.RBM(np.zeros((20, 16)), np.full(20, 0.3), biases)
    expected = np.log1p(np.exp(biases)).sum() + 20 * np.log1p(np.exp(0.3))
    assert exact_log_partition(rbm) == pytest.approx(expected, abs=1e-10)


def test_probabilities_sum_to_one():
    for rbm in (model(6, 4), model(4, 6)):
        assert float(visible_log_probabilities(rbm).exp().sum()) == pytest.approx(1.0, abs=1e-12)


def test_gradient_equals_autograd_of_the_log_likelihood():
    rbm = model(6, 4, seed=3)
    data = np.random.default_rng(1).integers(0, 2, (7, 6))
    v, h = binary_states(6), binary_states(4)
    parameters = [t.clone().requires_grad_() for t in (rbm.visible_bias, rbm.hidden_bias, rbm.weights)]
    a, b, w = parameters
    log_z = torch.logsumexp((v @ a)[:, None] + (h @ b)[None, :] + v @ w @ h.T, (0, 1))
    x = torch.as_tensor(data, dtype=torch.float64)
    log_likelihood = (x @ a + torch.nn.functional.softplus(x @ w + b).sum(1)).mean() - log_z
    expected = torch.autograd.grad(log_likelihood, parameters)
    found = exact_gradient(rbm, data)
    for one, other in zip((found.visible, found.hidden, found.correlation), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-9)
    assert float(exact_log_likelihood(rbm, data).mean()) == pytest.approx(float(log_likelihood.detach()), abs=1e-11)


@pytest.mark.statistical
@pytest.mark.parametrize(("n_visible", "n_hidden"), [(5, 3), (3, 5)])
def test_samples_have_the_exact_moments(n_visible, n_hidden):
    """Independent samples; 2·8 + 2·15 z-scores below 4.5: false-alarm rate 2·23·7e-6 = 3e-4."""
    rbm = model(n_visible, n_hidden, seed=4)
    n = 40_000
    v, h = (t.double() for t in exact_samples(rbm, n, seed=5))
    moments = exact_moments(rbm)
    products = torch.einsum("si,sj->sij", v, h).reshape(n, -1)
    values = torch.cat([v, h, products], 1)
    exact = torch.cat([moments.visible, moments.hidden, moments.correlation.reshape(-1)])

    def z_scores(truth):
        return (values.mean(0) - truth) / (truth * (1 - truth) / n).sqrt()

    assert float(z_scores(exact).abs().max()) < 4.5
    wrong = exact_moments(rbm, beta=0.9)
    wrong_truth = torch.cat([wrong.visible, wrong.hidden, wrong.correlation.reshape(-1)])
    assert float(z_scores(wrong_truth).abs().max()) > 4.5


def test_models_that_are_too_large_are_refused():
    with pytest.raises(InputError, match=r"2\^26 states.*method='ais'"):
        exact_log_partition(rs.RBM.random(30, 26))
    with pytest.raises(InputError, match="n_samples must be at least 1"):
        exact_samples(model(3, 2), 0)
