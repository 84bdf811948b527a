from __future__ import annotations

import itertools
import json
import math
import os
import signal

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.digests import with_digest
from rbmscape.errors import (
    ConfigError,
    DivergenceError,
    FormatError,
    InputError,
    NoChainsError,
    RunExistsError,
    RunNotFoundError,
)
from rbmscape.kernels import select_engine
from rbmscape.kernels.select import has_table_lookup
from rbmscape.model.exact import exact_log_likelihood
from rbmscape.model.rbm import PARAMETER_NAMES
from rbmscape.progress import SilentReporter
from rbmscape.runs.layout import read_json
from rbmscape.runs.optimizers import OPTIMIZERS
from rbmscape.runs.schedule import averaging_weight, learning_rate_factor
from rbmscape.runs.writer import RunWriter
from rbmscape.training.trainer import Trainer

SMALL = {"n_hidden": 6, "batch_size": 10, "n_chains": 20, "gibbs_steps": 2, "epochs": 4, "averaging": 5}


def train(dataset, directory=None, *, resume=False, **changes) -> rs.Run:
    config = rs.TrainingConfig(**(SMALL | changes))
    return rs.train(dataset, config, directory, resume=resume, progress=False)


def same_model(one: rs.RBM, other: rs.RBM) -> bool:
    names = PARAMETER_NAMES
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in names)


def same_run(one: rs.Run, other: rs.Run) -> bool:
    both = all(same_model(one.load(averaged=kind), other.load(averaged=kind)) for kind in (True, False))
    timeless = [{k: v for k, v in row.items() if "second" not in k} for row in one.rows]
    return both and timeless == [{k: v for k, v in row.items() if "second" not in k} for row in other.rows]


@pytest.mark.parametrize("gradient", ["centered", "plain"])
def test_training_reaches_the_optimum_of_bars_and_stripes(gradient):
    """3x3 bars and stripes: 14 patterns, so the best mean log-likelihood is -ln 14 = -2.639; margin 0.15 nats."""
    dataset = rs.load_dataset("bars-and-stripes", image_shape=(3, 3))
    config = rs.TrainingConfig(
        n_hidden=24,
        batch_size=14,
        n_chains=500,
        gibbs_steps=5,
        epochs=1500,
        gradient=gradient,
        learning_rate=0.3,
        visible_bias_init="zeros",
        weight_std=0.1,
        averaging=100,
        precision="fp32",
        checkpoint_epochs=(1500,),
        early_checkpoints=0,
    )
    run = rs.train(dataset, config, progress=False)
    optimum = -math.log(len(dataset.train))
    before, after = (float(exact_log_likelihood(run.load(u), dataset.train).mean()) for u in (0, 1500))
    assert before < optimum - 2.0
    assert optimum - 0.15 < after <= optimum + 1e-9


@pytest.mark.parametrize("method", ["pcd", "cd", "rdm"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_method_raises_the_exact_likelihood(patterns, method, optimizer):
    rate = {"sgd": 0.5, "nesterov": 0.1}.get(optimizer, 0.02)
    recipe = {"method": method, "optimizer": optimizer, "learning_rate": rate, "weight_std": 0.1}
    run = train(patterns, epochs=40, gibbs_steps=5, **recipe)
    first, last = (float(exact_log_likelihood(run.load(u), patterns.train).mean()) for u in (0, -1))
    assert last > first + 0.5
    assert first < last < 0


def test_the_paper_s_chains_start_from_data(patterns):
    run = train(patterns, epochs=0)
    rows = {tuple(row) for row in patterns.train.tolist()}
    assert {tuple(row) for row in run.chains.tolist()} <= rows
    assert run.chains.shape == (20, 12)


RECIPES = [
    {"momentum": 0.5},
    {"optimizer": "adam", "learning_rate": 0.01, "gradient": "plain", "averaging": 0},
    {"optimizer": "rmsprop", "learning_rate": 0.01},
    {"optimizer": "nesterov"},
    {"method": "cd", "schedule": "cosine"},
    {"method": "rdm", "l1": 1e-3, "l2": 1e-2, "schedule": "constant"},
    {"online_likelihood": True},
]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_run_in_slices_is_the_run_in_one_piece(patterns, tmp_path, recipe):
    whole = train(patterns, tmp_path / "whole", **recipe)
    config = rs.TrainingConfig(**(SMALL | recipe))
    for until in (1, 7, 8, 20):
        part = rs.train(patterns, config, tmp_path / "parts", resume=True, progress=False, until_update=until)
        assert part.is_complete == (until == 20)
    assert same_run(whole, part)
    other = train(patterns, tmp_path / "other", seed=1, **recipe)
    assert not same_model(whole.load(), other.load())


@pytest.mark.parametrize("given", [{}, {"momentum": 0.5}], ids=["usual", "momentum"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_table_tells_how_many_tensors_an_optimizer_carries(patterns, optimizer, given):
    if given and OPTIMIZERS[optimizer].momentum is None:
        with pytest.raises(ConfigError, match=rf"'{optimizer}' takes no momentum, found 0.5; leave it out, or choose"):
            rs.TrainingConfig(**(SMALL | {"optimizer": optimizer} | given))
        return
    config = rs.TrainingConfig(**(SMALL | {"optimizer": optimizer} | given))
    trainer = Trainer(patterns, config, select_engine("reference", "fp32"))
    trainer.step()
    carried = [value for name, value in trainer.state().items() if name.startswith("optimizer.0.")]
    assert sum(value.shape == (12, 6) for value in carried) == OPTIMIZERS[optimizer].state(config)


def test_more_epochs_continue_a_constant_schedule_only(patterns, tmp_path):
    whole = train(patterns, tmp_path / "whole", schedule="constant", epochs=6, checkpoint_epochs=(4,))
    train(patterns, tmp_path / "a", schedule="constant", epochs=4)
    longer = train(patterns, tmp_path / "a", schedule="constant", epochs=6, checkpoint_epochs=None, resume=True)
    assert same_model(whole.load(), longer.load())
    train(patterns, tmp_path / "b", schedule="linear", epochs=4)
    with pytest.raises(ConfigError, match="trained with epochs=4, not 6"):
        train(patterns, tmp_path / "b", schedule="linear", epochs=6, resume=True)


class InterruptAt(SilentReporter):
    """Sends a signal to this process after a given update."""

    def __init__(self, update: int, number: signal.Signals) -> None:
        self.update, self.number = update, number

    def advance(self, _done, status=None):
        if status.update == self.update:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_cleanly_and_resumably(patterns, tmp_path, number):
    config = rs.TrainingConfig(**SMALL)
    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KeyboardInterrupt, match=r"at update 9 of 20; .*config, '.*a', resume=True\)"):
        rs.train(patterns, config, tmp_path / "a", progress=InterruptAt(9, number))
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers
    found = RunWriter(tmp_path / "a").read_state()
    assert found is not None
    assert found[1]["update"] == "9"
    resumed = rs.train(patterns, config, tmp_path / "a", resume=True, progress=False)
    assert same_run(resumed, train(patterns, tmp_path / "b"))


def test_divergence_is_reported_and_the_last_good_checkpoint_kept(patterns, tmp_path):
    with pytest.raises(DivergenceError, match=r"diverged at update \d+.*lower the learning rate.*last good checkpoint"):
        train(patterns, tmp_path / "a", learning_rate=1e30, schedule="constant", gradient="plain", epochs=50)
    run = rs.Run.open(tmp_path / "a")
    assert bool(torch.isfinite(run.load().weights).all())
    assert not run.is_complete


@pytest.mark.parametrize(
    "rows",
    [
        np.tile([[0, 1, 1]], (8, 1)),
        np.array([[0], [1], [1], [0]]),
        np.array([[1, 0, 1]]),
        np.hstack([np.zeros((20, 2)), np.ones((20, 1)), np.eye(20)[:, :3]]),
    ],
    ids=["all columns constant", "one column", "one row", "some columns constant"],
)
@pytest.mark.parametrize("init", ["data", "zeros", "normal"])
def test_degenerate_data_train_without_nan(rows, init):
    dataset = rs.Dataset.from_array(rows)
    run = train(dataset, epochs=30, visible_bias_init=init)
    model = run.load()
    assert bool(torch.isfinite(model.weights).all())
    _, counts = np.unique(rows, axis=0, return_counts=True)
    entropy = -float((counts / len(rows) * np.log(counts / len(rows))).sum())  # no model is better than that
    assert -0.3 < float(exact_log_likelihood(model, dataset.train).mean()) + entropy < 1e-5


def test_an_existing_run_is_never_overwritten_unasked(patterns, tmp_path):
    first = train(patterns, tmp_path / "a")
    with pytest.raises(RunExistsError, match="already holds a run; pass resume=True"):
        train(patterns, tmp_path / "a", seed=1)
    with pytest.raises(ConfigError, match="trained with seed=0, not 1"):
        train(patterns, tmp_path / "a", seed=1, resume=True)
    other = rs.Dataset.from_array(1 - patterns.train)
    with pytest.raises(ConfigError, match="other contents"):
        train(other, tmp_path / "a", resume=True)
    assert same_run(first, rs.Run.open(tmp_path / "a"))
    config = rs.TrainingConfig(**(SMALL | {"seed": 1}))
    replaced = rs.train(patterns, config, tmp_path / "a", overwrite=True, progress=False)
    assert replaced.config.seed == 1


def test_directories_of_other_things_are_left_alone(patterns, tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(RunExistsError, match=r"other files \(thesis.tex\)"):
        train(patterns, tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "x"
    with pytest.raises(RunNotFoundError, match="holds no run"):
        rs.Run.open(tmp_path)


def test_a_finished_run_tells_what_it_holds(patterns, tmp_path):
    run = train(patterns, tmp_path / "a")
    assert run.updates == run.config.checkpoint_updates(5)
    assert run.epochs[-1] == 4.0
    table = run.metrics
    assert list(table.index) == list(run.updates)
    assert {"reconstruction_error", "pseudo_log_likelihood", "free_energy_gap", "singular_values"} <= set(table.columns)
    top = torch.linalg.svdvals(run.load(run.updates[3]).weights.double())
    np.testing.assert_allclose(table["singular_values"].iloc[3], top[:10], rtol=1e-6)
    with pytest.raises(InputError, match="no checkpoint at update 17; the nearest is"):
        run.load(17)
    with pytest.raises(NoChainsError, match="keeps no Markov chains"):
        _ = train(patterns, method="cd").chains


def test_raw_and_averaged_parameters_differ_and_both_are_kept(patterns):
    run = train(patterns)
    assert not same_model(run.load(), run.load(averaged=False))
    plain = train(patterns, averaging=0)
    assert same_model(plain.load(), plain.load(averaged=False))
    assert same_model(plain.load(), run.load(averaged=False))


def test_damaged_files_give_one_clear_error(patterns, tmp_path):
    run = train(patterns, tmp_path / "a")
    metrics = tmp_path / "a" / "metrics.jsonl"
    lines = metrics.read_text().splitlines()
    metrics.write_text("\n".join(lines) + '\n{"update": 3, "tor')
    assert run.rows == rs.Run.open(tmp_path / "a").rows
    metrics.write_text("\n".join([lines[0], "oops", lines[1]]))
    with pytest.raises(FormatError, match="line 2 of"):
        _ = run.rows
    config = tmp_path / "a" / "config.json"
    config.write_text(json.dumps(with_digest(read_json(config) | {"schema": 7})))
    with pytest.raises(FormatError, match="update rbmscape"):
        rs.Run.open(tmp_path / "a")
    config.write_text("{")
    with pytest.raises(FormatError, match="not valid JSON"):
        rs.Run.open(tmp_path / "a")


def test_a_bare_array_is_refused():
    with pytest.raises(InputError, match=r"Dataset\.from_array"):
        rs.train(np.zeros((3, 3)), progress=False)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_schedules_are_flat_then_fall_to_zero(schedule):
    config = rs.TrainingConfig(schedule=schedule, decay_start=0.5)
    factors = [learning_rate_factor(config, update, 100) for update in range(101)]
    assert factors[:51] == [1.0] * 51
    assert all(later <= earlier for earlier, later in itertools.pairwise(factors))
    assert factors[-1] == pytest.approx(1.0 if schedule == "constant" else 0.0, abs=1e-12)
    assert factors[75] == pytest.approx({"constant": 1.0}.get(schedule, 0.5))


def test_a_warm_up_rises_to_the_full_step():
    config = rs.TrainingConfig(warmup=9, decay_start=0.5)
    factors = [learning_rate_factor(config, update, 100) for update in range(12)]
    assert factors == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.0, 1.0])


def first_step(dataset, clip):
    """Change of all parameters in the first update, with a step of 1."""
    config = rs.TrainingConfig(**(SMALL | {"clip": clip, "learning_rate": 1.0, "schedule": "constant"}))
    trainer = Trainer(dataset, config, select_engine("reference", "fp64"))
    before = trainer.model(averaged=False)
    trainer.step()
    after = trainer.model(averaged=False)
    names = PARAMETER_NAMES
    return torch.cat([(getattr(after, name) - getattr(before, name)).flatten() for name in names])


def test_a_clipped_gradient_keeps_its_direction(patterns):
    """N = 12, M = 6, 10 samples and 20 chains: the longest gradient is clip √(72 (1/10 + 1/20))."""
    whole = first_step(patterns, 0.0)
    longest = 0.01 * math.sqrt(12 * 6 * (1 / 10 + 1 / 20))
    assert float(whole.norm()) > 2 * longest
    clipped = first_step(patterns, 0.01)
    assert float(clipped.norm()) == pytest.approx(longest, rel=1e-4)
    torch.testing.assert_close(clipped / clipped.norm(), whole / whole.norm())
    assert torch.equal(first_step(patterns, 100.0), whole)


def test_records_older_than_clipping_say_that_nothing_was_clipped(patterns, tmp_path):
    train(patterns, tmp_path / "a")
    path = tmp_path / "a" / "config.json"
    record = read_json(path)
    del record["config"]["clip"]
    path.write_text(json.dumps(record))
    assert rs.Run.open(tmp_path / "a").config.clip == 0.0
    with pytest.raises(ConfigError, match=r"clip=0\.0, not 0\.25"):
        train(patterns, tmp_path / "a", resume=True)


def test_the_average_of_a_moving_parameter_lags_by_its_window():
    """Parameters that grow by one an update: an exponential average of window n lags n - 1 behind once n is reached."""
    average, window = 0.0, 20
    for update in range(1, 2001):
        average += averaging_weight(window, update) * (update - average)
    assert 2000 - average == pytest.approx(window - 1, abs=1e-6)
    assert averaging_weight(300, 0) == 1.0


def test_a_run_of_an_earlier_release_goes_on_in_its_own_arithmetic(patterns, tmp_path):
    """Its record does not name the arithmetic; bit for bit the same as if the release had never changed."""
    engine = select_engine(precision="fixed") if has_table_lookup() else select_engine("reference", "fixed")
    config = rs.TrainingConfig(**(SMALL | {"engine": engine.name, "precision": "fixed", "epochs": 1}))
    old, present = (Trainer(patterns, config, engine, None, arithmetic) for arithmetic in ("torch", None))
    rs.train(patterns, config, tmp_path / "run", until_update=0, progress=False)
    place = tmp_path / "run" / "config.json"
    record = json.loads(place.read_text())
    assert record.pop("arithmetic") == "exact"
    place.write_text(json.dumps(with_digest(record | {"schema": 1})))
    run = rs.train(patterns, config, tmp_path / "run", resume=True, progress=False)
    for _ in range(run.last_update):
        old.step()
        present.step()
    assert torch.equal(run.load(averaged=False).weights, old.model(averaged=False).weights)
    assert not torch.equal(old.model().weights, present.model().weights)
    torch.testing.assert_close(old.model().weights, present.model().weights, rtol=0, atol=1e-4)


def test_an_arithmetic_of_a_later_release_is_refused(patterns, tmp_path):
    config = rs.TrainingConfig(**SMALL)
    rs.train(patterns, config, tmp_path / "run", until_update=0, progress=False)
    place = tmp_path / "run" / "config.json"
    place.write_text(json.dumps(with_digest(json.loads(place.read_text()) | {"arithmetic": "finer"})))
    with pytest.raises(FormatError, match="in the arithmetic 'finer' and this release knows torch, exact; update"):
        rs.train(patterns, config, tmp_path / "run", resume=True, progress=False)
