"""What `benchmarks.gpu` measures, a function a piece; each row goes to disk when it is known."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks import gpu_exact, gpu_methods
from benchmarks.gpu import rows_of, source_mark, write_rows
from rbmscape.kernels.cuda import launch
from rbmscape.kernels.cuda.launch import Tiles
from rbmscape.kernels.cuda.models import Models, Shape, States, numbers_of
from rbmscape.kernels.cuda.update import Rule, Update
from rbmscape.machine import machine
from rbmscape.rng import Stream

PAPER_SIZES = (500, 784, 1200, 3000)
PAPER_UPDATES = 100 * 120
REPLICAS = 5
N_VISIBLE = 784


@dataclass
class Bench:
    """Where rows go, and how large everything is."""

    path: Path
    dry: bool
    piece: str

    @property
    def device(self) -> torch.device:
        """Where everything is measured."""
        return torch.device("cpu" if self.dry else "cuda")

    def row(self, **values: Any) -> None:
        """Print a row and add it to the file."""
        found = {"piece": self.piece, "at": datetime.now(UTC).isoformat(timespec="seconds")} | values
        write_rows(self.path, [*rows_of(self.path), found])
        shown = (f"{key} {f'{value:.4g}' if isinstance(value, float) else value}" for key, value in values.items())
        print(f"[{self.piece}] " + ", ".join(shown), flush=True)

    @contextlib.contextmanager
    def attempt(self, **what: Any) -> Iterator[None]:
        """Write down that something failed, and go on."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - what fails on a device costs its own row alone
            self.row(**what, error=f"{type(error).__name__}: {str(error)[:300]}")

    def wait(self) -> None:
        """For all that is queued."""
        if not self.dry:
            torch.cuda.synchronize()

    def seconds(self, task: Callable[[], object], rounds: int = 7) -> float:
        """Median time of a task, by device events, after one time that does not count; in a dry run of one time."""
        began = time.perf_counter()
        task()
        self.wait()
        if self.dry:
            return time.perf_counter() - began
        times = []
        for _ in range(rounds):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            task()
            end.record()
            torch.cuda.synchronize()
            times.append(start.elapsed_time(end) / 1e3)
        return statistics.median(times)


def bound(bench: Bench, replicas: int, n_hidden: int, n_chains: int, std: float = 0.05) -> tuple[Models, States]:
    """Random models and chains."""
    n_visible = 40 if bench.dry else N_VISIBLE
    shape = Shape(replicas, n_visible, n_hidden)
    generator = torch.Generator().manual_seed(0)
    weights = std * torch.randn(replicas, n_visible, n_hidden, generator=generator)
    models, states = Models(shape, bench.device), States(shape, n_chains, bench.device)
    biases = (torch.zeros(replicas, n, device=bench.device) for n in (n_visible, n_hidden))
    models.round(weights.to(bench.device), *biases)
    states.visible.copy_(torch.rand(replicas, n_chains, n_visible, generator=generator) < 0.3)
    rows = [numbers_of(Stream(r, "bench"), 0) for r in range(replicas)]
    states.numbers.copy_(torch.tensor(rows))
    return models, states


def device(bench: Bench) -> None:
    import triton

    facts = machine() | {"triton": triton.__version__, "numpy": np.__version__, "of_source": source_mark()}
    if not bench.dry:
        properties = torch.cuda.get_device_properties(0)
        facts |= {"gpu": properties.name, "multiprocessors": properties.multi_processor_count}
        facts |= {"memory": properties.total_memory, "cuda": torch.version.cuda}
    bench.row(**facts)


CASES: dict[str, tuple[int, int, int]] = {
    "one 500": (1, 500, 500),
    "one 3000": (1, 3000, 500),
    "ten 500": (10, 500, 500),
    "ten 3000": (10, 3000, 500),
    "many 3000": (1, 3000, 4096),
}
"""Models, hidden units, chains of each."""
_SMALL = Tiles()
_LARGE = Tiles(chains=128, hidden=128, visible=128, depth=64, warps=8, stages=3)


def candidates(name: str) -> list[Tiles]:
    """Tiles worth a try for one of the cases; zero members: a launch a half-step."""
    middle = Tiles(chains=128, hidden=64, visible=64, depth=64, warps=4, stages=3)
    if name.startswith("one"):
        square = replace(_SMALL, visible=64, hidden=64, depth=128, stages=3)
        return [
            replace(_SMALL, members=0),
            replace(_SMALL, depth=128, stages=3, members=0),
            replace(_SMALL, members=32),
            replace(square, members=0),
            replace(square, members=16),
            replace(middle, members=0),
        ]
    members = {"many 3000": 8, "ten 3000": 6, "ten 500": 6}[name]
    return [
        replace(middle, members=0),
        replace(middle, members=members),
        replace(middle, stages=4, members=0),
        replace(middle, depth=128, members=0),
        replace(middle, visible=32, members=0),
        replace(middle, visible=32, members=members),
        replace(middle, members=9),
        replace(middle, chains=64, members=0),
        replace(middle, chains=64, members=3),
        replace(middle, chains=64, depth=128, members=0),
        replace(_LARGE, members=0),
    ]


def size_of(name: str, dry: bool) -> tuple[int, int, int]:
    """Models, hidden units and chains of a case."""
    return (2, 24, 30) if dry else CASES[name]


def tried(name: str, dry: bool) -> list[Tiles]:
    """Tiles that are tried; the interpreter has one program at a time, so that none can meet."""
    return [replace(Tiles(), members=members) for members in (0, 1)] if dry else candidates(name)


def _compile(job: tuple[str, Tiles, bool]) -> str:
    """Run one step, in a process of its own."""
    name, tiles, dry = job
    try:
        models, states = bound(Bench(Path(), dry, ""), *size_of(name, dry))
        launch.sweep(models, states, 1, tiles)
        if not dry:
            torch.cuda.synchronize()
    except Exception as error:  # noqa: BLE001 - the sweep says the same later, in its row
        return f"{name} {tiles}: {error}"
    return ""


def compile_all(bench: Bench) -> None:
    kinds = {tiles: name for name in CASES for tiles in tried(name, bench.dry)}
    jobs = [(name, tiles, bench.dry) for tiles, name in kinds.items()]
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        pool = None if bench.dry else stack.enter_context(ProcessPoolExecutor(12, get_context("spawn")))
        failed = [text[:200] for text in (pool.map if pool else map)(_compile, jobs) if text]
    bench.row(kernels=len(jobs), seconds=time.monotonic() - began, failed=failed)


def ceiling(bench: Bench) -> None:
    size, count, device = 64 if bench.dry else 8192, 2**10 if bench.dry else 2**30, bench.device
    generator = torch.Generator(device).manual_seed(0)
    how = {"dtype": torch.int8, "device": device, "generator": generator}
    left, right = (torch.randint(-128, 127, (size, size), **how) for _ in range(2))
    right = right.T.contiguous().T
    seconds = bench.seconds(lambda: torch._int_mm(left, right))
    bench.row(what=f"int8 product {size}", tops=2 * size**3 / seconds / 1e12)
    data = torch.zeros(count, dtype=torch.int8, device=device)
    other = torch.empty_like(data)
    seconds = bench.seconds(lambda: other.copy_(data))
    bench.row(what=f"copy of {count} bytes", terabytes_a_second=2 * count / seconds / 1e12)


def int8_ceiling(bench: Bench) -> float:
    """Operations a second that `ceiling` found, or 0."""
    return max([1e12 * row["tops"] for row in rows_of(bench.path) if "tops" in row], default=0.0)


def _sweep_time(bench: Bench, models: Models, states: States, tiles: Tiles) -> float:
    steps = 2 if bench.dry else 100
    if tiles.members or bench.dry:
        return bench.seconds(lambda: launch.sweep(models, states, steps, tiles)) / steps
    launch.sweep(models, states, steps, tiles)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        launch.sweep(models, states, steps, tiles)
    return bench.seconds(graph.replay) / steps


def sweep(bench: Bench) -> None:
    top = int8_ceiling(bench)
    for name in CASES:
        models, states = bound(bench, *size_of(name, bench.dry))
        best: tuple[float, Tiles] | None = None
        for tiles in tried(name, bench.dry):
            with bench.attempt(case=name, tiles=asdict(tiles)):
                seconds = _sweep_time(bench, models, states, tiles)
                bench.row(case=name, microseconds=1e6 * seconds, tiles=asdict(tiles))
                best = min(best or (seconds, tiles), (seconds, tiles), key=lambda pair: pair[0])
        if best is None:
            continue
        units = models.shape.models * states.n_chains * (models.shape.visible + models.shape.hidden)
        pairs = models.shape.models * states.n_chains * models.shape.visible * models.shape.hidden
        bench.row(
            case=name, best_microseconds=1e6 * best[0], a_replica=1e6 * best[0] / models.shape.models,
            flips_a_nanosecond=units / best[0] / 1e9, couplings_a_nanosecond=2 * pairs / best[0] / 1e9,
            share_of_ceiling=8 * pairs / best[0] / top if top else None, tiles=asdict(best[1]),
        )  # fmt: skip


def data_for(bench: Bench) -> Tensor:
    """MNIST, or noise where it cannot be had."""
    if bench.dry:
        return (torch.rand(120, 40, generator=torch.Generator().manual_seed(1)) < 0.3).to(torch.uint8)
    with contextlib.suppress(ImportError):
        import rbmscape

        return torch.tensor(rbmscape.load_dataset("mnist").train)
    return (torch.rand(60000, N_VISIBLE) < 0.13).to(torch.uint8)


def _order(n: int, replica: int) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(replica))


def make_update(
    bench: Bench, replicas: int, n_hidden: int, gibbs_steps: int, adam: bool = False, method: str = "pcd"
) -> Update:
    """R models at their beginning, by the recommended recipe or by the paper's."""
    train = data_for(bench)
    batch, n_visible = (20 if bench.dry else 500), train.shape[1]
    longest = 0.0 if adam else 0.25 * (n_visible * n_hidden * 2 / batch) ** 0.5
    optimizer = "adam" if adam else "sgd"
    how = {"centered": not adam, "averaged": not adam, "optimizer": optimizer, "longest": longest}
    rule = Rule(batch, batch, gibbs_steps, method=method, **how)
    schedule = torch.tensor([1e-3 if adam else 0.05, 1.0, 0.003]).expand(replicas, 20000, 3)
    update = Update(Shape(replicas, n_visible, n_hidden), train, rule, schedule, bench.device)
    weights, visible, _ = update.views(update.parameters)
    noise = torch.randn(weights.shape, generator=torch.Generator().manual_seed(0))
    weights.copy_(0.01 * noise)
    visible.copy_(torch.logit((train.float().mean(0) + 1e-3).clamp(max=0.99)))
    update.average.copy_(update.parameters)
    rows = [numbers_of(Stream(r, "bench"), 0) for r in range(replicas)]
    update.states.numbers.copy_(torch.tensor(rows))
    update.states.visible.copy_(train[:batch])
    update.phases.order.copy_(torch.stack([_order(len(train), r) for r in range(replicas)]))
    update.prepare()
    return update


def _update_time(bench: Bench, update: Update, n_updates: int) -> float:
    def task() -> None:
        update.phases.clock.zero_()
        update.run(n_updates)

    return bench.seconds(task, 5) / n_updates


def _by_kernel(bench: Bench, update: Update) -> dict[str, float]:
    """Microseconds of each kernel in one update; on a processor of each operation of torch."""
    from torch.profiler import ProfilerActivity, profile

    update.queue()
    bench.wait()
    with profile(activities=[ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (not bench.dry)) as profiler:
        update.queue()
        bench.wait()
    time_of = "self_cpu_time_total" if bench.dry else "self_device_time_total"
    found = {event.key: float(getattr(event, time_of)) for event in profiler.key_averages()}
    return {name[:40]: round(value, 1) for name, value in sorted(found.items(), key=lambda one: -one[1]) if value > 0}


def train(bench: Bench) -> None:
    cases = [(1, 500, "pcd"), (10, 500, "pcd"), (1, 3000, "pcd"), (10, 3000, "pcd"), (1, 500, "rdm"), (10, 500, "rdm")]
    for replicas, n_hidden, method in [(2, 24, "pcd"), (1, 24, "rdm")] if bench.dry else cases:
        with bench.attempt(method=method, replicas=replicas, hidden=n_hidden):
            update = make_update(bench, replicas, n_hidden, 2 if bench.dry else 10, method=method)
            seconds = _update_time(bench, update, 2 if bench.dry else 100)
            bench.row(
                method=method, replicas=replicas, hidden=n_hidden, updates_a_second=replicas / seconds,
                microseconds=1e6 * seconds, diverged=int((update.first_bad < 2**31 - 1).sum()),
                tiles=asdict(update.tiles),
            )  # fmt: skip
            bench.row(method=method, replicas=replicas, hidden=n_hidden, kernels=_by_kernel(bench, update))


def rbms(bench: Bench) -> None:
    """rbms draws from the global generators, which are left as they were."""
    kept = np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng():
        torch.manual_seed(0)
        _rbms(bench)
    np.random.set_state(kept)  # noqa: NPY002


def _rbms(bench: Bench) -> None:
    from rbms.bernoulli_bernoulli.classes import BBRBM
    from rbms.training.pcd import fit_batch_pcd

    device, n_hidden, batch = bench.device, *((24, 20) if bench.dry else (500, 500))
    data = data_for(bench).float().to(device)
    ones = torch.ones(len(data), device=device)
    frequencies = data.mean(0).clamp(1e-4, 1 - 1e-4)
    weights = 0.01 * torch.randn(data.shape[1], n_hidden, generator=torch.Generator().manual_seed(0))
    model = BBRBM(weights.to(device), torch.logit(frequencies), torch.zeros(n_hidden, device=device))
    model.init_grad()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, maximize=True)
    chains = model.init_chains(batch)

    def updates() -> None:
        nonlocal chains
        with torch.no_grad():
            for _ in range(20):
                rows = torch.randint(len(data), (batch,), device=device)
                optimizer.zero_grad(set_to_none=False)
                chains, _ = fit_batch_pcd((data[rows], ones[rows]), chains, model, 10, 1.0)
                optimizer.step()

    updates()
    bench.row(what=f"rbms 0.5.0, PCD-10, M = {n_hidden}", updates_a_second=20 / bench.seconds(updates))
    sampled = model.init_chains(batch)
    seconds = bench.seconds(lambda: model.sample_state(sampled, 100))
    bench.row(what=f"rbms 0.5.0, sweep, M = {n_hidden}", microseconds=1e4 * seconds)


def paper(bench: Bench) -> None:
    total = 0.0
    for n_hidden in (24,) if bench.dry else PAPER_SIZES:
        with bench.attempt(hidden=n_hidden):
            update = make_update(bench, 2 if bench.dry else REPLICAS, n_hidden, 3 if bench.dry else 500, adam=True)
            seconds = _update_time(bench, update, 1 if bench.dry else 5)
            total += seconds * PAPER_UPDATES
            bench.row(hidden=n_hidden, replicas=REPLICAS, update_milliseconds=1e3 * seconds,
                      whole_minutes=seconds * PAPER_UPDATES / 60)  # fmt: skip
    bench.row(what="paper profile, extrapolated", minutes=total / 60)


def _joules(bench: Bench) -> Callable[[], float]:
    """The driver's counter; in a dry run one watt."""
    if bench.dry:
        return time.perf_counter
    import pynvml

    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    return lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3


def energy(bench: Bench) -> None:
    counter, long, at_once = _joules(bench), *((0.0, 1) if bench.dry else (3.0, 500))
    for name in ("one 500", "many 3000", "ten 500"):
        with bench.attempt(case=name):
            models, states = bound(bench, *size_of(name, bench.dry))
            launch.sweep(models, states, 1)
            bench.wait()
            before, began, steps = counter(), time.perf_counter(), 0
            while steps == 0 or time.perf_counter() - began < long:
                launch.sweep(models, states, at_once)
                bench.wait()
                steps += at_once
            seconds, joules = time.perf_counter() - began, counter() - before
            units = models.shape.models * states.n_chains * (models.shape.visible + models.shape.hidden)
            bench.row(case=name, watts=joules / seconds, sweep_microseconds=1e6 * seconds / steps,
                      nanojoules_a_flip=1e9 * joules / steps / units)  # fmt: skip


def _pytest(bench: Bench, *arguments: str) -> None:
    """Run tests; their log is written as they go, so that it is there also where time ends them."""
    how = ["-v", "-p", "no:cacheprovider", "-p", "no:benchmark", "--tb=short"]
    began, log = time.monotonic(), bench.path.parent / f"{bench.piece}.log"
    with log.open("w", encoding="utf-8") as out:
        result = subprocess.run([sys.executable, "-m", "pytest", *how, *arguments], check=False, stdout=out, stderr=out)
    lines = log.read_text(encoding="utf-8").splitlines()
    named = [line[:300] for line in lines if line.startswith(("FAILED", "ERROR"))]
    bench.row(tests=list(arguments), code=result.returncode, summary=lines[-1:], failed=named,
              seconds=time.monotonic() - began)  # fmt: skip


def tests(bench: Bench) -> None:
    trainings = "tests/training/test_many.py"  # whole trainings there and on the processor, bit for bit
    kernels = [f"tests/kernels/test_{name}.py" for name in ("cuda", "conformance", "rungs")]
    wanted = "tests/gpu", *kernels, trainings, "-k", "gpu or cuda or test_many"
    _pytest(bench, *wanted, *(("--collect-only", "-q", "-n", "0") if bench.dry else ("-n", "8")))


def suite(bench: Bench) -> None:
    _pytest(bench, *(("--collect-only", "-q", "-n", "0", "tests/gpu") if bench.dry else ("-n", "16", "tests")))


PIECES: dict[str, Callable[[Bench], None]] = {
    "device": device, "exact": gpu_exact.compare, "compile": compile_all, "tests": tests, "train": train, "rbms": rbms,
    "many": gpu_methods.many, "paper": paper, "paths": gpu_exact.time_paths, "annealing": gpu_methods.annealing,
    "ladder": gpu_methods.ladder, "equilibrium": gpu_methods.equilibrium, "modes": gpu_methods.modes,
    "ceiling": ceiling, "sweep": sweep, "energy": energy, "suite": suite,
}  # fmt: skip


def run(piece: str, path: Path, dry: bool) -> None:
    """One piece, in this process."""
    PIECES[piece](Bench(path, dry, piece))
