"""Waiting OpenMP threads spin shortly, unless the user has said how they should wait, or torch is loaded already."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

import rbmscape
from rbmscape import machine

ASKED = "import os, rbmscape; print(os.environ.get('GOMP_SPINCOUNT'), rbmscape._THREADS_SPIN)"


@pytest.mark.parametrize(
    ("given", "found"),
    [({}, "2000 False"), ({"GOMP_SPINCOUNT": "7"}, "7 False"), ({"OMP_WAIT_POLICY": "active"}, "None False")],
)
def test_import_sets_what_the_user_has_not(given, found):
    environment = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")} | given
    said = subprocess.run([sys.executable, "-c", ASKED], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == found


def test_too_late_is_said_on_a_busy_machine_with_threads(monkeypatch):
    monkeypatch.setattr(rbmscape, "_THREADS_SPIN", True)
    monkeypatch.setattr(machine.os, "getloadavg", lambda: (100.0 * os.cpu_count(), 0.0, 0.0))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    (words,) = machine.thread_concerns()
    assert "import rbmscape first" in words
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert machine.thread_concerns() == ()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(machine.os, "getloadavg", lambda: (0.1, 0.0, 0.0))
    assert machine.thread_concerns() == ()
