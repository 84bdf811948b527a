"""What digests cost: a training with them, and what of its time goes into computing them.

    python -m benchmarks.digests [--epochs 3]

Processor seconds of a training on MNIST with 500 hidden units, and of all calls of `rbmscape.digests` within it, each
timed where it is called; wanted is a share under 2 %.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import rbmscape as rs
from benchmarks.harness import parser, save, show, start
from rbmscape import digests, files


def timed(function: Callable[..., str], spent: list[float]) -> Callable[..., str]:
    @wraps(function)
    def call(*parts: Any) -> str:
        began = time.thread_time()
        try:
            return function(*parts)
        finally:
            spent.append(time.thread_time() - began)

    return call


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--epochs", type=int, default=3)
    given = options.parse_args()
    where, data, spent = start(given.threads or 1), rs.load_dataset("mnist"), list[float]()
    config = rs.TrainingConfig.recommended(n_hidden=500, epochs=given.epochs)
    with tempfile.TemporaryDirectory() as place:
        rs.train(data, config.replace(epochs=1), Path(place) / "first", until_update=2, progress=False)
        for module in (digests, files):
            module.bytes_digest = timed(module.bytes_digest, spent)  # type: ignore[attr-defined]
        began = time.process_time()
        run = rs.train(data, config, Path(place) / "run", progress=False)
        whole = time.process_time() - began
        found = {
            "epochs": given.epochs,
            "files_written": len(run.updates),
            "calls": len(spent),
            "digest_seconds": round(sum(spent), 4),
            "training_seconds": round(whole, 2),
            "share": round(sum(spent) / whole, 5),
        }
    save("digests", given.out, where, found)
    show("Cost of digests, processor seconds", tuple(found), [tuple(found.values())])


if __name__ == "__main__":
    main()
