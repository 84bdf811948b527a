"""Every fault at every operation of every command, with the counts as JSON.

    python tests/faults/matrix.py [--some N] [--out benchmarks/results/faults.json] [COMMAND ...]

Takes about half an hour of one core; ends with 1 where anything was lost.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import torch
from commands import CASES, Trial

OUT = Path(__file__).parents[2] / "benchmarks" / "results" / "faults.json"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("commands", nargs="*", metavar="COMMAND", help=", ".join(CASES))
    options.add_argument("--some", type=int, help="so many faults of each kind, by a fixed seed, instead of all")
    options.add_argument("--out", type=Path, default=OUT)
    given = options.parse_args()
    torch.set_num_threads(1)
    record = json.loads(given.out.read_text()) if given.commands and given.out.exists() else {"commands": {}}
    wrong = 0
    for name in given.commands or CASES:
        began = time.process_time()
        with tempfile.TemporaryDirectory() as place:
            trial = Trial(CASES[name], Path(place) / "w")
            tried = trial.everything() if given.some is None else trial.some(given.some, given.some, seed=3)
        record["commands"][name] = {
            "operations": sum(not operation.startswith("after ") for operation, _ in trial.trace.steps),
            "complete": given.some is None,
            "tried": dict(sorted(tried.counts.items())),
            "wrong": [words.replace(place, "") for words in tried.wrong],
            "processor_seconds": round(time.process_time() - began),
        }
        wrong += len(tried.wrong)
        given.out.write_text(json.dumps(record, indent=2) + "\n")
        sys.stdout.write(f"{name}: {json.dumps(record['commands'][name])}\n")
        sys.stdout.flush()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
