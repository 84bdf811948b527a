"""The gradient of both phases from integers is that of plain torch in float64, as closely as float32 allows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rbmscape.kernels import select_engine
from rbmscape.kernels.integers.avx512_gradient import TablePhases
from rbmscape.kernels.integers.avx512_product import TABLES
from rbmscape.kernels.integers.engine import FixedEngine
from rbmscape.kernels.llvm.amx import has_tiles
from rbmscape.kernels.reference.gradient import Gradient
from rbmscape.kernels.select import has_table_lookup
from rbmscape.model.rbm import PARAMETER_NAMES

pytestmark = pytest.mark.skipif(not has_table_lookup(), reason="needs a processor with AVX-512")
PARTS = PARAMETER_NAMES


def case(n_data, n_chains, n_visible, n_hidden, std=0.2, seed=0):
    generator = np.random.default_rng(seed)
    shapes = (n_visible, n_hidden), (n_visible,), (n_hidden,)
    arrays = [torch.from_numpy(generator.normal(0, std, shape).astype(np.float32)) for shape in shapes]
    states = [torch.from_numpy((generator.random((n, n_visible)) < 0.3).astype(np.uint8)) for n in (n_data, n_chains)]
    return arrays, states


def gradient(name, precision, arrays, states):
    return gradient_of(select_engine(name, precision), arrays, states)


def gradient_of(engine, arrays, states):
    n_visible, n_hidden = arrays[0].shape
    phases = engine.phases(*(len(part) for part in states), n_visible, n_hidden)
    out = Gradient.empty(n_visible, n_hidden, torch.float64 if engine.precision == "fp64" else torch.float32)
    mean = phases.gradient(engine.prepare(*arrays), *states, out)
    return out, mean


@pytest.mark.parametrize(
    "shape",
    [
        (1, 1, 1, 1),
        (3, 2, 7, 5),
        (16, 16, 20, 16),
        (37, 100, 131, 33),
        (500, 300, 200, 17),
        (129, 130, 68, 20),
        (700, 400, 785, 33),
    ],
)
def test_gradient_agrees_with_float64(shape):
    arrays, states = case(*shape)
    fast, fast_mean = gradient("cpu", "fixed", arrays, states)
    exact, exact_mean = gradient("reference", "fp64", arrays, states)
    for part in PARTS:
        assert float((getattr(fast, part) - getattr(exact, part)).abs().max()) < 3e-7
    assert float((fast_mean - exact_mean).abs().max()) < 3e-7


def test_it_is_no_worse_than_float32():
    arrays, states = case(200, 200, 300, 100, std=0.5)
    exact, _ = gradient("reference", "fp64", arrays, states)
    fixed, single = (gradient("cpu", precision, arrays, states)[0] for precision in ("fixed", "fp32"))
    errors = [float((g.weights - exact.weights).abs().max()) for g in (fixed, single)]
    assert errors[0] < 2 * errors[1]


@pytest.mark.parametrize("std", [1e-6, 30.0])
def test_weights_of_any_size(std):
    arrays, states = case(50, 60, 90, 40, std=std)
    fast, _ = gradient("cpu", "fixed", arrays, states)
    exact, _ = gradient("reference", "fp64", arrays, states)
    largest = max(1.0, float(arrays[0].abs().sum(0).max()))
    assert float((fast.weights - exact.weights).abs().max()) < 1e-7 + 2e-7 * largest


@pytest.mark.skipif(not has_tiles(), reason="needs tiles of bytes (AMX)")
@pytest.mark.parametrize("shape", [(129, 130, 68, 20), (500, 300, 785, 33), (150, 600, 20, 260)])
def test_tiles_and_tables_give_the_same_gradient_bit_for_bit(shape):
    arrays, states = case(*shape)
    (one, mean), (other, other_mean) = (gradient_of(FixedEngine(kind), arrays, states) for kind in (None, TABLES))
    assert all(torch.equal(getattr(one, part), getattr(other, part)) for part in PARTS)
    assert torch.equal(mean, other_mean)


@pytest.mark.skipif(not has_tiles(), reason="needs tiles of bytes (AMX)")
def test_few_samples_whose_means_need_more_than_24_bits_go_to_the_tables():
    engine = FixedEngine()
    assert isinstance(engine.phases(128, 500, 20, 10), TablePhases)
    assert isinstance(engine.phases(500, 128, 20, 10), TablePhases)
    assert not isinstance(engine.phases(129, 129, 20, 10), TablePhases)


@pytest.mark.parametrize("n_samples", [40, 200])
def test_threads_and_repeats_change_nothing(n_samples):
    arrays, states = case(n_samples, n_samples, 100, 50)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(gradient("cpu", "fixed", arrays, states)[0])
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(getattr(other, part), getattr(results[0], part)) for part in PARTS)


@pytest.mark.parametrize("n_samples", [11, 131])
def test_buffers_hold_nothing_of_the_update_before(n_samples):
    arrays, states = case(n_samples, n_samples + 1, 33, 20)
    engine = select_engine("cpu", "fixed")
    phases, params = engine.phases(n_samples, n_samples + 1, 33, 20), engine.prepare(*arrays)
    first, second, again = (Gradient.empty(33, 20, torch.float32) for _ in range(3))
    phases.gradient(params, *states, first)
    phases.gradient(params, *(1 - part for part in states), second)
    phases.gradient(params, *states, again)
    assert all(torch.equal(getattr(first, part), getattr(again, part)) for part in PARTS)
    assert not torch.equal(first.weights, second.weights)  # negative control: other states, other gradient
