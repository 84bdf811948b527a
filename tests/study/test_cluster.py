"""The same tasks through Dask: the same numbers, and nothing lost with a worker or the scheduler."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from tests.study.conftest import SLICE_UPDATES, same_numbers
from tests.study.test_local import drive, wait_for_training, write_plan

from rbmscape.study.study import open_study

pytest.importorskip("distributed")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Cluster:
    """A scheduler and worker processes, each of which can be killed."""

    def __init__(self, folder, port: int) -> None:
        self.address = f"tcp://127.0.0.1:{port}"
        self._folder = folder
        self._processes: list[subprocess.Popen] = []
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", str(port))

    def _start(self, *words: str) -> subprocess.Popen:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s"}
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *words, "--no-dashboard"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._processes.append(process)
        return process

    def worker(self) -> subprocess.Popen:
        """Start one without a nanny, so that its process is the one that computes."""
        return self._start(
            "worker", self.address, "--nthreads", "1", "--no-nanny", "--local-directory", str(self._folder)
        )

    def stop(self) -> None:
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def cluster(tmp_path):
    started = Cluster(tmp_path, free_port())
    yield started
    started.stop()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_killed_workers_and_scheduler_lose_nothing(cluster, lasting_plan, tmp_path, undisturbed):
    plan, directory = write_plan(lasting_plan, tmp_path / "plan.toml"), tmp_path / "s"
    victim, _ = cluster.worker(), cluster.worker()
    driver = drive(plan, directory, "--scheduler", cluster.address)
    wait_for_training(directory, SLICE_UPDATES)
    victim.kill()
    wait_for_training(directory, 2 * SLICE_UPDATES)
    cluster.scheduler.kill()
    began = time.monotonic()
    _, words = driver.communicate(timeout=60)
    assert time.monotonic() - began < 30
    assert driver.returncode == 1
    assert f"error: the scheduler at {cluster.address} is gone" in words
    assert "Traceback" not in words
    kept = {path: path.stat().st_mtime_ns for path in directory.glob("runs/*/checkpoints/*.safetensors")}
    done = set(open_study(directory).records())
    assert {name for name in done if name.endswith(f"/{SLICE_UPDATES}")}
    second = Cluster(tmp_path, free_port())
    try:
        second.worker(), second.worker()
        again = drive(plan, directory, "--scheduler", second.address)
        _, words = again.communicate(timeout=120)
    finally:
        second.stop()
    assert again.returncode == 0, words
    same_numbers(undisturbed, open_study(directory))
    rewritten = [path for path, written in kept.items() if path.stat().st_mtime_ns != written]
    assert len(rewritten) <= 2, "a run repeats at most the slice at hand"


def test_a_scheduler_that_is_not_there_is_reported_in_seconds(tiny_plan, tmp_path):
    plan = write_plan(tiny_plan, tmp_path / "plan.toml")
    began = time.monotonic()
    driver = drive(plan, tmp_path / "s", "--scheduler", f"tcp://127.0.0.1:{free_port()}")
    _, words = driver.communicate(timeout=60)
    assert time.monotonic() - began < 30
    assert driver.returncode == 1
    assert words.startswith("error: no Dask scheduler answers at tcp://127.0.0.1:")
    assert words.count("\n") == 1
    assert not (tmp_path / "s").exists()
