"""Commands that are killed, lose power or meet errors at their operations on files lose nothing.

Afterwards every run and study opens and checks clean, or a sentence says what to do; the same command comes to the same
result as undisturbed, and nothing else is left.  `python tests/faults/matrix.py` tries every fault at every operation.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands import CASES, Trial
from injection import tree

QUICK = {"train ptt": (3, 3), "evaluate": (3, 3), "analyze": (1, 1), "report": (2, 2)}
"""Remains of kills and losses of power, and errors; others are slow."""


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    trials = {}

    def make(name):
        if name not in trials:
            trials[name] = Trial(CASES[name], tmp_path_factory.mktemp("trial") / "w")
        return trials[name]

    return make


@pytest.mark.parametrize("name", QUICK)
def test_some_faults_lose_nothing(trial, name):
    assert trial(name).some(*QUICK[name], seed=1).wrong == []


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_faults_lose_nothing(trial, name):
    assert trial(name).some(12, 12, seed=2).wrong == []


def test_the_trace_sees_all_kinds(trial):
    steps = trial("train ptt").trace.steps
    kinds = {operation for operation, _ in steps}
    assert {"lock", "mkdir", "open", "write", "flush", "rename", "sync", "append", "after append"} <= kinds
    names = {Path(name).name for _, name in steps}
    assert {"config.json", "state.safetensors", "metrics.jsonl", "rung-0000.safetensors", "audit.json"} <= names


@pytest.mark.parametrize("what", ["another number", "a file left behind"])
def test_what_is_wrong_is_found(trial, what):
    one = trial("evaluate")
    wanted = dict(one.wanted)
    try:
        one.wanted |= {"e.csv": "another"} if what == "another number" else {}
        if what == "a file left behind":
            del one.wanted["e.csv"]
        one._fine.clear()
        one.after(one.trace.remains[-2])
        assert [words for words in one.tried.wrong if "e.csv" in words]
    finally:
        one.wanted, one.tried.wrong = wanted, []


KILLED = """
import os, signal, sys
from rbmscape import files
from rbmscape.cli.main import main
left = int(sys.argv[1])
def step(operation, path):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
files.step = step
main(sys.argv[2:])
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["evaluate", "train", "study"])
def test_a_process_that_is_killed_leaves_what_the_trace_says(trial, name):
    """So that copies of a directory stand for kills."""
    from injection import put

    one = trial(name)
    kills = [remains for remains in one.trace.remains if remains.kind == "kill"]
    for place in range(7, len(one.trace.steps), len(one.trace.steps) // 3):
        put(one.root, one.base)
        words = [sys.executable, "-c", KILLED, str(place), *one.words(one.case.words)]
        assert subprocess.run(words, capture_output=True, check=False).returncode == -signal.SIGKILL
        assert one.read(tree(one.root)) == one.read(kills[place - 1].content), str(kills[place - 1])
        assert os.listdir(one.root)
