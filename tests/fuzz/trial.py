"""Trials in a process of their own, with limits of memory and time; only the package's own errors may come out."""

from __future__ import annotations

import multiprocessing
import resource
import signal
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterable
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

from rbmscape.errors import DamagedFileWarning, RbmscapeError

MEMORY = 2 * 2**30
"""Bytes beyond those of the process at its start."""
SECONDS = 20.0
"""Of the processor for one trial, compilations among them."""
PATIENCE = 80.0
"""Of the clock, in which a trial that is no hang takes some time of the processor, however busy the machine is."""
LONGEST = 700
"""Letters of a message."""

Trial = Callable[[Any, Path], object]


class Hang(BaseException):
    """Raised by the alarm; no `Exception`, so that nobody takes it for one of his own."""


def _alarm(_number: int, _frame: FrameType | None) -> None:
    raise Hang


def _where(error: BaseException) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "rbmscape" in frame.filename]
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
    return f"{type(error).__name__}: {str(error)[:200]!r} at {place}"


def fault(trial: Callable[[], object]) -> str | None:
    """What went wrong, or None where the trial ended well or with one sentence of the package's own."""
    signal.signal(signal.SIGPROF, _alarm)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        trial()
    except RbmscapeError as error:
        words = str(error)
        if not words or len(words) > LONGEST or any(not letter.isprintable() for letter in words):
            return f"no plain sentence from {_where(error)}"
    except Hang as error:
        return _where(error)
    except MemoryError as error:
        return _where(error)
    except BaseException as error:  # noqa: BLE001, that is what is looked for
        return _where(error)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
    return None


def _run(trial: Trial, keys: list[Any], results: Connection) -> None:
    """In the child."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", DamagedFileWarning)
    for key in keys:
        results.send((key, "started"))
        with tempfile.TemporaryDirectory() as place:
            results.send((key, fault(lambda key=key, place=place: trial(key, Path(place)))))


PRELOADED = (
    "arviz_stats", "h5py", "numpy", "pandas", "pyarrow.parquet", "rbmscape.data.describe", "rbmscape.data.load",
    "rbmscape.interop.convert", "rbmscape.study.study", "rbmscape.training.train", "safetensors.torch", "scipy.sparse",
    "torch", "torch._dynamo",
)  # fmt: skip
"""What the server of the processes loads once."""


_spent: dict[int, int] = {}


def _advances(pid: int | None) -> bool:
    """Whether the process has computed since it was last asked."""
    try:
        spent = int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return False
    before, _spent[pid or 0] = _spent.get(pid or 0, 0), spent
    return spent - before > 10_000_000


def faults(trial: Trial, keys: Iterable[Any]) -> dict[Any, str]:
    """Keys whose trial failed, with what happened; where a process dies, the next one goes on behind it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    left, found = list(keys), {}
    while left:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_run, args=(trial, left, theirs))
        process.start()
        theirs.close()
        busy = None
        try:
            while ours.poll(PATIENCE) or _advances(process.pid):
                if not ours.poll():
                    continue
                key, words = ours.recv()
                busy = key if words == "started" else None
                if words != "started":
                    left.remove(key)
                if words not in (None, "started"):
                    found[key] = words
        except EOFError:
            process.join()
        else:
            process.kill()
            process.join()
        if busy is None and left:
            raise RuntimeError(f"the process of the trials ended by itself with {process.exitcode}")
        if busy is not None:
            found[busy] = f"the process ended with {process.exitcode}"
            left.remove(busy)
    return found
