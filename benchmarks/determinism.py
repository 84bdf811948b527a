"""What is the same to the last bit when only the circumstances differ: threads, slices, load, processor, Python.

    python -m benchmarks.determinism [--python OTHER_PYTHON ...]

Each row trains a small model, estimates ln Z and draws samples; "same" compares with the first row of the same
precision.  What the environment decides has a process of its own.  Other Pythons need rbmscape's parts installed.  A
minute or two of one core.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

COLUMNS = ("weights", "chains", "metrics", "ln Z", "samples")
TIMES = ("seconds", "updates_per_second", "check")


def digest(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def measure(options: dict[str, Any]) -> dict[str, str]:
    """In a process of its own: digests of all that one set of circumstances gives."""
    import numpy as np
    import torch

    import rbmscape as rs

    torch.set_num_threads(options["threads"])
    generator = np.random.default_rng(0)
    groups = generator.random((5, 150)) < 0.4
    rows = groups[generator.integers(0, 5, 1200)] ^ (generator.random((1200, 150)) < 0.08)
    data = rs.Dataset.from_array(rows[:1000].astype(np.uint8), test=rows[1000:].astype(np.uint8))
    engine, precision = options["engine"], options["precision"]
    config = rs.TrainingConfig(
        n_hidden=100, epochs=2, batch_size=200, n_chains=400, gibbs_steps=5, online_likelihood=True,
        engine=engine, precision=precision,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as place:
        for until in options["slices"]:
            rs.train(data, config, Path(place) / "run", resume=True, until_update=until, progress=False)
        run = rs.train(data, config, Path(place) / "run", resume=True, progress=False)
        rbm, metrics = run.load(), [{k: v for k, v in row.items() if k not in TIMES} for row in run.rows]
        log_z = rs.log_partition(rbm, "ais", n_chains=300, n_betas=200, seed=1, engine=engine, precision=precision)
        drawn = rs.sample(rbm, n_chains=300, n_steps=50, seed=2, engine=engine, precision=precision)
        return {
            "weights": digest(*(part.numpy().tobytes() for part in (rbm.weights, rbm.visible_bias, rbm.hidden_bias))),
            "chains": digest(run.chains.numpy().tobytes()),
            "metrics": digest(json.dumps(metrics).encode()),
            "ln Z": digest(repr((log_z.value, log_z.stderr)).encode()),
            "samples": digest(drawn.v.numpy().tobytes(), drawn.h.numpy().tobytes()),
            "precision": f"{run.engine} {run.precision}",
        }


USUAL: dict[str, Any] = {"threads": 1, "engine": "cpu", "precision": "fixed", "slices": []}
ATEN = {"ATEN_CPU_CAPABILITY": "default"}
ONE_LESS = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "ATEN_CPU_CAPABILITY": "default"}
CASES: tuple[tuple[str, dict[str, Any], dict[str, str]], ...] = (
    ("one thread", {}, {}),
    ("the same again", {}, {}),
    ("two threads", {"threads": 2}, {}),
    ("three slices, each resumed from the saved state", {"slices": [3, 8]}, {}),
    ("two threads beside two busy processes", {"threads": 2, "load": 2}, {}),
    ("torch without vector units", {}, ATEN),
    ("one thread", {"precision": "fp32"}, {}),
    ("the same again", {"precision": "fp32"}, {}),
    ("two threads", {"precision": "fp32", "threads": 2}, {}),
    ("three slices, each resumed from the saved state", {"precision": "fp32", "slices": [3, 8]}, {}),
    ("another engine: plain PyTorch", {"precision": "fp32", "engine": "reference"}, {}),
    ("a processor without AVX-512", {"precision": "fp32"}, ONE_LESS),
)


def beside_load(options: dict[str, Any]) -> dict[str, str]:
    """`measure`, perhaps beside processes that do nothing but keep the cores busy."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(options.get("load", 0))]
    try:
        return measure(USUAL | options)
    finally:
        for process in busy:
            process.kill()
            process.wait()


def carry_out(options: list[dict[str, Any]], environment: dict[str, str], python: str) -> list[dict[str, str]]:
    """Rows that have an environment in common, in a process of their own."""
    words = [python, "-m", "benchmarks.determinism", "--these", json.dumps(options)]
    done = subprocess.run(words, env=os.environ | environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-1000:])
    found: list[dict[str, str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def rows(pythons: list[str]) -> list[dict[str, Any]]:
    """Digests of every row, and which of them are those of the first row of its precision."""
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as cache:
        for variables in ({}, ATEN, ONE_LESS):
            own = variables | ({"NUMBA_CACHE_DIR": cache} if variables is ONE_LESS else {})
            here = [(words, options) for words, options, where in CASES if where == variables]
            digests = carry_out([options for _, options in here], own, sys.executable)
            found += [_row(*one, of) for one, of in zip(here, digests, strict=True)]
    for python in pythons:
        version = subprocess.run([python, "-V"], capture_output=True, text=True, check=True).stdout.strip()
        both = [{"precision": precision} for precision in ("fixed", "fp32")]
        digests = carry_out(both, {}, python)
        found += [_row(version, one, of) | {"python": version} for one, of in zip(both, digests, strict=True)]
    for row in found:
        first = next(one for one in found if one["asked"] == row["asked"])
        row["same"] = {name: row["digests"][name] == first["digests"][name] for name in COLUMNS}
    return sorted(found, key=lambda row: str(row["asked"]))


def _row(words: str, options: dict[str, Any], digests: dict[str, str]) -> dict[str, Any]:
    return {
        "circumstances": words,
        "asked": options.get("precision", "fixed"),
        "used": digests.pop("precision"),
        "digests": digests,
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--python", nargs="*", default=[], help="other interpreters")
    options.add_argument("--these", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.these:
        print(json.dumps([beside_load(options) for options in json.loads(given.these)]))
        return
    from benchmarks.harness import RESULTS, save, show, start

    found = rows(given.python)
    save("determinism", RESULTS, start(0), {"rows": found})
    words = {True: "same", False: "other"}
    table = [[row["circumstances"], row["used"], *(words[row["same"][name]] for name in COLUMNS)] for row in found]
    show("Bits under other circumstances", ("circumstances", "used", *COLUMNS), table)


if __name__ == "__main__":
    main()
