"""What is said, and chosen, where a GPU is missing, too old, too small or slower than the processor: by stand-ins."""

from __future__ import annotations

import json
import math
import time

import pytest
import torch

from rbmscape.errors import EngineError
from rbmscape.kernels import select, select_engine
from rbmscape.kernels.cuda import calibration, memory
from rbmscape.kernels.select import best_device

CUDA = torch.device("cuda")
GPU, PROCESSOR = object(), object()


def on_a_card(monkeypatch, capability=(9, 0), free=2**33, triton=True):
    """A machine with a card of which torch tells no more than this."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: capability)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "Card 1")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda *_: (free, 2**34))
    for name in ("memory_reserved", "memory_allocated"):
        monkeypatch.setattr(torch.cuda, name, lambda *_: 0)
    monkeypatch.setattr(select, "find_spec", lambda name: None if name == "triton" and not triton else object())


def test_a_card_that_is_too_old_is_named_with_the_cure(monkeypatch):
    on_a_card(monkeypatch, capability=(7, 5))
    with pytest.raises(EngineError, match=r"compute capability 8\.0 on, found 7\.5 \(Card 1\); use precision='auto'"):
        select_engine("cuda", "fixed", "cuda")
    assert select_engine("cuda", "fp32", "cuda").precision == "fp32"
    on_a_card(monkeypatch, capability=(8, 0))
    assert select_engine("cuda", "fixed", "cuda").precision == "fixed"


def test_a_missing_triton_is_named_with_the_cure(monkeypatch):
    on_a_card(monkeypatch, triton=False)
    with pytest.raises(EngineError, match=r"needs Triton, which is not installed; install rbmscape\[gpu\]"):
        select_engine("cuda", "fixed", "cuda")


def test_without_triton_plain_torch_never_wins_by_itself(monkeypatch):
    on_a_card(monkeypatch, triton=False)
    assert best_device() == torch.device("cpu")


def test_the_kernels_are_chosen_where_they_work(monkeypatch):
    on_a_card(monkeypatch)
    chosen = select_engine("cuda", device="cuda")
    assert (chosen.name, chosen.precision, chosen.device.type) == ("cuda", "fixed", "cuda")
    assert select_engine(device="cuda").precision == "fixed"


def test_too_little_memory_is_predicted_before_anything_is_asked_for(monkeypatch):
    on_a_card(monkeypatch, free=2**20)
    with pytest.raises(EngineError, match=r"500 chains of 3000 units need 0\.0 GiB .* free; take fewer chains"):
        memory.check_room(CUDA, memory.sampler_bytes(784, 3000, 500), "500 chains of 3000 units")
    with pytest.raises(EngineError, match="a lot"):
        memory.check_room(CUDA, int(0.95 * 2**20), "a lot, but for what the allocator wastes")
    memory.check_room(CUDA, int(0.85 * 2**20), "less")
    memory.check_room(torch.device("cpu"), 2**60, "a processor pages")


@pytest.fixture
def timers(tmp_path, monkeypatch):
    """Measurements by hand, and how often they are made."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    seconds, calls = {}, []

    def timed(engine, size, *_):
        calls.append((engine, size))
        found = seconds[engine, size]
        if found is None:
            raise RuntimeError("CUDA error: no kernel image")
        return found

    monkeypatch.setattr(calibration, "seconds_of_update", timed)
    return seconds, calls


def given(seconds, gpu, processor):
    for engine, times in ((GPU, gpu), (PROCESSOR, processor)):
        seconds.update({(engine, size): time for size, time in zip(calibration.SIZES, times, strict=True)})


def faster(size):
    return calibration.is_faster(lambda: GPU, lambda: PROCESSOR, size)


def test_the_faster_one_is_chosen_by_size_and_measured_once(timers):
    seconds, calls = timers
    given(seconds, (1e-4, 2e-4), (2e-5, 2e-3))
    assert not faster((64, 128, 64))
    assert faster((500, 784, 500))
    assert faster((4096, 784, 3000))
    assert not faster((10, 10, 10))
    assert len(calls) == 4
    assert json.loads(calibration.cache_file().read_text())


def test_a_gpu_that_loses_or_fails_is_never_chosen(timers, monkeypatch):
    seconds, _ = timers
    given(seconds, (3e-3, 3e-3), (2e-5, 2e-3))
    assert not faster((500, 784, 500))
    assert faster((4096, 784, 3000)), "a straight line goes on beyond what was measured"
    monkeypatch.setattr(calibration, "_key", lambda: "another driver")
    given(seconds, (1e-6, None), (2e-5, 2e-3))
    assert not faster((500, 784, 500))
    assert not faster((4096, 784, 3000))


@pytest.mark.parametrize(("share", "wins"), [(1.2, False), (1.0, False), (0.97, False), (0.9, True)])
def test_a_gpu_must_be_clearly_faster(timers, share, wins):
    """Both of one speed: whichever noise favours, nothing moves."""
    seconds, _ = timers
    given(seconds, (share * 1e-4, share * 2e-3), (1e-4, 2e-3))
    assert {faster(size) for size in (*calibration.SIZES, (4096, 784, 3000))} == {wins}


def test_a_measurement_holds_for_its_chips_driver_threads_and_versions(timers, monkeypatch):
    seconds, calls = timers
    given(seconds, (1e-5, 1e-5), (1e-4, 1e-4))
    facts = {"gpu": "Card 1", "processor": "Chip 1", "threads": 2}
    monkeypatch.setattr(calibration, "machine", lambda: facts)
    changes = [lambda name=name: facts.update({name: "another"}) for name in facts]
    changes += [
        lambda: monkeypatch.setattr(torch._C, "_cuda_getDriverVersion", lambda: 99, raising=False),
        lambda: monkeypatch.setattr(torch, "__version__", "99.0"),
    ]
    for number, change in enumerate([lambda: None, *changes], 1):
        change()
        assert faster((64, 128, 64))
        assert faster((64, 128, 64))
        assert len(calls) == 4 * number


class Slow:
    """Plain torch after a wait."""

    name, device = "slow", torch.device("cpu")

    def bind(self, *given):
        sampler = select_engine("reference").bind(*given)
        sweep = sampler.sweep
        sampler.sweep = lambda *how: (time.sleep(3e-3), sweep(*how))
        return sampler


def test_the_slower_of_two_engines_is_found_by_its_time(tmp_path, monkeypatch):
    """Measured, not told: plain torch against plain torch that waits 3 ms a sweep, whichever of them is the GPU."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(calibration, "SIZES", ((4, 6, 5), (5, 6, 5)))
    monkeypatch.setattr(calibration.seconds_of_update, "__defaults__", (0.02,))
    fast = select_engine("reference")
    for key, gpu, processor in (("a slow card", Slow(), fast), ("a fast one", fast, Slow())):
        monkeypatch.setattr(calibration, "_key", lambda key=key: key)
        assert calibration.is_faster(lambda gpu=gpu: gpu, lambda one=processor: one, (5, 6, 5)) is (gpu is fast)


@pytest.mark.parametrize(
    "content", ["", "[]", '{"a": {"gpu": [1.0]}}', '{"a": {"gpu": [-1.0, 2.0], "processor": null}}']
)
def test_a_damaged_cache_is_measured_again(timers, content):
    seconds, calls = timers
    given(seconds, (1e-5, 1e-5), (1e-4, 1e-4))
    calibration.cache_file().parent.mkdir(parents=True)
    calibration.cache_file().write_text(content)
    assert faster((64, 128, 64))
    assert len(calls) == 4


def test_a_cache_that_cannot_be_written_is_done_without(timers, tmp_path):
    seconds, calls = timers
    given(seconds, (1e-5, 1e-5), (1e-4, 1e-4))
    (tmp_path / "rbmscape").write_text("a file where a directory belongs")
    assert faster((64, 128, 64))
    assert faster((64, 128, 64))
    assert len(calls) == 8


def test_the_measured_update_is_a_whole_one():
    """The processor's own time, which the timers above stand in for."""
    assert 0.0 < calibration.seconds_of_update(select_engine("reference"), (4, 6, 5), seconds=0.0) < math.inf


def test_auto_goes_where_the_measurement_says(monkeypatch):
    on_a_card(monkeypatch)
    for wins in (True, False):
        monkeypatch.setattr(calibration, "is_faster", lambda *_, wins=wins: wins)
        assert best_device().type == ("cuda" if wins else "cpu")
        assert best_device("cpu").type == "cpu"
        assert best_device("auto", "fp32").type == "cpu"
