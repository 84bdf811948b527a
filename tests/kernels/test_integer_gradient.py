"""The gradient of both phases from integers: as good as float32, whatever the weights and the way to multiply."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rbmscape.kernels import Gradient, Parameters, select_engine
from rbmscape.kernels.integers.avx512_gradient import TableGradient
from rbmscape.kernels.integers.avx512_product import TABLES
from rbmscape.kernels.integers.engine import IntegerEngine
from rbmscape.kernels.llvm.amx import has_tiles
from rbmscape.kernels.reference.fixed import exact_gradient
from rbmscape.kernels.select import has_table_lookup

pytestmark = pytest.mark.skipif(not has_table_lookup(), reason="needs a processor with AVX-512")


def case(n_data, n_chains, n_visible, n_hidden, std=0.2, seed=0):
    generator = np.random.default_rng(seed)
    shapes = (n_visible, n_hidden), (n_visible,), (n_hidden,)
    model = Parameters(*(torch.from_numpy(generator.normal(0, std, shape).astype(np.float32)) for shape in shapes))
    states = [torch.from_numpy((generator.random((n, n_visible)) < 0.3).astype(np.uint8)) for n in (n_data, n_chains)]
    return model, states


def gradient(name, precision, model, states):
    return gradient_of(select_engine(name, precision), model, states)


def gradient_of(engine, model, states):
    data, chains = states
    sampler = engine.bind(model, len(chains))
    sampler.v.copy_(chains)
    dtype = torch.float64 if engine.precision == "fp64" else torch.float32
    out = Gradient.empty(*model.weights.shape, dtype)
    return out, sampler.gradient(len(data)).compute(data, out)


def test_it_is_no_worse_than_float32():
    model, states = case(200, 200, 300, 100, std=0.5)
    exact, _ = gradient("reference", "fp64", model, states)
    fixed, single = (gradient("cpu", precision, model, states)[0] for precision in ("fixed", "fp32"))
    errors = [float((g.weights - exact.weights).abs().max()) for g in (fixed, single)]
    assert errors[0] < 2 * errors[1]


@pytest.mark.parametrize("std", [1e-6, 30.0])
def test_weights_of_any_size(std):
    model, states = case(50, 60, 90, 40, std=std)
    fast, _ = gradient("cpu", "fixed", model, states)
    exact, _ = gradient("reference", "fp64", model, states)
    largest = max(1.0, float(model.weights.abs().sum(0).max()))
    assert float((fast.weights - exact.weights).abs().max()) < 1e-7 + 2e-7 * largest


def test_it_is_the_defined_one_bit_for_bit():
    """Divisions included: a reciprocal that a processor estimates would show."""
    model, (data, chains) = case(200, 150, 90, 40, std=0.5)
    weights, hidden, mean = exact_gradient(data, chains, model.weights, model.hidden_bias)
    for engine in IntegerEngine.variants():
        out, found = gradient_of(engine, model, (data, chains))
        assert torch.equal(out.weights, weights)
        assert torch.equal(out.hidden_bias, hidden)
        assert torch.equal(found, mean)


@pytest.mark.skipif(not has_tiles(), reason="needs tiles of bytes (AMX)")
@pytest.mark.parametrize("shape", [(129, 130, 68, 20), (500, 300, 785, 33), (150, 600, 20, 260)])
def test_tiles_and_tables_give_the_same_gradient_bit_for_bit(shape):
    model, states = case(*shape)
    (one, mean), (other, other_mean) = (gradient_of(engine, model, states) for engine in IntegerEngine.variants())
    assert all(torch.equal(a, b) for a, b in zip(one.tensors, other.tensors, strict=True))
    assert torch.equal(mean, other_mean)


@pytest.mark.skipif(not has_tiles(), reason="needs tiles of bytes (AMX)")
def test_few_samples_whose_means_need_more_than_24_bits_go_to_the_tables():
    def bound(n_data, n_chains):
        return IntegerEngine().bind(case(1, 1, 20, 10)[0], n_chains).gradient(n_data)

    assert isinstance(bound(128, 500), TableGradient)
    assert isinstance(bound(500, 128), TableGradient)
    assert not isinstance(bound(129, 129), TableGradient)


def test_tables_serve_any_number_of_samples():
    assert isinstance(IntegerEngine(products=TABLES).bind(case(1, 1, 20, 10)[0], 500).gradient(500), TableGradient)
