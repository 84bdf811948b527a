"""Worker processes on this machine, which share its cores.

Each is ``python -m rbmscape.study.worker DIRECTORY``, a session of its own (so that Ctrl-C reaches the driver alone),
and speaks JSON lines: tasks in, what happens out.  One that dies is replaced, and its task is reported as lost.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Final

from rbmscape.errors import DiskError, StudyError
from rbmscape.study.execute import Event
from rbmscape.study.graph import Task
from rbmscape.study.work import Report

__all__ = ["LocalPool", "usable_cores"]

SECONDS_TO_STOP: Final = 20.0
MAX_DEATHS: Final = 5
_THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Hand:
    """One worker process and what it is doing."""

    def __init__(self, number: int, directory: Path, log: IO[bytes], threads: int, events: queue.Queue[Any]) -> None:
        self.number = number
        self.task: str | None = None
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rbmscape.study.worker", str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=_environment(threads, number),
            start_new_session=True,
        )
        self._ears = threading.Thread(target=self._listen, args=(events,), daemon=True)
        self._ears.start()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def _listen(self, events: queue.Queue[Any]) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                with contextlib.suppress(ValueError):  # the last line of a process that was killed may be torn
                    events.put((self, json.loads(line)))
        events.put((self, None))

    def give(self, task: Task) -> None:
        """Hand over a task; one that the process no longer takes is noticed when its output ends."""
        self.task = task.name
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(json.dumps(asdict(task)).encode() + b"\n")
            self._process.stdin.flush()

    def how_it_ended(self) -> str:
        """In words, after its output has ended."""
        self.ask_to_stop()
        self._ears.join()
        code = self._process.wait()
        if code >= 0:
            return f"its worker process ended with exit code {code}"
        cause = " (out of memory?)" if -code == signal.SIGKILL else ""
        return f"its worker process was ended by {signal.Signals(-code).name}{cause}"

    def ask_to_stop(self) -> None:
        """End it resumably: at once where it is idle, after the update at hand where it trains."""
        with contextlib.suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()

    def stop(self) -> None:
        """Wait for its end; kill it if that takes too long."""
        try:
            self._process.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._ears.join(SECONDS_TO_STOP)


class LocalPool:
    """Worker processes, each with its share of the cores.

    Parameters
    ----------
    directory : of the study
    workers : how many

    Raises
    ------
    DiskError : their log cannot be written
    """

    def __init__(self, directory: Path, workers: int) -> None:
        self.capacity = workers
        self._directory = directory.resolve()
        self._threads = max(1, usable_cores() // workers)
        self._events: queue.Queue[Any] = queue.Queue()
        self._deaths = 0
        try:
            self._log = open(self._directory / "workers.log", "ab")  # noqa: SIM115, closed with the pool
        except OSError as error:
            raise DiskError(f"{self._directory / 'workers.log'} could not be written ({error.strerror})") from error
        self._hands = [self._hire(number) for number in range(workers)]

    def _hire(self, number: int) -> _Hand:
        return _Hand(number, self._directory, self._log, self._threads, self._events)

    @property
    def processes(self) -> dict[int, str | None]:
        """Process to the task that it does, if any."""
        return {hand.pid: hand.task for hand in self._hands}

    def submit(self, task: Task) -> None:
        """See `Pool.submit`."""
        idle = next(hand for hand in self._hands if hand.task is None)
        idle.give(task)

    def events(self, timeout: float) -> Iterable[Event]:
        """See `Pool.events`."""
        with contextlib.suppress(queue.Empty):
            hand, message = self._events.get(timeout=timeout)
            yield from self._read(hand, message)
            while True:
                hand, message = self._events.get_nowait()
                yield from self._read(hand, message)

    def _read(self, hand: _Hand, message: dict[str, Any] | None) -> Iterator[Event]:
        if message is None:
            yield from self._replace(hand)
        elif "report" in message:
            self._deaths = 0
            hand.task = None
            yield Event("end", message["task"], report=Report(**message["report"]))
        else:
            yield Event(message["kind"], message["task"], message.get("fraction", 0.0), message.get("note", ""))

    def _replace(self, hand: _Hand) -> Iterator[Event]:
        """Put a new process in the place of one that has died."""
        reason, self._deaths = hand.how_it_ended(), self._deaths + 1
        if self._deaths > MAX_DEATHS * len(self._hands):
            raise StudyError(
                f"worker processes keep dying, the last one because {reason}; see {self._directory / 'workers.log'}"
            )
        self._hands[self._hands.index(hand)] = self._hire(hand.number)
        if hand.task is not None:
            yield Event("lost", hand.task, note=reason)

    def close(self) -> None:
        """See `Pool.close`."""
        for hand in self._hands:
            hand.ask_to_stop()
        for hand in self._hands:
            hand.stop()
        self._log.close()


def _environment(threads: int, number: int) -> dict[str, str]:
    """Of a worker: its share of the cores, and one GPU where there are any."""
    import torch

    own = {name: str(threads) for name in _THREAD_VARIABLES}
    gpus = torch.cuda.device_count()
    if gpus:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(gpus)))).split(",")
        own["CUDA_VISIBLE_DEVICES"] = visible[number % len(visible)]
    return os.environ | own
