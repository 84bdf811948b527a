"""Proof that a change of structure changed nothing: hashes of results, and timings of two trees taken in turns.

``python -m benchmarks.golden record FILE [--study DIRECTORY]``  hashes of this tree's results
``python -m benchmarks.golden compare FILE FILE``                exit code 1 where two records differ
``python -m benchmarks.golden time BEFORE AFTER``                sweep, epoch and annealing of two source trees

A record holds SHA-256 of the final weights of twelve short runs, of samples, of estimates of ln Z, of equilibrium
samples and of modes, and of every number of a study's results and figures.  Records are of one machine: float32 sums
depend on the library that multiplies, and so do the bits.  Compare trees on the same machine.

Only names at the surface are used, so that the script can be run on any tree that has them: copy it into the other one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROUNDS = 15
RUNS: dict[str, dict[str, Any]] = {
    "pcd-sgd-centered": {},
    "pcd-sgd-plain": {"gradient": "plain"},
    "pcd-adam-centered": {"optimizer": "adam"},
    "pcd-adam-plain": {"optimizer": "adam", "gradient": "plain", "clip": 0.0, "averaging": 0},
    "cd-sgd-centered": {"method": "cd"},
    "cd-adam-plain": {"method": "cd", "optimizer": "adam", "gradient": "plain"},
    "rdm-sgd-centered": {"method": "rdm"},
    "rdm-adam-plain": {"method": "rdm", "optimizer": "adam", "gradient": "plain"},
    "pcd-fp32": {"precision": "fp32"},
    "pcd-bf16": {"precision": "bf16"},
    "cd-fp32-momentum": {"method": "cd", "precision": "fp32", "momentum": 0.5, "learning_rate": 0.1},
    "reference-fp64": {"engine": "reference", "precision": "fp64", "n_hidden": 8},
}


def digest(*arrays: Any) -> str:
    """SHA-256 of the bytes, shapes and types of arrays or tensors."""
    import numpy as np

    mark = hashlib.sha256()
    for array in arrays:
        values = np.ascontiguousarray(array.detach().cpu().numpy() if hasattr(array, "detach") else array)
        mark.update(f"{values.dtype}{values.shape}".encode())
        mark.update(values.tobytes() if values.dtype != object else repr(values.tolist()).encode())
    return mark.hexdigest()


def parameters(rbm: Any) -> tuple[Any, Any, Any]:
    return rbm.weights, rbm.visible_bias, rbm.hidden_bias


def results() -> Iterator[tuple[str, str]]:
    """Name and hash of every result but those of a study."""
    import rbmscape as rs

    data = rs.load_dataset("mnist", n_train=1000, n_test=200)
    small = {"n_hidden": 24, "epochs": 2, "batch_size": 100, "n_chains": 100, "gibbs_steps": 2, "seed": 3}
    runs = {}
    for name, changes in RUNS.items():
        options = small | {"learning_rate": 1e-3 if changes.get("optimizer") == "adam" else 0.1} | changes
        runs[name] = run = rs.train(data, rs.TrainingConfig(**options), progress=False)
        yield f"train/{name}", digest(*parameters(run.load()))
    run = runs["pcd-sgd-centered"]
    rbm, models = run.load(), list(run.models())
    for precision in ("auto", "fp32", "bf16"):
        samples = rs.sample(rbm, n_chains=70, n_steps=20, seed=5, precision=precision)
        yield f"sample/{precision}", digest(samples.v, samples.h)
    samples = rs.sample(rbm, n_chains=20, n_steps=20, seed=5, engine="reference")
    yield "sample/reference", digest(samples.v, samples.h)
    for method in ("ais", "reverse_ais", "bar", "exact"):
        options = {} if method == "exact" else {"n_chains": 100, "n_betas": 100, "seed": 7}
        estimate = rs.log_partition(rbm, method, data=data, **options)
        yield f"log_partition/{method}", repr((estimate.value, estimate.stderr, estimate.ess))
    bracket = rs.likelihood_bracket(rbm, data, n_chains=50, n_betas=100, seed=1, models=models)
    yield "bracket", repr((bracket.lower.value, bracket.upper.value, bracket.converged))
    for name, source in (("trajectory", models), ("temperature", rbm)):
        samples = rs.equilibrium_samples(source, n_samples=64, seed=11)
        yield f"equilibrium_samples/{name}", digest(samples.v, samples.h)
    modes = rs.Modes.of(rbm)
    yield "modes", digest(modes.left, modes.right, modes.singular_values, modes.saddle_x, modes.saddle_y)


def numbers_of_study(directory: Path) -> Iterator[tuple[str, str]]:
    """Name and hash of every variable in a study's netCDF files, without times, speeds and attributes."""
    import xarray as xr

    for path in sorted(directory.rglob("*.nc")):
        with xr.open_dataset(path) as dataset:
            for name, variable in sorted(dataset.variables.items(), key=lambda item: str(item[0])):
                if "second" not in str(name):
                    yield f"{path.relative_to(directory)}/{name}", digest(variable.values)


def record(path: Path, study: Path | None) -> None:
    """Write all hashes, and those of a smoke study that is made in `study` unless it is there."""
    found = {}
    for name, mark in results():
        print(f"{name:40} {mark[:60]}", flush=True)
        found[name] = mark
    if study is not None:
        command = [sys.executable, "-m", "rbmscape", "reproduce", "--profile", "smoke", "--out", str(study)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found |= {f"study/{name}": mark for name, mark in numbers_of_study(study)}
    path.write_text(
        json.dumps({"machine": platform.processor() or platform.machine(), "found": found}, indent=1) + "\n"
    )
    print(f"{len(found)} hashes in {path}")


def compare(before: Path, after: Path) -> int:
    """Names whose hashes differ, or that only one record has; their number is the exit code's reason."""
    old, new = (json.loads(path.read_text())["found"] for path in (before, after))
    differing = [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
    for name in differing:
        print(f"{name}: {old.get(name, 'missing')[:60]} -> {new.get(name, 'missing')[:60]}")
    print(f"{len(old)} before, {len(new)} after, {len(differing)} differ")
    return len(differing)


def tasks() -> dict[str, Callable[[], Any]]:
    """What is timed; each call takes about a second."""
    import rbmscape as rs

    data = rs.load_dataset("mnist", n_train=20_000, n_test=10)
    config = rs.TrainingConfig(n_hidden=500, epochs=1, early_checkpoints=0)
    rbm = rs.RBM.random(784, 500, std=0.05, seed=0)
    return {
        "sweep": lambda: rs.sample(rbm, n_chains=500, n_steps=200, seed=0),
        "epoch": lambda: rs.train(data, config, progress=False),
        "annealing": lambda: rs.log_partition(rbm, "ais", n_chains=500, n_betas=200, seed=0, schedule="uniform"),
        "small sweep": lambda: rs.sample(rbm, n_chains=8, n_steps=2000, seed=0),
    }


def serve() -> None:
    """Answer each name on standard input with the seconds that its task takes."""
    known = tasks()
    for function in known.values():
        function()
    print("ready", flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        known[line.strip()]()
        print(time.perf_counter() - began, flush=True)


def time_trees(before: Path, after: Path, rounds: int) -> None:
    """Ratio of the times of two trees, whose tasks are done in turns; best and median of the rounds."""
    servers = []
    for tree in (before, after):
        environment = os.environ | {"PYTHONPATH": f"{tree / 'src'}:{Path(__file__).parents[1]}"}
        command = [sys.executable, str(Path(__file__).resolve()), "serve"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        servers.append(subprocess.Popen(command, env=environment, cwd=tempfile.gettempdir(), text=True, **pipes))
    for server in servers:
        assert server.stdout is not None
        if server.stdout.readline().strip() != "ready":
            raise SystemExit("a tree could not be imported; see the message above")
    for name in ("sweep", "epoch", "annealing", "small sweep"):
        seconds: list[list[float]] = [[], []]
        for turn in range(rounds):
            for k in (0, 1) if turn % 2 else (1, 0):
                server = servers[k]
                assert server.stdin is not None
                assert server.stdout is not None
                print(name, file=server.stdin, flush=True)
                seconds[k].append(float(server.stdout.readline()))
        best = min(seconds[1]) / min(seconds[0])
        paired = statistics.median(b / a for a, b in zip(*seconds, strict=True))
        times = f"before {min(seconds[0]):.3f} s, after {min(seconds[1]):.3f} s"
        print(f"{name:12} {times}: best {best:.3f}, paired {paired:.3f}")
    for server in servers:
        server.kill()


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = options.add_subparsers(dest="action", required=True)
    recording = actions.add_parser("record")
    recording.add_argument("file", type=Path)
    recording.add_argument("--study", type=Path)
    comparing = actions.add_parser("compare")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    timing = actions.add_parser("time")
    timing.add_argument("before", type=Path)
    timing.add_argument("after", type=Path)
    timing.add_argument("--rounds", type=int, default=ROUNDS)
    actions.add_parser("serve")
    chosen = options.parse_args()
    if chosen.action == "record":
        record(chosen.file, chosen.study)
    elif chosen.action == "compare":
        return min(1, compare(chosen.before, chosen.after))
    elif chosen.action == "serve":
        serve()
    else:
        time_trees(chosen.before.resolve(), chosen.after.resolve(), chosen.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
