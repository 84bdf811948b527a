"""Runs that train at once are those that train alone, and survive what single ones survive.

Batches are those of the GPU's kernels, on a processor under Triton's interpreter.
"""

from __future__ import annotations

import gc
import importlib
import math
import os
import signal
import weakref
from types import SimpleNamespace

import pytest
import torch

import rbmscape as rs
from rbmscape.errors import CallbackError, DivergenceError, EngineError, InputError
from rbmscape.kernels.select import has_table_lookup, select_engine
from rbmscape.model.rbm import PARAMETER_NAMES
from rbmscape.training import batch as batches
from rbmscape.training.batch import Batch, can_batch, shared_choices
from rbmscape.training.trainer import Trainer

pytest.importorskip("triton", reason="needs Triton, as from `pip install rbmscape[gpu]`")

from rbmscape.kernels.cuda import memory
from rbmscape.kernels.cuda.engine import CudaEngine

SMALL = {"n_hidden": 6, "batch_size": 25, "n_chains": 20, "gibbs_steps": 1, "epochs": 2, "averaging": 3}
train_module, many_module = (importlib.import_module(f"rbmscape.training.{name}") for name in ("train", "many"))
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
ENGINE = CudaEngine("fixed", DEVICE)


@pytest.fixture
def on_gpu(monkeypatch):
    """What chooses engines takes the GPU's, unless the processor's is asked for."""
    select = train_module.select_engine
    monkeypatch.setattr(
        train_module, "select_engine", lambda name, *rest: select(name, *rest) if name == "cpu" else ENGINE
    )


def recipes(count=3, **changes):
    return [rs.TrainingConfig(**(SMALL | {"seed": k, "learning_rate": 0.1 + 0.1 * k} | changes)) for k in range(count)]


def many(dataset, configs, root, **options):
    return rs.train_many(dataset, configs, [root / str(k) for k in range(len(configs))], progress=False, **options)


def same_models(one, other):
    assert one.updates == other.updates
    for kind in (True, False):
        for update in one.updates:
            models = [run.load(update, averaged=kind) for run in (one, other)]
            assert all(torch.equal(*(getattr(model, name) for model in models)) for name in PARAMETER_NAMES)
    if one.config.method == "pcd":
        assert torch.equal(one.chains, other.chains)


def same_run(one, other):
    same_models(one, other)
    rows = [[{k: v for k, v in row.items() if "second" not in k} for row in run.rows] for run in (one, other)]
    assert rows[0] == rows[1]


RULES = [
    {},
    {"method": "rdm", "optimizer": "adam", "gradient": "plain", "clip": 0.0, "averaging": 0, "gibbs_steps": 2},
    {"method": "cd", "momentum": 0.5, "l1": 1e-3, "l2": 1e-3},
]


EVERY_RULE = [
    {"clip": 0.05, "l1": 1e-3, "l2": 1e-2},
    {"optimizer": "adam", "clip": 0.05},
    {"optimizer": "adam", "gradient": "plain", "clip": 0.0, "averaging": 0, "method": "cd"},
    {"optimizer": "nesterov", "learning_rate": 0.05, "method": "rdm", "gibbs_steps": 3},
    {"optimizer": "rmsprop", "learning_rate": 0.01, "gradient": "plain", "method": "rdm"},
    {"momentum": 0.5, "clip": 0.0, "averaging": 1, "n_hidden": 1, "n_chains": 1},
]


@pytest.mark.parametrize("rule", RULES, ids=["recommended", "rdm", "cd"])
def test_runs_trained_at_once_are_those_trained_alone_in_parts_and_out_of_step(patterns, tmp_path, on_gpu, rule):
    """Together at one go; one alone; together again from where one run is ahead of the other."""
    configs = recipes(2, **rule)
    whole = many(patterns, configs, tmp_path / "whole")
    same_run(whole[1], rs.train(patterns, configs[1], tmp_path / "alone", progress=False))
    many(patterns, configs, tmp_path / "parts", until_update=1)
    rs.train(patterns, configs[0], tmp_path / "parts" / "0", resume=True, until_update=3, progress=False)
    for one, other in zip(whole, many(patterns, configs, tmp_path / "parts", resume=True), strict=True):
        same_run(one, other)
    assert not torch.equal(whole[0].load().weights, whole[1].load().weights)
    assert {run.engine for run in whole} == {"cuda"}


def same_state(one, other):
    first, second = (trained.state() for trained in (one, other))
    assert first.keys() == second.keys()
    assert [name for name, value in first.items() if not torch.equal(value.cpu(), second[name].cpu())] == []


HERE = select_engine(precision="fixed") if has_table_lookup() else ENGINE


@pytest.mark.parametrize("rule", EVERY_RULE, ids=[rule.get("optimizer", "sgd") for rule in EVERY_RULE])
def test_a_training_has_the_same_bits_on_every_device(patterns, rule):
    """Batch of the GPU's kernels, trainer of the processor, each for two updates; then each goes on from the other.

    Clipping is short enough to act, and the average's share falls below and stays above one half.
    """
    config = recipes(1, **rule)[0]
    there, here = Batch(patterns, [config], ENGINE), Trainer(patterns, config, HERE)
    (replica,) = there.replicas
    there.advance(2)
    here.step()
    here.step()
    same_state(replica, here)
    resumed = Trainer(patterns, config, HERE)
    resumed.restore({name: value.cpu() for name, value in replica.state().items()}, 2)
    resumed.step()
    replica.restore(here.state(), 2)
    there.advance(1)
    same_state(replica, resumed)
    here.step()
    same_state(here, resumed)


def test_clipping_acts_in_the_training_that_is_compared(patterns):
    config = recipes(1, **EVERY_RULE[0])[0]
    short, free = (Trainer(patterns, one, HERE) for one in (config, config.replace(clip=0.0)))
    for trainer in (short, free):
        trainer.step()
    assert not torch.equal(short.model().weights, free.model().weights)


def test_an_interrupt_saves_all_runs(patterns, tmp_path, on_gpu, monkeypatch):
    configs, advance = recipes(2, epochs=1), Batch.advance
    whole = many(patterns, configs, tmp_path / "whole")

    def interrupted(batch, n_updates):
        advance(batch, n_updates)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Batch, "advance", interrupted)
    with pytest.raises(KeyboardInterrupt, match=r"at update 1 of 2; everything is saved, .*train_many\(.*resume=True"):
        many(patterns, configs, tmp_path / "parts")
    monkeypatch.setattr(Batch, "advance", advance)
    for one, other in zip(whole, many(patterns, configs, tmp_path / "parts", resume=True), strict=True):
        same_run(one, other)


def test_a_run_that_diverges_is_dated_and_leaves_the_others_alone(patterns, tmp_path, on_gpu):
    configs = recipes(2, clip=0.0)
    configs[0] = configs[0].replace(learning_rate=1e9)
    with pytest.raises(DivergenceError, match=r"diverged at update 1: the largest .*/0'\)\.load\(\)"):
        many(patterns, configs, tmp_path)
    same_run(rs.Run.open(tmp_path / "1"), rs.train(patterns, configs[1], tmp_path / "alone", progress=False))
    assert rs.Run.open(tmp_path / "0").updates == (0,)


@pytest.mark.skipif(not has_table_lookup(), reason="precision 'fixed' needs AVX-512 on a processor")
@pytest.mark.parametrize(("kind", "move"), [(Batch, "advance"), (Trainer, "step")])
def test_a_gpu_that_is_lost_is_named_and_the_run_goes_on_on_the_processor(
    patterns, tmp_path, on_gpu, monkeypatch, kind, move
):
    """As a batch, and as what trains by itself: a run that was begun there is one that never left the processor."""
    config, works = recipes(1, epochs=1)[0], getattr(kind, move)
    processor = config.replace(engine="cpu")
    whole = rs.train(patterns, processor, tmp_path / "whole", progress=False)
    monkeypatch.setattr(train_module, "can_batch", lambda _config, engine: engine is ENGINE and kind is Batch)

    def lost(trained, *given):
        if trained.update >= 1:
            raise RuntimeError("CUDA error: unspecified launch failure\nCompile with ...")
        works(trained, *given)

    monkeypatch.setattr(kind, move, lost)
    with pytest.raises(EngineError, match=r"failed while training \(CUDA error: unspecified launch failure\); .*'cpu'"):
        rs.train(patterns, config, tmp_path / "parts", progress=False)
    monkeypatch.setattr(kind, move, works)
    assert rs.Run.open(tmp_path / "parts").last_update == 1
    same_models(rs.train(patterns, processor, tmp_path / "parts", resume=True, progress=False), whole)


def test_what_may_differ_in_a_batch(patterns):
    one, other = recipes(2)
    assert shared_choices(one) == shared_choices(other)
    assert shared_choices(one) != shared_choices(one.replace(n_hidden=7))
    assert can_batch(one, ENGINE)
    assert can_batch(one.replace(optimizer="rmsprop"), ENGINE)
    assert can_batch(one.replace(method="rdm"), ENGINE)
    assert not can_batch(one.replace(method="ptt"), ENGINE)
    assert not can_batch(one, select_engine("reference"))


def test_predicted_memory_is_what_is_taken(patterns):
    """Within 3 %: small vectors are left out."""

    def taken(count):
        batch = Batch(patterns, recipes(count, n_hidden=300, averaging=2, optimizer="adam"), ENGINE)
        update = batch.on_device
        owners = update, update.models, update.states, update.phases
        found = [one for owner in owners for one in vars(owner).values()] + update.slots
        tensors = {one.data_ptr(): one for one in found if isinstance(one, torch.Tensor)}
        return sum(one.untyped_storage().nbytes() for one in tensors.values())

    config = recipes(1, n_hidden=300, averaging=2, optimizer="adam")[0]
    sizes = batches._sizes(patterns, config)
    assert taken(3) - taken(2) == pytest.approx(sizes.of_a_model, rel=0.03)
    assert sizes.models_that_fit(int((sizes.common + 5.5 * sizes.of_a_model) / memory.USABLE)) == 5


def test_batches_are_as_large_as_memory_allows(patterns, tmp_path, on_gpu, monkeypatch):
    configs, counts, made, make = recipes(3), [], [], Batch.__init__

    def counted(batch, dataset, given, engine):
        counts.append(len(given))
        made.append(weakref.ref(batch))
        assert [one for one in made[:-1] if one()] == [], "the batch before still takes memory"
        make(batch, dataset, given, engine)

    sizes = batches._sizes(patterns, configs[0])
    room = int((sizes.common + 2.5 * sizes.of_a_model) / memory.USABLE)
    monkeypatch.setattr(memory, "free_bytes", lambda _device: room)
    with pytest.raises(EngineError, match=r"3 models of 6 hidden units need .* and 2 of them fit; train 2 at a time"):
        Batch(patterns, configs, ENGINE)
    monkeypatch.setattr(Batch, "__init__", counted)
    gc.disable()
    try:
        runs = many(patterns, configs, tmp_path, until_update=1)
    finally:
        gc.enable()
    assert counts == [2, 1]
    assert [run.config.seed for run in runs] == [0, 1, 2]
    monkeypatch.setattr(memory, "free_bytes", lambda _device: 2**20)
    with pytest.raises(EngineError, match=r"0 of them fit; train on the processor with engine='cpu'"):
        many(patterns, configs, tmp_path / "none")


def test_on_a_processor_runs_train_as_alone(patterns, tmp_path, capsys):
    """Two of one shape, one of another, one with a ladder of its own; the display says which one trains."""
    changes = {}, {"seed": 1}, {"n_hidden": 4, "method": "rdm"}, {"method": "ptt", "early_checkpoints": 0}
    configs = [rs.TrainingConfig(**(SMALL | {"engine": "reference", "epochs": 1} | change)) for change in changes]
    places = [tmp_path / str(k) for k in range(4)]
    runs = rs.train_many(patterns, configs, places)
    shown = capsys.readouterr().err
    assert [shown.count(f"run {k + 1} of 4: {place}\n") for k, place in enumerate(places)] == [1, 1, 1, 1]
    for k, run in enumerate(runs):
        same_run(run, rs.train(patterns, configs[k], tmp_path / f"alone{k}", progress=False))


@pytest.mark.parametrize("changes", [{"method": "ptt"}, {"patience": 2, "online_likelihood": True}, "gaps"])
def test_what_shares_no_launches_trains_one_after_the_other_on_a_gpu(
    patterns, tmp_path, on_gpu, monkeypatch, capsys, changes
):
    """Behind the same call, with what was asked for; everything else at once."""
    if changes == "gaps":
        rows = patterns.train.astype(float)
        rows[0, 0] = math.nan
        patterns, changes = rs.Dataset.from_array(rows, patterns.test, missing="marginalize"), {}
    calls = []
    for name in ("train", "train_together"):
        monkeypatch.setattr(many_module, name, lambda *given, name=name, **rest: calls.append((name, given, rest)))
    monkeypatch.setattr(many_module, "Run", SimpleNamespace(open=lambda place: place))
    configs = recipes(2, **changes)
    assert rs.train_many(patterns, configs, ["a", "b"], resume=True, until_update=3) == ["a", "b"]
    assert [(name, given) for name, given, _ in calls] == [
        ("train", (patterns, config, place)) for config, place in zip(configs, "ab", strict=True)
    ]
    assert [options.pop("progress")._title for *_, options in calls] == ["run 1 of 2: a", "run 2 of 2: b"]
    assert [options for *_, options in calls] == 2 * [
        {"resume": True, "overwrite": False, "until_update": 3, "callbacks": ()}
    ]


@pytest.mark.parametrize(
    ("configs", "directories", "options", "message"),
    [
        (2, ["a"], {}, "found 2 recipes and 1 directories"),
        (2, ["a", "b/../a"], {}, "cannot share the directory"),
        (1, ["a"], {"resume": True, "overwrite": True}, "found both; choose one"),
    ],
)
def test_impossible_requests_are_refused(patterns, tmp_path, configs, directories, options, message):
    with pytest.raises(InputError, match=message):
        rs.train_many(patterns, recipes(configs), [tmp_path / one for one in directories], progress=False, **options)


class Notes:
    """Writes down the checkpoints of one run."""

    def __init__(self, fail_at=None):
        self.seen, self.calls, self.fail_at = [], [], fail_at

    def begin(self, run):
        self.calls.append(("begin", run.directory.name))

    def checkpoint(self, _run, metrics):
        if metrics["update"] == self.fail_at:
            raise ValueError("no more room")
        self.seen.append(metrics["update"])

    def end(self, run):
        self.calls.append(("end", run.directory.name))


def test_callbacks_of_a_batch_hear_of_their_own_run(patterns, tmp_path, on_gpu):
    """Also where checkpoints fall elsewhere in each, and after an error of one of them."""
    configs = [one.replace(checkpoint_epochs=(k + 1,)) for k, one in enumerate(recipes(2, epochs=3))]
    heard = [Notes(), Notes()]
    runs = many(patterns, configs, tmp_path / "a", callbacks=[[one] for one in heard])
    for place, (run, notes) in enumerate(zip(runs, heard, strict=True)):
        assert tuple(notes.seen) == run.updates
        assert notes.calls == [("begin", str(place)), ("end", str(place))]
    assert heard[0].seen != heard[1].seen
    failing = [Notes(), Notes(fail_at=runs[1].updates[-2])]
    with pytest.raises(CallbackError, match="Notes failed in its checkpoint"):
        many(patterns, configs, tmp_path / "b", callbacks=[[one] for one in failing])
    assert [name for one in failing for name, _ in one.calls] == ["begin", "end"] * 2
    for one, other in zip(many(patterns, configs, tmp_path / "b", resume=True), runs, strict=True):
        same_models(one, other)
