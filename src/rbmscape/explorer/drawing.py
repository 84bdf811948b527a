"""Equilibrium samples of all checkpoints, drawn in a process of its own.

Replica exchange keeps some hundred models at once for a while, gigabytes for the largest; a process gives all of that
back when it ends, holds up nobody who waits for a view, and can be ended at any time.  Models with few weights are
drawn where they are: a process takes longer to begin than they take.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rbmscape.errors import InputError, RbmscapeError
from rbmscape.files import read_tensors, write_tensors
from rbmscape.model.rbm import RBM
from rbmscape.runs.run import Run
from rbmscape.runs.samples import RunSamples, model_samples, run_samples
from rbmscape.sampling.packed import PackedSamples

__all__ = ["Drawing", "StoppedError", "Stopper"]

N_CHAINS = 200
BUDGET = 2e11  # multiply-adds: what takes a minute of one core, where a study takes five
TARGET = 0.35  # acceptance: half the rungs, and half the memory, of the one that studies aim at
MOST_WEIGHTS_HERE = 50_000
MOST_UNITS_HERE = 1000
NICE = 10


class StoppedError(RbmscapeError):
    """Nobody waits for the result any more."""


class Stopper:
    """A `rbmscape.progress.Reporter` that ends a long call.

    Parameters
    ----------
    wanted : whether somebody still waits for the result
    """

    def __init__(self, wanted: Callable[[], bool]) -> None:
        self._wanted = wanted

    def start(self, what: str, total: int | None) -> None:
        """See `rbmscape.progress.Reporter.start`."""

    def advance(self, done: int, status: Any = None) -> None:
        """Raise StoppedError once nobody waits."""
        del done, status
        if not self._wanted():
            raise StoppedError("the explorer was closed")

    def stop(self) -> None:
        """See `rbmscape.progress.Reporter.stop`."""


class Drawing:
    """Samples on their way.

    Parameters
    ----------
    opened : a finished run, or a model
    stop : ends what is drawn here once it is set
    """

    def __init__(self, opened: Run | RBM, stop: threading.Event) -> None:
        self._opened = opened
        self._stop = stop
        self._found: RunSamples | None = None
        self._process: subprocess.Popen[str] | None = None
        if isinstance(opened, Run):
            size = int(opened.data["n_visible"]), opened.config.n_hidden
        else:
            size = opened.n_visible, opened.n_hidden
        self._here = size[0] * size[1] <= MOST_WEIGHTS_HERE and sum(size) <= MOST_UNITS_HERE
        if not self._here:
            self._begin()

    def _begin(self) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="rbmscape-samples-", ignore_cleanup_errors=True)
        place = Path(self._scratch.name)
        if isinstance(self._opened, Run):
            source = self._opened.directory.resolve()
        else:
            source = place / "model.safetensors"
            self._opened.save(source)
        program = "from rbmscape.explorer.drawing import draw; draw(*__import__('sys').argv[1:])"
        words = [str(source), str(place / "samples.safetensors"), str(N_CHAINS), repr(BUDGET)]
        self._process = subprocess.Popen(
            [sys.executable, "-c", program, *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, errors="replace",
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )  # fmt: skip

    def poll(self) -> RunSamples | None:
        """The samples; None as long as they are not finished.

        Raises
        ------
        StoppedError : they are not wanted any more
        InputError : they could not be drawn
        """
        if self._here:
            return _drawn(self._opened, N_CHAINS, BUDGET, Stopper(lambda: not self._stop.is_set()))
        assert self._process is not None
        if self._process.poll() is None:
            return None
        assert self._process.stderr is not None
        words = self._process.stderr.read().strip()
        if self._process.returncode:
            self.close()
            raise InputError(words.splitlines()[-1] if words else "the process that drew them was ended")
        packed = PackedSamples.from_file(*read_tensors(Path(self._scratch.name) / "samples.safetensors"))
        self.close()
        if isinstance(self._opened, Run):
            return RunSamples(self._opened.updates, packed, self._opened.load(), self._opened)
        return RunSamples((), packed, self._opened)

    def close(self) -> None:
        """End what is drawn, and remove its files."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stderr is not None
            self._process.stderr.close()
            self._process = None
            self._scratch.cleanup()


def draw(source: str, to: str, n_chains: str, budget: str) -> None:
    """What the process does: samples of a run's directory or a model's file, into a file; an error is one line."""
    if hasattr(os, "nice"):
        os.nice(NICE)
    try:
        opened = Run.open(source) if Path(source).is_dir() else RBM.load(source)
        parent = os.getppid()
        found = _drawn(opened, int(n_chains), float(budget), Stopper(lambda: os.getppid() == parent))
        write_tensors(Path(to), *found.packed.to_file())
    except (RbmscapeError, OSError) as error:
        sys.exit(" ".join(str(error).split()))


def _drawn(opened: Run | RBM, n_chains: int, budget: float, progress: Any) -> RunSamples:
    options: dict[str, Any] = {"n_chains": n_chains, "budget": budget, "target": TARGET}
    if isinstance(opened, Run):
        return run_samples(opened, progress=progress, **options)
    return model_samples(opened, progress=progress, **options)
