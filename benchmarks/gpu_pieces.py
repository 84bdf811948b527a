"""What `benchmarks.gpu` measures, a function a piece; each row goes to disk when it is known."""

from __future__ import annotations

import contextlib
import json
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
        found = json.loads(self.path.read_text()) if self.path.is_file() else []
        found.append({"piece": self.piece, "at": datetime.now(UTC).isoformat(timespec="seconds")} | values)
        self.path.write_text(json.dumps(found, indent=1) + "\n")
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
        """Median time of a task, by device events."""
        task()
        self.wait()
        if self.dry:
            began = time.perf_counter()
            task()
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

    facts = machine() | {"triton": triton.__version__, "numpy": np.__version__}
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


def _compile(job: tuple[str, Tiles, bool]) -> str:
    """Run one step, in a process of its own."""
    name, tiles, dry = job
    try:
        models, states = bound(Bench(Path(), dry, ""), *CASES[name])
        launch.sweep(models, states, 1, tiles)
        if not dry:
            torch.cuda.synchronize()
    except Exception as error:  # noqa: BLE001 - the sweep says the same later, in its row
        return f"{name} {tiles}: {error}"
    return ""


def compile_all(bench: Bench) -> None:
    if bench.dry:
        return
    kinds = {tiles: name for name in CASES for tiles in candidates(name)}
    jobs = [(name, tiles, bench.dry) for tiles, name in kinds.items()]
    began = time.monotonic()
    with ProcessPoolExecutor(12, get_context("spawn")) as pool:
        failed = [text[:200] for text in pool.map(_compile, jobs) if text]
    bench.row(kernels=len(jobs), seconds=time.monotonic() - began, failed=failed)


def ceiling(bench: Bench) -> None:
    if bench.dry:
        return
    size = 8192
    left, right = (torch.randint(-128, 127, (size, size), dtype=torch.int8, device="cuda") for _ in range(2))
    right = right.T.contiguous().T
    seconds = bench.seconds(lambda: torch._int_mm(left, right))
    bench.row(what="int8 product 8192", tops=2 * size**3 / seconds / 1e12)
    data = torch.zeros(2**30, dtype=torch.int8, device="cuda")
    other = torch.empty_like(data)
    seconds = bench.seconds(lambda: other.copy_(data))
    bench.row(what="copy of 1 GiB", terabytes_a_second=2 * 2**30 / seconds / 1e12)


def int8_ceiling(bench: Bench) -> float:
    """Operations a second that `ceiling` found, or 0."""
    rows = json.loads(bench.path.read_text()) if bench.path.is_file() else []
    return max([1e12 * row["tops"] for row in rows if "tops" in row], default=0.0)


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
    for name, (replicas, hidden, chains) in CASES.items():
        size = (2, 24, 30) if bench.dry else (replicas, hidden, chains)
        models, states = bound(bench, *size)
        best: tuple[float, Tiles] | None = None
        for tiles in [replace(Tiles(), members=m) for m in (0, 1)] if bench.dry else candidates(name):
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


def make_update(bench: Bench, replicas: int, n_hidden: int, gibbs_steps: int, adam: bool = False) -> Update:
    """R models at their beginning, by the recommended recipe or by the paper's."""
    train = data_for(bench)
    batch, n_visible = (20 if bench.dry else 500), train.shape[1]
    longest = 0.0 if adam else 0.25 * (n_visible * n_hidden * 2 / batch) ** 0.5
    optimizer = "adam" if adam else "sgd"
    rule = Rule(batch, batch, gibbs_steps, centered=not adam, averaged=not adam, optimizer=optimizer, longest=longest)
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
    """Microseconds of each kernel in one update."""
    from torch.profiler import ProfilerActivity, profile

    update.queue()
    bench.wait()
    with profile(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU]) as profiler:
        update.queue()
        bench.wait()
    found = {event.key: event.self_device_time_total for event in profiler.key_averages()}
    return {name[:40]: round(value, 1) for name, value in sorted(found.items(), key=lambda one: -one[1]) if value > 0}


def train(bench: Bench) -> None:
    cases: list[tuple[int, int, dict[str, Any]]] = [(1, 500, {}), (10, 500, {}), (1, 3000, {}), (10, 3000, {})]
    for replicas, n_hidden, changes in [(2, 24, {})] if bench.dry else cases:
        with bench.attempt(replicas=replicas, hidden=n_hidden, changes=changes):
            update = make_update(bench, replicas, n_hidden, 2 if bench.dry else 10)
            update.tiles = replace(update.tiles, **changes)
            seconds = _update_time(bench, update, 2 if bench.dry else 100)
            bench.row(
                replicas=replicas, hidden=n_hidden, updates_a_second=replicas / seconds, microseconds=1e6 * seconds,
                diverged=int((update.first_bad < 2**31 - 1).sum()), tiles=asdict(update.tiles),
            )  # fmt: skip
            if not bench.dry:
                bench.row(replicas=replicas, hidden=n_hidden, kernels=_by_kernel(bench, update))


def rbms(bench: Bench) -> None:
    if bench.dry:
        return
    from rbms.bernoulli_bernoulli.classes import BBRBM
    from rbms.training.pcd import fit_batch_pcd

    data = data_for(bench).float().cuda()
    ones = torch.ones(len(data), device="cuda")
    frequencies = data.mean(0).clamp(1e-4, 1 - 1e-4)
    model = BBRBM(0.01 * torch.randn(N_VISIBLE, 500).cuda(), torch.logit(frequencies), torch.zeros(500).cuda())
    model.init_grad()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, maximize=True)
    chains = model.init_chains(500)

    def updates() -> None:
        nonlocal chains
        with torch.no_grad():
            for _ in range(20):
                rows = torch.randint(len(data), (500,), device="cuda")
                optimizer.zero_grad(set_to_none=False)
                chains, _ = fit_batch_pcd((data[rows], ones[rows]), chains, model, 10, 1.0)
                optimizer.step()

    updates()
    bench.row(what="rbms 0.5.0, PCD-10, M = 500", updates_a_second=20 / bench.seconds(updates))
    sampled = model.init_chains(500)
    seconds = bench.seconds(lambda: model.sample_state(sampled, 100))
    bench.row(what="rbms 0.5.0, sweep, M = 500", microseconds=1e4 * seconds)


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


def energy(bench: Bench) -> None:
    if bench.dry:
        return
    import pynvml

    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    for name in ("one 500", "many 3000", "ten 500"):
        with bench.attempt(case=name):
            models, states = bound(bench, *CASES[name])
            launch.sweep(models, states, 1)
            bench.wait()
            before, began, steps = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle), time.perf_counter(), 0
            while time.perf_counter() - began < 3.0:
                launch.sweep(models, states, 500)
                bench.wait()
                steps += 500
            seconds = time.perf_counter() - began
            joules = (pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) - before) / 1e3
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
    wanted = "tests/gpu", "tests/kernels/test_cuda.py", "tests/kernels/test_conformance.py", trainings
    _pytest(bench, *wanted, *(("-k", "ties") if bench.dry else ("-k", "gpu or cuda", "-n", "8")))


def suite(bench: Bench) -> None:
    if not bench.dry:
        _pytest(bench, "-n", "16", "tests")


def exact(bench: Bench) -> None:
    from benchmarks.gpu_exact import compare

    compare(bench)


def paths(bench: Bench) -> None:
    from benchmarks.gpu_exact import time_paths

    time_paths(bench)


PIECES: dict[str, Callable[[Bench], None]] = {
    "device": device, "exact": exact, "compile": compile_all, "ceiling": ceiling, "sweep": sweep, "train": train,
    "rbms": rbms, "paper": paper, "paths": paths, "energy": energy, "tests": tests, "suite": suite,
}  # fmt: skip


def run(piece: str, path: Path, dry: bool) -> None:
    """One piece, in this process."""
    PIECES[piece](Bench(path, dry, piece))
