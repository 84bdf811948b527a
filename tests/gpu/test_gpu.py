"""What a graphics processor computes is what the plain torch reference computes on the processor."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.cli.main import main
from rbmscape.kernels import Gradient, Parameters, select_engine
from rbmscape.model.exact import exact_log_likelihood, exact_log_partition
from rbmscape.rng import Stream

pytestmark = pytest.mark.gpu
STREAM = Stream(2024, "gpu")
SHAPE = 300, 784, 500


def parameters(n_visible, n_hidden, std):
    generator = np.random.default_rng(0)
    shapes = (n_visible, n_hidden), (n_visible,), (n_hidden,)
    return Parameters(*(torch.from_numpy(generator.normal(0, std, shape).astype(np.float32)) for shape in shapes))


def trained(n_visible, n_hidden, std):
    """A model on the GPU."""
    model = parameters(n_visible, n_hidden, std)
    return rs.RBM(model.weights, model.visible_bias, model.hidden_bias).to(device="cuda")


def test_random_numbers_are_the_same():
    for first_chain in (0, 2**31):
        there = STREAM.bits(7, 50, 33, first_chain, "cuda").cpu()
        assert torch.equal(there, STREAM.bits(7, 50, 33, first_chain))


@pytest.mark.parametrize(("precision", "margin"), [("fp32", 1e-5), ("bf16", 0.02)])
def test_half_steps_differ_only_where_the_uniform_meets_the_probability(precision, margin):
    """Sums of 784 terms in another order: a state may differ where |u - p| is within rounding."""
    n_chains, n_visible, n_hidden = SHAPE
    model = parameters(n_visible, n_hidden, 0.1)
    start = STREAM.uniform(99, n_chains, n_visible) < 0.5
    drawn = []
    for device in ("cpu", "cuda"):
        sampler = select_engine("reference", precision, device).bind(model, n_chains)
        sampler.v.copy_(start)
        sampler.sample_hidden(STREAM, 3)
        drawn.append(sampler.h.cpu().bool())
    probability = torch.sigmoid(start.double() @ model.weights.double() + model.hidden_bias.double())
    distance = (STREAM.uniform(3, n_chains, n_hidden).double() - probability).abs()
    differs = drawn[0] != drawn[1]
    assert 0.3 < float(drawn[1].double().mean()) < 0.7
    assert not differs.any() or float(distance[differs].max()) < margin


def test_gradient_is_the_processor_s():
    n_chains, n_visible, n_hidden = SHAPE
    model = parameters(n_visible, n_hidden, 0.1)
    data, chains = (STREAM.uniform(draw, n_chains, n_visible) < 0.3 + 0.2 * draw for draw in (0, 1))
    found = []
    for device in ("cpu", "cuda"):
        sampler = select_engine("reference", "fp32", device).bind(model, n_chains)
        gradient = Gradient.empty(n_visible, n_hidden, torch.float32, device)
        sampler.v.copy_(chains)
        sampler.gradient(n_chains).compute(data.to(device), gradient)
        found.append([tensor.cpu() for tensor in gradient.tensors])
    for here, there in zip(*found, strict=True):
        torch.testing.assert_close(there, here, rtol=0, atol=1e-6)


def test_training_reaches_the_optimum_and_resumes_bit_for_bit(tmp_path):
    """3x3 bars and stripes: 14 patterns, so the best mean log-likelihood is -ln 14; margin 0.15 nats."""
    dataset = rs.load_dataset("bars-and-stripes", image_shape=(3, 3))
    config = rs.TrainingConfig(
        n_hidden=24, batch_size=14, n_chains=500, gibbs_steps=5, epochs=1500, learning_rate=0.3, engine="cuda",
        visible_bias_init="zeros", weight_std=0.1, averaging=100, checkpoint_epochs=(1500,), early_checkpoints=0,
    )  # fmt: skip
    whole = rs.train(dataset, config, tmp_path / "whole", progress=False)
    optimum = -math.log(len(dataset.train))
    assert optimum - 0.15 < float(exact_log_likelihood(whole.load(), dataset.train).mean()) <= optimum + 1e-9
    rs.train(dataset, config, tmp_path / "parts", progress=False, until_update=700)
    parts = rs.train(dataset, config, tmp_path / "parts", progress=False, resume=True)
    assert torch.equal(parts.load().weights, whole.load().weights)


def test_annealing_finds_the_exact_partition_function():
    """|z| < 4: a false alarm once in 16 000 seeds."""
    rbm = trained(60, 12, 0.5)
    exact = exact_log_partition(rbm)
    for method in ("ais", "bar"):
        found = rs.log_partition(rbm, method=method, n_chains=500, seed=1)
        assert found.ess > 50
        assert abs(found.value - exact) < 4 * found.stderr
        assert abs(found.value - exact) < 0.2


def test_likelihood_bracket_and_samples_come_from_the_gpu():
    rbm = trained(60, 12, 0.5)
    data = rs.sample(rbm, n_chains=400, n_steps=50, seed=2)
    assert data.v.device.type == "cuda"
    bracket = rs.likelihood_bracket(rbm, data.v, n_chains=200, seed=3)
    exact = float(exact_log_likelihood(rbm, data.v.cpu().numpy()).mean())
    assert abs(bracket.best.value - exact) < 4 * bracket.best.stderr


def test_command_line_names_the_gpu(capsys):
    assert main(["info"]) == 0
    assert torch.cuda.get_device_name() in " ".join(capsys.readouterr().out.split())
