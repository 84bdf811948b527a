"""Train, evaluate and sample without what only POSIX has: modules, calls, signals and flags are taken away.

Libraries have ways of their own for each system, so that this package alone finds others in the places of `os`,
`signal` and the modules of POSIX.  That is no test on macOS or Windows, where nothing was tried; it is one that no call
of this package on the way needs POSIX.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

WITHOUT_POSIX = """
    import builtins, os, signal, sys, types

    MODULES = ("fcntl", "grp", "posix", "pwd", "pty", "resource", "termios", "tty")
    CALLS = (
        "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "fchmod", "fchown", "fork", "forkpty", "getegid", "geteuid",
        "getgid", "getloadavg", "getpgid", "getsid", "getuid", "killpg", "mkfifo", "nice", "pread", "pwrite",
        "register_at_fork", "sched_getaffinity", "sched_setaffinity", "setsid", "statvfs", "sync", "sysconf", "uname",
        "wait3", "wait4",
    )
    SIGNALS = (
        "SIGALRM", "SIGHUP", "SIGKILL", "SIGQUIT", "SIGUSR1", "SIGUSR2", "alarm", "pthread_sigmask", "setitimer",
    )

    class Elsewhere(types.ModuleType):
        def __init__(self, module, gone, **other):
            super().__init__(module.__name__)
            self.__dict__.update(other, _module=module, _gone=gone)

        def __getattr__(self, name):
            if name in self._gone:
                raise AttributeError(f"module has no attribute {name!r}")
            return getattr(self._module, name)

    def open_files_only(path, *arguments, **options):
        if isinstance(path, (str, os.PathLike)) and os.path.isdir(path):
            raise PermissionError(13, "Permission denied", path)
        return os.open(path, *arguments, **options)

    def rename_to_new_names_only(old, new, *arguments, **options):
        if os.path.exists(new):
            raise FileExistsError(17, "File exists", new)
        return os.rename(old, new, *arguments, **options)

    THERE = {
        "os": Elsewhere(os, CALLS, name="nt", open=open_files_only, rename=rename_to_new_names_only),
        "signal": Elsewhere(signal, SIGNALS),
    }
    import_here, open_here = builtins.__import__, open

    def import_there(name, globals=None, locals=None, fromlist=(), level=0):
        if (globals or {}).get("__name__", "").startswith("rbmscape") and level == 0:
            if name in MODULES:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            if name in THERE:
                return THERE[name]
        return import_here(name, globals, locals, fromlist, level)

    def open_nothing_of_linux(path, *arguments, **options):
        asks = sys._getframe(1).f_globals.get("__name__", "")
        if asks.startswith("rbmscape") and str(path).startswith(("/proc", "/sys")):
            raise FileNotFoundError(2, "No such file or directory", path)
        return open_here(path, *arguments, **options)

    builtins.__import__, builtins.open = import_there, open_nothing_of_linux
    from rbmscape.cli.main import main
"""


def elsewhere(code, place):
    """What a process of such a system prints."""
    program = textwrap.dedent(WITHOUT_POSIX) + textwrap.dedent(code)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=place, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_train_evaluate_and_sample_need_nothing_of_posix(tmp_path):
    said = elsewhere(
        """
        images = ["bars-and-stripes", "--image-shape", "3x3"]
        recipe = ["--hidden", "4", "--epochs", "3", "--chains", "10", "--schedule", "constant", "--quiet"]
        assert main(["train", *images, *recipe, "--out", "run"]) == 0
        assert main(["train", "--resume", "--epochs", "5", "--out", "run", "--quiet"]) == 0
        assert main(["train", *images, *recipe, "--out", "run", "--overwrite"]) == 0
        assert main(["evaluate", "run"]) == 0
        assert main(["evaluate", "run", "--method", "ais", "--chains", "10", "--betas", "10", "--json", "e.json"]) == 0
        assert main(["sample", "run", "-n", "10", "--method", "gibbs", "--steps", "5", "--out", "chains"]) == 0
        assert main(["sample", "run", "-n", "10", "--budget", "1e6", "--out", "states"]) == 0
        assert main(["info"]) == 0
        print("done")
        """,
        tmp_path,
    )
    assert said.rstrip().endswith("done")
    assert (tmp_path / "states.png").stat().st_size > 0
    assert not list(tmp_path.rglob("*.part"))


def test_what_is_taken_away_is_gone(tmp_path):
    """The negative control: the same calls fail where this package makes them."""
    said = elsewhere(
        """
        attempts = (
            "import fcntl", "from resource import getrlimit", "import os; os.fork()", "import signal; signal.SIGHUP",
            "import os; os.open('.', 0)", "open('/proc/cpuinfo')",
        )
        for attempt in attempts:
            try:
                exec(attempt, {"__name__": "rbmscape.attempt", "__builtins__": builtins})
            except (ImportError, AttributeError, OSError) as error:
                print(type(error).__name__)
        """,
        tmp_path,
    )
    kinds = ["ModuleNotFoundError"] * 2 + ["AttributeError"] * 2 + ["PermissionError", "FileNotFoundError"]
    assert said.split() == kinds
