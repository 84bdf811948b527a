"""What this machine is: processor and its vector units, cores, threads, load, GPU and the versions that matter."""

from __future__ import annotations

import os
import platform
from typing import Any

import torch

import rbmscape

__all__ = ["machine", "thread_concerns"]


def machine() -> dict[str, Any]:
    """Facts of this machine, as they stand in benchmarks and studies."""
    capabilities = torch.cpu.get_capabilities()
    features = [name for name in ("amx_int8", "amx_bf16", "avx512_bf16", "avx512_f", "avx2") if capabilities.get(name)]
    return {
        "processor": _processor_name(),
        "features": features,
        "logical_cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": platform.system(),
    }


def thread_concerns() -> tuple[str, ...]:
    """A word of caution where threads that wait for each other burn a processor that others want, else none."""
    busy = hasattr(os, "getloadavg") and os.getloadavg()[0] > 1.25 * (os.cpu_count() or 1)
    if not (rbmscape._THREADS_SPIN and busy and torch.get_num_threads() > 1):
        return ()
    words = (
        f"torch was imported before rbmscape, so its {torch.get_num_threads()} threads spin while they wait, on a "
        "machine with more work than cores; import rbmscape first, set GOMP_SPINCOUNT=2000, or call "
        "torch.set_num_threads(1)"
    )
    return (words,)


def _processor_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
