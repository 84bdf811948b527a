"""How the program starts: as a module, with completions for shells."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULE = [sys.executable, "-m", "rbmscape"]


def started(*words, **environment):
    return subprocess.run(
        [*MODULE, *words], capture_output=True, text=True, check=False, timeout=120, env=os.environ | environment
    )


def test_the_module_is_the_program():
    done = started("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("rbmscape ")
    wrong = started("no-such-command")
    assert wrong.returncode == 2
    assert "rbmscape" in wrong.stderr
    assert "__main__" not in wrong.stderr


@pytest.mark.parametrize(
    ("line", "place", "wanted", "unwanted"),
    [
        ("rbmscape tr", 1, {"train"}, {"study"}),
        ("rbmscape ", 1, {"train", "evaluate", "explore"}, set()),
        ("rbmscape train mnist --hid", 3, {"--hidden"}, {"--epochs"}),
        ("rbmscape evaluate --", 2, {"--data", "--method"}, {"--hidden"}),
    ],
)
@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_words_are_completed(shell, line, place, wanted, unwanted):
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(place), "_TYPER_COMPLETE_ARGS": line}
    done = started(_RBMSCAPE_COMPLETE=f"complete_{shell}", **asked)
    found = set(done.stdout.replace('"', " ").replace(":", " ").split())
    assert wanted <= found, done.stdout + done.stderr
    assert not unwanted & found


def test_scripts_for_shells_are_shown():
    done = started(_RBMSCAPE_COMPLETE="source_bash")
    assert "_rbmscape_completion" in done.stdout
    assert "--show-completion" in started("--help").stdout
