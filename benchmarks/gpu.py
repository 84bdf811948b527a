"""The GPU engine on a device: is it right to the bit, and how fast; one command, resumable in pieces.

``python -m benchmarks.gpu [--only exact,sweep,…] [--seconds 540] [--dry]``

Each piece runs in a process of its own with its own time limit, and every row is on disk as soon as it is measured, in
``$OUT/gpu.json``, or beside the other results where OUT is not set.  A piece that hangs, crashes or runs out of time
costs its own rows only; what pieces leave of their time, later ones may take.  With ``--resume`` those are left out
that have ended well with the same source.  Pieces, in this order, with the seconds that each may count on:

=========== === ======================================================================================================
device       15 names and versions
exact        70 sampler, rounding, gradient against their definition, models at once against each alone, bit for bit
compile      70 the kernels of all tile sizes, in parallel processes, into Triton's cache
tests        70 tests/gpu, the conformance suite, and whole trainings there and on the processor
train        45 updates a second of PCD-10, one model and ten, of RDM, and time by kernel
rbms         20 the same update by rbms on the same device
many         60 `train_many` of ten runs of PCD, RDM and CD, two of PTT, from the call to the finished runs
paper        30 updates of the paper's profile at every size, and what they amount to
paths        25 annealed importance sampling at 1000 temperatures and 500 chains: launches
annealing    15 the same by `log_partition`, from end to end
ladder       20 tempering of 40 rungs and 100 columns: launches, and whole rounds
equilibrium  30 updates of method ptt, a sweep of its reservoirs
modes        10 singular modes on the device
ceiling      10 int8 products of the vendor's library, copies
sweep        35 one sweep for several tile sizes, M = 500 and 3000, one model and ten, 4096 chains
energy       15 joules by the driver's counter
suite         0 the whole suite, in what time is left
=========== === ======================================================================================================

With ``--dry`` everything runs at tiny sizes under Triton's interpreter, on a processor.

Packages that a machine without network lacks travel as wheels in ``.whl`` of the working directory (``--wheels``) and
are installed into a temporary directory: pydantic, pydantic_core, annotated-types, typing-inspection, arviz-stats,
h5netcdf, rbms.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SHORTEST = 5
"""Seconds below which no piece is begun."""
SECONDS = {
    "device": 15,
    "exact": 70,
    "compile": 70,
    "tests": 70,
    "train": 45,
    "rbms": 20,
    "many": 60,
    "paper": 30,
    "paths": 25,
    "annealing": 15,
    "ladder": 20,
    "equilibrium": 30,
    "modes": 10,
    "ceiling": 10,
    "sweep": 35,
    "energy": 15,
    "suite": 0,
}
"""What each piece may count on; together nine minutes."""


def parse() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--only", default=",".join(SECONDS), help="pieces, separated by commas")
    options.add_argument("--seconds", type=float, default=540.0, help="time for all pieces")
    options.add_argument("--resume", action="store_true", help="leave out what ended well with the same source")
    options.add_argument("--dry", action="store_true", help="tiny sizes under Triton's interpreter")
    options.add_argument("--out", type=Path, default=None, help="directory of gpu.json")
    options.add_argument("--wheels", type=Path, default=Path(".whl"), help="directory of wheels to install")
    options.add_argument("--piece", default=None, help=argparse.SUPPRESS)
    return options.parse_args()


def install(wheels: Path) -> str | None:
    """Install carried wheels into a temporary directory, which is returned."""
    found = sorted(wheels.glob("*.whl")) if wheels.is_dir() else []
    if not found:
        return None
    target = os.path.join(tempfile.gettempdir(), "rbmscape-wheels")
    how = ["--no-index", "--no-deps", "--no-compile", "--no-cache-dir", "--upgrade", "--target"]
    command = [sys.executable, "-m", "pip", "install", "-q", *how, target, *map(str, found)]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    print(result.stdout + result.stderr, end="", flush=True)
    return target


def environment(chosen: argparse.Namespace) -> dict[str, str]:
    """For the pieces' processes."""
    variables = dict(os.environ)
    root = Path(__file__).resolve().parents[1]
    site = install(chosen.wheels)
    paths = [str(root / "src"), str(root), *([site] if site else []), variables.get("PYTHONPATH", "")]
    variables["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    variables["PYTHONUNBUFFERED"] = "1"
    if chosen.dry:
        variables["TRITON_INTERPRET"] = "1"
    return variables


def main() -> None:
    chosen = parse()
    out = chosen.out or Path(os.environ.get("OUT") or Path(__file__).parent / "results")
    out.mkdir(parents=True, exist_ok=True)
    if chosen.piece:
        from benchmarks import gpu_pieces

        gpu_pieces.run(chosen.piece, out / "gpu.json", chosen.dry)
        return
    wanted = chosen.only.split(",")
    unknown = [name for name in wanted if name not in SECONDS]
    if unknown:
        raise SystemExit(f"pieces are {', '.join(SECONDS)}; found {', '.join(unknown)}")
    ended = ended_well(out / "gpu.json") if chosen.resume else set()
    measure([name for name in wanted if name not in ended], chosen, out)


def source_mark() -> str:
    """SHA-256 of the package and of these scripts: rows of another source are measured again."""
    root, mark = Path(__file__).resolve().parents[1], hashlib.sha256()
    for path in sorted([*root.glob("src/**/*.py"), *root.glob("benchmarks/gpu*.py")]):
        mark.update(path.read_bytes())
    return mark.hexdigest()[:16]


def rows_of(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text()) if path.is_file() else []


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Whole or not at all: a piece may be stopped while it writes."""
    other = path.with_suffix(".part")
    other.write_text(json.dumps(rows, indent=1) + "\n")
    other.replace(path)


def ended_well(path: Path) -> set[str]:
    """Pieces that ran to their end, without a row of failure, with the present source."""
    mark = source_mark()
    return {row["piece"] for row in rows_of(path) if row.get("source") == mark and row["outcome"] == "ended well"}


def deadlines(names: list[str], seconds: float) -> list[float]:
    """When each piece is stopped at the latest: after its own and all earlier shares; the last has what is left."""
    sums = list(itertools.accumulate(SECONDS[name] for name in names))
    return [min(seconds, one) for one in [*sums[:-1], seconds]][: len(names)]


def measure(names: list[str], chosen: argparse.Namespace, out: Path) -> None:
    """All pieces, each in a process of its own, and a row on how each ended."""
    variables, began, path = environment(chosen), time.monotonic(), out / "gpu.json"
    for name, deadline in zip(names, deadlines(names, chosen.seconds), strict=True):
        started, before = time.monotonic() - began, len(rows_of(path))
        limit = deadline - started
        if limit < SHORTEST:
            print(f"--- {name}: no time left", flush=True)
            continue
        command = [sys.executable, "-m", "benchmarks.gpu", "--piece", name, "--out", str(out)]
        child = subprocess.Popen(command + ["--dry"] * chosen.dry, env=variables, start_new_session=True)
        try:
            outcome = "ended well" if child.wait(limit) == 0 else f"exit code {child.returncode}"
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            outcome = f"stopped after {limit:.0f} s"
        rows = rows_of(path)
        failures = [row for row in rows[before:] if "error" in row or row.get("code")]
        outcome = f"{len(failures)} rows of failure" if failures and outcome == "ended well" else outcome
        took = time.monotonic() - began - started
        ended = {"piece": name, "outcome": outcome, "seconds": round(took, 1), "source": source_mark()}
        write_rows(path, [*rows, ended])
        print(f"--- {name}: {outcome}, {took:.1f} s", flush=True)
        if name == "exact" and outcome.startswith("stopped"):
            raise SystemExit("what hangs there hangs in every later piece; nothing else was run")


if __name__ == "__main__":
    main()
