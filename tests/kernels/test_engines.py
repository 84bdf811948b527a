"""Every engine draws what the plain torch reference draws; threads, splits and repeats change nothing."""

from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numba.core.caching
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rbmscape.kernels import select_engine
from rbmscape.kernels.floats.passes import compile_pass
from rbmscape.kernels.numba.threads import MAX_THREADS
from rbmscape.kernels.select import has_table_lookup
from rbmscape.rng import Stream

STREAM = Stream(2024, "engines")
NEEDS_TABLES = pytest.mark.skipif(not has_table_lookup(), reason="needs a processor with AVX-512")
PRECISIONS = ["fp32", "bf16", pytest.param("fixed", marks=NEEDS_TABLES)]
CPU_PRECISIONS = ["fp32", "bf16", *(["fixed"] if has_table_lookup() else [])]


def parameters(n_visible, n_hidden, std=0.3, seed=0):
    generator = np.random.default_rng(seed)
    shapes = (n_visible, n_hidden), (n_visible,), (n_hidden,)
    return [torch.from_numpy(generator.normal(0, std, shape).astype(np.float32)) for shape in shapes]


def exact_parameters(n_visible, n_hidden, seed=0):
    """Multiples of 1/16 below 1: sums of them are exact in float32 in any order, so engines must agree bit for bit."""
    generator = np.random.default_rng(seed)
    shapes = (n_visible, n_hidden), (n_visible,), (n_hidden,)
    return [torch.from_numpy((generator.integers(-15, 16, shape) / 16).astype(np.float32)) for shape in shapes]


def started(engine, n_chains, n_visible, n_hidden, first_chain=0):
    workspace = engine.workspace(n_chains, n_visible, n_hidden)
    workspace.v.copy_(STREAM.uniform(99, n_chains, n_visible, first_chain) < 0.5)
    return workspace


def states(engine, arrays, n_chains, n_steps, beta=1.0, first_chain=0):
    n_visible, n_hidden = arrays[0].shape
    params = engine.prepare(*arrays)
    workspace = started(engine, n_chains, n_visible, n_hidden, first_chain)
    engine.sweep(params, workspace, STREAM, 3, n_steps, beta, first_chain)
    return workspace.v.to(torch.uint8), workspace.h.to(torch.uint8)


@pytest.fixture(params=[1, 2])
def threads(request):
    """Both versions of the fused pass, whatever torch was set to before."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (3, 5, 2), (7, 784, 33), (4, 255, 257), (2, 256, 513), (9, 64, 1023), (33, 12, 24)]
)
@pytest.mark.parametrize("beta", [1.0, 0.37])
def test_fused_engine_draws_the_reference_states(precision, shape, beta, threads):
    """One half-step each, since a unit that differs would change all later ones; exact sums leave no excuse."""
    n_chains, n_visible, n_hidden = shape
    arrays = exact_parameters(n_visible, n_hidden)
    results = [states(select_engine(name, precision), arrays, n_chains, 1, beta) for name in ("reference", "cpu")]
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_disagreement_only_where_uniform_meets_probability(precision):
    """8 million draws over pre-activations in [-30, 30]: a difference needs |u - p| < 2e-7."""
    n_chains, n_units = 4000, 2000
    engine = select_engine("cpu", precision)
    arrays = [torch.zeros(1, n_units), torch.zeros(1), torch.linspace(-30, 30, n_units)]
    params = engine.prepare(*arrays)
    workspace = engine.workspace(n_chains, 1, n_units)
    engine.sample_hidden(params, workspace, STREAM, 5)
    probability = torch.sigmoid(arrays[2].double()).expand(n_chains, n_units)
    uniform = STREAM.uniform(5, n_chains, n_units).double()
    differs = (uniform < probability) != workspace.h.bool()
    assert not differs.any() or float((uniform - probability)[differs].abs().max()) < 2e-7
    assert differs.sum() <= 10


def test_saturated_units_never_flip():
    """At |x| of 40 and more, infinity included, the draw is certain; 0 · u and overflow must not leak through."""
    extremes = torch.tensor([40.0, 1e4, 3e38, float("inf"), -40.0, -1e4, -3e38, float("-inf")])
    for name in ("reference", "cpu"):
        engine = select_engine(name, "fp32")
        params = engine.prepare(torch.zeros(1, 8), torch.zeros(1), extremes)
        workspace = engine.workspace(20_000, 1, 8)
        engine.sample_hidden(params, workspace, STREAM, 0)
        assert torch.equal(workspace.h.float().mean(0), torch.tensor([1.0] * 4 + [0.0] * 4))


@given(
    cut=st.integers(1, 10),
    offset=st.integers(0, 2**20),
    precision=st.sampled_from(CPU_PRECISIONS),
    engine_name=st.sampled_from(["cpu", "reference"]),
)
def test_split_of_the_chains_changes_nothing(cut, offset, precision, engine_name):
    engine, arrays = select_engine(engine_name, precision), exact_parameters(20, 30)
    whole = states(engine, arrays, 11, 4, first_chain=offset)
    head = states(engine, arrays, cut, 4, first_chain=offset)
    tail = states(engine, arrays, 11 - cut, 4, first_chain=offset + cut)
    for part in range(2):
        assert torch.equal(whole[part], torch.cat([head[part], tail[part]]))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_threads_change_nothing(precision):
    before = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2, 3, 8):
            torch.set_num_threads(count)
            results.append(states(select_engine("cpu", precision), exact_parameters(50, 300), 37, 20))
    finally:
        torch.set_num_threads(before)
    for v, h in results[1:]:
        assert torch.equal(v, results[0][0])
        assert torch.equal(h, results[0][1])


def test_python_threads_share_the_kernels():
    """Four samplers at once, each in its own Python thread, end where they end one after the other."""
    engine, arrays = select_engine("cpu", "fp32"), exact_parameters(30, 40)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        alone = [states(engine, arrays, 9, 30, first_chain=9 * number) for number in range(4)]
        with ThreadPoolExecutor(4) as pool:
            futures = [pool.submit(states, engine, arrays, 9, 30, 1.0, 9 * number) for number in range(4)]
            together = [future.result(timeout=60) for future in futures]
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a[0], b[0]) for a, b in zip(alone, together, strict=True))


def test_kernels_compile_where_no_cache_can_be_written(monkeypatch):
    monkeypatch.setattr(numba.core.caching.CacheImpl, "_locator_classes", [])
    with pytest.raises(RuntimeError, match="cannot cache"):
        numba.njit(cache=True)(lambda x: x)
    assert compile_pass(parallel=False)(lambda x: x + 1)(1) == 2


def test_steps_can_be_interrupted():
    engine, arrays = select_engine("cpu", "fp32"), exact_parameters(20, 10)
    params = engine.prepare(*arrays)
    whole, parts = (started(engine, 6, 20, 10) for _ in range(2))
    engine.sweep(params, whole, STREAM, 0, 7)
    engine.sweep(params, parts, STREAM, 0, 3)
    engine.sweep(params, parts, STREAM, 3, 4)
    assert torch.equal(whole.v, parts.v)


def test_float64_reference_agrees_with_float32_where_sums_are_exact():
    arrays = exact_parameters(30, 20)
    single = states(select_engine("reference", "fp32"), arrays, 200, 1)
    double = states(select_engine("reference", "fp64"), arrays, 200, 1)
    assert all(torch.equal(a, b) for a, b in zip(single, double, strict=True))


def test_bf16_rounds_weights_but_not_biases():
    fine = 1 + 2.0**-12
    engine = select_engine("cpu", "bf16")
    params = engine.prepare(torch.full((1, 1), fine), torch.full((1,), fine), torch.full((1,), fine))
    assert params.weights.item() == 1.0
    assert params.visible_bias.item() == params.hidden_bias.item() == params.exact_weights.item() == fine


@pytest.mark.parametrize(
    ("name", "precision"), [("cpu", precision) for precision in CPU_PRECISIONS] + [("reference", "fp64")]
)
def test_hidden_probability_is_exact_whatever_the_sampling_precision(name, precision):
    engine = select_engine(name, precision)
    weights, visible_bias, hidden_bias = parameters(40, 25)
    params = engine.prepare(weights, visible_bias, hidden_bias)
    v = (STREAM.uniform(1, 12, 40) < 0.4).to(params.exact_weights.dtype)
    out = torch.empty(12, 25, dtype=v.dtype)
    engine.hidden_probability(params, v, out, beta=0.7)
    expected = torch.sigmoid(0.7 * (v.double() @ weights.double() + hidden_bias.double()))
    assert float((out.double() - expected).abs().max()) < 3e-7


def torch_allocations(engine, params, workspace):
    """Bytes that torch allocates during five steps."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        engine.sweep(params, workspace, STREAM, 3, 5)
    return sum(max(0, event.self_cpu_memory_usage) for event in profile.events())


@pytest.mark.parametrize("precision", PRECISIONS)
def test_no_allocation_for_a_step(precision, threads):
    """After warming up, neither Python nor torch memory grows with the steps, and all buffers stay where they are."""
    engine = select_engine("cpu", precision)
    params = engine.prepare(*parameters(300, 200))
    workspace = started(engine, 64, 300, 200)
    tensors = [workspace.v, workspace.h]
    engine.sweep(params, workspace, STREAM, 0, 3)
    pointers = [tensor.data_ptr() for tensor in tensors]
    assert torch_allocations(engine, params, workspace) == 0
    tracemalloc.start()
    engine.sweep(params, workspace, STREAM, 8, 5)
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    engine.sweep(params, workspace, STREAM, 13, 50)
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak - before < 16_000  # a single pre-activation of 64 chains would be 25 kB or more
    assert after - before < 2_000
    assert pointers == [tensor.data_ptr() for tensor in tensors]


def test_the_allocation_counter_sees_an_engine_that_allocates():
    engine = select_engine("reference", "fp32")
    workspace = started(engine, 64, 300, 200)
    assert torch_allocations(engine, engine.prepare(*parameters(300, 200)), workspace) > 5 * 64 * 500 * 4


def test_prepare_reuses_the_rounded_weights():
    engine = select_engine("cpu", "bf16")
    arrays = parameters(30, 20)
    first = engine.prepare(*arrays)
    arrays[0].mul_(2)
    second = engine.prepare(*arrays, out=first)
    assert second.weights.data_ptr() == first.weights.data_ptr()
    assert torch.equal(second.weights, arrays[0].to(torch.bfloat16))


def test_negative_control_a_wrong_draw_is_seen():
    """The comparisons above would notice one uniform that moved by one unit: shifting the draw changes states."""
    arrays = exact_parameters(50, 50)
    params = select_engine("cpu", "fp32").prepare(*arrays)
    engine = select_engine("cpu", "fp32")
    one, other = (started(engine, 8, 50, 50) for _ in range(2))
    engine.sample_hidden(params, one, STREAM, 0)
    engine.sample_hidden(params, other, STREAM, 1)
    assert not torch.equal(one.h, other.h)
    assert MAX_THREADS >= 1
