"""How fast sampling is on this machine, against what the machine can do at best.

A full Gibbs sweep of n_chains chains costs 4 N M n_chains floating-point operations in its two matrix products; the
yardstick is the best rate at which torch multiplies matrices in the same run.  Tasks are timed in turn, round after
round, so that a change in the machine's speed meets all of them; the best and the median of the rounds are reported.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from rbmscape.kernels.interface import Engine, Parameters
from rbmscape.kernels.select import has_fast_bf16, select_engine
from rbmscape.rng import Stream

__all__ = ["SHAPES", "SweepTiming", "Timing", "gemm_tasks", "interleaved", "sweep_benchmark", "sweep_task"]

SHAPES = ((500, 784, 500), (500, 784, 3000), (4096, 784, 500), (4096, 784, 3000))
_LARGE_GEMMS = ((2048, 2048, 2048), (4096, 2048, 2048))


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds per unit of work in each round."""

    seconds: tuple[float, ...]

    @property
    def best(self) -> float:
        """Fastest round: what the machine does undisturbed."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """Middle round."""
        return statistics.median(self.seconds)


@dataclass(frozen=True, slots=True)
class SweepTiming:
    """One full Gibbs sweep (h given v, v given h) of n_chains chains.

    Attributes
    ----------
    n_chains, n_visible, n_hidden, engine, precision : what was timed
    timing : seconds a sweep
    gemm_rate : best rate of a matrix product in the same run, operations a second, in the same precision or, where the
        engine multiplies nothing, in the machine's fastest
    """

    n_chains: int
    n_visible: int
    n_hidden: int
    engine: str
    precision: str
    timing: Timing
    gemm_rate: float

    @property
    def flips_per_ns(self) -> float:
        """Units drawn a nanosecond."""
        return self.n_chains * (self.n_visible + self.n_hidden) / self.timing.best * 1e-9

    @property
    def connections_per_second(self) -> float:
        """Weights applied a second: each of the N M weights twice a sweep and chain."""
        return 2.0 * self.n_chains * self.n_visible * self.n_hidden / self.timing.best

    @property
    def gemm_fraction(self) -> float:
        """Rate of 4 N M n_chains operations a sweep, relative to the best matrix product; tables can exceed it."""
        return 2.0 * self.connections_per_second / self.gemm_rate

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return {
            "n_chains": self.n_chains,
            "n_visible": self.n_visible,
            "n_hidden": self.n_hidden,
            "engine": self.engine,
            "precision": self.precision,
            "best_seconds": self.timing.best,
            "median_seconds": self.timing.median,
            "flips_per_ns": self.flips_per_ns,
            "connections_per_second": self.connections_per_second,
            "gemm_rate": self.gemm_rate,
            "gemm_fraction": self.gemm_fraction,
        }


def interleaved(
    tasks: Mapping[str, Callable[[], object]],
    rounds: int = 15,
    units: int | Mapping[str, int] = 1,
    device: torch.device | str = "cpu",
) -> dict[str, Timing]:
    """Time each task once a round, all in turn, after one round that is not counted.

    Parameters
    ----------
    tasks : what to call
    rounds : how often each is called
    units : units of work a call does, for all tasks or for each

    Returns
    -------
    Seconds a unit of each task
    """
    synchronize = torch.cuda.synchronize if torch.device(device).type == "cuda" else _nothing
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for number in range(rounds + 1):
        for name, task in tasks.items():
            synchronize()
            start = time.perf_counter()
            task()
            synchronize()
            elapsed = time.perf_counter() - start
            if number:
                seconds[name].append(elapsed / (units if isinstance(units, int) else units[name]))
    return {name: Timing(tuple(values)) for name, values in seconds.items()}


def _nothing() -> None:
    """Nothing to wait for on a processor."""


def sweep_task(engine: Engine, shape: tuple[int, int, int], n_steps: int, std: float = 0.1) -> Callable[[], None]:
    """n_steps sweeps of random chains of a model with Normal(0, std²) weights.

    Parameters
    ----------
    shape : (n_chains, n_visible, n_hidden)
    """
    n_chains, n_visible, n_hidden = shape
    generator = Stream(0, "bench").numpy()
    weights = torch.from_numpy(generator.normal(0.0, std, (n_visible, n_hidden))).float().to(engine.device)
    zeros = [torch.zeros(n, device=engine.device) for n in (n_visible, n_hidden)]
    sampler = engine.bind(Parameters(weights, *zeros), n_chains)
    stream = Stream(0, "bench/chains")
    sampler.v.copy_(stream.uniform(0, n_chains, n_visible, device=engine.device) < 0.5)

    def run() -> None:
        sampler.sweep(stream, 1, n_steps)

    return run


def gemm_tasks(
    dtype: torch.dtype, shapes: Sequence[tuple[int, int, int]], device: torch.device | str = "cpu"
) -> tuple[dict[str, Callable[[], object]], dict[str, int]]:
    """Bare matrix products: those of the sweeps and large ones; with the operations of each."""
    tasks: dict[str, Callable[[], object]] = {}
    operations: dict[str, int] = {}
    for rows, inner, columns in dict.fromkeys((*shapes, *_LARGE_GEMMS)):
        left = torch.ones(rows, inner, device=device).to(dtype)
        right = torch.ones(inner, columns, device=device).to(dtype)
        out = torch.empty(rows, columns, dtype=dtype, device=device)
        name = f"gemm {rows}x{inner}x{columns}"
        tasks[name] = partial(torch.mm, left, right, out=out)
        operations[name] = 2 * rows * inner * columns
    return tasks, operations


def _gemm_dtype(engine: Engine) -> torch.dtype:
    """Number format of the yardstick: the engine's own; for integers, that of the fastest product here."""
    if engine.precision != "fixed":
        return engine.state_dtype
    return torch.bfloat16 if has_fast_bf16(engine.device) else torch.float32


def sweep_benchmark(
    shapes: Sequence[tuple[int, int, int]] = SHAPES,
    engine: str = "auto",
    precision: str = "auto",
    device: torch.device | str = "cpu",
    rounds: int = 15,
    n_steps: int = 10,
    peers: Mapping[str, Callable[[tuple[int, int, int]], tuple[Callable[[], object], int]]] | None = None,
) -> tuple[list[SweepTiming], dict[str, dict[tuple[int, int, int], Timing]]]:
    """Time Gibbs sweeps, the machine's best matrix product, and other samplers, all in turn.

    Parameters
    ----------
    shapes : (n_chains, n_visible, n_hidden) of each experiment
    engine, precision, device : see `select_engine`
    rounds : timings of each task
    n_steps : sweeps a timing
    peers : for each other sampler a function from the shape to a task and the number of sweeps in it

    Returns
    -------
    one `SweepTiming` a shape, and for each peer its seconds a sweep by shape

    Raises
    ------
    EngineError : engine or precision is not available on this machine
    """
    chosen = select_engine(engine, precision, device)
    results: list[SweepTiming] = []
    others: dict[str, dict[tuple[int, int, int], Timing]] = {name: {} for name in peers or {}}
    gemms, operations = gemm_tasks(_gemm_dtype(chosen), shapes, device)
    best_rate = 0.0
    timings: list[tuple[tuple[int, int, int], Timing]] = []
    for shape in shapes:
        tasks: dict[str, Callable[[], object]] = {"sweep": sweep_task(chosen, shape, n_steps)}
        units = dict.fromkeys(gemms, 1) | {"sweep": n_steps}
        for name, make in (peers or {}).items():
            tasks[name], units[name] = make(shape)
        timed = interleaved(tasks | gemms, rounds, units, device)
        best_rate = max(best_rate, *(operations[name] / timed[name].best for name in gemms))
        timings.append((shape, timed["sweep"]))
        for name, times in others.items():
            times[shape] = timed[name]
    for shape, timing in timings:
        results.append(SweepTiming(*shape, chosen.name, chosen.precision, timing, best_rate))
    return results, others
