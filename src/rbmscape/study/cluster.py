"""The same tasks on the workers of a Dask cluster, which share the study's directory.

The driver hands out as many tasks as there are workers; Dask finds the machine, repeats a task whose worker died, and
carries progress back.  Where workers offer the resource ``GPU``, tasks that compute with models ask for one each.
Whoever does a task records it in the shared directory, so that a scheduler that dies loses nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from rbmscape.errors import RbmscapeError, StudyError
from rbmscape.study.context import StudyContext
from rbmscape.study.execute import Event
from rbmscape.study.graph import Task
from rbmscape.study.local import usable_cores
from rbmscape.study.progress import SilentReporter
from rbmscape.study.work import Report, do_task
from rbmscape.study.worker import SECONDS_BETWEEN_NEWS, task_from

__all__ = ["DaskPool"]

SECONDS_TO_CONNECT: Final = 5.0
SECONDS_WITHOUT_SCHEDULER: Final = 10.0
SECONDS_BETWEEN_COUNTS: Final = 2.0
_LOGS: Final = ("distributed", "asyncio", "tornado")
"""Loggers of Dask, and of its event loop, which reports the lost connection once more when the program ends."""
NEEDS_NO_GPU: Final = ("collect-training", "collect-likelihood", "baselines", "figure")

_ONE_AT_A_TIME = threading.Lock()


class DaskPool:
    """Tasks on a Dask cluster.

    Parameters
    ----------
    directory : of the study, under a path that all workers see
    address : of the scheduler, for example ``tcp://host:8786``

    Raises
    ------
    StudyError : Dask is not installed, or no scheduler answers within seconds
    """

    def __init__(self, directory: Path, address: str) -> None:
        self._directory, self._address = str(directory.resolve()), address
        self._events: queue.Queue[Event] = queue.Queue()
        self._futures: dict[str, Any] = {}
        self._client = _connect(address)
        self._topic = f"rbmscape-{self._client.id}"
        self._client.subscribe_topic(self._topic, self._hear)
        self._counted = self._heard = -SECONDS_WITHOUT_SCHEDULER
        self._hosts: dict[str, int] = {}
        self._has_gpus = False
        self._count()

    def _count(self) -> None:
        """Workers on every host, now and then."""
        now = time.monotonic()
        if now - self._counted < SECONDS_BETWEEN_COUNTS:
            return
        self._counted = now
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        hosts = [worker["host"] for worker in workers]
        self._hosts = {host: hosts.count(host) for host in hosts}
        self._has_gpus = any(worker.get("resources", {}).get("GPU") for worker in workers)

    @property
    def capacity(self) -> int:
        """See `Pool.capacity`; one while there are no workers, so that a task waits for the first of them."""
        return max(1, sum(self._hosts.values()))

    def submit(self, task: Task) -> None:
        """See `Pool.submit`."""
        future = self._client.submit(
            _perform,
            self._directory,
            asdict(task),
            self._topic,
            self._hosts,
            key=f"{task.name}-{time.time_ns()}",
            pure=False,
            resources={"GPU": 1} if self._has_gpus and task.kind not in NEEDS_NO_GPU else None,
        )
        self._futures[task.name] = future
        future.add_done_callback(lambda done: self._ended(task.name, done))

    def _ended(self, name: str, future: Any) -> None:
        """What became of a task, in Dask's words; runs in a thread of the client."""
        status = future.status
        if status == "finished":
            self._events.put(Event("end", name, report=Report(**future.result())))
        elif status == "error":
            error = future.exception()
            if type(error).__name__ == "KilledWorker":
                report = Report(0.0, "given up, because it ended the workers that tried it (out of memory?)")
            else:
                report = Report(0.0, " ".join(f"{type(error).__name__} on the worker: {error}".split()))
            self._events.put(Event("end", name, report=report))
        else:
            self._events.put(Event("lost", name, note=f"the cluster dropped it ({status})"))

    def _hear(self, event: tuple[float, dict[str, Any]]) -> None:
        _, message = event
        names = ("kind", "task", "fraction", "note")  # Dask adds the worker
        self._events.put(Event(**{name: message[name] for name in names if name in message}))

    def events(self, timeout: float) -> Iterable[Event]:
        """See `Pool.events`.

        Raises
        ------
        StudyError : the scheduler is gone
        """
        self._check_connection()
        with contextlib.suppress(queue.Empty):
            yield self._forget(self._events.get(timeout=timeout))
            while True:
                yield self._forget(self._events.get_nowait())

    def _forget(self, event: Event) -> Event:
        if event.kind == "lost":
            self._check_connection(event.note)
        if event.kind in ("end", "lost"):
            self._futures.pop(event.task, None)
        return event

    def _check_connection(self, doubt: str = "") -> None:
        """Whether the scheduler still answers; a short break is forgiven unless something was lost in it."""
        now = time.monotonic()
        if self._client.status == "running":
            self._heard = now
            with contextlib.suppress(OSError, TimeoutError):
                self._count()
        elif doubt or now - self._heard > SECONDS_WITHOUT_SCHEDULER or self._client.status == "closed":
            raise StudyError(
                f"the scheduler at {self._address} is gone; what is done is kept: start one again and run the same "
                "command"
            )

    def close(self) -> None:
        """See `Pool.close`; workers end the slice that they are training, and record it."""
        with contextlib.suppress(Exception):
            if self._futures and self._client.status == "running":
                self._client.cancel(list(self._futures.values()))
            self._client.close(timeout=2)


def _connect(address: str) -> Any:
    """A client of the scheduler; that one answers is tried first, since a client that finds none is slow to give up."""
    try:
        from distributed import Client
    except ImportError as error:
        raise StudyError(
            f"a scheduler needs the packages dask and distributed, and {error.name} is missing; "
            "install them with: pip install 'rbmscape[dask]'"
        ) from error
    for name in list(logging.root.manager.loggerDict):  # Dask gives some loggers below its own a level of their own
        if name.startswith(_LOGS):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        kind = asyncio.run(asyncio.wait_for(_kind_of_server(address), SECONDS_TO_CONNECT))
    except Exception as error:
        raise StudyError(
            f"no Dask scheduler answers at {address} within {SECONDS_TO_CONNECT:g} s; start one with 'dask scheduler' "
            "and give the address that it prints, tcp://HOST:PORT"
        ) from error
    if kind != "Scheduler":
        raise StudyError(f"at {address} answers a Dask {kind}, not a scheduler; give the address of the scheduler")
    client: Any = Client
    return client(address, timeout=SECONDS_TO_CONNECT, set_as_default=False, name="rbmscape-study")


async def _kind_of_server(address: str) -> str:
    import distributed.core

    connect: Any = distributed.core.rpc
    async with connect(address) as server:
        return str((await server.identity())["type"])


class _News(SilentReporter):
    """Sends progress to whoever listens to the study's topic."""

    def __init__(self, tell: Callable[[str, Any], None], topic: str) -> None:
        self._tell, self._topic = tell, topic
        self._told = 0.0

    def begin(self, task: Task) -> None:
        self._tell(self._topic, {"kind": "begin", "task": task.name})

    def advance(self, task: Task, fraction: float, note: str = "") -> None:
        now = time.monotonic()
        if now - self._told > SECONDS_BETWEEN_NEWS:
            self._told = now
            self._tell(self._topic, {"kind": "advance", "task": task.name, "fraction": fraction, "note": note})


def _perform(directory: str, values: dict[str, Any], topic: str, hosts: dict[str, int]) -> dict[str, Any]:
    """Do one task on a worker, one at a time in each process and with the process's share of the machine's cores."""
    import torch
    from distributed import get_worker

    worker, task = get_worker(), task_from(values)
    news = _News(worker.log_event, topic)
    with _ONE_AT_A_TIME:
        torch.set_num_threads(max(1, usable_cores() // hosts.get(_host(worker.address), 1)))
        news.begin(task)
        try:
            return asdict(do_task(_workshop(directory), task, news))
        except RbmscapeError as error:
            return asdict(Report(0.0, str(error)))


def _host(address: str) -> str:
    """Of ``tcp://host:port``."""
    return address.rpartition("://")[2].rpartition(":")[0]


@lru_cache(maxsize=4)
def _opened(directory: str, _changed: int) -> StudyContext:
    return StudyContext.open(directory)


def _workshop(directory: str) -> StudyContext:
    """The study, read again when its plan has changed."""
    plan = Path(directory) / "study.json"
    return _opened(directory, plan.stat().st_mtime_ns if plan.is_file() else 0)
