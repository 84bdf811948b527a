"""What the processor's engines promise beyond `test_conformance`: no allocation, Python threads, caches, rounding."""

from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numba.core.caching
import pytest
import torch
from conformance import ENGINES, STREAM, exact_model, normal_model, started, swept

import rbmscape.kernels
from rbmscape.kernels import Parameters, select_engine
from rbmscape.kernels.numba import compile as compiling
from rbmscape.kernels.numba import threads as threads_module
from rbmscape.kernels.numba.compile import compile_pass, folder_hash

FUSED = {name: one for name, one in ENGINES.items() if one.name == "cpu"}


@pytest.fixture(params=[1, 2])
def threads(request):
    """Both versions of the passes, whatever torch was set to before."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_python_threads_share_the_kernels():
    """Four samplers at once, each in its own Python thread, end where they end one after the other."""
    engine, model = select_engine("cpu", "fp32"), exact_model(30, 40)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        alone = [swept(engine, model, 9, 30, first_chain=9 * number) for number in range(4)]
        with ThreadPoolExecutor(4) as pool:
            futures = [pool.submit(swept, engine, model, 9, 30, 1.0, 9 * number) for number in range(4)]
            together = [future.result(timeout=60) for future in futures]
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a[0], b[0]) for a, b in zip(alone, together, strict=True))


def test_kernels_compile_where_no_cache_can_be_written(monkeypatch):
    monkeypatch.setattr(numba.core.caching.CacheImpl, "_locator_classes", [])
    with pytest.raises(RuntimeError, match="cannot cache"):
        numba.njit(cache=True)(lambda x: x)
    assert compile_pass(parallel=False)(lambda x: x + 1)(1) == 2


@pytest.mark.parametrize("place", ["top.py", "folder/inside.py", "folder/deeper/inside.py"])
def test_the_hash_that_guards_compiled_passes_sees_every_edit(tmp_path, place):
    """Of a file in the folder itself or in any folder below it; of its text, its name, and whether it is there."""
    for name in ("top.py", "folder/inside.py", "folder/deeper/inside.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x = 1")
    before = folder_hash(tmp_path)
    assert before == folder_hash(tmp_path)
    (tmp_path / place).write_text("x = 2")
    edited = folder_hash(tmp_path)
    (tmp_path / place).rename((tmp_path / place).with_name("other.py"))
    renamed = folder_hash(tmp_path)
    (tmp_path / place).with_name("other.py").unlink()
    assert len({before, edited, renamed, folder_hash(tmp_path)}) == 4


def test_the_hash_covers_the_folder_of_all_kernels():
    """Every module that is compiled, or that compiles, is in it."""
    assert Path(rbmscape.kernels.__file__).parent == compiling.FOLDER
    names = {path.relative_to(compiling.FOLDER).as_posix() for path in compiling.FOLDER.rglob("*.py")}
    assert {"numba/philox.py", "llvm/units.py", "integers/passes.py", "floats/passes.py"} <= names


def _scaled(x):
    return FACTOR * x  # noqa: F821


def test_constants_replace_names_of_the_module_and_unknown_ones_are_refused(monkeypatch):
    monkeypatch.setitem(globals(), "FACTOR", 2)
    assert compile_pass(False, {"FACTOR": 3}, "three")(_scaled)(5) == 15
    with pytest.raises(AssertionError, match="FACTOT"):
        compile_pass(False, {"FACTOT": 3})(_scaled)


def test_float64_reference_agrees_with_float32_where_sums_are_exact():
    model = exact_model(30, 20)
    single, double = (swept(select_engine("reference", precision), model, 200, 1) for precision in ("fp32", "fp64"))
    assert all(torch.equal(a, b) for a, b in zip(single, double, strict=True))


def test_bf16_rounds_weights_but_not_biases():
    fine = 1 + 2.0**-12
    sampler = select_engine("cpu", "bf16").bind(Parameters(*(torch.full(n, fine) for n in ((1, 1), (1,), (1,)))), 1)
    assert sampler.weights.item() == 1.0
    exact = sampler.exact
    assert exact.visible_bias.item() == exact.hidden_bias.item() == exact.weights.item() == fine


def torch_allocations(sampler):
    """Bytes that torch allocates during five steps."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        sampler.sweep(STREAM, 3, 5)
    return sum(max(0, event.self_cpu_memory_usage) for event in profile.events())


def python_memory(sampler, first):
    """Bytes of Python by which 45 steps grow, and their peak, after five others."""
    tracemalloc.start()
    sampler.sweep(STREAM, first, 5)
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    sampler.sweep(STREAM, first + 5, 45)
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return after - before, peak - before


@pytest.mark.parametrize("engine", FUSED.values(), ids=FUSED)
def test_no_allocation_for_a_step(engine, threads):
    """After warming up, neither Python nor torch memory grows with the steps, and all buffers stay where they are."""
    sampler = started(engine, normal_model(300, 200), 64)
    tensors = [sampler.v, sampler.h]
    sampler.sweep(STREAM, 0, 3)
    pointers = [tensor.data_ptr() for tensor in tensors]
    assert torch_allocations(sampler) == 0
    grown, peaks = zip(*(python_memory(sampler, 50 * part + 8) for part in range(3)), strict=True)
    assert min(peaks) < 16_000  # a single pre-activation of 64 chains would be 25 kB or more
    assert min(grown) < 2_000  # the least of three, since threads of other tests may allocate meanwhile
    assert pointers == [tensor.data_ptr() for tensor in tensors]


def test_the_allocation_counter_sees_an_engine_that_allocates():
    sampler = started(select_engine("reference", "fp32"), normal_model(300, 200), 64)
    assert torch_allocations(sampler) > 5 * 64 * 500 * 4


def test_an_update_reuses_the_rounded_weights():
    model = normal_model(30, 20)
    sampler = select_engine("cpu", "bf16").bind(model, 1)
    place = sampler.weights.data_ptr()
    model.weights.mul_(2)
    sampler.update(model)
    assert sampler.weights.data_ptr() == place
    assert torch.equal(sampler.weights, model.weights.to(torch.bfloat16))


def test_tiny_passes_run_in_one_thread(threads, monkeypatch):
    monkeypatch.setattr(threads_module, "LEAST_WORK", 20_000.0)
    assert threads_module.thread_count(100, 2_000.0) == 1
    assert threads_module.thread_count(100, 1e6) == min(threads, threads_module.MAX_THREADS)
    assert threads_module.thread_count(1, 1e6) == 1
