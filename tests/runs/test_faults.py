"""Training that is killed, or fails, before and after every operation on files ends, resumed, with the same bits.

The operations are found from a trace of an undisturbed run, so that new code is covered by itself.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape import files
from rbmscape.errors import DiskError
from rbmscape.files import TEMPORARY_SUFFIX

ALL = os.environ.get("RBMSCAPE_FAULTS") == "all"
"""Every operation instead of some that a fixed seed chooses: a quarter of an hour."""
ERRORS = (errno.EIO, errno.ENOSPC, errno.EROFS)


def dataset():
    return rs.Dataset.from_array((np.random.default_rng(0).random((80, 12)) < 0.4).astype(np.uint8))


def config(method):
    more = (
        {"n_chains": 20, "gibbs_steps": 1} if method == "pcd" else {"method": "ptt", "n_chains": 40, "gibbs_steps": 2}
    )
    return rs.TrainingConfig(n_hidden=5, epochs=2, batch_size=20, early_checkpoints=2, engine="reference", **more)


def train(directory, method="pcd"):
    return rs.train(dataset(), config(method), directory, resume=True, progress=False)


def traced(monkeypatch, act=None):
    """Operations so far; ``act`` is called with the number of each."""
    seen = []

    def step(operation, path):
        seen.append((operation, Path(path).name))
        if act is not None:
            act(len(seen))

    monkeypatch.setattr(files, "step", step)
    return seen


def bits(run):
    tensors = [
        part for update in run.updates for rbm in [run.load(update, False)] for part in (rbm.weights, rbm.hidden_bias)
    ]
    rows = [{k: v for k, v in row.items() if k not in ("seconds", "updates_per_second")} for row in run.rows]
    return [tensor.numpy().tobytes() for tensor in [*tensors, run.chains]], rows


@pytest.fixture(scope="module", params=["pcd", "ptt"])
def undisturbed(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patch:
        operations = traced(patch)
        run = train(directory, request.param)
    return request.param, run, list(operations)


def test_the_trace_sees_all_kinds(undisturbed):
    _, _, operations = undisturbed
    kinds = {operation for operation, _ in operations}
    assert {"lock", "mkdir", "open", "write", "flush", "rename", "sync", "append", "after append"} <= kinds
    assert {"config.json", "state.safetensors", "metrics.jsonl", "update-00000000.safetensors"} <= {
        n for _, n in operations
    }


def places(operations, count, seed):
    every = np.arange(1, len(operations) + 1)
    return every if ALL else np.sort(np.random.default_rng(seed).choice(every, count, replace=False))


@pytest.mark.timeout(1800 if ALL else 300)
@pytest.mark.parametrize("number", ERRORS)
def test_errors_of_the_system_are_clear_and_lose_nothing(undisturbed, monkeypatch, tmp_path, number):
    method, whole, operations = undisturbed
    for place in places(operations, 8 if method == "pcd" else 2, number):
        directory = tmp_path / str(place)

        def fail(count, place=place):
            if count == place:
                raise OSError(number, os.strerror(number))

        with monkeypatch.context() as patch:
            traced(patch, fail)
            with pytest.raises(DiskError) as caught:
                train(directory, method)
        assert len(str(caught.value).splitlines()) == 1
        resumed = train(directory, method)
        assert bits(resumed) == bits(whole), operations[place - 1]
        assert not list(directory.rglob(f"*{TEMPORARY_SUFFIX}")), operations[place - 1]
        assert rs.check(directory) == []


def train_until(directory, method, place):
    """In a process of its own: end at an operation, as by SIGKILL."""
    torch.set_num_threads(1)
    seen = []

    def step(_operation, _path):
        seen.append(1)
        if len(seen) == place:
            os._exit(9)

    files.step = step
    train(directory, method)


@pytest.mark.timeout(1800 if ALL else 300)
@pytest.mark.parametrize("count", [2, pytest.param(12, marks=pytest.mark.slow)])
def test_kills_at_every_operation_lose_nothing(undisturbed, tmp_path, count):
    method, whole, operations = undisturbed
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["rbmscape.training.train", "rbmscape.kernels.reference.engine"])
    for place in places(operations, count, count):
        directory = tmp_path / str(place)
        process = context.Process(target=train_until, args=(directory, method, int(place)))
        process.start()
        process.join()
        assert process.exitcode == 9, operations[place - 1]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            resumed = train(directory, method)
        assert bits(resumed) == bits(whole), operations[place - 1]
        assert not list(directory.rglob(f"*{TEMPORARY_SUFFIX}"))
        assert rs.check(directory) == []
