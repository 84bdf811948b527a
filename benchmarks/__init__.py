"""Benchmarks of rbmscape; run one with ``python -m benchmarks.NAME``.

Threads of OpenMP that wait for others spin for milliseconds by default, which on a machine that does something else
besides stretches a sweep from 9 to 50 ms; a short spin serves all packages compared here.  It must be set before
torch is loaded.
"""

import os

os.environ.setdefault("GOMP_SPINCOUNT", "2000")
