"""A study on graphics processors, by stand-ins: one worker each, and replicas that train at once."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from rbmscape.errors import DivergenceError
from rbmscape.figures.material import RunKey
from rbmscape.study.local import _environment
from rbmscape.study.tasks import _trained


def test_each_worker_has_one_of_the_machine_s_gpus(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [_environment(1, number)["CUDA_VISIBLE_DEVICES"] for number in range(3)] == ["0", "1", "0"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    assert [_environment(1, number)["CUDA_VISIBLE_DEVICES"] for number in range(3)] == ["4", "7", "4"]


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("batches", [False, True])
def test_replicas_of_one_size_train_at_once_where_a_gpu_batches_them(tmp_path, monkeypatch, batches, fails):
    """One that diverges keeps no other from its own task."""
    keys = [RunKey("a", 5, 0), RunKey("a", 7, 0), RunKey("a", 5, 1), RunKey("b", 5, 0)]
    config = SimpleNamespace(run_keys=lambda: keys, training=lambda key: f"recipe of {key}")
    context = SimpleNamespace(dataset="data", config=config, store=SimpleNamespace(runs=tmp_path))
    calls = []

    def train_many(dataset, configs, places, **options):
        calls.append((dataset, configs, [Path(place).name for place in places], options["until_update"]))
        if fails:
            raise DivergenceError("training diverged")

    modules = {name: importlib.import_module(f"rbmscape.training.{name}") for name in ("batch", "many", "train")}
    monkeypatch.setattr(modules["batch"], "can_batch", lambda *_: batches)
    monkeypatch.setattr(modules["many"], "train_many", train_many)
    monkeypatch.setattr(modules["train"], "engine_for", lambda *_: None)
    monkeypatch.setattr(modules["train"], "train", lambda _data, config, place, **_: (config, place))
    assert _trained(context, keys[2], "own", None, 40) == ("own", tmp_path / str(keys[2]))
    alike = [keys[0], keys[2]]
    expected = ("data", [f"recipe of {key}" for key in alike], [str(key) for key in alike], 40)
    assert calls == ([expected] if batches else [])
