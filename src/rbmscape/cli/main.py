"""``rbmscape COMMAND ...``: finds the command, and turns errors into exit codes.

Exit codes: 0 done, 1 failed with one line on stderr, 2 wrong usage, 130 interrupted with everything resumable.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from importlib import import_module
from typing import Annotated, Any, Final

import typer

from rbmscape.brief import printable
from rbmscape.errors import RbmscapeError

__all__ = ["COMMANDS", "DONE", "FAILED", "INTERRUPTED", "WRONG_USAGE", "build", "main"]

DONE: Final = 0
FAILED: Final = 1
WRONG_USAGE: Final = 2
INTERRUPTED: Final = 130

_NO_MEMORY: Final = ("can't allocate memory", "out of memory")
"""What torch's errors of the processor and of graphics processors have in common."""

COMMANDS: Final = {
    "describe": "What deserves a second look in data before training.",
    "train": "Train a model; an interrupted run continues with --resume.",
    "sample": "Draw samples: an .npz file and a picture.",
    "evaluate": "Log-likelihood of a model, exact or by annealed importance sampling.",
    "quality": "Samples of a model beside data: statistics, copies, idle units, each finding with its cure.",
    "analyze": "Reciprocal-space figures and their data for a run or a model.",
    "reproduce": "Train sizes and replicas on MNIST and write a report; goes on where it stopped.",
    "study": "Carry out a plan of one's own, on this machine or on many; goes on where it stopped.",
    "search": "Find the best of many recipes by successive halving; goes on where it stopped.",
    "convert": "Models of other tools into rbmscape's files, and the other way round.",
    "check": "Compare the files of a run or a study with what was written.",
    "explore": "Look at a run, a study or a model in the browser; without one, train a small model and watch it.",
    "bench": "Measure the speed of sampling on this machine.",
    "info": "Versions, sampling engine, processor, GPU and threads.",
}
"""Name and summary of each command.

The command is the function (or `typer.Typer`) of the same name in ``rbmscape.cli.<name>``.  Only the one that is
called is imported, so that ``--help`` stays quick.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : without the program's name; those of the process by default

    Returns
    -------
    The exit code
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    called = _being_completed() or words
    _secure_output()
    try:
        code = build(called)(args=words, prog_name="rbmscape", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else DONE
    except _Interrupted as stop:
        return _say(str(stop), INTERRUPTED)
    except (KeyboardInterrupt, typer.Abort):
        return _say("interrupted", INTERRUPTED)
    except typer.Exit as signal:
        return signal.exit_code
    except RbmscapeError as error:
        return _say(f"error: {error}", FAILED)
    except BrokenPipeError:
        _hush()
        return FAILED
    except Exception as error:
        if reason := _machine_trouble(error):
            return _say(f"error: {reason}", FAILED)
        # Typer's errors of usage have no public class; they know how to show themselves and their exit code.
        show, code = getattr(error, "show", None), getattr(error, "exit_code", None)
        if show is None or not isinstance(code, int):
            raise
        show()
        return code


def _being_completed() -> list[str]:
    """The words of a line that a shell asks completions for, so that its command is there; nothing otherwise."""
    if "_RBMSCAPE_COMPLETE" not in os.environ:
        return []
    line = os.environ.get("_TYPER_COMPLETE_ARGS") or os.environ.get("COMP_WORDS", "")
    return line.split()[1:]


def _hush() -> None:
    """The reader of our output went away (``rbmscape info | head -1``); say nothing, also not at shutdown."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _machine_trouble(error: Exception) -> str:
    """What a full disk or memory is called, with the cure; nothing for other errors."""
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or error}; free some space or choose another place"
    no_memory = isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY)
    if no_memory or isinstance(error, MemoryError):
        return "out of memory; use a smaller model, fewer chains or fewer samples"
    return ""


def _secure_output() -> None:
    """Let no output end a command: a closed stream swallows it, letters that a terminal lacks become question marks.

    Pictures go to files, also where a notebook's environment names a screen for them.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    os.environ["MPLBACKEND"] = "agg"


def build(words: Sequence[str] = ()) -> typer.Typer:
    """The application in which the command named by the first word is complete and the others are only summaries."""
    app = typer.Typer(
        name="rbmscape",
        help="Train Restricted Boltzmann Machines fast, measure them honestly, and see how they learn.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    called = next((word for word in words if not word.startswith("-")), None)
    for name, summary in COMMANDS.items():
        target = _load(name) if name == called else _placeholder
        if isinstance(target, typer.Typer):
            app.add_typer(target, name=name, help=summary)
        else:
            app.command(name, short_help=summary)(target)
    return app


class _Interrupted(Exception):
    """Ctrl-C, with what to tell the user; Typer would swallow a KeyboardInterrupt's message."""


def _load(name: str) -> Callable[..., Any] | typer.Typer:
    target: Callable[..., Any] | typer.Typer = getattr(import_module(f"rbmscape.cli.{name}"), name)
    return target if isinstance(target, typer.Typer) else _interruptible(target)


def _interruptible(command: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(command)
    def run(*args: Any, **options: Any) -> Any:
        try:
            return command(*args, **options)
        except KeyboardInterrupt as stop:
            raise _Interrupted(str(stop) or "interrupted") from None

    return run


def _placeholder() -> None:
    raise AssertionError("only the command that was called is run")


def _version(shown: bool) -> None:
    if shown:
        from rbmscape import __version__

        typer.echo(f"rbmscape {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    del version


def _say(message: str, code: int) -> int:
    """One line on stderr, whatever the message holds; returns the exit code."""
    sys.stderr.write(printable(" ".join(message.split())) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
