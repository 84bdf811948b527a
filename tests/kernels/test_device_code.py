"""The GPU's kernels are compiled, to machine code, for devices that are not here."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton", reason="needs Triton, as from `pip install rbmscape[gpu]`")

from rbmscape.kernels import cuda

SHARED = {89: 99 * 1024, 90: 227 * 1024}
"""Bytes of shared memory that a program may have by compute capability, from the CUDA programming guide."""


def kernels():
    """Names of the functions that are launched."""
    launched = set()
    for path in Path(cuda.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Subscript):
                launched.add(ast.unparse(node.func.value).rpartition(".")[-1])
    return launched


@pytest.mark.slow
@pytest.mark.parametrize("capability", [89, 90])
def test_every_kernel_compiles_and_fits_the_device(tmp_path, capability):
    """The least shared memory of what is supported, and the devices whose products are of another kind."""
    variables = os.environ | {"TRITON_CACHE_DIR": str(tmp_path), "TRITON_INTERPRET": "0"}
    script = Path(__file__).with_name("device_code.py")
    result = subprocess.run(
        [sys.executable, str(script), str(capability)], env=variables, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]
    found = json.loads(result.stdout.splitlines()[-1])
    assert set(found) == kernels()
    assert {name: row for name, row in found.items() if row["shared"] > SHARED[capability]} == {}
    assert found["apply"]["made"] == 5, "one for each optimiser"
    assert found["sweeps"]["made"] >= 2, "for few chains and for many"
