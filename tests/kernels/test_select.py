"""Engine and precision are chosen in one place, and what cannot be had is refused with the cure."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from rbmscape.errors import EngineError
from rbmscape.kernels import Engine, select_engine
from rbmscape.kernels.select import has_fast_bf16, has_table_lookup


@pytest.mark.parametrize(
    ("engine", "precision", "message"),
    [
        ("gpu", "auto", r"one of auto, reference, cpu, cuda, found 'gpu'"),
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
    with pytest.raises(EngineError, match="CUDA GPU and torch sees none; use engine='auto'"):
        select_engine(engine, device=device)


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
    assert chosen.workspace(2, 3, 4).v.dtype == dtype


def test_tables_are_refused_where_there_are_none(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    with pytest.raises(EngineError, match=r"needs a processor with AVX-512.*use precision='auto' or 'fp32'"):
        select_engine("cpu", "fixed")


def test_choosing_the_reference_does_not_import_numba():
    code = "import sys; from rbmscape.kernels import select_engine as s; s('reference'); print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
