"""Numba told to compile for another processor, or not at all: the engine follows, and nothing aborts."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CODE = """
import rbmscape as rs
data = rs.load_dataset("bars-and-stripes", image_shape=(2, 2))
run = rs.train(data, rs.TrainingConfig(n_hidden=3, epochs=1), progress=False)
rs.log_partition(run.load(), "ais", n_chains=10, n_betas=10)
print(run.engine, run.precision)
"""


def ran(**variables):
    found = subprocess.run(
        [sys.executable, "-c", CODE], env=os.environ | variables, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr[-500:]
    return found.stdout.split()


@pytest.mark.slow
def test_a_processor_without_avx512(tmp_path):
    engine, precision = ran(NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="", NUMBA_CACHE_DIR=str(tmp_path))
    assert (engine, precision != "fixed") == ("cpu", True)


def test_no_compiler():
    assert ran(NUMBA_DISABLE_JIT="1")[0] == "reference"
