"""Whether the GPU beats the processor: half a second of measuring, kept in the user's cache.

Both engines make the sweep and the gradient of an update at two sizes, of which the first costs launches and the second
work.  A straight line through both says what any other size takes.  What cannot be measured, loses.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch

from rbmscape.files import write_text
from rbmscape.kernels.interface import Engine, Gradient, Parameters
from rbmscape.machine import machine
from rbmscape.rng import Stream

__all__ = ["cache_file", "is_faster", "seconds_of_update"]

SIZES: Final = ((64, 128, 64), (500, 784, 500))
"""Chains, visible and hidden units."""
SECONDS: Final = 0.1
"""Of each of the four measurements, beside what compiling takes the first time on a machine."""
FORMAT: Final = 1
MARGIN: Final = 0.95
"""The GPU wins where it takes less than this share of the processor's time."""

Size = tuple[int, int, int]


def cache_file() -> Path:
    """Where measurements are kept: in ``$XDG_CACHE_HOME``, by default ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rbmscape" / "gpu.json"


def _key() -> str:
    """What a measurement holds for: both chips, driver and versions."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        triton = version("triton")
    except PackageNotFoundError:
        triton = "none"
    facts = machine()
    driver = getattr(torch._C, "_cuda_getDriverVersion", lambda: 0)()
    parts = facts["gpu"], driver, torch.__version__, triton, facts["processor"], facts["threads"], FORMAT
    return ", ".join(str(part) for part in parts)


def is_faster(gpu: Callable[[], Engine], processor: Callable[[], Engine], size: Size) -> bool:
    """Whether updates of a size take less time on the GPU.

    Parameters
    ----------
    gpu, processor : make the engines, where there is no measurement yet
    size : numbers of chains, visible and hidden units
    """
    key = _key()
    known = _read()
    if key not in known:
        known[key] = {"gpu": _measured(gpu), "processor": _measured(processor)}
        _write(known)
    found = known[key]
    if None in (found["gpu"], found["processor"]):
        return False
    return _line(found["gpu"], size) < MARGIN * _line(found["processor"], size)


def _read() -> dict[str, Any]:
    """What is known; nothing where the file is missing or damaged."""
    try:
        found = json.loads(cache_file().read_text(encoding="utf-8"))
        whole = all(_is_measurement(one["gpu"]) and _is_measurement(one["processor"]) for one in found.values())
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return {}
    return found if whole else {}


def _is_measurement(found: Any) -> bool:
    return found is None or (len(found) == len(SIZES) and all(isinstance(one, float) and one > 0.0 for one in found))


def _write(known: dict[str, Any]) -> None:
    """Whole or not at all; a cache that cannot be written is measured again next time."""
    from rbmscape.errors import DiskError

    try:
        write_text(cache_file(), json.dumps(known, indent=2) + "\n")
    except (OSError, DiskError):
        return


def _measured(make: Callable[[], Engine]) -> list[float] | None:
    """Seconds at both sizes; None where the engine fails, for whatever reason."""
    try:
        engine = make()
        return [seconds_of_update(engine, size) for size in SIZES]
    except Exception:  # noqa: BLE001 - a compiler, a driver, a lack of memory: all mean the same here
        return None


def seconds_of_update(engine: Engine, size: Size, seconds: float = SECONDS) -> float:
    """Of one sweep, one gradient and one rounding of the parameters, after one that is not counted."""
    n_chains, n_visible, n_hidden = size
    stream = Stream(0, "calibration")
    weights = 0.05 * torch.randn(n_visible, n_hidden, generator=torch.Generator().manual_seed(0))
    model = Parameters(*(x.to(engine.device) for x in (weights, torch.zeros(n_visible), torch.zeros(n_hidden))))
    sampler, out = engine.bind(model, n_chains), Gradient.empty(n_visible, n_hidden, torch.float32, engine.device)
    gradient = sampler.gradient(n_chains)
    data = torch.ones(n_chains, n_visible, dtype=torch.uint8, device=engine.device)

    def update(step: int) -> None:
        sampler.sweep(stream, step, 1)
        gradient.compute(data, out)
        sampler.update(model)
        if engine.device.type == "cuda":
            torch.cuda.synchronize(engine.device)

    update(0)
    steps, began = 0, time.perf_counter()
    while steps == 0 or time.perf_counter() - began < seconds:
        steps += 1
        update(steps)
    return (time.perf_counter() - began) / steps


def _line(seconds: list[float], size: Size) -> float:
    """Seconds at another size, by a straight line in the number of products, that falls nowhere."""
    works = [chains * visible * hidden for chains, visible, hidden in SIZES]
    slope = max(0.0, (seconds[1] - seconds[0]) / (works[1] - works[0]))
    chains, visible, hidden = size
    return seconds[0] + slope * (chains * visible * hidden - works[0])
