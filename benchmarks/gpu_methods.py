"""What is built on the kernels, on the device: ladders, training in equilibrium, annealing, modes, whole runs."""

from __future__ import annotations

import contextlib
import functools
import importlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import torch

import rbmscape as rs
from rbmscape.kernels.cuda.engine import CudaEngine
from rbmscape.rng import Stream
from rbmscape.sampling.ladder import Ladder
from rbmscape.sampling.tempering import temper
from rbmscape.training.ladder.sweep import sweep
from rbmscape.training.trainer import Trainer

if TYPE_CHECKING:
    from benchmarks.gpu_pieces import Bench

__all__ = ["annealing", "equilibrium", "ladder", "many", "modes"]

RUNS = {"pcd": (10, 600), "rdm": (10, 600), "cd": (10, 600), "ptt": (2, 40)}
"""Runs of each method, and updates of each run, from the call to what is written."""


def model(bench: Bench, n_visible: int, n_hidden: int, std: float = 0.05) -> rs.RBM:
    """Random weights on the device."""
    return rs.RBM.random(n_visible, n_hidden, std=std, seed=0).to(device=bench.device)


def ladder(bench: Bench) -> None:
    """A round of all rungs at once, launch by launch, then rounds from end to end."""
    rungs, columns, n_visible, n_hidden, rounds = (3, 10, 12, 9, 16) if bench.dry else (40, 100, 784, 500, 64)
    annealer = CudaEngine("fixed", bench.device).annealer()
    models = tuple(model(bench, n_visible, n_hidden, 0.2 * rung / (rungs - 1)) for rung in range(rungs))
    first, *others = (annealer.bind(one) for one in models)
    batch = first.beside(others, columns)
    states = (torch.rand(rungs, columns, n_visible, generator=torch.Generator().manual_seed(2)) < 0.3).to(torch.uint8)
    batch.load(states.to(bench.device))
    streams = [Stream(rung, "bench") for rung in range(rungs)]
    looks = [(at, by) for at in range(rungs) for by in (at, at ^ 1) if by < rungs]
    size = {"rungs": rungs, "columns": columns, "hidden": n_hidden}
    for what, steps, seen in (("steps and free energies", 1, looks), ("steps", 1, []), ("free energies", 0, looks)):
        with bench.attempt(what=what):
            seconds = bench.seconds(functools.partial(batch.walk, streams, 0, steps, seen))
            bench.row(what=what, microseconds=1e6 * seconds, **size)
    with bench.attempt(what="rounds"):
        start = Ladder(models, tuple(float(rung) for rung in range(rungs)), states.to(bench.device))
        seconds = bench.seconds(lambda: temper(start, columns, rounds, Stream(3, "bench"), annealer), 3)
        bench.row(what="rounds of tempering", microseconds_a_round=1e6 * seconds / rounds, rounds=rounds, **size)


def equilibrium(bench: Bench) -> None:
    """Updates of method ptt from the first on, until its budget ends, and a sweep of the reservoirs that it left."""
    budget, most = (0.0, 1) if bench.dry else (15.0, 400)
    engine = CudaEngine("fixed", bench.device)
    for n_hidden in (6,) if bench.dry else (500,):
        with bench.attempt(hidden=n_hidden):
            recipe = {"n_chains": 20, "batch_size": 10, "reservoir": 20} if bench.dry else {"gibbs_steps": 10}
            config = rs.TrainingConfig(n_hidden=n_hidden, method="ptt", epochs=100, learning_rate=0.05, **recipe)
            began, trainer = time.perf_counter(), Trainer(dataset(bench), config, engine)
            bench.row(what="a ladder is begun", hidden=n_hidden, seconds=time.perf_counter() - began)
            began = time.perf_counter()
            while trainer.update < 1 or (trainer.update < most and time.perf_counter() - began < budget):
                trainer.step()
            bench.wait()
            seconds = (time.perf_counter() - began) / trainer.update
            bench.row(what="updates", hidden=n_hidden, updates=trainer.update, rungs=trainer.n_rungs,
                      milliseconds=1e3 * seconds)  # fmt: skip
            follower = trainer._follower
            assert follower is not None
            moved = functools.partial(
                sweep, follower.machine, follower.ladder, follower.effort.keep, Stream(5, "bench")
            )
            bench.row(what="sweep of the reservoirs", hidden=n_hidden, rungs=trainer.n_rungs,
                      microseconds=1e6 * bench.seconds(moved))  # fmt: skip


def annealing(bench: Bench) -> None:
    """`log_partition` from the call to the estimate: 1000 temperatures, 500 chains."""
    sizes = [(12, 9, 3, 16)] if bench.dry else [(784, 500, 1000, 500), (784, 3000, 1000, 500)]
    for n_visible, n_hidden, n_betas, n_chains in sizes:
        with bench.attempt(hidden=n_hidden):
            rbm, rounds = model(bench, n_visible, n_hidden), 3
            options = {"n_betas": n_betas, "n_chains": n_chains, "seed": 1}
            if bench.dry:
                options["engine"] = CudaEngine("fixed", bench.device)
            seconds = bench.seconds(functools.partial(rs.log_partition, rbm, "ais", **options), rounds)
            bench.row(what="log_partition", hidden=n_hidden, temperatures=n_betas, chains=n_chains, seconds=seconds)


def modes(bench: Bench) -> None:
    """Singular modes and coordinates of samples, and how far their singular values are from the processor's."""
    for n_visible, n_hidden, rows in [(12, 9, 20)] if bench.dry else [(784, 500, 10000), (784, 3000, 10000)]:
        with bench.attempt(hidden=n_hidden):
            rbm = model(bench, n_visible, n_hidden)
            here = rs.Modes.of(rbm)
            there = rs.Modes.of(rbm.to(device="cpu"))
            v = (torch.rand(rows, n_visible, generator=torch.Generator().manual_seed(3)) < 0.3).to(bench.device)
            h = (torch.rand(rows, n_hidden, generator=torch.Generator().manual_seed(4)) < 0.3).to(bench.device)
            off = float((here.singular_values.cpu() - there.singular_values).abs().max())
            bench.row(
                what="modes", hidden=n_hidden, milliseconds=1e3 * bench.seconds(lambda rbm=rbm: rs.Modes.of(rbm), 3),
                milliseconds_to_project=1e3 * bench.seconds(functools.partial(here.project, v, h), 3), rows=rows,
                largest_difference=off,
            )  # fmt: skip


def recipe_of(method: str, dry: bool) -> dict[str, Any]:
    """What is trained by `many`."""
    recipe: dict[str, Any] = {"n_hidden": 500, "gibbs_steps": 10, "averaging": 300, "epochs": 100}
    if dry:
        recipe = {"n_hidden": 6, "gibbs_steps": 2, "batch_size": 10, "n_chains": 20, "epochs": 1}
    return recipe | {"learning_rate": 0.05, "engine": "cuda", "method": method}


def many(bench: Bench) -> None:
    """`train_many` from the call to the finished runs, checkpoints included, and one of them alone, bit for bit.

    A dry run leaves out method ptt, whose first checkpoint takes the interpreter minutes; its updates are tried by
    `equilibrium`.
    """
    data = dataset(bench)
    for method, planned in RUNS.items():
        if bench.dry and method == "ptt":
            continue
        count, updates = (2, 1) if bench.dry else planned
        with bench.attempt(method=method), tempfile.TemporaryDirectory() as place, engines(bench):
            configs = [rs.TrainingConfig(**recipe_of(method, bench.dry), seed=seed) for seed in range(count)]
            places, began = [Path(place, str(k)) for k in range(count)], time.perf_counter()
            runs = rs.train_many(data, configs, places, until_update=updates, progress=False)
            seconds = time.perf_counter() - began
            alone = rs.train(data, configs[-1], Path(place, "alone"), until_update=updates, progress=False)
            bench.row(
                method=method, runs=count, updates=updates, seconds=seconds, updates_a_second=count * updates / seconds,
                checkpoints=len(alone.updates), different=different(alone, runs[-1]),
            )  # fmt: skip


def different(one: rs.Run, other: rs.Run) -> int:
    """Parameters in which the last models of two runs differ."""
    pair = one.load(averaged=False), other.load(averaged=False)
    names = "weights", "visible_bias", "hidden_bias"
    return sum(int((getattr(pair[0], name) != getattr(pair[1], name)).sum()) for name in names)


def dataset(bench: Bench) -> rs.Dataset:
    """MNIST; in a dry run small noise."""
    from benchmarks.gpu_pieces import data_for

    if not bench.dry:
        return rs.load_dataset("mnist")
    rows = data_for(bench)[:30, :12].numpy()
    return rs.Dataset.from_array(rows[:20], rows[20:])


@contextlib.contextmanager
def engines(bench: Bench) -> Iterator[None]:
    """In a dry run what trains is the interpreted engine, where a GPU is asked for."""
    if not bench.dry:
        yield
        return
    module = importlib.import_module("rbmscape.training.train")
    with mock.patch.object(module, "select_engine", return_value=CudaEngine("fixed", bench.device)):
        yield
