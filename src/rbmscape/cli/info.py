"""``rbmscape info``: what sampling will run on here, and the versions to report with a problem."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from rbmscape.cli.options import JsonOption
from rbmscape.cli.tables import print_table, write_json

__all__ = ["collect", "info"]

_PACKAGES = ("torch", "numpy", "numba", "triton", "scipy", "xarray", "safetensors")


def info(json_file: JsonOption = None) -> None:
    """Versions, sampling engine, processor, GPU and threads."""
    found = collect()
    if json_file is not None:
        write_json(json_file, found)
    print_table("rbmscape on this machine", [(name, _words(value)) for name, value in found.items()])


def collect() -> dict[str, Any]:
    """What `info` shows, as plain values."""
    import torch

    from rbmscape import __version__
    from rbmscape.kernels.select import best_device, select_engine
    from rbmscape.machine import machine

    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    engine = select_engine(device=best_device())
    here = machine()
    return {
        "rbmscape": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        **{name: installed for name in _PACKAGES if (installed := _installed(name))},
        "engine": engine.name,
        "precision": engine.precision,
        "annealing": engine.annealer().name,
        "processor": here["processor"],
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "threads": here["threads"],
        "features": here["features"],
        "memory_gib": _memory_gib(),
        "gpus": gpus,
        "cuda": torch.version.cuda,
    }


def _words(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _memory_gib() -> float | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (ValueError, OSError, AttributeError):
        return None
