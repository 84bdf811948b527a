"""Training in equilibrium as a whole: its ln Z against enumeration, its controller, and its state."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.errors import ConfigError, LadderStalledError
from rbmscape.files import TEMPORARY_SUFFIX, read_tensors
from rbmscape.model.exact import exact_log_likelihood, exact_log_partition
from rbmscape.rng import Stream
from rbmscape.runs.layout import RunLayout
from rbmscape.runs.schedule import exposure
from rbmscape.study.config import DataPlan, LikelihoodPlan, StudyConfig
from rbmscape.study.study import run_study
from rbmscape.training import trainer as trainer_module
from rbmscape.training.ladder import climb, follower
from rbmscape.training.ladder.control import Action

RECIPE = {
    "n_hidden": 8, "method": "ptt", "epochs": 60, "batch_size": 100, "n_chains": 200, "gibbs_steps": 2,
    "learning_rate": 0.3, "schedule": "constant", "averaging": 0, "reservoir": 1000,
}  # fmt: skip


def wells(share=0.9, n_visible=30, n=1000):
    """Noisy copies of a pattern and, fewer, of its negative: the second mode is born late."""
    generator = Stream(1, "test/wells").numpy()
    pattern = np.where(generator.random(n_visible) < 0.5, 0.95, 0.05)
    first = generator.random(n) < share
    rows = generator.random((n, n_visible)) < np.where(first[:, None], pattern, 1.0 - pattern)
    return rs.Dataset.from_array(rows[: 4 * n // 5].astype(np.uint8), rows[4 * n // 5 :].astype(np.uint8))


@pytest.fixture(scope="module")
def data():
    return wells()


def train(data, directory=None, **changes):
    options = {key: changes.pop(key) for key in ("resume", "until_update") if key in changes}
    return rs.train(data, rs.TrainingConfig(**(RECIPE | changes)), directory, progress=False, **options)


def deviations(run):
    """For every checkpoint: z-score of ln Z, deviation in nats, whether it is called converged."""
    found = []
    for row in run.rows:
        off = row["log_partition"] - exact_log_partition(run.load(row["update"]))
        found.append((off / row["log_partition_stderr"], off, row["converged"]))
    return found


@pytest.mark.statistical
@pytest.mark.parametrize("averaging", [0, 100])
def test_every_checkpoint_agrees_with_enumeration(data, averaging):
    """z-scores of ln Z at converged checkpoints of two trainings: RMS below 2, none above 4, more than half converged.
    Those of one training are correlated, so that the false alarm is about 1e-2 for another seed.
    """
    z = []
    for seed in range(2):
        run = train(data, averaging=averaging, seed=seed)
        z += [one for one, _, converged in deviations(run) if converged]
        assert len(z) > (seed + 1) * len(run.rows) / 2
        for row in run.rows:
            rbm = run.load(row["update"])
            for name in ("train", "test"):
                exact = float(exact_log_likelihood(rbm, torch.from_numpy(getattr(data, name))).mean())
                off = row[f"log_likelihood_{name}"] - exact + row["log_partition"] - exact_log_partition(rbm)
                assert off == pytest.approx(0.0, abs=1e-3)
        last = run.rows[-1]
        assert last["log_likelihood_train"] > run.rows[0]["log_likelihood_train"] + 2.0
        assert last["rungs"] > 1
    assert np.sqrt(np.mean(np.square(z))) < 2.0
    assert np.abs(z).max() < 4.0


@pytest.mark.statistical
def test_a_far_too_large_rate_is_never_believed(data, monkeypatch):
    """Negative control: without a controller, whatever is off by more than four errors and 0.2 nats is not converged.
    With one, the rate is lowered at the first updates and the end is right.
    """
    controlled = train(data, learning_rate=5.0, epochs=20)
    assert controlled.rows[-1]["rate_factor"] < 0.5
    off = [one for one in deviations(controlled) if abs(one[0]) > 4.0 and abs(one[1]) > 0.2]
    assert not [one for one in off if one[2]]
    monkeypatch.setattr(follower, "decide", lambda _r, a, freeze, _: Action.FREEZE if a < freeze else Action.GO_ON)
    monkeypatch.setattr(follower, "frozen", lambda rate, _: rate)
    monkeypatch.setattr(follower.Follower, "_doubts", lambda *_: ())
    monkeypatch.setattr(follower, "SCOUT_EVERY", 10**9)
    for module in (follower, climb):
        monkeypatch.setattr(module, "MAX_THIN", np.inf)
    monkeypatch.setattr(follower, "Effort", partial(climb.Effort, max_rounds=64, max_stages=4))
    free = train(data, learning_rate=200.0, epochs=20)
    off = [one for one in deviations(free) if abs(one[0]) > 4.0 and abs(one[1]) > 0.2]
    assert len(off) > 3
    assert not [one for one in off if one[2]]


def same(one, other):
    """Weights, chains, metrics and state of two runs, bit for bit."""
    assert one.updates == other.updates
    for update in one.updates:
        assert torch.equal(one.load(update).weights, other.load(update).weights)
    clock = ("seconds", "updates_per_second")
    for row, again in zip(one.rows, other.rows, strict=True):
        assert {key: row[key] for key in row if key not in clock} == {k: again[k] for k in again if k not in clock}
    layouts = [RunLayout(run.directory) for run in (one, other)]
    assert [path.name for path in sorted(layouts[0].ladder.iterdir())] == [
        path.name for path in sorted(layouts[1].ladder.iterdir())
    ]
    for name in ("state", "reported"):
        states = [read_tensors(getattr(layout, name))[0] for layout in layouts]
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())


@pytest.mark.parametrize(
    "changes",
    [
        {"learning_rate": 5.0},
        {"optimizer": "adam", "learning_rate": 0.1, "averaging": 50, "gradient": "plain"},
        {"learning_rate": 5.0, "averaging": 50},
    ],
)
def test_a_run_in_slices_is_the_run_in_one_piece(data, tmp_path, changes):
    whole = train(data, tmp_path / "whole", epochs=12, **changes)
    for until in (1, 17, 40, 41, 77, None):
        sliced = train(data, tmp_path / "sliced", epochs=12, resume=True, until_update=until, **changes)
    assert whole.rows[-1]["rungs"] > 1
    same(whole, sliced)


def test_measuring_more_often_does_not_change_the_training(data):
    few, many = (train(data, epochs=8, early_checkpoints=n, checkpoint_epochs=e) for n, e in ((0, (8,)), (8, None)))
    assert len(many.updates) > len(few.updates)
    assert torch.equal(few.load().weights, many.load().weights)


@pytest.mark.parametrize(
    "changes",
    [
        {"gradient": "plain", "visible_bias_init": "zeros", "learning_rate": 0.05},
        pytest.param({"optimizer": "adam", "learning_rate": 0.01, "l2": 1e-3, "averaging": 20}, marks=pytest.mark.slow),
        {"optimizer": "rmsprop", "learning_rate": 0.03, "l1": 1e-4},
        {"momentum": 0.5, "visible_bias_init": "normal", "weight_std": 0.1, "warmup": 10},
        {"engine": "reference", "precision": "fp64", "schedule": "linear"},
        {"n_chains": 43, "reservoir": 0, "batch_size": 10_000, "epochs": 400},
    ],
)
def test_every_choice_of_a_recipe_works_with_it(data, changes):
    run = train(data, **({"epochs": 40} | changes))
    rows = torch.from_numpy(data.train)
    first, last = (float(exact_log_likelihood(run.load(update), rows).mean()) for update in (0, -1))
    assert last > first + 0.5
    assert all(np.isfinite(row["log_likelihood_train"]) for row in run.rows)
    final = run.rows[-1]
    if final["converged"]:
        assert abs(final["log_likelihood_train"] - last) < 5.0 * final["log_partition_stderr"] + 1e-3
    assert run.chains.shape == (run.config.n_chains, data.n_visible)


def test_the_delivered_model_is_the_last_rung(data, tmp_path):
    run = train(data, tmp_path / "run", epochs=10, averaging=50)
    tensors, _ = read_tensors(RunLayout(run.directory).reported)
    assert torch.equal(tensors["weights"], run.load().weights)
    states = torch.from_numpy(np.unpackbits(tensors["states"].numpy(), axis=-1, count=data.n_visible))
    assert states.reshape(-1, data.n_visible).shape[0] >= 1000
    energies = -run.load().free_energy(states.reshape(-1, data.n_visible)).reshape(tensors["log_density"].shape)
    assert float((energies - tensors["log_density"]).abs().max()) < 0.1


def test_a_ladder_that_stalls_stops_with_the_last_good_model(data, tmp_path, monkeypatch):
    """Every second update is refused from update 30 on, as if the model could not be followed."""
    real = follower.decide

    def strict(rate, acceptance, freeze, reject):
        return Action.REJECT if rate.since_freeze >= 30 or rate.rejections else real(rate, acceptance, freeze, reject)

    monkeypatch.setattr(follower, "decide", strict)
    with pytest.raises(LadderStalledError, match=r"stalled at update \d+: after 13 rejections in a row"):
        train(data, tmp_path / "run", epochs=12)
    run = rs.Run.open(tmp_path / "run")
    assert torch.equal(run.load().weights, torch.zeros(30, 8)) or run.rows[-1]["rungs"] > 1
    monkeypatch.undo()
    resumed = train(data, tmp_path / "run", epochs=12, resume=True)
    assert resumed.is_complete
    assert resumed.rows[-1]["rejections"] >= 13


def test_parameters_that_leave_the_finite_numbers_are_taken_back(data, monkeypatch):
    monkeypatch.setattr(trainer_module, "MAX_WEIGHT", 8.0)
    run = train(data, learning_rate=5.0, epochs=10, clip=0.0)
    assert run.is_complete
    assert all(float(run.load(update).weights.abs().max()) <= 8.0 for update in run.updates)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"freeze_below": 0.05}, "reject_below must lie below freeze_below"),
        ({"reservoir": 100}, "reservoir must hold at least as many"),
        ({"n_chains": 10}, "at least 20 chains"),
        ({"online_likelihood": True}, "measures the likelihood anyway"),
        ({"method": "cd"}, "reservoir belongs to method 'ptt'"),
        ({"method": "pcd", "reservoir": 0, "freeze_below": 0.5}, "freeze_below belongs to method 'ptt'"),
    ],
)
def test_impossible_choices_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        rs.TrainingConfig(**(RECIPE | changes))


def test_other_runs_are_not_continued_in_equilibrium(data, tmp_path):
    pcd = {"method": "pcd", "reservoir": 0}
    train(data, tmp_path / "run", epochs=1, **pcd)
    with pytest.raises(ConfigError, match="was trained with method='pcd', not 'ptt'"):
        train(data, tmp_path / "run", epochs=1, resume=True)


def test_its_rate_is_not_told_by_the_recipe():
    assert rs.TrainingConfig(method="ptt").learning_rate == pytest.approx(0.1)
    assert rs.TrainingConfig().learning_rate == 0.8
    with pytest.raises(rs.errors.InputError, match="flow time"):
        exposure(rs.TrainingConfig(method="ptt"), [0, 1], 10)


def test_a_study_trains_with_it(tmp_path):
    recipe = {key: value for key, value in RECIPE.items() if key != "n_hidden"} | {"epochs": 60, "batch_size": 30}
    plan = StudyConfig(
        name="equilibrium",
        data=DataPlan(source="bars-and-stripes", options={"image_shape": (4, 4)}),
        hidden=(6,),
        replicas=1,
        recipes={"ptt": recipe},
        likelihood=LikelihoodPlan(method="exact"),
        figures=("likelihood",),
        slice_epochs=20,
    )
    study = run_study(plan, tmp_path / "study", progress=False)
    assert study.outcome.failures == {}
    (run,) = study.runs.values()
    alone = rs.train(run.dataset(), run.config, progress=False)
    assert torch.equal(run.load().weights, alone.load().weights)
    assert run.rows[-1]["log_likelihood_train"] == alone.rows[-1]["log_likelihood_train"]


KILLED = RECIPE | {
    "epochs": 16,
    "learning_rate": 1.0,
    "checkpoint_epochs": tuple(range(1, 17)),
    "averaging": 50,
    "early_checkpoints": 0,
}


def work(directory: str) -> None:
    torch.set_num_threads(1)
    rs.train(wells(), rs.TrainingConfig(**KILLED), directory, resume=True, progress=False)


@pytest.mark.timeout(280)
def test_kills_at_random_instants_lose_nothing(tmp_path: Path):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    whole = rs.train(wells(), rs.TrainingConfig(**KILLED), tmp_path / "whole", progress=False)
    torch.set_num_threads(threads)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["rbmscape.training.train"])
    layout, generator, kills = RunLayout(tmp_path / "killed"), np.random.default_rng(1), 0
    for _ in range(3):
        process = context.Process(target=work, args=(str(layout.directory),))
        known = len(layout.updates())
        process.start()
        while process.is_alive() and len(layout.updates()) < known + 2:
            time.sleep(0.002)
        time.sleep(float(generator.uniform(0.0, 0.2)))
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.join()
    assert kills > 1
    same(whole, rs.train(wells(), rs.TrainingConfig(**KILLED), layout.directory, resume=True, progress=False))
    assert not list(layout.directory.rglob(f"*{TEMPORARY_SUFFIX}"))
