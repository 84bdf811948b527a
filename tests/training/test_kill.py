"""A run that is killed (SIGKILL) at random instants ends, resumed, with the weights of an undisturbed one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.files import TEMPORARY_SUFFIX
from rbmscape.runs.layout import RunLayout

N_KILLS = 20
CONFIG = {
    "n_hidden": 40,
    "batch_size": 50,
    "n_chains": 50,
    "gibbs_steps": 5,
    "epochs": 60,
    "optimizer": "adam",
    "learning_rate": 1e-2,
    "checkpoint_epochs": tuple(range(1, 61)),
    "online_likelihood": True,
}


def dataset() -> rs.Dataset:
    generator = np.random.default_rng(0)
    rows = generator.random((500, 60)) < generator.random((5, 60))[generator.integers(0, 5, 500)]
    return rs.Dataset.from_array(rows.astype(np.uint8))


def work(directory: str) -> None:
    torch.set_num_threads(1)
    rs.train(dataset(), rs.TrainingConfig(**CONFIG), directory, resume=True, progress=False)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_kills_at_random_instants_lose_nothing(tmp_path: Path):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    began = time.monotonic()
    whole = rs.train(dataset(), rs.TrainingConfig(**CONFIG), tmp_path / "whole", progress=False)
    seconds = time.monotonic() - began
    torch.set_num_threads(threads)

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["rbmscape.training.train", "rbmscape.kernels.floats.engine"])
    layout, generator = RunLayout(tmp_path / "killed"), np.random.default_rng(1)
    kills, places = 0, set()
    while kills < N_KILLS:
        process = context.Process(target=work, args=(str(layout.directory),))
        known = layout.state.stat().st_mtime_ns if layout.state.is_file() else 0
        process.start()
        while process.is_alive() and (not layout.state.is_file() or layout.state.stat().st_mtime_ns == known):
            time.sleep(0.001)
        time.sleep(float(generator.uniform(0, seconds / len(CONFIG["checkpoint_epochs"]))))
        assert process.is_alive(), "training ended before all kills were dealt; make the run longer"
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        kills += 1
        places.add(layout.updates()[-1])
    assert len(places) > N_KILLS // 4, "the kills did not spread over the run"

    resumed = rs.train(dataset(), rs.TrainingConfig(**CONFIG), layout.directory, resume=True, progress=False)
    for update in whole.updates:
        for averaged in (True, False):
            one, other = whole.load(update, averaged), resumed.load(update, averaged)
            assert torch.equal(one.weights, other.weights)
            assert torch.equal(one.visible_bias, other.visible_bias)
            assert torch.equal(one.hidden_bias, other.hidden_bias)
    for one, other in zip(whole.rows, resumed.rows, strict=True):
        assert all(one[key] == other[key] for key in one if key not in ("seconds", "updates_per_second"))
    assert all(np.isfinite(row["log_likelihood"]) for row in resumed.rows)
    assert torch.equal(whole.chains, resumed.chains)
    assert not list(layout.directory.rglob(f"*{TEMPORARY_SUFFIX}"))
