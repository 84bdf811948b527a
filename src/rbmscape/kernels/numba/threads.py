"""One pool of threads for Numba and torch.

Numba's OpenMP layer resolves to the same libgomp that torch has loaded, so both use one pool of threads, of the size
torch is set to; with one thread a serial version of a pass runs.  Waiting OpenMP threads spin for milliseconds by
default, which costs dearly where other work competes for the cores: a sweep of 500 chains took 34 to 50 ms instead of 9
on a machine with three times more work than cores.  ``GOMP_SPINCOUNT=2000``, which ``import rbmscape`` sets where torch
is not loaded yet, avoids most of that; passes of a few microseconds, whose threads would wait for one another longer
than they work, run in one thread.

The pool does not survive a fork: a child that asked for its threads would wait for them for ever.  So a forked child
works with one thread.
"""

from __future__ import annotations

import os
from typing import Final

import numba
import torch

__all__ = ["MAX_THREADS", "start_threads", "thread_count"]

LEAST_WORK: Final = 20_000.0
"""Nanoseconds of one core for which another thread is asked; beginning and ending a parallel pass takes thousands."""
MAX_THREADS = int(getattr(numba.config, "NUMBA_NUM_THREADS", 1))


def start_threads() -> None:
    """Let Numba start its threads now: doing so it resets the number of threads of the pool it shares with torch."""
    threads = torch.get_num_threads()
    numba.get_num_threads()
    torch.set_num_threads(threads)


def thread_count(pieces: int, work: float) -> int:
    """Threads for a pass over independent pieces; Numba is told.

    Parameters
    ----------
    pieces : so many
    work : of all of them, in nanoseconds of one core, roughly
    """
    threads = min(torch.get_num_threads(), MAX_THREADS, max(1, pieces), 1 + int(work / LEAST_WORK))
    if threads > 1:
        numba.set_num_threads(threads)
    return threads


def _one_thread() -> None:
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_one_thread)
