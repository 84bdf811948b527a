"""The yardsticks of the sampling benchmark count what they say."""

from __future__ import annotations

import time

import pytest
import torch

from rbmscape.machine import machine
from rbmscape.speed import SweepTiming, Timing, gemm_tasks, interleaved, sweep_benchmark


def test_rates_of_a_known_sweep():
    """100 chains, 20 x 30 units, 1 ms (best of three): 5000 draws and 120 000 weights applied in it."""
    sweep = SweepTiming(100, 20, 30, "cpu", "fp32", Timing((2e-3, 1e-3, 4e-3)), gemm_rate=4.8e8)
    assert sweep.timing.median == 2e-3
    assert sweep.flips_per_ns == pytest.approx(5000 / 1e6)
    assert sweep.connections_per_second == pytest.approx(1.2e8)
    assert sweep.gemm_fraction == pytest.approx(0.5)
    assert sweep.as_dict()["best_seconds"] == 1e-3


def test_tasks_take_turns_and_the_first_round_does_not_count():
    calls = []
    timed = interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=3)
    assert calls == ["a", "b"] * 4
    assert all(len(timing.seconds) == 3 for timing in timed.values())


def test_seconds_are_seconds_a_unit():
    """Ten naps of 5 ms in a call, counted as ten units."""
    timed = interleaved({"nap": lambda: time.sleep(0.05)}, rounds=2, units={"nap": 10})
    assert 0.005 <= timed["nap"].best < 0.05


def test_operations_of_a_product():
    tasks, operations = gemm_tasks(torch.float32, [(3, 4, 5)])
    assert operations["gemm 3x4x5"] == 2 * 3 * 4 * 5
    assert torch.equal(tasks["gemm 3x4x5"](), torch.full((3, 5), 4.0))


def test_benchmark_covers_shapes_and_peers(monkeypatch):
    monkeypatch.setattr("rbmscape.speed._LARGE_GEMMS", ())
    shapes = [(8, 20, 10), (4, 10, 30)]
    seen = []
    peers = {"idle": lambda shape: (lambda: seen.append(shape), 1)}
    sweeps, others = sweep_benchmark(shapes, "cpu", "fp32", rounds=2, n_steps=2, peers=peers)
    assert [(s.n_chains, s.n_visible, s.n_hidden) for s in sweeps] == shapes
    assert set(others["idle"]) == set(shapes)
    assert seen == [shapes[0]] * 3 + [shapes[1]] * 3
    assert sweeps[0].gemm_rate == sweeps[1].gemm_rate > 0
    assert all(sweep.gemm_fraction > 0 for sweep in sweeps)


def test_machine_is_described():
    where = machine()
    assert where["threads"] == torch.get_num_threads()
    assert where["processor"]
    assert where["torch"] == torch.__version__
