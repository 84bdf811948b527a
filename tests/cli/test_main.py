"""Exit codes and messages: 0 done, 1 one line, 2 wrong usage, 130 interrupted; commands are imported when called."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from rbmscape.cli import info as info_module
from rbmscape.cli.main import COMMANDS, DONE, FAILED, INTERRUPTED, WRONG_USAGE, build, main
from rbmscape.errors import DataError, RbmscapeError

SCRIPT = [sys.executable, "-m", "rbmscape"]


def run(*words):
    """One real process."""
    return subprocess.run([*SCRIPT, *words], capture_output=True, text=True, check=False, timeout=120, env=os.environ)


def test_help_lists_every_command_and_imports_nothing_heavy():
    code = (
        "import sys, rbmscape.cli.main as m; code = m.main(['--help']);"
        "heavy = [n for n in ('torch', 'numpy', 'numba', 'pandas', 'matplotlib', 'pydantic') if n in sys.modules];"
        "sys.exit(code or (3 if heavy else 0))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == DONE, done.stderr
    for name in COMMANDS:
        assert name in done.stdout


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_of_the_table_exists_and_explains_itself(name):
    done = CliRunner().invoke(build([name]), [name, "--help"], terminal_width=120)
    assert done.exit_code == DONE, done.output
    assert f"rbmscape {name}" in done.output
    assert "--help" in done.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "Did you mean 'train'"),
        (["train", "--hiden", "3"], "--hidden"),
        (["train", "mnist", "--hidden", "0"], "--hidden"),
        (["train", "mnist", "--hidden", "many"], "--hidden"),
        (["train", "mnist", "--method", "pdc"], "pcd"),
        (["train", "mnist", "--learning-rate", "-1"], "learning_rate"),
        (["train", "mnist", "--checkpoint-epochs", "1,x"], "1,5,20"),
        (["train"], "name the data"),
        (["train", "mnist", "--resume"], "--out"),
        (["train", "mnist", "--resume", "--overwrite", "--out", "x"], "choose one"),
        (["train", "mnist", "--image-shape", "28"], "28x28"),
        (["sample"], "MODEL"),
        (["sample", "x", "-n", "0"], "--number"),
        (["evaluate", "x", "--method", "guess"], "ais"),
        (["bench", "--hidden", "5,-1"], "--hidden"),
        (["info", "extra"], "extra"),
    ],
)
def test_wrong_usage_is_2_and_names_what_was_wrong(words, message, capsys):
    assert main(words) == WRONG_USAGE
    streams = capsys.readouterr()
    assert message.lower() in streams.err.lower()
    assert "Traceback" not in streams.err
    assert not streams.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "mnsit"], "did you mean 'mnist'"),
        (["train", "absent.npy"], "there is no file absent.npy"),
        (["train", "mnist", "--threshold", "0.5"], "thresholded at 128"),
        (["sample", "absent"], "there is no run or model file absent"),
        (["sample", "."], "holds no run"),
        (["evaluate", "absent"], "there is no run"),
        (["bench", "--device", "nowhere"], "device 'nowhere' cannot be used"),
    ],
)
def test_failures_are_1_with_one_line(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == FAILED
    streams = capsys.readouterr()
    assert streams.err.startswith("error: ")
    assert streams.err.count("\n") == 1
    assert message in streams.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (RbmscapeError("several\nlines  of\ttext"), FAILED, "error: several lines of text"),
        (DataError("bad value"), FAILED, "error: bad value"),
        (OSError(errno.ENOSPC, "No space left on device", "a/b"), FAILED, "error: a/b: No space left on device"),
        (MemoryError(), FAILED, "error: out of memory"),
        (KeyboardInterrupt(), INTERRUPTED, "interrupted"),
        (typer.Exit(7), 7, ""),
    ],
)
def test_errors_become_exit_codes(error, code, message, capsys, monkeypatch):
    def fail():
        raise error

    monkeypatch.setattr(info_module, "info", fail)
    assert main(["info"]) == code
    streams = capsys.readouterr()
    assert message in streams.err
    assert streams.err.strip().count("\n") == 0
    assert "Traceback" not in streams.err


def test_mistakes_of_the_program_keep_their_traceback(monkeypatch):
    def fail():
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(info_module, "info", fail)
    with pytest.raises(ZeroDivisionError):
        main(["info"])


def test_version_and_no_arguments(capsys):
    assert main(["--version"]) == DONE
    assert capsys.readouterr().out.startswith("rbmscape ")
    assert main([]) == WRONG_USAGE


def test_real_processes_return_the_codes(tmp_path):
    wrong, failed = run("trian"), run("train", "mnsit", "--out", str(tmp_path / "run"))
    assert wrong.returncode == WRONG_USAGE
    assert "Did you mean 'train'" in wrong.stderr
    assert failed.returncode == FAILED
    assert failed.stderr.startswith("error: there is no data set")
    assert failed.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_reader_that_goes_away_is_no_traceback():
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*SCRIPT, "--version"], stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert done.returncode == FAILED
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to"),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB"),
    ],
)
def test_no_memory_is_one_line(monkeypatch, capsys, error):
    def fail():
        raise error

    monkeypatch.setattr(info_module, "info", fail)
    assert main(["info"]) == FAILED
    assert capsys.readouterr().err == "error: out of memory; use a smaller model, fewer chains or fewer samples\n"


def test_other_errors_keep_their_traceback(monkeypatch):
    def fail():
        raise RuntimeError("a bug")

    monkeypatch.setattr(info_module, "info", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        main(["info"])


def test_a_closed_output_an_ascii_terminal_and_a_notebooks_backend_end_no_command():
    code = (
        "import sys, rbmscape.cli.info as m; from rbmscape.cli.main import main\n"
        "def info():\n    import matplotlib; print('1 ± 2 ' + matplotlib.get_backend())\n"
        "m.info = info; sys.exit(main(['info']))"
    )
    env = os.environ | {"PYTHONIOENCODING": "ascii", "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=env)
    assert (done.returncode, done.stdout, done.stderr) == (DONE, "1 ? 2 agg\n", "")
    closed = f"import os, sys; os.close(1); os.execv(sys.executable, [sys.executable, '-c', {code!r}])"
    done = subprocess.run([sys.executable, "-c", closed], capture_output=True, text=True, check=False, env=env)
    assert (done.returncode, done.stderr) == (DONE, "")
