"""The GPU engine on a device: is it right to the bit, and how fast; one command, resumable in pieces.

``python -m benchmarks.gpu [--only exact,sweep,…] [--seconds 540] [--dry]``

Each piece runs in a process of its own with its own time limit, and every row is on disk as soon as it is measured, in
``$OUT/gpu.json``, or beside the other results where OUT is not set.  A piece that hangs, crashes or runs out of time
costs its own rows only.  Pieces, in this order:

=========== ==========================================================================================================
device      names and versions
exact       sampler, rounding, gradient against their definition, models at once against each alone, bit for bit
compile     the kernels of all tile sizes, in parallel processes, into Triton's cache
ceiling     int8 products of the vendor's library, copies
sweep       one sweep for several tile sizes, M = 500 and 3000, one model and ten, 4096 chains
train       updates a second of PCD-10, one model and ten, and time by kernel
rbms        the same update by rbms on the same device
paper       updates of the paper's profile at every size, and what they amount to
paths       annealed importance sampling at 1000 temperatures
energy      joules by the driver's counter
tests       tests/gpu and the conformance suite
suite       the whole suite
=========== ==========================================================================================================

With ``--dry`` everything runs at tiny sizes under Triton's interpreter, on a processor.

Packages that a machine without network lacks travel as wheels in ``.whl`` of the working directory (``--wheels``) and
are installed into a temporary directory: pydantic, pydantic_core, annotated-types, typing-inspection, arviz-stats,
h5netcdf, rbms.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMITS = {
    "device": 30,
    "exact": 100,
    "compile": 100,
    "ceiling": 30,
    "sweep": 120,
    "train": 90,
    "rbms": 30,
    "paper": 90,
    "paths": 60,
    "energy": 30,
    "tests": 120,
    "suite": 300,
}


def parse() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--only", default=",".join(LIMITS), help="pieces, separated by commas")
    options.add_argument("--seconds", type=float, default=540.0, help="time for all pieces")
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
    variables, began = environment(chosen), time.monotonic()
    unknown = [name for name in chosen.only.split(",") if name not in LIMITS]
    if unknown:
        raise SystemExit(f"pieces are {', '.join(LIMITS)}; found {', '.join(unknown)}")
    for name in chosen.only.split(","):
        left = chosen.seconds - (time.monotonic() - began)
        limit = min(LIMITS[name], left)
        if limit < 5:
            print(f"--- {name}: no time left", flush=True)
            continue
        command = [sys.executable, "-m", "benchmarks.gpu", "--piece", name, "--out", str(out)]
        started = time.monotonic()
        child = subprocess.Popen(command + ["--dry"] * chosen.dry, env=variables, start_new_session=True)
        try:
            outcome = f"exit code {child.wait(limit)}"
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            outcome = f"stopped after its {limit:.0f} s"
        print(f"--- {name}: {outcome}, {time.monotonic() - started:.1f} s", flush=True)
        if name == "exact" and outcome.startswith("stopped"):
            raise SystemExit("what hangs there hangs in every later piece; nothing else was run")


if __name__ == "__main__":
    main()
