"""Passes of the smallest models in as many threads as are asked for, so that both versions of each are compared."""

from __future__ import annotations

import pytest

from rbmscape.kernels.numba import threads


@pytest.fixture(autouse=True)
def _no_pass_is_too_small(monkeypatch):
    monkeypatch.setattr(threads, "LEAST_WORK", 1e-6)
