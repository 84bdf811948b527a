"""Processor and clock seconds until help stands on the screen, and until the package is there to use.

    python -m benchmarks.startup

The least of five processes each; wanted are 0.5 s for help and 2 s for the import.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

from benchmarks.explorer import processor

COMMANDS = {
    "rbmscape --help": ["-m", "rbmscape", "--help"],
    "import rbmscape": ["-c", "import rbmscape"],
    "import, and look at train, RBM and load_dataset": [
        "-c", "import rbmscape; rbmscape.RBM; rbmscape.train; rbmscape.load_dataset",
    ],
}  # fmt: skip


def seconds(words):
    """(processor, clock) seconds of a Python process."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.perf_counter() - began


def main() -> None:
    found = {"processor": processor()}
    for name, words in COMMANDS.items():
        took = [seconds(words) for _ in range(5)]
        used, clock = (min(values) for values in zip(*took, strict=True))
        found[name] = {"processor_seconds": round(used, 3), "clock_seconds": round(clock, 3)}
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
