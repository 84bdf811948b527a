"""Engine and precision are chosen in one place, and what cannot be had is refused with the cure."""

from __future__ import annotations

import subprocess
import sys
from typing import get_args

import pytest
import torch

from rbmscape.cli import options
from rbmscape.errors import EngineError
from rbmscape.kernels import Engine, Parameters, select, select_engine
from rbmscape.kernels.select import ENGINES, PRECISIONS, Entry, best_device, has_fast_bf16, has_table_lookup
from rbmscape.runs.config import TrainingConfig


@pytest.mark.parametrize(
    ("engine", "precision", "message"),
    [
        ("gpu", "auto", r"one of auto, cpu, cuda, reference, found 'gpu'"),
        ("auto", "fp16", r"one of auto, fixed, fp32, bf16, fp64, found 'fp16'"),
        ("cpu", "fp64", "engine='reference'"),
        ("auto", "fp64", "engine='reference'"),
    ],
)
def test_impossible_requests_are_refused(engine, precision, message):
    with pytest.raises(EngineError, match=message):
        select_engine(engine, precision)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
@pytest.mark.parametrize(("engine", "device"), [("cuda", "cpu"), ("auto", "cuda"), ("reference", "cuda:0")])
def test_missing_gpu_is_named(engine, device):
    with pytest.raises(EngineError, match=r"CUDA GPU and torch sees none \(.*\); use engine='auto'"):
        select_engine(engine, device=device)
    assert [entry.missing() for entry in select.REGISTRY if entry.home == select._CUDA] == [select._no_gpu()]


def test_cpu_engine_refuses_other_devices():
    with pytest.raises(EngineError, match="cannot work on device 'meta'"):
        select_engine("cpu", device="meta")


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ({"amx_bf16": True}, "bf16"),
        ({"avx512_f": True}, "fp32"),
        (dict.fromkeys(("avx512_f", "avx512_bw", "avx512_dq"), True), "fixed"),
    ],
)
def test_automatic_precision_follows_the_processor(monkeypatch, features, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features)
    assert has_fast_bf16() is (expected == "bf16")
    assert select_engine("cpu").precision == expected
    assert select_engine("reference").precision == "fp32"


@pytest.mark.parametrize(
    ("engine", "precision", "dtype"),
    [
        ("cpu", "fp32", torch.float32),
        ("cpu", "bf16", torch.bfloat16),
        pytest.param(
            "cpu", "fixed", torch.uint8, marks=pytest.mark.skipif(not has_table_lookup(), reason="needs AVX-512")
        ),
        ("reference", "fp32", torch.float32),
        ("reference", "fixed", torch.float32),
        ("reference", "bf16", torch.bfloat16),
        ("reference", "fp64", torch.float64),
    ],
)
def test_engines_say_what_they_are(engine, precision, dtype):
    chosen = select_engine(engine, precision)
    assert isinstance(chosen, Engine)
    assert (chosen.name, chosen.precision, chosen.state_dtype) == (engine, precision, dtype)
    model = Parameters(torch.zeros(3, 4), torch.zeros(3), torch.zeros(4))
    assert chosen.bind(model, 2).v.dtype == dtype


def test_tables_are_refused_where_there_are_none(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    with pytest.raises(EngineError, match=r"needs a processor with AVX-512.*use precision='auto' or 'fp32'"):
        select_engine("cpu", "fixed")


def test_choosing_the_reference_does_not_import_numba():
    code = "import sys; from rbmscape.kernels import select_engine as s; s('reference'); print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_an_engine_that_was_chosen_is_handed_down_as_it_is():
    chosen = select_engine("reference", "fp64")
    assert select_engine(chosen) is chosen
    assert select_engine(chosen, "fp64", "cpu") is chosen
    with pytest.raises(EngineError, match="precision 'fp64' on device 'cpu' was given for precision 'fp32'"):
        select_engine(chosen, "fp32")
    with pytest.raises(EngineError, match=r"on device 'cpu' was given for .* on device 'meta'"):
        select_engine(chosen, device="meta")


WITHOUT_KERNELS = tuple(entry for entry in select.REGISTRY if "kernels.cuda" not in entry.home)
WINS = lambda _size: True  # noqa: E731


def with_gpu(monkeypatch, **facts):
    """A registry in which an engine for GPUs may take training there by itself, on a machine that has one."""
    entry = Entry("cuda", "nowhere:Engine", ("cuda",), ("fixed", "bf16"), **facts)
    monkeypatch.setattr(select, "REGISTRY", (*select.REGISTRY[:2], entry, *select.REGISTRY[2:]))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


def test_automatic_training_stays_on_the_processor_that_no_gpu_engine_beats(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(
        select, "REGISTRY", tuple(entry for entry in select.REGISTRY if "kernels.cuda" not in entry.home)
    )
    assert best_device().type == "cpu"
    assert best_device("cuda").type == "cuda"  # asked for by name
    assert best_device("reference").type == "cpu"


@pytest.mark.parametrize(
    ("facts", "engine", "precision", "expected"),
    [
        ({"beats": WINS}, "auto", "auto", "cuda"),
        ({"beats": WINS}, "auto", "bf16", "cuda"),
        ({"beats": WINS}, "auto", "fp64", "cpu"),
        ({"beats": WINS}, "cpu", "auto", "cpu"),
        ({"beats": WINS, "missing": lambda: "no compiler"}, "auto", "auto", "cpu"),
        ({}, "auto", "auto", "cpu"),
    ],
)
def test_a_gpu_engine_that_wins_takes_what_it_can_do(monkeypatch, facts, engine, precision, expected):
    monkeypatch.setattr(
        select, "REGISTRY", tuple(entry for entry in select.REGISTRY if "kernels.cuda" not in entry.home)
    )
    with_gpu(monkeypatch, **facts)
    assert best_device(engine, precision).type == expected


def test_what_an_engine_lacks_is_passed_over_by_auto_and_named_otherwise(monkeypatch):
    without = Entry("cpu", "nowhere:Engine", ("cpu",), ("fp32",), missing=lambda: "engine 'cpu' needs a soul; buy one")
    monkeypatch.setattr(select, "REGISTRY", (without, select.REGISTRY[-1]))
    assert select_engine().name == "reference"
    with pytest.raises(EngineError, match="needs a soul; buy one"):
        select_engine("cpu")


def test_recipes_and_the_command_line_know_all_names():
    fields = TrainingConfig.model_fields
    for known, field, words in ((ENGINES, "engine", options.Engine), (PRECISIONS, "precision", options.Precision)):
        assert set(get_args(fields[field].annotation)) == set(known)
        assert {str(word) for word in words} == set(known)
    assert {one for entry in select.REGISTRY for one in entry.precisions} <= set(PRECISIONS)
